"""Writes to files of the user."""

from __future__ import annotations

import os
from pathlib import Path

from toolkit.atomic_file import write_atomically
from toolkit.errors import UsageError


def write_whole(path: Path, text: str) -> None:
    """Replace the file's content atomically; its mode stays.

    A link is followed and stays a link, but it must not lead out of the current directory: a repository under review
    may contain it.
    """
    try:
        target = path.resolve()
        here = Path.cwd()
        if Path(os.path.normpath(here / path)).is_relative_to(here) and not target.is_relative_to(here):
            raise UsageError(
                "usage.not_writable", f"`{path}` leads through a link to `{target}`", hint="name that file itself"
            )
        write_atomically(target, text.encode("utf-8"))
    except RuntimeError as error:
        raise UsageError("usage.not_writable", f"`{path}` is a link that leads to itself") from error
    except OSError as error:
        raise UsageError("usage.not_writable", f"`{path}` cannot be written: {error.strerror}") from error
