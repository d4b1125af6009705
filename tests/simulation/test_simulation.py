"""A fleet of simulated machines ends within a tenth of the bound that its plan names."""

from __future__ import annotations

import pytest

from tests.simulation.__main__ import COUNTS, PAGE, PICTURE, WORLDS, picture, table
from tests.simulation.fleet import Bucket, World, simulate
from toolkit.plan.model import Bound


def test_a_bucket_grants_its_rate_and_no_more() -> None:
    bucket = Bucket(10)
    assert [bucket.take(0.0) for _ in range(11)] == [True] * 10 + [False]
    assert bucket.take(0.1)
    assert not bucket.take(0.15)
    assert bucket.reserve(1.0, 20) == pytest.approx(2.1, abs=0.2)


@pytest.mark.parametrize(
    ("world", "bound"),
    [
        (World(images=400, size=2 * 10**12), Bound.BYTES),
        (World(images=400, size=10**9), Bound.PUT_IMAGE),
        (World(images=400, size=10**9, pulls=1000), Bound.PULLS),
    ],
)
def test_a_small_fleet_keeps_to_its_bound(world: World, bound: Bound) -> None:
    for ran in simulate(world, (1, 4)):
        assert ran.division.bound is bound
        assert 0.99 <= ran.ratio <= 1.1


@pytest.mark.slow
def test_ten_thousand_images_keep_to_their_bound_as_the_docs_say() -> None:
    runs = {name: simulate(world, COUNTS) for name, world in WORLDS.items()}
    for those in runs.values():
        assert max(ran.ratio for ran in those) <= 1.1
    assert table(runs) in PAGE.read_text(encoding="utf-8")
    assert picture(runs) == PICTURE.read_text(encoding="utf-8")
