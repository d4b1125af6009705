"""Thirty days of a mirror, told day by day: at six the publishers move their tags, at noon `lock` and `seed` run.

The operations are the real ones, and the registries are those in memory, which the contract suite holds to real ones.
The clock is the story's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.fake_services import HOST, World
from tests.support.made_images import MadeImage, image, index, store
from tests.support.signing import Key, public, simple_signing, tagged
from toolkit.errors import Refused
from toolkit.lock.model import Lock
from toolkit.lock.stored import Stored
from toolkit.lock.text import read_lock
from toolkit.manifest.loader import loads
from toolkit.oci.digest import Digest
from toolkit.oci.filtered_index import read_provenance
from toolkit.oci.reference import Repository
from toolkit.operations.lock import lock
from toolkit.operations.lock_store import LockStore
from toolkit.operations.rollback import rollback
from toolkit.operations.seed import seed
from toolkit.operations.status import status
from toolkit.plan.resolve import resolve
from toolkit.plan.status import ImageStatus, StatusReport
from toolkit.report import LockAction, LockChanges, LockedImage

NAMES = ("daily", "calm", "leaves", "signed", "rolled", "both", "pinned")
MANIFEST = """\
version: 1
name: shop
aws: {region: eu-west-1}
repositories: {keep_previous: 2}
min_age: 3d
images:
  - upstream.test/daily:1
  - upstream.test/calm:1
  - upstream.test/leaves:1
  - {source: upstream.test/signed:1, verify: {key: PUBLIC}}
  - upstream.test/rolled:1
  - {source: upstream.test/both:1, platforms: [linux/amd64]}
  - {source: upstream.test/pinned:1, freshness: pin}
"""
DAYS = 30
# What `status` says at the end of each day: behind, cooling, fine, gone, held, pinned.
STATES = {
    "daily": "cccccccccccccccccccccccccc" "ffff",
    "calm": "ccc" "fffffffffffffffffffffffffff",
    "leaves": "ccc" "fffffff" "gggggggggggggggggggg",
    "signed": "ccc" "fff" "ccc" "bbbbbb" "fffffffffffffff",
    "rolled": "ccc" "ff" "ccc" "f" "hhhhhhhhh" "ffffffffffff",
    "both": "ccc" "ffff" "ccc" "ffffffffffffffffffff",
    "pinned": "ccc" "ffff" "pppppppp" "fffffffffffffff",
}  # fmt: skip
START = datetime(2026, 11, 1, 12, tzinfo=UTC)


class Mirror:
    """The world, the manifest, and what upstream has had on each day."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder, NAMES)
        self.key, self.other_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self.desired = resolve(loads(MANIFEST.replace("PUBLIC", json.dumps(public(self.key))), "images.yaml"))
        for repository in self.desired.repositories:
            self.world.create(repository.name)
        self.keys = {image.source.repository: image.key for image in self.desired.images}
        self.file = folder / "images.lock.yaml"
        self.upstream: dict[str, list[Digest]] = {name: [] for name in NAMES}
        self.day = -1

    def publish(self, name: str, made: MadeImage) -> Digest:
        store(self.world.registry, made, f"upstream.test/{name}:1")
        return made.digest

    def publish_signed(self, made: MadeImage, key: Key) -> None:
        self.publish("signed", made)
        tag, signature = tagged(made, ".sig", simple_signing(key, made.digest))
        store(self.world.registry, signature, f"upstream.test/signed:{tag}")

    def vanish(self, name: str) -> None:
        repository = Repository("upstream.test", name)
        self.world.registry.tags[repository].clear()
        self.world.registry.documents[repository].clear()

    def noon(self) -> None:
        """The next day, at noon."""
        self.day += 1
        self.world.now = START + timedelta(days=self.day)
        for name in NAMES:
            tag = self.world.registry.tags[Repository("upstream.test", name)].get("1")
            self.upstream[name].append(tag or self.upstream[name][-1])

    def lock(self, *only: str, upgrades: bool = False, store: LockStore | None = None) -> dict[str, LockedImage]:
        shown: list[LockChanges] = []
        services = replace(self.world.services, lock=store) if store else self.world.services
        lock(self.desired, services, publish=shown.append, only=only, upgrades=upgrades)
        names = {key: name for name, key in self.keys.items()}
        return {names[image.key]: image for image in shown[0].images}

    def seed(self) -> None:
        seed(self.desired, self.world.services, review=lambda _: None, publish=lambda _: None)

    def status(self) -> dict[str, ImageStatus]:
        shown: list[StatusReport] = []
        status(self.desired, self.world.services, publish=shown.append)
        names = {key: name for name, key in self.keys.items()}
        return {names[image.key]: image for image in shown[0].images}

    @property
    def locked(self) -> Lock:
        return read_lock(self.file.read_text(), "the lock")

    def admitted(self, name: str) -> Digest | None:
        found = self.locked[self.keys[name]].admitted
        return found.digest if found else None

    def in_ecr(self, name: str) -> Digest | None:
        """The upstream digest that ECR's tag stands for."""
        repository = Repository(HOST, self.keys[name].partition(":")[0])
        digest = self.world.registry.tags[repository].get("1")
        if digest is None:
            return None
        made_from = read_provenance(self.world.registry.documents[repository][digest].raw)
        return made_from[0] if made_from else digest

    @property
    def pulls(self) -> int:
        """What upstream would count."""
        return self.world.registry.count("get_manifest", "upstream.test")


