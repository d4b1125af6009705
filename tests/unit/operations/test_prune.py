"""`prune` touches its own repositories only, deletes exactly what it showed, and reads back what became of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fake_services import World, desired
from tests.support.memory_registry import Call, Fault
from tests.support.random_repositories import NOW, lacks, repositories
from toolkit.errors import AccessDenied, ManifestUnusable, Refused, SeedingIncomplete, ToolkitError, UsageError
from toolkit.lock.keepers import keeper_tag
from toolkit.lock.model import Admitted, Hold, LockedTag, Sighting
from toolkit.lock.text import write_lock
from toolkit.manifest.tag_selection import TagSelectionSpec
from toolkit.oci.digest import Digest
from toolkit.oci.errors import ConnectionFailed
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.subset import WHOLE
from toolkit.operations.lock_store import LockFile
from toolkit.operations.prune import prune
from toolkit.plan.desired import BuildImage, Desired, DesiredBuild, DesiredSelection
from toolkit.plan.observed import ListedImage
from toolkit.plan.pruning import Fate, PrunePlan

OLD = NOW - timedelta(days=100)
A, B, C, D = (Digest.of(text.encode()) for text in "abcd")


def listed(digest: Digest, *tags: str, **fields: Any) -> ListedImage:
    return ListedImage(digest, fields.pop("pushed_at", OLD), tags, 10, **fields)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A repository of each name, with the tag of the manifest and an old one."""
    made = World(tmp_path, ["one", "two"])
    made.services = replace(made.services, now=lambda: NOW)
    for name in ("one", "two"):
        made.create(name)
        made.contents.put(name, listed(A, "1"), listed(B, "0"))
    return made


def pruned(world: World, wanted: Desired | None = None, **options: Any) -> PrunePlan:
    plans: list[PrunePlan] = []
    options = {"unpulled_for": timedelta(days=30), **options}
    try:
        prune(wanted or desired("one", "two"), world.services, publish=plans.append, **options)
    except SeedingIncomplete:
        assert plans[0].failed
    (plan,) = plans
    return plan


def keys(plan: PrunePlan, fate: Fate | None = None) -> list[str]:
    return [key for one in plan.removals for key in one.keys if fate in (None, one.fate)]


def test_shows_and_deletes_nothing(world: World) -> None:
    plan = pruned(world)
    assert keys(plan, Fate.PLANNED) == ["one:0", "two:0"]
    assert [(shelf.repository, shelf.images) for shelf in plan.shelves] == [("one", 2), ("two", 2)]
    assert [call for call in world.contents.calls if call[0] == "delete"] == []


def test_deletes_what_it_shows(world: World) -> None:
    plan = pruned(world, deletes=True)
    assert keys(plan, Fate.DELETED) == ["one:0", "two:0"]
    assert {name: set(shelf) for name, shelf in world.contents.shelves.items()} == {"one": {A}, "two": {A}}
    assert pruned(world, deletes=True).removals == ()


@pytest.mark.parametrize(
    ("pattern", "gone"),
    [("one", ["one:0"]), ("*:0", ["one:0", "two:0"]), ("two:*", ["two:0"]), ("one:1", []), ("*", ["one:0", "two:0"])],
)
def test_prunes_what_a_pattern_fits(world: World, pattern: str, gone: list[str]) -> None:
    assert keys(pruned(world, only=[pattern])) == gone


def test_does_not_take_a_typing_error_for_nothing_to_do(world: World) -> None:
    with pytest.raises(UsageError, match="`onee`"):
        pruned(world, only=["one", "onee"])


def test_looks_only_into_repositories_that_a_pattern_may_fit(world: World) -> None:
    pruned(world, only=["one:*"])
    assert len(world.contents.calls) == 1


@pytest.mark.parametrize("tags", [{}, {"toolkit:managed-by": "base-image-toolkit", "toolkit:manifest": "other"}])
def test_never_touches_a_repository_of_others(world: World, tags: dict[str, str]) -> None:
    world.repositories["two"] = tags
    plan = pruned(world, deletes=True)
    assert keys(plan) == ["one:0"]
    assert [(notice.code, "`two`" in notice.message) for notice in plan.notices] == [("prune.foreign", True)]


def test_never_touches_a_repository_that_the_manifest_does_not_name(world: World) -> None:
    world.create("three")
    world.contents.put("three", listed(B, "0"))
    assert keys(pruned(world, deletes=True)) == ["one:0", "two:0"]


def test_prunes_nothing_where_the_images_are_in_another_account(world: World) -> None:
    with pytest.raises(Refused) as refused:
        pruned(world, replace(desired("one"), mirror_account_id="210987654321"))
    assert refused.value.code == "prune.other_account"


