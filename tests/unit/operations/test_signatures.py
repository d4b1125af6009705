"""The signatures and referrers of an image from the first plan to a second signer, with `signatures: keep`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fake_services import HOST, World, desired
from tests.support.made_images import MadeImage, image, index, referrer, store, whole
from tests.support.memory_registry import Call
from toolkit.cli.render.serialise import plan_from_json, plan_to_json
from toolkit.errors import AccessDenied, Refused, SeedingIncomplete
from toolkit.oci.client import ManifestHead, PullLimit
from toolkit.oci.companions import cosign_tags, referrers_index, referrers_tag
from toolkit.oci.descriptor import Descriptor, Platform
from toolkit.oci.digest import Digest
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.documents import Document
from toolkit.oci.errors import ConnectionFailed, Denied, OciError
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.subset import Subset
from toolkit.operations.apply import apply, apply_saved
from toolkit.operations.plan import Planned, plan_manifest
from toolkit.operations.seed import seed
from toolkit.plan.desired import Desired
from toolkit.plan.model import Plan, SeedAction
from toolkit.report import Report, SeedStatus
from toolkit.seed.observe import Observer
from toolkit.seed.seeder import Seeder

UPSTREAM = Repository("upstream.test", "one")
ECR = Repository(HOST, "one")
SIGNATURE = image([b"signed by one"], config=b"{}")
AMD64, ARM64 = image([b"amd64"]), image([b"arm64"], "linux/arm64")
INDEX = index(("linux/amd64", AMD64), ("linux/arm64", ARM64))
CHOSEN = (Platform("linux", "amd64"),)


def signed_world(folder: Path, top: MadeImage | None = None, *, lists_referrers: bool = True) -> tuple[World, Digest]:
    """One image upstream, which is `top` if that is said; the digest of what its tag has."""
    world = World(folder, ("one",))
    world.registry.lists_referrers = lists_referrers
    if top is not None:
        store(world.registry, top, f"{UPSTREAM}:1")
    return world, world.registry.tags[UPSTREAM]["1"]


def keeping(*, platforms: tuple[Platform, ...] | None = None, mutability: str = "MUTABLE") -> Desired:
    """The manifest: that image, with its signatures."""
    found = desired("one")
    return replace(
        found,
        images=tuple(replace(one, keeps_signatures=True, subset=Subset(platforms)) for one in found.images),
        repositories=tuple(replace(one, tag_mutability=mutability) for one in found.repositories),
    )


def applied(world: World, wanted: Desired) -> tuple[Plan, Report]:
    plans: list[Plan] = []
    reports: list[Report] = []
    apply(wanted, world.services, review=plans.append, confirm=lambda _: True, publish=reports.append)
    return plans[0], reports[0]


def decisions(made: Plan) -> list[tuple[SeedAction, str, str]]:
    return [(seed.action, seed.tag, seed.reason) for seed in made.seeds]


def made_of(world: World, digest: Digest) -> MadeImage:
    return MadeImage(world.registry.documents[UPSTREAM][digest], {})


def without_cache(world: World) -> None:
    """What another machine has."""
    services = world.services
    cache = DocumentCache()
    seeder = Seeder(world.registry, world.registry, services.emit, jobs=2, cache=cache)
    world.services = replace(
        services, seeder=seeder, observer=Observer(world.registry, services.ecr, services.emit, cache=cache)
    )


def test_from_the_first_plan_to_a_second_signer(tmp_path: Path) -> None:
    world, top = signed_world(tmp_path)
    signature, attestation, _ = cosign_tags(top)
    sbom = referrer(made_of(world, top), b"sbom")
    store(world.registry, SIGNATURE, f"{UPSTREAM}:{signature}")
    store(world.registry, image([b"provenance"]), f"{UPSTREAM}:{attestation}")
    store(world.registry, sbom, str(UPSTREAM))

    made, report = applied(world, keeping())
    new = "its repository is new"
    assert decisions(made) == [
        (SeedAction.COPY, "1", new),
        (SeedAction.COPY, signature, f"signature of {top.short}: {new}"),
        (SeedAction.COPY, attestation, f"attestations of {top.short}: {new}"),
        (SeedAction.COPY, referrers_tag(top), f"referrers of {top.short}: {new}"),
    ]
    assert {outcome.status for outcome in report.outcomes} == {SeedStatus.COPIED}
    assert world.registry.tags[ECR][signature] == SIGNATURE.digest
    assert world.registry.documents[ECR][sbom.digest] == sbom.document
    assert all(whole(world.registry, ECR.with_tag(seed.tag)) for seed in made.seeds)
    assert world.registry.list_referrers(ECR, top) == world.registry.list_referrers(UPSTREAM, top)

    again, _ = applied(world, keeping())
    assert {action for action, _, _ in decisions(again)} == {SeedAction.KEEP}
    assert not again.has_changes

    resigned = image([b"signed by one", b"signed by two"], config=b"{}")
    store(world.registry, resigned, f"{UPSTREAM}:{signature}")
    moved, _ = applied(world, keeping())
    assert [seed.tag for seed in moved.pending_seeds] == [signature]
    assert moved.pending_seeds[0].action is SeedAction.MOVE
    assert world.registry.tags[ECR][signature] == resigned.digest


def test_a_second_plan_on_another_machine_is_empty_too(tmp_path: Path) -> None:
    world, top = signed_world(tmp_path, INDEX)
    store(world.registry, referrer(INDEX, b"sbom"), str(UPSTREAM))
    store(world.registry, SIGNATURE, f"{UPSTREAM}:{cosign_tags(AMD64.digest)[0]}")
    applied(world, keeping())
    without_cache(world)
    world.registry.calls.clear()
    again, _ = applied(world, keeping())
    assert not again.has_changes
    assert {seed.subject for seed in again.seeds} == {None, top, AMD64.digest}
    assert world.registry.count("get_manifest") == 0


def test_nothing_is_looked_for_unless_it_is_asked_for(tmp_path: Path) -> None:
    world, top = signed_world(tmp_path)
    store(world.registry, SIGNATURE, f"{UPSTREAM}:{cosign_tags(top)[0]}")
    made, _ = applied(world, desired("one"))
    assert [seed.tag for seed in made.seeds] == ["1"]
    assert world.registry.count("list_referrers") == 0
    assert world.registry.count("head_manifest", UPSTREAM.registry) == 1


def test_the_index_of_a_registry_that_lists_no_referrers_is_copied_as_it_is(tmp_path: Path) -> None:
    world, top = signed_world(tmp_path, lists_referrers=False)
    sbom = referrer(made_of(world, top), b"sbom")
    listed = index(("", sbom), note="as its publisher wrote it")
    store(world.registry, listed, f"{UPSTREAM}:{referrers_tag(top)}")
    applied(world, keeping())
    assert world.registry.tags[ECR][referrers_tag(top)] == listed.digest
    assert whole(world.registry, ECR.with_tag(referrers_tag(top)))
    assert not applied(world, keeping())[0].has_changes


@pytest.mark.parametrize(
    ("platforms", "signed"),
    [(None, {INDEX.digest, AMD64.digest, ARM64.digest}), (CHOSEN, {AMD64.digest})],
    ids=["all", "one of two"],
)
def test_what_keeps_its_digest_keeps_its_signature(
    tmp_path: Path, platforms: tuple[Platform, ...] | None, signed: set[Digest]
) -> None:
    world, _ = signed_world(tmp_path, INDEX)
    for made in (INDEX, AMD64, ARM64):
        store(world.registry, SIGNATURE, f"{UPSTREAM}:{cosign_tags(made.digest)[0]}")
    made_plan, _ = applied(world, keeping(platforms=platforms))
    assert {seed.subject for seed in made_plan.seeds if seed.subject} == signed
    assert set(world.registry.tags[ECR]) == {"1"} | {cosign_tags(digest)[0] for digest in signed}


def test_an_immutable_repository_keeps_the_signature_that_it_has_and_says_so(tmp_path: Path) -> None:
    world, top = signed_world(tmp_path)
    signature = cosign_tags(top)[0]
    store(world.registry, SIGNATURE, f"{UPSTREAM}:{signature}")
    wanted = keeping(mutability="IMMUTABLE")
    applied(world, wanted)
    world.registry.immutable.add(ECR)
    store(world.registry, image([b"signed by two"]), f"{UPSTREAM}:{signature}")
    made, _ = applied(world, wanted)
    assert [notice.code for notice in made.notices] == ["signature.immutable"]
    assert not made.has_changes
    assert world.registry.tags[ECR][signature] == SIGNATURE.digest


@pytest.mark.parametrize("operation", ["head_manifest", "list_referrers"])
@pytest.mark.parametrize(
    ("fault", "code", "kind"),
    [
        (ConnectionFailed("no answer", host="upstream.test"), "source.unreachable", Refused),
        (Denied("no", status=403, host="upstream.test"), "source.denied", AccessDenied),
    ],
)
def test_signatures_are_never_lost_silently(
    tmp_path: Path, operation: str, fault: OciError, code: str, kind: type[Exception]
) -> None:
    world, top = signed_world(tmp_path)
    world.registry.faults = lambda call: (
        fault if call.operation == operation and call.subject in (str(top), cosign_tags(top)[0]) else None
    )
    with pytest.raises(kind) as refusal:
        applied(world, keeping())
    assert getattr(refusal.value, "code", "") == code
    assert "images[0]" in str(refusal.value)
    assert "`signatures: drop`" in (getattr(refusal.value, "hint", "") or "")


def test_a_registry_that_does_not_answer_is_not_asked_for_every_tag(tmp_path: Path) -> None:
    world, top = signed_world(tmp_path, INDEX)
    asked = []

    def silent(call: Call) -> OciError | None:
        if call.subject not in ("1", str(top)):
            asked.append(call.subject)
            return ConnectionFailed("no answer", host="upstream.test")
        return None

    world.registry.faults = silent
    made = plan_manifest(keeping(), world.services).plan
    assert [refusal.code for refusal in made.refusals] == ["source.unreachable"]
    assert asked == [cosign_tags(top)[0]]


def test_an_index_that_cannot_be_read_is_a_refusal(tmp_path: Path) -> None:
    world, _ = signed_world(tmp_path, INDEX)
    world.registry.faults = lambda call: (
        ConnectionFailed("no answer", host="upstream.test") if call.operation == "get_manifest" else None
    )
    with pytest.raises(Refused, match="no answer"):
        applied(world, keeping())


def test_a_tag_that_the_manifest_asks_for_itself_is_no_companion(tmp_path: Path) -> None:
    world, top = signed_world(tmp_path)
    signature = cosign_tags(top)[0]
    store(world.registry, SIGNATURE, f"{UPSTREAM}:{signature}")
    wanted = keeping()
    explicit = replace(wanted.images[0], source=UPSTREAM.with_tag(signature), tag=signature, keeps_signatures=False)
    twin = replace(wanted.images[0], tag="2")
    made, _ = applied(world, replace(wanted, images=(*wanted.images, twin, explicit)))
    assert [(seed.tag, seed.subject) for seed in made.seeds] == [("1", None), ("2", None), (signature, None)]


def test_of_two_upstreams_with_the_same_image_the_first_one_signs(tmp_path: Path) -> None:
    world, top = signed_world(tmp_path)
    other, signature = Repository("other.test", "one"), cosign_tags(top)[0]
    store(world.registry, SIGNATURE, f"{UPSTREAM}:{signature}")
    store(world.registry, replace(made_of(world, top), blobs=dict(world.registry.blobs[UPSTREAM])), f"{other}:1")
    store(world.registry, image([b"signed by somebody else"]), f"{other}:{signature}")
    wanted = keeping()
    twin = replace(wanted.images[0], source=other.with_tag("1"), tag="2")
    made, _ = applied(world, replace(wanted, images=(*wanted.images, twin)))
    assert [seed.tag for seed in made.seeds] == ["1", signature, "2"]
    assert world.registry.tags[ECR][signature] == SIGNATURE.digest


def test_seeding_alone_brings_signatures_too_and_names_a_missing_repository_once(tmp_path: Path) -> None:
    world, top = signed_world(tmp_path)
    store(world.registry, SIGNATURE, f"{UPSTREAM}:{cosign_tags(top)[0]}")
    plans: list[Plan] = []
    with pytest.raises(Refused):
        seed(keeping(), world.services, review=plans.append, publish=lambda _: None)
    assert len(plans[0].refusals) == 1
    world.create("one")
    seed(keeping(), world.services, review=plans.append, publish=lambda _: None)
    assert world.registry.tags[ECR][cosign_tags(top)[0]] == SIGNATURE.digest


def travelled(planned: Planned) -> Planned:
    """A saved plan, read back."""
    return replace(planned, plan=plan_from_json(plan_to_json(planned.plan)))


def with_referrers(folder: Path) -> tuple[World, Digest, MadeImage]:
    world, top = signed_world(folder)
    sbom = referrer(made_of(world, top), b"sbom")
    store(world.registry, sbom, str(UPSTREAM))
    return world, top, sbom


def test_composes_the_index_of_referrers_again_without_the_cache(tmp_path: Path) -> None:
    world, top, sbom = with_referrers(tmp_path)
    planned = travelled(plan_manifest(keeping(), world.services))
    without_cache(world)
    apply_saved(keeping(), planned, world.services, review=lambda _: None, publish=lambda _: None)
    assert world.registry.tags[ECR][referrers_tag(top)] == planned.plan.seeds[1].wanted_digest
    assert sbom.digest in world.registry.documents[ECR]


def test_referrers_that_came_after_a_saved_plan_are_not_slipped_in(tmp_path: Path) -> None:
    world, top, _ = with_referrers(tmp_path)
    planned = travelled(plan_manifest(keeping(), world.services))
    without_cache(world)
    store(world.registry, referrer(made_of(world, top), b"later"), str(UPSTREAM))
    reports: list[Report] = []
    with pytest.raises(SeedingIncomplete):
        apply_saved(keeping(), planned, world.services, review=lambda _: None, publish=reports.append)
    assert [(outcome.status, outcome.error_code) for outcome in reports[0].outcomes] == [
        (SeedStatus.COPIED, None),
        (SeedStatus.FAILED, "source.referrers_changed"),
    ]
    assert referrers_tag(top) not in world.registry.tags[ECR]


class Hub:
    """An upstream that counts and says what is left, as Docker Hub does."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.left = 100

    def head_manifest(self, ref: Reference) -> ManifestHead | None:
        head = self._world.registry.head_manifest(ref)
        return head and replace(head, pull_limit=PullLimit(100, self.left, 21600))

    def get_manifest(self, ref: Reference) -> Document:
        self.left -= 1
        return self._world.registry.get_manifest(ref)

    def list_referrers(self, repository: Repository, subject: Digest) -> tuple[Descriptor, ...] | None:
        return self._world.registry.list_referrers(repository, subject)

    def open_blob(self, repository: Repository, descriptor: Descriptor, offset: int = 0) -> object:
        return self._world.registry.open_blob(repository, descriptor, offset)


