"""What becomes of an image after its first day: overwritten, moved, pinned, gone, left out, each as the plan says it."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_services import HOST, NAMES, PUSHED_AT, World, desired
from tests.support.made_images import image, index, store
from tests.support.memory_registry import Call
from toolkit.cli.render.serialise import document_of, plan_from_json, plan_to_json
from toolkit.errors import PLAN_AGAIN, AccessDenied, Refused, SeedingIncomplete
from toolkit.events import Event, NoticeGiven
from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.errors import ConnectionFailed, Denied, OciError, RegistryError, TooManyRequests
from toolkit.oci.reference import Repository
from toolkit.oci.subset import Subset
from toolkit.operations.apply import apply, apply_saved
from toolkit.operations.plan import plan_manifest
from toolkit.operations.seed import seed
from toolkit.plan.desired import Desired
from toolkit.plan.model import Plan, SeedAction
from toolkit.report import Report, SeedStatus
from toolkit.seed.observe import Observer

UPSTREAM, ECR = Repository("upstream.test", "one"), Repository(HOST, "one")
FOREIGN, NEWER = image([b"somebody else's"]), image([b"newer"])
AMD64, ARM64 = image([b"amd64"]), image([b"arm64"], "linux/arm64")
INDEX = index(("linux/amd64", AMD64), ("linux/arm64", ARM64))
NEWER_INDEX = index(("linux/amd64", NEWER), ("linux/arm64", ARM64))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def applied(world: World, wanted: Desired, **options: Any) -> tuple[Plan, Report]:
    world.names = tuple(repository.name for repository in wanted.repositories)
    plans: list[Plan] = []
    reports: list[Report] = []
    apply(wanted, world.services, review=plans.append, confirm=lambda _: True, publish=reports.append, **options)
    return plans[0], reports[0]


def planned(world: World, wanted: Desired, **options: Any) -> Plan:
    return plan_manifest(wanted, world.services, **options).plan


def only_one(
    *, pin: Digest | None = None, platforms: tuple[Platform, ...] | None = None, immutable: bool = False
) -> Desired:
    made = desired("one")
    source = made.images[0].source
    return replace(
        made,
        images=(replace(made.images[0], source=source.with_digest(pin) if pin else source, subset=Subset(platforms)),),
        repositories=tuple(
            replace(r, tag_mutability="IMMUTABLE" if immutable else "MUTABLE") for r in made.repositories
        ),
    )


def one_of(made: Plan) -> tuple[SeedAction, str, bool]:
    return made.seeds[0].action, made.seeds[0].reason, made.seeds[0].is_overwritten


def codes(made: Plan) -> list[str]:
    return [notice.code for notice in made.notices]


def forget_upstream(world: World, digest: Digest) -> None:
    """A registry that deletes what no tag points to."""
    del world.registry.documents[UPSTREAM][digest]


@pytest.fixture(params=[None, (Platform("linux", "amd64"),)], ids=["whole", "one platform"])
def seeded(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[World, Desired]:
    """An index, applied whole or cut down."""
    world = World(tmp_path, ("one",))
    store(world.registry, INDEX, f"{UPSTREAM}:1")
    wanted = only_one(platforms=request.param)
    applied(world, wanted)
    return world, wanted


def test_a_tag_that_somebody_overwrote_is_said_to_be(seeded: tuple[World, Desired]) -> None:
    world, wanted = seeded
    right = world.stored("one")
    store(world.registry, FOREIGN, f"{ECR}:1")
    made = planned(world, wanted)
    assert one_of(made) == (SeedAction.MOVE, "overwritten in ECR", True)
    assert codes(made) == ["tag.overwritten"]
    assert str(FOREIGN.digest) in made.notices[0].message
    assert PUSHED_AT in made.notices[0].message
    document: Any = document_of("plan", made)
    assert document["totals"]["overwritten"] == 1
    assert (document["seeds"][0]["is_overwritten"], document["seeds"][0]["pushed_at"]) == (True, PUSHED_AT)
    applied(world, wanted)
    assert world.stored("one") == right


def on_another_machine(world: World) -> None:
    """Nothing is cached there."""
    observer = Observer(world.registry, world.services.ecr, world.services.emit, cache=DocumentCache())
    world.services = replace(world.services, observer=observer)


def test_another_machine_sees_that_a_tag_was_overwritten(seeded: tuple[World, Desired]) -> None:
    world, wanted = seeded
    store(world.registry, FOREIGN, f"{ECR}:1")
    on_another_machine(world)
    assert one_of(planned(world, wanted)) == (SeedAction.MOVE, "overwritten in ECR", True)


def test_of_two_tags_with_one_digest_the_overwritten_one_is_found(seeded: tuple[World, Desired]) -> None:
    world, wanted = seeded
    store(world.registry, INDEX, f"{UPSTREAM}:2")
    both = replace(wanted, images=(*wanted.images, replace(wanted.images[0], source=UPSTREAM.with_tag("2"), tag="2")))
    applied(world, both)
    store(world.registry, FOREIGN, f"{ECR}:1")
    for _ in range(2):
        assert [seed.reason for seed in planned(world, both).pending_seeds] == ["overwritten in ECR"]
        on_another_machine(world)


def test_another_source_in_the_manifest_accuses_nobody(seeded: tuple[World, Desired]) -> None:
    world, wanted = seeded
    other = Repository("other.test", "one")
    store(world.registry, NEWER_INDEX, f"{other}:1")
    store(world.registry, FOREIGN, f"{UPSTREAM}:1")
    applied(world, wanted)
    made = planned(world, replace(wanted, images=(replace(wanted.images[0], source=other.with_tag("1")),)))
    assert one_of(made)[::2] == (SeedAction.MOVE, False)


def test_a_tag_that_moved_upstream_was_not_overwritten(seeded: tuple[World, Desired]) -> None:
    world, wanted = seeded
    store(world.registry, NEWER_INDEX, f"{UPSTREAM}:1")
    made = planned(world, wanted)
    assert (one_of(made), codes(made)) == ((SeedAction.MOVE, "upstream moved", False), [])


def test_an_upstream_that_deletes_its_old_images_accuses_nobody(seeded: tuple[World, Desired]) -> None:
    world, wanted = seeded
    store(world.registry, NEWER_INDEX, f"{UPSTREAM}:1")
    forget_upstream(world, INDEX.digest)
    action, reason, is_overwritten = one_of(planned(world, wanted))
    assert (action, is_overwritten) == (SeedAction.MOVE, False)
    assert reason in (
        "differs from upstream; whether it ever came from there is not known",
        "made from another index than upstream has now",
    )


def test_blames_nobody_for_a_release_that_upstream_deleted(
    seeded: tuple[World, Desired],
) -> None:
    world, wanted = seeded
    store(world.registry, NEWER_INDEX, f"{UPSTREAM}:1")
    applied(world, wanted)
    store(world.registry, INDEX, f"{UPSTREAM}:1")
    forget_upstream(world, NEWER_INDEX.digest)
    made = planned(world, wanted)
    if wanted.images[0].subset.platforms is None:  # a copy byte for byte does not say whose it is
        assert "unless upstream has published and withdrawn it" in made.notices[0].message
    else:
        assert (one_of(made)[1], codes(made)) == ("made from another index than upstream has now", [])


def test_blames_nobody_while_upstream_cannot_be_asked(seeded: tuple[World, Desired]) -> None:
    world, wanted = seeded
    store(world.registry, FOREIGN, f"{ECR}:1")
    world.registry.faults = lambda call: (
        ConnectionFailed("no answer", host="upstream.test") if call.subject == str(FOREIGN.digest) else None
    )
    made = planned(world, wanted)
    assert one_of(made) == (
        SeedAction.MOVE,
        "differs from upstream; whether it ever came from there is not known",
        False,
    )
    assert codes(made) == ["tag.origin_unknown"]


def test_an_image_of_the_same_upstream_under_the_wrong_tag_is_not_called_moved(world: World) -> None:
    applied(world, only_one())
    store(world.registry, NEWER, f"{UPSTREAM}:2")
    store(world.registry, NEWER, f"{ECR}:1")
    made = planned(world, only_one())
    assert one_of(made)[1] == "upstream moved back, or it was moved in ECR"
    assert codes(made) == ["tag.origin_unknown"]


def test_other_platforms_are_no_move(seeded: tuple[World, Desired]) -> None:
    world, wanted = seeded
    other = replace(wanted, images=(replace(wanted.images[0], subset=Subset((Platform("linux", "arm64"),))),))
    assert one_of(planned(world, other)) == (SeedAction.MOVE, "other platforms wanted", False)


def test_nothing_to_do_asks_upstream_once_an_image_and_ecr_twice_a_repository(world: World) -> None:
    applied(world, desired(*NAMES))
    world.registry.calls.clear()
    assert not planned(world, desired(*NAMES)).has_changes
    assert len(world.registry.calls) == world.registry.count("head_manifest", "upstream.test") == len(NAMES)


@pytest.mark.parametrize("platforms", [None, (Platform("linux", "amd64"),)])
def test_a_pin_is_copied_and_kept_while_its_tag_moves_on(
    tmp_path: Path, platforms: tuple[Platform, ...] | None
) -> None:
    world = World(tmp_path, ("one",))
    store(world.registry, INDEX, f"{UPSTREAM}:1")
    wanted = only_one(pin=INDEX.digest, platforms=platforms)
    store(world.registry, NEWER_INDEX, f"{UPSTREAM}:1")
    made, _ = applied(world, wanted)
    assert (made.seeds[0].source.digest, codes(made)) == (INDEX.digest, ["source.pin_behind"])
    there = world.stored("one")
    again, _ = applied(world, wanted)
    assert (again.has_changes, codes(again)) == (False, ["source.pin_behind"])
    if platforms is None:
        assert there == INDEX.digest
    forget_upstream(world, INDEX.digest)
    gone, _ = applied(world, wanted)
    assert (gone.has_changes, codes(gone)) == (False, ["source.missing"])
    del world.registry.tags[ECR]["1"]
    back, _ = applied(world, wanted)  # ECR has it untagged
    assert (back.seeds[0].stored_as, world.stored("one")) == (str(there), there)
    del world.registry.tags[ECR]["1"]
    world.registry.documents[ECR].clear()
    with pytest.raises(Refused) as refusal:
        applied(world, wanted)
    assert refusal.value.code == "source.missing"


def test_a_moved_upstream_tag_stays_in_an_immutable_repository(world: World) -> None:
    wanted = only_one(immutable=True)
    applied(world, wanted)
    before = world.stored("one")
    world.registry.immutable.add(ECR)
    store(world.registry, NEWER, f"{UPSTREAM}:1")
    made, report = applied(world, wanted)
    assert (codes(made), made.has_changes) == (["tag.immutable"], False)
    assert world.stored("one") == before
    assert [outcome.status for outcome in report.outcomes] == [SeedStatus.UNCHANGED]


def test_the_hints_of_a_pin_in_an_immutable_repository_lead_out(world: World) -> None:
    applied(world, only_one(immutable=True))
    there = world.stored("one")
    assert there is not None
    store(world.registry, NEWER, f"{UPSTREAM}:1")
    with pytest.raises(Refused) as refusal:
        applied(world, only_one(pin=NEWER.digest, immutable=True))
    assert refusal.value.code == "tag.immutable_pin"
    assert f"pin `{there}`" in (refusal.value.hint or "")
    pinned, _ = applied(world, only_one(pin=there, immutable=True))
    assert (pinned.has_changes, codes(pinned)) == (False, ["source.pin_behind"])
    assert pinned.notices[0].hint is None  # to change the pin would lead back to the refusal
    applied(world, only_one(pin=NEWER.digest))
    assert world.stored("one") == NEWER.digest


def test_what_is_pinned_in_an_immutable_repository_is_what_a_cut_index_was_made_of(tmp_path: Path) -> None:
    world, amd64 = World(tmp_path, ("one",)), (Platform("linux", "amd64"),)
    store(world.registry, INDEX, f"{UPSTREAM}:1")
    applied(world, only_one(platforms=amd64, immutable=True))
    store(world.registry, NEWER_INDEX, f"{UPSTREAM}:1")
    with pytest.raises(Refused, match="cannot be moved to the pinned digest") as refusal:
        applied(world, only_one(pin=NEWER_INDEX.digest, platforms=amd64, immutable=True))
    assert f"pin `{INDEX.digest}`" in (refusal.value.hint or "")
    made, _ = applied(world, only_one(pin=INDEX.digest, platforms=amd64, immutable=True))
    assert not made.has_changes


FAULTS = [
    (ConnectionFailed("no answer", host="upstream.test"), "source.unreachable"),
    (RegistryError("502", status=502, host="upstream.test"), "source.unreachable"),
    (RegistryError("530", status=530, host="upstream.test"), "source.unreachable"),
    (ConnectionFailed("not trusted", host="upstream.test", is_temporary=False), "source.unusable"),
    (OciError("no digest", code="oci.no_digest_on_head"), "source.no_digest_on_head"),
    (RegistryError("405", status=405, host="upstream.test", code="oci.not_supported"), "source.not_supported"),
    (RegistryError("501", status=501, host="upstream.test"), "source.request_refused"),
    (RegistryError("505", status=505, host="upstream.test"), "source.request_refused"),
    (TooManyRequests("slow down", host="upstream.test"), "source.limited"),
    (RegistryError("token server", status=429, host="upstream.test"), "source.limited"),
    (Denied("no", status=403, host="upstream.test"), "source.denied"),
]


def failing(world: World, *names: str, fault: OciError) -> None:
    world.registry.faults = lambda call: (
        fault if call.repository.registry == "upstream.test" and call.repository.path in names else None
    )


@pytest.mark.parametrize(("fault", "code"), FAULTS, ids=lambda one: getattr(one, "message", None))
def test_a_source_that_cannot_be_asked_keeps_what_ecr_has(world: World, fault: OciError, code: str) -> None:
    applied(world, desired(*NAMES))
    store(world.registry, NEWER, "upstream.test/three:1")
    failing(world, "one", fault=fault)
    made, report = applied(world, desired(*NAMES))
    assert [(notice.code, "since 2026-11-02" in notice.message) for notice in made.notices] == [(code, True)]
    assert world.stored("three") == NEWER.digest
    assert not report.failed


@pytest.mark.parametrize(("fault", "code"), FAULTS, ids=lambda one: getattr(one, "message", None))
def test_stops_for_an_unreachable_source_unless_it_keeps_going(world: World, fault: OciError, code: str) -> None:
    failing(world, "one", "three", fault=fault)
    with pytest.raises(AccessDenied if code == "source.denied" else Refused) as refusal:
        applied(world, desired(*NAMES))
    assert "2 reasons" in refusal.value.message
    assert "--keep-going" in (refusal.value.hint or "")
    assert world.repositories == {}

    plans: list[Plan] = []
    reports: list[Report] = []
    with pytest.raises(SeedingIncomplete):
        apply(
            desired(*NAMES),
            world.services,
            review=plans.append,
            confirm=lambda _: True,
            publish=reports.append,
            keeps_going=True,
        )
    assert [refusal.image for refusal in plans[0].refusals] == ["one:1", "three:1"]
    assert {outcome.key: (outcome.status, outcome.error_code) for outcome in reports[0].outcomes} == {
        "one:1": (SeedStatus.FAILED, code),
        "two:1": (SeedStatus.COPIED, None),
        "three:1": (SeedStatus.FAILED, code),
    }
    assert set(world.repositories) == set(NAMES)


def test_a_saved_plan_goes_on_as_it_was_made_to(world: World) -> None:
    failing(world, "one", fault=ConnectionFailed("no answer", host="upstream.test"))
    made = plan_manifest(desired(*NAMES), world.services, keeps_going=True)
    made = replace(made, plan=plan_from_json(plan_to_json(made.plan)))
    world.registry.tags[Repository(HOST, "three")]["1"] = FOREIGN.digest
    world.registry.documents[Repository(HOST, "three")][FOREIGN.digest] = FOREIGN.document
    world.repositories["three"] = {}
    reports: list[Report] = []
    with pytest.raises(SeedingIncomplete) as incomplete:
        apply_saved(desired(*NAMES), made, world.services, review=lambda _: None, publish=reports.append)
    assert incomplete.value.hint == PLAN_AGAIN  # it will never copy what it left out
    assert not reports[0].can_resume
    assert {outcome.key: outcome.error_code for outcome in reports[0].outcomes} == {
        "two:1": None,
        "one:1": "source.unreachable",
        "three:1": "plan.stale",
    }
    assert world.stored("three") == FOREIGN.digest


def test_only_refusals_of_single_images_can_be_left_out(world: World) -> None:
    world.registry.pulls_left["upstream.test"] = 0
    with pytest.raises(Refused) as refusal:
        applied(world, desired(*NAMES), keeps_going=True)
    assert refusal.value.code == "budget.too_small"
    assert world.repositories == {}


def test_seeding_goes_on_without_a_repository_that_is_missing(world: World) -> None:
    world.create("two")
    plans: list[Plan] = []
    reports: list[Report] = []
    with pytest.raises(SeedingIncomplete):
        seed(desired(*NAMES), world.services, review=plans.append, publish=reports.append, keeps_going=True)
    assert {outcome.key: outcome.status for outcome in reports[0].outcomes} == {
        "two:1": SeedStatus.COPIED,
        "one:*": SeedStatus.FAILED,
        "three:*": SeedStatus.FAILED,
    }


@pytest.mark.parametrize(("only", "unseen"), [((), 0), (("two:*",), 2)])
def test_seeding_says_what_it_did_not_look_at(world: World, only: tuple[str, ...], unseen: int) -> None:
    for name in NAMES:
        world.create(name)
    plans: list[Plan] = []
    seed(desired(*NAMES), world.services, review=plans.append, publish=lambda _: None, only=only)
    assert (plans[0].covers_infra, plans[0].unseen_images) == (False, unseen)


def test_a_tag_that_leaves_the_manifest_is_named(world: World) -> None:
    wanted = desired("one")
    both = replace(wanted, images=(*wanted.images, replace(wanted.images[0], tag="2")))
    applied(world, both)
    made = planned(world, wanted)
    assert codes(made) == ["image.left"]
    assert "`2`" in made.notices[0].message
    plans: list[Plan] = []
    seed(both, world.services, review=plans.append, publish=lambda _: None, only=["one:1"])
    assert codes(plans[0]) == []


def test_a_refusal_is_told_before_terraform_has_planned(world: World) -> None:
    applied(world, desired("one"))
    is_told = threading.Event()

    def emit(event: Event) -> None:
        if isinstance(event, NoticeGiven):
            assert (event.code, event.message) == ("source.unreachable", "images[1]: no answer")
            is_told.set()

    class Slow:
        def __getattr__(self, name: str) -> Any:
            return getattr(world.services.terraform, name)

        def plan(self, work_dir: Any) -> Any:
            assert is_told.wait(20)
            return world.services.terraform.plan(work_dir)

    failing(world, "one", "two", fault=ConnectionFailed("no answer", host="upstream.test"))
    observer = Observer(world.registry, world.services.ecr, emit, cache=DocumentCache())
    services = replace(world.services, terraform=Slow(), observer=observer)
    made = plan_manifest(desired(*NAMES), services).plan
    assert [refusal.image for refusal in made.refusals] == ["two:1"]


def test_a_registry_that_is_down_is_not_waited_for_image_by_image(tmp_path: Path) -> None:
    names = [f"app{number}" for number in range(100)]
    world = World(tmp_path, names)
    applied(world, desired(*names))
    world.registry.calls.clear()
    failing(world, *names, fault=ConnectionFailed("no answer", host="upstream.test"))
    made = planned(world, desired(*names))
    assert world.registry.count("head_manifest") < 50
    assert len(made.seeds) == 100
    assert 1 <= len(made.notices) <= 2
    assert all("the oldest since 2026-11-02" in notice.message for notice in made.notices)


def test_copies_the_others_while_one_registry_does_not_respond(tmp_path: Path) -> None:
    bad = [f"bad{number}" for number in range(40)]
    world = World(tmp_path, ["good", *bad, "last"])
    is_answered = threading.Event()

    def fault(call: Call) -> OciError | None:
        if call.repository.path not in bad:
            is_answered.set()
            return None
        assert is_answered.wait(20)
        time.sleep(0.05)
        return ConnectionFailed("no answer", host="upstream.test")

    world.registry.faults = fault
    made = planned(world, desired("good", *bad, "last"), keeps_going=True)
    assert {"good:1", "last:1"} == {seed.key for seed in made.pending_seeds}
    assert len([event for event in world.events if isinstance(event, NoticeGiven)]) == 1
