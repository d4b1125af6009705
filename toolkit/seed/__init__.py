"""Images: what is there on both sides, and bringing to the destination what is not.

`observe` and `preview` look without costing a counted pull. `seeder` copies: `run` is its flow, `image_copy` the state
of one image, `blob_schedule` who moves which blob, `claims` who puts which document, `lookups` what a registry can say
of its own, `patience` what is tried again, `worker_pool` and `pace` the threads and their speed, `budgeted_run` what
waits for pulls. `explain` says a registry's failures in our words.
"""
