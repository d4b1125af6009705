"""Sample tags for the repository of a selection: some that match it, and some that do not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, product

from toolkit.manifest.tag_pattern import TooSlow
from toolkit.manifest.tag_selection import TagSelectionSpec
from toolkit.manifest.tag_versions import age_key

_MOST_MATCHING = 8
_OTHERS = 3
_MINORS = (0, 1, 2, 9, 10, 11, 12)


def sample_tags(selection: TagSelectionSpec) -> tuple[str, ...]:
    """Some tags as an upstream might have them, the same for the same selection.

    If possible there are more matching tags than the selection keeps. For a very special expression, none may match.
    """
    everything = selection.model_copy(update={"keep": None})
    found = list(dict.fromkeys(filter(_is_tag, _candidates(selection))))
    try:
        matching = everything.choose(found)[: max(_MOST_MATCHING, (selection.keep or 0) + 2)]
    except TooSlow:
        return tuple(found[:_OTHERS])
    others = islice((tag for tag in found if not everything.matches(tag)), _OTHERS)
    return tuple(sorted({*matching, *others}, key=age_key))


def _candidates(selection: TagSelectionSpec) -> Iterator[str]:
    """First the tags that every upstream has, then versions made from the numbers and words of the selection."""
    yield "latest"
    if selection.glob is not None:
        yield from _from_glob(selection.glob)
    if selection.extract is not None:
        yield from _from_expression(selection.extract)
    plain = re.sub(r"\\[a-zA-Z]", "", selection.glob or selection.regex or selection.versions or "")
    numbers = sorted({int(number) for number in re.findall(r"[0-9]{1,4}", plain)} or {1})
    minors = sorted({*_MINORS, *(number + more for number in numbers for more in range(4))})
    words = [*re.findall(r"(?:-[a-z]+)+", plain), *(f"-{word}" for word in re.findall(r"[a-z]{3,}", plain))]
    own = [f"-{selection.suffix.replace('*', some)}" for some in ("", "1", "10")] if selection.suffix else []
    yield f"{numbers[0]}.{minors[1]}.0-rc1"
    prefix = "v" if re.search(r"\bv", plain) else ""
    for suffix in dict.fromkeys(("", *words, *own)):
        yield from (f"{version}{suffix}" for version in re.findall(r"[0-9]+(?:\.[0-9]+)+", selection.versions or ""))
        for major, minor in product(numbers, minors):
            yield f"{prefix}{major}{suffix}"
            yield f"{prefix}{major}.{minor}{suffix}"
            yield f"{prefix}{major}.{minor}.{major % 3 + 1}{suffix}"


def _from_glob(glob: str) -> Iterator[str]:
    """The pattern with each wildcard filled in."""
    for several, one in product(("9", "10", "10.1", ""), "0123456789"):
        yield re.sub(r"\[[^]]*\]|\?", one, glob).replace("*", several)


def _from_expression(expression: str) -> Iterator[str]:
    """A plain expression with each class and group filled in."""
    words = re.sub(r"\(\?(?:P?<\w+>|:)|[()]", "", expression)
    for number in ("1.9", "1.10", *(str(1_700_000_000 + 300 * more) for more in range(8))):
        digits = re.sub(r"\\[dw]\+?|\[0-9\]\+?|\.\+", number, words)
        yield re.sub(r"\[[^]]*\](?:\{[0-9,]+\}|[+*])?", "9f2c1aa", digits).replace("\\", "")


def _is_tag(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", text) is not None
