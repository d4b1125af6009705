"""`toolkit apply`: plan, ask, let Terraform apply the saved plan, seed the pinned digests, read them back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.options import (
    AllowDestroy,
    CacheDirectory,
    Format,
    Jobs,
    LimitRate,
    ManifestFile,
    NoProgress,
    OutputFormat,
    TerraformBinary,
    Verbose,
    WorkDirectory,
)
from toolkit.errors import Refused, UsageError
from toolkit.plan.on_budget import OnBudget

if TYPE_CHECKING:
    from toolkit.plan.model import Plan

NAME = "apply"
HELP = (
    "Create or update the repositories and build projects, and fill the repositories. Does what the plan says, no "
    "more; safe to run again after any failure."
)
EXAMPLES = (
    "Examples:  toolkit apply   |   toolkit apply --auto-approve --format json-lines > apply.jsonl   |   "
    "toolkit plan --out plan.toolkit && toolkit apply plan.toolkit   (exactly the plan that was reviewed)   |   "
    "toolkit apply --on-budget wait   (as the pull limit lets it)"
)

_NOBODY_IS_ASKED = "nobody is asked to approve the plan; nothing was changed"
_HOW_TO_APPROVE = "review `toolkit plan --out plan.toolkit` and run `toolkit apply plan.toolkit`, or use --auto-approve"


def command(
    context: typer.Context,
    saved_plan: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PLAN]",
            help="A file of `toolkit plan --out`: do exactly this, without asking. With state in S3 it needs nothing "
            "else, and Terraform runs in a new folder.",
        ),
    ] = None,
    file: ManifestFile = Path("images.yaml"),
    auto_approve: Annotated[
        bool, typer.Option("--auto-approve", help="Do not ask. Needed where there is no terminal.")
    ] = False,
    require_commit: Annotated[
        str | None,
        typer.Option(
            "--require-commit",
            metavar="SHA",
            help="Refuse a PLAN that was not made from exactly what is in this Git commit.",
        ),
    ] = None,
    allow_destroy: AllowDestroy = False,
    on_budget: Annotated[
        OnBudget | None,
        typer.Option(
            "--on-budget",
            help="When the copies need more counted pulls than are left: refuse, wait for more with a clock on the "
            "screen, or copy what fits and leave the rest for the next run (exit 6). [default: refuse, or what PLAN "
            "was made with]",
        ),
    ] = None,
    format: OutputFormat = Format.TEXT,  # noqa: A002  the option's name
    work_dir: WorkDirectory = None,
    cache_dir: CacheDirectory = None,
    terraform_bin: TerraformBinary = "terraform",
    jobs: Jobs = 32,
    limit_rate: LimitRate = None,
    no_progress: NoProgress = False,
    verbose: Verbose = False,
) -> None:
    """Run `toolkit apply`."""

    def body(run: Run) -> int:
        from toolkit.cli.wiring import Settings, open_services

        settings = Settings(
            work_dir=work_dir, cache_dir=cache_dir, terraform_bin=terraform_bin, jobs=jobs, limit_rate=limit_rate
        )
        if saved_plan is not None:
            from toolkit.cli.apply_file import apply_file

            if allow_destroy:
                raise UsageError(
                    "usage.saved_plan",
                    f"what `{saved_plan}` may destroy was decided when it was made",
                    hint="make another: `toolkit plan --allow-destroy --out FILE`",
                )
            is_named = getattr(context.get_parameter_source("file"), "name", "") == "COMMANDLINE"
            apply_file(run, saved_plan, settings, file, is_named, require_commit, on_budget)
            return 0
        if require_commit is not None:
            raise UsageError(
                "usage.saved_plan", "`--require-commit` is about a saved plan", hint="name it: `toolkit apply FILE`"
            )

        from toolkit.operations.apply import apply
        from toolkit.operations.load import load_desired

        if not auto_approve:
            if format is not Format.TEXT:
                raise Refused("apply.not_asked", f"with `--format {format}` {_NOBODY_IS_ASKED}", hint=_HOW_TO_APPROVE)
            if not sys.stdin.isatty():
                raise Refused("apply.no_terminal", f"there is no terminal, so {_NOBODY_IS_ASKED}", hint=_HOW_TO_APPROVE)

        def confirm(plan: Plan) -> bool:
            return auto_approve or run.ask("Apply this plan?")

        desired = load_desired(file)
        with open_services(run.emit, desired, settings) as services:
            apply(
                desired,
                services,
                review=run.show_plan,
                confirm=confirm,
                publish=run.show_report,
                allows_destroy=allow_destroy,
                on_budget=on_budget or OnBudget.REFUSE,
            )
        return 0

    execute(NAME, Presentation(format, no_progress, verbose), body)
