"""stdin, stdout and stderr, as a run needs them."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import TextIO


def prepare_streams() -> None:
    """Put the null device where stdin, stdout or stderr were closed (`2>&-`), and escape what an encoding lacks.

    Python has None for a closed one, and the next file or socket would be opened in its place and be written to. To
    write a result to a closed stdout fails, as to a full disk: there it can only be read.
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
    """Have `stream` write letters in another way, where it is one that the system knows."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(encoding=encoding, errors=errors)
