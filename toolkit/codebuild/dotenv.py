"""The variables of a `.env` file, as `docker compose` reads it.

`KEY=value` or `KEY: value`, with `export` before it or not. Quotes hold several lines; in single quotes nothing is
replaced. A value without quotes ends at ` #`. Variables of the environment go before those of the file.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Mapping

from toolkit.codebuild.variables import CannotExpand, Values, interpolate

_KEY = re.compile(r"(?:export[ \t]+)?([A-Za-z_][\w.\[\]-]*)[ \t]*(?:([=:])[ \t]*|(?=\n|\Z))")
_QUOTED = re.compile(r"'((?:\\.|[^'\\])*)'|\"((?:\\.|[^\"\\])*)\"", re.DOTALL)
_BLANK = re.compile(r"\s*(#[^\n]*)?")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def read_dotenv(text: str, given: Values, before: Mapping[str, str | None] | None = None) -> dict[str, str | None]:
    """The variables, None for an unknown value, after those of the files `before`. `given` is the environment."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    found: dict[str, str | None] = dict(before or {})
    values = ChainMap(dict(given), found)  # sees each variable as soon as it is read
    position = 0
    while position < len(text):
        blank = _BLANK.match(text, position)
        if blank and blank.end() > position:
            position = blank.end()
            continue
        key = _KEY.match(text, position)
        if key is None:  # compose refuses the file
            position = _end_of_line(text, position)
            continue
        position = key.end()
        if key[2] is None:  # a name alone is a variable of the environment
            if key[1] in given:
                found[key[1]] = given[key[1]]
            continue
        quoted = _QUOTED.match(text, position)
        if quoted and quoted[1] is not None:
            found[key[1]] = re.sub(r"\\(')", r"\1", quoted[1])
        elif quoted:
            found[key[1]] = _expanded(_ESCAPED.sub(_unescape, quoted[2]), values)
        else:
            end = _end_of_line(text, position)
            found[key[1]] = _expanded(text[position:end].partition(" #")[0].rstrip(), values)
            position = end
        position = quoted.end() if quoted else position
    return found


def _end_of_line(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _unescape(found: re.Match[str]) -> str:
    """A `\\$` is left for the expansion, in which `$$` is a dollar."""
    letter = found[1]
    return "$$" if letter == "$" else _LETTERS.get(letter, letter if letter in '"\\' else found[0])


def _expanded(text: str, values: Values) -> str | None:
    try:
        word = interpolate(text, values)
    except CannotExpand:
        return None
    return None if word.unset else word.text
