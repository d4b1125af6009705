from __future__ import annotations

from toolkit.seed.rate_limit import RateLimit


def test_spaces_turns_and_saves_none_up() -> None:
    now = 100.0
    limit = RateLimit({"ecr": 4}.get, clock=lambda: now)
    assert [limit.take_turn("ecr") for _ in range(3)] == [0.0, 0.25, 0.5]
    now = 200.0
    assert [limit.take_turn("ecr") for _ in range(2)] == [0.0, 0.25]


def test_gives_every_turn_now_without_a_limit() -> None:
    limit = RateLimit({"ecr": 4}.get)
    assert [limit.take_turn("other") for _ in range(3)] == [0.0, 0.0, 0.0]


def test_takes_as_long_as_the_weight() -> None:
    limit = RateLimit(lambda _: 100, clock=lambda: 7.0)
    assert [limit.take_turn(weight=weight) for weight in (50, 200, 1)] == [0.0, 0.5, 2.5]
