"""`toolkit schema`: JSON Schemas of the manifest, for editors, and of what the program writes, for programs."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute

NAME = "schema"
HELP = (
    "Print a JSON Schema (draft 2020-12). It describes the manifest, a result in JSON or a part of it, or a line of "
    "`--format json-lines`. Within a `schema_version`, fields are only added."
)
EXAMPLES = (
    "toolkit schema > images.schema.json   # then `# yaml-language-server: $schema=images.schema.json`",
    "toolkit schema plan",
)


class Kind(StrEnum):
    """What the schema describes."""

    MANIFEST = "manifest"
    RESULT = "result"
    PLAN = "plan"
    REPORT = "report"
    PREVIEW = "preview"
    SCAN = "scan"
    LOCK = "lock"
    STATUS = "status"
    PRUNE = "prune"
    EVENTS = "events"


def command(
    kind: Annotated[Kind, typer.Argument(help="What the schema describes.")] = Kind.MANIFEST,
) -> None:
    """Run `toolkit schema`."""

    def body(run: Run) -> int:
        run.show("schema", {}, json.dumps(schema_of(kind), indent=2))
        return 0

    execute(NAME, Presentation(is_brief=True), body)


def schema_of(kind: Kind) -> dict[str, object]:
    """The schema of `kind`."""
    if kind is Kind.MANIFEST:
        from toolkit.manifest.model import json_schema

        return json_schema()
    from toolkit.cli.render.schemas import event_schema, result_schema

    return event_schema() if kind is Kind.EVENTS else result_schema(kind)
