"""`toolkit prune`: deletes from ECR what nothing needs any more."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.completion import repositories
from toolkit.cli.options import (
    Log,
    LogFormat,
    ManifestFile,
    NoProgress,
    Outputs,
    ResultFormat,
    Verbose,
    ViewFormat,
    parse_age,
)

NAME = "prune"
HELP = (
    "Delete images that nothing needs. Without --yes it only shows them, with reason, bytes and money. Needed is what "
    "the manifest, its builds, the lock or a keeper tag names, what was pulled or pushed lately, and all that belongs "
    "to that: platforms of an index, signatures, referrers. Only repositories that this manifest made are touched."
)
EXAMPLES = (
    "toolkit prune",
    "toolkit prune --yes --unpulled-for 90d",
    "toolkit prune '*/nginx' '*/redis:6*'",
    "toolkit prune --format markdown > comment.md",
)
_DEFAULT: Any = "30d"  # as it is written, because Typer parses a default too


def command(
    patterns: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATTERN]...",
            autocompletion=repositories,
            help="Only these repositories, or images as REPOSITORY:TAG with what belongs to them; `*` matches any "
            "characters.",
            show_default=False,
        ),
    ] = None,
    file: ManifestFile = Path("images.yaml"),
    yes: Annotated[bool, typer.Option("--yes", help="Delete what else is only shown.")] = False,
    unpulled_for: Annotated[
        timedelta,
        typer.Option(
            "--unpulled-for",
            parser=parse_age,
            metavar="TIME",
            help="Keep what was pulled or pushed within this time: 30d, 12w. What is younger than a day stays anyway.",
        ),
    ] = _DEFAULT,
    format: ViewFormat = ResultFormat.TEXT,  # noqa: A002  the option's name
    output: Outputs = None,
    log: Log = LogFormat.TEXT,
    no_progress: NoProgress = False,
    verbose: Verbose = False,
) -> None:
    """Run `toolkit prune`."""

    def body(run: Run) -> int:
        from toolkit.cli.wiring import Settings, open_services
        from toolkit.operations.load import load_desired
        from toolkit.operations.prune import prune

        desired = load_desired(file)
        with open_services(run.emit, desired, Settings(manifest=file), locks=False) as services:
            prune(
                desired,
                services,
                publish=run.show_prune,
                only=patterns or (),
                unpulled_for=unpulled_for,
                deletes=yes,
            )
        return 0

    presentation = Presentation(
        format, no_progress, verbose, outputs=output or (), files=(file,), log=log, manifest=file
    )
    execute(NAME, presentation, body)
