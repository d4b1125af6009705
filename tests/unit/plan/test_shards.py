"""A plan is divided whole: every image once, what shares content together, and every share sums to the whole."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.plan_samples import ACCOUNT, hub_cost, seed
from toolkit.oci.digest import Digest
from toolkit.plan.model import Bound, Division, Plan, PullCost, PullShare, Replica, Seed, SeedAction
from toolkit.plan.observed import Content, PullBudget
from toolkit.plan.pull_budget import pull_costs
from toolkit.plan.shards import MACHINE_BYTES_PER_SECOND, as_elsewhere, divide, division_misfits, part_of

MB = 10**6
RATE = 8.0


def blob(name: object) -> Digest:
    return Digest.of(str(name).encode())


def copy(repository: str, tag: str = "1", source: str = "", **fields: object) -> Seed:
    made = seed(SeedAction.COPY, f"{source or repository}:{tag}", repository, "new", pulls=(2, 3), **fields)
    return replace(made, source=made.source.with_digest(blob(made.source)))


def content(documents: int = 2, **blobs: int) -> Content:
    return Content(documents, {blob(name): size for name, size in blobs.items()}, is_known=True)


def plan_of(seeds: Sequence[Seed], remaining: int = 1000) -> Plan:
    budget = PullBudget("docker.io", 1000, remaining, 21600)
    return Plan("shop", ACCOUNT, (), tuple(seeds), pull_costs([s.cost for s in seeds if s.is_pending], [budget]))


def of_sizes(*sizes: int) -> tuple[Plan, dict[str, Content]]:
    """An image of each size in a repository of its own."""
    seeds = [copy(f"r{number:03}") for number in range(len(sizes))]
    return plan_of(seeds), {s.key: content(**{s.repository: size}) for s, size in zip(seeds, sizes, strict=True)}


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Plan, dict[str, Content]]:
    """Images that share sources and blobs at random, of which some are in place, and some sizes are unknown."""
    seeds, contents = [], {}
    for number in range(draw(st.integers(1, 25))):
        name = f"r{draw(st.integers(0, 12))}"
        one = copy(name, str(number), source=draw(st.sampled_from([name, name, name, "shared"])))
        action = draw(st.sampled_from([SeedAction.COPY, SeedAction.MOVE, SeedAction.KEEP]))
        seeds.append(replace(one, action=action, stored_as=draw(st.sampled_from([None, None, "old"]))))
        names = draw(st.lists(st.integers(0, 40), max_size=3))
        made = Content(draw(st.integers(1, 6)), {blob(n): 2**20 * (n + 1) for n in names}, draw(st.booleans()))
        contents |= {one.key: made} if draw(st.booleans()) else {}
    return plan_of(seeds, draw(st.integers(0, 80))), contents


def sizes_of(division: Division) -> list[int]:
    return [shard.size or 0 for shard in division.shards]


def ties(one: Seed, contents: Mapping[str, Content]) -> set[object]:
    known = contents.get(one.key)
    return {one.source.name, *(known.blobs if known else ())}


@given(worlds(), st.integers(1, 9))
def test_every_image_is_in_one_shard_and_what_shares_content_stays_together(
    world: tuple[Plan, dict[str, Content]], count: int
) -> None:
    plan, contents = world
    division = divide(plan, count, contents, RATE)
    assert len(division.shards) == count
    assert list(division_misfits(replace(plan, division=division), RATE)) == []
    parts = [part_of(plan, shard).seeds for shard in division.shards]
    assert Counter(itertools.chain(*parts)) == Counter(plan.seeds)
    for one, other in itertools.combinations(parts, 2):
        assert {s.repository for s in one}.isdisjoint(s.repository for s in other)
        copied = [set().union(*(ties(s, contents) for s in part if s.is_pending)) for part in (one, other)]
        assert copied[0].isdisjoint(copied[1])


@given(worlds(), st.integers(1, 9))
def test_the_shares_sum_to_the_whole_and_each_shard_can_do_its_part(
    world: tuple[Plan, dict[str, Content]], count: int
) -> None:
    plan, contents = world
    shards = divide(plan, count, contents, RATE).shards
    (cost,) = plan.pull_costs
    assert cost.budget
    assert sum(shard.put_image_per_second for shard in shards) == pytest.approx(RATE)
    assert sum(shard.pulls[0].pulls for shard in shards) == cost.budget.remaining
    assert sum(shard.pulls[0].part for shard in shards) == pytest.approx(1)
    needs = [part_of(plan, shard).pull_costs[0].at_least for shard in shards]
    if sum(needs) <= cost.budget.remaining:
        assert all(shard.pulls[0].pulls >= need for shard, need in zip(shards, needs, strict=True))


@given(worlds(), st.integers(0, 9), st.randoms(use_true_random=False))
def test_the_same_plan_is_divided_the_same_way(
    world: tuple[Plan, dict[str, Content]], count: int, random: object
) -> None:
    plan, contents = world
    shuffled = list(contents.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' Random
    assert divide(plan, count, contents, RATE) == divide(plan, count, dict(shuffled), RATE)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=60), st.integers(1, 12))
def test_bytes_are_balanced_where_every_group_is_a_fifth_of_a_shard(sizes: list[int], count: int) -> None:
    division = divide(*of_sizes_of(sizes, count), RATE)
    mean = sum(sizes) * MB / count
    if max(sizes) * MB <= 0.2 * mean:
        assert max(sizes_of(division)) <= 1.2 * mean
    assert max(sizes_of(division)) <= mean + max(sizes) * MB


def of_sizes_of(sizes: Sequence[int], count: int) -> tuple[Plan, int, dict[str, Content]]:
    plan, contents = of_sizes(*(size * MB for size in sizes))
    return plan, count, contents


@given(st.lists(st.integers(1, 30), min_size=2, max_size=7), st.integers(2, 3))
def test_bytes_are_balanced_where_any_division_does_it(sizes: list[int], count: int) -> None:
    mean = sum(sizes) * MB / count
    best = min(
        max(sum(size for size, at in zip(sizes, places, strict=True) if at == n) for n in range(count))
        for places in itertools.product(range(count), repeat=len(sizes))
    )
    if best * MB <= 1.2 * mean:
        assert max(sizes_of(divide(*of_sizes_of(sizes, count), RATE))) <= 1.2 * mean


def test_numbers_of_documents_are_balanced_where_no_size_is_known() -> None:
    seeds = [copy(f"r{number}") for number in range(40)]
    division = divide(plan_of(seeds), 4, {}, RATE)
    assert [shard.size for shard in division.shards] == [None] * 4
    assert [shard.documents for shard in division.shards] == [20] * 4
    assert division.unknown_sizes == 40


def test_an_image_of_unknown_size_counts_as_its_documents_do_on_average() -> None:
    plan, contents = of_sizes(*[100 * MB] * 8)
    del contents["r000:1"]
    division = divide(plan, 4, contents, RATE)
    assert sizes_of(division) == [200 * MB] * 4
    assert division.unknown_sizes == 1


def test_a_layer_that_is_as_small_as_a_request_ties_nothing() -> None:
    seeds = [copy(f"r{number}") for number in range(4)]
    contents = {s.key: content(empty=32, **{s.repository: 5 * MB}) for s in seeds}
    assert divide(plan_of(seeds), 4, contents, RATE).groups == 4


def test_what_is_in_ecr_under_another_tag_has_no_bytes() -> None:
    plan, contents = of_sizes(500 * MB, 100 * MB, 100 * MB)
    moved = replace(plan.seeds[0], stored_as="old")
    division = divide(replace(plan, seeds=(moved, *plan.seeds[1:])), 1, contents, RATE)
    assert sizes_of(division) == [200 * MB]
    assert division.shards[0].documents == 5


TB = 10**12


@pytest.mark.parametrize(
    ("sizes", "remaining", "count", "bound", "seconds", "useful"),
    [
        # 200 documents at 8 a second take 25 s, and the bytes of one machine 10,000 s; a machine starts in 60 s
        ([TB // 100] * 100, 1000, 1, Bound.BYTES, 10_000, 99),
        ([TB // 100] * 100, 1000, 50, Bound.BYTES, 200, 99),
        # a group of half the bytes bounds what the others gain
        ([TB // 2, *[TB // 100] * 50], 1000, 4, Bound.BYTES, 5_000, 2),
        # one machine is done in the time of its documents
        ([2 * MB] * 100, 1000, 1, Bound.PUT_IMAGE, 25, 1),
        ([2 * MB] * 100, 1000, 8, Bound.PUT_IMAGE, 25, 1),
        # 300 pulls at most, of which 200 are missing and come back at 1000 in 6 h
        ([2 * MB] * 100, 100, 4, Bound.PULLS, 4_320, 1),
        # 100 GB: 1000 s of one machine, in at least 60 s each
        ([TB // 1000] * 100, 1000, 1, Bound.BYTES, 1_000, 17),
        ([TB // 1000] * 100, 1000, 0, Bound.BYTES, 60, 17),
    ],
)
def test_the_bound_that_rules_is_named_and_so_is_the_number_beyond_which_nothing_is_gained(
    sizes: list[int], remaining: int, count: int, bound: Bound, seconds: float, useful: int
) -> None:
    plan, contents = of_sizes(*sizes)
    costs = pull_costs([s.cost for s in plan.seeds], [PullBudget("docker.io", 1000, remaining, 21600)])
    division = divide(replace(plan, pull_costs=costs), count, contents, RATE)
    assert (division.bound, division.useful) == (bound, useful)
    assert division.seconds == pytest.approx(seconds, rel=0.01)
    assert len(division.shards) == (count or useful)


@pytest.mark.parametrize(
    ("sizes", "count", "at_once", "bound", "seconds", "shards"),
    [
        # a shard that waits leaves its share of the documents a second idle: 25 s for each round
        ([2 * MB] * 100, 8, 1, Bound.PUT_IMAGE, 8 * 25, 8),
        ([2 * MB] * 100, 8, 3, Bound.PUT_IMAGE, 3 * 25, 8),
        ([2 * MB] * 100, 8, 8, Bound.PUT_IMAGE, 25, 8),
        ([2 * MB] * 2, 8, 1, Bound.PUT_IMAGE, 2 * 0.5, 8),  # six of the shards have nothing to do
        # the bytes of all shards go through as many machines as there are
        ([TB // 1000] * 100, 10, 1, Bound.BYTES, 1_000, 10),
        ([TB // 1000] * 100, 10, 4, Bound.BYTES, 300, 10),
        ([TB // 1000] * 100, 0, 4, Bound.BYTES, 250, 4),
        ([TB // 1000] * 100, 0, 0, Bound.BYTES, 60, 17),  # they run elsewhere
    ],
)
def test_shards_that_wait_for_a_machine_take_longer_and_auto_makes_none(
    sizes: list[int], count: int, at_once: int, bound: Bound, seconds: float, shards: int
) -> None:
    plan, contents = of_sizes(*sizes)
    division = divide(replace(plan, pull_costs=()), count, contents, RATE, at_once)
    assert (division.bound, len(division.shards), division.at_once) == (bound, shards, at_once)
    assert division.seconds == pytest.approx(seconds, rel=0.01)


def test_the_number_that_is_useful_is_the_last_that_gains_anything() -> None:
    plan, contents = of_sizes(*[TB // 10] * 640)
    plan = replace(plan, pull_costs=())
    seconds = {count: divide(plan, count, contents, RATE).seconds for count in (1, 2, 32, 64, 99)}
    assert seconds[1] == 640 * TB // 10 / MACHINE_BYTES_PER_SECOND
    assert seconds == pytest.approx({count: seconds[1] / count for count in seconds}, rel=0.1)


@pytest.mark.parametrize(
    ("now", "allowed"),
    [
        (100, 25),  # as planned
        (40, 25),  # other shards have taken theirs
        (10, 10),  # somebody else pulls
        (200, 50),  # the window has passed
    ],
)
def test_a_shard_takes_its_share_of_the_pulls_that_are_left(now: int, allowed: int) -> None:
    seeds = [copy(f"r{number}") for number in range(4)]
    plan = replace(plan_of(seeds), pull_costs=(hub_cost(8, 12, 100),))
    shard = divide(plan, 4, {}, RATE).shards[0]
    assert shard.share(PullBudget("docker.io", 200, now, 21600)).remaining == allowed
    other = PullBudget("quay.io", 7, 7, 60)
    assert shard.share(other) == other


def test_another_machine_pays_for_what_this_one_has_in_its_cache() -> None:
    read = replace(copy("r0"), pulls=(0, 0))
    unread, moved, elsewhere = copy("r1"), replace(copy("r2"), pulls=(0, 0), stored_as="old"), copy("r3")
    elsewhere = replace(elsewhere, pulls=(0, 0), bytes_from=elsewhere.source.name)
    plan = plan_of([read, unread, moved, elsewhere], remaining=6)
    known = {seed.key: content(5, **{seed.repository: MB}) for seed in (read, moved, elsewhere)}
    costs = as_elsewhere(plan, {**known, unread.key: Content(1, {}, is_known=False)})
    assert [seed.pulls for seed in costs.seeds] == [(5, 5), (2, 3), (0, 0), (0, 0)]
    assert (costs.pull_costs[0].at_least, costs.pull_costs[0].at_most) == (7, 8)
    assert [refusal.code for refusal in costs.refusals] == ["budget.too_small"]


def test_the_part_of_a_shard_has_its_share_of_the_pulls_and_nothing_but_copies() -> None:
    plan = plan_of([copy(f"r{number}") for number in range(4)], remaining=40)
    shard = divide(plan, 4, {}, RATE).shards[1]
    replica = Replica("us-east-1", 4, 4, 0.1, 0.1, "2026-03-15")
    part = part_of(replace(plan, replicas=(replica,)), shard)
    assert part.pull_costs == (PullCost("docker.io", 2, 3, PullBudget("docker.io", 250, 10, 21600)),)
    assert not part.covers_infra
    assert part.replicas == (replica,)  # for which the shard waits


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda shards: shards[1:], "the shards are not numbered from 1"),
        (lambda shards: (replace(shards[0], repositories=()), shards[1]), "the repository `r0` is in no shard"),
        (
            lambda shards: (shards[0], replace(shards[1], repositories=("r0", "r1"))),
            "the repository `r0` is in 2 shards",
        ),
        (
            lambda shards: (replace(shards[0], repositories=("r0", "x")), shards[1]),
            "the repository `x` is in a shard, and not in the plan",
        ),
        (
            lambda shards: (replace(shards[0], put_image_per_second=8.0), shards[1]),
            "the shards do not share the manifests a second that the manifest allows",
        ),
        (
            lambda shards: (replace(shards[0], pulls=(PullShare("docker.io", 1000, 0.5),)), shards[1]),
            "the shards do not share the pulls at `docker.io` that the plan found",
        ),
        (
            lambda shards: (replace(shards[0], pulls=(PullShare("docker.io", 500, 1e9),)), shards[1]),
            "the shards do not share the pulls at `docker.io` that the plan found",
        ),
        (
            lambda shards: (shards[0], replace(shards[1], pulls=())),
            "the shard 2 has no share of the pulls that the plan found",
        ),
    ],
)
def test_a_division_that_does_not_fit_its_plan_is_told(change: object, said: str) -> None:
    plan = plan_of([copy("r0"), copy("r1")])
    division = divide(plan, 2, {}, RATE)
    made = replace(division, shards=change(division.shards))  # type: ignore[operator]  # a lambda of the table
    assert said in list(division_misfits(replace(plan, division=made), RATE))
