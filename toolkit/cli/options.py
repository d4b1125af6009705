"""Options that several commands share, each worded once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """What stdout carries: text, one JSON document, or the event stream as JSON lines."""

    TEXT = "text"
    JSON = "json"
    JSON_LINES = "json-lines"


ManifestFile = Annotated[
    Path, typer.Option("--file", "-f", envvar="TOOLKIT_MANIFEST", help="The image manifest.", show_default=True)
]
OutputFormat = Annotated[
    Format, typer.Option("--format", envvar="TOOLKIT_FORMAT", help="What stdout carries; everything else is on stderr.")
]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="A line a fact on stderr, also on a terminal.")]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="More facts on stderr: short retries, the begin of each resource change."),
]
WorkDirectory = Annotated[
    Path | None,
    typer.Option("--work-dir", envvar="TOOLKIT_WORK_DIR", help="Where Terraform runs. [default: .toolkit/<name>]"),
]
TerraformBinary = Annotated[
    str, typer.Option("--terraform-bin", envvar="TOOLKIT_TERRAFORM_BIN", help="Terraform's program; `tofu` works too.")
]
CacheDirectory = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir",
        envvar="TOOLKIT_CACHE_DIR",
        help="Registry documents already read; safe to delete. [default: ~/.cache/base-image-toolkit]",
    ),
]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, max=64, help="Requests to registries at a time.")]
AllowDestroy = Annotated[
    bool, typer.Option("--allow-destroy", help="Let Terraform delete or replace repositories, with their images.")
]
