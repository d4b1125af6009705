"""`toolkit show`: a saved plan as the reviewer saw it, and how it was made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.options import Format, OutputFormat

NAME = "show"
HELP = (
    "Show a plan that `toolkit plan --out` saved. Refuses a file whose parts do not fit together; `apply` also "
    "compares it with Terraform's own plan. Needs no network, no credentials and no Terraform."
)
EXAMPLES = (
    "toolkit show plan.toolkit",
    "toolkit show plan.toolkit --format json | jq .plan.totals",
)


def command(
    saved_plan: Annotated[Path, typer.Argument(metavar="PLAN", help="The file.")],
    format: OutputFormat = Format.TEXT,  # noqa: A002  the option's name
) -> None:
    """Run `toolkit show`."""

    def body(run: Run) -> int:
        from toolkit.cli.render.lines import visible
        from toolkit.cli.saved_plan import read_plan

        saved = read_plan(saved_plan)
        run.show("saved_plan", saved.document(), "\n".join(map(visible, saved.lines())))
        run.show_plan(saved.plan)
        return 0

    execute(NAME, Presentation(format, is_brief=True), body)
