"""Sizes, durations, counts and sentences for people; JSON output has the plain numbers."""

from __future__ import annotations

from datetime import datetime

_SIZE_UNITS = ("kB", "MB", "GB", "TB", "PB")


def format_size(size: int) -> str:
    """Bytes in decimal units with three significant digits, as registries and download tools show them: `1.13 GB`."""
    if size < 1000:
        return f"{size} B"
    amount = float(size)
    for unit in _SIZE_UNITS:
        amount /= 1000
        # 999.5 would be shown as 1000.
        if amount < 999.5 or unit == _SIZE_UNITS[-1]:
            break
    decimals = 2 if amount < 9.995 else 1 if amount < 99.95 else 0
    return f"{amount:.{decimals}f} {unit}"


def format_duration(seconds: float) -> str:
    """Two units at most: `0.4 s`, `42 s`, `3 min 5 s`, `6 h`."""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two_units(whole // 60, "min", whole % 60, "s")
    minutes = round(seconds / 60)
    return _two_units(minutes // 60, "h", minutes % 60, "min")


def format_moment(text: str) -> str:
    """A time in ISO 8601 to the minute: `2026-11-28 03:17`; other text stays as it is."""
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return text


def _two_units(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit} {small} {small_unit}" if small else f"{large} {large_unit}"


def format_count(count: int, noun: str, plural: str | None = None) -> str:
    """`1 image`, `3 images`; `plural` where an `s` is not enough."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def format_sentence(text: str) -> str:
    """`text` with a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def format_range(at_least: int, at_most: int | None) -> str:
    """`2`, `2 to 5`, or `at least 2` where the end is unknown."""
    if at_most is None:
        return f"at least {at_least}"
    return str(at_least) if at_least == at_most else f"{at_least} to {at_most}"
