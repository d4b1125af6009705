"""Rates that all threads keep together: documents in a second at a registry, bytes in a second of the whole run."""

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


# Who keeps to a rate looks this often whether to go on at all.
_LONGEST_SLEEP = 0.2


class Rate:
    """At most `per_second` bytes a second; None for as many as come."""

    def __init__(
        self,
        per_second: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._pace = Pace(lambda _: per_second, clock=clock)
        self._sleep = sleep

    def hold(self, count: int, is_stopped: Callable[[], bool]) -> None:
        """Wait until it is the turn of `count` bytes, or everything is stopped."""
        wait = self._pace.next_turn(weight=count)
        while wait > 0 and not is_stopped():
            pause = min(wait, _LONGEST_SLEEP)
            self._sleep(pause)
            wait -= pause
