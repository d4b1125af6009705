"""`toolkit render` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from toolkit.cli.app import make_app

MANIFEST = "version: 1\nname: shop\naws: {region: eu-west-1}\nimages: [nginx:1.16]\n"


def run(*arguments: str) -> int:
    command = typer.main.get_command(make_app(["render", "schema"]))
    return int(command.main(["render", *arguments]))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images.yaml").write_text(MANIFEST)
    return tmp_path


def test_the_input_of_the_module_is_one_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "infra").mkdir()
    (folder / "infra" / "main.tf").write_text("# ours\n")
    assert run("--module", "--out", "infra/base-images.json", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["module_input"] == {"file": "infra/base-images.json"}
    assert sorted(path.name for path in (folder / "infra").iterdir()) == ["base-images.json", "main.tf"]
    assert run("--out", "root") == 0
    assert (folder / "infra/base-images.json").read_text() == (folder / "root/base-images.json").read_text()


def test_a_folder_is_no_file_for_the_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "infra").mkdir()
    assert run("--module", "--out", "infra") == 7
    assert "`infra` cannot be written: Is a directory" in capsys.readouterr().err
