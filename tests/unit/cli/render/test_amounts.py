from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.cli.render.amounts import format_count, format_duration, format_range, format_size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (9_994, "9.99 kB"),
        (9_996, "10.0 kB"),
        (44_830_000, "44.8 MB"),
        (99_960_000, "100 MB"),
        (999_499, "999 kB"),
        (999_600, "1.00 MB"),
        (1_130_000_000, "1.13 GB"),
        (5_000_000_000_000_000_000, "5000 PB"),
    ],
)
def test_a_size_has_three_significant_digits_in_decimal_units(size: int, text: str) -> None:
    assert format_size(size) == text


@given(st.integers(min_value=0, max_value=10**17))
def test_a_size_reads_back_within_half_a_percent(size: int) -> None:
    found = re.fullmatch(r"([\d.]+) (B|kB|MB|GB|TB|PB)", format_size(size))
    assert found
    factor = 1000 ** ("B", "kB", "MB", "GB", "TB", "PB").index(found[2])
    assert abs(float(found[1]) * factor - size) <= 0.0051 * size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (-1.0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (185, "3 min 5 s"),
        (3599.7, "1 h"),
        (21600, "6 h"),
        (21959, "6 h 6 min"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_one_is_singular() -> None:
    assert [format_count(n, "image") for n in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert format_count(2, "copy", "copies") == "2 copies"


def test_a_range_is_exact_bounded_or_open() -> None:
    assert [format_range(2, 2), format_range(2, 5), format_range(2, None)] == ["2", "2 to 5", "at least 2"]
