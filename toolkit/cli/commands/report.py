"""`toolkit report`: the results of all shards of a plan, joined."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.options import Outputs, ResultFormat, ViewFormat

NAME = "report"
HELP = (
    "Join the results of a plan's shards. Every image of the plan is in it once, and it exits with 6 while one is "
    "missing or failed. A result is the JSON of `toolkit apply PLAN --shard K`. Needs no network and no credentials."
)
EXAMPLES = (
    "toolkit report plan.toolkit results/*.json",
    "toolkit report plan.toolkit results/*.json --format markdown > report.md",
)


def command(
    saved_plan: Annotated[Path, typer.Argument(metavar="PLAN", help="The file of `toolkit plan --shards N --out`.")],
    results: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[RESULT]...", help="Files of `toolkit apply PLAN --shard K --output json=FILE`."),
    ] = None,
    format: ViewFormat = ResultFormat.TEXT,  # noqa: A002  the option's name
    output: Outputs = None,
) -> None:
    """Run `toolkit report`."""

    def body(run: Run) -> int:
        from toolkit.cli.saved_plan import read_plan
        from toolkit.cli.saved_result import read_saved_result
        from toolkit.events import NoticeGiven
        from toolkit.operations.join import join, raise_if_missing

        saved = read_plan(saved_plan)
        found = {str(path): read_saved_result(path) for path in results or ()}
        for path, result in found.items():
            if "report" not in result.values:
                why = f": {result.error['message']}" if result.error else ""
                run.emit(NoticeGiven("report.without_images", f"`{path}` has no report on images{why}"))
        report = join(saved.plan, saved.digest, {path: one.values.get("report") for path, one in found.items()})
        run.show_report(report)
        raise_if_missing(report)
        return 0

    files = (saved_plan, *(results or ()))
    execute(NAME, Presentation(format, is_brief=True, outputs=output or (), files=files), body)
