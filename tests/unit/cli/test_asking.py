"""A question on a real terminal ends with an answer, or as any other interrupt does."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.support.toolkit_run import TOOLKIT

ASKING = """
from toolkit.cli.boundary import Presentation, ToolkitGroup, execute
import typer
app = typer.Typer(cls=ToolkitGroup, rich_markup_mode=None)
app.callback()(lambda: None)
@app.command()
def ask() -> None:
    execute("ask", Presentation(is_brief=True), lambda run: 0 if run.ask("Apply this plan?") else 7)
raise SystemExit(app(["ask"]))
"""


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


@pytest.mark.parametrize("keys, code", [(b"y\n", 0), (b"n\n", 7), (b"\n", 7)])
def test_an_answer_is_taken(keys: bytes, code: int) -> None:
    assert on_a_terminal(sys.executable, "-c", ASKING, until="[y/N]", keys=keys)[0] == code


@pytest.mark.parametrize(
    "keys, number",
    [(b"\x03", 0), (b"\x04", 0), (b"", signal.SIGTERM), (b"", signal.SIGHUP)],
    ids=["Ctrl-C", "Ctrl-D", "SIGTERM", "SIGHUP"],
)
def test_no_answer_is_an_interrupt_and_no_bug(keys: bytes, number: int) -> None:
    code, output = on_a_terminal(sys.executable, "-c", ASKING, until="[y/N]", keys=keys, number=number)
    assert code == 130
    assert "\nerror: the run was interrupted\n" in output
    assert "Traceback" not in output


def test_a_format_for_programs_is_no_missing_terminal(tmp_path: Path) -> None:
    code, output = on_a_terminal(TOOLKIT, "apply", "--format", "json", folder=tmp_path)
    assert code == 7
    assert "with `--format json` nobody is asked to approve the plan" in output
    assert "no terminal" not in output
