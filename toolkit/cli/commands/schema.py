"""`toolkit schema`: the manifest's JSON Schema, for editors and linters."""

from __future__ import annotations

import json

from toolkit.cli.boundary import Presentation, Run, execute

NAME = "schema"
HELP = "Print the manifest's JSON Schema (draft 2020-12)."
EXAMPLES = ("toolkit schema > images.schema.json   # then `# yaml-language-server: $schema=images.schema.json`",)


def command() -> None:
    """Run `toolkit schema`."""

    def body(run: Run) -> int:
        from toolkit.manifest.model import json_schema

        run.show("schema", {}, json.dumps(json_schema(), indent=2))
        return 0

    execute(NAME, Presentation(is_brief=True), body)
