"""`toolkit apply`: plan, ask, let Terraform apply the saved plan, seed the pinned digests, read them back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.options import (
    DEFAULT_LOCK_TIMEOUT,
    Adopt,
    AllowDestroy,
    CacheDirectory,
    DestroyRemoved,
    Jobs,
    KeepGoing,
    LimitRate,
    LockTimeout,
    Log,
    LogFormat,
    ManifestFile,
    NoProgress,
    Outputs,
    ResultFormat,
    ShowUnchanged,
    TerraformBinary,
    Verbose,
    ViewFormat,
    WorkDirectory,
)
from toolkit.errors import Refused, UsageError
from toolkit.plan.on_budget import OnBudget

if TYPE_CHECKING:
    from toolkit.plan.model import Plan

NAME = "apply"
HELP = (
    "Make AWS match the manifest, and copy the images. Creates or updates the repositories and build projects, then "
    "fills the repositories. Does what the plan says and no more; safe to run again after any failure."
)
EXAMPLES = (
    "toolkit apply",
    "toolkit apply --auto-approve --format json-lines > apply.jsonl",
    "toolkit plan --out plan.toolkit && toolkit apply plan.toolkit   # exactly the plan that was reviewed",
    "toolkit apply plan.toolkit --infra-only && toolkit apply plan.toolkit --shard 1 --output json=results/1.json",
    "toolkit apply plan.toolkit --batch   # its shards in CodeBuild",
    "toolkit apply --on-budget wait   # as the pull limit lets it",
)

_NOBODY_IS_ASKED = "nobody can be asked to approve the plan; nothing was changed"
_HOW_TO_APPROVE = "review `toolkit plan --out plan.toolkit` and run `toolkit apply plan.toolkit`, or use --auto-approve"


def command(
    context: typer.Context,
    saved_plan: Annotated[
        str | None,
        typer.Argument(
            metavar="[PLAN]",
            help="A file of `toolkit plan --out`, or such a file in S3 (`s3://…`): do exactly this, without asking. "
            "With state in S3 it needs nothing else, and Terraform runs in a new folder.",
        ),
    ] = None,
    file: ManifestFile = Path("images.yaml"),
    auto_approve: Annotated[
        bool, typer.Option("--auto-approve", help="Do not ask. Needed where there is no terminal.")
    ] = False,
    adopt: Adopt = None,
    require_commit: Annotated[
        str | None,
        typer.Option(
            "--require-commit",
            metavar="SHA",
            help="Refuse a PLAN that was not made from exactly what is in this Git commit.",
        ),
    ] = None,
    infra_only: Annotated[
        bool,
        typer.Option("--infra-only", help="Apply only Terraform's part of PLAN, and leave the images to its shards."),
    ] = False,
    shard: Annotated[
        int | None,
        typer.Option(
            "--shard",
            min=1,
            metavar="K",
            help="Copy only the images of shard K of PLAN, from 1, on any machine; without Terraform. The result of "
            "a PLAN in S3 is put beside it, as `results/K.json`.",
        ),
    ] = None,
    batch: Annotated[
        bool,
        typer.Option(
            "--batch",
            help="Apply Terraform's part of PLAN, have CodeBuild copy its shards, and join their results. Needs "
            "`refresh` in the manifest. A second run follows the batch that the first one has started.",
        ),
    ] = False,
    allow_destroy: AllowDestroy = False,
    destroy_removed: DestroyRemoved = False,
    keep_going: KeepGoing = False,
    on_budget: Annotated[
        OnBudget | None,
        typer.Option(
            "--on-budget",
            help="When the copies need more counted pulls than are left: refuse, wait for more with a clock on the "
            "screen, or copy what fits and leave the rest for the next run (exit 6). [default: refuse, or what PLAN "
            "was made with]",
        ),
    ] = None,
    show_unchanged: ShowUnchanged = False,
    format: ViewFormat = ResultFormat.TEXT,  # noqa: A002  the option's name
    output: Outputs = None,
    work_dir: WorkDirectory = None,
    cache_dir: CacheDirectory = None,
    terraform_bin: TerraformBinary = "terraform",
    lock_timeout: LockTimeout = DEFAULT_LOCK_TIMEOUT,
    jobs: Jobs = 32,
    limit_rate: LimitRate = None,
    log: Log = LogFormat.TEXT,
    no_progress: NoProgress = False,
    verbose: Verbose = False,
) -> None:
    """Run `toolkit apply`."""

    def body(run: Run) -> int:
        from toolkit.cli.wiring import Settings, open_services
        from toolkit.terraform.provider_lock import lock_file_of

        settings = Settings(
            work_dir=work_dir,
            cache_dir=cache_dir,
            terraform_bin=terraform_bin,
            jobs=jobs,
            limit_rate=limit_rate,
            lock_seconds=lock_timeout,
            provider_lock=None if saved_plan else lock_file_of(file),
            manifest=file,
        )
        if saved_plan is not None:
            from toolkit.cli.apply_file import INFRASTRUCTURE, apply_file

            given = {
                "--adopt": bool(adopt),
                "--allow-destroy": allow_destroy,
                "--destroy-removed": destroy_removed,
                "--keep-going": keep_going and _is_typed(context, "keep_going"),
            }
            if decided := [name for name, is_given in given.items() if is_given]:
                raise UsageError(
                    "usage.saved_plan",
                    f"what `{saved_plan}` may take over, destroy and leave out was decided when it was made",
                    hint=f"make another: `toolkit plan {' '.join(decided)} --out FILE`",
                )
            if infra_only and shard:
                raise UsageError("usage", "`--infra-only` copies no image and `--shard` nothing else: keep one")
            if batch and (infra_only or shard):
                raise UsageError("usage", "`--batch` does `--infra-only` and every `--shard`: leave them out")
            part = INFRASTRUCTURE if infra_only else shard
            is_named = _is_typed(context, "file")
            apply_file(run, saved_plan, settings, file, is_named, require_commit, on_budget, part, is_batch=batch)
            return 0
        of_a_plan = {
            "--require-commit": require_commit,
            "--shard": shard,
            "--infra-only": infra_only,
            "--batch": batch,
        }
        for name, value in of_a_plan.items():
            if value:
                raise UsageError(
                    "usage.saved_plan", f"`{name}` is about a saved plan", hint="name it: `toolkit apply FILE`"
                )

        from toolkit.operations.apply import apply
        from toolkit.operations.load import load_desired
        from toolkit.operations.orphans import Kind

        if not auto_approve:
            if format != ResultFormat.TEXT:
                raise Refused("apply.not_asked", f"with `--format {format}` {_NOBODY_IS_ASKED}", hint=_HOW_TO_APPROVE)
            if not sys.stdin.isatty():
                raise Refused("apply.no_terminal", f"there is no terminal, so {_NOBODY_IS_ASKED}", hint=_HOW_TO_APPROVE)

        def confirm(plan: Plan) -> bool:
            from toolkit.cli.render.plan_view import apply_question

            return auto_approve or run.ask(apply_question(plan))

        desired = load_desired(file)
        with open_services(run.emit, desired, settings) as services:
            apply(
                desired,
                services,
                review=run.show_plan,
                confirm=confirm,
                publish=run.show_report,
                allows_destroy=allow_destroy,
                destroys=tuple(Kind) if destroy_removed else (),
                on_budget=on_budget or OnBudget.REFUSE,
                adopt=adopt or (),
                keeps_going=keep_going,
            )
        return 0

    presentation = Presentation(
        format,
        no_progress,
        verbose,
        shows_unchanged=show_unchanged,
        outputs=output or (),
        files=(file, Path(saved_plan) if saved_plan else None),
        log=log,
        manifest=file,
    )
    execute(NAME, presentation, body)


def _is_typed(context: typer.Context, parameter: str) -> bool:
    """Whether the option stands on the command line, and not in the environment."""
    return getattr(context.get_parameter_source(parameter), "name", "") == "COMMANDLINE"
