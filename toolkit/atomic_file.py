"""Files that are seen whole: the old content or the new one, never a part."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

HALF_WRITTEN = ".toolkit-new-"
"""How the name of a file begins that is not whole yet; only a run that was killed leaves one."""


def write_atomically(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Put `content` in the file at once; a link is replaced and not followed.

    The file has `mode` from its first byte on; without one, an old file's mode stays. Raises OSError, and then
    everything is as it was.
    """
    _refuse_special(path)
    new = _beside(path)
    # Never one that is there, or a link that somebody put in its way.
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
    """Raise OSError where `write_atomically` would for the place alone."""
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
