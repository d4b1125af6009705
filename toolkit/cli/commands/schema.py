"""`toolkit schema`: the manifest's JSON Schema, for editors and linters."""

from __future__ import annotations

import json
import sys

NAME = "schema"
HELP = "Print the manifest's JSON Schema (draft 2020-12)."
EXAMPLES = "Example:  toolkit schema > images.schema.json   (then `# yaml-language-server: $schema=images.schema.json`)"


def command() -> None:
    """Run `toolkit schema`."""
    from toolkit.manifest.schema import json_schema

    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
