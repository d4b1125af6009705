"""Time that passes only while somebody sleeps."""

from __future__ import annotations

import threading
from collections.abc import Callable


class FakeTime:
    """A clock with its `sleep`; `slept` remembers each pause, `meanwhile` is what happens during it."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now
        self.slept: list[float] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self._lock = threading.Lock()

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds
        self.meanwhile()
