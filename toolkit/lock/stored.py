"""A text that several runs share, as it is kept somewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from toolkit.errors import Refused

MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stored:
    """A text, the name of this version of it where it is kept, and how long it had been there when it was read."""

    text: str
    version: str
    age: timedelta = field(default=timedelta(), compare=False)


def decode(content: bytes, name: str) -> str:
    """The text of what was read, of which a store reads one byte more than a lock may have. Raises Refused."""
    if len(content) > MAX_BYTES:  # the rest was not read, and without it entries would be lost
        raise Refused("lock.too_large", f"`{name}` has more than {MAX_BYTES:,} bytes", hint="restore it")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Refused("lock.unreadable", f"`{name}` cannot be read: it is not UTF-8 text", hint="restore it") from error


def changed_meanwhile(name: str) -> Refused:
    """The error of a writer which has not seen the last write."""
    return Refused(
        "lock.changed_meanwhile",
        f"the lock `{name}` was changed by another run after this one had read it",
        hint="run the command again",
    )
