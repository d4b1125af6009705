"""After the copies, a run waits until every region has what is in place, and says what it lacks."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fake_services import NAMES, World, desired
from tests.support.plan_samples import EMPTY
from toolkit.cli.render.infra_view import loss_text
from toolkit.errors import AccessDenied, Refused, SeedingIncomplete, TerraformFailed
from toolkit.oci.digest import Digest
from toolkit.operations.apply import apply, carry_out
from toolkit.operations.plan import plan_manifest
from toolkit.operations.replicate import LONGEST_WAIT, await_replicas
from toolkit.operations.seed import seed
from toolkit.plan.model import InfraAction, InfraChange, Loss, Plan, Replica
from toolkit.plan.observed import ReplicationRule
from toolkit.plan.saved_plan import misfits
from toolkit.report import ReplicaOutcome, Report, SeedStatus
from toolkit.terraform.root_module import REPLICATION_ADDRESS, repository_address

REGIONS = ("ap-south-1", "us-east-1")
KEYS = tuple(f"{name}:1" for name in NAMES)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.rules = [ReplicationRule(REGIONS)]
    for name in NAMES:
        made.create(name)
    return made


def run(world: World) -> Report:
    reports: list[Report] = []
    plans: list[Plan] = []
    wanted = replace(desired(*NAMES), replicate_to=REGIONS, prefix="")
    try:
        seed(wanted, world.services, review=plans.append, publish=reports.append)
    finally:
        assert [one.region for one in plans[0].replicas] == list(REGIONS)
    return reports[0]


def replicating(world: World, *regions: str) -> None:
    """Let ECR's replication work while the run waits."""

    def meanwhile() -> None:
        for region in regions:
            world.replicate(region)

    world.time.meanwhile = meanwhile


def test_a_run_ends_once_every_region_has_the_planned_digests(world: World) -> None:
    replicating(world, *REGIONS)
    report = run(world)
    assert report.replicas == tuple(ReplicaOutcome(region, len(NAMES)) for region in REGIONS)
    assert world.replicas["us-east-1"]["one"]["1"] == world.stored("one")
    assert len(world.time.slept) == 1


def test_nothing_is_said_of_regions_where_nothing_was_to_arrive(world: World) -> None:
    assert await_replicas(
        replace(EMPTY, replicas=(Replica("us-east-1", 0, 0, 0, 0, "2026-03-15"),)), (), world.services
    ) == ((), None)
    assert world.time.slept == []


def test_what_was_just_copied_needs_no_backfill(world: World) -> None:
    replicating(world, *REGIONS)
    run(world)
    assert world.log == []


def test_what_was_there_before_is_backfilled_once(world: World) -> None:
    replicating(world, *REGIONS)
    run(world)
    world.replicas.clear()
    world.time.meanwhile = lambda: None
    assert not run(world).late
    assert world.log == [f"backfill {region}" for region in REGIONS]


def test_a_region_that_stays_behind_is_named_with_what_it_lacks(world: World) -> None:
    world.time.meanwhile = lambda: (world.replicate("ap-south-1"), world.replicate("us-east-1", "one:1"))[0]
    with pytest.raises(SeedingIncomplete, match=r"images have not arrived in `us-east-1` \(2\)") as caught:
        run(world)
    assert (caught.value.code, caught.value.exit_code) == ("replication.incomplete", 6)
    assert sum(world.time.slept) >= LONGEST_WAIT
    replicating(world, *REGIONS)
    assert not run(world).late


def test_another_digest_under_the_tag_has_not_arrived(world: World) -> None:
    replicating(world, *REGIONS)
    run(world)
    right = world.replicas["us-east-1"]["one"]["1"]
    world.replicas["us-east-1"]["one"]["1"] = world.replicas["us-east-1"]["two"]["1"]
    assert not run(world).late
    assert world.replicas["us-east-1"]["one"]["1"] == right
    assert world.log == ["backfill us-east-1"]


def test_a_region_that_cannot_be_asked_does_not_stop_the_others(world: World) -> None:
    replicating(world, *REGIONS)
    world.refused_regions["ap-south-1"] = AccessDenied("aws.access_denied", "no", hint="ask")
    with pytest.raises(SeedingIncomplete, match="`ap-south-1`"):
        run(world)
    assert world.replicas["us-east-1"]["one"]["1"] == world.stored("one")


