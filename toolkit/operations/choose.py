"""Choose: the images of a manifest or command line that patterns name.

It is separate from `select`, because `toolkit copy` has no manifest and should not load its model.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TypeVar

from toolkit.errors import UsageError, some
from toolkit.oci.reference import Reference

T = TypeVar("T")

# More than a screen of names does not help to find a typing error.
_MOST_NAMES = 20


def choose(things: Sequence[T], patterns: Sequence[str], names: Callable[[T], Collection[str]]) -> tuple[T, ...]:
    """The `things` with a name that matches a pattern; without patterns, all of them.

    `*` matches any characters, `/` and `:` too. Raises UsageError for a pattern without a match: a typing error must
    not look like "nothing to do".
    """
    useless = [p for p in patterns if not any(fnmatchcase(name, p) for thing in things for name in names(thing))]
    if useless:
        known = sorted({next(iter(names(thing))) for thing in things})
        quoted = ", ".join(f"`{pattern}`" for pattern in useless)
        raise UsageError(
            "usage.only",
            f"{quoted} matches no image; there are {some(known, _MOST_NAMES) or 'none'}",
            hint="`*` matches any characters: '*nginx*'",
        )
    return tuple(thing for thing in things if fits(names(thing), patterns))


def fits(names: Iterable[str], patterns: Sequence[str]) -> bool:
    """Whether a pattern matches one of `names`; always True without patterns."""
    return not patterns or any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def may_fit(starts: Iterable[str], patterns: Sequence[str]) -> bool:
    """Whether a pattern can match a name that begins with one of `starts`."""
    return fits(starts, [pattern[:end] for pattern in patterns for end in range(len(pattern) + 1)])


def spellings(reference: Reference) -> list[str]:
    """How a user may write `reference`, with and without its digest."""
    bare = reference.with_tag(reference.tag) if reference.tag else reference
    return list(dict.fromkeys((bare.familiar, str(bare), reference.familiar, str(reference))))
