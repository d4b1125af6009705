"""Files that somebody else may have put there: only regular ones are read, and nothing is written through a link.

A tree under review, a working directory, a cache and a layout may hold links, pipes and devices. A reader would wait
for ever on a pipe, and a write through a link would change a file that is not ours. The error is an OSError with a
sentence, which the caller completes.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

IS_LINK = "it is a link"
NOT_REGULAR = "it is no regular file"


def open_regular(path: Path, *, follows_link: bool = True) -> BinaryIO:
    """The file at `path` for reading. Raises OSError for a pipe, a device or a folder, and never waits for one."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follows_link else os.O_NOFOLLOW)
    return _checked(path, _open(path, flags), "rb")


def read_regular(path: Path, most: int, *, follows_link: bool = True) -> bytes:
    """The first `most` bytes of the file at `path`. Raises OSError as `open_regular` does."""
    with open_regular(path, follows_link=follows_link) as file:
        return file.read(most)


def open_own(path: Path) -> BinaryIO:
    """A file that stays, such as a lock: created for its owner alone, or opened as it is; never through a link."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    return _checked(path, _open(path, flags), "r+b")


def create_own(path: Path) -> BinaryIO:
    """A new file for its owner alone. A file that has its name is removed first."""
    with suppress(FileNotFoundError):
        path.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(_open(path, flags), "wb")


def make_own_folder(path: Path) -> None:
    """Make `path` a folder, for its owner alone if it is new. Raises OSError for a link, as `refuse_links` does."""
    refuse_links(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)


def refuse_links(path: Path, *, below: Path | None = None) -> None:
    """Raise OSError where `path` is a link or passes one below the folder `below`.

    By default that is the current directory, which holds a tree under review; links above it belong to the machine.
    """
    here = Path.cwd()
    absolute, top = (Path(os.path.normpath(here / one)) for one in (path, below or here))
    in_tree = [parent for parent in absolute.parents if parent != top and parent.is_relative_to(top)]
    for part in (absolute, *in_tree):
        if part.is_symlink():
            raise OSError(errno.ELOOP, IS_LINK, str(part))


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP and path.is_symlink():
            raise OSError(errno.ELOOP, IS_LINK, str(path)) from error
        if error.errno == errno.ENXIO:  # a socket, or a pipe without a reader
            raise OSError(errno.ENXIO, NOT_REGULAR, str(path)) from error
        raise


def _checked(path: Path, descriptor: int, mode: str) -> BinaryIO:
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind):
        return cast("BinaryIO", os.fdopen(descriptor, mode))
    os.close(descriptor)
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, NOT_REGULAR, str(path))
