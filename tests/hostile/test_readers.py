"""Whatever somebody sends, writes or stores: each reader returns or raises an error of ours, in time for its length.

A sample runs in `make test`. `make fuzz` runs 200,000 cases, other ones each time; what it finds goes to `corpus/`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings

from tests.hostile.mutations import Shape, corpus, shapes, texts
from tests.hostile.readers import READERS, Reader

CASES = int(os.environ.get("TOOLKIT_FUZZ_CASES", "0"))
"""Of all readers together; 0 for the sample of `make test`, which is the same every time."""
ALL = settings(
    max_examples=CASES // len(READERS) or 40,
    derandomize=not CASES,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
# Seconds of CPU for a text of some kilobytes. What never ends is stopped after them.
MOST_SECONDS = 5
# What is quadratic costs sixteen times as much for four times the length; what is sorted, a little more than four.
MOST_TIMES = 9.0
SHORT = 0.04


class NeverEnds(BaseException):
    """A reader takes more than `MOST_SECONDS`."""


@contextmanager
def in_time(seconds: float = MOST_SECONDS) -> Iterator[None]:
    """Raise NeverEnds in the block after so much CPU; `re` looks at signals too while it matches."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise NeverEnds

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize("name", READERS)
def test_returns_or_raises_an_error_of_ours(name: str) -> None:
    reader = READERS[name]

    @ALL
    @given(texts(name, reader))
    def read(text: str) -> None:
        with in_time():
            reader.check(text)

    read()


FINDINGS = [(name, number, text) for name in READERS for number, text in enumerate(corpus(name))]


@pytest.mark.parametrize(("name", "text"), [pytest.param(name, text, id=f"{name} {n}") for name, n, text in FINDINGS])
def test_reads_what_once_broke_it(name: str, text: str) -> None:
    with in_time():
        READERS[name].check(text)


@pytest.mark.parametrize("name", READERS)
def test_costs_time_in_proportion_to_the_length(name: str) -> None:
    reader = READERS[name]

    @settings(ALL, max_examples=max(ALL.max_examples // 10, 4))
    @given(shapes(reader))
    @example(Shape("text", "", reader.pieces[0], "", 0))
    def cost(shape: Shape) -> None:
        with in_time(60):
            longer = seconds(reader, shape, reader.cost_size)
            if longer > SHORT:
                # The best of three, and at two sizes: other programs run on this machine.
                assert (
                    min(growth(reader, shape, size) for size in (reader.cost_size, 2 * reader.cost_size)) < MOST_TIMES
                )

    cost()


def growth(reader: Reader, shape: Shape, size: int) -> float:
    """How many times as much a text of `size` costs as one of a quarter of it."""
    longer, shorter = (min(seconds(reader, shape, length) for _ in range(3)) for length in (size, size // 4))
    return longer / max(shorter, SHORT / 4)


def seconds(reader: Reader, shape: Shape, size: int) -> float:
    """Of CPU, for about `size` letters of this shape."""
    text = shape.text(size)
    began = time.thread_time()
    reader.check(text)
    return time.thread_time() - began
