"""The shards of a saved plan: each copies its part and nothing else, and their results join into one report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fake_services import World, desired
from tests.support.made_images import image, store
from toolkit.cli.render.report_view import say_next_step
from toolkit.errors import Refused, SeedingIncomplete, ToolkitError, UsageError
from toolkit.oci.errors import RegistryError
from toolkit.operations.apply import apply_saved, apply_shard, shard_of
from toolkit.operations.join import join, raise_if_missing
from toolkit.operations.plan import Planned, plan_manifest
from toolkit.plan.model import Notice, Plan, PullCost, Refusal
from toolkit.plan.observed import PullBudget, ReplicationRule
from toolkit.report import Report, SeedStatus
from toolkit.seed.seeder import requests_for

COPIED, UNCHANGED, FAILED, SKIPPED = SeedStatus.COPIED, SeedStatus.UNCHANGED, SeedStatus.FAILED, SeedStatus.SKIPPED
NAMES = ("one", "two", "three", "four", "five")
DIGEST = "d" * 64


class Fleet:
    """A saved plan in shards, and the machines that do them."""

    def __init__(
        self, world: World, shards: int = 2, *, sizes: bool = False, replicate_to: tuple[str, ...] = ()
    ) -> None:
        self.world = world
        self.wanted = replace(desired(*world.names), replicate_to=replicate_to)
        self.planned: Planned = plan_manifest(self.wanted, world.services, shards=shards, reads_sizes=sizes)
        self.plans: list[Plan] = []
        self.reports: dict[str, Report | None] = {}

    @property
    def plan(self) -> Plan:
        return self.planned.plan

    def make_infra(self) -> list[Report]:
        reports: list[Report] = []
        apply_saved(
            self.wanted,
            self.planned,
            self.world.services,
            review=self.plans.append,
            publish=reports.append,
            infra_only=True,
        )
        return reports

    def run(self, number: int) -> None:
        def publish(report: Report) -> None:
            self.reports[f"results/{number}.json"] = report

        apply_shard(
            self.wanted,
            self.plan,
            shard_of(self.plan, number),
            self.world.services,
            digest=DIGEST,
            review=self.plans.append,
            publish=publish,
        )

    def statuses(self, number: int) -> set[SeedStatus]:
        report = self.reports[f"results/{number}.json"]
        assert report
        return {outcome.status for outcome in report.outcomes}

    def join(self) -> Report:
        return join(self.plan, DIGEST, self.reports)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, NAMES)


def test_infra_only_makes_the_repositories_and_copies_nothing(world: World) -> None:
    fleet = Fleet(world)
    (report,) = fleet.make_infra()
    assert set(world.repositories) == set(NAMES)
    assert [world.stored(name) for name in NAMES] == [None] * 5
    assert (report.outcomes, report.failed) == ((), ())
    fleet.make_infra()
    assert world.log.count("apply") == 1


def test_the_shards_copy_everything_once_and_join_into_the_report_of_the_plan(world: World) -> None:
    fleet = Fleet(world, 3)
    fleet.make_infra()
    for number in (3, 1, 2):
        fleet.run(number)
    assert all(world.stored(name) for name in NAMES)
    assert world.log.count("apply") == 1
    report = fleet.join()
    assert [outcome.key for outcome in report.outcomes] == [f"{name}:1" for name in NAMES]
    assert {outcome.status for outcome in report.outcomes} == {COPIED}
    raise_if_missing(report)


def test_a_shard_run_again_copies_only_what_is_missing(world: World) -> None:
    fleet = Fleet(world)
    fleet.make_infra()
    lost = fleet.plan.division.shards[0].repositories[-1] if fleet.plan.division else ""
    world.registry.faults = lambda call: (
        RegistryError("no", status=400, host="upstream.test")
        if call.operation == "open_blob" and call.repository.path == lost
        else None
    )
    with pytest.raises(SeedingIncomplete):
        fleet.run(1)
    fleet.run(2)
    assert fleet.statuses(1) == {COPIED, FAILED}
    with pytest.raises(SeedingIncomplete):
        raise_if_missing(fleet.join())
    world.registry.faults = lambda _: None
    fleet.run(1)
    assert fleet.statuses(1) == {COPIED, UNCHANGED}
    raise_if_missing(fleet.join())


def test_a_shard_without_its_repositories_changes_nothing_and_says_what_makes_them(world: World) -> None:
    fleet = Fleet(world)
    with pytest.raises(Refused, match="which ECR does not have") as refused:
        fleet.run(1)
    assert refused.value.code == "shard.no_repository"
    assert "--infra-only" in (refused.value.hint or "")


@pytest.mark.parametrize("number", [0, 3])
def test_there_is_no_other_shard(world: World, number: int) -> None:
    fleet = Fleet(world)
    with pytest.raises(UsageError, match="divided into 2"):
        shard_of(fleet.plan, number)
    with pytest.raises(UsageError, match="not divided"):
        shard_of(replace(fleet.plan, division=None), 1)


def test_a_shard_refuses_what_has_moved_in_its_part_and_sees_no_other(world: World) -> None:
    fleet = Fleet(world, 5)
    fleet.make_infra()
    assert fleet.plan.division
    moved = fleet.plan.division.shards[0].repositories[0]
    store(world.registry, image([b"somebody else's"]), f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/{moved}:1")
    with pytest.raises(Refused, match="did not exist when the plan was made"):
        fleet.run(1)
    fleet.run(2)
    assert fleet.statuses(2) == {COPIED}


def test_a_shard_keeps_to_its_share_of_the_pulls(world: World) -> None:
    world.registry.pulls_left["upstream.test"] = 20
    fleet = Fleet(world, 5)
    fleet.make_infra()
    fleet.run(1)
    (cost,) = fleet.plans[-1].pull_costs
    assert cost == PullCost("upstream.test", 1, 1, PullBudget("upstream.test", 20, 4, 21600))


def test_without_a_size_no_number_is_chosen(world: World) -> None:
    with pytest.raises(Refused, match="no size of an image to copy is known") as refused:
        Fleet(world, 0)
    assert "--sizes" in (refused.value.hint or "")
    chosen = Fleet(world, 0, sizes=True).plan.division
    assert chosen
    assert (len(chosen.shards), chosen.unknown_sizes) == (1, 0)


def test_a_missing_result_leaves_its_images_out_and_says_which_shard_has_them(world: World) -> None:
    fleet = Fleet(world)
    fleet.make_infra()
    fleet.run(1)
    fleet.reports["results/2.json"] = None  # it failed before it had a report
    report = fleet.join()
    assert len(report.outcomes) == 5
    assert {outcome.hint for outcome in report.failed} == {"run `toolkit apply FILE --shard 2`"}
    with pytest.raises(SeedingIncomplete, match="2 of 5 images are not in place"):
        raise_if_missing(report)
    assert say_next_step(report).startswith("Run the shards again")


def test_an_image_that_the_plan_refuses_is_in_the_report_once(world: World) -> None:
    fleet = Fleet(world)
    refusal = Refusal("source.missing", "gone", image="six:1", source="upstream.test/six:1")
    fleet.planned = replace(fleet.planned, plan=replace(fleet.plan, refusals=(refusal,), keeps_going=True))
    fleet.make_infra()
    fleet.run(1)
    fleet.run(2)
    report = fleet.join()
    assert [outcome.key for outcome in report.failed] == ["six:1"]
    assert len(report.outcomes) == 6


def test_results_of_another_plan_and_of_one_shard_twice_are_refused(world: World) -> None:
    fleet = Fleet(world)
    fleet.make_infra()
    fleet.run(1)
    first = fleet.reports["results/1.json"]
    assert first
    assert first.shard
    others: list[tuple[dict[str, Report | None], str]] = [
        ({"a": replace(first, shard=replace(first.shard, plan="e" * 64))}, "report.other_plan"),
        ({"a": replace(first, shard=replace(first.shard, number=3))}, "report.other_plan"),
        ({"a": replace(first, shard=None)}, "report.other_plan"),
        ({"a": first, "b": first}, "report.twice"),
    ]
    for results, code in others:
        with pytest.raises(ToolkitError) as refused:
            join(fleet.plan, DIGEST, results)
        assert refused.value.code == code
    with pytest.raises(Refused, match="no shards"):
        join(replace(fleet.plan, division=None), DIGEST, {"a": first})


def test_a_shard_has_the_remarks_of_no_other(world: World) -> None:
    fleet = Fleet(world)
    fleet.planned = replace(fleet.planned, plan=replace(fleet.plan, notices=(Notice("x", "y"),)))
    fleet.make_infra()
    fleet.run(1)
    part = fleet.plans[-1]
    assert (part.notices, part.infra_changes, part.division) == ((), (), None)
    assert len(requests_for(part.pending_seeds, part.account.registry_host)) == 3


REGIONS = ("ap-south-1", "us-east-1")


def replicating(world: World) -> None:
    """Let ECR's replication work while a run waits."""

    def meanwhile() -> None:
        for region in REGIONS:
            world.replicate(region)

    world.time.meanwhile = meanwhile


