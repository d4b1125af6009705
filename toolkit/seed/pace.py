"""A rate that several threads keep together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """At most `per_second` turns a second; None for as many as come."""

    def __init__(self, per_second: float | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._clock = clock
        self._lock = threading.Lock()
        self._next = 0.0

    def next_turn(self) -> float:
        """Take a turn; in how many seconds it comes."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + self._interval
            return turn - now
