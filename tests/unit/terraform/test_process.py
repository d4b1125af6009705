from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from toolkit.errors import Interrupted
from toolkit.terraform.process import Listener, capture, run, scrub, survivor

# Says what it is told by signals and how it is run; `plan` is what a real argv has in this place.
COUNTS_INTERRUPTS = """
import signal, sys, time
count = 0
def note(number, frame):
    global count
    count += 1
    print("interrupt", count, flush=True)
signal.signal(signal.SIGINT, note)
print("ready", flush=True)
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end and count < int(sys.argv[3]):
    time.sleep(0.02)
time.sleep(0.2)
print("ended", flush=True)
"""


class _Recorder(Listener):
    """Keeps what it hears, and sends this process signals when it hears certain lines."""

    def __init__(self, signals: dict[str, int] | None = None) -> None:
        self.lines: list[str] = []
        self.complaints: list[str] = []
        self.interrupts: list[int] = []
        self._signals = signals or {}

    def wrote(self, line: str) -> None:
        self.lines.append(line)
        if line in self._signals:
            os.kill(os.getpid(), self._signals[line])

    def complained(self, line: str) -> None:
        self.complaints.append(line)

    def interrupted(self, times: int) -> None:
        self.interrupts.append(times)


def _run(
    tmp_path: Path, code: str, *arguments: str, listener: Listener | None = None, abort_seconds: float = 10
) -> int:
    program = tmp_path / "terraform"
    program.write_text(f"#!{sys.executable}\n{code}", encoding="utf-8")
    program.chmod(0o755)
    return run(
        [str(program), "plan", *arguments],
        cwd=tmp_path,
        environment={"PATH": "/usr/bin:/bin"},
        logs=tmp_path / "logs",
        listener=listener or Listener(),
        abort_seconds=abort_seconds,
    )


def _children() -> set[str]:
    """The processes that this one has started and that have not ended."""
    return {number for task in Path("/proc/self/task").glob("*/children") for number in task.read_text().split()}


def test_lines_are_heard_and_the_exit_code_is_returned(tmp_path: Path) -> None:
    recorder = _Recorder()
    code = "import sys; print('one\\ntwo', flush=True); print('no', file=sys.stderr); print('é', end=''); sys.exit(2)"
    assert _run(tmp_path, code, listener=recorder) == 2
    assert (recorder.lines, recorder.complaints) == (["one", "two", "é"], ["no"])


def test_bytes_that_are_no_text_are_heard_too(tmp_path: Path) -> None:
    recorder = _Recorder()
    _run(tmp_path, "import sys; sys.stdout.buffer.write(b'a\\xff\\n\\nb')", listener=recorder)
    assert recorder.lines == ["a\ufffd", "", "b"]


def test_lines_are_heard_while_it_runs(tmp_path: Path) -> None:
    class Answers(Listener):
        def wrote(self, line: str) -> None:
            if line == "half of it":
                (tmp_path / "heard").touch()

    code = """
import pathlib, sys, time
print("half", end="", flush=True); time.sleep(0.2); print(" of it", flush=True)
end = time.monotonic() + 10
while not pathlib.Path("heard").exists():
    if time.monotonic() > end: sys.exit(1)
    time.sleep(0.01)
"""
    assert _run(tmp_path, code, listener=Answers()) == 0


def test_it_has_a_session_of_its_own_and_no_stdin(tmp_path: Path) -> None:
    recorder = _Recorder()
    _run(tmp_path, "import os, sys; print(os.getsid(0) == os.getpid(), repr(sys.stdin.read()))", listener=recorder)
    assert recorder.lines == ["True ''"]


@pytest.fixture
def terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM raises here, as under our command line."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("terminated_as_interrupted")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_forwarded_once_and_the_end_awaited(tmp_path: Path, number: int) -> None:
    recorder = _Recorder({"ready": number})
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as interrupted:
        _run(tmp_path, COUNTS_INTERRUPTS, "20", "1", listener=recorder)
    assert recorder.lines == ["ready", "interrupt 1", "ended"]
    assert recorder.interrupts == [1]
    assert interrupted.value.code == "interrupted"
    assert signal.getsignal(number) is before


def test_a_second_interrupt_is_forwarded_too_and_a_third_is_not(tmp_path: Path) -> None:
    recorder = _Recorder({"ready": signal.SIGINT, "interrupt 1": signal.SIGINT, "interrupt 2": signal.SIGINT})
    with pytest.raises(Interrupted) as interrupted:
        _run(tmp_path, COUNTS_INTERRUPTS, "1.5", "3", listener=recorder)
    assert recorder.lines == ["ready", "interrupt 1", "interrupt 2", "ended"]
    assert recorder.interrupts == [1, 2]
    assert interrupted.value.code == "interrupted.twice"


def test_leaves_a_terraform_that_does_not_abort_and_finds_it_again(tmp_path: Path) -> None:
    recorder = _Recorder({"ready": signal.SIGINT, "interrupt 1": signal.SIGINT})
    started = time.monotonic()
    with pytest.raises(Interrupted):
        _run(tmp_path, COUNTS_INTERRUPTS, "60", "99", listener=recorder, abort_seconds=0.3)
    assert time.monotonic() - started < 20
    left = survivor(tmp_path / "logs")
    assert left is not None
    os.kill(left, signal.SIGKILL)
    os.waitpid(left, 0)
    assert survivor(tmp_path / "logs") is None


