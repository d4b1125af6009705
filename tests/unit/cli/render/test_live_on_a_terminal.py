"""The live display in a process of its own whose standard error is a real terminal device."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

PROGRAM = """
import sys, time
from rich.console import Console
from toolkit import events
from toolkit.cli.render.live import LiveSink

with LiveSink(Console(stderr=True)) as sink:
    def tell(event): sink.receive(events.Stamped(1, 0.0, event))
    tell(events.StepStarted("seed", total=2))
    tell(events.ImageStarted("docker-hub/library/" + "long/" * 20 + "nginx:1.16", "s", "d"))
    sys.stdin.readline()
    print("data", flush=True)
    tell(events.StepFinished("seed", 1.0))
    sys.exit(3)
"""


def resize(terminal: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


def read_until(terminal: int, pattern: str) -> str:
    output, deadline = "", time.monotonic() + 20
    while not re.search(pattern, output):
        assert time.monotonic() < deadline, f"`{pattern}` did not come: {output!r}"
        if select.select([terminal], [], [], 1.0)[0]:
            output += os.read(terminal, 4096).decode(errors="replace")
    return output


def test_it_follows_the_width_leaves_stdout_alone_and_restores_the_cursor() -> None:
    controller, device = pty.openpty()
    resize(controller, 100)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=device,
        text=True,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "", "LINES": ""},
    )
    os.close(device)
    assert process.stdin and process.stdout
    wide = read_until(controller, r"0 of 2 images.*\n?")
    resize(controller, 50)
    narrow = read_until(controller, r"(?s)(0 of 2 images[^\n]*B/s\s*\r.*){3}")
    process.stdin.write("\n")
    process.stdin.flush()
    rest = read_until(controller, r"\?25h")
    assert process.stdout.read() == "data\n"
    assert process.wait(timeout=20) == 3
    os.close(controller)

    def lines(output: str) -> list[str]:
        return re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output))

    assert max(map(len, lines(wide))) > 50
    assert max(map(len, lines(narrow)[-4:])) <= 50
    assert "nginx:1.16" in narrow
    assert "done      seed in 1.0 s" in "\n".join(lines(rest))
