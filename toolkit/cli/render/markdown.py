"""Markdown for comments on GitHub and GitLab: foreign text that stays text, and parts that fit into one comment.

Names, values and messages come from manifests, registries and AWS. Escaping by backslash is not enough for them: both
sites look for `@name`, `#1` and the like in the finished HTML, and leave out only what stands in `<code>`. So a name is
a code span wherever that is possible, and other text has a zero-width space behind each sign that begins a reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from toolkit.cli.render.lines import visible

LONGEST_COMMENT = 57_000
"""With an error behind it, 60,000. GitHub refuses more than 65,536; the rest is for what a pipeline adds."""

_LONGEST_TEXT = 1_000
_SHOWN_NAMES = 5
_BREAK = "\u200b"
# What both sites make a link of: references by a sign (`@`, `#`, and `!`, `~`, `%`, `&` on GitLab) or by a prefix
# (`GH-1`), and addresses; and the digits of a commit, seven or more.
_LINKS = re.compile(
    r"(?<=[@#!~%&])(?=\S)|(?<=[a-z])(?=-\d)|(?<=:)(?=//)|(?<=www)(?=\.)",
    re.IGNORECASE,
)
_COMMIT = re.compile(r"\b[0-9a-f]{7,}\b", re.IGNORECASE)
# GitHub sets a formula between two dollars; its documentation says to write a dollar like this.
_MARKUP = str.maketrans(
    {
        _BREAK: "&#8203;",
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        "|": "&#124;",
        "$": "<span>$</span>",
        **{sign: f"\\{sign}" for sign in "\\`*_[]~"},
    }
)
# What begins a list, a heading, a quick action of GitLab (`/merge`) or a command of GitHub's runner (`::x::`).
_BEGINNING = re.compile(r"^(\d*)((?<!\d)[-+=/#:]|(?<=\d)[.)](?=\s|$))")
# A pipe ends a cell in a code span too, and a program that looks for a marker must not find one in a name. The runner
# of GitHub obeys `##[command]` anywhere in a line.
_CODE = re.compile(r"(?!\s)(?!.*##\[)[^`|<]+(?<!\s)")


def escape(text: str) -> str:
    """Text without any markup, for any place in a line, a table or a list."""
    return _begun(_inert(clip(visible(text)).strip()))


def code(text: str) -> str:
    """A name or a value as a code span; escaped if it has letters that a code span in a table cannot hold."""
    shown = clip(visible(text))
    return f"`{shown}`" if _CODE.fullmatch(shown) else escape(shown)


def prose(text: str) -> str:
    """A sentence, in which our messages put names between backticks."""
    parts = clip(visible(text)).strip().split("`")
    if len(parts) % 2 == 0 or not all(map(_CODE.fullmatch, parts[1::2])):
        return escape(text)
    # Two code spans beside one another would be one.
    pieces = [f"`{part}`" if number % 2 else _inert(part) or "&#8203;" for number, part in enumerate(parts)]
    return _begun("".join(pieces).removeprefix("&#8203;").removesuffix("&#8203;"))


def _inert(shown: str) -> str:
    broken = _COMMIT.sub(lambda found: _BREAK.join(re.findall(".{1,6}", found[0])), shown)
    return _LINKS.sub(_BREAK, broken).translate(_MARKUP)


def _begun(inert: str) -> str:
    return _BEGINNING.sub(lambda found: f"{found[1]}&#{ord(found[2])};", inert, count=1)


def clip(text: str, longest: int = _LONGEST_TEXT) -> str:
    """`text`, or its beginning and how long it is."""
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text)} characters)"


def hinted(hint: str | None) -> str:
    """A hint, to be put behind a sentence; "" for none."""
    return f" *Hint:* {prose(hint)}" if hint else ""


def names(found: Iterable[str], shown: int = _SHOWN_NAMES) -> str:
    """Names as code spans: the first ones, and how many more."""
    listed = list(found)
    more = f" and {len(listed) - shown} more" if len(listed) > shown else ""
    return ", ".join(map(code, listed[:shown])) + more


def yaml_block(text: str) -> str:
    """YAML to be pasted, as a block in a list item; a remark in its place if it could imitate a marker or a command."""
    if re.search(r"<!--|##\[|^\s*::", text, re.MULTILINE):
        return "  (in the text of the plan)"
    lines = [f"  {visible(line)}" for line in text.splitlines()]
    fence = "  " + "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return "\n".join([f"{fence}yaml", *lines, fence])


def row(*cells: str) -> str:
    """One row of a table, of Markdown."""
    return f"| {' | '.join(cells)} |"


def marker(kind: str, **fields: str | None) -> str:
    """An HTML comment with which a body begins, so that a program finds the comment that it wrote before."""
    words = [f"{name}={_word(value)}" for name, value in fields.items() if value is not None]
    return f"<!-- {' '.join([f'toolkit:{kind}', *words])} -->"


def _word(value: str) -> str:
    # Two hyphens may end an HTML comment.
    return quote(value, safe="/", errors="replace").replace("--", "-%2D")


@dataclass(frozen=True, slots=True)
class Part:
    """A table or a list which may be cut between its `items`; each of them is one line or several.

    `title` is the text above it, of Markdown without line ends. A folded part opens at a click on its title, which is
    our own words then: it is HTML, and Markdown is not read there. `head` are the first lines of a table. What is left
    out is counted.
    """

    title: str
    items: Sequence[str]
    head: Sequence[str] = ()
    is_folded: bool = False

    def lines(self, count: int) -> list[str]:
        """With its first `count` items; none if it has no items at all."""
        if not self.items:
            return []
        left = len(self.items) - count
        before = [f"<details><summary>{self.title}</summary>", ""] if self.is_folded else [self.title, ""]
        after = ["", "</details>", ""] if self.is_folded else [""]
        if not count:
            return [*before, f"{left} that are left out here", *after]
        more = ["", f"and {left} more"] if left else []
        return [*before, *self.head, *self.items[:count], *more, *after]


def comment(top: Sequence[str], parts: Sequence[Part], longest: int = LONGEST_COMMENT) -> str:
    """The lines `top`, which are always whole, and the `parts` in what is left of the `longest` comment."""
    return "\n".join([*top, *fitted(parts, longest - _size(top))]).rstrip("\n") + "\n"


def fitted(parts: Sequence[Part], room: int) -> list[str]:
    """The lines of all `parts` in at most `room` characters.

    In their order, each part gets up to half of what is left, and then what the others did not need.
    """
    counts = [0] * len(parts)
    room -= sum(map(_size, (part.lines(0) for part in parts)))
    room -= sum(_size(part.head) + len("\nand 10000 more\n") for part in parts)
    for share in (2, 1):
        for number, part in enumerate(parts):
            limit = room - room // share
            for item in part.items[counts[number] :]:
                if room - len(item) - 1 < limit:
                    break
                room -= len(item) + 1
                counts[number] += 1
    return [line for part, count in zip(parts, counts, strict=True) for line in part.lines(count)]


def _size(lines: Iterable[str]) -> int:
    return sum(len(line) + 1 for line in lines)
