"""Variables in words such as `${VERSION:-1.27}`, in Dockerfiles and in compose files.

The two languages differ in quotes and in how a dollar is escaped. A variable without a value becomes empty, as in
Docker. Its name is returned with the word, so that an incomplete word is never taken for an image.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEEPEST = 30
_LONGEST = 64 * 1024
"""Characters in one word. A few lines of `ARG` can double a value many times."""


_LONGEST_REPLACED = 1024
_MOST_STARS = 3


Values = Mapping[str, str | None]
"""Variables by name. None means a value that is set but not known, so no default applies."""


class CannotExpand(Exception):
    """The text is not a valid word; the message is a clause."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word after expansion; `unset` are variables that it needs and that have no known value."""

    text: str
    unset: tuple[str, ...] = ()


def expand(text: str, values: Values, *, escape: str = "\\") -> Word:
    """Expand a word of a Dockerfile: quotes are removed, `escape` protects one letter. Raises CannotExpand."""
    return _run(_Expansion(text, values, escape=escape, has_quotes=True))


def interpolate(text: str, values: Values) -> Word:
    """Expand a value of a compose file: quotes stay, `$$` is a dollar. Raises CannotExpand."""
    return _run(_Expansion(text, values, escape="$", has_quotes=False))


def _run(expansion: _Expansion) -> Word:
    text = expansion.until("", 0)
    return Word(text, tuple(dict.fromkeys(expansion.unset)))


@dataclass(slots=True)
class _Expansion:
    text: str
    values: Values
    escape: str
    has_quotes: bool
    place: int = 0
    unset: list[str] = field(default_factory=list)
    length: int = 0

    def until(self, stop: str, depth: int) -> str:
        """The text before `stop`, which is consumed too; the rest of the text if `stop` is empty."""
        if depth > _DEEPEST:
            raise CannotExpand("variables are nested too deeply")
        found: list[str] = []
        while self.place < len(self.text):
            letter = self._take()
            following = self.text[self.place : self.place + 1]
            if stop and letter == stop:
                return "".join(found)
            if self.has_quotes and letter == "'":
                found.append(self._single_quoted())
            elif self.has_quotes and letter == '"':
                found.append(self._double_quoted(depth))
            elif letter == self.escape and following and (self.has_quotes or following == "$"):
                found.append(self._take())
            elif letter == "$":
                found.append(self._variable(depth))
            else:
                found.append(letter)
        if stop:
            raise CannotExpand(f"a `{stop}` is missing")
        return "".join(found)

    def _take(self) -> str:
        self.place += 1
        return self.text[self.place - 1]

    def _limited(self, value: str) -> str:
        self.length += len(value)
        if self.length > _LONGEST:
            raise CannotExpand(f"it comes to more than {_LONGEST:,} characters")
        return value

    def _single_quoted(self) -> str:
        end = self.text.find("'", self.place)
        if end < 0:
            raise CannotExpand("a quote is not closed")
        start, self.place = self.place, end + 1
        return self.text[start:end]

    def _double_quoted(self, depth: int) -> str:
        found: list[str] = []
        while self.place < len(self.text):
            letter = self._take()
            following = self.text[self.place : self.place + 1]
            if letter == '"':
                return "".join(found)
            if letter == self.escape and following and following in f'"${self.escape}':
                found.append(self._take())
            else:
                found.append(self._variable(depth) if letter == "$" else letter)
        raise CannotExpand("a quote is not closed")

    def _variable(self, depth: int) -> str:
        if self.text[self.place : self.place + 1] == "{":
            self.place += 1
            return self._in_braces(depth + 1)
        match = _NAME.match(self.text, self.place)
        if match is None:
            return "$"
        self.place = match.end()
        return self._value(match.group())

    def _value(self, name: str) -> str:
        value = self.values.get(name)
        if value is None:
            self.unset.append(name)
        return self._limited(value or "")

    def _in_braces(self, depth: int) -> str:
        match = _NAME.match(self.text, self.place)
        if match is None:
            raise CannotExpand("`${` is not followed by a name")
        name = match.group()
        self.place = match.end()
        operator = self.text[self.place : self.place + 1]
        self.place += 1
        if operator == "}":
            return self._value(name)
        counts_empty = operator == ":"
        if counts_empty:
            operator = self.text[self.place : self.place + 1]
            self.place += 1
        before = len(self.unset)
        word = self.until("}", depth)
        value = self.values.get(name)
        is_unknown = name in self.values and value is None
        is_set = value is not None and not (counts_empty and not value)
        if operator not in ("-", "+", "?") or (operator == "-" and is_set) or (operator == "+" and not is_set):
            del self.unset[before:]  # the word is not used
        match operator:
            case "-" | "+" if is_unknown:
                return self._value(name)
            case "-":
                return self._limited(value or "") if is_set else word
            case "+":
                return word if is_set else ""
            case "?":
                if not is_set:
                    self.unset.append(name)
                return self._limited(value or "")
            case "#" | "%" if self.has_quotes and not counts_empty:
                return _stripped(self._value(name), word, operator)
            case "/" if self.has_quotes and not counts_empty:
                return _replaced(self._value(name), word)
        raise CannotExpand(f"`${{{name}…}}` has an operator that is not known")


def _stripped(value: str, pattern: str, operator: str) -> str:
    """`${x#p}` and `${x%p}`, shortest match; `##` and `%%`, longest."""
    is_longest = pattern.startswith(operator)
    pattern = pattern.removeprefix(operator)
    lengths = range(len(value), -1, -1) if is_longest else range(len(value) + 1)
    for length in lengths:
        part = value[:length] if operator == "#" else value[len(value) - length :]
        if fnmatch.fnmatchcase(part, pattern):
            return value[length:] if operator == "#" else value[: len(value) - length]
    return value


def _replaced(value: str, word: str) -> str:
    """`${x/p/r}`, and `${x//p/r}` for all."""
    is_global = word.startswith("/")
    pattern, _, replacement = word.removeprefix("/").partition("/")
    if not pattern:
        return value
    if len(value) > _LONGEST_REPLACED or pattern.count("*") > _MOST_STARS:
        raise CannotExpand("it replaces too much")
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.sub(expression, lambda _: replacement, value, count=0 if is_global else 1)
