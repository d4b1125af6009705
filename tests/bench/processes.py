"""Starts the programs that are measured, and sees what they cost."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


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
    with given.open("rb") as read, log.open("wb") as written:
        started = time.perf_counter()
        # A session of its own: Ctrl-C reaches us alone, and killing its group ends what the program started, too.
        process = subprocess.Popen(
            argv, stdin=read, stdout=written, stderr=subprocess.STDOUT, env=dict(environment), start_new_session=True
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = log.read_text(errors="replace").strip().splitlines()[-3:]
        raise RunFailed(f"{Path(argv[0]).name} ended with {process.returncode}: {' | '.join(tail)[-600:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
