from __future__ import annotations

import errno
import io
import re
import sys
import threading
from collections.abc import Mapping

import pytest
from rich.console import Console

from tests.support.event_samples import SAMPLES
from toolkit import events
from toolkit.cli.render.live import Board, LiveSink
from toolkit.cli.render.plain import fact_lines, is_detail

SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def terminal(
    file: io.StringIO | None = None, *, width: int = 100, height: int = 24, environment: Mapping[str, str] | None = None
) -> Console:
    environment = {"TERM": "xterm-256color", **(environment or {})}
    return Console(file=file or io.StringIO(), force_terminal=True, width=width, height=height, _environ=environment)


def screen(output: str) -> list[str]:
    """What a terminal shows after `output`; knows exactly what rich's display uses, so a new code fails here."""
    rows, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x1b]", output):
        if part == "\n":
            row, column = row + 1, 0
            rows += [""] * (row + 1 - len(rows))
        elif part == "\r":
            column = 0
        elif part[0] == "\x1b" and part.endswith("A"):
            row -= int(part[2:-1])
        elif part == "\x1b[2K":
            rows[row] = ""
        elif part[0] == "\x1b":
            assert part.endswith("m") or part in (SHOW_CURSOR, HIDE_CURSOR), part
        else:
            rows[row] = rows[row].ljust(column)[:column] + part + rows[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in rows]


def drawn(board: Board, *, width: int = 100, height: int = 24) -> list[str]:
    console = terminal(width=width, height=height)
    with console.capture() as capture:
        console.print(board)
    return [line.rstrip() for line in screen(capture.get()) if line.strip()]


def board_with(clock: Clock, *told: events.Event) -> Board:
    board = Board(clock)
    for event in told:
        board.take(event)
    return board


def test_only_facts_remain_on_the_screen() -> None:
    output = io.StringIO()
    with LiveSink(terminal(output, width=300)) as sink:
        for number, event in enumerate(SAMPLES, 1):
            sink.receive(events.Stamped(number, 0.0, event))
    begun = (events.StepStarted, events.ImageStarted, events.InfraChangeStarted)
    facts = [event for event in SAMPLES if not event.ephemeral and not isinstance(event, begun)]
    expected = [line for event in facts if not is_detail(event) for line in fact_lines(event)]
    assert [line for line in screen(output.getvalue()) if line] == [line for line in expected if line]


def test_images_are_drawn_with_their_share_and_all_of_them_together() -> None:
    clock = Clock()
    board = board_with(
        clock,
        events.StepStarted("seed", total=4),
        events.ImageStarted("library/nginx:1.16", "s", "d"),
        events.ImageStarted("library/python:3.12", "s", "d"),
        events.ImageStarted("library/alpine:3.20", "s", "d"),
        events.ImageFinished("library/alpine:3.20", "copied", "sha256:aa", 3_000_000, 3_000_000, 1.0),
        events.ImageProgressed("library/nginx:1.16", 20_000_000, 40_000_000),
    )
    drawn(board)
    clock.now += 2.0
    board.take(events.ImageProgressed("library/nginx:1.16", 30_000_000, 40_000_000))
    step, nginx, python, total = drawn(board)
    assert re.fullmatch(r". seed  2.0 s", step)
    assert re.fullmatch(r"library/nginx:1.16 +\S+ +75%  30.0 MB of 40.0 MB", nginx)
    assert re.fullmatch(r"library/python:3.12 +\S+ +0%", python)
    assert re.fullmatch(r"1 of 4 images +\S+ +43%  33.0 MB, 5.00 MB/s", total)


def test_images_are_counted_as_they_come_where_no_step_told_how_many() -> None:
    board = board_with(
        Clock(),
        events.ImageStarted("a:1", "s", "d"),
        events.ImageFailed("a:1", "x.y", "no"),
        events.ImageStarted("b:1", "s", "d"),
    )
    assert drawn(board)[-1].startswith("1 of 2 images")


def test_a_wait_for_pulls_has_a_clock_that_runs_between_the_looks_at_the_budget() -> None:
    clock = Clock()
    board = board_with(clock, events.BudgetAwaited("docker.io", 2, 0, 100, 60.0, 21600))
    clock.now += 30 * 60
    (line,) = drawn(board)
    assert re.fullmatch(r"docker.io: 2 images, 0 of 100 pulls left +\S+ +8%  31 min of 6 h", line)
    board.take(events.StepFinished("wait for pulls", 1860.0))
    assert drawn(board) == []


def test_an_image_that_was_put_off_has_not_ended() -> None:
    board = board_with(
        Clock(),
        events.StepStarted("seed", total=2),
        events.ImageStarted("a:1", "s", "d"),
        events.ImagePostponed("a:1", "x.y", "no"),
    )
    assert drawn(board)[-1].startswith("0 of 2 images")


def test_steps_that_count_other_things_do_not_count_as_images() -> None:
    board = board_with(Clock(), events.StepStarted("terraform apply", total=90), events.ImageStarted("a:1", "s", "d"))
    assert drawn(board)[-1].startswith("0 of 1 image ")


def test_a_failed_image_makes_no_negative_speed() -> None:
    clock = Clock()
    board = board_with(
        clock,
        events.ImageStarted("a:1", "s", "d"),
        events.ImageStarted("b:1", "s", "d"),
        events.ImageProgressed("a:1", 500, 1000),
    )
    drawn(board)
    clock.now += 1.0
    board.take(events.ImageFailed("a:1", "x.y", "no"))
    assert drawn(board)[-1].endswith("0 B, 0 B/s")


