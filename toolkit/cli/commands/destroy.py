"""`toolkit destroy`: everything of a manifest, with the images in its repositories."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.options import (
    DEFAULT_LOCK_TIMEOUT,
    CacheDirectory,
    LockTimeout,
    Log,
    LogFormat,
    ManifestFile,
    NoProgress,
    Outputs,
    ResultFormat,
    TerraformBinary,
    Verbose,
    ViewFormat,
    WorkDirectory,
)
from toolkit.errors import Refused

NAME = "destroy"
HELP = (
    "Delete everything that the manifest made. Repositories go with their images, and projects, roles and logs too. "
    "Shows what is lost, and asks for the manifest's name."
)
EXAMPLES = (
    "toolkit destroy",
    "toolkit destroy --keep-images   # repositories stay in AWS",
    "toolkit destroy --out end.plan && toolkit apply end.plan",
    "toolkit destroy --auto-approve",
)


def command(
    file: ManifestFile = Path("images.yaml"),
    keep_images: Annotated[
        bool,
        typer.Option("--keep-images", help="Let go of the repositories: they stay in AWS, out of Terraform's state."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Save the plan here and stop, for `toolkit apply PLAN` to do exactly that."),
    ] = None,
    auto_approve: Annotated[
        bool, typer.Option("--auto-approve", help="Do not ask. Needed where there is no terminal.")
    ] = False,
    format: ViewFormat = ResultFormat.TEXT,  # noqa: A002  the option's name
    output: Outputs = None,
    work_dir: WorkDirectory = None,
    cache_dir: CacheDirectory = None,
    terraform_bin: TerraformBinary = "terraform",
    lock_timeout: LockTimeout = DEFAULT_LOCK_TIMEOUT,
    log: Log = LogFormat.TEXT,
    no_progress: NoProgress = False,
    verbose: Verbose = False,
) -> None:
    """Run `toolkit destroy`."""

    def body(run: Run) -> int:
        from toolkit.cli.wiring import Settings, open_planning
        from toolkit.operations.apply import carry_out
        from toolkit.operations.destroy import plan_destroy
        from toolkit.terraform.provider_lock import lock_file_of

        asks = out is None and not auto_approve
        if asks and (format != ResultFormat.TEXT or not sys.stdin.isatty()):
            raise Refused(
                "apply.no_terminal",
                "nobody can be asked to approve the destruction; nothing was changed",
                hint="review `toolkit destroy --out FILE` and run `toolkit apply FILE`, or use --auto-approve",
            )
        settings = Settings(
            work_dir=work_dir,
            cache_dir=cache_dir,
            terraform_bin=terraform_bin,
            lock_seconds=lock_timeout,
            provider_lock=lock_file_of(file),
            manifest=file,
        )
        with open_planning(run, file, settings, out) as (desired, services, finish):
            started = services.clock()
            planned = plan_destroy(desired, services, keeps_images=keep_images)
            finish(planned)
            if out is not None or not planned.plan.has_changes:
                return 0
            account = planned.plan.account
            destroys = any(change.destroys for change in planned.plan.infra_changes)
            question = f"{'This cannot be undone. ' if destroys else ''}Type `{desired.name}` to "
            question += f"{'destroy' if destroys else 'let go of'} it in {account.account_id}, {account.region}"
            if asks and run.ask_for_text(question) != desired.name:
                raise Refused("apply.not_confirmed", "the plan was not approved; nothing was changed")
            carry_out(desired, planned, services, publish=run.show_report, started=started)
        return 0

    execute(
        NAME,
        Presentation(format, no_progress, verbose, outputs=output or (), files=(file, out), log=log, manifest=file),
        body,
    )
