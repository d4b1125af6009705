"""Runs the `toolkit` program as a user does: a process of its own, with an environment and a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from tests.support.program_forks import run_in_fork

TOOLKIT = str(Path(sys.executable).with_name("toolkit"))


@dataclass(frozen=True)
class Finished:
    """How a run ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """stdout of `--format json`."""
        return dict(json.loads(self.stdout))

    def expect(self, code: int) -> Finished:
        """Self, if it ended with `code`."""
        assert self.code == code, f"exit {self.code}, not {code}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"
        return self


class Toolkit:
    """The program with a folder and an environment; nothing of the caller's AWS settings gets through."""

    def __init__(self, folder: Path, environment: Mapping[str, str | None] | None = None) -> None:
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "TOOLKIT_")) or k == "AWS_CA_BUNDLE"}
        for name in ("TOOLKIT_PROVIDER_MIRROR",):
            if name in os.environ:
                kept[name] = os.environ[name]
        kept["TOOLKIT_CACHE_DIR"] = str(folder / "cache")
        kept["DOCKER_CONFIG"] = str(folder / "no-docker-config")
        self.environment = {**kept, **{k: v for k, v in (environment or {}).items() if v is not None}}

    def run(self, *arguments: str, stdin: str | None = None, timeout: float = 300) -> Finished:
        """Run to the end."""
        with TemporaryFile() as given, TemporaryFile() as stdout, TemporaryFile() as stderr:
            given.write((stdin or "").encode())
            given.seek(0)
            code = run_in_fork(TOOLKIT, arguments, self.folder, self.environment, (given, stdout, stderr), timeout)
            stdout.seek(0)
            stderr.seek(0)
            return Finished(code, stdout.read().decode(), stderr.read().decode())

    def run_until(
        self,
        stop: Callable[[dict[str, Any]], bool],
        signals: tuple[int, ...],
        *arguments: str,
        timeout: float = 300,
    ) -> tuple[Finished, list[dict[str, Any]]]:
        """Run with `--format json-lines`, send `signals` at the first event for which `stop` holds, wait for the end.

        Fails if the run ends before such an event.
        """
        with (self.folder / "stderr.txt").open("w+") as stderr:
            process = subprocess.Popen(
                [TOOLKIT, *arguments, "--format", "json-lines"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
            assert process.stdout is not None
            lines, is_sent = [], False
            deadline = time.monotonic() + timeout
            for line in process.stdout:
                lines.append(line)
                if not is_sent and stop(json.loads(line)):
                    is_sent = True
                    for number in signals:
                        process.send_signal(number)
                assert time.monotonic() < deadline, "the run does not end"
            code = process.wait(timeout=60)
            stderr.seek(0)
            finished = Finished(code, "".join(lines), stderr.read())
        assert is_sent, f"the run ended before it could be stopped: {finished}"
        return finished, [json.loads(line) for line in lines if line.endswith("\n")]