def test_nobody_waits_for_what_no_rule_replicates(world: World) -> None:
    world.rules = [ReplicationRule(("us-east-1",))]
    replicating(world, *REGIONS)
    with pytest.raises(SeedingIncomplete, match=r"`ap-south-1` \(3\)"):
        run(world)
    assert len(world.time.slept) == 1


def test_an_interrupt_ends_the_wait_with_a_report(world: World) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    world.time.meanwhile = interrupt
    reports: list[Report] = []
    wanted = replace(desired(*NAMES), replicate_to=REGIONS)
    with pytest.raises(KeyboardInterrupt):
        seed(wanted, world.services, review=lambda plan: None, publish=reports.append)
    assert [one.missing for one in reports[0].replicas] == [KEYS, KEYS]


def applied(world: World) -> Report:
    reports: list[Report] = []
    wanted = replace(desired(*world.names), replicate_to=("us-east-1",), prefix="mirror")
    with suppress(TerraformFailed):
        apply(wanted, world.services, review=lambda plan: None, confirm=lambda plan: True, publish=reports.append)
    return reports[0]


def test_nothing_is_copied_into_a_repository_before_its_replica_is_there(tmp_path: Path) -> None:
    world = World(tmp_path, ["mirror/one"])
    world.regions = ("us-east-1",)
    world.rules = [ReplicationRule(("us-east-1",), ("mirror/",))]
    world.fails_after = (1, TerraformFailed("terraform.failed", "quota"))  # after the repository, before the replica
    assert [outcome.status for outcome in applied(world).outcomes] == [SeedStatus.SKIPPED]
    assert world.repositories and world.stored("mirror/one") is None

    world.fails_after = None
    replicating(world, "us-east-1")
    report = applied(world)
    assert [outcome.status for outcome in report.outcomes] == [SeedStatus.COPIED]
    assert report.replicas == (ReplicaOutcome("us-east-1", 1),)


def test_rules_of_somebody_else_are_refused_before_anything_is_changed(tmp_path: Path) -> None:
    world = World(tmp_path, ["one"])
    world.rules = [ReplicationRule(("eu-north-1",), ("legacy/",))]
    wanted = replace(desired("one"), replicate_to=("us-east-1",))
    with pytest.raises(Refused, match="`legacy/ to eu-north-1`") as refused:
        apply(wanted, world.services, review=lambda plan: None, confirm=lambda plan: True, publish=lambda report: None)
    assert refused.value.code == "replication.not_ours"
    assert world.repositories == {}


def test_a_replica_that_goes_is_named_with_its_images_and_nothing_at_home_is_emptied(tmp_path: Path) -> None:
    world = World(tmp_path, ("one",))
    world.regions = ("us-east-1",)
    replica = repository_address("one", "us-east-1")
    world.create("one")
    world.state |= {repository_address("one"), replica}
    world.tainted = {replica}
    only_there = Digest.of(b"pruned at home")
    world.replicas["us-east-1"]["one"]["0"] = only_there
    wanted = replace(desired("one"), replicate_to=("us-east-1",))
    made = plan_manifest(wanted, world.services, allows_destroy=True)
    planned = made.plan
    assert planned.losses == (Loss("replica", "one in us-east-1", 1, (only_there,)),)
    assert loss_text(planned.losses[0]) == "replica one in us-east-1: 1 image, 1 B"
    assert list(misfits(wanted, planned)) == []
    stays = replace(planned, infra_changes=())
    assert list(misfits(wanted, stays)) == ["the plan deletes images of `one in us-east-1`, a repository that stays"]
    with suppress(SeedingIncomplete):
        carry_out(wanted, made, world.services, publish=lambda _: None, started=0.0)
    assert "apply" in world.log


def test_rules_that_somebody_sets_while_the_plan_waits_for_its_approval_are_not_overwritten(tmp_path: Path) -> None:
    world = World(tmp_path, ["one"])
    kind = "aws_ecr_replication_configuration"
    world.further_changes = [InfraChange(REPLICATION_ADDRESS, kind, InfraAction.CREATE)]

    def approve_late(plan: Plan) -> bool:
        world.rules = [ReplicationRule(("eu-north-1",), ("legacy/",))]
        return True

    wanted = replace(desired("one"), replicate_to=("us-east-1",))
    with pytest.raises(Refused, match="`legacy/ to eu-north-1`") as refused:
        apply(wanted, world.services, review=lambda plan: None, confirm=approve_late, publish=lambda report: None)
    assert refused.value.code == "replication.not_ours"
    assert world.repositories == {}
