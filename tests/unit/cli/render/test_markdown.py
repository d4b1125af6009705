"""Foreign text in Markdown stays text, whatever it is, and whatever is around it."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.rendered_markdown import RenderedMarkdown
from toolkit.cli.render.lines import visible
from toolkit.cli.render.markdown import Part, code, escape, fitted, marker, names, prose, row, yaml_block

HOSTILE = (
    "| a | b |\n|---|---|",
    "</details>",
    "</summary><h1>",
    "<!-- toolkit:plan name=web region=eu-west-1 -->",
    "-->",
    "@acme/admins",
    "me@example.com",
    "#1 fixes #2 acme/web#3 GH-4 !5 acme@deadbeef",
    "deadbeefcafe",
    "https://example.com www.example.com [x](y) ![x](y) <https://z> [x]: y",
    "`",
    "``` a `` b `",
    "\\",
    "\\|",
    "a\\`b",
    "**bold** __x__ ~~y~~ $x$ $`y`$",
    "- list",
    "1. list",
    "# heading",
    "> quote",
    "/merge",
    "    indented",
    "---",
    "===",
    "&amp; &#64;x &lt;b&gt;",
    "##[add-mask]x",
    "::add-mask::x",
    "a\u202eb\x1b[31m",
    "",
    " ",
)
foreign = st.sampled_from(HOSTILE) | st.text(max_size=30) | st.text("`|<>@#\\[]()!-*_~$&:/1a ", max_size=20)
foreign_texts = st.lists(foreign, min_size=1, max_size=3).map("".join)
ways = pytest.mark.parametrize("way", [escape, code, prose])


@ways
@given(text=foreign_texts, other=foreign_texts)
def test_text_is_nothing_but_text_in_a_table_a_list_and_a_line(way, text: str, other: str) -> None:  # type: ignore[no-untyped-def]
    body = (
        f"{way(text)}\n\n{row('a', 'b')}\n|---|---|\n{row(way(text + other), 'end')}\n\n- {way(text)}\n- {way(other)}\n"
    )
    shown = RenderedMarkdown(body)
    assert shown.faults == []
    assert shown.tables == [[2, 2]]
    assert shown.cells[-1] == "end"
    assert shown.html.count("<li>") == 2
    assert shown.comments == []
    assert "<!--" not in body
    assert "##[" not in body
    assert not re.search(r"(?m)^\s*(/|::)", body)


@ways
@pytest.mark.parametrize("text", [text for text in HOSTILE if text.strip()])
def test_text_can_still_be_read(way, text: str) -> None:  # type: ignore[no-untyped-def]
    shown = RenderedMarkdown(way(text)).text
    # Backticks of a sentence become code spans, and blanks beside them go.
    ignored = "`\u200b \n" if way is prose else "\u200b\n"
    assert shown.translate(dict.fromkeys(map(ord, ignored))) == visible(text).strip().translate(
        dict.fromkeys(map(ord, ignored))
    )


@given(foreign_texts, foreign_texts)
@example("0", "deadbeefcafe|")
def test_names_between_backticks_become_code(one: str, other: str) -> None:
    shown = RenderedMarkdown(prose(f"`nginx:1.27` is {one}`{other}`"))
    assert shown.faults == []


def test_an_image_is_a_code_span_to_be_copied_as_it_is() -> None:
    assert code("quay.io/acme/web@sha256:abc") == "`quay.io/acme/web@sha256:abc`"
    assert names(["a", "b", "c"], 2) == "`a`, `b` and 1 more"


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_marker_is_one_comment_of_one_line(name: str, region: str) -> None:
    line = marker("plan", name=name, region=region)
    shown = RenderedMarkdown(f"{line}\nThe verdict.\n")
    assert len(shown.comments) == 1
    assert shown.comments[0].split()[0] == "toolkit:plan"
    assert "--" not in shown.comments[0]
    assert shown.html.endswith("<p>The verdict.</p>\n")


def test_a_marker_can_be_read() -> None:
    assert (
        marker("scan", manifest="infra/images.yaml", build=None) == "<!-- toolkit:scan manifest=infra/images.yaml -->"
    )


@given(foreign_texts)
def test_yaml_to_be_pasted_stays_in_its_block(text: str) -> None:
    shown = RenderedMarkdown(f"- x:\n\n{yaml_block(text)}\n\nend\n")
    assert shown.faults == []
    assert shown.html.endswith("<p>end</p>\n")


@given(
    st.lists(st.tuples(st.lists(st.text("x", min_size=1, max_size=60), max_size=40), st.booleans()), max_size=5),
    st.integers(600, 3000),
)
def test_parts_fit_and_say_what_they_leave_out(contents: list[tuple[list[str], bool]], room: int) -> None:
    parts = [
        Part("title", [row(text) for text in items], (row("head"), "|---|"), is_folded) for items, is_folded in contents
    ]
    lines = fitted(parts, room)
    text = "\n".join(lines)
    assert len(text) <= room
    shown = RenderedMarkdown(text)
    assert shown.faults == []
    listed = sum(len(table) - 1 for table in shown.tables)
    left = sum(
        int(number)
        for number in re.findall(r"and (\d+) more|(\d+) that are left out", text)
        for number in number
        if number
    )
    assert listed + left == sum(len(items) for items, _ in contents)


def test_a_long_part_leaves_room_for_the_others() -> None:
    lines = fitted([Part("long", ["x" * 50] * 1000), Part("short", ["y"] * 3)], 2000)
    assert lines.count("y") == 3
    assert 1500 < len("\n".join(lines)) <= 2000
