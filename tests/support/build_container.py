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
DOCKER_28 = "28.5.2 overlay2 [[Backing Filesystem extfs]]"
DOCKER_20 = "20.10.24 overlay2 [[Backing Filesystem extfs]]"
CONTAINERD = "29.0.1 overlayfs [[driver-type io.containerd.snapshotter.v1]]"
PASSWORD = "token of $5 `and` 'quotes'"

# Each call is appended by one write, as NUL-ended words and an empty word; `docker login` also keeps what it read.
_RECORD = """\
#!/bin/sh
printf '%s\\0' {name} "$@" '' >> {folder}/calls
"""

_AWS = """\
[ -z "${FAKE_AWS_STATUS:-}" ] || { echo 'aws: no credentials' >&2; exit "$FAKE_AWS_STATUS"; }
case $2 in
  get-login-password) printf '%s\\n' "$FAKE_PASSWORD" ;;
  get-authorization-token) printf '%s\\n' "$FAKE_ENDPOINT" ;;
  get-secret-value) printf '%s\\n' "$FAKE_SECRET" ;;
esac
"""

# The first `pull_failures` pulls of each image fail, those of `FAKE_MISSING` all.
_DOCKER = """\
case $1 in
  info) printf '%s\\n' "$FAKE_INFO"; exit "${{FAKE_INFO_STATUS:-0}}" ;;
  login) cat >> {folder}/stdin; exit "${{FAKE_LOGIN_STATUS:-0}}" ;;
  tag) exit "${{FAKE_TAG_STATUS:-0}}" ;;
  buildx)
    [ "$2" != create ] || [ -z "${{FAKE_CREATE_STATUS:-}}" ] || exit "$FAKE_CREATE_STATUS"
    while [ "$#" -gt 0 ]; do
      [ "$1" != --buildkitd-config ] || cat "$2" > {folder}/configurations
      shift
    done ;;
  pull)
    [ "$3" != "${{FAKE_MISSING:-}}" ] || exit 1
    image=$(printf %s "$3" | cksum)
    attempt=1
    while [ "$attempt" -le "$FAKE_PULL_FAILURES" ]; do
      ! mkdir "{folder}/pulls/${{image%% *}}.$attempt" 2>/dev/null || exit 1
      attempt=$((attempt + 1))
    done ;;
esac
"""

_TOOLS = ("awk", "cat", "cksum", "mkdir", "mktemp", "rm", "uname")

# Debian's busybox prefers its own programs to whatever is on PATH.
_BUSYBOX = 'sleep() {{ {programs}/sleep "$@"; }}\ndate() {{ {programs}/date "$@"; }}\n'


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """What a command did: `calls` are the argument lists in order, `stdin` is what `docker login` was told.

    `calls` of images that are fetched at a time are in any order.
    """

    status: int
    output: str
    calls: list[list[str]]
    stdin: str


class BuildContainer:
    """Runs a buildspec's command with one of the machine's shells, in an environment as CodeBuild sets it.

    The working directory is `source`; what the command calls `/etc` is `etc`.
    """

    def __init__(self, folder: Path, shell: str = "sh") -> None:
        shell_path = shutil.which(shell)
        assert shell_path, f"no {shell} on this machine"
        is_busybox = shell == "busybox"
        self._folder = folder
        self._programs = folder / "programs"
        self._command = [shell_path, *(["sh"] if is_busybox else []), "-c"]
        self._prelude = _BUSYBOX.format(programs=shlex.quote(str(self._programs))) if is_busybox else ""
        self._programs.mkdir(parents=True)
        for name in _TOOLS:
            tool = shell_path if is_busybox and name != "cksum" else shutil.which(name)
            assert tool, f"no {name} on this machine"
            (self._programs / name).symlink_to(tool)
        docker = _DOCKER.format(folder=shlex.quote(str(folder)))
        for name, body in (("aws", _AWS), ("docker", docker), ("sleep", ""), ("date", "echo 1700000000\n")):
            program = self._programs / name
            program.write_text(_RECORD.format(name=name, folder=shlex.quote(str(folder))) + body, encoding="utf-8")
            program.chmod(0o755)
        self.source = folder / "source"
        self.etc = folder / "etc"
        self.temporary = folder / "tmp"
        for made in (self.source, self.etc, self.temporary):
            made.mkdir()
        self.hosts.write_text("127.0.0.1 localhost\n", encoding="utf-8")

    @property
    def home(self) -> Path:
        """The user's folder."""
        return self._folder

    @property
    def configurations(self) -> str:
        """What a builder was given to read."""
        return (self._folder / "configurations").read_text(encoding="utf-8")

    @property
    def hosts(self) -> Path:
        """Its `/etc/hosts`."""
        return self.etc / "hosts"

    def run(
        self,
        script: str,
        *,
        pull_failures: int = 0,
        without: tuple[str, ...] = (),
        lacking: tuple[str, ...] = (),
        **settings: str,
    ) -> ScriptRun:
        """Run `script`; `settings` are added to the environment, and `without` are taken out of it.

        The programs `lacking` are gone from then on.
        """
        shutil.rmtree(self._folder / "pulls", ignore_errors=True)
        (self._folder / "pulls").mkdir()
        for name in ("calls", "stdin"):
            (self._folder / name).write_text("", encoding="utf-8")
        environment: Mapping[str, str] = {
            "PATH": str(self._programs),
            "LC_ALL": "C.UTF-8",
            "TMPDIR": str(self.temporary),
            "HOME": str(self._folder),
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_REGION": "eu-west-1",
            "TOOLKIT_ECR_REGISTRY": REGISTRY,
            "FAKE_PASSWORD": PASSWORD,
            "FAKE_ENDPOINT": f"https://{REGISTRY}",
            "FAKE_INFO": DOCKER_28,
            "FAKE_PULL_FAILURES": str(pull_failures),
        } | settings
        for name in lacking:
            (self._programs / name).unlink()
        done = subprocess.run(
            [*self._command, self._prelude + script.replace("/etc/", f"{self.etc}/")],
            env={name: value for name, value in environment.items() if name not in without},
            cwd=self.source,
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
            stdin=(self._folder / "stdin").read_bytes().decode(),
        )

    def _calls(self) -> list[list[str]]:
        # newline="" keeps carriage returns; the words themselves are never empty.
        text = (self._folder / "calls").read_bytes().decode()
        calls = [call.split("\0") for call in text.split("\0\0") if call]
        return [call for call in calls if call[0] != "date"]
