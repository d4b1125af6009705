"""`toolkit lock`: record what upstream has, and admit what may be copied."""

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

NAME = "lock"
HELP = (
    "Record what upstream has, and admit new digests. The manifest says which digests may be admitted, and when. "
    "Writes the lock: `images.lock.yaml` beside the manifest, or the object that `lock` names. Costs no counted pull, "
    "except for signatures that have to be read. ECR is asked only about tags that are not in the lock."
)
EXAMPLES = (
    "toolkit lock && git add images.lock.yaml",
    "toolkit lock 'nginx:*' --upgrade   # also images with `freshness: pin`",
    "toolkit lock --dry-run --format markdown",
    "toolkit lock --check   # exit 2: run `toolkit lock`, there is something to copy",
)


def command(
    patterns: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATTERN]...",
            autocompletion=images,
            help="Only images whose key (REPOSITORY:TAG) or source fits, such as '*nginx*'.",
        ),
    ] = None,
    file: ManifestFile = Path("images.yaml"),
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Let images with `freshness: pin` move too; with PATTERN only those.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Write nothing, and exit with 2 if another digest would be copied from now on. That upstream has a "
            "new digest which has to wait is no reason.",
        ),
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
    """Run `toolkit lock`."""

    def body(run: Run) -> int:
        from toolkit.cli.wiring import Settings, open_services
        from toolkit.operations.load import load_desired
        from toolkit.operations.lock import lock

        desired = load_desired(file)
        settings = Settings(cache_dir=cache_dir, jobs=jobs, manifest=file)
        with open_services(run.emit, desired, settings, locks=False) as services:
            changes = lock(
                desired,
                services,
                publish=run.show_lock,
                only=patterns or (),
                upgrades=upgrade,
                is_dry=check or dry_run,
            )
        return 2 if check and changes.moves else 0

    presentation = Presentation(
        format, no_progress, verbose, outputs=output or (), files=(file,), log=log, manifest=file
    )
    execute(NAME, presentation, body)
