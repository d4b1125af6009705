"""What befalls a run at a random moment, and what has to be true of every run that it befell.

`TOOLKIT_KILLS` is the number of moments for each command; `make kills` takes a hundred, a plain run a sample.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from tests.support.toolkit_run import TOOLKIT, Finished, Toolkit

KILLS = int(os.environ.get("TOOLKIT_KILLS", "6"))

Process = subprocess.Popen[bytes]
Blow = Callable[[Process], None]


def sigkill(process: Process) -> None:
    process.kill()


def sigterm(process: Process) -> None:
    process.terminate()


def sigint(process: Process) -> None:
    process.send_signal(signal.SIGINT)


def sigint_twice(process: Process) -> None:
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)


def sigint_to_the_group(process: Process) -> None:
    """As a terminal sends it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)


def power_cut(process: Process) -> None:
    """The program and all that it started, Terraform and its provider too."""
    children = list(_descendants(process.pid))
    process.kill()
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


GENTLE = (sigterm, sigint, sigint_twice, sigint_to_the_group)
BLOWS = (sigkill, *GENTLE, power_cut)


def _descendants(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                yield child
                yield from _descendants(child)


def draw(dice: random.Random, number: int) -> Blow:
    """All of them in turn, so that a sample has each, and in no fixed order to the moments."""
    return BLOWS[(number + dice.randrange(2)) % len(BLOWS)]


class Victim:
    """A run which is to be struck; `finish` waits for its end and judges it."""

    def __init__(self, toolkit: Toolkit, *arguments: str) -> None:
        self._arguments = arguments
        self._output = toolkit.folder / "struck.txt"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [TOOLKIT, *arguments],
                cwd=toolkit.folder,
                env=toolkit.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.blow: Blow | None = None

    def strike(self, blow: Blow) -> None:
        self.blow = blow
        blow(self.process)

    def strike_after(self, seconds: float, blow: Blow) -> None:
        """Strike, unless the run ends before."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.strike(blow)

    def finish(self, *ends: int) -> Finished:
        """Wait for the end. A killed run has said nothing; another says 130, or ends as if nothing had been."""
        code = self.process.wait(300)  # with a network lost for good, all patience together took 123 s
        text = self._output.read_text(errors="replace")
        context = f"{self._arguments} after {getattr(self.blow, '__name__', 'nothing')} ends with {code}:\n{text}"
        assert "Traceback" not in text, context
        expected = {0, *ends}
        if self.blow in (sigkill, power_cut):
            expected.add(-signal.SIGKILL)
        elif self.blow is not None:
            expected.add(130)
        assert code in expected, context
        return Finished(code, text, text)
