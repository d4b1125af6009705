"""The process of a run: its signals, its standard streams, and what the machine gives it no more of."""

from __future__ import annotations

import errno
import mmap
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from types import FrameType
from typing import Any, NoReturn, TextIO

EXHAUSTED = "system.exhausted"
NO_MEMORY = "the system gives this run no more memory"
NO_THREADS = "the system lets this run start no more threads or processes"

_LEAST_MEMORY = 48 * 1024 * 1024

# The dynamic linker and CPython have no errors of their own for these.
_NOT_LOADED = "failed to map segment"
_NO_THREAD = "can't start new thread"

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
Handler = Callable[[int, FrameType | None], object]


def handle_interrupts(handler: Handler) -> dict[int, Any]:
    """Have `handler` called for SIGINT, SIGTERM, SIGHUP and SIGALRM; returns the handlers before, by signal.

    A signal that the parent process set to be ignored (`nohup`) stays ignored.
    """
    handled = [number for number in _INTERRUPTS if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in handled}


def exit_interrupted(number: int, frame: FrameType | None) -> NoReturn:
    """End the process at once: the handler while no command runs, when there is nothing to finish.

    It raises no exception, because one that is raised in the middle of an import may arrive as another one:
    `__set_name__` makes a RuntimeError of it.
    """
    write_error("error: the run was interrupted [interrupted]")
    os._exit(130)


@contextmanager
def ending_after(seconds: float, now: Callable[[], float] = time.time) -> Iterator[None]:
    """Interrupt what runs here after `seconds`, those included in which the machine slept.

    A timer stands still while a laptop sleeps, and goes on as if no time had passed. So the clock is looked at every
    second. It may be set back meanwhile, and then the timer's own seconds count.
    """
    started, ends = time.monotonic(), now() + seconds
    before = signal.getsignal(signal.SIGALRM)

    def look(number: int, frame: FrameType | None) -> None:
        if now() >= ends or time.monotonic() - started >= seconds:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, 1, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def exit_with(code: int) -> NoReturn:
    """Exit with `code`. The result is out, so an interrupt no longer changes the code."""
    for number in _INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


def write_error(line: str) -> None:
    """Write `line` to stderr, even before the streams are prepared; a closed stderr is no reason to fail."""
    with suppress(OSError):
        os.write(2, f"{line}\n".encode())


def prepare_streams() -> None:
    """Open the null device in place of a closed stdin, stdout or stderr (`2>&-`); escape what an encoding lacks.

    Otherwise the next file or socket would get the number of the closed stream and be written to. The null device for
    stdout is open for reading only, so that writing a result to a closed stdout fails, as on a full disk.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDONLY if name == "stdout" else os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115  a descriptor
    encode(sys.stdout, errors="backslashreplace")
    encode(sys.stderr, errors="backslashreplace")


def encode(stream: TextIO, *, errors: str, encoding: str | None = None) -> None:
    """Change the encoding of `stream`; streams without one of their own, such as a test's, stay as they are."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(encoding=encoding, errors=errors)


def check_memory() -> None:
    """Raise OSError if a limit of address space (`ulimit -v`) is too low: pydantic's Rust would abort the process."""
    mmap.mmap(-1, _LEAST_MEMORY, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ).close()


def exhausted(error: BaseException) -> str | None:
    """Which limit of the machine (of the container, of `ulimit`) caused `error`, as a sentence; None if none did."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, MemoryError) or (isinstance(found, OSError) and found.errno == errno.ENOMEM):
            return NO_MEMORY
        if isinstance(found, ImportError) and _NOT_LOADED in str(found):
            return NO_MEMORY
        is_refused = isinstance(found, BlockingIOError) and found.errno == errno.EAGAIN  # by `fork`
        if is_refused or (isinstance(found, RuntimeError) and _NO_THREAD in str(found)):
            return NO_THREADS
        found = found.__cause__ or found.__context__
    return None