def test_each_shard_waits_for_its_replicas_and_the_report_adds_them_up(world: World) -> None:
    world.time.meanwhile = lambda: (world.replicate("ap-south-1"), world.replicate("us-east-1", "one:1", "two:1"))[0]
    fleet = Fleet(world, replicate_to=REGIONS)
    (infra,) = fleet.make_infra()
    world.rules = [ReplicationRule(REGIONS)]
    assert (infra.replicas, infra.late) == ((), ())
    for number in (1, 2):
        with pytest.raises(SeedingIncomplete, match="`us-east-1`"):
            fleet.run(number)
    report = fleet.join()
    assert [(one.region, one.arrived, len(one.missing)) for one in report.replicas] == [
        ("ap-south-1", 5, 0),
        ("us-east-1", 2, 3),
    ]
    with pytest.raises(SeedingIncomplete, match=r"have not arrived in `us-east-1` \(3\)"):
        raise_if_missing(report)
    replicating(world)
    for number in (1, 2):
        fleet.run(number)
    raise_if_missing(fleet.join())


def test_a_shard_that_did_not_look_at_a_region_proves_nothing_of_it(world: World) -> None:
    replicating(world)
    fleet = Fleet(world, replicate_to=REGIONS)
    fleet.make_infra()
    world.rules = [ReplicationRule(REGIONS)]
    fleet.run(1)
    fleet.run(2)
    first = fleet.reports["results/1.json"]
    assert first
    fleet.reports["results/1.json"] = replace(first, replicas=first.replicas[:1])
    assert [(one.region, len(one.missing)) for one in fleet.join().late] == [("us-east-1", len(first.outcomes))]


def test_a_result_with_another_digest_than_the_plan_wants_is_not_believed(world: World) -> None:
    fleet = Fleet(world, sizes=True)
    fleet.make_infra()
    fleet.run(1)
    fleet.run(2)
    report = fleet.reports["results/1.json"]
    assert report
    other = replace(report.outcomes[0], digest=f"sha256:{'e' * 64}")
    fleet.reports["results/1.json"] = replace(report, outcomes=(other, *report.outcomes[1:]))
    assert [outcome.key for outcome in fleet.join().failed] == [other.key]
