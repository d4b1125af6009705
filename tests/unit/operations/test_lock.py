"""What `toolkit lock` asks, admits and writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.fake_services import HOST, Signatures, World
from tests.support.fake_services import desired as listing
from tests.support.made_images import image, index, store
from tests.support.memory_registry import Call, Fault
from toolkit.errors import Refused, UsageError
from toolkit.lock.model import Bypass, Freshness, Hold, LockedTag, Policy, Verification
from toolkit.lock.text import read_lock
from toolkit.manifest.tag_selection import TagSelectionSpec
from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.errors import ConnectionFailed, OciError
from toolkit.oci.reference import Repository
from toolkit.oci.subset import WHOLE, Subset
from toolkit.operations.lock import lock
from toolkit.operations.seed import seed
from toolkit.plan.desired import Desired, DesiredSelection
from toolkit.report import LockAction, LockChanges, LockedImage

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
THREE_DAYS = Policy(min_age=timedelta(days=3))


class Days:
    """A world whose clock stands at noon of a day, with a lock in a file."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.world = World(folder, names)
        self.file = folder / "images.lock.yaml"

    def run(
        self, desired: Desired, day: float = 0, *only: str, upgrades: bool = False, dry: bool = False
    ) -> LockChanges:
        self.world.now = START + timedelta(days=day)
        shown: list[LockChanges] = []
        lock(desired, self.world.services, publish=shown.append, only=only, upgrades=upgrades, is_dry=dry)
        return shown[0]

    def move(self, name: str, content: str, tag: str = "1") -> Digest:
        """Upstream's tag gets another image."""
        made = image([content.encode()])
        store(self.world.registry, made, f"upstream.test/{name}:{tag}")
        return made.digest

    def upstream(self, name: str) -> Digest:
        return self.world.registry.tags[Repository("upstream.test", name)]["1"]

    def entry(self, name: str) -> LockedTag:
        return read_lock(self.file.read_text(), "lock")[f"{name}:1"]

    def admitted(self, name: str) -> Digest | None:
        found = self.entry(name).admitted
        return found.digest if found else None


@pytest.fixture
def days(tmp_path: Path) -> Days:
    return Days(tmp_path, "one", "two")


def wanted(*names: str, policy: Policy = Policy()) -> Desired:  # noqa: B008  it is frozen
    made = listing(*names)
    return replace(made, images=tuple(replace(image, policy=policy) for image in made.images))


def line(changes: LockChanges, key: str = "one:1") -> LockedImage:
    return next(image for image in changes.images if image.key == key)


def test_admits_what_upstream_has_by_free_requests_and_writes_it(days: Days) -> None:
    changes = days.run(wanted("one", "two"))
    assert (days.admitted("one"), days.admitted("two")) == (days.upstream("one"), days.upstream("two"))
    assert [image.action for image in changes.images] == [LockAction.ADMITTED] * 2
    assert changes.is_written
    assert days.world.registry.count("get_manifest") == days.world.registry.count("get_blob") == 0
    assert days.world.registry.count("head_manifest", "upstream.test") == 4  # by tag, then by digest


def test_leaves_the_file_alone_on_a_day_without_news(days: Days) -> None:
    days.run(wanted("one", "two"))
    before = days.file.stat()
    changes = days.run(wanted("one", "two"), 1)
    assert days.file.stat() == before
    assert not changes.is_written
    assert {image.action for image in changes.images} == {LockAction.NOTHING}
    assert days.world.registry.count("head_manifest", "upstream.test") == 4 + 2


def test_trails_a_tag_that_moves_daily_by_its_minimum_age(days: Days) -> None:
    moved = [days.move("one", f"day {0}")]
    days.run(wanted("one", policy=THREE_DAYS))
    for day in range(1, 8):
        moved.append(days.move("one", f"day {day}"))
        changes = days.run(wanted("one", policy=THREE_DAYS), day)
        assert days.admitted("one") == (moved[day - 3] if day >= 3 else None)
    assert line(changes).age == 3 * 86400
    assert [one.seconds_left for one in line(changes).candidates] == [86400, 2 * 86400, 3 * 86400]
    assert line(changes).previous == 4


