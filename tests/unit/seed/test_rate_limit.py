from __future__ import annotations

from toolkit.seed.rate_limit import RateLimit


def test_turns_are_an_interval_apart_and_unused_ones_are_not_saved_up() -> None:
    now = 100.0
    limit = RateLimit({"ecr": 4}.get, clock=lambda: now)
    assert [limit.take_turn("ecr") for _ in range(3)] == [0.0, 0.25, 0.5]
    now = 200.0
    assert [limit.take_turn("ecr") for _ in range(2)] == [0.0, 0.25]


def test_where_there_is_no_rate_every_turn_is_now() -> None:
    limit = RateLimit({"ecr": 4}.get)
    assert [limit.take_turn("other") for _ in range(3)] == [0.0, 0.0, 0.0]


def test_a_turn_takes_as_long_as_it_weighs() -> None:
    limit = RateLimit(lambda _: 100, clock=lambda: 7.0)
    assert [limit.take_turn(weight=weight) for weight in (50, 200, 1)] == [0.0, 0.5, 2.5]
