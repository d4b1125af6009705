"""Telling when a part of a run begins and ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from toolkit.events import Emit, StepFinished, StepStarted


@contextmanager
def step(emit: Emit, name: str, *, total: int | None = None) -> Iterator[None]:
    """Tell when a part of the run begins and ends well; `total` is how many things it handles."""
    emit(StepStarted(name, total=total))
    started = time.monotonic()
    yield
    emit(StepFinished(name, round(time.monotonic() - started, 3)))
