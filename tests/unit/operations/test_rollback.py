"""An image goes back to the digest that it had, is held there, and its tag moves within ECR without a pull."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.fake_services import HOST, World, desired
from tests.support.made_images import MadeImage, image, index, store, whole
from tests.support.memory_registry import Call, Fault
from toolkit.errors import Refused, SeedingIncomplete, ToolkitError, UsageError
from toolkit.lock.keepers import keeper_tag
from toolkit.lock.model import Hold, LockedTag
from toolkit.lock.text import read_lock
from toolkit.manifest.tag_selection import TagSelectionSpec
from toolkit.oci.copy import CopyRequest
from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.errors import ConnectionFailed, RegistryError
from toolkit.oci.filtered_index import read_provenance
from toolkit.oci.pull_limits import PullLimits
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.subset import WHOLE, Subset
from toolkit.operations.apply import apply_saved
from toolkit.operations.lock import lock
from toolkit.operations.lock_store import pin_images
from toolkit.operations.plan import plan_manifest
from toolkit.operations.rollback import release, rollback
from toolkit.operations.seed import seed
from toolkit.plan.desired import DesiredSelection
from toolkit.plan.model import Plan, Seed, SeedAction
from toolkit.report import LockAction, LockedImage, Report, SeedStatus
from toolkit.seed.observe import Observer
from toolkit.seed.seeder import Seeder
from toolkit.terraform.root_module import repository_address

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
UPSTREAM, ECR = Repository("upstream.test", "one"), Repository(HOST, "one")
ARM64 = image([b"arm64"], "linux/arm64")
OLD_AMD64, NEW_AMD64 = image([b"old", b"both"]), image([b"new", b"both"])
OLD = index(("linux/amd64", OLD_AMD64), ("linux/arm64", ARM64))
NEW = index(("linux/amd64", NEW_AMD64), ("linux/arm64", ARM64))
WHY = "it is broken on arm"


class Story:
    """A repository in ECR whose tag has moved from OLD to NEW, each by `toolkit lock` and `toolkit seed`."""

    def __init__(
        self, folder: Path, subset: Subset = WHOLE, *, images: tuple[MadeImage, ...] = (OLD, NEW), keeps: int = 0
    ) -> None:
        self.world = World(folder, ("one",))
        self.world.create("one")
        self.file = folder / "images.lock.yaml"
        listed = desired("one")
        self.desired = replace(
            listed, images=tuple(replace(one, subset=subset) for one in listed.images), keep_previous=keeps
        )
        for day, made in enumerate(images):
            self.day(day)
            store(self.world.registry, made, f"{UPSTREAM}:1")
            self.lock()
            self.seed()
        self.day(len(images))

    def day(self, count: float) -> None:
        """Another day, on a machine that has cached nothing."""
        world = self.world
        world.now = START + timedelta(days=count)
        cache, source = DocumentCache(), PullLimits(world.registry)
        world.services = replace(
            world.services,
            observer=Observer(source, world.services.ecr, world.services.emit, cache=cache),
            seeder=Seeder(source, world.registry, world.services.emit, jobs=2, cache=cache),
        )
        world.registry.calls.clear()

    def lock(self) -> None:
        lock(self.desired, self.world.services, publish=lambda _: None)

    def seed(self) -> tuple[Plan, Report]:
        plans: list[Plan] = []
        reports: list[Report] = []
        seed(self.desired, self.world.services, review=plans.append, publish=reports.append)
        return plans[0], reports[0]

    def planned(self) -> Seed:
        plans: list[Plan] = []
        seed(self.desired, self.world.services, review=plans.append, publish=lambda _: None, is_dry_run=True)
        return plans[0].seeds[0]

    def rollback(
        self, name: str = "one:1", *, to: str | None = None, until: str | None = None, why: str = WHY, dry: bool = False
    ) -> LockedImage:
        shown: list[LockedImage] = []
        rollback(
            self.desired,
            self.world.services,
            name,
            publish=lambda changes: shown.extend(changes.images),
            reason=why,
            to=to,
            until=until,
            is_dry=dry,
        )
        return shown[0]

    def release(self, *, dry: bool = False) -> LockedImage:
        shown: list[LockedImage] = []
        release(
            self.desired,
            self.world.services,
            "one:1",
            publish=lambda changes: shown.extend(changes.images),
            is_dry=dry,
        )
        return shown[0]

    def entry(self) -> LockedTag:
        return read_lock(self.file.read_text(), "lock")["one:1"]

    def admitted(self) -> Digest | None:
        found = self.entry().admitted
        return found.digest if found else None

    def forget_upstream(self) -> None:
        """Upstream is taken down."""
        for kind in (self.world.registry.documents, self.world.registry.tags, self.world.registry.blobs):
            kind[UPSTREAM].clear()

    def requests(self) -> list[tuple[str, str]]:
        """What was written to ECR or read from upstream: the method and the subject."""
        registry = self.world.registry
        return [
            (call.operation, call.subject)
            for call in registry.calls
            if call.operation in ("put_manifest", "put_blob", "begin_upload")
            or (call.operation == "get_manifest" and call.repository.registry != HOST)
        ]


SUBSETS = pytest.mark.parametrize(
    "subset",
    [WHOLE, Subset((Platform("linux", "amd64"),)), Subset(None, keeps_attestations=False)],
    ids=["whole", "one platform", "no attestations"],
)


@pytest.mark.parametrize("is_upstream_gone", [False, True], ids=["upstream", "upstream gone"])
@pytest.mark.parametrize("keeps", [0, 2], ids=["untagged", "kept"])
@SUBSETS
def test_moves_the_tag_back_by_one_put_and_without_a_pull(
    tmp_path: Path, subset: Subset, keeps: int, is_upstream_gone: bool
) -> None:
    story = Story(tmp_path, subset, keeps=keeps)
    before = story.world.stored("one")
    keepers = [digest for tag, digest in story.world.registry.tags[ECR].items() if tag != "1"]
    untagged = [one.digest for one in story.world.services.ecr.untagged_indexes("one")]
    (old,) = keepers if keeps else untagged
    if is_upstream_gone:
        story.forget_upstream()
    line = story.rollback()
    assert (line.action, line.old_digest, line.new_digest) == (
        LockAction.ROLLED_BACK,
        str(NEW.digest),
        str(OLD.digest),
    )
    where = f"as `{keeper_tag('1', old)}`" if keeps else "untagged"
    assert f"ECR has `{OLD.digest.short}` {where}" in line.reasons[0]
    story.world.registry.pulls_left["upstream.test"] = 0
    story.day(3)
    plan, report = story.seed()
    (one,) = plan.seeds
    assert (one.action, one.wanted_digest, one.pulls, one.reason) == (
        SeedAction.MOVE,
        old,
        (0, 0),
        "another digest is admitted",
    )
    assert one.stored_as == (keeper_tag("1", old) if keeps else str(old))
    assert "tag.origin_unknown" not in [notice.code for notice in plan.notices]
    (outcome,) = report.outcomes
    assert (outcome.status, outcome.moved_bytes, outcome.document_reads) == (SeedStatus.COPIED, 0, 0)
    assert story.world.stored("one") == old
    puts = [("put_manifest", keeper_tag("1", before))] if keeps and before else []
    assert story.requests() == [*puts, ("put_manifest", "1")]
    assert whole(story.world.registry, ECR.with_tag("1"))
    story.day(4)
    assert not story.seed()[0].has_changes


@SUBSETS
def test_looks_for_nothing_in_a_repository_that_does_not_exist(tmp_path: Path, subset: Subset) -> None:
    world = World(tmp_path, ("one",))
    store(world.registry, OLD, f"{UPSTREAM}:1")
    wanted = desired("one")
    wanted = replace(wanted, images=tuple(replace(one, subset=subset) for one in wanted.images))
    lock(wanted, world.services, publish=lambda _: None)
    plan = plan_manifest(wanted, world.services).plan
    assert [(one.action, one.stored_as) for one in plan.seeds] == [(SeedAction.COPY, None)]


def test_puts_one_document_for_each_of_several_tags_that_share_layers(tmp_path: Path) -> None:
    world = World(tmp_path, ("one", "two"))
    requests = []
    for name in world.names:
        world.create(name)
        store(world.registry, OLD, f"{HOST}/{name}:0")
        store(world.registry, NEW, f"{HOST}/{name}:1")
        destination = Reference(HOST, name, "1")
        requests.append(CopyRequest(f"{name}:1", Reference(HOST, name, digest=OLD.digest), destination))
    copied = store(world.registry, image([b"copied"]), f"{UPSTREAM}:1")
    first = CopyRequest("one:2", copied, Reference(HOST, "one", "2"))
    world.services.seeder.seed([first])  # by which it learns that the registry links blobs
    world.registry.calls.clear()
    outcomes = world.services.seeder.seed(requests)
    assert [(one.status, one.moved_bytes, one.mounted_blobs) for one in outcomes] == [(SeedStatus.COPIED, 0, 0)] * 2
    assert (world.registry.count("put_manifest"), world.registry.count("begin_upload")) == (2, 0)


def test_asks_no_alternative_for_what_ecr_has(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.rollback()
    asked: list[Reference] = []
    services = story.world.services
    observer = Observer(
        PullLimits(story.world.registry), services.ecr, services.emit, cache=DocumentCache(), find=asked.append
    )
    story.world.services = replace(services, observer=observer)
    assert story.planned().stored_as == str(OLD.digest)
    assert asked == []


def test_takes_an_image_under_another_tag_too(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.world.registry.tags[ECR]["alias"] = OLD.digest
    assert "as `alias`" in story.rollback().reasons[0]
    assert story.planned().stored_as == "alias"


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/arm64"])
def test_moves_to_a_single_image_only_if_it_is_for_a_wanted_platform(tmp_path: Path, platform: str) -> None:
    story = Story(tmp_path, Subset((Platform("linux", "amd64"),)), images=(OLD_AMD64, NEW_AMD64))
    story.rollback()
    story.desired = replace(
        story.desired,
        images=tuple(replace(one, subset=Subset((Platform.parse(platform),))) for one in story.desired.images),
    )
    story.day(3)
    if platform == "linux/amd64":
        story.seed()
        assert story.requests() == [("put_manifest", "1")]
    else:
        with pytest.raises(SeedingIncomplete):
            story.seed()
        assert story.world.stored("one") == NEW_AMD64.digest


def test_copies_what_ecr_has_only_in_part(tmp_path: Path) -> None:
    story = Story(tmp_path)
    del story.world.registry.documents[ECR][OLD_AMD64.digest]
    assert story.rollback().reasons[0].startswith("only upstream has")
    assert story.planned().stored_as is None
    story.seed()
    assert story.world.stored("one") == OLD.digest
    assert whole(story.world.registry, ECR.with_tag("1"))


def test_leaves_the_tag_where_a_part_is_lost_after_the_plan(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.rollback()

    def lose(plan: Plan) -> None:
        assert plan.seeds[0].stored_as == str(OLD.digest)
        lost = next(iter(digest for digest, _ in OLD_AMD64.blobs.items() if digest not in NEW_AMD64.blobs))
        del story.world.registry.blobs[ECR][lost]

    with pytest.raises(SeedingIncomplete):
        seed(story.desired, story.world.services, review=lose, publish=lambda _: None)
    assert story.world.stored("one") == NEW.digest


def test_refuses_a_digest_that_is_nowhere_and_writes_nothing(tmp_path: Path) -> None:
    story = Story(tmp_path)
    before = story.file.read_text()
    story.forget_upstream()
    del story.world.registry.documents[ECR][OLD.digest]
    with pytest.raises(Refused) as refusal:
        story.rollback()
    assert refusal.value.code == "rollback.gone"
    assert "keep_previous" in (refusal.value.hint or "")
    assert story.file.read_text() == before


def test_says_that_only_upstream_has_it_or_cannot_be_asked(tmp_path: Path) -> None:
    story = Story(tmp_path)
    del story.world.registry.documents[ECR][OLD.digest]
    assert story.rollback(dry=True).reasons[0].startswith("only upstream has")

    def is_down(call: Call) -> Fault | None:
        return ConnectionFailed("no answer", host="upstream.test") if call.repository == UPSTREAM else None

    story.world.registry.faults = is_down
    with pytest.raises(Refused) as refusal:
        story.rollback()
    assert refusal.value.code == "source.unreachable"


def test_refuses_an_immutable_tag(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.desired = replace(
        story.desired,
        repositories=tuple(replace(one, tag_mutability="IMMUTABLE") for one in story.desired.repositories),
    )
    with pytest.raises(Refused) as refusal:
        story.rollback()
    assert refusal.value.code == "rollback.immutable"


def test_goes_back_where_ecr_never_got_the_new_image(tmp_path: Path) -> None:
    story = Story(tmp_path, images=(OLD,))
    store(story.world.registry, NEW, f"{UPSTREAM}:1")
    story.lock()
    assert story.rollback().reasons == (f"ECR has `{OLD.digest.short}` under this tag",)
    assert not story.seed()[0].has_changes


def test_changes_nothing_the_second_time_and_says_so(tmp_path: Path) -> None:
    story = Story(tmp_path)
    assert story.rollback(until="3d").action is LockAction.ROLLED_BACK
    before = story.file.read_text()
    again = story.rollback(until="3d")
    assert (again.action, again.is_moved, story.file.read_text()) == (LockAction.NOTHING, False, before)
    assert "held already" in again.reasons[0]
    assert story.rollback(why="another reason").action is LockAction.ROLLED_BACK
    assert story.entry().hold == Hold("another reason")


def test_overwrites_nothing_that_another_run_wrote_meanwhile(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.world.registry.faults = lambda call: (
        story.file.write_text(story.file.read_text() + "# another run\n") and None
    )
    with pytest.raises(Refused) as refusal:
        story.rollback()
    assert refusal.value.code == "lock.changed_meanwhile"
    assert story.admitted() == NEW.digest


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    story = Story(tmp_path)
    before = story.file.read_text()
    assert story.rollback(dry=True).action is LockAction.ROLLED_BACK
    assert story.file.read_text() == before
    story.rollback()
    before = story.file.read_text()
    assert story.release(dry=True).action is LockAction.RELEASED
    assert story.file.read_text() == before


def test_lock_moves_it_again_only_after_the_release_and_without_a_new_wait(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.rollback()
    story.desired = replace(
        story.desired,
        images=tuple(
            replace(one, policy=replace(one.policy, min_age=timedelta(days=1))) for one in story.desired.images
        ),
    )
    for day in (3, 4, 5):
        story.day(day)
        story.lock()
        assert story.admitted() == OLD.digest
    assert story.release().action is LockAction.RELEASED
    assert story.release().action is LockAction.NOTHING
    story.lock()
    assert story.admitted() == NEW.digest
    assert story.planned().wanted_digest == NEW.digest


def test_says_that_a_released_image_is_suspended_still(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.rollback()
    story.desired = replace(
        story.desired,
        images=tuple(
            replace(one, policy=replace(one.policy, suspend=Hold("a freeze"))) for one in story.desired.images
        ),
    )
    assert story.rollback().hold == WHY
    assert story.release().hold == "a freeze"


def test_the_hold_ends_on_its_day(tmp_path: Path) -> None:
    story = Story(tmp_path)
    assert story.rollback(until="2026-11-05").held_until == "2026-11-06T00:00:00+00:00"
    for day, expected in ((4.4, OLD), (4.6, NEW)):
        story.day(day)
        story.lock()
        assert story.admitted() == expected.digest


@SUBSETS
def test_goes_forward_again_by_digest(tmp_path: Path, subset: Subset) -> None:
    story = Story(tmp_path, subset)
    before = story.world.stored("one")
    story.rollback()
    story.seed()
    story.day(3)
    story.rollback(to=NEW.digest.short)
    story.seed()
    assert (story.world.stored("one"), story.requests()) == (before, [("put_manifest", "1")])


@pytest.mark.parametrize("name", ["one:1", "upstream.test/one:1"])
def test_takes_a_key_or_a_source(tmp_path: Path, name: str) -> None:
    assert Story(tmp_path).rollback(name).key == "one:1"


@pytest.mark.parametrize(
    ("name", "until", "words"),
    [
        ("on:1", None, "`one:1`"),
        ("*", None, "`one:1`"),
        ("one:1", "tomorrow", "neither a day"),
        ("one:1", "2026-13-01", "neither a day"),
        ("one:1", "2026-11-02", "over already"),
        ("one:1", "0d", "over already"),
    ],
)
def test_refuses_what_makes_no_sense(tmp_path: Path, name: str, until: str | None, words: str) -> None:
    with pytest.raises(UsageError) as refusal:
        Story(tmp_path).rollback(name, until=until)
    assert words in refusal.value.message


def test_asks_which_of_two_mirrors_of_a_source_is_meant(tmp_path: Path) -> None:
    story = Story(tmp_path)
    text = story.file.read_text()
    story.file.write_text(text + text.partition("images:\n")[2].replace("  one:1:", "  two:1:"))
    with pytest.raises(UsageError) as refusal:
        story.rollback("upstream.test/one:1")
    assert "`one:1`, `two:1`" in refusal.value.message


def test_needs_a_lock_and_the_source_of_the_manifest(tmp_path: Path) -> None:
    story = Story(tmp_path)
    other = Reference.parse("upstream.test/other:1")
    there = story.desired
    story.desired = replace(there, images=tuple(replace(one, source=other) for one in there.images))
    codes = []
    for has_lock in (True, False):
        if not has_lock:
            story.file.unlink()
        with pytest.raises(ToolkitError) as refusal:
            story.rollback()
        codes.append(refusal.value.code)
    assert codes == ["rollback.other_manifest", "lock.missing"]


def test_finds_an_image_of_a_selection_without_listing_its_tags(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.desired = replace(
        story.desired,
        images=(),
        selections=(DesiredSelection(UPSTREAM, "one", TagSelectionSpec(glob="*"), WHOLE, "images[0]", 0, False),),
    )
    assert story.rollback().action is LockAction.ROLLED_BACK
    assert story.world.registry.count("list_tags") == 0


# --- saved plans


@pytest.mark.parametrize("what", ["nothing", "lost", "another image", "made of another index"])
@SUBSETS
def test_a_saved_plan_moves_the_tag_to_what_was_reviewed_or_not_at_all(
    tmp_path: Path, subset: Subset, what: str
) -> None:
    story = Story(tmp_path, subset)
    story.world.state.add(repository_address("one"))
    store(story.world.registry, image([b"another"]), str(ECR))
    story.rollback()
    pinned = pin_images(story.desired, story.world.services)[0]
    planned = plan_manifest(story.desired, story.world.services)
    (one,) = planned.plan.seeds
    assert one.wanted_digest and one.stored_as
    before = story.world.stored("one")
    code = None
    if what == "lost":
        del story.world.registry.documents[ECR][one.wanted_digest]
        code = "plan.source_gone"
    elif what != "nothing":
        other = image([b"another"]).digest if what == "another image" else before
        planned = replace(planned, plan=replace(planned.plan, seeds=(replace(one, wanted_digest=other),)))
        code = "plan.misfit"

    def run() -> None:
        apply_saved(pinned, planned, story.world.services, review=lambda _: None, publish=lambda _: None)

    if code is None:
        run()
        assert story.world.stored("one") == one.wanted_digest
        return
    with pytest.raises(Refused) as refusal:
        run()
    assert (refusal.value.code, story.world.stored("one")) == (code, before)


# --- keepers


def test_keeps_the_image_that_a_tag_leaves_before_the_tag_moves(tmp_path: Path) -> None:
    story = Story(tmp_path, keeps=1, images=(OLD,))
    store(story.world.registry, NEW, f"{UPSTREAM}:1")
    story.lock()
    plan, _ = story.seed()
    keeper = keeper_tag("1", OLD.digest)
    assert plan.seeds[0].keeper == keeper
    tags = [subject for operation, subject in story.requests() if operation == "put_manifest" and ":" not in subject]
    assert tags == [keeper, "1"]
    assert story.world.registry.tags[ECR] == {"1": NEW.digest, keeper: OLD.digest}
    assert "image.left" not in [notice.code for notice in plan.notices]
    assert not story.seed()[0].has_changes


def test_keeps_without_a_lock_too_and_removes_no_keeper(tmp_path: Path) -> None:
    world = World(tmp_path, ("one",))
    world.create("one")
    wanted = replace(desired("one"), keep_previous=1)
    made = [image([content]) for content in (b"1", b"2", b"3")]
    for each in made:
        store(world.registry, each, f"{UPSTREAM}:1")
        seed(wanted, world.services, review=lambda _: None, publish=lambda _: None)
    assert world.registry.tags[ECR] == {
        "1": made[2].digest,
        keeper_tag("1", made[0].digest): made[0].digest,
        keeper_tag("1", made[1].digest): made[1].digest,
    }


@pytest.mark.parametrize("at", [0, 1], ids=["before the keeper", "between the keeper and the tag"])
def test_the_next_run_ends_what_one_left_half_done(tmp_path: Path, at: int) -> None:
    story = Story(tmp_path, keeps=1, images=(OLD,))
    store(story.world.registry, NEW, f"{UPSTREAM}:1")
    story.lock()
    keeper = keeper_tag("1", OLD.digest)
    stops = [keeper, "1"][at]

    def fault(call: Call) -> Fault | None:
        is_it = call.operation == "put_manifest" and call.subject == stops
        return RegistryError("no", status=400, host=HOST) if is_it else None

    story.world.registry.faults = fault
    with pytest.raises(SeedingIncomplete):
        story.seed()
    assert story.world.stored("one") == OLD.digest
    assert (keeper in story.world.registry.tags[ECR]) is bool(at)
    story.world.registry.faults = lambda call: None
    plan, _ = story.seed()
    assert plan.seeds[0].keeper == (None if at else keeper)
    assert story.world.registry.tags[ECR] == {"1": NEW.digest, keeper: OLD.digest}


def test_keeps_nothing_for_a_new_tag_or_an_image_that_stays(tmp_path: Path) -> None:
    story = Story(tmp_path, keeps=1, images=(OLD,))
    assert list(story.world.registry.tags[ECR]) == ["1"]


# --- what a plan reads in ECR, which records it as a pull


def test_reads_no_other_image_when_the_lock_goes_forward_to_a_new_one(tmp_path: Path) -> None:
    story = Story(tmp_path, Subset((Platform("linux", "amd64"),)), keeps=1)
    newest = index(("linux/amd64", image([b"newest"])), ("linux/arm64", ARM64))
    store(story.world.registry, newest, f"{UPSTREAM}:1")
    story.lock()
    read: list[str] = []
    ecr = story.world.services.ecr

    class Watched:
        def __getattr__(self, name: str) -> object:
            if name in ("untagged_indexes", "documents"):
                read.append(name)
            return getattr(ecr, name)

    services = story.world.services
    observer = Observer(PullLimits(story.world.registry), Watched(), services.emit, cache=DocumentCache())  # type: ignore[arg-type]
    story.world.services = replace(services, observer=observer)
    assert story.planned().stored_as is None
    assert read == []
    story.day(3)
    story.seed()
    story.rollback()
    story.day(4)
    story.seed()
    story.release()
    story.lock()
    story.day(5)
    assert story.planned().stored_as == keeper_tag("1", made_of(story, newest.digest))


def made_of(story: Story, source: Digest) -> Digest:
    """The filtered index in ECR that was made from an upstream one."""
    return next(
        digest
        for digest, one in story.world.registry.documents[ECR].items()
        if (read_provenance(one.raw) or (None,))[0] == source
    )
