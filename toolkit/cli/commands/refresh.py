"""`toolkit refresh`: admit what upstream has, copy it, and tell who uses it."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.options import (
    CacheDirectory,
    Jobs,
    LimitRate,
    Log,
    LogFormat,
    ManifestFile,
    NoProgress,
    Outputs,
    RefreshFormat,
    RefreshViewFormat,
    ShowUnchanged,
    Verbose,
)
from toolkit.errors import Refused, UsageError

if TYPE_CHECKING:
    from toolkit.plan.desired import Desired

NAME = "refresh"
HELP = (
    "Bring the images up to date, and tell what moved. Admits what upstream has, copies it, sends an event to "
    "EventBridge for each tag that moved, and keeps the result in S3. Changes images only, by the manifest that was "
    "applied last. One run at a time; safe to run again after any failure."
)
EXAMPLES = (
    "toolkit refresh",
    "toolkit refresh --bundle s3://acme-base-images/shop/refresh   # in AWS, without a manifest at hand",
    "toolkit refresh --format emf | jq .ImagesMoved",
)

_KEPT = {"json": "application/json", "html": "text/html; charset=utf-8"}
"""The views of a run that are kept in S3."""


def command(
    file: ManifestFile = Path("images.yaml"),
    bundle: Annotated[
        str | None,
        typer.Option(
            "--bundle",
            metavar="s3://BUCKET/PREFIX",
            help="Take the manifest that was applied last from there, where `apply` has put it, instead of a file.",
        ),
    ] = None,
    show_unchanged: ShowUnchanged = False,
    format: RefreshViewFormat = None,  # noqa: A002  the option's name
    output: Outputs = None,
    cache_dir: CacheDirectory = None,
    jobs: Jobs = 32,
    limit_rate: LimitRate = None,
    log: Log = LogFormat.TEXT,
    no_progress: NoProgress = False,
    verbose: Verbose = False,
) -> None:
    """Run `toolkit refresh`."""

    def body(run: Run) -> int:
        from datetime import UTC, datetime

        from toolkit.cli.process import ending_after
        from toolkit.cli.wiring import Settings, open_services
        from toolkit.operations.bundle import refuse_other_manifest
        from toolkit.operations.lease import RUN_ENDS
        from toolkit.operations.load import load_desired
        from toolkit.operations.refresh import refresh, shared_by_refreshes

        desired = _read_bundle(bundle) if bundle else load_desired(file)
        settings = Settings(cache_dir=cache_dir, jobs=jobs, limit_rate=limit_rate, manifest=file)
        with open_services(run.emit, desired, settings, locks=False) as services:
            shared = shared_by_refreshes(services)
            refuse_other_manifest(desired, shared.bundle)
            name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
            run.keep_views({form: shared.text(f"runs/{name}.{form}", kind).put for form, kind in _KEPT.items()})
            with ending_after(RUN_ENDS.total_seconds()):
                refresh(
                    desired,
                    services,
                    run=name,
                    show_lock=run.show_lock,
                    show_plan=run.show_plan,
                    show_report=run.show_report,
                    publish=run.show_refresh,
                )
        return 0

    presentation = Presentation(
        format or (RefreshFormat.EMF if bundle else RefreshFormat.TEXT),
        no_progress,
        verbose,
        shows_unchanged=show_unchanged,
        outputs=output or (),
        files=(file,),
        log=log,
        manifest=None if bundle else file,
    )
    execute(NAME, presentation, body)


def _read_bundle(url: str) -> Desired:
    from toolkit.cli.wiring import open_bundle
    from toolkit.operations.bundle import applied_manifest
    from toolkit.operations.load import desired_of

    found = re.fullmatch(r"s3://([^/]+)/(.+?)/?", url)
    if found is None:
        raise UsageError("usage.bundle", f"--bundle: `{url}` is no folder in S3", hint="write `s3://BUCKET/PREFIX`")
    bucket, prefix = found.groups()
    desired = desired_of(applied_manifest(open_bundle(bucket, prefix)), Path("images.yaml"), extra_files={})
    refresh = desired.refresh
    if refresh is None or (refresh.bucket, refresh.prefix) != (bucket, prefix):
        raise Refused(
            "refresh.other_place",
            f"the manifest in `{url}` keeps its refreshes elsewhere",
            hint="name the folder that it has in `refresh`",
        )
    return desired
