"""Regular expressions for tags that cannot hang: each step goes from all positions so far to all that it reaches.

`re` tries one way after the other, and `(a|aa)+` has more ways through a tag of 128 characters than a run has seconds.
There are never more than 129 positions. What needs to know which way was taken, `\\1` and the like, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

_TOKEN = re.compile(
    r"(?P<repeat>(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\}|\{,[0-9]+\})\??)|(?P<open>\((?:\?:)?)|(?P<close>\))|(?P<bar>\|)"
    r"|(?P<edge>\\A|\\Z|[\^$])|(?P<one>\[\^?\]?(?:\\.|[^\]\\])*\]|\\[dDwWsS]|\\[^A-Za-z0-9]|[^\\])|(?P<other>\\?.)",
    re.DOTALL,
)
_LONGEST_TAG = 128

_Step = Callable[[str, frozenset[int]], frozenset[int]]


@dataclass(frozen=True, slots=True)
class TagPattern:
    """A regular expression in Python's spelling, for whole tags."""

    _step: _Step

    @classmethod
    def parse(cls, text: str) -> TagPattern:
        """Read `text`; ValueError with a sentence's predicate if that cannot be."""
        try:
            re.compile(text, re.ASCII)
        except (re.error, RecursionError, OverflowError) as error:
            why = error.msg if isinstance(error, re.error) else "it is nested too deeply"
            raise ValueError(f"is not a regular expression: {why}") from error
        return cls(_Reading(text).all())

    def matches(self, tag: str) -> bool:
        """Whether the whole of `tag` matches."""
        return len(tag) in self._step(tag, frozenset((0,)))


@lru_cache(maxsize=256)
def tag_pattern(text: str) -> TagPattern:
    """`TagPattern.parse`, remembered."""
    return TagPattern.parse(text)


class _Reading:
    """One walk over an expression that `re` takes."""

    def __init__(self, text: str) -> None:
        self._tokens = [(match.lastgroup, match[0]) for match in _TOKEN.finditer(text)]
        self._next = 0

    def all(self) -> _Step:
        return self._alternatives()

    def _peek(self) -> str | None:
        return self._tokens[self._next][0] if self._next < len(self._tokens) else None

    def _take(self) -> tuple[str | None, str]:
        self._next += 1
        return self._tokens[self._next - 1]

    def _alternatives(self) -> _Step:
        steps = [self._sequence()]
        while self._peek() == "bar":
            self._take()
            steps.append(self._sequence())
        return lambda tag, at: frozenset().union(*(step(tag, at) for step in steps))

    def _sequence(self) -> _Step:
        steps = []
        while self._peek() not in (None, "bar", "close"):
            step = self._item()
            if self._peek() == "repeat":
                step = _repeated(step, self._take()[1])
            steps.append(step)

        def follow(tag: str, at: frozenset[int]) -> frozenset[int]:
            for step in steps:
                at = step(tag, at)
            return at

        return follow

    def _item(self) -> _Step:
        kind, text = self._take()
        match kind:
            case "open" if self._peek() != "repeat":
                step = self._alternatives()
                self._take()
                return step
            case "edge":
                is_start = text in ("^", "\\A")
                return lambda tag, at: at & {0 if is_start else len(tag)}
            case "one":
                one = re.compile(text, re.ASCII | re.DOTALL)
                return lambda tag, at: frozenset(i + 1 for i in at if i < len(tag) and one.match(tag[i]))
            case _:
                shown = text if kind in ("other", "repeat") else f"{text}{self._tokens[self._next][1]}"
                raise ValueError(
                    f"has `{shown}`, and only characters, classes, groups, `|` and repetitions are known here"
                )


def _repeated(step: _Step, text: str) -> _Step:
    least, most = _bounds(text)

    def repeat(tag: str, at: frozenset[int]) -> frozenset[int]:
        for _ in range(least):
            at = step(tag, at)
        found = at
        for _ in range(most - least):
            at = step(tag, at) - found
            if not at:
                break
            found |= at
        return found

    return repeat


def _bounds(text: str) -> tuple[int, int]:
    """The least and the most; more often than there are characters makes no difference."""
    match text[0]:
        case "*":
            return 0, _LONGEST_TAG + 1
        case "+":
            return 1, _LONGEST_TAG + 1
        case "?":
            return 0, 1
    low, comma, high = text.strip("{}?").partition(",")
    least = min(int(low or 0), _LONGEST_TAG + 1)
    return least, min(int(high), _LONGEST_TAG + 1) if high else _LONGEST_TAG + 1 if comma else least
