"""Files of the users that we edit."""

from __future__ import annotations

import os
from pathlib import Path

from toolkit.atomic_file import write_atomically
from toolkit.errors import UsageError


def write_whole(path: Path, text: str) -> None:
    """Put `text` in the file at once: whoever reads it sees the old or the new, and its mode stays.

    A link is followed and stays one, but not out of the current directory: a tree under review may have brought it.
    """
    try:
        target = path.resolve()
        here = Path.cwd()
        if Path(os.path.normpath(here / path)).is_relative_to(here) and not target.is_relative_to(here):
            raise UsageError(
                "usage.not_writable", f"`{path}` leads over a link to `{target}`", hint="name that file itself"
            )
        write_atomically(target, text.encode("utf-8"))
    except RuntimeError as error:
        raise UsageError("usage.not_writable", f"`{path}` is a link that leads to itself") from error
    except OSError as error:
        raise UsageError("usage.not_writable", f"`{path}` cannot be written: {error.strerror}") from error
