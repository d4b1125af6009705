"""`toolkit scan` and `toolkit init` as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.scanned_project import FILES, write_project
from tests.support.toolkit_run import Finished, Toolkit
from toolkit.cli.app import make_app

MANIFEST = "version: 1\nname: shop\naws: {region: eu-west-1}\nimages:\n  - nginx:1.16 # kept\n"


class Program:
    """The program in this process, which is quicker than one of its own; it runs in `folder`."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def run(self, *arguments: str) -> Finished:
        code = make_app(["scan", "init", "validate"])(list(arguments))
        return Finished(code, *self._capsys.readouterr())


Start = Callable[[Mapping[str, str]], Program]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Start:
    for name in [name for name in os.environ if name.startswith(("AWS_", "TOOLKIT_"))]:
        monkeypatch.delenv(name)

    def begin(files: Mapping[str, str]) -> Program:
        monkeypatch.chdir(write_project(tmp_path, files))
        return Program(tmp_path, capsys)

    return begin


@pytest.fixture
def clean(start: Start) -> Program:
    return start({"Dockerfile": "FROM nginx:1.16\n", "images.yaml": MANIFEST})


@pytest.fixture
def messy(start: Start) -> Program:
    return start(FILES)


def test_the_installed_program_has_both_commands(tmp_path: Path) -> None:
    toolkit = Toolkit(write_project(tmp_path / "shop", {"web/Dockerfile": "FROM nginx:1.16\n"}))
    toolkit.run("init", "--region", "eu-west-1").expect(0)
    toolkit.run("scan", "--check", ".").expect(0)


def test_a_check_passes_where_every_build_stays_home(clean: Program) -> None:
    done = clean.run("scan", "--check", ".").expect(0)
    assert done.stdout.endswith("strategy auto, Docker 28.5.2: 1 use of images, 1 from ECR.\n")
    assert not done.stderr


def test_a_check_fails_with_what_would_be_reached_and_where(messy: Program) -> None:
    messy.run("scan", ".").expect(0)
    done = messy.run("scan", "--check", ".").expect(7)
    assert "web/Dockerfile" in done.stdout
    assert "error: builds would still reach docker.io (2 uses), quay.io (1 use); " in done.stderr
    assert "1 line not understood: api/Dockerfile:2, " in done.stderr
    assert "hint: `toolkit scan --write` adds what is missing" in done.stderr


def test_stdout_is_the_format_that_was_asked_for_also_when_a_check_fails(messy: Program) -> None:
    document = messy.run("scan", "--check", "--format", "json", ".").expect(7).document
    assert document["error"]["code"] == "scan.not_kept_home"
    assert document["scan"]["images"]
    sarif = messy.run("scan", "--check", "--format", "sarif", ".").expect(7)
    assert json.loads(sarif.stdout)["version"] == "2.1.0"
    assert messy.run("scan", "--check", "--format", "markdown", ".").expect(7).stdout.startswith("<!-- toolkit:scan ")
    lines = messy.run("scan", "--format", "json-lines", ".").expect(0).stdout.splitlines()
    assert json.loads(lines[-1])["type"] == "run_finished"


def test_a_file_with_a_syntax_error_fails_a_check(start: Start) -> None:
    toolkit = start({"Dockerfile": "FROM nginx:1.16\nRUNN ls\n", "images.yaml": MANIFEST})
    assert "Dockerfile:2" in toolkit.run("scan", "--check", ".").expect(7).stderr


def test_write_adds_what_is_missing_and_nothing_the_second_time(start: Start) -> None:
    files = {"Dockerfile": "FROM nginx:1.16\nFROM node:20\n", "images.yaml": MANIFEST}
    toolkit = start(files)
    toolkit.run("scan", "--write", "--check", ".").expect(0)
    assert Path("images.yaml").read_text() == MANIFEST + "  - node:20\n"
    toolkit.run("scan", "--write", "--check", ".").expect(0)
    assert Path("images.yaml").read_text() == MANIFEST + "  - node:20\n"


