"""The `toolkit` program: the list of commands. Start-up counts: only the command that is named gets built, and each
imports what it needs when it runs.
"""

from __future__ import annotations

import gc
import sys
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


def run() -> NoReturn:
    """The console script: leaves the process with the exit code."""
    gc.set_threshold(_NEW_OBJECTS_A_COLLECTION)
    from toolkit.cli.app import make_app
    from toolkit.cli.leaving import leave
    from toolkit.cli.streams import prepare_streams

    prepare_streams()
    named = [name for name in sys.argv[1:2] if name in COMMANDS]
    leave(make_app(named or COMMANDS)())
