"""Files of the users that we edit."""

from __future__ import annotations

from pathlib import Path

from toolkit.atomic_file import write_atomically
from toolkit.errors import UsageError


def write_whole(path: Path, text: str) -> None:
    """Put `text` in the file at once: whoever reads it sees the old or the new, and its mode stays."""
    try:
        write_atomically(path, text.encode("utf-8"))
    except OSError as error:
        raise UsageError("usage.not_writable", f"`{path}` cannot be written: {error.strerror}") from error
