"""A scan shows nothing of what lies outside of it, and no line that is no instruction, wherever a tree points."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scanned_project import write_project
from tests.unit.operations.test_scan import names, scanned
from toolkit.cli.app import make_app
from toolkit.errors import UsageError
from toolkit.operations.init import Start, init
from toolkit.operations.whole_file import write_whole

SECRET = "hunter2"
HOME = {
    ".env": f"DB_PASSWORD={SECRET}\nTAG={SECRET}\n",
    "Dockerfile": f"FROM {SECRET}:1\n",
    "compose.yaml": f"services: {{x: {{image: '{SECRET}:1'}}}}",
    "docker-bake.json": f'{{"target": {{"{SECRET}": {{"dockerfile-inline": "FROM {SECRET}:1"}}}}}}',
}


def building(command: str) -> dict[str, str]:
    return {"buildspec.yml": f"version: 0.2\nphases: {{build: {{commands: ['{command}']}}}}\n"}


ATTACKS = {
    "compose dockerfile": {"compose.yaml": "services: {x: {build: {context: ., dockerfile: ../home/.env}}}"},
    "compose context": {"compose.yaml": "services: {x: {build: ../home}}"},
    "compose include": {"compose.yaml": "include: [../home/compose.yaml]"},
    "compose env file": {
        "compose.yaml": "include: [{path: a.yaml, env_file: ../home/.env}]",
        "a.yaml": "services: {x: {image: 'a:$TAG'}}",
    },
    "compose extends": {"compose.yaml": "services: {x: {extends: {file: ../home/compose.yaml, service: x}}}"},
    "compose absolute": {"compose.yaml": "services: {x: {build: {context: ., dockerfile: /etc/passwd}}}"},
    "compose file in .env": {
        **building("docker compose build"),
        ".env": "COMPOSE_FILE=../home/compose.yaml",
    },
    "compose --env-file": {
        **building("docker compose --env-file ../home/.env build"),
        "compose.yaml": "services: {x: {image: 'a:$TAG'}}",
    },
    "bake dockerfile": {"docker-bake.json": '{"target": {"x": {"dockerfile": "../home/.env"}}}'},
    "bake context": {"docker-bake.hcl": 'target "x" {\n  context = "../home"\n}\n'},
    "buildspec -f": building("docker build -f ../home/.env ."),
    "buildspec cd": building("cd ../home && docker build ."),
    "buildspec compose": building("docker compose -f ../home/compose.yaml build"),
    "buildspec bake": building("docker buildx bake -f ../home/docker-bake.json"),
}
LINKS = {
    "Dockerfile": "../home/.env",
    "compose.yaml": "../home/compose.yaml",
    "docker-bake.json": "../home/docker-bake.json",
    "a/Dockerfile": "../../home/Dockerfile",
}


@pytest.fixture(autouse=True)
def _in_a_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_project(tmp_path, {f"home/{name}": text for name, text in HOME.items()})
    (tmp_path / "tree").mkdir()
    monkeypatch.chdir(tmp_path / "tree")


def shown(capsys: pytest.CaptureFixture[str], path: str = ".") -> Iterator[str]:
    """All that a scan prints, in every format."""
    app = make_app(["scan", "schema"])
    for form in ("text", "json", "json-lines", "sarif", "markdown"):
        assert app(["scan", path, "--format", form]) == 0
        yield from capsys.readouterr()


@pytest.mark.parametrize("name", ATTACKS)
def test_a_file_outside_of_the_tree_is_named_and_not_read(capsys: pytest.CaptureFixture[str], name: str) -> None:
    report = scanned(ATTACKS[name]).report
    assert any("lies outside of what is scanned" in one.message for one in report.faults)
    assert not any("home" in file or "passwd" in file for file in report.files)
    for text in shown(capsys):
        assert SECRET not in text
        assert "root:" not in text


@pytest.mark.parametrize("name", LINKS)
def test_a_link_out_of_the_tree_is_named_and_not_read(capsys: pytest.CaptureFixture[str], name: str) -> None:
    Path("a").mkdir()
    Path(name).symlink_to(LINKS[name])
    for path in (".", name):
        [fault] = scanned({}, path).report.faults
        assert (fault.file, fault.message.partition(";")[0]) == (
            name,
            "it lies outside of what is scanned and was not read",
        )
        assert not any(SECRET in text for text in shown(capsys, path))


def test_a_linked_env_file_is_not_read() -> None:
    Path(".env").symlink_to("../home/.env")
    report = scanned({"compose.yaml": "services: {x: {image: 'a:$TAG'}}"}).report
    assert not any(SECRET in name for name in names(report))
    assert [fault.file for fault in report.faults] == [".env"]


@pytest.mark.parametrize("name", ["nothing", "there"])
def test_whether_a_file_outside_is_there_is_not_told(name: str) -> None:
    Path("../home/there").write_text("")
    report = scanned({"compose.yaml": f"services: {{x: {{build: {{context: ., dockerfile: ../home/{name}}}}}}}"}).report
    assert [fault.message.partition("` ")[2][:13] for fault in report.faults] == ["lies outside "]


def test_a_root_widens_what_may_be_read() -> None:
    files = {"compose.yaml": "services: {x: {build: ../home}}"}
    assert scanned(files).report.files == {"compose.yaml": "compose"}
    assert names(scanned(files, roots=(Path("../home"),)).report) == [
        f"../home/Dockerfile:1 docker.io/library/{SECRET}:1"
    ]
    with pytest.raises(UsageError, match="there is no `nowhere`"):
        scanned(files, roots=(Path("nowhere"),))


def test_the_checkout_of_a_scanned_folder_may_be_read() -> None:
    Path(".git").mkdir()
    files = {"a/compose.yaml": "services: {x: {build: ../b}}", "b/Dockerfile": "FROM b:1\n"}
    assert names(scanned(files, "a").report) == ["b/Dockerfile:1 docker.io/library/b:1"]


@pytest.mark.parametrize(
    "text",
    [
        f"DB_PASSWORD={SECRET}\n",
        f"{SECRET}\n",
        f"FROM a:1\nexport TOKEN={SECRET}\n",
        f"FROM a:1\nRUN ls \\\n  ls\n{SECRET} <<EOF\nEOF\n",
        f"FROM a:1\nONBUILD {SECRET} x\n",
        f"root:x:0:0:{SECRET}:/root:/bin/sh\n",
        f"-----BEGIN KEY-----\n{SECRET}==\n-----END KEY-----\n",
        f"[default]\naws_secret_access_key = {SECRET}\n",
        f'{{"auths": {{"a": {{"auth": "{SECRET}"}}}}}}',
    ],
)
@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "docker-bake.json", "docker-bake.hcl", "buildspec.yml"])
def test_a_line_that_is_no_instruction_is_not_quoted(capsys: pytest.CaptureFixture[str], text: str, name: str) -> None:
    write_project(Path(), {name: text, "images/Dockerfile": "FROM b:1\n"})
    assert not any(SECRET in output for output in shown(capsys))
    begun = init(Start((Path(),), Path.cwd(), Path("images.yaml")))
    assert not any(SECRET in output for output in (*begun.left_out, Path("images.yaml").read_text()))


def test_init_does_not_read_outside_and_says_so() -> None:
    write_project(Path(), {**ATTACKS["compose dockerfile"], "Dockerfile": "FROM a:1\n"})
    begun = init(Start((Path(),), Path.cwd(), Path("images.yaml")))
    assert [reason for reason in begun.left_out if "`../home/.env` lies outside" in reason]
    assert SECRET not in Path("images.yaml").read_text()


def test_a_pipe_that_is_named_is_not_waited_for() -> None:
    os.mkfifo("pipe")
    [fault] = scanned({}, "pipe").report.faults
    assert fault.message == "it cannot be read: it is no regular file"


def test_a_link_of_the_tree_is_not_written_through() -> None:
    Path("images.yaml").symlink_to("../home/new")
    with pytest.raises(UsageError, match="leads through a link"):
        write_whole(Path("images.yaml"), "text")
    assert not Path("../home/new").exists()
    Path("../home/link").symlink_to("new")
    write_whole(Path("../home/link"), "text")  # the user's own, which is not in the tree
    assert Path("../home/new").read_text() == "text"
