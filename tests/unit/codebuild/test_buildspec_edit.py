"""Putting the step into a developer's buildspec and taking it out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.support.buildspecs import SHAPES, USUAL, is_insertion
from tests.support.golden import assert_golden
from toolkit.codebuild.buildspec_edit import commands_of, insert_step, remove_step
from toolkit.errors import Refused

STEP = "set -eu\n\nsay 'a: b # c'\n  indented\n"

ONE_STEP = "  # toolkit: begin\n  # toolkit: end\n"


def _load(text: str) -> dict[str, dict[str, dict[str, list[str]]]]:
    loaded: dict[str, dict[str, dict[str, list[str]]]] = YAML(typ="safe", pure=True).load(text)
    return loaded


def _insert(text: str, step: str = STEP) -> str:
    return insert_step(text, step, "web", file="buildspec.yml")


@pytest.mark.parametrize("name", SHAPES)
def test_puts_the_step_first_and_changes_nothing_else(name: str) -> None:
    text = SHAPES[name]
    made = _load(_insert(text))
    assert made["phases"]["pre_build"]["commands"][0] == STEP
    del made["phases"]["pre_build"]["commands"][0]
    wanted = _load(text)
    pre_build = wanted["phases"]["pre_build"] = wanted["phases"].get("pre_build") or {}
    pre_build["commands"] = pre_build.get("commands") or []
    assert made == wanted
    assert is_insertion(_insert(text), text)


@pytest.mark.parametrize("name", SHAPES)
def test_taking_it_out_gives_the_file_back_byte_for_byte(name: str) -> None:
    assert remove_step(_insert(SHAPES[name]), file="f") == SHAPES[name]


@pytest.mark.parametrize("name", SHAPES)
def test_replaces_an_older_step(name: str) -> None:
    once = _insert(SHAPES[name])
    assert _insert(once) == once
    assert _insert(_insert(SHAPES[name], "old\n")) == once


def test_the_text_is_as_reviewed() -> None:
    assert_golden("buildspec/inserted.yml", _insert(USUAL))


def test_line_ends_are_those_of_the_file() -> None:
    made = _insert(SHAPES["windows"])
    assert made.count("\n") == made.count("\r\n") > 5


def test_a_file_without_the_step_stays_as_it_is() -> None:
    assert remove_step(USUAL, file="f") == USUAL


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "buildspec.yml:1: is not a buildspec: it has no `phases`"),
        ("- a\n", "buildspec.yml:1: is not a buildspec: it has no `phases`"),
        ("version: 0.2\n", "buildspec.yml:1: is not a buildspec: it has no `phases`"),
        (
            "version: 0.2\nphases: {build: {commands: [a]}}\n",
            "buildspec.yml:2: `phases` is not a mapping with a line for",
        ),
        ("phases:\n  pre_build: {commands: [a]}\n", "buildspec.yml:2: `pre_build` is not a mapping with a line for"),
        (
            "phases:\n  pre_build:\n    commands: [a]\n",
            "buildspec.yml:3: `commands` is not a plain list with a line for each",
        ),
        (
            "phases:\n  pre_build:\n    commands: make\n",
            "buildspec.yml:3: `commands` is not a plain list with a line for each",
        ),
        (
            "phases:\n  install:\n    commands: &x\n      - a\n  pre_build:\n    commands: *x\n",
            "buildspec.yml:6: `commands` is not a plain list with a line for each",
        ),
        (
            "phases:\n  pre_build: ''\n  build:\n    commands: [a]\n",
            "buildspec.yml:2: `pre_build` is not a mapping with",
        ),
        ("phases:\n  pre_build:\n    commands: ~\n", "buildspec.yml:3: `commands` is not a plain list"),
        ("phases:\n  pre_build:\n    commands: [\n    ]\n", "buildspec.yml:3: `commands` is not a plain list"),
        ("phases:\n  pre_build:\n    commands: &x\n      - a\n", "buildspec.yml:3: `commands` is not a plain list"),
        ("phases:\n  install: &x\n    commands:\n      - a\n  pre_build: *x\n", "buildspec.yml:4: the step here would"),
        ("x: &x\n  commands: 5\nphases:\n  pre_build:\n    <<: *x\n", "buildspec.yml:5: the step here would change"),
        ("x: &x\n  phases:\n    build:\n      commands: [a]\n<<: *x\n", "buildspec.yml:1: `phases` is not a mapping"),
        ("phases:\r  pre_build:\r    commands:\r      - a\r", "buildspec.yml:4: the step here would change"),
        ("? phases\n: ? pre_build\n  : ? commands\n    : - a\n", "buildspec.yml:4: there is no room for lines before"),
        ("phases:\n  a: b: c\n", "buildspec.yml:2: a `:` is not allowed here"),
        ("phases:\n\tbuild:\n", "buildspec.yml:2: a tab stands where only spaces may"),
        ("phases: {}\n---\nphases: {}\n", "buildspec.yml:2: there is a second YAML document"),
        ("phases: {}\n# \x07\n", "buildspec.yml:2: the character U+0007 is not allowed in YAML"),
        (
            "phases:\n  build:\n    commands:\n      - !Ref a\n  build:\n    commands: [b]\n",
            "buildspec.yml:4: phases.build.commands[0]: the YAML tag `!Ref` has no meaning here: remove it; "
            "buildspec.yml:5: phases.build: `build` is given twice: line 2 has it too",
        ),
        (
            f"phases:\n{ONE_STEP}  build:\n    commands: [a]\n    # toolkit: begin\n",
            "buildspec.yml:6: one of the two comments",
        ),
        ("phases:\n  # toolkit: begin\n  build:\n    commands: [a]\n", "buildspec.yml:2: one of the two comments"),
        ("phases:\n  build:\n    commands: [a]\n    # toolkit: end\n", "buildspec.yml:4: one of the two comments"),
    ],
)
def test_refuses_a_buildspec_without_a_place(text: str, said: str) -> None:
    with pytest.raises(Refused) as refusal:
        _insert(text)
    assert refusal.value.message.startswith(said)
    assert refusal.value.hint


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("commands", ["commands: []", "commands:  [ ]  # none yet ", "commands:", "commands: # none"])
@pytest.mark.parametrize("behind", [None, "", "  build:|    commands: [a]|", "    finally:|      - a"])
def test_a_list_without_commands_gets_the_step_and_comes_back(commands: str, behind: str | None, ending: str) -> None:
    text = f"phases:|  pre_build:|    # why|    {commands}{'' if behind is None else '|' + behind}".replace("|", ending)
    made = _insert(text)
    assert _load(made)["phases"]["pre_build"]["commands"] == [STEP]
    assert _insert(made, "new\n") == _insert(text, "new\n")
    assert remove_step(made, file="f") == text


def test_the_commands_of_every_phase_are_found() -> None:
    text = "phases:\n  install:\n    commands: [a, {b: c}]\n  build:\n    commands: [d]\n    finally: [e]\n  x: y\n"
    assert commands_of(text, file="f") == ("a", "d", "e")


comment = st.sampled_from(["", "\n", "# x\n", "      # y\n", "  # z\n", "    # toolkit\n"])


@given(parts=st.lists(comment, min_size=8, max_size=8), has_end=st.booleans())
def test_comments_and_empty_lines_anywhere_come_back(parts: list[str], has_end: bool) -> None:
    lines = [
        "version: 0.2\n",
        "phases:\n",
        "  pre_build:\n",
        "    commands:\n",
        "      - a\n",
        "      - b\n",
        "  build:\n",
    ]
    text = "".join(part + line for part, line in zip(parts, lines, strict=False)) + "    commands: [c]"
    text += "\n" + parts[-1] if has_end else ""
    made = _insert(text)
    assert _load(made)["phases"]["pre_build"]["commands"] == [STEP, "a", "b"]
    assert remove_step(made, file="f") == text
