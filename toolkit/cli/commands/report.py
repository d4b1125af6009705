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
    "missing or failed. A result is the JSON of `toolkit apply PLAN --shard K`. Only a plan in S3 needs a network."
)
EXAMPLES = (
    "toolkit report plan.toolkit results/*.json",
    "toolkit report s3://acme-base-images/plans/plan.toolkit   # and the results beside it",
    "toolkit report plan.toolkit results/*.json --format markdown > report.md",
)


def command(
    saved_plan: Annotated[
        str, typer.Argument(metavar="PLAN", help="The file of `toolkit plan --shards N --out`, or its place in S3.")
    ],
    results: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RESULT]...",
            help="Files of `toolkit apply PLAN --shard K --output json=FILE`. [default: those beside a PLAN in S3]",
        ),
    ] = None,
    format: ViewFormat = ResultFormat.TEXT,  # noqa: A002  the option's name
    output: Outputs = None,
) -> None:
    """Run `toolkit report`."""

    def body(run: Run) -> int:
        from toolkit.cli.apply_file import join_results
        from toolkit.cli.saved_plan import read_plan
        from toolkit.operations.join import raise_if_missing

        report = join_results(run, read_plan(saved_plan), saved_plan, results or ())
        run.show_report(report)
        raise_if_missing(report)
        return 0

    files = (Path(saved_plan), *(results or ()))
    execute(NAME, Presentation(format, is_brief=True, outputs=output or (), files=files), body)
