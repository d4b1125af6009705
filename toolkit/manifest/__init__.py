"""From the text of `images.yaml` to a `Manifest`, or to every fault in it at once.

Kept free of imports: pydantic and the YAML reader cost more start-up time than `toolkit --help` may take.
"""
