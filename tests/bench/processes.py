"""Starts the programs that are measured, and sees what they cost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took, of all processes that it waited for; the peak is of the largest one of them."""

    wall: float
    cpu: float
    peak_rss: int


class RunFailed(Exception):
    """A program ended with another code than 0; the message has the last lines that it wrote."""


def run(argv: Sequence[str], stdin: str, environment: Mapping[str, str], log: Path) -> Cost:
    """Run to the end, with nothing of our environment but what is given. Raises RunFailed."""
    given = log.with_suffix(".stdin")
    given.write_text(stdin)
    order = {"argv": list(argv), "stdin": str(given), "log": str(log), "environment": dict(environment)}
    # A session of its own: Ctrl-C reaches us alone, and killing its group ends what the program started, too.
    with subprocess.Popen(
        [sys.executable, "-I", str(_LAUNCHER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as launcher:
        try:
            answer, _ = launcher.communicate(json.dumps(order))
        except BaseException:
            os.killpg(launcher.pid, signal.SIGKILL)
            raise
    if launcher.returncode:
        raise RunFailed(f"{Path(argv[0]).name} could not be started")
    found = json.loads(answer)
    if found["code"]:
        tail = log.read_text(errors="replace").strip().splitlines()[-3:]
        raise RunFailed(f"{Path(argv[0]).name} ended with {found['code']}: {' | '.join(tail)[-600:]}")
    return Cost(**found["cost"])
