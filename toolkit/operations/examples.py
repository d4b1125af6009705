"""Examples: folders to start from, in the wheel as well as in a checkout."""

from __future__ import annotations

import shutil
from enum import StrEnum
from pathlib import Path

import toolkit
from toolkit.errors import Refused, ToolkitError, UsageError


class Example(StrEnum):
    """The folders in `examples`."""

    COMPLETE = "complete"
    EXISTING_ROOT = "existing-root"
    MONOREPO = "monorepo"
    ORGANISATION = "organisation"
    PIPELINES = "pipelines"
    QUICKSTART = "quickstart"
    SERVICE = "service"


def write_example(example: Example, folder: Path) -> tuple[Path, ...]:
    """Copy the files of an example into `folder`. Raises Refused and writes nothing if one of them exists."""
    source = _examples_folder() / example
    found = (path.relative_to(source) for path in source.rglob("*") if path.is_file())
    files = sorted(path for path in found if not any(part.startswith(".") for part in path.parts))
    for path in files:
        for part in (*path.parents[:-1], path):
            if _is_taken(folder / part, as_folder=part != path):
                hint = "run the command in an empty folder"
                raise Refused("init.exists", f"`{part}` already exists", hint=hint)
    try:
        for path in files:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            with (folder / path).open("xb") as file:
                file.write((source / path).read_bytes())
            shutil.copymode(source / path, folder / path)
    except OSError as error:
        raise UsageError("usage.not_writable", f"`{path}` cannot be written: {error.strerror}") from error
    return tuple(files)


def _is_taken(path: Path, *, as_folder: bool) -> bool:
    """Whether `path` is in the way: an existing folder is not, but a link is, because it may lead anywhere."""
    return path.is_symlink() or (path.exists() and not (as_folder and path.is_dir()))


def _examples_folder() -> Path:
    """In the wheel the examples are inside the package, in a checkout beside it."""
    package = Path(toolkit.__file__).parent
    for folder in (package / "examples", package.parent / "examples"):
        if folder.is_dir():
            return folder
    raise ToolkitError(
        "init.examples_missing", "the examples are not installed with `toolkit`", hint="install it again"
    )