def test_prunes_nothing_of_a_repository_whose_index_it_cannot_read(world: World) -> None:
    world.contents.unreadable.add("two")
    plan = pruned(world, deletes=True)
    assert (keys(plan), [notice.code for notice in plan.notices]) == (["one:0"], ["prune.index_unread"])


@pytest.mark.parametrize("fails", [True, False])
def test_prunes_nothing_of_a_repository_whose_tags_cannot_be_listed(world: World, fails: bool) -> None:
    def fault(call: Call) -> Fault | None:
        return ConnectionFailed("it is down", host="upstream.test") if fails and call.operation == "list_tags" else None

    world.registry.faults = fault
    tags = TagSelectionSpec.model_validate({"glob": "*"})
    selection = DesiredSelection(Repository("upstream.test", "one"), "one", tags, WHOLE, "images[0]", 0, False)
    wanted = replace(desired("one", "two"), images=desired("two").images, selections=(selection,))
    plan = pruned(world, wanted, deletes=True)
    assert keys(plan) == [*([] if fails else ["one:0"]), "two:0"]
    assert [notice.code for notice in plan.notices] == (["prune.unlisted"] if fails else [])


def test_keeps_what_a_build_needs(world: World) -> None:
    world.contents.put("one", listed(C))
    images = (BuildImage("upstream.test/one:0", "one", "0"), BuildImage("upstream.test/one", "one", "1", C))
    build = DesiredBuild("web", "shop-web", "GITHUB", "x", None, (), images, "s", "t", "i", {}, 60, 30)
    assert keys(pruned(world, replace(desired("one"), builds=(build,)))) == []


def lock(world: World, folder: Path, **tags: LockedTag) -> None:
    file = LockFile(folder / "images.lock.yaml")
    file.write(write_lock({f"{name}:1": tag for name, tag in tags.items()}), file.read())
    world.services = replace(world.services, lock=file)


def admitted(digest: Digest) -> Admitted:
    return Admitted(Sighting(digest, OLD), OLD)


def test_keeps_what_the_lock_knows(world: World, tmp_path: Path) -> None:
    world.contents.put("one", listed(C), listed(D))
    tag = LockedTag(
        Reference.parse("upstream.test/one:1"), admitted(A), (Sighting(C, OLD),), (admitted(B), admitted(D))
    )
    lock(world, tmp_path, one=tag)
    assert {one.digest for one in pruned(world, desired("one")).removals} == {B, D}
    assert {one.digest for one in pruned(world, replace(desired("one"), keep_previous=1)).removals} == {D}
    lock(world, tmp_path, one=replace(tag, hold=Hold("broken", NOW + timedelta(days=1))))
    assert pruned(world, desired("one")).removals == ()


def test_prunes_nothing_without_a_lock_that_the_manifest_needs(world: World) -> None:
    with pytest.raises(Refused) as refused:
        pruned(world, replace(desired("one"), needs_lock=True), deletes=True)
    assert (refused.value.code, world.contents.calls) == ("lock.missing", [])


def test_prunes_nothing_by_a_damaged_lock(world: World, tmp_path: Path) -> None:
    lock(world, tmp_path)
    (tmp_path / "images.lock.yaml").write_text("lock_version: 1\nimages: [oops]\n")
    with pytest.raises(ManifestUnusable):
        pruned(world, desired("one"), deletes=True)
    assert world.contents.calls == []


def test_keeps_the_keepers_of_a_held_tag(world: World, tmp_path: Path) -> None:
    world.contents.put("one", listed(C, keeper_tag("1", C)))
    source = Reference.parse("upstream.test/one:1")
    lock(world, tmp_path, one=LockedTag(source, admitted(A), hold=Hold("broken", NOW - timedelta(days=1))))
    assert keys(pruned(world, desired("one"))) == ["one:0", f"one:{keeper_tag('1', C)}"]
    lock(world, tmp_path, one=LockedTag(source, admitted(A), hold=Hold("broken")))
    assert keys(pruned(world, desired("one"))) == ["one:0"]


def test_never_prunes_what_was_pushed_within_a_day(world: World) -> None:
    world.contents.put(
        "one", listed(C, pushed_at=NOW - timedelta(hours=23)), listed(D, pushed_at=NOW - timedelta(hours=25))
    )
    assert {one.digest for one in pruned(world, desired("one"), unpulled_for=timedelta()).removals} == {B, D}


# What happens between the look and the deletion


def tagged(world: World) -> None:
    world.contents.put("one", listed(C, "new"))


def indexed(world: World) -> None:
    world.contents.put("one", listed(D, "1", is_index=True, children=(C,)))


def pulled(world: World) -> None:
    world.contents.put("one", listed(C, pulled_at=NOW))


