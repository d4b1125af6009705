"""`toolkit rollback` from the command line: which options go together, and what it writes."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer.main

from toolkit.cli.app import make_app

MANIFEST = 'version: 1\nname: shop\naws: {region: eu-west-1, account_id: "123456789012"}\nimages: [nginx:1.27]\n'
LOCK = f"""\
lock_version: 1
images:
  docker-hub/library/nginx:1.27:  # the team's favourite
    source: docker.io/library/nginx:1.27
    hold:
      reason: "broken"
    admitted:
      digest: sha256:{"a" * 64}
      first_seen: 2026-11-01T06:00:00Z
      admitted: 2026-11-04T06:00:00Z
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images.yaml").write_text(MANIFEST)
    (tmp_path / "images.lock.yaml").write_text(LOCK)
    return tmp_path


def run(*arguments: str) -> int:
    command = typer.main.get_command(make_app(["rollback", "schema"]))
    return int(command.main(["rollback", *arguments]))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), "usage"),
        (("nginx:1.27",), "usage.reason"),
        (("nginx:1.27", "--reason", "  "), "usage.reason"),
        (("nginx:1.27", "--release", "--reason", "better"), "usage.release"),
        (("nginx:1.27", "--release", "--to", "aaaa"), "usage.release"),
        (("nginx:1.27", "--release", "--until", "3d"), "usage.release"),
        (("nginx:1.26", "--release"), "usage.image"),
    ],
)
def test_refuses_what_makes_no_sense(
    folder: Path, arguments: tuple[str, ...], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 64
    assert f"[{code}]" in capsys.readouterr().err
    assert (folder / "images.lock.yaml").read_text() == LOCK


def test_ends_a_hold_without_asking_anybody(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nginx:1.27", "--release") == 0
    shown = capsys.readouterr().out
    assert "Released" in shown and "it was held: broken" in shown
    text = (folder / "images.lock.yaml").read_text()
    assert "hold" not in text and "# the team's favourite" in text
    assert run("nginx:1.27", "--release") == 0
    assert "stays as it is" in capsys.readouterr().out


def test_knows_nothing_to_go_back_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nginx:1.27", "--reason", "broken") == 7
    assert "[rollback.nothing_before]" in capsys.readouterr().err
