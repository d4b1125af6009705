"""Go's regular expressions and version constraints, in the manifest's words.

Both tools that are migrated from are written in Go. Its expressions (RE2) and Python's differ where one has what the
other has not: POSIX classes and `\\z` are rewritten, everything else that differs raises `CannotSay`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from toolkit.manifest.tag_pattern import check_tag_pattern

LONGEST = 256
"""Of a regular expression in the manifest."""


class CannotSay(Exception):
    """The manifest has no words for it; the message is a sentence without a subject."""


_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "digit": "0-9",
    "lower": "a-z",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_PARTS = re.compile(r"\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]|.", re.DOTALL)
_NOT_GO = re.compile(r"\(\?(?:=|!|<=|<!|>|\(|P=|P>|#)")
_FLAGS = re.compile(r"\(\?([a-zA-Z-]+)\)")


def anchored(pattern: str) -> str:
    """What regsync compiles, `^PATTERN$`, for a match of the whole text.

    `^` and `$` bind closer than `|`: `^a|b$` is what begins with `a` or ends with `b`.
    """
    first, *others = _branches(pattern)
    if not others:
        return _python(pattern)
    *middle, last = others
    parts = [f"{_python(first)}.*", *(f".*(?:{_python(one)}).*" for one in middle), f".*{_python(last)}"]
    return "|".join(parts)


def searched(pattern: str) -> str:
    """What skopeo looks for anywhere in a tag, for a match of the whole text."""
    python = _python(pattern)
    if len(_branches(pattern)) > 1:
        return f".*(?:{python}).*"
    starts, ends = python.startswith("^"), bool(re.search(r"(?<!\\)(?:\\\\)*\$$", python))
    return f"{'' if starts else '.*'}{python[starts : len(python) - ends]}{'' if ends else '.*'}"


def selection(allow: Sequence[str], deny: Sequence[str]) -> str:
    """One expression for what fits one of `allow`, anything if there is none, and none of `deny`."""
    allowed = _one_of(allow) if allow else ".*"
    return _checked(f"(?!(?:{_one_of(deny)})$)(?:{allowed})" if deny else allowed)


def versions_extract(allow: Sequence[str], deny: Sequence[str], number: str) -> str:
    """An `extract` for tags whose version is as `number`, and which fit one of `allow` and none of `deny`."""
    before = f"(?!(?:{_one_of(deny)})$)" if deny else ""
    before += f"(?=(?:{_one_of(allow)})$)" if allow else ""
    return _checked(f"{before}{number}")


def _one_of(patterns: Sequence[str]) -> str:
    return "|".join(patterns if len(patterns) == 1 else [f"(?:{one})" if "|" in one else one for one in patterns])


def literals(patterns: Sequence[str]) -> tuple[str, ...] | None:
    """The tags that the patterns spell out; None if one of them may match another tag too."""
    texts = [re.sub(r"\\([._-])", "\0\\1", pattern.removeprefix("^").removesuffix("$")) for pattern in patterns]
    if any(re.search(r"(?<!\0)\.|[^\0A-Za-z0-9._-]", text) for text in texts):
        return None
    return tuple(text.replace("\0", "") for text in texts)


def _branches(pattern: str) -> list[str]:
    """The alternatives at the top level."""
    found, depth = [""], 0
    for part in _PARTS.findall(pattern):
        depth += {"(": 1, ")": -1}.get(part, 0)
        if part == "|" and depth == 0:
            found.append("")
        else:
            found[-1] += part
    return found


def _python(pattern: str) -> str:
    if found := _NOT_GO.search(pattern):
        raise CannotSay(f"`{found[0]}` is no part of Go's regular expressions, so the tool refuses it")
    if re.search(r"(?<!\\)\{,", pattern):
        raise CannotSay("`{,` is a text to Go and a repetition here")
    leading = _FLAGS.match(pattern)
    if leading and set(leading[1]) <= set("ims"):
        return f"(?{leading[1]}:{_python(pattern[leading.end() :])})"
    if found := _FLAGS.search(pattern):
        raise CannotSay(f"`{found[0]}` in the middle changes what follows it, which the manifest's expressions cannot")
    python = "".join(map(_part, _PARTS.findall(pattern)))
    _checked(python, longest=len(python))
    return python


def _part(part: str) -> str:
    if part == r"\z":
        return r"\Z"
    if part in (r"\p", r"\P", r"\Q", r"\E", r"\C", r"\x", r"\Z"):
        raise CannotSay(f"`{part}` of Go has no counterpart")
    if part.startswith("[") and "[:" in part:
        return re.sub(r"\[:(\w+):\]", _class, part)
    return part


def _class(found: re.Match[str]) -> str:
    if found[1] not in _POSIX:
        raise CannotSay(f"`{found[0]}` of Go has no counterpart")
    return _POSIX[found[1]]


def _checked(pattern: str, longest: int = LONGEST) -> str:
    try:
        check_tag_pattern(pattern)
    except ValueError as error:
        raise CannotSay(f"the expression {error}") from error
    if len(pattern) > longest:
        raise CannotSay(f"the expression would have {len(pattern)} characters, and {longest} are the most")
    return pattern


# Version constraints


Bounds = list[str]
_OPERATOR = re.compile(r"\s*(=>|>=|=<|<=|!=|~>|[=<>~^]?)\s*v?([0-9xX*]+(?:\.[0-9xX*]+)*)(?=[\s,]|$)[\s,]*")


def masterminds(constraint: str) -> Iterator[str]:
    """The ranges of the manifest that stand for a constraint of Masterminds' library, which skopeo uses.

    There is one for each alternative (`||`). A bound with missing numbers covers everything below it: `<=1.2` is below
    1.3 and `>1` begins at 2.
    """
    for alternative in constraint.split("||"):
        text = re.sub(r"(\S+)\s+-\s+(\S+)", r">=\1 <=\2", alternative.strip())
        yield " ".join(_ranges(text, constraint, _bounds_of_masterminds))


def regclients(constraint: str) -> str:
    """The range of the manifest that stands for a constraint of regclient, which has no wildcards."""
    return " ".join(_ranges(constraint, constraint, _bounds_of_regclient))


def _ranges(text: str, whole: str, bounds: Callable[[str, list[int]], Bounds | None]) -> Bounds:
    found: Bounds = []
    position = 0
    while position < len(text):
        match = _OPERATOR.match(text, position)
        if match is None:
            raise CannotSay(f"`{whole}` has no counterpart: `versions` takes bounds of numbers, no pre-releases")
        numbers = re.split(r"[xX*].*", match[2])[0].strip(".")
        made = bounds(match[1], [int(number) for number in numbers.split(".") if number])
        if made is None or (bounds is _bounds_of_regclient and numbers != match[2]):
            raise CannotSay(f"`{whole}` has no counterpart: write the bounds yourself")
        found += made
        position = match.end()
    return found or [">=0"]


def _bounds_of_masterminds(operator: str, numbers: list[int]) -> Bounds | None:
    if not numbers:
        return [">=0"] if operator in ("", "=", ">=", "=>", "~", "~>", "^", "<=", "=<") else None
    text, after = _text(numbers), _text(_next(numbers))
    is_whole = len(numbers) >= 3
    match operator:
        case ">=" | "=>":
            return [f">={text}"]
        case "<":
            return [f"<{text}"]
        case ">":
            return [f">{text}" if is_whole else f">={after}"]
        case "<=" | "=<":
            return [f"<={text}" if is_whole else f"<{after}"]
        case "" | "=":
            return [f"={text}"] if is_whole else [f">={text}", f"<{after}"]
        case "!=":
            return [f"!={text}"] if is_whole else None
        case "~" | "~>":
            return [f">={text}", f"<{_text(_next(numbers[:2]))}"]
    return [f">={text}", f"<{_text(_caret(numbers))}"]


def _bounds_of_regclient(operator: str, numbers: list[int]) -> Bounds | None:
    text = _text(numbers)
    match operator:
        case ">=" | "<=" | ">" | "<":
            return [f"{operator}{text}"]
        case "" | "=":
            return [f"={text}"]
        case "~":
            major, minor = (*numbers, 0)[:2]
            return [f">={text}", f"<{major}.{minor + 1}"]
        case "^":
            return [f">={text}", f"<{_text(_caret([*numbers, 0, 0][:3]))}"]
    return None


def _caret(numbers: list[int]) -> list[int]:
    """The first version that `^` leaves out: the first number that is not 0, plus one."""
    end = next((place for place, number in enumerate(numbers) if number), len(numbers) - 1)
    return _next(numbers[: end + 1])


def _next(numbers: list[int]) -> list[int]:
    return [*numbers[:-1], numbers[-1] + 1]


def _text(numbers: list[int]) -> str:
    return ".".join(map(str, numbers))
