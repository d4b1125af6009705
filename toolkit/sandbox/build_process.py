"""A build: a process of its own that runs a buildspec as CodeBuild does, and ends with the process that started it.

The buildspec and the variables, which may be secret, come through the process's stdin; no file and no argument has
them. stdin stays open as long as the starting process lives and wants the build. When it closes, the build and
everything that it has started are killed.
"""

from __future__ import annotations

import atexit
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from ruamel.yaml import YAML

_PHASES = ("install", "pre_build", "build", "post_build")
# After a failure of the phase on the left, only those on the right still run.
_STILL_RUN: Mapping[str, tuple[str, ...]] = {
    "install": (),
    "pre_build": (),
    "build": ("post_build",),
    "post_build": (),
}
# What a build gets of the environment of the sandbox: nothing that a user keeps secret.
_KEPT = ("LANG", "PATH", "PYTHONPATH", "TMPDIR")
_CARRY_OVER = """
__status=$?
env -0 > {state}/variables
pwd > {state}/folder
exit $__status
"""


@dataclass(frozen=True, slots=True)
class PhaseRun:
    """A phase that ran, and the status of its last command."""

    name: str
    status: int


class BuildContainer:
    """Where a build runs: `source` is its folder, `variables` are all that its first command finds exported.

    Phases run in order, with a new shell for each command. From one command to the next go exported variables and the
    working directory, and nothing else. `state` is an empty folder. What the commands print goes to `output`.
    """

    def __init__(
        self,
        state: Path,
        source: Path,
        variables: Mapping[str, str],
        output: IO[bytes],
        shell: str = "sh",
        command_seconds: float | None = None,
    ) -> None:
        self._state = state
        self._folder = source
        self._variables = {**variables, "CODEBUILD_SRC_DIR": str(source), "CODEBUILD_BUILD_SUCCEEDING": "1"}
        self._output = output
        self._shell = shell
        self._command_seconds = command_seconds

    def run(self, buildspec: str) -> tuple[PhaseRun, ...]:
        """Run the phases of `buildspec`; those that ran."""
        document = YAML(typ="safe").load(buildspec)
        for name, value in document.get("env", {}).get("variables", {}).items():
            self._variables.setdefault(name, str(value))
        due: tuple[str, ...] = _PHASES
        ran = []
        for name in _PHASES:
            phase = document["phases"].get(name)
            if phase is None or name not in due:
                continue
            status = self._run_phase(phase)
            ran.append(PhaseRun(name, status))
            if status:
                due = _STILL_RUN[name]
                self._variables["CODEBUILD_BUILD_SUCCEEDING"] = "0"
        return tuple(ran)

    def _run_phase(self, phase: Mapping[str, list[str]]) -> int:
        status = next((status for command in phase["commands"] if (status := self._run_command(command))), 0)
        for command in phase.get("finally", ()):
            self._run_command(command)
        return status

    def _run_command(self, command: str) -> int:
        script = self._state / "command"
        script.write_text(command + _CARRY_OVER.format(state=shlex.quote(str(self._state))), encoding="utf-8")
        done = subprocess.run(
            [self._shell, str(script)],
            env=self._variables,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=self._command_seconds,
        )
        carried = self._state / "variables"
        if carried.exists():
            pairs = (pair.partition("=") for pair in carried.read_text(encoding="utf-8").split("\0") if pair)
            self._variables = {name: value for name, _, value in pairs}
            self._folder = Path((self._state / "folder").read_text(encoding="utf-8").removesuffix("\n"))
            carried.unlink()
        return done.returncode


class BuildProcess:
    """A build that was started in `folder`; `log` gets what it prints.

    It finds the programs beside this Python first, so `toolkit` is the one that the sandbox belongs to.
    """

    def __init__(self, folder: Path, log: Path, buildspec: str, variables: Mapping[str, str]) -> None:
        self._folder = folder
        machine = {name: os.environ[name] for name in _KEPT if name in os.environ} | {"HOME": str(folder)}
        # The first folder is that of this package, which the sandbox's server has put there for itself.
        path = os.pathsep.join(machine.get("PYTHONPATH", "").split(os.pathsep)[1:])
        machine["PATH"] = os.pathsep.join(filter(None, (str(Path(sys.executable).parent), machine.get("PATH"))))
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "toolkit.sandbox.build_process", str(folder)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=machine,
                start_new_session=True,
            )
        assert self._process.stdin is not None  # noqa: S101  it is a pipe
        self._stdin = self._process.stdin
        self._stdin.write(
            json.dumps({"buildspec": buildspec, "variables": {**machine, "PYTHONPATH": path, **variables}}).encode()
            + b"\n"
        )
        self._stdin.flush()

    def stop(self) -> None:
        """Kill it and everything that it has started."""
        self._stdin.close()

    def wait(self, seconds: float) -> tuple[PhaseRun, ...] | None:
        """The phases that ran; None if it was killed. Raises TimeoutError, and the build is killed."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        finally:
            self.stop()
        result = self._folder / "phases.json"
        return tuple(PhaseRun(**one) for one in json.loads(result.read_text())) if result.exists() else None


def main() -> None:
    """Run the build that stdin says in the folder of the first argument. It ends by a kill, which leaves nothing."""
    atexit.register(os.killpg, 0, signal.SIGKILL)
    folder = Path(sys.argv[1])
    build: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    source, state = folder / "source", folder / "state"
    for made in (source, state):
        made.mkdir(parents=True)
    phases = BuildContainer(state, source, build["variables"], sys.stdout.buffer).run(build["buildspec"])
    (folder / "phases.json").write_text(json.dumps([asdict(phase) for phase in phases]))


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
