"""A rate for each registry, which all threads keep together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """At most `per_second(registry)` turns a second at a registry; None for as many as come."""

    def __init__(
        self, per_second: Callable[[str], float | None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}

    def next_turn(self, registry: str = "", weight: float = 1.0) -> float:
        """Take a turn; in how many seconds it comes. One of more `weight` is as many turns at once."""
        rate = self._per_second(registry)
        if rate is None:
            return 0.0
        with self._lock:
            now = self._clock()
            turn = max(now, self._next.get(registry, now))
            self._next[registry] = turn + weight / rate
            return turn - now
