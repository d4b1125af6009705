"""A room without a door: namespaces in which every name and address is the trap's, and builds run one after another.

`Room` is the outside of it, for tests. Run as a program this module is the inside: it reads a `Build` as JSON from each
line of its input and answers with an `Outcome`. Each build has a fresh daemon, home and `/etc/docker`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.proof.base_images import BUSYBOX
from tests.proof.codebuild import BuildContainer
from tests.proof.daemon import NAMESPACES, Docker, running_daemon
from tests.proof.registries import ECR_HOST, HUB_ACCOUNT, REGION, Extras, Seed
from tests.proof.trap import Contact, Trap

_PROJECT = Path(__file__).parents[2]
# A shell is the namespace's first process: it adopts what a daemon leaves behind, which Python would not.
_FIRST_PROCESS = 'exec 3<&0; "$@" <&3 & wait $!'
_AWS = """\
#!/bin/sh
case "$1 $2" in
  'ecr get-login-password') cat {folder}/ecr-password ;;
  'secretsmanager get-secret-value') cat {folder}/secret ;;
  *) echo "aws: no such command: $*" >&2; exit 252 ;;
esac
"""


@dataclass(frozen=True, slots=True)
class Build:
    """What to build, and how: the source's `files` by path, the project's `variables`, the tag of the result."""

    buildspec: str
    files: Mapping[str, str]
    variables: Mapping[str, str] = field(default_factory=dict)
    shell: str = "sh"
    image: str = "app"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened: statuses by phase, contacts in order, and the marks of origin in the built image, by path."""

    phases: Mapping[str, int]
    output: str
    contacts: tuple[Contact, ...]
    origins: Mapping[str, str]

    @property
    def succeeded(self) -> bool:
        """Whether every phase did."""
        return not any(self.phases.values())

    @property
    def outside(self) -> list[str]:
        """The contacts that went anywhere but to ECR, as text."""
        return [str(contact) for contact in self.contacts if contact.is_outside]


class Room:
    """Runs builds in a room of its own, until closed."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log

    def run(self, build: Build) -> Outcome:
        """Run one build."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(asdict(build)) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the room is gone: {self._log.read_text()[-3000:]}"
        answer: dict[str, Any] = json.loads(line)
        contacts = tuple(Contact(**contact) for contact in answer.pop("contacts"))
        return Outcome(contacts=contacts, **answer)


