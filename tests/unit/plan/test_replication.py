"""What replicas cost, and whose rules a registry has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.fake_services import desired
from tests.support.plan_samples import seed
from toolkit.plan.model import Replica, SeedAction
from toolkit.plan.observed import ReplicationRule
from toolkit.plan.replication import copied_besides, foreign_rules, replicas_of

OURS = ReplicationRule(("us-east-1",), ("mirror/",))
OLD = ReplicationRule(("us-west-2",), ("mirror/",))
FOREIGN = ReplicationRule(("210987654321/us-east-1", "eu-north-1"), ())


@pytest.mark.parametrize(
    ("found", "wanted", "known", "is_refused"),
    [
        ([], OURS, (), False),
        ([OURS], OURS, (), False),  # an apply that broke off before it wrote the state
        ([OURS], OURS, (OURS,), False),
        ([OLD], OURS, (OLD,), False),  # ours, and changed in the manifest
        ([OURS], None, (OURS,), False),
        ([FOREIGN], OURS, (), True),
        ([OURS, FOREIGN], OURS, (OURS,), True),  # somebody added one
        ([FOREIGN], OURS, (OURS,), True),
        ([FOREIGN], None, (OURS,), True),
        ([OLD], OURS, (), True),
    ],
)
def test_rules_that_the_state_does_not_have_are_never_overwritten(
    found: list[ReplicationRule], wanted: ReplicationRule | None, known: tuple[ReplicationRule, ...], is_refused: bool
) -> None:
    refusals = list(foreign_rules(found, wanted, known))
    assert bool(refusals) is is_refused
    if is_refused:
        assert str(found[-1]) in refusals[0].message
        assert (str(wanted) if wanted else "nothing") in refusals[0].message


def test_a_new_region_gets_everything_and_one_that_is_filled_what_is_new() -> None:
    wanted = replace(desired("mirror/one"), replicate_to=("us-east-1", "us-west-2"), prefix="mirror")
    new = seed(SeedAction.COPY, "docker.io/library/one:1", "mirror/one", "new", size=2_000_000_000)
    unknown = seed(SeedAction.COPY, "docker.io/library/one:2", "mirror/one", "new", size=None)
    kept = seed(SeedAction.KEEP, "docker.io/library/one:3", "mirror/one", "same", size=7)
    assert list(replicas_of(wanted, [OURS], 100_000_000_000, [new, unknown, kept])) == [
        Replica("us-east-1", 102_000_000_000, 2_000_000_000, 10.2, 0.04, "2026-03-15", 1),
        Replica("us-west-2", 102_000_000_000, 102_000_000_000, 10.2, 2.04, "2026-03-15", 1),
    ]


def test_a_price_that_is_not_known_is_not_guessed() -> None:
    wanted = replace(desired("mirror/one"), region="ap-northeast-1", replicate_to=("us-east-1",), prefix="mirror")
    assert [one.dollars_once for one in replicas_of(wanted, [], 1, [])] == [None]


def test_repositories_of_others_below_the_prefix_are_named_because_ecr_copies_them_too() -> None:
    wanted = replace(desired("mirror/one"), replicate_to=("us-east-1",), prefix="mirror")
    others = [f"mirror/team/{letter}" for letter in "abcdefg"]
    (notice,) = copied_besides(wanted, {"mirror/one", "mirrors/x", "app/y", *others})
    assert notice.code == "replication.copies_others"
    assert "`mirror/team/a`" in notice.message
    assert "`mirror/team/e` and 2 more to `us-east-1` too" in notice.message
    assert list(copied_besides(wanted, {"mirror/one", "mirrors/x"})) == []
    assert list(copied_besides(replace(wanted, replicate_to=()), {"mirror/two"})) == []
