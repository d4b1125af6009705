"""Running a buildspec as CodeBuild does: phases in order, a new shell for each command.

From one command to the next go exported variables and the working directory, and nothing else.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

_PHASES = ("install", "pre_build", "build", "post_build")
# After a failure of the phase on the left, only those on the right still run.
_STILL_RUN = {"install": (), "pre_build": (), "build": ("post_build",), "post_build": ()}
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


@dataclass(frozen=True, slots=True)
class BuildRun:
    """A build: the phases that ran, and what their commands printed."""

    phases: tuple[PhaseRun, ...]
    output: str

    @property
    def succeeded(self) -> bool:
        """Whether every phase did."""
        return all(phase.status == 0 for phase in self.phases)


class BuildContainer:
    """Where a build runs: `source` is its folder, `variables` are all that its first command finds exported."""

    def __init__(self, state: Path, source: Path, variables: Mapping[str, str], shell: str = "sh") -> None:
        self._state = state
        self._folder = source
        self._variables = {**variables, "CODEBUILD_SRC_DIR": str(source), "CODEBUILD_BUILD_SUCCEEDING": "1"}
        self._shell = shell
        self._output: list[str] = []

    def run(self, buildspec: str) -> BuildRun:
        """Run the phases of `buildspec`."""
        document = YAML(typ="safe").load(buildspec)
        for name, value in document.get("env", {}).get("variables", {}).items():
            self._variables.setdefault(name, str(value))
        due, ran = _PHASES, []
        for name in _PHASES:
            phase = document["phases"].get(name)
            if phase is None or name not in due:
                continue
            status = self._run_phase(phase)
            ran.append(PhaseRun(name, status))
            if status:
                due = _STILL_RUN[name]
                self._variables["CODEBUILD_BUILD_SUCCEEDING"] = "0"
        return BuildRun(tuple(ran), "".join(self._output))

    def _run_phase(self, phase: Mapping[str, list[str]]) -> int:
        status = next((status for command in phase["commands"] if (status := self._run_command(command))), 0)
        for command in phase.get("finally", ()):
            self._run_command(command)
        return status

    def _run_command(self, command: str) -> int:
        script = self._state / "command"
        script.write_text(command + _CARRY_OVER.format(state=self._state), encoding="utf-8")
        done = subprocess.run(
            [self._shell, str(script)],
            env=self._variables,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=120,
        )
        self._output.append(os.fsdecode(done.stdout))
        carried = self._state / "variables"
        if carried.exists():
            pairs = (pair.partition("=") for pair in carried.read_text(encoding="utf-8").split("\0") if pair)
            self._variables = {name: value for name, _, value in pairs}
            self._folder = Path((self._state / "folder").read_text(encoding="utf-8").removesuffix("\n"))
            carried.unlink()
        return done.returncode
