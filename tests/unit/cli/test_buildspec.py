"""`toolkit buildspec` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from tests.support.buildspecs import SHAPES, is_insertion
from toolkit.cli.app import make_app
from toolkit.codebuild.buildspec import render_buildspec
from toolkit.manifest.loader import load
from toolkit.plan.resolve import resolve

MANIFEST = """\
version: 1
name: shop
aws: {region: eu-west-1, account_id: "123456789012"}
images: [nginx:1.16]
builds:
  - name: web
    source: {type: GITHUB, location: "https://github.com/acme/web.git"}
    images: [nginx:1.16]
"""
BUILDSPEC = "version: 0.2\nphases:\n  build:\n    commands: # ours\n      - docker build -t company/base .\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images.yaml").write_text(MANIFEST)
    (tmp_path / "buildspec.yml").write_text(BUILDSPEC)
    return tmp_path


def run(*arguments: str) -> int:
    command = typer.main.get_command(make_app(["buildspec", "schema"]))
    return int(command.main(["buildspec", *arguments]))


def test_the_buildspec_is_that_of_the_rendered_project(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("web") == 0
    desired = resolve(load(folder / "images.yaml"))
    assert capsys.readouterr().out == render_buildspec(desired.builds[0], region="eu-west-1", account_id="123456789012")


def test_a_fragment_is_the_step_alone_also_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("web", "--fragment") == 0
    text = capsys.readouterr().out
    assert text.startswith("set +x +C -eu\nunset IFS\n")
    assert run("shop-web", "--fragment", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["buildspec"] == {"project": "shop-web", "text": text}


def test_a_build_with_a_buildspec_of_its_source_has_no_text_of_ours(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "images.yaml").write_text(f"{MANIFEST}    buildspec: buildspec.yml\n")
    assert run("web") == 7
    assert "hint: insert the step with `--into buildspec.yml`" in capsys.readouterr().err
    assert run("web", "--fragment") == 0
    assert run("web", "--into", "buildspec.yml") == 0


@pytest.mark.parametrize(("strategy", "code"), [("contexts", 7), ("direct", 7), ("auto", 0), ("retag", 0)])
def test_refuses_version_0_1_for_a_strategy_that_exports(
    folder: Path, capsys: pytest.CaptureFixture[str], strategy: str, code: int
) -> None:
    (folder / "images.yaml").write_text(f"{MANIFEST}    strategy: {strategy}\n")
    (folder / "buildspec.yml").write_text(text := BUILDSPEC.replace("0.2", "0.1"))
    assert run("web", "--into", "buildspec.yml") == code
    assert ("buildspec.yml:1: version 0.1 runs each command in a shell of its own" in capsys.readouterr().err) == (
        code == 7
    )
    assert ((folder / "buildspec.yml").read_text() == text) == (code == 7)


def test_the_step_goes_into_a_file_and_comes_out_of_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "buildspec.yml"
    file.chmod(0o640)
    assert run("web", "--into", "buildspec.yml", "--check") == 7
    assert file.read_text() == BUILDSPEC
    assert run("web", "--into", "buildspec.yml") == 0
    made = file.read_text()
    assert "company/base" in made.partition("each_built() {")[2].partition("}")[0]
    assert file.stat().st_mode & 0o777 == 0o640
    assert run("web", "--into", "buildspec.yml", "--check") == 0
    assert run("web", "--into", "buildspec.yml") == 0
    assert "nothing to change" in capsys.readouterr().out
    assert file.read_text() == made
    assert run("web", "--into", "buildspec.yml", "--remove") == 0
    assert file.read_text() == BUILDSPEC
    assert sorted(path.name for path in folder.iterdir()) == ["buildspec.yml", "images.yaml"]


@pytest.mark.parametrize("shape", SHAPES)
def test_whatever_a_file_is_like_it_gets_the_step_once_and_comes_back_byte_for_byte(folder: Path, shape: str) -> None:
    text = SHAPES[shape].encode()
    file = folder / "odd.yml"
    file.write_bytes(text)
    assert run("web", "--into", "odd.yml", "--check") == 7
    assert run("web", "--into", "odd.yml", "--remove", "--check") == 0
    assert file.read_bytes() == text
    assert run("web", "--into", "odd.yml") == 0
    made = file.read_bytes()
    assert is_insertion(made.decode(), text.decode())
    assert run("web", "--into", "odd.yml", "--check") == 0
    assert run("web", "--into", "odd.yml") == 0
    assert file.read_bytes() == made
    assert run("web", "--into", "odd.yml", "--remove") == 0
    assert file.read_bytes() == text


@pytest.mark.parametrize("manifest", [MANIFEST.replace("name: web", "name: api"), "no manifest", None])
def test_the_step_comes_out_of_a_file_whatever_the_manifest_says_by_now(
    folder: Path, capsys: pytest.CaptureFixture[str], manifest: str | None
) -> None:
    assert run("web", "--into", "buildspec.yml") == 0
    made = (folder / "buildspec.yml").read_text()
    (folder / "images.yaml").unlink()
    if manifest is not None:
        (folder / "images.yaml").write_text(manifest)
    assert run("web", "--into", "buildspec.yml", "--remove", "--check") == 7
    assert "error: `buildspec.yml` would change [buildspec.out_of_date]\n" in capsys.readouterr().err
    assert (folder / "buildspec.yml").read_text() == made
    assert run("web", "--into", "buildspec.yml", "--remove") == 0
    assert "the step was taken out of buildspec.yml" in capsys.readouterr().out
    assert (folder / "buildspec.yml").read_text() == BUILDSPEC


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("- !Ref b", "buildspec.yml:6: phases.build.commands[1]: the YAML tag `!Ref` has no meaning here"),
        ("commands: [a]", "buildspec.yml:6: not valid YAML"),
        ("# \x07", "buildspec.yml:6: the character U+0007 is not allowed in YAML"),
        ("# \udcff", "buildspec.yml:6: the byte 0xFF is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_with_its_line(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, said: str
) -> None:
    text = f"{BUILDSPEC}      {command}\n".encode(errors="surrogateescape")
    (folder / "buildspec.yml").write_bytes(text)
    assert run("web", "--into", "buildspec.yml") == 7
    error = capsys.readouterr().err
    assert said in error
    assert "\nhint: " in error
    assert (folder / "buildspec.yml").read_bytes() == text


def test_a_link_stays_a_link(folder: Path) -> None:
    (folder / "link.yml").symlink_to("buildspec.yml")
    assert run("web", "--into", "link.yml") == 0
    assert (folder / "link.yml").is_symlink()
    assert (folder / "buildspec.yml").read_text() != BUILDSPEC


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nobody"], 64, "the manifest has no build `nobody` [buildspec.unknown_project]\nhint: it has `web`"),
        (["web", "--remove"], 64, "need `--into FILE`"),
        (["web", "--check"], 64, "need `--into FILE`"),
        (["web", "--into", "buildspec.yml", "--fragment"], 64, "keep one"),
        (["web", "--into", "absent.yml"], 64, "there is no file `absent.yml`"),
        (["web", "--into", "."], 64, "`.` cannot be read"),
        (["web", "--into", "images.yaml"], 7, "images.yaml:1: is not a buildspec: it has no `phases`"),
        ([], 64, "Missing argument 'BUILD'"),
    ],
)
def test_what_makes_no_sense_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    assert run(*arguments) == code
    assert said in capsys.readouterr().err
    assert (folder / "buildspec.yml").read_text() == BUILDSPEC