def test_without_a_manifest_nothing_is_mirrored_and_one_that_is_named_has_to_be_there(start: Start) -> None:
    toolkit = start({"Dockerfile": "FROM nginx:1.16\n"})
    assert "against no manifest" in toolkit.run("scan", ".").expect(0).stdout
    toolkit.run("scan", "--manifest", "other.yaml", ".").expect(3)
    toolkit.run("scan", "--manifest", "images.yaml", ".").expect(3)
    toolkit.run("scan", "--write", ".").expect(3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "."), "there is no `nowhere`"),
        (("--build-arg", "X", "--build-arg", "=Y", "."), "not `X`, `=Y`"),
        (("--machine", "amd64", "."), "--machine: `amd64` is no platform"),
        (("--docker", "new", "."), "--docker: `new` is no version"),
        (("--strategy", "hope", "."), "hope"),
        ((), "PATH"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(clean: Program, arguments: tuple[str, ...], message: str) -> None:
    assert message in clean.run("scan", *arguments).expect(64).stderr


def test_values_and_the_strategy_are_options(messy: Program) -> None:
    arguments = ("--build-arg", "PYTHON=3.12", "--strategy", "retag", "--docker", "20.10", "--format", "json")
    document = messy.run("scan", *arguments, "api").expect(0).document["scan"]
    assert document["images"][0]["reference"] == "docker.io/library/python:3.12-slim"
    assert (document["strategy"], document["docker_version"]) == ("retag", "20.10")


def test_a_build_of_the_manifest_is_asked_for_by_its_name(start: Start) -> None:
    build = "  - {name: web, source: {type: NO_SOURCE}, commands: [x], images: [nginx:1.16], strategy: retag}\n"
    manifest = f"{MANIFEST}  - node:20\nbuilds:\n{build}"
    toolkit = start({"Dockerfile": "FROM nginx:1.16\nCOPY --from=node:20 /a /b\n", "images.yaml": manifest})
    toolkit.run("scan", "--check", ".").expect(0)
    done = toolkit.run("scan", "--check", "--build", "web", ".").expect(7)
    assert "against images.yaml, build web, strategy retag, Docker" in done.stdout
    assert "-> add it to `images` of the build `web`" in done.stdout
    assert toolkit.run("scan", "--build", "web", "--format", "json", ".").document["scan"]["build"] == "web"
    assert "no build `api`" in toolkit.run("scan", "--build", "api", ".").expect(64).stderr
    Path("images.yaml").unlink()
    assert "no manifest that has a build `web`" in toolkit.run("scan", "--build", "web", ".").expect(64).stderr


def test_write_adds_to_the_manifests_own_images_only(start: Start) -> None:
    build = "builds:\n  - {name: web, source: {type: NO_SOURCE}, commands: [x], images: [nginx:1.16]}\n"
    toolkit = start({"Dockerfile": "FROM node:20\n", "images.yaml": MANIFEST + build})
    done = toolkit.run("scan", "--write", "--check", "--build", "web", ".").expect(7)
    assert Path("images.yaml").read_text() == f"{MANIFEST}  - node:20\n{build}"
    assert "-> add it to `images` of the build `web`" in done.stdout


def test_a_miss_ends_the_build_or_comes_from_its_upstream(start: Start) -> None:
    toolkit = start({"Dockerfile": "FROM node:20\n", "images.yaml": MANIFEST})
    assert "refused    1  node:20" in toolkit.run("scan", "--places", ".").expect(0).stdout
    assert "leaves     1  node:20" in toolkit.run("scan", "--places", "--on-miss", "upstream", ".").expect(0).stdout


def test_a_stage_that_no_build_needs_fails_a_check_unless_only_what_is_reached_counts(start: Start) -> None:
    files = {
        "compose.yaml": "services: {web: {build: {context: ., target: dev}}}\n",
        "Dockerfile": "FROM nginx:1.16 AS dev\nFROM node:20 AS production\n",
        "images.yaml": MANIFEST,
    }
    toolkit = start(files)
    done = toolkit.run("scan", "--check", ".").expect(7)
    assert "unreached no build that was found needs its stage" in done.stdout
    assert "1 use in stages that no build needs (--reached-only): Dockerfile:2" in done.stderr
    assert "still reach" not in done.stderr
    verdicts = [one["verdict"] for one in toolkit.run("scan", "--format", "json", ".").document["scan"]["images"]]
    assert verdicts == ["stays", "unreached"]
    assert "image-unreached" in toolkit.run("scan", "--format", "sarif", ".").stdout
    assert "| unreached |" in toolkit.run("scan", "--format", "markdown", ".").stdout
    toolkit.run("scan", "--check", "--reached-only", ".").expect(0)
    toolkit.run("init", "--force").expect(0)
    toolkit.run("scan", "--check", ".").expect(0)


def test_a_first_manifest_is_valid_and_stays(start: Start) -> None:
    toolkit = start({"web/Dockerfile": "FROM nginx:1.16\n"})
    done = toolkit.run("init", "--name", "shop", "--region", "eu-west-1").expect(0)
    assert done.stdout == "images.yaml written: 1 image; next: toolkit validate, toolkit scan .\n"
    assert "images.yaml is valid" in toolkit.run("validate").expect(0).stdout
    toolkit.run("scan", "--check", ".").expect(0)
    assert "`images.yaml` already exists" in toolkit.run("init").expect(7).stderr
    toolkit.run("init", "--force", "--name", "other", "web").expect(0)
    assert "name: other\n" in Path("images.yaml").read_text()


def test_a_parser_is_loaded_only_for_the_files_that_need_it(clean: Program) -> None:
    program = (
        "import sys; from toolkit.cli.app import make_app; app = make_app(['scan']); "
        "heavy = {'dockerfile', 'hcl2', 'ruamel.yaml', 'pydantic', 'boto3'}; print(heavy & set(sys.modules)); "
        "app(['scan', '.']); print({'hcl2', 'boto3', 'jinja2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == done.stdout.splitlines()[-1] == "set()"


def test_commands_that_hide_images_fail_a_strict_check_only(start: Start) -> None:
    commands = "version: 0.2\nphases: {build: {commands: [npm test]}}\n"
    toolkit = start({"Dockerfile": "FROM nginx:1.16\n", "buildspec.yml": commands, "images.yaml": MANIFEST})
    assert "`npm test` runs other commands" in toolkit.run("scan", "--check", ".").expect(0).stdout
    assert "1 line not understood: buildspec.yml:2" in toolkit.run("scan", "--check", "--strict", ".").expect(7).stderr


def test_markdown_of_a_big_tree_fits_into_a_comment(start: Start) -> None:
    files = {f"service-{n}/Dockerfile": f"FROM registry.example.com/team/image-{n}:1\nFROM $X{n}\n" for n in range(400)}
    shown = start({**files, "images.yaml": MANIFEST}).run("scan", "--format", "markdown", ".").stdout
    assert 30_000 < len(shown) < 60_000
    assert shown.count(" more\n") >= 2
    assert "unknown | " in shown
