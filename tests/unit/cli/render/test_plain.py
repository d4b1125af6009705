from __future__ import annotations

import inspect
import io
from dataclasses import fields, replace

import pytest

from tests.support.event_samples import REPOSITORY, SAMPLES
from tests.support.golden import assert_golden
from toolkit import events
from toolkit.cli.render.plain import PlainSink, fact_lines


def sink_with_stream(*, verbose: bool = False) -> tuple[PlainSink, io.StringIO]:
    stream = io.StringIO()
    return PlainSink(stream, verbose=verbose), stream


def receive(sink: PlainSink, *timed: tuple[float, events.Event]) -> None:
    for number, (time, event) in enumerate(timed, 1):
        sink.receive(events.Stamped(number, time, event))


def test_a_run_reads_as_a_line_a_fact() -> None:
    sink, stream = sink_with_stream()
    receive(sink, *((float(number), event) for number, event in enumerate(SAMPLES)))
    assert_golden("render/plain_run.txt", stream.getvalue())


def test_every_event_has_words() -> None:
    kinds = {kind for _, kind in inspect.getmembers(events, inspect.isclass) if issubclass(kind, events.Event)}
    assert {type(event) for event in SAMPLES} == kinds - {events.Event}
    assert all(fact_lines(event) for event in SAMPLES)


def test_verbose_adds_the_begin_of_resource_changes_and_short_retries() -> None:
    quiet, verbose = sink_with_stream(), sink_with_stream(verbose=True)
    for sink, _ in (quiet, verbose):
        receive(sink, *((0.0, event) for event in SAMPLES))
    added = set(verbose[1].getvalue().splitlines()) - set(quiet[1].getvalue().splitlines())
    assert added == {
        f"create    {REPOSITORY} started",
        "retry     registry-1.docker.io in 1.5 s (attempt 2): 503 Service Unavailable",
    }


def test_a_long_pause_is_news_to_everybody() -> None:
    sink, stream = sink_with_stream()
    receive(sink, (0.0, events.RetryScheduled("registry-1.docker.io", "429 Too Many Requests", 1, 60.0)))
    assert stream.getvalue() == "retry     registry-1.docker.io in 1 min (attempt 1): 429 Too Many Requests\n"


def test_a_wait_for_pulls_speaks_every_ten_minutes() -> None:
    sink, stream = sink_with_stream()
    looks = [
        (60.0 * minute, events.BudgetAwaited("docker.io", 2, 0, 100, 60.0 * minute, 21600)) for minute in range(21)
    ]
    receive(sink, *looks)
    assert stream.getvalue().splitlines() == [
        "wait      2 images from docker.io: 0 of 100 pulls are left; 10 min of at most 6 h",
        "wait      2 images from docker.io: 0 of 100 pulls are left; 20 min of at most 6 h",
    ]


def test_an_image_speaks_of_its_progress_every_ten_seconds_at_most() -> None:
    sink, stream = sink_with_stream()
    started = (0.0, events.ImageStarted("a:1", "s", "d"))
    steps = [(second / 2, events.ImageProgressed("a:1", second, 100)) for second in range(1, 61)]
    receive(sink, started, *steps)
    assert stream.getvalue().splitlines()[1:] == [
        "copy      a:1 19% (19 B of 100 B)",
        "copy      a:1 38% (38 B of 100 B)",
        "copy      a:1 57% (57 B of 100 B)",
    ]


def test_two_images_do_not_silence_each_other() -> None:
    sink, stream = sink_with_stream()
    receive(
        sink,
        (0.0, events.ImageStarted("a:1", "s", "d")),
        (0.0, events.ImageStarted("b:1", "s", "d")),
        (10.0, events.ImageProgressed("a:1", 1, 4)),
        (10.1, events.ImageProgressed("b:1", 0, 0)),
    )
    assert stream.getvalue().splitlines()[2:] == ["copy      a:1 25% (1 B of 4 B)", "copy      b:1 (0 B of 0 B)"]


def test_a_resource_that_terraform_mentions_every_ten_seconds_is_mentioned_each_time() -> None:
    sink, stream = sink_with_stream()
    receive(
        sink,
        (0.0, events.InfraChangeStarted("x.y", "create")),
        (10.2, events.InfraChangeProgressed("x.y", "create", 10.0)),
        (20.1, events.InfraChangeProgressed("x.y", "create", 20.0)),
    )
    assert stream.getvalue().splitlines() == ["create    x.y under way for 10 s", "create    x.y under way for 20 s"]


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: event.name)
def test_control_characters_of_others_never_reach_the_log(event: events.Event) -> None:
    values = {field.name: getattr(event, field.name) for field in fields(event)}
    hostile = {name: f"\x1b[31m{value}\r\u202e" if isinstance(value, str) else value for name, value in values.items()}
    lines = fact_lines(replace(event, **hostile))
    assert all(line.isprintable() for line in lines)
    assert any(r"\x1b[31m" in line for line in lines) or isinstance(event, events.RunFinished)


def test_a_run_ends_with_its_exit_code_and_leaves_the_error_to_the_boundary() -> None:
    assert fact_lines(SAMPLES[-1]) == ["finished  exit 6 after 21 s"]
