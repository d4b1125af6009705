from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from toolkit.oci.slow_answers import Watched

Piece = tuple[float, int]


class Line(io.RawIOBase):
    """Brings so many bytes after so many seconds."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.now = 0.0
        self._pieces: Iterator[Piece] = iter(pieces)

    def readinto(self, buffer: Any) -> int:
        seconds, count = next(self._pieces, (0.0, 0))
        self.now += seconds
        buffer[:count] = bytes(count)
        return count


def received(*pieces: Piece, pause: float = 0.0) -> int:
    """How many bytes come through to somebody who takes a pause after each piece."""
    line = Line(pieces)
    watched = Watched(line, lambda: line.now)
    count = 0
    while piece := watched.read(1 << 20):
        count += len(piece)
        line.now += pause
    return count


def test_a_drip_is_given_up_after_five_minutes_of_waiting() -> None:
    with pytest.raises(TimeoutError):
        received(*[(59.0, 1)] * 7)
    assert received(*[(59.0, 1)] * 6) == 6


def test_a_drip_after_a_good_beginning_is_given_up_too() -> None:
    with pytest.raises(TimeoutError):
        received(*[(1.0, 100_000)] * 900, *[(59.0, 1)] * 12)


def test_a_slow_line_that_brings_something_is_not() -> None:
    assert received(*[(50.0, 60_000)] * 100) == 6_000_000


def test_a_slow_reader_is_not_the_lines_fault() -> None:
    assert received(*[(0.01, 1_000)] * 100, pause=50.0) == 100_000


def test_the_first_bytes_may_take_their_time() -> None:
    assert received((299.0, 100), (10.0, 10)) == 110
