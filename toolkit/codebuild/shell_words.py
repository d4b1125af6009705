"""Shell text as simple commands, split by `shlex`: words without quotes, each command with its line.

Nothing is run or guessed. Variables stay `$VERSION`, a substitution becomes `$(...)`, and text that cannot be split is
returned unchanged. `(` and `)` are commands of their own, so that a reader can open and close a subshell.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

MOST_LINES = 200
"""The most lines that one quote may span."""

SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh", "ksh", "su"})
"""Programs that read commands from standard input."""

_HEREDOC = re.compile(r"(?<!<)<<(?!<)-?\s*([\"'\\]?)([\w.-]+)")
_INNER_HASH = re.compile(r"(?<=[^\s;&|()])#")
_HASH = "\x01"
_UNKNOWN = "$\x02"
_PRINTS_FOLDER = re.compile(r"\s*pwd(\s+-[LP])?\s*")
_OPERATORS = frozenset("();<>|&")
_OPERATOR = re.compile(r"[()]|&?(?:<<<|<<|<>|>>|>\||[<>]&?)|;;&?|;&|&&|\|\||\|&|[;|&]")


@dataclass(frozen=True, slots=True)
class Script:
    """Commands that a separate shell runs, and the line where they begin.

    `is_program`: a new process, which sees exported variables only. `is_expanded`: the outer shell replaces variables
    and substitutions in the text first.
    """

    line: int
    text: str
    is_program: bool = False
    is_expanded: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """The words of one command, none if `text` could not be split; `stdin` is the file after a `<`.

    `operator` comes right before it, such as `&&` or `;;`. `scripts` run before the command: its substitutions, and
    the heredoc that a shell reads.
    """

    line: int
    words: tuple[str, ...]
    text: str
    stdin: str | None = None
    operator: str = ""
    scripts: tuple[Script, ...] = ()


def read_commands(text: str, first_line: int = 1) -> Iterator[Command]:
    """The simple commands of `text` in order."""
    lines = text.split("\n")
    position = 0
    operator = ""
    while position < len(lines):
        start = position
        logical, end = _logical_line(lines, start)
        if end is None:
            position = start + 1
            yield Command(first_line + start, (), lines[start])
            continue
        plain, inner = _lift(logical)
        position, bodies = _heredocs(plain, lines, end, first_line)
        scripts = [Script(first_line + start, one) for one in inner]
        for parsed in _simple_commands(_split(plain) or [], operator):
            operator = parsed.operator
            if not parsed.words:
                continue
            own, scripts = scripts[: parsed.substitutions], scripts[parsed.substitutions :]
            if any(word.rpartition("/")[2] in SHELLS for word in parsed.words):
                own, bodies = [*own, *bodies], []
            yield Command(first_line + start, tuple(parsed.words), logical, parsed.stdin, operator, tuple(own))
            operator = ""


def _logical_line(lines: list[str], start: int) -> tuple[str, int | None]:
    """A line with the lines that continue it or its quotes, and where the next begins; None if a quote stays open."""
    logical = ""
    for end in range(start, min(len(lines), start + MOST_LINES)):
        logical += lines[end]
        plain = _lift(logical)[0]  # a comment goes no further than its line
        if (len(plain) - len(plain.rstrip("\\"))) % 2 and end + 1 < len(lines):
            logical = logical[:-1]
        elif _split(plain) is not None:
            return logical, end + 1
        else:
            logical += "\n"
    return logical, None


def _heredocs(plain: str, lines: list[str], position: int, first_line: int) -> tuple[int, list[Script]]:
    """The first line after the heredocs of a line, and the heredocs' texts."""
    bodies = []
    for found in _HEREDOC.finditer(plain):
        end = next((n for n in range(position, len(lines)) if lines[n].strip() == found[2]), None)
        if end is not None:
            body = "\n".join(lines[position:end])
            is_expanded = not found[1] and ("$" in body or "`" in body)
            bodies.append(Script(first_line + position, body, is_program=True, is_expanded=is_expanded))
            position = end + 1
    return position, bodies


def _lift(text: str) -> tuple[str, list[str]]:
    """`text` without comments and with each substitution replaced by an unknown variable, and the substitutions."""
    kept: list[str] = []
    inner: list[str] = []
    position = 0
    quoted = ""
    closings = _closings(text)
    while position < len(text):
        letter = text[position]
        end = None
        if letter == "\\" and quoted != "'":
            kept.append(text[position : position + 2])
            position += 2
            continue
        if letter == "#" and not quoted and (position == 0 or text[position - 1] in " \t\n;&|()"):
            break_at = text.find("\n", position)
            position = len(text) if break_at < 0 else break_at
            continue
        starts = ("$(",) if quoted else ("$(", "<(", ">(")
        if quoted != "'" and (text.startswith(starts, position) or letter == "`"):
            end = text.find("`", position + 1) if letter == "`" else closings.get(position + 1)
        if end is not None and end > 0:
            width = 1 if letter == "`" else 2
            script = text[position + width : end]
            if _PRINTS_FOLDER.fullmatch(script):
                kept.append("${PWD}")
            else:
                kept.append(_UNKNOWN)
                inner.append(script)
            position = end + 1
            continue
        if letter in "'\"" and quoted in ("", letter):
            quoted = "" if quoted else letter
        kept.append(letter)
        position += 1
    return "".join(kept), inner


def _closings(text: str) -> dict[int, int]:
    """The position of the `)` that closes each `(`."""
    opened: list[int] = []
    closings = {}
    for found in re.finditer("[()]", text):
        if found[0] == "(":
            opened.append(found.start())
        elif opened:
            closings[opened.pop()] = found.start()
    return closings


def _split(text: str) -> list[str] | None:
    lexer = shlex.shlex(_INNER_HASH.sub(_HASH, text), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return [word.replace(_HASH, "#") for word in lexer]
    except ValueError:
        return None


@dataclass(slots=True)
class _Parsed:
    """A command while it is read; `substitutions` counts the substitutions in its words and redirections."""

    operator: str = ""
    words: list[str] = field(default_factory=list)
    stdin: str | None = None
    substitutions: int = 0


def _simple_commands(words: list[str], operator: str) -> Iterator[_Parsed]:
    """The commands, the first after `operator`. The last has no words: it carries the operator to the next line."""
    command = _Parsed(operator)
    redirection = ""
    for word in words:
        if not word or not _OPERATORS.issuperset(word):
            command.substitutions += word.count(_UNKNOWN)
            shown = word.replace(_UNKNOWN, "$(...)")
            if not redirection:
                command.words.append(shown)
            elif redirection == "<":
                command.stdin = shown
            redirection = ""
            continue
        for found in _OPERATOR.findall(word):
            redirection = found if "<" in found or ">" in found else ""
            if redirection:
                if command.words and command.words[-1].isdigit():
                    command.words.pop()
                continue
            if command.words:
                yield command
                command = _Parsed()
            if found in "()":
                yield replace(command, words=[found])
                command = _Parsed()
            else:
                command.operator = found
    if command.words:
        yield command
        command = _Parsed()
    yield command
