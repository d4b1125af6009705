"""Where a text cannot go, or not in its letters, a run says so in one sentence and with the right code."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.toolkit_run import TOOLKIT

MANIFEST = """\
version: 1
name: shop
aws: {region: eu-west-1, account_id: "123456789012"}
images: [nginx:1.16]
builds:
  - name: web
    source: {type: GITHUB, location: "https://github.com/acme/web.git"}
    images: [nginx:1.16]
    commands: ["echo 日本"]
"""
TEXTS_OF_TYPER = ["--version", "--help", "plan --help", "sandbox --help", "--show-completion bash"]


def run(arguments: str, redirection: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = f'"$1" {arguments} {redirection}'
    argv = ["bash", "-c", command, "bash", TOOLKIT]
    return subprocess.run(argv, cwd=folder, capture_output=True, env={**os.environ, **environment}, check=False)


@pytest.mark.parametrize("arguments", TEXTS_OF_TYPER)
def test_a_help_that_cannot_be_written_is_one_error(tmp_path: Path, arguments: str) -> None:
    done = run(arguments, ">/dev/full", tmp_path)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == [
        "error: stdout cannot be written: No space left on device [output.lost]",
        "hint: make room there and run again",
    ]


@pytest.mark.parametrize("arguments", TEXTS_OF_TYPER)
def test_a_help_that_nobody_reads_is_no_failure(tmp_path: Path, arguments: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([TOOLKIT, *arguments.split()], cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("arguments", ["", "sandbox", "nonsense"])
def test_a_wrong_command_line_is_64_also_if_nobody_can_be_told(tmp_path: Path, arguments: str) -> None:
    assert run(arguments, "2>/dev/full", tmp_path).returncode == 64


def test_a_completion_that_cannot_be_installed_is_one_error(tmp_path: Path) -> None:
    (tmp_path / ".bashrc").mkdir()
    done = run("--install-completion bash", "", tmp_path, HOME=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.decode() == f"error: `{tmp_path / '.bashrc'}` cannot be written: Is a directory [output.lost]\n"


@pytest.mark.parametrize(
    "encoding, shown",
    [("ascii", b"\\xfcn\\xef.yaml"), ("latin-1", "ünï.yaml".encode("latin-1")), ("utf-8:strict", "ünï.yaml".encode())],
)
def test_letters_that_an_encoding_lacks_are_escaped(tmp_path: Path, encoding: str, shown: bytes) -> None:
    (tmp_path / "ünï.yaml").write_text(MANIFEST)
    done = run("validate -f ünï.yaml", "", tmp_path, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(shown)


@pytest.mark.parametrize(
    "arguments",
    [
        "validate -f {file}.yaml",
        "render -f {file}.yaml --out {file}",
        "buildspec web -f {file}.yaml --into {file}.yml",
        "init --manifest new{file}.yaml .",
    ],
)
def test_a_path_does_not_move_the_cursor(tmp_path: Path, arguments: str) -> None:
    (tmp_path / "a\x1b[31mb.yaml").write_text(MANIFEST)
    (tmp_path / "a\x1b[31mb.yml").write_text("version: 0.2\nphases:\n  build:\n    commands:\n      - docker build .\n")
    (tmp_path / "Dockerfile").write_text("FROM nginx:1.16\n")
    done = run(arguments.format(file="$'a\\x1b[31mb'"), "", tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\x1b[31mb" in done.stdout
    assert b"\x1b" not in done.stdout


def test_a_path_that_is_no_utf_8_is_escaped(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"a\xff.yaml")).write_text(MANIFEST)
    done = run("validate -f a*.yaml", "", tmp_path, PYTHONIOENCODING="utf-8:strict")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"a\\udcff.yaml is valid")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_text_for_programs_keeps_its_letters(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "images.yaml").write_text(MANIFEST)
    done = run("buildspec web", "", tmp_path, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "echo 日本" in done.stdout.decode()
