"""`toolkit plan`: what apply would do to the infrastructure and to the images, without doing it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.options import (
    DEFAULT_LOCK_TIMEOUT,
    AllowDestroy,
    BudgetPolicy,
    CacheDirectory,
    Format,
    Jobs,
    LockTimeout,
    ManifestFile,
    NoProgress,
    OutputFormat,
    TerraformBinary,
    Verbose,
    WorkDirectory,
)
from toolkit.plan.on_budget import OnBudget

NAME = "plan"
HELP = (
    "Show what apply would do: Terraform's changes, the images to copy, and the counted Docker Hub pulls that they "
    "cost. Changes nothing in AWS but Terraform's state, which it locks and mends after an apply that broke off; costs "
    "no pull without --sizes or `signatures: keep`."
)
EXAMPLES = (
    "Examples:  toolkit plan   |   toolkit plan --out plan.json && toolkit apply plan.json   |   "
    "toolkit plan --detailed-exitcode   (2: changes)   |   toolkit plan --format json | jq .plan.totals"
)


def command(
    file: ManifestFile = Path("images.yaml"),
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 2 when infrastructure or images would change.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Save the plan here, for `toolkit apply PLAN` to do exactly that."),
    ] = None,
    sizes: Annotated[
        bool,
        typer.Option("--sizes", help="Read what is to be copied, for exact sizes: the pulls that apply then saves."),
    ] = False,
    allow_destroy: AllowDestroy = False,
    on_budget: BudgetPolicy = OnBudget.REFUSE,
    format: OutputFormat = Format.TEXT,  # noqa: A002  the option's name
    work_dir: WorkDirectory = None,
    cache_dir: CacheDirectory = None,
    terraform_bin: TerraformBinary = "terraform",
    lock_timeout: LockTimeout = DEFAULT_LOCK_TIMEOUT,
    jobs: Jobs = 32,
    no_progress: NoProgress = False,
    verbose: Verbose = False,
) -> None:
    """Run `toolkit plan`."""

    def body(run: Run) -> int:
        from toolkit.cli.saved_plan import check_place, write_plan
        from toolkit.cli.wiring import Settings, open_services
        from toolkit.operations.guards import refuse_if_unsafe
        from toolkit.operations.load import load_desired
        from toolkit.operations.plan import plan
        from toolkit.terraform.provider_lock import lock_file_of

        desired = load_desired(file)
        settings = Settings(
            work_dir=work_dir,
            cache_dir=cache_dir,
            terraform_bin=terraform_bin,
            jobs=jobs,
            lock_seconds=lock_timeout,
            provider_lock=lock_file_of(file),
        )
        with open_services(run.emit, desired, settings) as services:
            if out is not None:
                check_place(out)
            planned = plan(desired, services, allows_destroy=allow_destroy, reads_sizes=sizes, on_budget=on_budget)
            run.show_plan(planned.plan)
            refuse_if_unsafe(planned.plan)
            if out is not None:
                write_plan(out, planned, file)
        return 2 if detailed_exitcode and planned.plan.has_changes else 0

    execute(NAME, Presentation(format, no_progress, verbose), body)
