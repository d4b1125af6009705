"""Copying pairs with what upstream keeps beside them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.support.made_images import image, index, referrer, store, whole
from tests.support.memory_registry import MemoryRegistry
from toolkit.errors import SeedingIncomplete
from toolkit.events import Emit, Event, ImageFailed
from toolkit.oci.client import ManifestHead
from toolkit.oci.companions import cosign_tags, referrers_tag
from toolkit.oci.copy import Target
from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.errors import ConnectionFailed
from toolkit.oci.layout import Layouts
from toolkit.oci.layout_reference import LAYOUTS, LayoutReference
from toolkit.oci.reference import Reference
from toolkit.oci.subset import Subset
from toolkit.operations.copy import Pair, Selection, copy
from toolkit.report import Report, SeedStatus
from toolkit.seed.observe import Observer
from toolkit.seed.seeder import Seeder

SOURCE, TARGET = Reference.parse("source.test/a:1"), Reference.parse("target.test/b:1")
AMD64, ARM64 = image([b"amd64"]), image([b"arm64"], "linux/arm64")
INDEX = index(("linux/amd64", AMD64), ("linux/arm64", ARM64))
SIGNATURE = image([b"signature"])


def copied(
    registry: MemoryRegistry,
    *pairs: Pair,
    keeps_signatures: bool = True,
    platforms: tuple[Platform, ...] | None = None,
    emit: Emit = lambda event: None,
    target: Target | None = None,
) -> dict[str, SeedStatus]:
    """How each tag ended, in order."""
    reports: list[Report] = []
    cache = DocumentCache()
    copy(
        pairs or [Pair(SOURCE, TARGET)],
        Selection(Subset(platforms), keeps_signatures=keeps_signatures),
        Observer(registry, None, lambda event: None, cache=cache),
        Seeder(registry, target or registry, emit, cache=cache),
        emit,
        publish=reports.append,
    )
    return {outcome.key.rpartition(":")[2]: outcome.status for outcome in reports[0].outcomes}


def signed_registry() -> MemoryRegistry:
    """An index whose image for amd64 has a signature and a referrer."""
    registry = MemoryRegistry()
    store(registry, INDEX, str(SOURCE))
    store(registry, SIGNATURE, f"{SOURCE.name}:{cosign_tags(AMD64.digest)[0]}")
    store(registry, referrer(AMD64, b"sbom"), str(SOURCE.name))
    return registry


SIGNED = dict.fromkeys(("1", cosign_tags(AMD64.digest)[0], referrers_tag(AMD64.digest)))


@pytest.mark.parametrize("platforms", [None, (Platform("linux", "amd64"),)], ids=["all", "one"])
def test_signatures_and_referrers_go_with_their_image(platforms: tuple[Platform, ...] | None) -> None:
    registry = signed_registry()
    assert copied(registry, platforms=platforms) == dict.fromkeys(SIGNED, SeedStatus.COPIED)
    assert all(whole(registry, TARGET.name.with_tag(tag)) for tag in SIGNED)
    assert copied(registry, platforms=platforms) == dict.fromkeys(SIGNED, SeedStatus.UNCHANGED)


def test_signatures_of_another_platform_stay_behind() -> None:
    assert copied(signed_registry(), platforms=(Platform("linux", "arm64"),)) == {"1": SeedStatus.COPIED}


def test_signatures_stay_behind_unless_they_are_asked_for() -> None:
    registry = signed_registry()
    assert copied(registry, keeps_signatures=False) == {"1": SeedStatus.COPIED}
    assert registry.count("list_referrers") == 0


def test_a_signature_of_two_tags_is_copied_once() -> None:
    registry = signed_registry()
    second = Pair(SOURCE, TARGET.name.with_tag("2"))
    assert copied(registry, Pair(SOURCE, TARGET), second) == dict.fromkeys(("1", "2", *SIGNED), SeedStatus.COPIED)


def test_a_signature_that_cannot_be_looked_for_is_told_and_the_image_copied() -> None:
    registry = signed_registry()
    registry.faults = lambda call: (
        ConnectionFailed("no answer", host="source.test") if call.operation == "list_referrers" else None
    )
    with pytest.raises(SeedingIncomplete):
        copied(registry)
    assert whole(registry, TARGET)


def test_an_image_without_a_source_is_told_as_it_is_found() -> None:
    events: list[Event] = []
    registry = signed_registry()
    with pytest.raises(SeedingIncomplete):
        copied(registry, Pair(SOURCE.name.with_tag("none"), TARGET), emit=events.append)
    (failed,) = [event for event in events if isinstance(event, ImageFailed)]
    assert (failed.image, failed.code) == (str(TARGET), "source.missing")


def test_a_layer_that_is_cut_off_in_a_layout_is_named(tmp_path: Path) -> None:
    events: list[Event] = []
    registry = MemoryRegistry()
    store(registry, INDEX, str(SOURCE))
    carried = Pair(SOURCE, LayoutReference(LAYOUTS, str(tmp_path), tag="a"))
    copied(registry, carried, target=Layouts(hides_partial=True))
    layer = tmp_path / "blobs" / "sha256" / Digest.of(b"arm64").hex
    layer.write_bytes(b"arm")
    with pytest.raises(SeedingIncomplete):
        copied(registry, carried, target=Layouts(hides_partial=True), emit=events.append)
    (failed,) = [event for event in events if isinstance(event, ImageFailed)]
    assert failed.code == "destination.layout_unusable"
    assert (f"`{layer}` has 3 bytes, not 5" in failed.message, failed.hint) == (True, "delete it and run again")
    layer.unlink()
    assert copied(registry, carried, target=Layouts(hides_partial=True)) == {"a": SeedStatus.COPIED}
    assert layer.read_bytes() == b"arm64"


class _SourceAfterDestination(MemoryRegistry):
    """Says what the source has when it has been asked for what the destination has."""

    looked = threading.Event()

    def head_manifest(self, ref: Reference) -> ManifestHead | None:
        if ref.name == TARGET.name:
            self.looked.set()
        else:
            assert self.looked.wait(30)
        return super().head_manifest(ref)


def test_a_destination_is_looked_at_while_its_source_still_is() -> None:
    registry = _SourceAfterDestination()
    store(registry, INDEX, str(SOURCE))
    assert copied(registry, keeps_signatures=False) == {"1": SeedStatus.COPIED}
