"""The text of a lock as it is kept somewhere."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.errors import Refused


@dataclass(frozen=True, slots=True)
class Stored:
    """A text, and the name of this version of it where it is kept."""

    text: str
    version: str


def changed_meanwhile(name: str) -> Refused:
    """The error of a writer which has not seen the last write."""
    return Refused(
        "lock.changed_meanwhile",
        f"the lock `{name}` was changed by another run after this one had read it",
        hint="run the command again",
    )
