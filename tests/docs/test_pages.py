"""What the pages say is what the code does, where the two can be compared."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML

from tests.docs.pages import PAGES, ROOT, blocks, name_of, toolkit_commands
from toolkit import errors
from toolkit.cli.app import make_app
from toolkit.cli.main import COMMANDS
from toolkit.manifest.loader import loads
from toolkit.manifest.model import Manifest
from toolkit.manifest.tag_selection import TagSelectionSpec

DOCS = ROOT / "docs"
every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def exit_codes() -> set[int]:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.ToolkitError)]
    return {kind.exit_code for kind in kinds} | {0, 2, 8}


def test_explains_every_exit_code() -> None:
    assert {
        int(code) for code in re.findall(r"^\| (\d+) \|", text_of("docs/reference/exit-codes.md"), re.MULTILINE)
    } == exit_codes()


def test_names_every_exit_code_in_the_help() -> None:
    epilog = make_app(COMMANDS).info.epilog or ""
    assert {int(code) for code in re.findall(r"^ *(\d+) ", epilog, re.MULTILINE)} == exit_codes()


def test_explains_every_variable_that_the_code_reads() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "toolkit").rglob("*.py"))
    read = set(re.findall(r'"(TOOLKIT_(?!ECR_)[A-Z_]+)"', sources))
    documented = set(re.findall(r"`(TOOLKIT_[A-Z_]+)`", text_of("docs/reference/files-and-variables.md")))
    assert read <= documented, read - documented


def test_shows_the_manifest_of_the_quickstart_as_it_is() -> None:
    shown = re.search(r"<!-- quickstart -->\n```yaml\n(.*?)```\n<!-- /quickstart -->", text_of("README.md"), re.DOTALL)
    assert shown
    assert shown[1] == text_of("examples/quickstart/images.yaml")


def test_explains_every_field_of_a_selection() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", text_of("docs/how-to/select-tags.md"), re.MULTILINE)
    assert set(rows) == set(TagSelectionSpec.model_fields)


def test_keeps_the_front_page_short() -> None:
    assert len(text_of("README.md").splitlines()) <= 150


@every_page
def test_shows_manifests_that_are_valid(page: Path) -> None:
    for shown in re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        needed = {"version": "1", "name": "page", "aws": "{region: eu-west-1}", "images": "[]"}
        given = YAML(typ="safe", pure=True).load(shown)
        missing = "".join(f"{key}: {value}\n" for key, value in needed.items() if key not in given)
        loads(f"{missing}{shown}", name_of(page))


@every_page
def test_shows_commands_that_are_understood(page: Path) -> None:
    group: Any = typer.main.get_command(make_app(COMMANDS))
    for block in blocks(page):
        for words in toolkit_commands(block.text):
            command, rest = group, words
            while hasattr(command, "commands"):
                command, rest = command.commands[rest[0]], rest[1:]
            command.make_context(words[0], list(rest))  # fails for an option or a value that there is not


@every_page
def test_names_files_and_tests_that_are_there(page: Path) -> None:
    names = re.findall(
        r"`((?:tests|toolkit|docs|examples|terraform_modules)/[\w./-]+|test_\w+(?:\.py)?)`",
        page.read_text(encoding="utf-8"),
    )
    sources = [*ROOT.glob("tests/**/test_*.py")] if names else []
    tests = {
        name
        for path in sources
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    known = tests | {path.name for path in sources} | Manifest.model_fields.keys()
    assert [name for name in names if name not in known and not (ROOT / name).exists()] == []


@every_page
def test_links_to_what_is_there(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
