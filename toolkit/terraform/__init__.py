"""Terraform: the root module as text, its working directory, and the program that runs there.

`hcl` encodes every value. `root_module` renders the files (pure), `work_dir` writes them under a lock. `process` is the
one place that starts Terraform, in a session of its own so that it outlives us. `runner` drives it through
python-terraform; it turns Terraform's JSON lines (`ui_messages`) into events and its errors (`explain`) into ours.
`plan_changes` describes the changes and the drift in a saved plan, `plan_contents` reads the file itself.
`provider_lock` keeps the AWS provider the same from run to run.
"""
