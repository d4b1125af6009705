"""Atomic writes: a reader sees the old content or the new content, never a part."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

HALF_WRITTEN = ".toolkit-new-"
"""The prefix of a temporary file's name; such a file stays behind only when a run is killed."""


def write_atomically(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Replace the file's content in one step; a symbolic link is replaced, not followed.

    The file has `mode` from the start; without `mode` it keeps the mode of the file it replaces. Raises OSError and
    then leaves everything as it was.
    """
    _refuse_special(path)
    new = _beside(path)
    # O_EXCL never opens an existing file, nor a symbolic link that somebody planted.
    file = os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode), "wb")
    try:
        with file:
            if mode is None and path.exists() and not path.is_symlink():
                os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
            file.write(content)
        new.replace(path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise


def check_writable(path: Path) -> None:
    """Raise OSError if `write_atomically` cannot create a file in that folder."""
    _refuse_special(path)
    probe = _beside(path)
    probe.open("xb").close()
    probe.unlink()


def _beside(path: Path) -> Path:
    return path.with_name(HALF_WRITTEN + os.urandom(8).hex())


def _refuse_special(path: Path) -> None:
    """A folder cannot be replaced, and a device must not be."""
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "it is no regular file")
