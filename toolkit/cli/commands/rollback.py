"""`toolkit rollback`: take a tag of the lock back to a digest that it had, and hold it there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.completion import images
from toolkit.cli.options import (
    CacheDirectory,
    Jobs,
    Log,
    LogFormat,
    ManifestFile,
    NoProgress,
    Outputs,
    ResultFormat,
    Verbose,
    ViewFormat,
)
from toolkit.errors import UsageError

NAME = "rollback"
HELP = (
    "Take an image back to its previous digest. It is held there. Only the lock is written: `toolkit apply` "
    "or `toolkit seed` then moves the tag, without a pull if ECR still has the image. A digest that neither ECR nor "
    "upstream has is refused."
)
EXAMPLES = (
    "toolkit rollback nginx:1.27 --reason 'segfaults on arm64'",
    "toolkit rollback nginx:1.27 --to 8adbdcb969e2 --until 3d --reason 'wait for 1.27.3'",
    "toolkit rollback nginx:1.27 --release   # `toolkit lock` moves it again",
)


def command(
    image: Annotated[
        str,
        typer.Argument(
            autocompletion=images, help="The image as the manifest spells its source, or its REPOSITORY:TAG in ECR."
        ),
    ],
    file: ManifestFile = Path("images.yaml"),
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="DIGEST",
            help="A digest that the image had, or its first digits. By default the one before the present one.",
        ),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why; every plan shows it while the image is held.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="DAY|TIME",
            help="The last day of the hold, in UTC, or how long it lasts: 3d, 12h. By default until --release.",
        ),
    ] = None,
    release: Annotated[
        bool, typer.Option("--release", help="End the hold instead; the image follows its policy again.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change in the lock, and stop.")] = False,
    format: ViewFormat = ResultFormat.TEXT,  # noqa: A002  the option's name
    output: Outputs = None,
    cache_dir: CacheDirectory = None,
    jobs: Jobs = 32,
    log: Log = LogFormat.TEXT,
    no_progress: NoProgress = False,
    verbose: Verbose = False,
) -> None:
    """Run `toolkit rollback`."""

    def body(run: Run) -> int:
        from toolkit.cli.wiring import Settings, open_services
        from toolkit.operations import rollback
        from toolkit.operations.load import load_desired

        text = (reason or "").strip()
        if release and (to or until or text):
            raise UsageError("usage.release", "--release takes none of --to, --until and --reason")
        if not release and not text:
            raise UsageError("usage.reason", "--reason is missing: every plan shows it while the image is held")
        desired = load_desired(file)
        settings = Settings(cache_dir=cache_dir, jobs=jobs, manifest=file)
        with open_services(run.emit, desired, settings, locks=False) as services:
            if release:
                rollback.release(desired, services, image, publish=run.show_lock, is_dry=dry_run)
            else:
                rollback.rollback(
                    desired,
                    services,
                    image,
                    publish=run.show_lock,
                    reason=text,
                    to=to,
                    until=until,
                    is_dry=dry_run,
                )
        return 0

    presentation = Presentation(
        format, no_progress, verbose, outputs=output or (), files=(file,), log=log, manifest=file
    )
    execute(NAME, presentation, body)
