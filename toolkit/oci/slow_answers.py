"""An end to answers that come too slowly to ever come to one.

A read timeout gives up a server that says nothing; one that sends a byte each minute would hold a thread, and an upload
on the other side, for days. What is measured is the time in which nothing had come yet: who reads slowly, because of a
rate or because a destination takes no more, finds the bytes waiting and is not to blame.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

# A line that gives each of 32 transfers less than this is given no more than 32 KiB a second in all.
_LEAST_PER_SECOND = 1024
_WINDOW = 300.0


class Watched(io.RawIOBase):
    """Reads `raw`. Five minutes of waiting in an answer that bring next to nothing are a TimeoutError.

    How long the first bytes of each take is not its matter: to store a large blob takes a registry minutes.
    """

    def __init__(self, raw: io.RawIOBase, clock: Callable[[], float]) -> None:
        self._raw = raw
        self._clock = clock
        self.begin()

    def begin(self) -> None:
        """Another answer is what comes next."""
        self._is_over = self._is_begun = False
        self._waited = 0.0
        self._received = 0

    def end(self) -> None:
        """The answer is over: whoever reads on finds what has been read of the line already, and then nothing."""
        self._is_over = True

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """What comes next, as soon as it does."""
        if self._is_over:
            return None
        began = self._clock()
        count = self._raw.readinto(buffer)
        if self._is_begun:
            self._waited += self._clock() - began
            self._received += count or 0
        self._is_begun = True
        if self._waited >= _WINDOW:
            if self._received < _LEAST_PER_SECOND * self._waited:
                raise TimeoutError
            self._waited, self._received = 0.0, 0
        return count

    def close(self) -> None:
        """Let go of the socket."""
        self._raw.close()
        super().close()