@pytest.mark.parametrize("happens", [tagged, indexed, pulled])
def test_leaves_what_changed_since_it_was_shown(world: World, happens: Callable[[World], None]) -> None:
    world.contents.put("one", listed(C))
    plan = pruned(world, desired("one"))
    assert {one.digest for one in plan.removals} == {B, C}
    images = world.contents.images

    def look_and_change(*arguments: Any) -> Any:
        found = images(*arguments)
        if len(world.contents.calls) == 2:  # after the first look of this run
            happens(world)
        return found

    world.contents.images = look_and_change  # type: ignore[method-assign]
    plan = pruned(world, desired("one"), deletes=True)
    assert [one.digest for one in plan.removals if one.fate is Fate.LEFT] == [C]
    assert C in world.contents.shelves["one"]


@pytest.mark.parametrize("pairs_take_all", [False, True])
def test_spares_a_tag_that_moves_while_it_is_deleted(world: World, pairs_take_all: bool) -> None:
    world.contents.pairs_take_all = pairs_take_all
    world.contents.put("one", listed(B, "0", "00"))
    world.contents.before = lambda: world.contents.put("one", listed(C, "0"))
    plan = pruned(world, desired("one"), deletes=True)
    assert world.contents.shelves["one"][C].tags == ("0",)
    assert [one.fate for one in plan.removals] == [Fate.FAILED]


@pytest.mark.parametrize("pairs_take_all", [False, True])
def test_takes_single_tags_of_an_image_that_stays(world: World, pairs_take_all: bool) -> None:
    world.contents.pairs_take_all = pairs_take_all
    world.contents.put("one", listed(A, "1", "2"))
    plan = pruned(world, desired("one"), deletes=True)
    assert keys(plan, Fate.DELETED) == ["one:2", "one:0"]
    assert world.contents.shelves["one"][A].tags == ("1",)


def test_leaves_what_something_points_to_that_ecr_does_not_delete(world: World) -> None:
    world.contents.put("one", listed(B, "0", is_index=True, children=(C,)), listed(C), listed(D))
    world.contents.put("two", listed(D, "0"))
    world.contents.refuses[B] = "The key is disabled (KmsError)"
    plan = pruned(world, deletes=True)
    assert {one.digest: one.fate for one in plan.removals if one.repository == "one"} == {
        B: Fate.FAILED,
        C: Fate.LEFT,
        D: Fate.DELETED,
    }
    assert keys(plan, Fate.DELETED)[-1] == "two:0"  # other repositories go on
    world.contents.refuses.clear()
    assert set(keys(pruned(world, deletes=True), Fate.DELETED)) == {"one:0", f"one@{C}", f"two@{B}"}


def test_ends_with_six_where_something_is_left(world: World) -> None:
    world.contents.refuses[B] = "no"
    with pytest.raises(SeedingIncomplete, match="2 of 2") as left:
        prune(desired("one", "two"), world.services, publish=lambda plan: None, unpulled_for=timedelta(0), deletes=True)
    assert left.value.code == "prune.incomplete"


@pytest.mark.parametrize("error", [AccessDenied("aws.access_denied", "no"), KeyboardInterrupt()])
def test_shows_what_it_did_before_it_raises(world: World, error: BaseException) -> None:
    def fail() -> None:
        raise error

    world.contents.before = fail
    plans: list[PrunePlan] = []
    with pytest.raises(type(error)):
        prune(desired("one"), world.services, publish=plans.append, unpulled_for=timedelta(0), deletes=True)
    fate = Fate.FAILED if isinstance(error, ToolkitError) else Fate.PLANNED
    assert [one.fate for one in plans[0].removals] == [fate]


def test_takes_what_others_deleted_for_deleted(world: World) -> None:
    world.contents.before = lambda: world.contents.shelves["one"].pop(B, None) and None
    assert keys(pruned(world, desired("one"), deletes=True), Fate.DELETED) == ["one:0"]


@given(repositories(), st.integers(0, 4), st.booleans())
@settings(max_examples=100, deadline=None)
def test_ends_alike_wherever_it_was_killed(images: list[ListedImage], calls: int, pairs_take_all: bool) -> None:
    def filled() -> World:
        world = World(Path("nowhere"), ["one"])
        world.services = replace(world.services, now=lambda: NOW)
        world.create("one")
        world.contents.shelves["one"] = {image.digest: image for image in images}
        world.contents.pairs_take_all = pairs_take_all
        return world

    world, whole = filled(), filled()
    wanted = replace(desired("one"), keep_previous=1)
    left = iter(range(calls))

    def kill() -> None:
        if next(left, None) is None:
            raise SystemExit

    world.contents.before = kill
    with suppress(SystemExit):
        pruned(world, wanted, deletes=True)
    assert lacks(world.contents.shelves["one"].values()) <= lacks(images)
    world.contents.before = lambda: None
    for one in (world, whole):
        assert not pruned(one, wanted, deletes=True).failed
        assert lacks(one.contents.shelves["one"].values()) <= lacks(images)
        assert pruned(one, wanted).removals == ()
    assert world.contents.shelves == whole.contents.shelves
