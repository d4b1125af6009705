"""What text renderers share: escaped words, wrapped sentences, tables, colour, and a stream to write to.

The renderers' own words are ASCII, because a pipeline's log may have any encoding.
"""

from __future__ import annotations

import errno
import os
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TextIO

MINIMUM_WIDTH = 40

_STYLES: Mapping[str, str] = MappingProxyType(
    {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "magenta": "35", "cyan": "36"}
)

# What the runner of GitHub Actions takes for a command, in any line of either stream.
_RUNNER_COMMAND = re.compile(r"(?:^|(?<=\r))(\s*):(?=:)|(?<=#)#(?=\[)", re.MULTILINE)

# A pipe without a reader, or a terminal that has hung up.
_READER_IS_GONE = frozenset({errno.EPIPE, errno.EIO})


def visible(text: str) -> str:
    """`text` with escapes (`\\x1b`) for everything that could move a cursor, or hide or reorder letters.

    Registries, Terraform and manifests decide what is in these texts; a terminal must not obey them.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def visible_lines(text: str) -> list[str]:
    """The lines of `text`, each made visible, without empty ones at either end."""
    return [visible(line.expandtabs(4)).rstrip() for line in text.strip("\r\n").replace("\r\n", "\n").split("\n")]


def wrap(text: str, *, width: int, indent: str, first: str | None = None) -> list[str]:
    """`text` made visible, in lines of at most `width`; words stay whole, since names and digests get copied."""
    return textwrap.wrap(
        visible(text),
        max(width, MINIMUM_WIDTH),
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


@dataclass(frozen=True, slots=True)
class Paint:
    """Colour by ANSI codes; without colour a text stays as it is."""

    has_colour: bool

    def __call__(self, style: str, text: str) -> str:
        """`text` in `style`, a name of the table above, or "" for none."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.has_colour and style else text


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table; its first cell is shown in `style`."""

    cells: tuple[str, ...]
    style: str = ""


def format_table(rows: Sequence[Row], *, width: int, paint: Paint, indent: str = "  ") -> list[str]:
    """Aligned columns where every row fits into `width`.

    Otherwise nothing is aligned: each row is a line, and a row that is too long has its first two cells there and the
    others beneath, wrapped.
    """
    shown = [[visible(cell) for cell in row.cells] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    fits = len(indent) + sum(widths) + 2 * (len(widths) - 1) <= max(width, MINIMUM_WIDTH)
    lines = []
    for (first, *others), row in zip(shown, rows, strict=True):
        start = indent + paint(row.style, first.ljust(widths[0]))
        if fits:
            padded = [cell.ljust(size) for cell, size in zip(others, widths[1:], strict=True)]
            lines.append("  ".join([start, *padded]).rstrip())
            continue
        rest = "  ".join(cell for cell in others[1:] if cell)
        if len(indent) + widths[0] + len(others[0]) + len(rest) + 4 <= max(width, MINIMUM_WIDTH):
            lines.append(f"{start}  {others[0]}  {rest}".rstrip())
            continue
        lines.append(f"{start}  {others[0]}")
        lines += wrap(rest, width=width, indent=indent + " " * (widths[0] + 2))
    return lines


def format_item(symbol: str, text: str, *, style: str, width: int, paint: Paint, indent: str = "  ") -> list[str]:
    """`symbol text` with `symbol` in `style`; wrapped lines are indented."""
    lead = f"{indent}{symbol:>3} "
    first, *others = wrap(text, width=width, indent=" " * (len(lead) + 2), first=lead) or [lead.rstrip()]
    return [first.replace(symbol, paint(style, symbol), 1), *others]


def format_remarks(
    word: str, remarks: Iterable[tuple[str, str | None]], *, style: str, width: int, paint: Paint
) -> list[str]:
    """A remark for each text and hint; remarks that share a hint stand together, and it follows once."""
    lines = []
    by_hint: dict[object, list[tuple[str, str | None]]] = {}
    for number, (text, hint) in enumerate(remarks):
        by_hint.setdefault(hint or number, []).append((text, hint))
    for alike in by_hint.values():
        last = len(alike) - 1
        for number, (text, hint) in enumerate(alike):
            lines += format_remark(word, text, hint if number == last else None, style=style, width=width, paint=paint)
    return lines


def format_remark(word: str, text: str, hint: str | None, *, style: str, width: int, paint: Paint) -> list[str]:
    """`word: text` with `word` in `style`, and the hint beneath, both wrapped."""
    lines = []
    for first_word, sentence, colour in ((word, text, style), ("hint", hint, "cyan")):
        if sentence:
            first, *others = wrap(f"{first_word}: {sentence}", width=width, indent="    ", first="")
            lines += [paint(colour, first_word) + first.removeprefix(first_word), *others]
    return lines


def without_commands(text: str) -> str:
    """`text` in which no line is a command for GitHub's runner; JSON means what it meant."""
    return _RUNNER_COMMAND.sub(lambda found: "\\u0023" if found[1] is None else f"{found[1]}\\u003a", text)


class LineWriter:
    """Writes whole lines to a stream, each flushed.

    Once a line cannot be written, this line and all later ones are dropped: the run changes real things and must not
    stop half-way because nobody watches (`| head`, a closed terminal) or a disk is full. `failure` has the latter.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_open = True
        self.failure: OSError | None = None

    def write(self, *lines: str) -> None:
        """Write `lines` and their line ends at once, with nothing in them that a pipeline would obey."""
        if lines:
            self.write_exact(without_commands("\n".join(lines)))

    def write_exact(self, text: str) -> None:
        """Write `text` as it is, and a line end."""
        if not self._is_open or self._stream.closed:
            return
        try:
            self._stream.write(f"{text}\n")
            self._stream.flush()
        except OSError as error:
            self._is_open = False
            self.failure = None if reader_is_gone(error) else error
            send_to_nowhere(self._stream)


def reader_is_gone(error: OSError) -> bool:
    """Whether nobody would have seen what could not be written."""
    return error.errno in _READER_IS_GONE


def send_to_nowhere(stream: TextIO) -> None:
    """Send what is buffered to the null device: otherwise the interpreter's last flush changes the exit code."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)
