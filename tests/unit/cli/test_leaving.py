"""Leaving at once loses nothing that an ordinary exit would keep."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO


def leave_after(statements: str, stdout: IO[str] | int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    code = f"import atexit, sys, threading, time\nfrom toolkit.cli.leaving import leave\n{statements}\nleave(6)"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    argv = [sys.executable, "-c", code]
    return subprocess.run(argv, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, env=buffered)


def test_what_is_buffered_is_written_and_the_code_is_kept() -> None:
    done = leave_after("sys.stdout.write('the report')")
    assert (done.returncode, done.stdout, done.stderr) == (6, "the report", "")


def test_exit_functions_run() -> None:
    assert leave_after("atexit.register(sys.stdout.write, 'tidied')").stdout == "tidied"


def test_a_thread_that_is_no_daemon_ends_first() -> None:
    late = "threading.Thread(target=lambda: (time.sleep(0.3), sys.stdout.write('late'))).start()"
    done = leave_after(late)
    assert (done.returncode, done.stdout) == (6, "late")


def test_a_daemon_thread_is_not_waited_for() -> None:
    assert leave_after("threading.Thread(target=time.sleep, args=(60,), daemon=True).start()").returncode == 6


def test_an_output_that_cannot_be_written_is_no_success() -> None:
    with Path("/dev/full").open("w") as full:
        done = leave_after("sys.stdout.write('lost')", stdout=full)
    assert done.returncode == 120
    assert "No space left" in done.stderr