class Contended:
    """A lock that another run writes just before this one does."""

    def __init__(self, store: LockStore, other_run: Callable[[], object]) -> None:
        self._store = store
        self._other_run = other_run
        self.name = store.name

    def read(self) -> Stored | None:
        return self._store.read()

    def write(self, text: str, read: Stored | None) -> Stored:
        self._other_run()
        return self._store.write(text, read)


def indexed(note: str) -> MadeImage:
    return index(
        ("linux/amd64", image([note.encode()])), ("linux/arm64", image([note.encode()], "linux/arm64")), note=note
    )


def test_stays_fresh_admitted_and_reversible_for_thirty_days(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path)
    mirror.publish("both", indexed("first"))
    mirror.publish_signed(image([b"signed"]), mirror.key)
    quiet_days = 0
    states = dict.fromkeys(NAMES, "")
    bad = good = Digest.of(b"")
    while mirror.day < DAYS - 1:
        day = mirror.day + 1
        # Six o'clock, at the publishers'.
        if day < 24:
            mirror.publish("daily", image([f"daily {day}".encode()]))
        if day == 5:
            bad = mirror.publish("rolled", image([b"bad"]))
        if day == 6:
            mirror.publish_signed(image([b"of somebody else"]), mirror.other_key)
        if day == 7:
            mirror.publish("both", indexed("second"))
            mirror.publish("pinned", image([b"newer"]))
        if day == 10:
            mirror.vanish("leaves")
        if day == 12:
            mirror.publish_signed(image([b"of its publisher"]), mirror.key)
        if day == 14:
            good = mirror.publish("rolled", image([b"good"]))

        # Noon, here.
        before, pulls = {name: mirror.in_ecr(name) for name in NAMES}, mirror.pulls
        mirror.noon()
        if day == 20:
            mirror.file.unlink()
        if day == 16:
            with pytest.raises(Refused, match="was changed by another run"):
                mirror.lock(store=Contended(mirror.world.services.lock, mirror.lock))
            assert mirror.admitted("daily") == mirror.upstream["daily"][13]  # as the other run has written
        found = mirror.lock(*(["*/pinned:*"] if day == 15 else []), upgrades=day == 15)
        if day == 15:
            found |= mirror.lock()
        signatures = day in (3, 9, 15)  # each is read once
        assert mirror.pulls == pulls + signatures
        text = mirror.file.read_text()
        mirror.seed()
        assert mirror.file.read_text() == text
        if day == 9:
            assert mirror.in_ecr("rolled") == bad
            pulls_before = mirror.pulls
            rollback(
                mirror.desired,
                mirror.world.services,
                mirror.keys["rolled"],
                publish=lambda _: None,
                reason="crashes",
                until="9d",
            )
            mirror.seed()
            assert mirror.pulls == pulls_before

        # What holds on every day.
        for name in NAMES:
            assert mirror.in_ecr(name) == mirror.admitted(name), (day, name)
        if before == {name: mirror.in_ecr(name) for name in NAMES}:
            assert mirror.pulls == pulls + signatures, "a day on which nothing moves costs no pull"
            quiet_days += 1

        pulls = mirror.pulls
        for name, one in mirror.status().items():
            states[name] += one.state.value[0]
        assert mirror.pulls == pulls, "a status costs no pull"

        # Trails by three days.
        if day < 3:
            assert not any(mirror.admitted(name) for name in NAMES)
        elif not 20 <= day < 23:
            assert mirror.admitted("daily") == mirror.upstream["daily"][day - 3]
            assert mirror.admitted("both") == mirror.upstream["both"][day - 3]
        # Stays, whatever happened upstream.
        if day >= 3:
            assert mirror.admitted("calm") == mirror.upstream["calm"][0]
            assert mirror.admitted("leaves") == mirror.upstream["leaves"][0]
            assert found["leaves"].fault == ("source.missing" if day >= 10 else None)
            assert mirror.admitted("pinned") == mirror.upstream["pinned"][0 if day < 15 else 7]
            assert mirror.admitted("signed") == mirror.upstream["signed"][0 if day < 15 else 12]
        if 9 <= day < 12:
            assert "is not admitted: " in found["signed"].reasons[0], found["signed"].reasons
        # Goes back, is held, and moves on when the hold ends.
        if 8 <= day < 18:
            assert mirror.admitted("rolled") == (bad if day == 8 else mirror.upstream["rolled"][0])
            assert found["rolled"].hold == ("crashes" if day > 9 else None)
        elif day >= 18:
            assert mirror.admitted("rolled") == good
        # Nothing moves on the day of the loss, and everything counts as young.
        if day == 20:
            assert {image.action for image in found.values()} == {LockAction.BEGUN}
            assert {name: mirror.in_ecr(name) for name in NAMES} == before
        if 20 <= day < 23:
            assert mirror.admitted("daily") == before["daily"] == mirror.upstream["daily"][16]
    assert states == STATES
    assert quiet_days == 9  # three at the beginning, three after the loss, three at the end
    # 21 digests of `daily`, 9 of the other images, two indexes with one child each, and 3 signatures; none for the
    # rollback and the loss.
    assert mirror.pulls == 21 + 9 + 2 * 2 + 3
