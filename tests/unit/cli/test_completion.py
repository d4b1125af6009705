"""Completion in real shells, as their users press the key."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.real_parts import require
from tests.support.toolkit_run import TOOLKIT
from toolkit.cli import completion
from toolkit.cli.completion import command_of

MANIFEST = """\
version: 1
name: shop
aws: {region: eu-west-1}
repositories: {prefix: mirror}
images:
  - nginx:1.16
  - {source: python, tags: ["3.12-slim", "3.13-slim"]}
  - {source: quay.io/prometheus/node-exporter, tags: {glob: "*"}, repository: exporter}
builds:
  - {name: web, source: {type: GITHUB, location: "https://github.com/acme/web.git"}}
  - {name: worker, source: {type: GITHUB, location: "https://github.com/acme/web.git"}}
"""


BROKEN = [
    "",
    "images: [",
    "images: 7",
    "- a",
    "images: [{source: 3}, [], null]\nbuilds: {a: b}",
    "a: !!python/x b",
    "&a [*a]",
    "\0",
    "? [a]\n: b",
    "<<: 3",
]


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TOOLKIT_", "AWS_"))}
    return {**kept, "PATH": f"{Path(TOOLKIT).parent}:{kept['PATH']}", "HOME": str(folder), "TERM": "dumb"}


def bash(line: str, folder: Path) -> list[str]:
    """What bash would offer; its words are split as bash splits them."""
    words = line.replace(":", " : ").replace("=", " = ").split(" ")
    words = [word for number, word in enumerate(words) if word or number == len(words) - 1]
    quoted = " ".join(f"'{word}'" for word in words)
    script = (
        'eval "$(_TOOLKIT_COMPLETE=source_bash toolkit)"\n'
        f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; COMPREPLY=()\n"
        '_toolkit_completion toolkit\n[ ${#COMPREPLY[@]} -eq 0 ] || printf "%s\\n" "${COMPREPLY[@]}"'
    )
    return run(["bash", "--norc", "-c", script], folder)


def fish(line: str, folder: Path) -> list[str]:
    script = f"_TOOLKIT_COMPLETE=source_fish toolkit | source; complete -C '{line}'"
    return [one.partition("\t")[0] for one in run(["fish", "--no-config", "-c", script], folder)]


def run(argv: list[str], folder: Path) -> list[str]:
    require(argv[0])
    done = subprocess.run(
        argv, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images.yaml").write_text(MANIFEST, encoding="utf-8")
    return tmp_path


LINES = [
    ("toolkit pl", {"plan"}),
    ("toolkit seed --only py", {"python:3.12-slim", "python:3.13-slim"}),
    ("toolkit buildspec wo", {"worker"}),
    ("toolkit sandbox ", {"up", "down", "env", "status", "bump"}),
    ("toolkit plan --sho", {"--show-unchanged"}),
    ("toolkit plan --on-budget ", {"refuse", "wait", "partial"}),
    ("toolkit scan . --build w", {"web", "worker"}),
    (
        "toolkit plan --adopt mirror/",
        {"mirror/docker-hub/library/nginx", "mirror/docker-hub/library/python", "mirror/exporter"},
    ),
    ("toolkit prune mirror/docker-hub/library/p", {"mirror/docker-hub/library/python"}),
    ("toolkit explain plan.st", {"plan.stale"}),
]


@pytest.mark.parametrize(
    ("shell", "line", "offered"), [*((bash, *line) for line in LINES), *((fish, *line) for line in LINES[:3])]
)
def test_offers_what_can_follow(
    shell: Callable[[str, Path], list[str]], line: str, offered: set[str], folder: Path
) -> None:
    assert set(shell(line, folder)) == offered
    assert [path.name for path in folder.iterdir() if path.name not in (".config", ".local", ".cache")] == [
        "images.yaml"
    ]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("toolkit seed --only nginx:", ["1.16"]),
        ("toolkit seed --only=nginx:", ["1.16"]),
    ],
)
def test_gives_bash_what_follows_the_last_colon(line: str, offered: list[str], folder: Path) -> None:
    assert bash(line, folder) == offered


@pytest.mark.parametrize(("line", "typed"), [("toolkit seed --only ng", "nginx:1.16"), ("toolkit pl", "plan")])
def test_completes_in_zsh(line: str, typed: str, folder: Path) -> None:
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        [require("zsh"), "-f", "-i"],
        **dict.fromkeys(("stdin", "stdout", "stderr"), theirs),  # type: ignore[arg-type]
        cwd=folder,
        env=environment(folder),
        start_new_session=True,
    )
    os.close(theirs)

    def wait_for(text: str) -> str:
        seen, end = b"", time.monotonic() + 30
        while text not in seen.decode(errors="replace") and time.monotonic() < end:
            if select.select([ours], [], [], 0.1)[0]:
                seen += os.read(ours, 65536)
        return seen.decode(errors="replace")

    try:
        set_up = (
            'autoload -U compinit && compinit -u -D; eval "$(_TOOLKIT_COMPLETE=source_zsh toolkit)"; print RE""ADY\n'
        )
        os.write(ours, set_up.encode())
        assert "READY" in wait_for("READY")
        os.write(ours, f"{line}\t".encode())
        assert f"{line.rpartition(' ')[0]} {typed}" in wait_for(typed)
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)


@pytest.mark.parametrize("manifest", BROKEN)
def test_offers_nothing_for_a_broken_manifest(manifest: str, tmp_path: Path) -> None:
    path = tmp_path / "images.yaml"
    path.write_text(manifest, encoding="utf-8")
    context: Any = SimpleNamespace(params={"file": path})
    assert completion.images(context) == completion.builds(context) == completion.adoptable(context) == []


def test_offers_nothing_without_a_manifest(tmp_path: Path) -> None:
    assert bash("toolkit seed --only ", tmp_path) == []


@pytest.mark.parametrize(
    ("variables", "command"),
    [
        ({"COMP_WORDS": "toolkit\nplan\n--ad", "COMP_CWORD": "2"}, "plan"),
        ({"COMP_WORDS": "toolkit\nplan", "COMP_CWORD": "1"}, None),
        ({"_TYPER_COMPLETE_ARGS": "toolkit plan "}, "plan"),
        ({"_TYPER_COMPLETE_ARGS": "toolkit plan"}, None),
        ({"_TYPER_COMPLETE_ARGS": "toolkit nothing "}, None),
        ({}, None),
    ],
)
def test_builds_only_the_command_that_is_typed(variables: dict[str, str], command: str | None) -> None:
    assert command_of(variables, ("plan", "show")) == command
