"""The end of the process."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """End the process with `code`, at once where nothing would be lost by it.

    The interpreter takes every module apart first, a tenth of a run that finds nothing to do; the system gives all of
    it back anyway. Exit functions run and what is written goes out as ever. A thread that has to be waited for, or an
    output that cannot be written, is the interpreter's to handle.
    """
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        sys.exit(code)
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.exit(code)
    os._exit(code)