def test_an_interrupt_at_the_very_end_is_not_lost(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        _run(tmp_path, "print('bye', end='')", listener=_Recorder({"bye": signal.SIGINT}))


def test_when_the_listener_fails_it_is_interrupted_and_awaited_first(tmp_path: Path) -> None:
    class Fails(Listener):
        def wrote(self, line: str) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _run(tmp_path, COUNTS_INTERRUPTS + "open('ended', 'w').close()", "20", "1", listener=Fails())
    assert (tmp_path / "ended").exists()
    assert survivor(tmp_path / "logs") is None


def test_interrupts_terraform_when_its_trace_cannot_be_written(tmp_path: Path) -> None:
    """As on a full disk: nobody would find it again, and it would go on unwatched."""
    (tmp_path / "logs" / "running").mkdir(parents=True)
    before = _children()
    with pytest.raises(OSError):
        _run(tmp_path, "import time; time.sleep(60)")
    assert _children() <= before


def test_it_runs_outside_the_main_thread_where_no_signal_arrives(tmp_path: Path) -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(_run(tmp_path, "print('x')")))
    thread.start()
    thread.join(20)
    assert codes == [0]


def test_only_the_last_logs_are_kept(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    for number in range(1, 31):
        for kind in ("stdout", "stderr"):
            (logs / f"{number:04}-plan.{kind}").write_text("")
    (logs / "notes.txt").write_text("theirs")
    _run(tmp_path, "print('x')")
    assert (logs / "0031-plan.stdout").read_text() == "x\n"
    assert len(list(logs.glob("*.stdout"))) == len(list(logs.glob("*.stderr"))) == 20
    assert (logs / "0012-plan.stdout").exists() and not (logs / "0011-plan.stdout").exists()
    assert (logs / "notes.txt").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"not-a-number\0plan\0", b"999999999\0plan\0", f"{os.getpid()}\0another command\0".encode()],
    ids=["empty", "short", "no number", "no process", "another process"],
)
def test_a_trace_of_something_else_is_no_survivor(tmp_path: Path, content: bytes) -> None:
    assert survivor(tmp_path) is None
    (tmp_path / "running").write_bytes(content)
    assert survivor(tmp_path) is None


def test_what_bends_terraform_does_not_reach_it(tmp_path: Path) -> None:
    configuration = tmp_path / "terraformrc"
    configuration.touch()
    kept = {"PATH": "/bin", "AWS_PROFILE": "p", "TF_PLUGIN_CACHE_DIR": "/c", "TF_CLI_CONFIG_FILE": str(configuration)}
    bending = {
        "TF_CLI_ARGS": "-x",
        "TF_CLI_ARGS_plan": "-x",
        "TF_LOG": "TRACE",
        "TF_LOG_PATH": "/x",
        "TF_DATA_DIR": "/x",
        "TF_WORKSPACE": "x",
        "TF_VAR_builds": "{}",
        "TF_REATTACH_PROVIDERS": "{}",
        "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE": "1",
        "TF_INPUT": "1",
    }
    quiet = {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
    ours = {"TOOLKIT_PLAN_KEY": "who has it can sign any plan", "TOOLKIT_REGISTRY_HUB_TOKEN": "for a registry"}
    assert scrub(kept | bending | ours) == kept | quiet


@pytest.mark.parametrize("name", ["missing", "", "x" * 300], ids=["missing", "a folder", "not to be reached"])
def test_a_configuration_file_that_cannot_be_had_is_dropped(tmp_path: Path, name: str) -> None:
    assert "TF_CLI_CONFIG_FILE" not in scrub({"TF_CLI_CONFIG_FILE": str(tmp_path / name)})


def test_a_short_command_leaves_no_trace_on_the_disk(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import sys; print('secret'); print('no', file=sys.stderr); sys.exit(3)"]
    done = capture(argv, cwd=tmp_path, environment={})
    assert (done.exit_code, done.stdout, done.stderr) == (3, "secret\n", "no\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["0001-plan.stdout", "0001-plan.stderr", "running", "0x-plan.stdout"])
def test_a_link_among_the_logs_is_not_written_through(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / name).symlink_to(victim)
    assert _run(tmp_path, "print('x')") == 0
    assert victim.read_text() == "theirs"


def test_a_linked_folder_of_logs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "logs").symlink_to("elsewhere")
    with pytest.raises(OSError, match="it is a link"):
        _run(tmp_path, "print('x')")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("run_it", [_run, lambda folder, program: capture([sys.executable, "-c", program], cwd=folder, environment={})])  # fmt: skip
def test_what_terraform_writes_is_for_its_owner_alone(tmp_path: Path, run_it: Callable[[Path, str], object]) -> None:
    before = os.umask(0o022)
    try:
        run_it(tmp_path, "import os; open('terraform.tfstate', 'w').close(); os.mkdir('folder')")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert (modes["terraform.tfstate"], modes["folder"]) == (0o600, 0o700)
    assert all(modes[name] == 0o600 for name in modes if name.endswith((".stdout", ".stderr")))
    assert modes.get("logs", 0o700) == 0o700
