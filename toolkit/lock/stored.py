"""A text that several runs share, as it is kept somewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from toolkit.errors import Refused


@dataclass(frozen=True, slots=True)
class Stored:
    """A text, the name of this version of it where it is kept, and how long it had been there when it was read."""

    text: str
    version: str
    age: timedelta = field(default=timedelta(), compare=False)


def changed_meanwhile(name: str) -> Refused:
    """The error of a writer which has not seen the last write."""
    return Refused(
        "lock.changed_meanwhile",
        f"the lock `{name}` was changed by another run after this one had read it",
        hint="run the command again",
    )
