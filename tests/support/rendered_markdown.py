"""A comment as GitHub shows it: rendered by its own parser, cmark-gfm, and searched for what its site makes of text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import cmarkgfm
from cmarkgfm.cmark import Options

# What the sites link in text that is in no code: people and teams, issues, merge requests, commits.
_REFERENCES = re.compile(r"(?:^|\W)@\w|(?:^|\W|\w)[#!]\d|GH-\d|\b(?=\d*[a-f])[0-9a-f]{7,40}\b|\$\S", re.IGNORECASE)
_ALLOWED = {"p", "table", "thead", "tbody", "tr", "th", "td", "code", "pre", "details", "summary", "ul", "li"}
_ALLOWED |= {"strong", "em", "br", "span"}


class RenderedMarkdown(HTMLParser):
    """`tables` are the numbers of cells of each table's rows, `faults` what text has become that should be text only."""

    def __init__(self, markdown: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = cmarkgfm.github_flavored_markdown_to_html(markdown, Options.CMARK_OPT_UNSAFE)
        self.tables: list[list[int]] = []
        self.cells: list[str] = []
        self.comments: list[str] = []
        self.faults: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(self.html)
        self.close()
        self.faults += [f"<{tag}> stays open" for tag in self._open]

    @property
    def details(self) -> int:
        return self.html.count("<details>")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _ALLOWED:
            self.faults.append(f"<{tag} {attrs}>")
        if tag == "br":
            return
        self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append(0)
        elif tag in ("td", "th"):
            self.tables[-1][-1] += 1
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> closes another")

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def handle_data(self, data: str) -> None:
        self.text += data
        if {"td", "th"} & set(self._open):
            self.cells[-1] += data
        is_code = "code" in self._open or "pre" in self._open
        # A dollar stands in an element of its own.
        if not is_code and self._open[-1:] != ["span"] and (found := _REFERENCES.search(data)):
            self.faults.append(f"reference: {found[0]!r} in {data!r}")
