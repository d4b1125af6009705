"""Regular expressions for tags, within bounds of time and memory that a hostile manifest cannot exceed.

A pattern is one of Python's `re`, which has no timeout; `regex` has one and does the matching. It writes repetitions
out when it compiles a pattern (`(a{99}){99}` takes 9,801 nodes), so those are counted first.
"""

from __future__ import annotations

import re
import time
import warnings

import regex

SECONDS = 1.0
"""CPU time in which one pattern has to be through with all tags of a repository."""
_MOST_PARTS = 10_000  # 10 MB, 20 ms

_PART = re.compile(
    r"(?P<open>\()|(?P<close>\))|\{(?P<least>[0-9]+)(?:,[0-9]*)?\}|(?P<zero>\{,[0-9]+\})|(?P<never>[{\s#])"
    r"|\[\^?\]?(?:\\.|[^\]\\])*\]|\\.|.",
    re.DOTALL,
)


class TooSlow(Exception):
    """A pattern needs more than `SECONDS` for the tags that it is compared with."""


class TagPattern:
    """A checked pattern and the time that it has left."""

    def __init__(self, text: str) -> None:
        self._compiled = regex.compile(text, regex.ASCII)
        self._seconds_left = SECONDS

    def matches(self, tag: str) -> bool:
        """Whether the whole of `tag` matches. Raises TooSlow once all tags together have taken too long."""
        return self._match(tag) is not None

    def extract(self, tag: str) -> str | None:
        """What the pattern's named group takes of `tag`; None if it does not match. Raises TooSlow."""
        found = self._match(tag)
        return next(iter(found.groupdict().values()), None) if found else None

    def _match(self, tag: str) -> regex.Match[str] | None:
        started = time.thread_time()
        try:
            found = self._compiled.fullmatch(tag, timeout=self._seconds_left)
        except TimeoutError as error:
            raise TooSlow from error
        self._seconds_left -= time.thread_time() - started
        if self._seconds_left <= 0:
            raise TooSlow
        return found


def check_tag_pattern(text: str) -> None:
    """Raise ValueError, with a sentence's predicate, unless `text` can be a `TagPattern`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)  # `[[a]`: means something else in `regex`
            re.compile(text, re.ASCII)
    except (re.error, FutureWarning, RecursionError, OverflowError) as error:
        why = error.msg if isinstance(error, re.error) else error
        raise ValueError(f"is not a regular expression: {why}") from error
    if _count_parts(text) > _MOST_PARTS:
        raise ValueError(f"repeats too much: with its repetitions written out it has more than {_MOST_PARTS:,} parts")


def check_tag_extract(text: str) -> None:
    """As `check_tag_pattern`, for a pattern that has a named group."""
    check_tag_pattern(text)
    groups = re.compile(text, re.ASCII).groupindex
    if len(groups) != 1:
        raise ValueError("must have one named group, which says what to order by, such as `(?P<time>[0-9]+)`")


def _count_parts(text: str) -> int:
    """The characters, classes and groups of a pattern with `{n}` written out; at least as many as `regex` makes."""
    sizes = [0]  # of each open group
    last = 0
    for part in _PART.finditer(text):
        if part["never"]:  # `regex` gives these meanings of its own, such as fuzzy matching and comments
            raise ValueError(f"has `{part[0]}`, which no tag has")
        if part["open"]:
            sizes.append(1)
        elif part["least"]:
            more = last * (max(int(part["least"]), 1) - 1)
            sizes[-1] += more
            last += more
        elif not part["zero"]:
            last = sizes.pop() if part["close"] else 1
            sizes[-1] += last
    return sizes[0]
