"""The `toolkit` program: the list of commands, and the process around them.

Only the command that is named gets built, and each imports what it needs when it runs.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from toolkit.cli.process import (
    EXHAUSTED,
    check_memory,
    exhausted,
    exit_interrupted,
    exit_with,
    handle_interrupts,
    prepare_streams,
    write_error,
)

COMMANDS = (
    "init",
    "scan",
    "validate",
    "doctor",
    "plan",
    "show",
    "apply",
    "report",
    "destroy",
    "seed",
    "status",
    "prune",
    "copy",
    "lock",
    "rollback",
    "refresh",
    "render",
    "lock-provider",
    "iam-policy",
    "buildspec",
    "schema",
    "explain",
    "sandbox",
)
"""In the order of the help; each is a module of `toolkit.cli.commands`, with `_` for `-`."""


def run() -> NoReturn:
    """The console script: exits with the code of the command."""
    handle_interrupts(exit_interrupted)
    try:
        check_memory()
        from toolkit.cli.app import make_app
        from toolkit.cli.completion import VARIABLE, command_of

        prepare_streams()
        named = [name for name in sys.argv[1:2] if name in COMMANDS]
        if VARIABLE in os.environ:
            named = [name for name in [command_of(os.environ, COMMANDS)] if name]
        code = make_app(named or COMMANDS)()
    except Exception as error:  # errors of a command do not get here; a limit may be met while modules are loaded
        sentence = exhausted(error)
        if sentence is None:
            raise
        write_error(f"error: {sentence} [{EXHAUSTED}]")
        code = 1
    exit_with(code)
