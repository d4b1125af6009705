from __future__ import annotations

import io
import json
import os
import threading
from dataclasses import fields
from typing import Any

import pytest

from tests.support.event_samples import SAMPLES
from toolkit import events
from toolkit.cli.render.json_lines import JsonLinesSink


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_the_first_line_carries_the_schema_version_and_every_line_its_place_and_time() -> None:
    stream = io.StringIO()
    emit = events.EventStream([JsonLinesSink(stream)], clock=lambda: 1_700_000_000.0456).emit
    emit(events.RunStarted("plan", "0.1.0"))
    emit(events.StepStarted("observe", total=2))
    emit(events.RunFinished(0, 1.5))
    assert stream.getvalue().splitlines() == [
        '{"schema_version":1,"type":"run_started","sequence":1,"time":"2023-11-14T22:13:20.045Z",'
        '"command":"plan","toolkit_version":"0.1.0"}',
        '{"type":"step_started","sequence":2,"time":"2023-11-14T22:13:20.045Z","step":"observe","detail":"","total":2}',
        '{"type":"run_finished","sequence":3,"time":"2023-11-14T22:13:20.045Z","exit_code":0,"seconds":1.5,'
        '"error_code":null,"error_message":null,"hint":null}',
    ]


def test_progress_is_left_out_and_leaves_no_gap() -> None:
    stream = io.StringIO()
    emit = events.EventStream([JsonLinesSink(stream)]).emit
    for event in SAMPLES:
        emit(event)
    lines = lines_of(stream)
    assert [line["type"] for line in lines] == [event.name for event in SAMPLES if not event.ephemeral]
    assert [line["sequence"] for line in lines] == list(range(1, len(lines) + 1))


@pytest.mark.parametrize("kind", ["plan", "report"])
def test_a_result_is_a_line_before_the_last(kind: Any) -> None:
    stream = io.StringIO()
    sink = JsonLinesSink(stream, clock=lambda: 2.0)
    emit = events.EventStream([sink], clock=lambda: 1.0).emit
    emit(events.RunStarted("plan", "0.1.0"))
    sink.write_result(kind, {"name": "platform", "seeds": []})
    emit(events.RunFinished(0, 1.5))
    _, result, last = lines_of(stream)
    assert result == {
        "type": f"{kind}_made",
        "sequence": 2,
        "time": "1970-01-01T00:00:02.000Z",
        kind: {"name": "platform", "seeds": []},
    }
    assert (last["type"], last["sequence"]) == ("run_finished", 3)


def test_any_text_stays_on_its_line_and_reads_back() -> None:
    stream = io.StringIO()
    message = "a\nb\u2028c\x1b[31m\ud800 é"
    JsonLinesSink(stream).receive(events.Stamped(1, 0.0, events.NoticeGiven("x.y", message)))
    assert stream.getvalue().isascii()
    assert stream.getvalue().count("\n") == 1
    assert lines_of(stream)[0]["message"] == message


def test_no_field_of_an_event_hides_one_of_the_line() -> None:
    taken = {field.name for event in SAMPLES for field in fields(event)}
    assert not taken & {"type", "sequence", "time", "schema_version"}


def test_each_line_is_there_as_soon_as_it_was_said() -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "w") as stream, os.fdopen(read_end, "rb") as reader:
        JsonLinesSink(stream).receive(events.Stamped(1, 0.0, events.RunStarted("plan", "0.1.0")))
        assert json.loads(reader.readline())["type"] == "run_started"


def test_lines_of_many_threads_are_whole_and_in_sequence() -> None:
    stream = io.StringIO()
    sink = JsonLinesSink(stream)
    emit = events.EventStream([sink]).emit

    def work(name: str) -> None:
        for _ in range(50):
            emit(events.NoticeGiven("x.y", name))
            sink.write_result("report", {"name": name})

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [line["sequence"] for line in lines_of(stream)] == list(range(1, 401))