@contextmanager
def open_room(docker: Docker, seeds: Iterable[Seed], extras: Extras, folder: Path) -> Iterator[Room]:
    """A room whose ECR has `seeds`. It needs root; nothing outside of `folder` is changed."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "docker": {"version": docker.version, "root": str(docker.root)},
        "seeds": [asdict(seed) for seed in seeds],
        "configs": extras.configs,
        "program_files": extras.program_files,
    }
    inside = [sys.executable, "-m", "tests.proof.room", json.dumps(settings)]
    log = folder / "room.log"
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [*NAMESPACES, "sh", "-c", _FIRST_PROCESS, "sh", *inside],
            cwd=_PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
        ) as process,
    ):
        try:
            yield Room(process, log)
        finally:
            assert process.stdin
            process.stdin.close()
            process.wait(timeout=30)


class _Inside:
    """The other side of `Room`."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        # Short, because a socket's path may have no more than 104 characters; nothing outside of here sees it.
        self._folder = Path("/mnt")
        self._docker = Docker(settings["docker"]["version"], Path(settings["docker"]["root"]))
        _mount("-t", "tmpfs", "tmpfs", str(self._folder))
        self._close_the_door()
        seeds = [Seed(**seed) for seed in settings["seeds"]]
        self._trap = Trap(self._folder / "trap", seeds, Extras(settings["configs"], settings["program_files"]))
        Path("/etc/ssl/certs/ca-certificates.crt").write_bytes(self._trap.ca.read_bytes())

    def run(self, build: Build) -> Outcome:
        folder = self._folder / "build"
        folder.mkdir()
        _mount("-t", "tmpfs", "tmpfs", str(folder))
        try:
            return self._run_in(folder, build)
        finally:
            # Lazily: what the daemon had mounted below goes with it.
            subprocess.run([BUSYBOX, "umount", "-l", str(folder)], check=True)
            folder.rmdir()

    def _run_in(self, folder: Path, build: Build) -> Outcome:
        # What a build leaves on its machine.
        shutil.rmtree("/etc/docker", ignore_errors=True)
        Path("/etc/hosts").write_text("127.0.0.1 localhost\n")
        home, source, programs, state = (folder / name for name in ("home", "source", "programs", "state"))
        for path in (home, source, programs, state):
            path.mkdir()
        self._docker.install_plugins(home)
        for name, text in build.files.items():
            file = source / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        (programs / "ecr-password").write_text(self._trap.ecr.password)
        (programs / "secret").write_text(json.dumps({"username": HUB_ACCOUNT[0], "password": HUB_ACCOUNT[1]}))
        (programs / "aws").write_text(_AWS.format(folder=programs))
        (programs / "aws").chmod(0o755)
        self._trap.take()
        with running_daemon(self._docker, folder, home) as client:
            variables = {
                **client,
                "PATH": f"{programs}:{client['PATH']}",
                "AWS_REGION": REGION,
                "AWS_DEFAULT_REGION": REGION,
                "TOOLKIT_ECR_REGISTRY": ECR_HOST,
                "CODEBUILD_BUILD_ID": "proof:1",
                "CODEBUILD_RESOLVED_SOURCE_VERSION": "latest",
                **build.variables,
            }
            run = BuildContainer(state, source, variables, build.shell).run(build.buildspec)
            contacts = tuple(self._trap.take())
            origins = _read_origins(client, build.image, folder) if run.succeeded else {}
        return Outcome({phase.name: phase.status for phase in run.phases}, run.output, contacts, origins)

    def _close_the_door(self) -> None:
        for command in (
            ("link", "set", "lo", "up"),
            ("route", "add", "local", "0.0.0.0/0", "dev", "lo", "table", "local"),
        ):
            subprocess.run([BUSYBOX, "ip", *command], check=True)
        upper, work = self._folder / "etc", self._folder / "etc-work"
        upper.mkdir()
        work.mkdir()
        _mount("-t", "overlay", "-o", f"lowerdir=/etc,upperdir={upper},workdir={work}", "overlay", "/etc")
        Path("/etc/resolv.conf").unlink(missing_ok=True)
        Path("/etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
        Path("/etc/ssl/certs").mkdir(parents=True, exist_ok=True)


def _read_origins(client: Mapping[str, str], image: str, folder: Path) -> dict[str, str]:
    """`/origin` and the files of `/proof` in `image`, which need not be able to run."""

    def docker(*arguments: str) -> str:
        done = subprocess.run(["docker", *arguments], env=client, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    container = docker("create", image, "none")
    found: dict[str, str] = {}
    for path in ("origin", "proof"):
        docker("cp", f"{container}:/{path}", str(folder / "content"))
        copied = folder / "content"
        if copied.is_dir():
            found |= {f"proof/{file.name}": file.read_text().strip() for file in sorted(copied.iterdir())}
            shutil.rmtree(copied)
        elif copied.exists():
            found[path] = copied.read_text().strip()
            copied.unlink()
    return found


def _mount(*arguments: str) -> None:
    subprocess.run([BUSYBOX, "mount", *arguments], check=True)


def main() -> None:
    """The inside: builds from the input, outcomes to the output."""
    # Only outcomes may go there, whatever a library or a program prints.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    inside = _Inside(json.loads(sys.argv[1]))
    for line in sys.stdin:
        outcome = inside.run(Build(**json.loads(line)))
        answers.write(json.dumps(asdict(outcome)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
