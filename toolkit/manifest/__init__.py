"""From the text of `images.yaml` to a `Manifest`, or to every fault in it at once.

Imports nothing: `toolkit --help` needs neither pydantic nor the YAML reader.
"""
