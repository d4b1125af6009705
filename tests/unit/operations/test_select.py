"""Tags are selected when the plan is made, and never again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fake_services import World
from tests.support.fake_services import desired as listing
from tests.support.made_images import image, store
from tests.support.memory_registry import Call, Fault
from toolkit.errors import AccessDenied, Refused
from toolkit.manifest.destinations import TagNaming
from toolkit.manifest.tag_selection import TagSelectionSpec
from toolkit.oci.companions import cosign_tags
from toolkit.oci.errors import ConnectionFailed, Denied
from toolkit.oci.reference import Repository
from toolkit.oci.subset import WHOLE
from toolkit.operations.apply import apply, apply_saved
from toolkit.operations.plan import plan_manifest
from toolkit.operations.seed import plan_images, seed
from toolkit.operations.select import select_images
from toolkit.plan.desired import Desired, DesiredRepository, DesiredSelection
from toolkit.plan.model import Plan, SeedAction
from toolkit.report import Report
from toolkit.terraform.root_module import render

UPSTREAM = Repository("upstream.test", "one")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """`one` has the tags 1, 1.9, 1.10 and latest."""
    world = World(tmp_path, ("one", "two"))
    tags = world.registry.tags[UPSTREAM]
    tags.update(dict.fromkeys(("1.9", "1.10", "latest"), tags["1"]))
    return world


def selecting(**fields: object) -> Desired:
    """`two:1`, and tags of `one`."""
    tags = TagSelectionSpec.model_validate(fields)
    selection = DesiredSelection(UPSTREAM, "one", tags, WHOLE, "images[1].tags", 1, False)
    both = (DesiredRepository("one"), DesiredRepository("two"))
    return replace(listing("two"), repositories=both, selections=(selection,))


def run(world: World, desired: Desired) -> Plan:
    plans: list[Plan] = []
    apply(desired, world.services, review=plans.append, confirm=lambda _: True, publish=lambda _: None)
    return plans[0]


def filled(world: World) -> list[str]:
    """The tags of `one` in ECR."""
    return sorted(world.registry.tags[Repository(world.services.ecr.registry_host(), "one")])


def test_a_plan_shows_each_selected_tag_and_apply_fills_it(world: World) -> None:
    made = run(world, selecting(glob="1.*", keep=1))
    assert [(seed.key, seed.action) for seed in made.seeds] == [
        ("two:1", SeedAction.COPY),
        ("one:1.10", SeedAction.COPY),
    ]
    assert filled(world) == ["1.10"]


def test_a_selection_with_other_names_in_ecr_fills_these_once(world: World) -> None:
    desired = selecting(glob="1.*", keep=2)
    [selection] = desired.selections
    desired = replace(desired, selections=(replace(selection, naming=TagNaming("up-{tag}")),))
    assert [(str(seed.source.tag), seed.key) for seed in run(world, desired).seeds[1:]] == [
        ("1.10", "one:up-1.10"),
        ("1.9", "one:up-1.9"),
    ]
    assert filled(world) == ["up-1.10", "up-1.9"]
    assert not plan_manifest(desired, world.services).plan.has_changes
    only = plan_images(desired, world.services, only=["one:up-1.9"])
    assert [seed.key for seed in only.seeds] == ["one:up-1.9"]


def test_a_new_tag_is_picked_up_by_the_next_plan_and_the_one_that_falls_out_stays(world: World) -> None:
    desired = selecting(glob="1.*", keep=1)
    run(world, desired)
    assert not plan_manifest(desired, world.services).plan.has_changes
    world.registry.tags[UPSTREAM]["1.11"] = world.registry.tags[UPSTREAM]["1"]
    assert [seed.key for seed in run(world, desired).pending_seeds] == ["one:1.11"]
    assert filled(world) == ["1.10", "1.11"]


def test_a_saved_plan_does_what_was_reviewed_when_the_tags_have_changed_since(world: World) -> None:
    desired = selecting(glob="1.*", keep=1)
    planned = plan_manifest(desired, world.services)
    world.registry.tags[UPSTREAM]["1.11"] = world.registry.tags[UPSTREAM]["1"]
    reports: list[Report] = []
    apply_saved(desired, planned, world.services, review=lambda _: None, publish=reports.append)
    assert filled(world) == ["1.10"]
    assert world.registry.count("list_tags") == 1


def test_the_signature_of_a_selected_tag_comes_along_where_it_is_asked_for(world: World) -> None:
    signature = cosign_tags(world.registry.tags[UPSTREAM]["1"])[0]
    store(world.registry, image([b"signed"], config=b"{}"), f"{UPSTREAM}:{signature}")
    desired = selecting(glob="1.*", keep=1)
    run(world, replace(desired, selections=(replace(desired.selections[0], keeps_signatures=True),)))
    assert filled(world) == ["1.10", signature]


def test_seed_selects_as_plan_does(world: World) -> None:
    for name in world.names:
        world.create(name)
    seed(selecting(glob="1.*"), world.services, review=lambda _: None, publish=lambda _: None)
    assert filled(world) == ["1.10", "1.9"]
    assert world.log == []


def test_seed_says_once_that_the_repository_of_a_selection_is_missing(world: World) -> None:
    world.create("two")
    [refusal] = plan_images(selecting(glob="1.*"), world.services).refusals
    assert refusal.message == "images[1].tags: the repository `one` does not exist"


@pytest.mark.parametrize("pattern", ["two:1", "upstream.test/two*", "*two*"])
def test_a_selection_that_is_not_meant_refuses_nothing(world: World, pattern: str) -> None:
    for name in world.names:
        world.create(name)
    made = plan_images(selecting(versions=">=2"), world.services, only=[pattern])
    assert (made.refusals, [seed.key for seed in made.seeds]) == ((), ["two:1"])


@pytest.mark.parametrize("pattern", ["*", "*:1*", "one:*", "upstream.test/*"])
def test_a_selection_that_may_be_meant_is_refused_as_ever(world: World, pattern: str) -> None:
    for name in world.names:
        world.create(name)
    made = plan_images(selecting(versions=">=2"), world.services, only=["two:1", pattern])
    assert [refusal.code for refusal in made.refusals] == ["tags.none_match"]


def test_an_upstream_that_no_pattern_names_is_not_listed(world: World) -> None:
    for name in world.names:
        world.create(name)
    world.registry.faults = fails(Denied("no entry", status=403, host="upstream.test"))  # type: ignore[assignment]  # see below
    assert plan_images(selecting(glob="1.*"), world.services, only=["two:*"]).refusals == ()
    assert world.registry.count("list_tags") == 0


def test_a_pattern_does_not_hide_that_two_selections_collide(world: World) -> None:
    for name in world.names:
        world.create(name)
    desired = selecting(glob="1")
    other = replace(desired.selections[0], source=Repository("upstream.test", "two"))
    made = plan_images(replace(desired, selections=(*desired.selections, other)), world.services, only=["*test/two:*"])
    assert [refusal.code for refusal in made.refusals] == ["tags.collide"]


def test_a_pattern_names_tags_that_only_the_upstream_knows(world: World) -> None:
    for name in world.names:
        world.create(name)
    made = plan_images(selecting(glob="1.*"), world.services, only=["*10"])
    assert [seed.key for seed in made.seeds] == ["one:1.10"]


def test_an_upstream_repository_is_listed_once_a_run(world: World) -> None:
    desired = selecting(glob="1.*")
    again = replace(desired.selections[0], tags=TagSelectionSpec(glob="latest"))
    made = plan_manifest(
        replace(desired, selections=(*desired.selections, again)), world.services, reads_sizes=True
    ).plan
    assert [seed.tag for seed in made.seeds] == ["1", "1.10", "1.9", "latest"]
    assert world.registry.count("list_tags") == 1


def test_nothing_is_listed_where_nothing_is_selected(world: World) -> None:
    plan_manifest(listing("one", "two"), world.services)
    assert world.registry.count("list_tags") == 0


@pytest.mark.parametrize("makes", [lambda d, s: plan_manifest(d, s).plan, plan_images], ids=["plan", "seed"])
def test_a_selection_without_a_match_is_in_the_plan_as_a_refusal(world: World, makes: object) -> None:
    for name in world.names:
        world.create(name)
    made: Plan = makes(selecting(versions=">=2"), world.services)  # type: ignore[operator]  # one of two signatures
    [refusal] = made.refusals
    assert refusal.code == "tags.none_match"
    assert "the nearest: `1.10`, `1.9`, `1`" in refusal.message
    assert [seed.key for seed in made.seeds] == ["two:1"]


def test_terraform_is_the_same_before_and_after_the_tags_are_known(world: World) -> None:
    desired = selecting(glob="1.*")
    selected, _, _ = select_images(desired, world.services)
    assert len(selected.images) > len(desired.images)
    assert render(selected) == render(desired)


def fails(error: Exception) -> object:
    def fault(call: Call) -> Fault | None:
        return error if call.operation == "list_tags" else None  # type: ignore[return-value]  # all are OciErrors

    return fault


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (Denied("no entry", status=403, host="upstream.test"), AccessDenied, "source.denied"),
        (ConnectionFailed("silent", host="upstream.test"), Refused, "source.unreachable"),
    ],
)
def test_a_registry_that_cannot_be_listed_stops_the_run(
    world: World, error: Exception, kind: type[Exception], code: str
) -> None:
    world.registry.faults = fails(error)  # type: ignore[assignment]  # see above
    with pytest.raises(kind, match=r"images\[1\].tags: ") as caught:
        run(world, selecting(glob="*"))
    assert caught.value.code == code  # type: ignore[attr-defined]  # both are ToolkitErrors
    assert world.repositories == {}


def test_an_upstream_that_does_not_exist_is_missing(world: World) -> None:
    del world.registry.tags[UPSTREAM]
    with pytest.raises(Refused, match=r"`upstream\.test/one` does not exist upstream") as caught:
        run(world, selecting(glob="*"))
    assert caught.value.code == "source.missing"


def test_tags_that_ecr_has_are_kept_when_their_upstream_cannot_be_listed(world: World) -> None:
    desired = selecting(glob="1.*")
    run(world, desired)
    silent = ConnectionFailed("silent", host="upstream.test")
    world.registry.faults = lambda call: silent if call.repository == UPSTREAM else None
    made = run(world, desired)
    assert not made.has_changes
    assert [seed.key for seed in made.seeds] == ["two:1", "one:1.10", "one:1.9"]
    assert [notice.message for notice in made.notices] == [
        "images[1].tags: silent; the tags in ECR are kept, and no new tags are added",
        "images[1].tags and 1 more: silent; ECR has them, the oldest since 2026-11-02, and keeps them",
    ]


def test_a_selection_that_cannot_be_listed_can_be_left_out(world: World) -> None:
    world.registry.faults = fails(ConnectionFailed("silent", host="upstream.test"))  # type: ignore[assignment]  # see above
    made = plan_manifest(selecting(glob="1.*"), world.services, keeps_going=True).plan
    assert ([refusal.image for refusal in made.refusals], made.blocking_refusals) == (["one:*"], ())
    assert [seed.key for seed in made.pending_seeds] == ["two:1"]
