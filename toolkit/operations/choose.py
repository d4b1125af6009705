"""Choose: some of the images that a manifest or a command line names, by `--only`.

Apart from `select`, because `toolkit copy` has no manifest and need not load its model.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TypeVar

from toolkit.errors import UsageError
from toolkit.oci.reference import Reference

T = TypeVar("T")

# More than a screen of names helps nobody to find a slip of the pen.
_MOST_NAMES = 20


def choose(things: Sequence[T], patterns: Sequence[str], names: Callable[[T], Collection[str]]) -> tuple[T, ...]:
    """The `things` that have a name which a pattern fits, all of them without patterns.

    `*` stands for any letters, `/` and `:` too. Raises UsageError for patterns that fit nothing: a slip must not pass
    for "nothing to do".
    """
    useless = [p for p in patterns if not any(fnmatchcase(name, p) for thing in things for name in names(thing))]
    if useless:
        there = sorted({next(iter(names(thing))) for thing in things})
        more = f" and {len(there) - _MOST_NAMES} more" if len(there) > _MOST_NAMES else ""
        listed = ", ".join(f"`{name}`" for name in there[:_MOST_NAMES]) or "none"
        asked = ", ".join(f"`{pattern}`" for pattern in useless)
        raise UsageError(
            "usage.only",
            f"--only {asked} fits no image; there are {listed}{more}",
            hint="`*` stands for any letters: --only '*nginx*'",
        )
    return tuple(thing for thing in things if fits(names(thing), patterns))


def fits(names: Iterable[str], patterns: Sequence[str]) -> bool:
    """Whether a pattern fits one of `names`; without patterns anything does."""
    return not patterns or any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def may_fit(starts: Iterable[str], patterns: Sequence[str]) -> bool:
    """Whether a pattern fits some name that begins with one of `starts`."""
    return fits(starts, [pattern[:end] for pattern in patterns for end in range(len(pattern) + 1)])


def spellings(reference: Reference) -> list[str]:
    """How a user may write `reference`, with and without its digest."""
    bare = reference.with_tag(reference.tag) if reference.tag else reference
    return list(dict.fromkeys((bare.familiar, str(bare), reference.familiar, str(reference))))
