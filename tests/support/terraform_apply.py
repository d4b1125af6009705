"""A run of its own to be interrupted and killed: applies what is in argv[1]; each event is a line on stdout.

The last line says how it ended. With `ignore-sigint` it is as a shell starts what runs in the background.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType

from toolkit.errors import ToolkitError
from toolkit.events import Event
from toolkit.terraform.runner import TerraformRunner
from toolkit.terraform.work_dir import WorkDir


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(event: Event | str) -> None:
    print(event, flush=True)  # noqa: T201  a program of its own


def main() -> None:
    """Plan and apply under the lock."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, signal.SIG_IGN if "ignore-sigint" in sys.argv else signal.default_int_handler)
    runner = TerraformRunner("terraform", _say)
    work_dir = WorkDir(Path(sys.argv[1]))
    try:
        with work_dir.locked():
            runner.init(work_dir)
            _say(f"outputs: {runner.apply(runner.plan(work_dir))}")
    except ToolkitError as error:
        _say(f"{type(error).__name__}: {error.code}")


if __name__ == "__main__":
    main()
