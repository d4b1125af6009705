"""`toolkit show`: a saved plan as the reviewer saw it, or the saved result of another command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.options import Outputs, Places, ScanFormat, ScanViewFormat, ShowUnchanged
from toolkit.errors import UsageError
from toolkit.oci.local_files import read_regular

NAME = "show"
HELP = (
    "Show a saved plan or result, in any format. A plan is a file of `toolkit plan --out`; its parts must fit "
    "together, and `apply` also compares it with Terraform's own plan. A result is the JSON of plan, apply, seed, "
    "destroy, status, refresh, copy, report, scan, doctor, lock or prune; the exit code is 0 whatever it tells of. "
    "Needs no network, no credentials and no Terraform."
)
EXAMPLES = (
    "toolkit show plan.toolkit",
    "toolkit show plan.toolkit --format json | jq .plan.totals",
    "toolkit show result.json --format html > result.html",
)


def command(
    saved: Annotated[Path, typer.Argument(metavar="FILE", help="A saved plan, or the JSON of a result.")],
    show_unchanged: ShowUnchanged = False,
    places: Places = False,
    format: ScanViewFormat = ScanFormat.TEXT,  # noqa: A002  the option's name
    output: Outputs = None,
) -> None:
    """Run `toolkit show`."""

    def body(run: Run) -> int:
        from toolkit.cli.render.result import Result
        from toolkit.cli.saved_result import read_saved_result

        if _is_json(saved):
            result = read_saved_result(saved)
        else:
            from toolkit.cli.saved_plan import read_plan

            read = read_plan(saved)
            result = Result(NAME, 0, {"saved_plan": read.file, "plan": read.plan})
        if ScanFormat.SARIF in (format, *run.output_formats) and "scan" not in result.values:
            raise UsageError(
                "usage.format", f"`{saved}` is no result of a scan, so it has no view as `sarif`", hint="take another"
            )
        run.show_result(result)
        return 0

    presentation = Presentation(
        format,
        is_brief=True,
        shows_unchanged=show_unchanged,
        has_places=places,
        outputs=output or (),
        files=(saved,),
    )
    execute(NAME, presentation, body)


def _is_json(path: Path) -> bool:
    try:
        return read_regular(path, 64).lstrip().startswith(b"{")
    except OSError:  # who reads the plan says why
        return False
