"""Where another registry has the content: what the plan asks and says, and what apply then reads where."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fake_services import NAMES, World, desired
from toolkit.errors import SeedingIncomplete
from toolkit.oci.alternatives import Alternative
from toolkit.oci.reference import Repository
from toolkit.operations.apply import apply
from toolkit.operations.plan import plan_manifest
from toolkit.operations.seed import seed
from toolkit.plan.model import Plan
from toolkit.plan.on_budget import OnBudget
from toolkit.report import Report

UPSTREAM, OTHER = "upstream.test", "other.test"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """`one` and `two` are elsewhere too, `three` is not; the upstream grants no pull."""
    world = World(tmp_path)
    world.registry.pulls_left[UPSTREAM] = 0
    world.alternatives[UPSTREAM] = [Alternative(OTHER, "mirror")]
    for name in ("one", "two"):
        there = Repository(OTHER, f"mirror/{name}")
        world.registry.documents[there] |= world.registry.documents[Repository(UPSTREAM, name)]
        world.registry.blobs[there] |= world.registry.blobs[Repository(UPSTREAM, name)]
    return world


def planned(world: World, **options: bool) -> Plan:
    return plan_manifest(desired(*NAMES), world.services, on_budget=OnBudget.PARTIAL, **options).plan


def test_the_plan_says_where_the_bytes_come_from_and_counts_no_pull_for_them(world: World) -> None:
    made = planned(world)
    assert [str(seed.bytes_from) for seed in made.seeds] == ["other.test/mirror/one", "other.test/mirror/two", "None"]
    assert [seed.pulls for seed in made.seeds] == [(0, 0), (0, 0), (1, 1)]
    assert {seed.source.registry for seed in made.seeds} == {UPSTREAM}
    assert made.pull_costs[0].at_least == 1


def test_apply_reads_there_and_leaves_what_only_the_upstream_has(world: World) -> None:
    reports: list[Report] = []
    with pytest.raises(SeedingIncomplete):
        apply(
            desired(*NAMES),
            world.services,
            review=lambda _: None,
            confirm=lambda _: True,
            publish=reports.append,
            on_budget=OnBudget.PARTIAL,
        )
    assert [outcome.status.value for outcome in reports[-1].outcomes] == ["copied", "copied", "skipped"]
    assert world.registry.count("get_manifest", UPSTREAM) == world.registry.count("open_blob", UPSTREAM) == 0


def test_nobody_else_is_asked_about_what_is_to_be_kept(world: World) -> None:
    for name in NAMES:
        world.create(name)
    world.registry.pulls_left[UPSTREAM] = 1
    seed(desired(*NAMES), world.services, review=lambda _: None, publish=lambda _: None)
    asked = world.registry.count("head_manifest", OTHER)
    assert asked == 3
    made: list[Plan] = []
    seed(desired(*NAMES), world.services, review=made.append, publish=lambda _: None)
    assert made[-1].pending_seeds == ()
    assert world.registry.count("head_manifest", OTHER) == asked


def test_sizes_are_read_there_too(world: World) -> None:
    world.registry.pulls_left[UPSTREAM] = 1
    assert None not in {seed.size for seed in planned(world, reads_sizes=True).seeds}
    assert world.registry.count("get_manifest", UPSTREAM) == 1


def test_a_plan_counts_pulls_where_the_alternative_is_closed(world: World) -> None:
    world.alternatives[UPSTREAM] = [Alternative("nowhere.test")]
    assert [seed.pulls for seed in planned(world).seeds] == [(1, 1)] * 3
