"""The pages that people read, and the commands in them.

Shell in a page is in blocks of ```` ```sh ````, and runs in a test, in the order of the page. Comments in the page's
source say what a reader need not see:

- `<!-- example: NAME -->`: the commands run in a copy of `examples/NAME`; without it, in an empty folder.
- `<!-- setup … -->`: commands that run at this place, for what the reader has already.
- `<!-- not run: REASON -->`: the block below is only parsed.
"""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/**/*.md"),
        *ROOT.glob("terraform_modules/*/README.md"),
    ]
)
# In each of these a reader follows the commands from top to bottom.
FOLLOWED = [ROOT / "README.md", ROOT / "docs/tutorial.md", *sorted(ROOT.glob("docs/how-to/*.md"))]

_PART = re.compile(
    r"<!-- setup\n(?P<setup>.*?)^-->|(?P<not_run><!-- not run: [^\n]+ -->\n)?^```sh\n(?P<shell>.*?)^```",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of shell; `is_run` is whether a test runs them."""

    text: str
    is_run: bool = True


def name_of(page: Path) -> str:
    """The page as tests call it."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """The shell of a page, set-up included."""
    return [
        Block(part["setup"] or part["shell"], is_run=part["not_run"] is None)
        for part in _PART.finditer(page.read_text(encoding="utf-8"))
    ]


def script(page: Path) -> str:
    """What a reader who follows the page types."""
    return "".join(block.text for block in blocks(page) if block.is_run)


def example_of(page: Path) -> Path | None:
    """The folder that the reader is in."""
    found = re.search(r"<!-- example: (\S+) -->", page.read_text(encoding="utf-8"))
    return EXAMPLES / found[1] if found else None


def toolkit_commands(text: str) -> Iterator[list[str]]:
    """Every `toolkit …` of a shell text, as its words."""
    for line in (
        re.sub(r"<<'END'\n.*?^END$", "", text, flags=re.DOTALL | re.MULTILINE).replace("\\\n", " ").splitlines()
    ):
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split, lexer.commenters = True, "#"
        for is_operator, words in itertools.groupby(lexer, lambda word: not word.strip("|&;<>()")):
            command = [] if is_operator else list(words)
            if command[:1] == ["toolkit"]:
                yield command[1:]
