"""Which images there is room for, and what a plan says of those that there is none for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference
from toolkit.oci.subset import WHOLE
from toolkit.plan.model import Cost, Plan, Seed, SeedAction
from toolkit.plan.observed import Account, PullBudget
from toolkit.plan.on_budget import OnBudget
from toolkit.plan.pull_budget import choose, judge_plan, postponed, pull_costs

Pulls = tuple[int, int | None]


def seeds(*pulls: Pulls) -> list[Seed]:
    """An image of Docker Hub for each, called 0, 1, …"""
    return [
        Seed(
            key=str(number),
            action=SeedAction.COPY,
            reason="not in ECR",
            source=Reference.parse(f"image{number}:1").with_digest(Digest.of(str(number).encode())),
            repository=f"r{number}",
            tag="1",
            subset=WHOLE,
            pulls=cost,
        )
        for number, cost in enumerate(pulls)
    ]


def costs(*pulls: Pulls) -> list[Cost]:
    return [seed.cost for seed in seeds(*pulls)]


def late(made: Plan) -> frozenset[str]:
    return postponed(made.costs, made.pull_costs, made.on_budget)


def hub(remaining: int, limit: int = 100) -> PullBudget:
    return PullBudget("docker.io", limit, remaining, 21600)


@pytest.mark.parametrize(
    ("pulls", "remaining", "chosen"),
    [
        ([(1, 1), (2, 2), (3, 3)], 6, "012"),
        ([(1, 1), (2, 2), (3, 3)], 5, "01"),
        ([(3, 3), (4, 4), (1, 1)], 5, "02"),  # the manifest's order, and what still fits behind a big one
        ([(2, 4), (2, 4)], 6, "0"),  # the worst case decides
        ([(2, None), (2, 3)], 9, "1"),  # unknown is no fit beside others
        ([(2, None), (2, None)], 9, "0"),  # but goes alone when nothing else fits
        ([(2, 6), (1, 5)], 2, ""),  # a known worst case has its turn when it fits
        ([(3, None), (1, None)], 2, "1"),
        ([(3, 3), (4, None)], 2, ""),
        ([(0, 0), (1, 1)], 0, "0"),  # what is in the cache costs nothing
        ([(0, 0), (2, None)], 2, "01"),
    ],
)
def test_whole_images_that_fit_are_chosen(pulls: list[Pulls], remaining: int, chosen: str) -> None:
    assert choose(costs(*pulls), hub(remaining)) == set(chosen)


def test_two_tags_of_one_content_are_paid_for_once() -> None:
    first, second, third = costs((2, 2), (2, 2), (2, 2))
    assert choose([first, replace(second, source=first.source), third], hub(3)) == {"0", "1"}


@pytest.mark.parametrize(("remaining", "chosen"), [(9, set()), (10, {"0"})])
def test_more_than_a_window_grants_fits_when_all_of_it_is_left(remaining: int, chosen: set[str]) -> None:
    assert choose(costs((12, 12)), hub(remaining, limit=10)) == chosen


def plan(remaining: int, *pulls: Pulls) -> Plan:
    made = tuple(seeds(*pulls))
    return Plan(
        "shop", Account("1", "r", "h"), (), made, pull_costs=pull_costs([seed.cost for seed in made], [hub(remaining)])
    )


def judged(on_budget: OnBudget, remaining: int, *pulls: Pulls) -> tuple[list[str], list[str]]:
    found = judge_plan(plan(remaining, *pulls), {}, on_budget)
    return [refusal.code for refusal in found.refusals], [notice.code for notice in found.notices]


def test_too_few_pulls_are_refused_unless_the_run_may_wait_or_stop_half_way() -> None:
    short = (2, (1, 1), (2, 2))
    assert judged(OnBudget.REFUSE, *short) == (["budget.too_small"], [])
    assert judged(OnBudget.WAIT, *short) == ([], ["budget.waits"])
    assert judged(OnBudget.PARTIAL, *short) == ([], ["budget.left_for_next_run"])
    for policy in OnBudget:
        assert judged(policy, 3, (1, 1), (2, 2)) == ([], [])


def test_the_images_without_room_are_known_beforehand() -> None:
    made = plan(2, (1, 1), (2, 2))
    assert late(made) == frozenset()
    assert late(replace(made, on_budget=OnBudget.PARTIAL)) == {"1"}
    (notice,) = judge_plan(made, {}, OnBudget.PARTIAL).notices
    assert "1 of 2 images may be left" in notice.message


def test_a_later_look_at_the_budget_replaces_the_earlier_judgement() -> None:
    refused = judge_plan(plan(2, (1, 1), (2, 2)), {}, OnBudget.REFUSE)
    assert judge_plan(refused, {"docker.io": hub(3)}, OnBudget.REFUSE).refusals == ()
    partial = judge_plan(refused, {"docker.io": hub(0)}, OnBudget.PARTIAL)
    assert late(partial) == {"0", "1"}
    assert [notice.code for notice in partial.notices] == ["budget.left_for_next_run"]