def test_begins_with_what_ecr_has_when_the_lock_is_lost(days: Days) -> None:
    there = days.upstream("one")
    days.world.create("one")
    days.world.create("two")
    run_seed(days, wanted("one"))
    newer = days.move("one", "newer")
    changes = days.run(wanted("one", "two"))
    assert days.admitted("one") == there
    assert [one.digest for one in days.entry("one").candidates] == [newer]
    assert (line(changes).action, line(changes).new_digest) == (LockAction.BEGUN, str(there))
    assert days.admitted("two") == days.upstream("two")
    days.run(wanted("one"), 0.1)
    assert days.admitted("one") == newer


def run_seed(days: Days, desired: Desired) -> None:
    seed(desired, days.world.services, review=lambda _: None, publish=lambda _: None)


def test_begins_with_the_origin_of_a_filtered_index(days: Days) -> None:
    both = index(("linux/amd64", image([b"amd"])), ("linux/arm64", image([b"arm"], "linux/arm64")))
    store(days.world.registry, both, "upstream.test/one:1")
    made = wanted("one")
    made = replace(made, images=(replace(made.images[0], subset=Subset((Platform("linux", "amd64"),))),))
    days.world.create("one")
    run_seed(days, made)
    assert days.world.stored("one") != both.digest
    days.run(made)
    assert days.admitted("one") == both.digest


def test_asks_ecr_about_no_tag_that_is_in_the_lock(days: Days) -> None:
    days.run(wanted("one"))
    days.world.ecr_refuses = Refused("aws.unreachable", "no")
    days.world.create("one")
    days.world.create("two")
    days.run(wanted("one"), 1)
    with pytest.raises(Refused, match="no"):
        days.run(wanted("one", "two"), 2)


def test_begins_with_nothing_of_another_account(days: Days) -> None:
    with pytest.raises(Refused, match="the manifest is for `210987654321`"):
        days.run(replace(wanted("one"), account_id="210987654321"))


@pytest.mark.parametrize("is_gone", [True, False])
def test_keeps_an_entry_whose_source_is_gone_or_silent(days: Days, is_gone: bool) -> None:
    days.run(wanted("one", "two"))
    before = days.entry("one")
    if is_gone:
        del days.world.registry.tags[Repository("upstream.test", "one")]["1"]
    else:
        days.world.registry.faults = silent("one")
    days.move("two", "newer")
    changes = days.run(wanted("one", "two"), 1)
    assert replace(days.entry("one"), gone=None) == before
    assert bool(days.entry("one").gone) == is_gone
    assert line(changes).action is (LockAction.SEEN if is_gone else LockAction.NOTHING)
    assert line(changes).fault == ("source.missing" if is_gone else "source.unreachable")
    assert line(changes, "two:1").action is LockAction.ADMITTED
    if is_gone:
        assert line(changes).reasons == (
            "`upstream.test/one:1` does not exist upstream",
            "hint: check its name and tag at the registry",
        )


def silent(name: str, target: str = "") -> Callable[[Call], Fault | None]:
    def faults(call: Call) -> Fault | None:
        is_asked = call.repository.path == name and call.repository.registry != HOST and target in call.subject
        return ConnectionFailed("`upstream.test` does not respond", host="upstream.test") if is_asked else None

    return faults


def test_begins_with_what_ecr_has_although_the_source_is_gone(days: Days) -> None:
    there = days.upstream("one")
    days.world.create("one")
    run_seed(days, wanted("one"))
    del days.world.registry.tags[Repository("upstream.test", "one")]["1"]
    found = line(days.run(wanted("one", policy=Policy(verify=Verification("the key")))))
    assert (found.action, found.new_digest, found.fault) == (LockAction.BEGUN, str(there), "source.missing")
    assert "its signature was not read" in found.reasons[-1]


def test_makes_no_entry_of_a_new_image_whose_source_is_gone(days: Days) -> None:
    """A later run could not begin with what ECR has."""
    del days.world.registry.tags[Repository("upstream.test", "one")]["1"]
    changes = days.run(wanted("one", "two"))
    assert line(changes).fault == "source.missing"
    assert list(read_lock(days.file.read_text(), "lock")) == ["two:1"]


