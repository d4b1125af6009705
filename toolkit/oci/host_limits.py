"""How many requests a host gets at a time, learned from its responses.

Reads, writes and streams are counted apart. A transfer inside one registry holds a stream and a write, and could wait
for itself otherwise; and a small read need not wait for a stream, which lasts as long as a layer. A 429 halves the
number of requests in flight. As many other responses as that number raise it by one again, up to `most` (additive
increase, multiplicative decrease, as in TCP).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

Kind = Literal["read", "write", "stream"]

_TOO_MANY_REQUESTS = 429


@dataclass(slots=True)
class _Lane:
    limit: int
    running: int = 0
    responses: int = 0
    halvings: int = 0


class HostLimits:
    """Safe to share between threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._lanes: dict[tuple[str, Kind], _Lane] = {}

    @contextmanager
    def turn(self, host: str, kind: Kind) -> Iterator[Callable[[int], None]]:
        """Wait until `host` takes another request of this kind; the block sends it and reports the response status."""
        with self._changed:
            lane = self._lanes.setdefault((host, kind), _Lane(self._most))
            self._changed.wait_for(lambda: lane.running < lane.limit)
            lane.running += 1
            halvings = lane.halvings

        def report(status: int) -> None:
            with self._changed:
                if status != _TOO_MANY_REQUESTS:
                    self._grow(lane)
                elif halvings == lane.halvings:  # an older one was sent before the number was halved
                    lane.limit = max(1, lane.limit // 2)
                    lane.halvings += 1
                    lane.responses = 0

        try:
            yield report
        finally:
            with self._changed:
                lane.running -= 1
                self._changed.notify_all()

    def _grow(self, lane: _Lane) -> None:
        if lane.limit < self._most:
            lane.responses += 1
            if lane.responses >= lane.limit:
                lane.limit += 1
                lane.responses = 0
