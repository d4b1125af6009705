"""What README says is what the code does, where the two can be compared."""

from __future__ import annotations

import inspect
import itertools
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from toolkit import errors
from toolkit.cli.app import make_app
from toolkit.cli.main import COMMANDS
from toolkit.manifest.build_model import BuildProjectSpec
from toolkit.manifest.loader import loads
from toolkit.manifest.tag_selection import TagSelectionSpec

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def exit_codes() -> set[int]:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.ToolkitError)]
    return {kind.exit_code for kind in kinds} | {0, 2, 8}


def test_the_table_of_exit_codes_is_complete() -> None:
    rows = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert rows == exit_codes()


def test_help_names_every_exit_code() -> None:
    assert {
        int(code) for code in re.findall(r"(?<![\w-])(\d+) +[A-Za-z]", make_app(COMMANDS).info.epilog or "")
    } == exit_codes()


def test_every_command_is_in_the_table() -> None:
    group = typer.main.get_command(make_app(COMMANDS))
    for name in group.commands:  # type: ignore[attr-defined]
        assert re.search(rf"^\| `toolkit {name}\b", README, re.MULTILINE), name


def test_every_variable_that_the_options_read_is_in_the_table() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "toolkit").rglob("*.py"))
    read = set(re.findall(r'"(TOOLKIT_(?!ECR_)[A-Z_]+)"', sources))
    documented = set(re.findall(r"`(TOOLKIT_[A-Z_]+)`", README))
    assert read <= documented, read - documented


def test_the_quickstart_manifest_is_shown_as_it_is() -> None:
    shown = re.search(r"<!-- quickstart -->\n```yaml\n(.*?)```\n<!-- /quickstart -->", README, re.DOTALL)
    assert shown
    assert shown[1] == (ROOT / "examples" / "quickstart" / "images.yaml").read_text()


def test_the_selections_that_are_shown_are_valid_and_every_field_is_explained() -> None:
    section = README.partition("### Selecting tags")[2].partition("\n### ")[0]
    shown = section.partition("```yaml\n")[2].partition("```")[0]
    loads(f"version: 1\nname: readme\naws: {{region: eu-west-1}}\n{shown}", "README.md")
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(TagSelectionSpec.model_fields)


def test_every_field_of_a_build_is_named() -> None:
    assert [field for field in BuildProjectSpec.model_fields if f"`{field}`" not in README] == []


def test_relative_links_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("examples/**/*.md"), *ROOT.glob("terraform_modules/*/README.md")]:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")])


def command_lines(text: str) -> list[list[str]]:
    """Every `toolkit …` in the shell blocks of a page, as its words."""
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)).replace("\\\n", " ")
    found: list[list[str]] = []
    for line in blocks.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split, lexer.commenters = True, "#"
        for is_operator, words in itertools.groupby(lexer, lambda word: not word.strip("|&;<>()")):
            command = [] if is_operator else list(words)
            if command[:1] == ["toolkit"]:
                found.append(command[1:])
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_that_is_shown_is_understood(page: Path) -> None:
    group: Any = typer.main.get_command(make_app(COMMANDS))
    for words in command_lines(page.read_text()):
        command, rest = group, words
        while hasattr(command, "commands"):
            command, rest = command.commands[rest[0]], rest[1:]
        command.make_context(words[0], list(rest))  # fails for an option or a value that there is not
