"""`toolkit plan`: what apply would do to the infrastructure and to the images, without doing it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.options import (
    DEFAULT_LOCK_TIMEOUT,
    Adopt,
    AllowDestroy,
    BudgetPolicy,
    CacheDirectory,
    DestroyRemoved,
    Jobs,
    KeepGoing,
    LockTimeout,
    Log,
    LogFormat,
    ManifestFile,
    NoProgress,
    Outputs,
    ResultFormat,
    ShowUnchanged,
    Strict,
    TerraformBinary,
    Verbose,
    ViewFormat,
    WorkDirectory,
    parse_shards,
)
from toolkit.plan.on_budget import OnBudget

NAME = "plan"
HELP = (
    "Show what apply would do, and change no resource. Shows Terraform's changes, the images to copy, and the counted "
    "Docker Hub pulls that they cost. It locks Terraform's state and, after an interrupted apply, repairs it. It costs "
    "no pull without --sizes or `signatures: keep`."
)
EXAMPLES = (
    "toolkit plan",
    "toolkit plan --out plan.toolkit && toolkit apply plan.toolkit",
    "toolkit plan --sizes --shards auto --out plan.toolkit",
    "toolkit plan --detailed-exitcode   # 2: changes",
    "toolkit plan --format json | jq .plan.totals",
)


def command(
    file: ManifestFile = Path("images.yaml"),
    detailed_exitcode: Annotated[
        bool,
        typer.Option(
            "--detailed-exitcode",
            help="Exit 2 when infrastructure or images would change, 8 when somebody else "
            "has overwritten a tag in ECR.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Save the plan in this one file, for `toolkit apply FILE` to do exactly that, here or elsewhere.",
        ),
    ] = None,
    sizes: Annotated[
        bool,
        typer.Option("--sizes", help="Read what is to be copied, for exact sizes: the pulls that apply then saves."),
    ] = False,
    shards: Annotated[
        int | None,
        typer.Option(
            "--shards",
            parser=parse_shards,
            metavar="N|auto",
            help="Divide the copies among N machines, each of which runs `toolkit apply FILE --shard K`; `auto`: as "
            "many as are useful.",
        ),
    ] = None,
    adopt: Adopt = None,
    allow_destroy: AllowDestroy = False,
    destroy_removed: DestroyRemoved = False,
    keep_going: KeepGoing = False,
    strict: Strict = False,
    on_budget: BudgetPolicy = OnBudget.REFUSE,
    show_unchanged: ShowUnchanged = False,
    format: ViewFormat = ResultFormat.TEXT,  # noqa: A002  the option's name
    output: Outputs = None,
    work_dir: WorkDirectory = None,
    cache_dir: CacheDirectory = None,
    terraform_bin: TerraformBinary = "terraform",
    lock_timeout: LockTimeout = DEFAULT_LOCK_TIMEOUT,
    jobs: Jobs = 32,
    log: Log = LogFormat.TEXT,
    no_progress: NoProgress = False,
    verbose: Verbose = False,
) -> None:
    """Run `toolkit plan`."""

    def body(run: Run) -> int:
        from toolkit.cli.wiring import Settings, open_planning
        from toolkit.operations.orphans import Kind
        from toolkit.operations.plan import plan_manifest
        from toolkit.terraform.provider_lock import lock_file_of

        settings = Settings(
            work_dir=work_dir,
            cache_dir=cache_dir,
            terraform_bin=terraform_bin,
            jobs=jobs,
            lock_seconds=lock_timeout,
            provider_lock=lock_file_of(file),
            manifest=file,
        )
        with open_planning(run, file, settings, out) as (desired, services, finish):
            planned = plan_manifest(
                desired,
                services,
                allows_destroy=allow_destroy,
                destroys=tuple(Kind) if destroy_removed else (),
                reads_sizes=sizes,
                on_budget=on_budget,
                adopt=adopt or (),
                keeps_going=keep_going,
                is_strict=strict,
                shards=shards,
            )
            finish(planned)
        if not detailed_exitcode:
            return 0
        return 8 if planned.plan.is_overwritten else 2 if planned.plan.has_changes else 0

    presentation = Presentation(
        format,
        no_progress,
        verbose,
        shows_unchanged=show_unchanged,
        outputs=output or (),
        files=(file, out),
        log=log,
        manifest=file,
    )
    execute(NAME, presentation, body)
