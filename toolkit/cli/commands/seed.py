"""`toolkit seed`: the image part of apply, for repositories that exist."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.completion import images
from toolkit.cli.options import (
    BudgetPolicy,
    CacheDirectory,
    DryRun,
    Jobs,
    KeepGoing,
    LimitRate,
    Log,
    LogFormat,
    ManifestFile,
    NoProgress,
    Outputs,
    ResultFormat,
    ShowUnchanged,
    Verbose,
    ViewFormat,
)
from toolkit.plan.on_budget import OnBudget

NAME = "seed"
HELP = "Copy missing and moved images into ECR. The repositories have to exist; Terraform is not run."
EXAMPLES = (
    "toolkit seed --dry-run",
    "toolkit seed --only 'nginx:*' --limit-rate 20M",
    "toolkit seed --format json | jq '.report.outcomes[].digest'",
    "toolkit seed --on-budget partial   # every night, as far as the pulls go",
)


def command(
    file: ManifestFile = Path("images.yaml"),
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="PATTERN",
            autocompletion=images,
            help="Only images whose key (REPOSITORY:TAG) or source fits, such as '*nginx*'; may be repeated.",
        ),
    ] = None,
    dry_run: DryRun = False,
    keep_going: KeepGoing = False,
    show_unchanged: ShowUnchanged = False,
    format: ViewFormat = ResultFormat.TEXT,  # noqa: A002  the option's name
    output: Outputs = None,
    on_budget: BudgetPolicy = OnBudget.REFUSE,
    cache_dir: CacheDirectory = None,
    jobs: Jobs = 32,
    limit_rate: LimitRate = None,
    log: Log = LogFormat.TEXT,
    no_progress: NoProgress = False,
    verbose: Verbose = False,
) -> None:
    """Run `toolkit seed`."""

    def body(run: Run) -> int:
        from toolkit.cli.wiring import Settings, open_services
        from toolkit.operations.load import load_desired
        from toolkit.operations.seed import seed

        desired = load_desired(file)
        settings = Settings(cache_dir=cache_dir, jobs=jobs, limit_rate=limit_rate, manifest=file)
        with open_services(run.emit, desired, settings, locks=False) as services:
            seed(
                desired,
                services,
                review=run.show_plan,
                publish=run.show_report,
                only=only or (),
                is_dry_run=dry_run,
                on_budget=on_budget,
                keeps_going=keep_going,
            )
        return 0

    presentation = Presentation(
        format,
        no_progress,
        verbose,
        shows_unchanged=show_unchanged,
        outputs=output or (),
        files=(file,),
        log=log,
        manifest=file,
    )
    execute(NAME, presentation, body)
