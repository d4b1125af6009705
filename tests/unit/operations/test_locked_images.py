"""With a lock, exactly its digests are planned and copied."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.fake_services import NAMES, World, desired
from tests.support.made_images import image
from toolkit.errors import Refused
from toolkit.lock.model import Admitted, Bypass, Hold, LockedTag, Policy, Sighting
from toolkit.lock.text import write_lock
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference, Repository
from toolkit.operations.lock_store import pin_images
from toolkit.operations.plan import plan_manifest
from toolkit.operations.seed import plan_images
from toolkit.plan.desired import BuildImage, Desired, DesiredBuild
from toolkit.plan.model import Plan, SeedAction

SEEN = datetime(2026, 11, 1, tzinfo=UTC)
WANTED = desired(*NAMES)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    for name in NAMES:
        made.create(name)
    return made


def upstream(world: World, name: str) -> Digest:
    return world.registry.tags[Repository("upstream.test", name)]["1"]


def move(world: World, name: str, content: bytes = b"newer") -> Digest:
    repository, made = Repository("upstream.test", name), image([content * 50])
    world.registry.blobs[repository].update(made.blobs)
    world.registry.documents[repository][made.digest] = made.document
    world.registry.tags[repository]["1"] = made.digest
    return made.digest


def locked(digest: Digest, name: str, hold: Hold | None = None) -> LockedTag:
    source = Reference.parse(f"upstream.test/{name}:1")
    return LockedTag(source, Admitted(Sighting(digest, SEEN), SEEN), hold=hold)


def lock(world: World, **tags: LockedTag) -> None:
    world.services.lock.write(write_lock({f"{name}:1": tag for name, tag in tags.items()}), world.services.lock.read())


def codes(plan: Plan) -> list[str]:
    return [notice.code for notice in plan.notices]


def test_copies_the_admitted_digest_when_the_tag_has_moved_upstream(world: World) -> None:
    admitted = {name: upstream(world, name) for name in NAMES}
    lock(world, **{name: locked(digest, name) for name, digest in admitted.items()})
    newer = move(world, "two")
    plan = plan_manifest(WANTED, world.services).plan
    assert {seed.repository: seed.source.digest for seed in plan.seeds} == admitted
    assert str(newer) not in str(plan) and not plan.notices


def test_leaves_out_what_the_lock_does_not_admit_and_says_which_build_needs_it(world: World) -> None:
    other = locked(upstream(world, "two"), "another")
    lock(
        world,
        one=locked(upstream(world, "one"), "one"),
        two=other,
        three=LockedTag(locked(other.admitted.digest, "three").source),
    )  # type: ignore[union-attr]
    build = DesiredBuild(
        "web", "shop-web", "GITHUB", "", None, (), (BuildImage("two:1", "two", "1"),), "", "", "", {}, 60, 30
    )
    plan = plan_images(replace(WANTED, builds=(build,)), world.services)
    assert [seed.key for seed in plan.seeds] == ["one:1"] and plan.unadmitted == ("three:1", "two:1")
    (notice,) = plan.notices
    assert notice.code == "lock.not_admitted" and "`two:1`, `three:1`; `web` cannot build" in notice.message


def test_moves_a_tag_in_ecr_back_to_the_admitted_digest(world: World) -> None:
    old = upstream(world, "one")
    newer = move(world, "one")
    there = Repository(world.services.ecr.registry_host(), "one")
    world.registry.documents[there][newer] = world.registry.documents[Repository("upstream.test", "one")][newer]
    world.registry.tags[there]["1"] = newer
    lock(world, one=locked(old, "one"))
    plan = plan_images(WANTED, world.services, only=["one:1"])
    assert [(s.action, s.source.digest, s.reason) for s in plan.seeds] == [
        (SeedAction.MOVE, old, "another digest is admitted")
    ]


def test_refuses_a_digest_that_is_gone_and_names_the_lock(world: World) -> None:
    lock(world, one=locked(Digest.of(b"gone"), "one"))
    (refusal,) = plan_images(WANTED, world.services, only=["one:1"]).refusals
    assert refusal.code == "source.missing" and refusal.hint == "admit another digest with `toolkit lock`"


def test_shows_holds_and_bypasses_in_every_plan(world: World) -> None:
    digest = upstream(world, "one")
    hold = Hold("breaks the shop", world.now + timedelta(days=9))
    lock(world, one=locked(digest, "one", hold), two=locked(upstream(world, "two"), "two", Hold("over", SEEN)))
    policy = Policy(min_age=timedelta(days=3), bypass=Bypass(digest, "CVE-2026-1"))
    images = [replace(one, policy=policy) if one.repository == "one" else one for one in WANTED.images]
    plan = plan_images(replace(WANTED, images=tuple(images)), world.services, only=["one:1", "two:1"])
    assert [notice.message.partition(" ")[2] for notice in plan.notices] == [
        "`one:1` is held until 2026-12-09: breaks the shop",
        "`one:1` was admitted without a `min_age` of 3d: CVE-2026-1",
    ]


def test_refuses_to_copy_without_the_lock_that_the_manifest_needs(world: World) -> None:
    needing = replace(WANTED, needs_lock=True)
    for plan in (plan_manifest, plan_images):
        with pytest.raises(Refused) as caught:
            plan(needing, world.services)
        assert caught.value.code == "lock.missing"
    lock(world)
    assert codes(plan_images(needing, world.services)) == ["lock.not_admitted"]


def test_keeps_a_digest_of_the_manifest_whatever_the_lock_says(world: World) -> None:
    pinned = replace(WANTED.images[0], source=WANTED.images[0].source.with_digest(Digest.of(b"pinned")))
    lock(world, one=locked(Digest.of(b"locked"), "one"))
    found, notices = pin_images(Desired("shop", "eu-west-1", None, images=(pinned,)), world.services)
    assert found.images == (pinned,) and not notices


def test_does_not_call_a_tag_left_that_only_waits_for_its_admission(world: World) -> None:
    lock(world, one=locked(upstream(world, "one"), "one"))
    there = Repository(world.services.ecr.registry_host(), "two")
    world.registry.tags[there] |= {"1": upstream(world, "two")}
    assert codes(plan_manifest(WANTED, world.services).plan) == ["lock.not_admitted"]
