"""Images: what is on both sides, and copying to the destination what it lacks.

`observe` looks at both sides, with `companions` for signatures. `seeder` copies: `run` says how one image is copied and
runs many at once. Below it are `image_copy`, the state of one image; `blob_schedule`, which image moves which blob;
`retry_policy` and `rate_limit`; `tasks` and `worker_pool`, coroutines and the threads that serve them. `budgeted_run`
keeps a run to its pull budgets. `explain` states a registry's failures in our words.
"""