def test_running_resource_changes_are_drawn_until_they_end() -> None:
    clock = Clock()
    board = board_with(
        clock, events.InfraChangeStarted("aws_x.a", "create"), events.InfraChangeStarted("aws_x.b", "update")
    )
    clock.now += 12
    board.take(events.InfraChangeFailed("aws_x.b", "update", 3.0))
    assert [line[2:] for line in drawn(board)] == ["create aws_x.a  12 s"]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal_and_the_end_of_a_name_is_seen(width: int) -> None:
    name = "docker-hub/" + "long-name/" * 20 + "end:1.16"
    board = board_with(
        Clock(),
        events.StepStarted("seed", "into 123456789012.dkr.ecr.ap-northeast-1.amazonaws.com", 3),
        events.InfraChangeStarted(f'module.repository["{name}"].aws_ecr_repository.this', "create"),
        events.ImageStarted(name, "s", "d"),
        events.ImageProgressed(name, 1_000_000, 400_000_000),
    )
    lines = drawn(board, width=width)
    assert len(lines) == 4
    assert max(map(len, lines)) <= width
    assert ":1.16" in lines[2]


def test_the_drawing_stays_within_the_screen_and_says_what_is_left_out() -> None:
    started = [events.ImageStarted(f"image-{number}:1", "s", "d") for number in range(40)]
    changing = [events.InfraChangeStarted(f"aws_x.r{number}", "create") for number in range(40)]
    lines = drawn(board_with(Clock(), events.StepStarted("seed", total=40), *started, *changing), height=24)
    assert len(lines) <= 20
    assert "  and 34 more images" in lines
    assert "  and 34 more resources" in lines


def test_names_of_others_cannot_steer_the_terminal() -> None:
    board = board_with(Clock(), events.StepStarted("seed", "\x1b[2J"), events.ImageStarted("a\x1b[2J[red]:1", "s", "d"))
    lines = drawn(board)
    assert r"\x1b[2J" in lines[0]
    assert r"a\x1b[2J[red]:1" in lines[1]


def test_the_cursor_comes_back_after_an_exception() -> None:
    output = io.StringIO()
    with pytest.raises(KeyboardInterrupt), LiveSink(terminal(output)) as sink:
        sink.receive(events.Stamped(1, 0.0, events.StepStarted("seed", total=3)))
        raise KeyboardInterrupt
    assert output.getvalue().rfind(SHOW_CURSOR) > output.getvalue().rfind(HIDE_CURSOR) >= 0
    assert "".join(screen(output.getvalue())) == ""


def test_a_pause_leaves_the_terminal_to_others_and_the_drawing_comes_back() -> None:
    output = io.StringIO()
    with LiveSink(terminal(output)) as sink:
        sink.receive(events.Stamped(1, 0.0, events.StepStarted("seed", total=3)))
        with sink.paused():
            assert output.getvalue().rfind(SHOW_CURSOR) > output.getvalue().rfind(HIDE_CURSOR)
            output.write("Apply? yes\n")
        assert output.getvalue().rfind(HIDE_CURSOR) > output.getvalue().rfind(SHOW_CURSOR)
        sink.receive(events.Stamped(2, 0.0, events.StepFinished("seed", 1.0)))
    assert [line for line in screen(output.getvalue()) if line] == ["Apply? yes", "done      seed in 1.0 s"]


def test_what_others_write_to_stdout_is_not_captured() -> None:
    before = sys.stdout, sys.stderr
    with LiveSink(terminal()):
        assert (sys.stdout, sys.stderr) == before


def test_no_color_means_no_style_at_all_and_a_board_as_ever() -> None:
    outputs = {}
    for value in ("", "1"):
        outputs[value] = io.StringIO()
        with LiveSink(terminal(outputs[value], environment={"NO_COLOR": value})) as sink:
            for number, event in enumerate(SAMPLES, 1):
                sink.receive(events.Stamped(number, 0.0, event))
    style = re.compile(r"\x1b\[[0-9;]*m")
    assert style.search(outputs[""].getvalue())
    assert not style.search(outputs["1"].getvalue())
    assert HIDE_CURSOR in outputs["1"].getvalue()


class HungUp(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_terminal_that_hung_up_does_not_stop_the_run() -> None:
    sink = LiveSink(terminal())
    with sink:
        sink._console.file = HungUp()
        sink.receive(events.Stamped(1, 0.0, events.StepFinished("seed", 1.0)))


def test_many_threads_may_emit_while_it_draws() -> None:
    output = io.StringIO()
    with LiveSink(terminal(output, width=200)) as sink:
        emit = events.EventStream([sink]).emit

        def work(image: str) -> None:
            emit(events.ImageStarted(image, "s", "d"))
            for done in range(100):
                emit(events.ImageProgressed(image, done, 100))
            emit(events.ImageFinished(image, "copied", "sha256:aa", 100, 100, 0.1))

        threads = [threading.Thread(target=work, args=(f"image-{number}:1",), daemon=True) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=20)
            assert not thread.is_alive()
    shown = [line for line in screen(output.getvalue()) if line]
    assert sorted(line.split()[1] for line in shown) == [f"image-{number}:1" for number in range(8)]
