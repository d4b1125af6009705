"""Shell text as simple commands, as far as `shlex` can tell: words without quotes, each command with its line.

Nothing is run and nothing is guessed: variables stay `$VERSION`, a substitution stays `$` and something unknown, and
text that cannot be taken apart comes back as it is. `(` and `)` are commands of their own, for what holds in between.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

MOST_LINES = 200
"""How far a quote is looked after."""

_HEREDOC = re.compile(r"<<-?\s*[\"']?(\w+)[\"']?")
_INNER_HASH = re.compile(r"(?<=[^\s;&|()])#")
_HASH = "\x01"
_UNKNOWN = "$\x02"
_OPERATORS = frozenset("();<>|&")


@dataclass(frozen=True, slots=True)
class Command:
    """The words of one command, none where `text` could not be taken apart; `stdin` is the file after a `<`."""

    line: int
    words: tuple[str, ...]
    text: str
    stdin: str | None = None


def read_commands(text: str, first_line: int = 1) -> Iterator[Command]:
    """The simple commands of `text` in order; those of a substitution come before the command that it is in."""
    lines = text.split("\n")
    position = 0
    while position < len(lines):
        start = position
        logical, end = _logical_line(lines, start)
        if end is None:
            position = start + 1
            yield Command(first_line + start, (), lines[start])
            continue
        position = end
        heredoc = _HEREDOC.search(logical)
        ends = [n for n in range(position, len(lines)) if heredoc and lines[n].strip() == heredoc[1]]
        position = ends[0] + 1 if ends else position
        yield from _commands(logical, first_line + start)


def _logical_line(lines: list[str], start: int) -> tuple[str, int | None]:
    """The line with those that continue it or its quotes, and where the next begins; None where a quote stays open."""
    logical = ""
    for end in range(start, min(len(lines), start + MOST_LINES)):
        logical += lines[end]
        if logical.endswith("\\") and end + 1 < len(lines):
            logical = logical[:-1]
        elif _split(_lift(logical)[0]) is not None:
            return logical, end + 1
        else:
            logical += "\n"
    return logical, None


def _commands(logical: str, line: int) -> Iterator[Command]:
    text, inner = _lift(logical)
    for one in inner:
        yield from read_commands(one, line)
    for words, stdin in _simple_commands(_split(text) or []):
        yield Command(line, words, logical, stdin)


def _lift(text: str) -> tuple[str, list[str]]:
    """`text` with each substitution replaced by an unknown variable, and what they run."""
    kept: list[str] = []
    inner: list[str] = []
    position = 0
    quoted = ""
    while position < len(text):
        letter = text[position]
        end = None
        if letter == "\\" and quoted != "'":
            kept.append(text[position : position + 2])
            position += 2
            continue
        if quoted != "'" and letter == "#" and not quoted and (position == 0 or text[position - 1].isspace()):
            break_at = text.find("\n", position)
            position = len(text) if break_at < 0 else break_at
            continue
        if quoted != "'" and (text.startswith("$(", position) or letter == "`"):
            end = _end_of_substitution(text, position)
        if end is not None:
            width = 1 if letter == "`" else 2
            kept.append(_UNKNOWN)
            inner.append(text[position + width : end])
            position = end + 1
            continue
        if letter in "'\"" and quoted in ("", letter):
            quoted = "" if quoted else letter
        kept.append(letter)
        position += 1
    return "".join(kept), inner


def _end_of_substitution(text: str, start: int) -> int | None:
    if text[start] == "`":
        end = text.find("`", start + 1)
        return end if end > 0 else None
    depth = 0
    for position in range(start + 1, len(text)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth == 0:
            return position
    return None


def _split(text: str) -> list[str] | None:
    lexer = shlex.shlex(_INNER_HASH.sub(_HASH, text), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return [word.replace(_HASH, "#") for word in lexer]
    except ValueError:
        return None


def _simple_commands(words: list[str]) -> Iterator[tuple[tuple[str, ...], str | None]]:
    command: list[str] = []
    stdin: str | None = None
    redirection = ""
    for word in words:
        if not word or not _OPERATORS.issuperset(word):
            if not redirection:
                command.append(word)
            elif redirection == "<":
                stdin = word
            redirection = ""
            continue
        redirection = word if "<" in word or ">" in word else ""
        if redirection:
            if command and command[-1].isdigit():
                command.pop()
            continue
        if command:
            yield tuple(command), stdin
        command, stdin = [], None
        yield from (((letter,), None) for letter in word if letter in "()")
    if command:
        yield tuple(command), stdin
