"""Files of the users that we edit: the old text or the new one, never a part."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from toolkit.errors import UsageError


def write_whole(path: Path, text: str) -> None:
    """Put `text` in the file at once: whoever reads it sees the old or the new, and its mode stays."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_bytes(text.encode("utf-8"))
        if path.exists():
            new.chmod(path.stat().st_mode)
        new.replace(path)
    except OSError as error:
        with suppress(OSError):  # its folder may be none
            new.unlink()
        raise UsageError("usage.not_writable", f"`{path}` cannot be written: {error.strerror}") from error