def test_falls_back_to_an_older_digest_if_the_newest_is_gone_and_waits_if_it_cannot_be_asked_for(days: Days) -> None:
    older = days.upstream("one")
    days.run(wanted("one", policy=THREE_DAYS))
    newer = days.move("one", "newer")
    days.run(wanted("one", policy=THREE_DAYS), 1)
    days.world.registry.faults = silent("one", "sha256:")
    changes = days.run(wanted("one", policy=THREE_DAYS), 4.5)
    assert days.admitted("one") is None
    assert len(line(changes).candidates) == 2
    assert all("waits: `upstream.test` does not respond" in reason for reason in line(changes).reasons)
    days.world.registry.faults = lambda _: None
    del days.world.registry.documents[Repository("upstream.test", "one")][newer]
    del days.world.registry.tags[Repository("upstream.test", "one")]["1"]
    changes = days.run(wanted("one", policy=THREE_DAYS), 5)
    assert days.admitted("one") == older
    assert f"`{newer.short}` is gone at the source" in line(changes).reasons


def test_stops_asking_at_the_first_digest_that_can_be_admitted(days: Days) -> None:
    for number in range(4):
        days.move("one", f"number {number}")
        days.run(wanted("one", policy=replace(THREE_DAYS, suspend=Hold("wait", START + timedelta(days=9)))), number)
    asked = days.world.registry.count("head_manifest", "upstream.test")
    days.run(wanted("one", policy=THREE_DAYS), 10)
    assert days.world.registry.count("head_manifest", "upstream.test") == asked + 2


def test_removes_entries_that_the_manifest_no_longer_takes_from_the_lock(days: Days) -> None:
    days.run(wanted("one", "two"))
    changes = days.run(wanted("one"), 1)
    assert (line(changes, "two:1").action, line(changes, "two:1").old_digest) == (
        LockAction.REMOVED,
        str(days.upstream("two")),
    )
    assert not changes.moves
    pinned = wanted("one")
    source = pinned.images[0].source.with_digest(days.upstream("one"))
    days.run(replace(pinned, images=(replace(pinned.images[0], source=source),)), 2)
    assert "one:1" not in days.file.read_text()


def test_keeps_the_entries_that_a_pattern_leaves_out(days: Days) -> None:
    days.run(wanted("one", "two"))
    older = days.admitted("two")
    newer = days.move("one", "newer"), days.move("two", "newer")
    days.run(wanted("one", "two"), 1, "*/one:*")
    assert (days.admitted("one"), days.admitted("two")) == (newer[0], older)
    with pytest.raises(UsageError, match=r"`three` matches no image; there are `one:1`"):
        days.run(wanted("one"), 1, "three")


def test_keeps_the_entries_of_a_selection_whose_tags_cannot_be_listed(days: Days) -> None:
    days.world.create("one")
    days.world.create("two")
    upstream = Repository("upstream.test", "one")
    days.world.registry.tags[upstream]["2"] = days.upstream("one")
    tags = TagSelectionSpec.model_validate({"glob": "*"})
    selecting = replace(
        wanted("one", "two"),
        images=wanted("two").images,
        selections=(DesiredSelection(upstream, "one", tags, WHOLE, "x", 1, False),),
    )
    days.run(selecting)
    assert sorted(read_lock(days.file.read_text(), "lock")) == ["one:1", "one:2", "two:1"]
    before = days.file.read_text()
    days.world.registry.faults = silent("one")
    changes = days.run(replace(selecting, images=()), 1)
    assert [(image.key, image.action) for image in changes.images] == [("two:1", LockAction.REMOVED)]
    assert [notice.code for notice in changes.notices] == ["source.unreachable"]
    assert "one:2" in days.file.read_text() != before
    days.world.registry.faults = lambda _: None
    del days.world.registry.tags[upstream]["2"]
    days.run(selecting, 2)
    assert sorted(read_lock(days.file.read_text(), "lock")) == ["one:1", "two:1"]


def test_moves_pinned_images_only_in_an_upgrade_and_only_those_that_are_named(days: Days) -> None:
    pinned = wanted("one", "two", policy=Policy(Freshness.PIN))
    days.run(pinned)
    older = days.admitted("one"), days.admitted("two")
    newer = days.move("one", "newer"), days.move("two", "newer")
    changes = days.run(pinned, 1)
    assert (days.admitted("one"), days.admitted("two")) == older
    assert line(changes).reasons == ("`freshness: pin` moves only with `--upgrade`",)
    days.run(pinned, 2, "one:*", upgrades=True)
    assert (days.admitted("one"), days.admitted("two")) == (newer[0], older[1])


