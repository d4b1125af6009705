"""An end to answers that come too slowly to ever come to one.

A read timeout gives up a server that says nothing; one that sends a byte each minute would hold a thread, and an upload
on the other side, for days. What is measured is the time in which nothing had come yet: who reads slowly, because of a
rate or because a destination takes no more, finds the bytes waiting and is not to blame.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from typing import Any

# A line that gives each of 32 transfers less than this is given no more than 32 KiB a second in all.
_LEAST_PER_SECOND = 1024
_WINDOW = 300.0


class WatchedSocket:
    """What an HTTPResponse asks of a socket. Five minutes of waiting that bring next to nothing are a TimeoutError."""

    def __init__(self, sock: socket.socket, clock: Callable[[], float]) -> None:
        self._sock = sock
        self._clock = clock

    def makefile(self, mode: str) -> io.BufferedReader:
        """What comes from the socket."""
        return io.BufferedReader(Watched(self._sock.makefile(mode, buffering=0), self._clock))  # type: ignore[call-overload]  # `mode` is `rb`


class Watched(io.RawIOBase):
    """Reads `raw`. How long the first bytes take is not its matter: to store a large blob takes a registry minutes."""

    def __init__(self, raw: io.RawIOBase, clock: Callable[[], float]) -> None:
        self._raw = raw
        self._clock = clock
        self._is_begun = False
        self._waited = 0.0
        self._received = 0

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """What comes next, as soon as it does."""
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
