"""A saved plan does what was reviewed, can be run again until it is done, and refuses what has moved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fake_services import HOST, World, desired
from tests.support.made_images import image, index, store
from toolkit.errors import (
    PLAN_AGAIN,
    Interrupted,
    PlanStale,
    Refused,
    SeedingIncomplete,
    TerraformFailed,
    ToolkitError,
)
from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.errors import RegistryError
from toolkit.oci.reference import Repository
from toolkit.oci.subset import Subset
from toolkit.operations.apply import apply_saved, carry_out
from toolkit.operations.plan import Planned, plan_manifest
from toolkit.plan.desired import Desired
from toolkit.plan.model import Grant, InfraAction, Loss, Plan, SeedAction
from toolkit.report import Report, SeedStatus
from toolkit.terraform.root_module import repository_address

COPIED, UNCHANGED = SeedStatus.COPIED, SeedStatus.UNCHANGED


class Pipeline:
    """A saved plan, and whoever runs it."""

    def __init__(self, world: World, wanted: Desired | None = None, *, allows_destroy: bool = False) -> None:
        self.world = world
        self.wanted = wanted or desired(*world.names)
        self.planned: Planned = plan_manifest(self.wanted, world.services, allows_destroy=allows_destroy)
        self.plans: list[Plan] = []
        self.reports: list[Report] = []

    def run(self) -> None:
        apply_saved(
            self.wanted,
            self.planned,
            self.world.services,
            review=self.plans.append,
            publish=self.reports.append,
        )

    @property
    def statuses(self) -> list[SeedStatus]:
        return [outcome.status for outcome in self.reports[-1].outcomes]


def without_two(world: World) -> None:
    """`two` cannot be copied."""
    world.registry.faults = lambda call: (
        RegistryError("no", status=400, host="upstream.test")
        if call.operation == "open_blob" and call.repository.path == "two"
        else None
    )


def put(world: World, name: str, content: bytes) -> Digest:
    """Somebody pushes tag 1 of a repository in ECR."""
    made = image([content])
    store(world.registry, made, f"{HOST}/{name}:1")
    return made.digest


def test_it_is_done_as_it_was_reviewed(tmp_path: Path) -> None:
    world = World(tmp_path)
    pipeline = Pipeline(world)
    reviewed = world.registry.tags[Repository("upstream.test", "one")]["1"]
    world.registry.tags[Repository("upstream.test", "one")]["1"] = Digest.of(b"moved since")
    pipeline.run()
    assert world.stored("one") == reviewed
    assert world.log.count("plan") == 1
    assert "look" not in world.log


def test_run_again_it_copies_only_what_was_not_in_place(tmp_path: Path) -> None:
    world = World(tmp_path)
    pipeline = Pipeline(world)
    without_two(world)
    with pytest.raises(SeedingIncomplete):
        pipeline.run()
    assert pipeline.reports[-1].can_resume
    world.registry.faults = lambda _: None
    pipeline.run()
    assert pipeline.statuses == [UNCHANGED, COPIED, UNCHANGED]
    assert [seed.key for seed in pipeline.plans[-1].pending_seeds] == ["two:1"]
    assert world.log.count("apply") == 1
    pipeline.run()
    assert pipeline.statuses == [UNCHANGED] * 3


def test_what_it_made_of_chosen_platforms_is_known_again(tmp_path: Path) -> None:
    world = World(tmp_path, ("one",))
    parts = [(name, image([name.encode()], name)) for name in ("linux/amd64", "linux/arm64")]
    store(world.registry, index(*parts), "upstream.test/one:1")
    wanted = desired("one")
    chosen = replace(wanted.images[0], subset=Subset((Platform("linux", "amd64"),)))
    pipeline = Pipeline(world, replace(wanted, images=(chosen,)))
    assert pipeline.planned.plan.seeds[0].wanted_digest is None
    pipeline.run()
    pipeline.run()
    assert pipeline.statuses == [UNCHANGED]
    put(world, "one", b"by somebody else")
    with pytest.raises(Refused, match="now, and did not exist when the plan was made"):
        pipeline.run()


def test_run_again_it_needs_pulls_only_for_what_is_left(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.registry.pulls_left["upstream.test"] = 100
    pipeline = Pipeline(world)
    without_two(world)
    with pytest.raises(SeedingIncomplete):
        pipeline.run()
    with pytest.raises(SeedingIncomplete):
        pipeline.run()
    assert [made.pull_costs[0].at_least for made in pipeline.plans] == [3, 1]


@pytest.mark.parametrize(
    "stop", [TerraformFailed("terraform.failed", "quota"), Interrupted("interrupted", "stop", hint="run again")]
)
def test_what_terraform_did_in_part_needs_a_new_plan(tmp_path: Path, stop: TerraformFailed | Interrupted) -> None:
    world = World(tmp_path)
    pipeline = Pipeline(world)
    world.fails_after = (1, stop)
    with pytest.raises(type(stop)) as stopped:
        pipeline.run()
    assert not pipeline.reports[-1].can_resume
    assert stopped.value.hint == (PLAN_AGAIN if isinstance(stop, Interrupted) else None)
    world.fails_after = None
    with pytest.raises(PlanStale):
        pipeline.run()
    assert not pipeline.reports[-1].can_resume
    again = Pipeline(world)
    again.run()
    assert again.statuses[1:] == [COPIED, COPIED]
    assert not again.reports[-1].failed


def test_a_repository_that_was_replaced_needs_a_new_plan(tmp_path: Path) -> None:
    world = World(tmp_path)
    Pipeline(world).run()
    world.tainted = {repository_address("one")}
    pipeline = Pipeline(world, allows_destroy=True)
    world.registry.faults = lambda call: (
        RegistryError("no", status=400, host=HOST) if call.operation == "put_manifest" else None
    )
    with pytest.raises(SeedingIncomplete, match="not in place") as incomplete:
        pipeline.run()
    assert incomplete.value.hint == PLAN_AGAIN
    assert not pipeline.reports[-1].can_resume
    world.registry.faults = lambda _: None
    assert [change.action for change in pipeline.reports[-1].infra_changes] == [InfraAction.REPLACE]
    theirs = put(world, "one", b"pushed since")
    with pytest.raises(PlanStale):
        pipeline.run()
    assert world.stored("one") == theirs


def test_run_again_it_deletes_no_images_that_came_after_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    pipeline = Pipeline(world)
    pipeline.run()
    gone = Loss("repository", "gone", digests=(Digest.of(b"x"),))
    pipeline.planned = replace(pipeline.planned, plan=replace(pipeline.planned.plan, losses=(gone,)))
    pipeline.run()
    assert pipeline.plans[-1].losses == (gone,)


@pytest.mark.parametrize("code", ["state.locked", "plan.stale"])
def test_no_images_are_deleted_where_terraform_would_not_begin(tmp_path: Path, code: str) -> None:
    world = World(tmp_path)
    Pipeline(world).run()
    world.tainted = {repository_address("one")}
    planned = Pipeline(world, allows_destroy=True).planned
    doomed = Loss("repository", "one", digests=(Digest.of(b"x"),))
    planned = replace(planned, plan=replace(planned.plan, losses=(doomed,)))
    if code == "state.locked":
        world.locked = True
    else:  # another run, after the question of `apply`
        world.services.terraform.apply(planned.plan_file)
    with pytest.raises(ToolkitError) as refused:
        carry_out(desired(*world.names), planned, world.services, publish=lambda _: None, started=0.0)
    assert refused.value.code == code


def test_every_tag_that_has_moved_is_named_and_nothing_is_done(tmp_path: Path) -> None:
    world = World(tmp_path)
    Pipeline(world).run()
    put(world, "two", b"older")
    pipeline = Pipeline(world)
    assert [seed.action for seed in pipeline.planned.plan.seeds] == [SeedAction.KEEP, SeedAction.MOVE, SeedAction.KEEP]
    one, two = world.stored("one"), world.stored("two")
    digest = put(world, "two", b"newer")
    del world.registry.tags[Repository(HOST, "one")]["1"]
    with pytest.raises(Refused) as refusal:
        pipeline.run()
    assert refusal.value.code == "plan.stale"
    assert [refusal.message for refusal in pipeline.plans[-1].refusals] == [
        f"`one:1` is gone, and was `{one}` when the plan was made",
        f"`two:1` is `{digest}` now, and was `{two}` when the plan was made",
    ]
    assert pipeline.reports == []


def test_it_is_refused_in_another_account(tmp_path: Path) -> None:
    world = World(tmp_path)
    pipeline = Pipeline(world)
    world.account = "999999999999"
    with pytest.raises(Refused) as refusal:
        pipeline.run()
    assert refusal.value.code == "plan.other_account"
    assert world.repositories == {}


def test_it_is_refused_in_another_region(tmp_path: Path) -> None:
    world = World(tmp_path)
    pipeline = Pipeline(world)
    pipeline.wanted = replace(pipeline.wanted, region="eu-west-2")
    with pytest.raises(Refused) as refusal:
        pipeline.run()
    assert refusal.value.code == "plan.other_region"
    assert world.repositories == {}


def test_a_state_that_has_moved_on_is_seen_before_anything_is_done(tmp_path: Path) -> None:
    world = World(tmp_path)
    Pipeline(world).run()
    world.state.discard(repository_address("three"))
    del world.repositories["three"]
    put(world, "one", b"older")
    pipeline = Pipeline(world)
    theirs = world.stored("one")
    world.services.terraform.apply(replace(pipeline.planned.plan_file, changes=pipeline.planned.plan_file.changes))
    world.state.add("somebody's")
    world.log.clear()
    with pytest.raises(PlanStale) as stale:
        pipeline.run()
    assert (stale.value.code, stale.value.exit_code) == ("plan.stale", 7)
    assert "from version 3 to 4" in stale.value.message
    assert world.stored("one") == theirs
    assert "apply" not in world.log
    assert pipeline.reports == []


def test_a_source_that_is_gone_upstream_stops_it_at_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    pipeline = Pipeline(world)
    two = Repository("upstream.test", "two")
    digest = world.registry.tags[two].pop("1")
    del world.registry.documents[two][digest]
    with pytest.raises(Refused) as refusal:
        pipeline.run()
    assert refusal.value.code == "plan.source_gone"
    assert f"`upstream.test/two@{digest}`, which the plan copies to `two:1`, is gone" in refusal.value.message
    assert world.repositories == {}


def test_a_tag_that_is_gone_upstream_stops_nothing_while_its_content_is_there(tmp_path: Path) -> None:
    world = World(tmp_path)
    pipeline = Pipeline(world)
    del world.registry.tags[Repository("upstream.test", "two")]["1"]
    pipeline.run()
    assert pipeline.statuses == [COPIED] * 3


@pytest.mark.parametrize("keeps", [1, 0])
def test_a_plan_that_says_less_than_terraforms_is_refused(tmp_path: Path, keeps: int) -> None:
    world = World(tmp_path)
    pipeline = Pipeline(world)
    less = replace(pipeline.planned.plan, infra_changes=pipeline.planned.plan.infra_changes[:keeps])
    pipeline.planned = replace(pipeline.planned, plan=less)
    with pytest.raises(Refused, match="which the saved plan does not mention") as refusal:
        pipeline.run()
    assert refusal.value.code == "plan.misfit"
    assert world.repositories == {}


def test_a_plan_that_says_other_rights_than_terraforms_is_refused(tmp_path: Path) -> None:
    pipeline = Pipeline(World(tmp_path))
    made = pipeline.planned.plan
    first, *others = made.infra_changes
    other = replace(first, grants=(Grant("210987654321 may pull", is_added=True),))
    pipeline.planned = replace(pipeline.planned, plan=replace(made, infra_changes=(other, *others)))
    with pytest.raises(Refused, match="does not describe correctly what Terraform changes of") as refusal:
        pipeline.run()
    assert refusal.value.code == "plan.misfit"
