"""Starts Terraform; no other module does.

If its terminal, pipe or parent goes away, Terraform dies with an empty state file and a held lock. So it gets a session
of its own, no stdin, and files for its output, which we read while they grow. If we are killed, it finishes and saves
its state. An interrupt is forwarded, and we wait for the exit. `survivor` finds a Terraform that outlived its run.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, BinaryIO

from toolkit.errors import Interrupted, TerraformFailed
from toolkit.oci.credential_variables import without_secrets
from toolkit.oci.local_files import create_own, make_own_folder
from toolkit.oci.programs import is_in_tree, safe_search_path

_KEPT_RUNS = 20
# Variables that change what Terraform does or prints; we pass the necessary settings as flags.
_BENDING = (
    "TF_CLI_ARGS",
    "TF_DATA_DIR",
    "TF_LOG",
    "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE",
    "TF_REATTACH_PROVIDERS",
    "TF_VAR_",
    "TF_WORKSPACE",
)
_OWNER_ALONE = 0o077
"""The umask of Terraform, which would otherwise make its files, state and plan included, readable for everybody."""
_RUNNING = "running"
CLI_CONFIGS = ("TF_CLI_CONFIG_FILE", "TERRAFORM_CONFIG")
"""The second one is the old name of the first."""
_PLUGIN_CACHE = "TF_PLUGIN_CACHE_DIR"


@dataclass(frozen=True, slots=True)
class Captured:
    """The result of a short command."""

    exit_code: int
    stdout: str
    stderr: str


class Listener:
    """Callbacks for a running Terraform; they do nothing unless overridden."""

    def wrote(self, line: str) -> None:
        """Terraform wrote a line to stdout."""

    def complained(self, line: str) -> None:
        """Terraform wrote a line to stderr."""

    def interrupted(self, times: int) -> None:
        """An interrupt was forwarded; `times` is 1, or 2 for the one that aborts Terraform."""


def scrub(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without secrets and variables that change Terraform, and with settings that keep it quiet.

    A CLI configuration file that is missing or unreadable is dropped: Terraform would print a warning, as plain text,
    with every command. PATH leads to no program of the tree under review.
    """
    kept = {name: value for name, value in without_secrets(environment).items() if not _is_dropped(name, value)}
    if "PATH" in kept:
        kept["PATH"] = safe_search_path(kept["PATH"])
    for name in CLI_CONFIGS:
        if (file := kept.get(name)) is not None and not (os.access(file, os.R_OK) and Path(file).is_file()):
            del kept[name]
    return {**kept, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}


def dropped(environment: Mapping[str, str]) -> list[str]:
    """The names of the variables that `scrub` drops because they change Terraform."""
    return sorted(name for name, value in environment.items() if value and _is_dropped(name, value))


def _is_dropped(name: str, value: str) -> bool:
    """Providers in a plugin cache in the tree are as good as those in the tree's lock file."""
    return name.startswith(_BENDING) or (name == _PLUGIN_CACHE and is_in_tree(value))


