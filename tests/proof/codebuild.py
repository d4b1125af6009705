"""Running a buildspec as CodeBuild does, by the sandbox's own container, with what the commands printed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.sandbox import build_process
from toolkit.sandbox.build_process import PhaseRun

_COMMAND_SECONDS = 120


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
        self._source = source
        self._variables = variables
        self._shell = shell

    def run(self, buildspec: str) -> BuildRun:
        """Run the phases of `buildspec`."""
        log = self._state / "output"
        with log.open("wb") as output:
            phases = build_process.BuildContainer(
                self._state, self._source, self._variables, output, self._shell, _COMMAND_SECONDS
            ).run(buildspec)
        return BuildRun(phases, os.fsdecode(log.read_bytes()))
