"""Rate limits that all threads keep together: documents per second at a registry, bytes per second of the whole run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# A thread that waits for its turn looks this often whether the run was stopped.
_LONGEST_SLEEP = 0.2


class RateLimit:
    """At most `per_second(registry)` turns per second at a registry; None for no limit."""

    def __init__(
        self, per_second: Callable[[str], float | None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}

    def take_turn(self, registry: str = "", weight: float = 1.0) -> float:
        """Take the next turn, or the next `weight` turns at once; the seconds until it comes."""
        rate = self._per_second(registry)
        if rate is None:
            return 0.0
        with self._lock:
            now = self._clock()
            turn = max(now, self._next.get(registry, now))
            self._next[registry] = turn + weight / rate
            return turn - now


class BandwidthLimit:
    """At most `per_second` bytes per second; None for no limit."""

    def __init__(
        self,
        per_second: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._limit = RateLimit(lambda _: per_second, clock=clock)
        self._sleep = sleep

    def wait(self, count: int, is_stopped: Callable[[], bool]) -> None:
        """Wait until `count` bytes may pass, or the run is stopped."""
        seconds = self._limit.take_turn(weight=count)
        while seconds > 0 and not is_stopped():
            pause = min(seconds, _LONGEST_SLEEP)
            self._sleep(pause)
            seconds -= pause