@pytest.mark.parametrize(("is_signed", "needed"), [(True, 3), (False, 1)])
def test_the_plan_counts_the_pull_that_it_made_and_those_that_are_left(
    tmp_path: Path, is_signed: bool, needed: int
) -> None:
    world, _ = signed_world(tmp_path, INDEX)
    if is_signed:
        store(world.registry, SIGNATURE, f"{UPSTREAM}:{cosign_tags(AMD64.digest)[0]}")
        store(world.registry, referrer(AMD64, b"sbom"), str(UPSTREAM))
    hub, cache = Hub(world), DocumentCache()
    services = world.services
    world.services = replace(
        services,
        observer=Observer(hub, services.ecr, services.emit, cache=cache),
        seeder=Seeder(hub, world.registry, services.emit, jobs=2, cache=cache),  # type: ignore[arg-type]  # its blobs
    )
    made, _ = applied(world, keeping(platforms=CHOSEN))
    (cost,) = made.pull_costs
    assert cost.budget is not None
    assert cost.budget.remaining == 99  # the index was read to see what can be signed
    assert (cost.at_least, cost.at_most) == (needed, needed)  # the image for amd64, its signature, its SBOM
    assert hub.left == 99 - needed


@pytest.mark.parametrize("lists", [True, False])
def test_an_image_that_nobody_has_signed_has_no_companions(tmp_path: Path, lists: bool) -> None:
    world, _ = signed_world(tmp_path, lists_referrers=lists)
    made, _ = applied(world, keeping())
    assert [seed.tag for seed in made.seeds] == ["1"]


def test_the_index_is_composed_of_what_the_registry_lists(tmp_path: Path) -> None:
    world, top, _ = with_referrers(tmp_path)
    listed = world.registry.list_referrers(UPSTREAM, top)
    assert listed
    (found,) = [seed for seed in plan_manifest(keeping(), world.services).plan.seeds if seed.subject]
    assert found.wanted_digest == referrers_index(listed).digest
