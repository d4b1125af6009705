"""Terraform: the root module as text, the directory it lives in, and the program that runs there.

`hcl` encodes every value; `root_module` renders (pure); `work_dir` writes, idempotent and under a lock; `process` is
the one place that starts Terraform, in a session of its own so that it outlives us; `runner` drives it through
python-terraform and turns its JSON lines (`ui_messages`) into events and its complaints (`explain`) into our errors;
`plan_changes` says what a saved plan changes and what was changed by hand, `plan_contents` what its file is made of.
`provider_lock` keeps the AWS provider the same from run to run.
"""
