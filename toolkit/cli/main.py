"""The `toolkit` program: the list of commands. Start-up counts: only the command that is named gets built, and each
imports what it needs when it runs.
"""

from __future__ import annotations

import gc
import os
import signal
import sys

from toolkit.address_space import check_address_space
from toolkit.cli.exhaustion import exhausted

TYPE_CHECKING = False  # as `typing` has it, which takes time in which nobody answers to Ctrl-C
if TYPE_CHECKING:
    from typing import NoReturn

COMMANDS = (
    "init",
    "scan",
    "validate",
    "plan",
    "show",
    "apply",
    "destroy",
    "seed",
    "copy",
    "render",
    "lock-provider",
    "buildspec",
    "schema",
    "sandbox",
)
"""In the order of the help; each is a module of `toolkit.cli.commands`, with `_` for `-`."""

# Imports and a plan make many objects that stay. Looking through them for garbage at every 700 more, the default, takes
# a twentieth of a short run.
_NEW_OBJECTS_A_COLLECTION = 50_000
_LEAST_MEMORY = 48 * 1024 * 1024


def run() -> NoReturn:
    """The console script: leaves the process with the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave_interrupted)
    gc.set_threshold(_NEW_OBJECTS_A_COLLECTION)
    try:
        check_address_space(_LEAST_MEMORY)  # without it pydantic's Rust ends the process
        from toolkit.cli.app import make_app
        from toolkit.cli.leaving import leave
        from toolkit.cli.streams import prepare_streams

        prepare_streams()
        named = [name for name in sys.argv[1:2] if name in COMMANDS]
        leave(make_app(named or COMMANDS)())
    except Exception as error:  # before the boundary stands: a limit of the machine is said, all else is raised
        sentence = exhausted(error)
        if sentence is None:
            raise
        _end(1, f"error: {sentence}")


def _leave_interrupted(number: int, frame: object) -> None:
    """Before a command runs there is nothing to finish, and an exception would end in the middle of an import."""
    _end(130, "error: the run was interrupted")


def _end(code: int, line: str) -> NoReturn:
    try:
        os.write(2, f"{line}\n".encode())
    finally:  # also where it is closed
        os._exit(code)
