"""Shell text as simple commands, as far as `shlex` can tell: words without quotes, each command with its line.

Nothing is run and nothing is guessed: variables stay `$VERSION`, and text that cannot be taken apart comes back as it
is.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

_HEREDOC = re.compile(r"<<-?\s*[\"']?(\w+)[\"']?")


@dataclass(frozen=True, slots=True)
class Command:
    """The words of one command; none where `text` could not be taken apart."""

    line: int
    words: tuple[str, ...]
    text: str


def read_commands(text: str, first_line: int = 1) -> Iterator[Command]:
    """The simple commands of `text` in order, those of pipes, lists and substitutions too."""
    lines = text.split("\n")
    position = 0
    while position < len(lines):
        start = position
        words: list[str] | None = None
        logical = ""
        # A quote or a continuation may reach over any number of lines; one that never ends takes its own line only.
        for end in range(start, len(lines)):
            logical += lines[end]
            if logical.endswith("\\") and end + 1 < len(lines):
                logical = logical[:-1]
                continue
            words = _split(logical)
            if words is not None:
                position = end + 1
                break
            logical += "\n"
        if words is None:
            position = start + 1
            yield Command(first_line + start, (), lines[start])
            continue
        heredoc = _HEREDOC.search(logical)
        ends = [n for n in range(position, len(lines)) if heredoc and lines[n].strip() == heredoc[1]]
        position = ends[0] + 1 if ends else position
        yield from (Command(first_line + start, command, logical) for command in _simple_commands(words))


def _split(text: str) -> list[str] | None:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        for word in lexer:
            if word.startswith("#"):
                break
            words.append(word)
    except ValueError:
        return None
    return words


def _simple_commands(words: list[str]) -> Iterator[tuple[str, ...]]:
    command: list[str] = []
    is_target = False
    for word in words:
        if word and all(letter in "();<>|&" for letter in word):
            is_target = "<" in word or ">" in word
            if is_target:
                if command and command[-1].isdigit():
                    command.pop()
            elif command:
                yield tuple(command)
                command = []
        elif is_target:
            is_target = False
        else:
            command.append(word)
    if command:
        yield tuple(command)