@contextmanager
def _startable(program: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TerraformFailed(
            "terraform.not_runnable",
            f"`{program}` cannot be run: {error.strerror}",
            hint="name Terraform or OpenTofu with --terraform-bin",
        ) from error


def capture(argv: Sequence[str], *, cwd: Path | None, environment: Mapping[str, str]) -> Captured:
    """Run a command that only reads; its output never reaches the disk. TerraformFailed if it cannot start."""
    with _startable(argv[0]):
        done = subprocess.run(
            argv,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            start_new_session=True,
            umask=_OWNER_ALONE,
            check=False,
        )
    return Captured(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    logs: Path,
    listener: Listener,
    poll_seconds: float = 0.05,
    abort_seconds: float = 10.0,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Run to the end and return the exit code; `listener` gets every line as it is written, in this thread.

    Raises TerraformFailed if Terraform cannot start, and OSError if `logs` cannot be written. After an interrupt, waits
    for Terraform to exit and raises Interrupted. A second interrupt aborts Terraform; we stop waiting `abort_seconds`
    later. Before any other exception leaves this function, Terraform is interrupted and has exited.
    """
    stdout_path, stderr_path = _new_logs(logs, argv[1])
    with (
        create_own(stdout_path) as stdout,
        create_own(stderr_path) as stderr,
        stdout_path.open("rb") as stdout_tail,
        stderr_path.open("rb") as stderr_tail,
        _Interrupts() as interrupts,
    ):
        with _startable(argv[0]):
            process = subprocess.Popen(
                argv,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                umask=_OWNER_ALONE,
            )
        running = logs / _RUNNING
        try:
            with create_own(running) as file:
                file.write(f"{process.pid}\0".encode() + _command_line(argv))
            tails = (_Tail(stdout_tail, listener.wrote), _Tail(stderr_tail, listener.complained))
            _follow(process, tails, interrupts, listener, poll_seconds, abort_seconds, clock)
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
        finally:
            if process.returncode is not None:
                running.unlink(missing_ok=True)
    if interrupts.count == 0:
        return process.returncode
    if interrupts.count == 1:
        raise Interrupted(
            "interrupted", "the run was interrupted; Terraform has saved its state", hint="run the same command again"
        )
    raise Interrupted(
        "interrupted.twice",
        "the run was interrupted twice; Terraform was aborted and may not have recorded all that it created",
        hint="run the same command again: it imports orphaned resources",
    )


def survivor(logs: Path) -> int | None:
    """The process id of a Terraform that still runs, with these `logs`, although its run was killed."""
    try:
        number, arguments = (logs / _RUNNING).read_bytes().split(b"\0", 1)
        os.kill(int(number), 0)
    except (FileNotFoundError, ValueError, ProcessLookupError, PermissionError):
        return None
    # Another process may have the number by now. Without `/proc` there is no command line to compare.
    if not Path("/proc/self/cmdline").exists():
        return int(number)
    try:
        return int(number) if Path(f"/proc/{int(number)}/cmdline").read_bytes().endswith(arguments) else None
    except OSError:  # it has ended since
        return None


def _command_line(argv: Sequence[str]) -> bytes:
    """As `/proc` shows it, without the program: a wrapper may start another program with the same arguments."""
    return b"".join(argument.encode() + b"\0" for argument in argv[1:])


def _follow(
    process: subprocess.Popen[bytes],
    tails: Sequence[_Tail],
    interrupts: _Interrupts,
    listener: Listener,
    poll_seconds: float,
    abort_seconds: float,
    clock: Callable[[], float],
) -> None:
    """Read the output until the process has exited, or until `abort_seconds` after the second interrupt."""
    forwarded = 0
    deadline = float("inf")
    while True:
        ended = _has_ended(process, poll_seconds) or clock() > deadline
        for tail in tails:
            tail.read(is_last=ended)
        if ended:
            return
        if interrupts.count > forwarded and forwarded < 2:
            forwarded += 1
            process.send_signal(signal.SIGINT)
            listener.interrupted(forwarded)
            if forwarded == 2:
                deadline = clock() + abort_seconds


def _has_ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


class _Tail:
    """Reads the lines of a file while another process writes it."""

    def __init__(self, file: BinaryIO, on_line: Callable[[str], None]) -> None:
        self._file = file
        self._on_line = on_line
        self._rest = b""

    def read(self, *, is_last: bool) -> None:
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        if is_last and self._rest:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._on_line(line.decode(errors="replace"))


class _Interrupts:
    """Counts signals whose handlers would raise here, so that none of them interrupts a read or a wait.

    Signals that are ignored, or that end the process, stay so. Outside the main thread nothing is counted, because
    Python delivers no signals there.
    """

    _NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in self._NUMBERS:
                if callable(signal.getsignal(number)):
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1


def _new_logs(folder: Path, command: str) -> tuple[Path, Path]:
    """Two new files with the next number; the oldest files are removed."""
    make_own_folder(folder)
    runs = sorted((path for path in folder.glob("*-*.stdout") if path.name.split("-")[0].isdecimal()), key=_number)
    for old in runs[: max(0, len(runs) - _KEPT_RUNS + 1)]:
        old.unlink(missing_ok=True)
        old.with_suffix(".stderr").unlink(missing_ok=True)
    stem = f"{_number(runs[-1]) + 1 if runs else 1:04}-{command}"
    return folder / f"{stem}.stdout", folder / f"{stem}.stderr"


def _number(path: Path) -> int:
    return int(path.name.split("-")[0])
