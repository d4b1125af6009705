"""A program on a real terminal, with somebody who presses keys."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
import time
from pathlib import Path


def on_a_terminal(
    *argv: str, until: str = "", keys: bytes = b"", number: int = 0, folder: Path | None = None
) -> tuple[int, str]:
    """Run `argv`, press `keys` or send the signal `number` when it has written `until`: its exit code, and what it wrote.

    Again after five seconds, as a person would: what comes between the question and the system's `read` waits behind that.
    """
    controller, device = pty.openpty()

    def take_terminal() -> None:
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # `nohup`, or a shell's `&`, leaves them ignored
            signal.signal(one, signal.SIG_DFL)
        os.setsid()
        fcntl.ioctl(device, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(argv, stdin=device, stdout=device, stderr=device, cwd=folder, preexec_fn=take_terminal)
    os.close(device)
    output, send_at, deadline = "", 0.0, time.monotonic() + 60
    while process.poll() is None or select.select([controller], [], [], 0)[0]:
        assert time.monotonic() < deadline, f"it does not end: {output!r}"
        if select.select([controller], [], [], 0.1)[0]:
            try:
                output += os.read(controller, 4096).decode(errors="replace")
            except OSError:  # everybody has closed the other side
                break
        if until and until in output and time.monotonic() >= send_at:
            send_at = time.monotonic() + 5
            os.write(controller, keys)
            if number:
                process.send_signal(number)
    os.close(controller)
    return process.wait(timeout=20), output.replace("\r\n", "\n")
