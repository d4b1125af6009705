"""However a process ends, at a limit of the machine or by a signal, it says so and exits with a code of ours."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.support.toolkit_run import TOOLKIT, Toolkit
from toolkit.cli.process import NO_MEMORY, NO_THREADS, ending_after, exhausted
from toolkit.seed.worker_pool import WorkerPool

MANIFEST = "version: 1\nname: shop\naws: {region: eu-west-1}\nimages: [nginx:1.16]\n"


@pytest.mark.parametrize("kilobytes", [24_000, 30_000, 40_000, 50_000])
def test_without_memory_a_run_says_so(tmp_path: Path, kilobytes: int) -> None:
    (tmp_path / "images.yaml").write_text(MANIFEST)
    command = f"ulimit -v {kilobytes}; exec {TOOLKIT} validate"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"error: {NO_MEMORY} [system.exhausted]\n")


def test_an_error_that_came_of_a_limit_is_told_from_a_bug() -> None:
    assert exhausted(ValueError("x")) is None
    try:
        try:
            raise MemoryError
        except MemoryError:
            raise SystemError("error return without exception set")  # noqa: B904  as Python does it
    except SystemError as error:
        assert exhausted(error) == NO_MEMORY
    assert exhausted(OSError(errno.ENOMEM, "Cannot allocate memory")) == NO_MEMORY
    assert exhausted(ImportError("x.so: failed to map segment from shared object")) == NO_MEMORY
    assert exhausted(BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")) == NO_THREADS


@pytest.fixture
def no_more_threads() -> Iterator[Callable[[], None]]:
    """What makes every further thread ask for more memory than there is, as a limit of processes refuses it."""
    before = threading.stack_size()
    yield lambda: threading.stack_size(2**46)  # type: ignore[misc, return-value]
    threading.stack_size(before)


def test_a_pool_works_with_the_threads_that_it_gets(no_more_threads: Callable[[], None]) -> None:
    pool = WorkerPool(8, on_fault=pytest.fail)
    first, more = threading.Event(), threading.Event()
    pool.submit(first.set)
    assert first.wait(10)
    no_more_threads()
    for _ in range(20):
        pool.submit(lambda: None)
    pool.submit(more.set)
    assert more.wait(10)
    assert pool.stop(grace=10)


def test_without_any_thread_a_run_says_so(no_more_threads: Callable[[], None]) -> None:
    no_more_threads()
    with pytest.raises(RuntimeError) as caught:
        WorkerPool(8, on_fault=pytest.fail).submit(lambda: None)
    assert exhausted(caught.value) == NO_THREADS


def _answers_to(process: subprocess.Popen[bytes], number: int) -> bool:
    """Whether the process has a handler for the signal."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line.split()[1] for line in text.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (number - 1) & 1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("milliseconds", [0, 20, 60, 120, 250])
def test_a_signal_while_it_starts_is_130(tmp_path: Path, number: int, milliseconds: int) -> None:
    (tmp_path / "images.yaml").write_text(MANIFEST)
    with subprocess.Popen([TOOLKIT, "validate"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        while not _answers_to(run, signal.SIGTERM) and run.poll() is None:
            time.sleep(0.001)
        time.sleep(milliseconds / 1000)
        run.send_signal(number)
        _, stderr = run.communicate(timeout=30)
    assert b"Traceback" not in stderr
    assert run.returncode in ((130,) if milliseconds < 60 else (130, 0))
    if run.returncode == 130:
        assert stderr.startswith(b"error: the run was interrupted")


def test_an_interrupt_that_the_parent_ignores_stays_ignored(tmp_path: Path) -> None:
    (tmp_path / "images.yaml").write_text(MANIFEST)
    program = "import os, signal, sys; signal.signal(2, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    with subprocess.Popen(
        [sys.executable, "-c", program, TOOLKIT, "validate"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as run:
        while run.poll() is None:
            run.send_signal(signal.SIGINT) if _ignores_interrupts(run) else None
            time.sleep(0.01)
        assert run.returncode == 0, run.communicate()


def _ignores_interrupts(process: subprocess.Popen[bytes]) -> bool:
    text = Path(f"/proc/{process.pid}/status").read_text()
    ignored = next((line.split()[1] for line in text.splitlines() if line.startswith("SigIgn:")), "0")
    return bool(int(ignored, 16) >> (signal.SIGINT - 1) & 1)


@pytest.mark.parametrize(
    "command", ["validate -f", "render --out out -f", "plan -f", "scan . -f", "show", "apply", "scan"]
)
def test_a_pipe_instead_of_a_file_is_refused_and_not_waited_for(tmp_path: Path, command: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "images.yaml").write_text(MANIFEST)
    done = Toolkit(tmp_path).run(*command.split(), "pipe", timeout=60)
    assert "Traceback" not in done.stderr
    assert "it is no regular file" in done.stdout + done.stderr
    assert done.code == {"-f": 3, "show": 7, "apply": 7, "scan": 0}[command.split()[-1]]


def exit_after(statements: str, stdout: IO[str] | int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    code = f"import os, sys, threading, time\nfrom toolkit.cli.process import exit_with\n{statements}\nexit_with(6)"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    argv = [sys.executable, "-c", code]
    return subprocess.run(argv, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, env=buffered)


def test_writes_what_is_buffered_and_keeps_the_code() -> None:
    done = exit_after("sys.stdout.write('the report')")
    assert (done.returncode, done.stdout, done.stderr) == (6, "the report", "")


def test_does_not_wait_for_a_daemon_thread() -> None:
    assert exit_after("threading.Thread(target=time.sleep, args=(60,), daemon=True).start()").returncode == 6


def test_keeps_the_code_when_a_signal_comes_late() -> None:
    late = "import atexit, signal\natexit.register(lambda: [os.kill(os.getpid(), n) for n in (1, 2, 15)])"
    assert exit_after(late).returncode == 6


def test_calls_an_output_that_cannot_be_written_no_success() -> None:
    with Path("/dev/full").open("w") as full:
        done = exit_after("sys.stdout.write('lost')", stdout=full)
    assert done.returncode == 120
    assert "No space left" in done.stderr


def test_a_run_ends_itself_in_time_and_at_once_after_the_machine_slept() -> None:
    clock = [1000.0]
    before = signal.getsignal(signal.SIGALRM)
    with ending_after(3300, lambda: clock[0]):
        time.sleep(1.2)
        clock[0] += 3 * 3600
        with pytest.raises(KeyboardInterrupt):
            time.sleep(3)
    with pytest.raises(KeyboardInterrupt), ending_after(1, lambda: 0.0):
        time.sleep(4)
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
