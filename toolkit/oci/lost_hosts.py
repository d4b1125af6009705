"""Hosts that answer nothing any more, so that a long list of images does not wait for one again and again.

Without it each image used up all attempts of its own: 2,500 of them on a dead network would take more than an hour.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from toolkit.oci.errors import ConnectionFailed

# Longer than all attempts of one request where connections are refused, and a restart of a registry.
_PATIENCE = 120.0
# A lost host is asked again so often, by one request. Others wait for its end, and fail as it does.
_INTERVAL = 10.0


@dataclass(slots=True)
class _Silence:
    since: float
    last: float
    is_asked: bool = False


class LostHosts:
    """A host is lost when no response has come for `_PATIENCE` seconds after one failed. Safe between threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._silent: dict[str, _Silence] = {}

    def is_lost(self, host: str) -> bool:
        """Whether another attempt is of no use."""
        silence = self._silent.get(host)
        return silence is not None and self._clock() - silence.since > _PATIENCE

    @contextmanager
    def asking(self, host: str) -> Iterator[None]:
        """The block sends one request. Raises ConnectionFailed instead if the host is lost and was asked just now."""
        with self._changed:
            self._changed.wait_for(lambda: not (self.is_lost(host) and self._silent[host].is_asked))
            if self.is_lost(host):
                silence, now = self._silent[host], self._clock()
                if now - silence.last < _INTERVAL:
                    raise ConnectionFailed(
                        f"`{host}` has not answered for {now - silence.since:.0f} s", host=host, reason="host is lost"
                    )
                silence.is_asked = True
        is_silent = False
        try:
            yield
        except ConnectionFailed as failure:
            is_silent = failure.is_temporary
            raise
        finally:
            with self._changed:
                if is_silent:
                    now = self._clock()
                    silence = self._silent.setdefault(host, _Silence(now, now))
                    silence.last, silence.is_asked = now, False
                else:
                    self._silent.pop(host, None)
                self._changed.notify_all()
