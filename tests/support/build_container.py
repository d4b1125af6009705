"""A stand-in for CodeBuild's build container: a shell whose `aws`, `docker` and `sleep` are ours and keep a record."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REGISTRY = "123456789012.dkr.ecr.eu-west-1.example"
PASSWORD = "token of $5 `and` 'quotes'"

# Each call is appended as NUL-ended words and an empty word; `docker login` also keeps what it read.
_RECORD = """\
#!/bin/sh
{{ printf '%s\\0' {name} "$@"; printf '\\0'; }} >> {folder}/calls
"""

_AWS = """\
[ -z "${FAKE_AWS_STATUS:-}" ] || { echo 'aws: no credentials' >&2; exit "$FAKE_AWS_STATUS"; }
printf '%s\\n' "$FAKE_PASSWORD"
"""

# `FAKE_PULL_FAILURES` counts down in a file, so that a retry can succeed.
_DOCKER = """\
case $1 in
  login) cat >> {folder}/stdin; exit "${{FAKE_LOGIN_STATUS:-0}}" ;;
  tag) exit "${{FAKE_TAG_STATUS:-0}}" ;;
  pull)
    left=$(cat {folder}/pull_failures)
    [ "$left" -eq 0 ] || {{ echo $((left - 1)) > {folder}/pull_failures; exit 1; }} ;;
esac
"""


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """What a command did: `calls` are the argument lists in order, `stdin` is what `docker login` was told."""

    status: int
    output: str
    calls: list[list[str]]
    stdin: str


class BuildContainer:
    """Runs a buildspec's command with one of the machine's shells, in an environment as CodeBuild sets it."""

    def __init__(self, folder: Path, shell: str = "sh") -> None:
        shell_path = shutil.which(shell)
        assert shell_path, f"no {shell} on this machine"
        cat_path = shutil.which("cat")
        assert cat_path
        self._shell = shell_path
        self._folder = folder
        self._programs = folder / "programs"
        self._programs.mkdir(parents=True)
        (self._programs / "cat").symlink_to(cat_path)
        for name, body in (("aws", _AWS), ("docker", _DOCKER.format(folder=shlex.quote(str(folder)))), ("sleep", "")):
            program = self._programs / name
            program.write_text(_RECORD.format(name=name, folder=shlex.quote(str(folder))) + body, encoding="utf-8")
            program.chmod(0o755)

    def run(self, script: str, *, pull_failures: int = 0, without: tuple[str, ...] = (), **settings: str) -> ScriptRun:
        """Run `script`; `settings` are added to the environment, and `without` are taken out of it."""
        for name, text in (("calls", ""), ("stdin", ""), ("pull_failures", str(pull_failures))):
            (self._folder / name).write_text(text, encoding="utf-8")
        environment: Mapping[str, str] = {
            "PATH": str(self._programs),
            "LC_ALL": "C.UTF-8",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_REGION": "eu-west-1",
            "TOOLKIT_ECR_REGISTRY": REGISTRY,
            "FAKE_PASSWORD": PASSWORD,
        } | settings
        done = subprocess.run(
            [self._shell, "-c", script],
            env={name: value for name, value in environment.items() if name not in without},
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=30,
        )
        return ScriptRun(
            status=done.returncode,
            output=os.fsdecode(done.stdout),
            calls=self._calls(),
            stdin=(self._folder / "stdin").read_text(encoding="utf-8"),
        )

    def _calls(self) -> list[list[str]]:
        # newline="" keeps carriage returns; the words themselves are never empty.
        text = (self._folder / "calls").read_bytes().decode()
        return [call.split("\0") for call in text.split("\0\0") if call]