def test_writes_nothing_in_a_dry_run_and_knows_what_would_move(days: Days) -> None:
    assert days.run(wanted("one"), dry=True).moves
    assert not days.file.exists()
    days.run(wanted("one", policy=THREE_DAYS))
    assert not days.run(wanted("one", policy=THREE_DAYS), 1, dry=True).moves
    days.move("one", "newer")
    seen = days.run(wanted("one", policy=THREE_DAYS), 2, dry=True)
    assert (line(seen).action, seen.moves) == (LockAction.SEEN, False)
    assert days.run(wanted("one", policy=THREE_DAYS), 3, dry=True).moves
    assert days.admitted("one") is None


def test_refuses_to_overwrite_what_another_run_has_written(days: Days) -> None:
    days.run(wanted("one", "two"))
    days.move("one", "newer")
    meanwhile: list[str] = []

    def other_run(call: Call) -> Fault | None:
        if not meanwhile:
            meanwhile.append(days.file.read_text().replace("images:", "images:  # by another"))
            days.file.write_text(meanwhile[0])
        return None

    days.world.registry.faults = other_run
    with pytest.raises(Refused) as refused:
        days.run(wanted("one", "two"), 1)
    assert refused.value.code == "lock.changed_meanwhile"
    assert days.file.read_text() == meanwhile[0]


def test_says_what_moved_and_why_another_source_starts_anew(days: Days) -> None:
    days.run(wanted("one"))
    changed = wanted("one")
    two = replace(changed.images[0], source=wanted("two").images[0].source)
    changes = days.run(replace(changed, images=(two,)), 1)
    assert line(changes).reasons[0] == "its source was `upstream.test/one:1`"
    assert (line(changes).old_digest, line(changes).new_digest) == (None, str(days.upstream("two")))
    assert changes.moves


def test_shows_each_bypass_and_what_to_do_about_a_new_image(days: Days) -> None:
    bypass = Bypass(days.upstream("one"), "CVE-1")
    made = wanted("one", "two", policy=THREE_DAYS)
    made = replace(made, images=(replace(made.images[0], policy=replace(THREE_DAYS, bypass=bypass)), made.images[1]))
    first = days.run(made)
    assert days.admitted("one") == days.upstream("one")
    assert [notice.code for notice in first.notices] == ["lock.bypassed", "lock.new_image_waits"]
    assert first.notices[0].message == f"`one:1`: `{bypass.digest.short}` need not be 3d old: CVE-1"
    assert "`two:1`" in first.notices[1].message
    assert [notice.code for notice in days.run(made, 1).notices] == ["lock.bypassed"]


def test_tells_holds_their_end_and_the_builds(days: Days) -> None:
    made = wanted("one", policy=replace(THREE_DAYS, suspend=Hold("broken on arm", START + timedelta(days=9))))
    shown = line(days.run(made))
    assert (shown.hold, shown.held_until) == ("broken on arm", "2026-11-10T12:00:00+00:00")
    assert shown.reasons == ("it is suspended until 2026-11-10 12:00: broken on arm",)


def test_admits_no_digest_whose_signature_is_bad_and_none_while_it_cannot_be_read(days: Days) -> None:
    signed = wanted("one", policy=replace(THREE_DAYS, verify=Verification("the key")))
    older = days.upstream("one")
    days.run(signed)
    newer = days.move("one", "newer")
    days.run(signed, 1)
    verifier = Signatures()
    days.world.services = replace(days.world.services, verifier=verifier)
    verifier.faults = {newer: "no signature is by the key", older: OciError("`upstream.test` does not respond")}
    changes = days.run(signed, 5)
    assert days.admitted("one") is None
    assert line(changes).reasons == (
        f"`{newer.short}` is not admitted: no signature is by the key",
        f"`{older.short}` waits: its signature cannot be read: `upstream.test` does not respond",
    )
    assert (changes.signatures, line(changes).is_unverified) == (2, True)
    verifier.faults.pop(older)
    days.run(signed, 6)
    assert days.admitted("one") == older
    verifier.reads = 0
    assert days.run(signed, 7).signatures == 1  # the bad one again: it may be signed later
