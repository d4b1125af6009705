"""What a run does where something fails: the rest goes on, what passes is tried again."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from tests.support.made_images import image, index, whole
from tests.support.memory_registry import Call, Cut, Fault, Garbled, MemoryRegistry
from tests.support.seeding import TARGET, both_job_counts, request, seeded, statuses
from toolkit.events import Event, ImageFailed
from toolkit.oci.copy import CopyRequest
from toolkit.oci.documents import Document
from toolkit.oci.errors import ConnectionFailed, Denied, NotFound, OciError
from toolkit.oci.media_types import OCI_INDEX
from toolkit.oci.reference import Reference
from toolkit.report import SeedStatus
from toolkit.seed.retry_policy import RetryPolicy
from toolkit.seed.seeder import Seeder


@both_job_counts
def test_copies_the_others_after_a_failure(jobs: int) -> None:
    registry = MemoryRegistry()
    good = [request(registry, image([b"base", b"%d" % n]), f"lib/image{n}:v1") for n in range(4)]
    lost = CopyRequest("lost:v1", good[0].source.with_digest(image([b"x"]).digest), Reference.parse(f"{TARGET}/l:v1"))
    events: list[Event] = []
    outcomes = seeded(registry, [good[0], lost, *good[1:]], jobs=jobs, events=events)
    assert statuses(outcomes) == [SeedStatus.COPIED, SeedStatus.FAILED] + [SeedStatus.COPIED] * 3
    assert outcomes[1].error_code == "source.missing"
    assert outcomes[1].error_message is not None
    assert outcomes[1].hint is not None
    assert [e.image for e in events if isinstance(e, ImageFailed)] == ["lost:v1"]


def test_asks_nothing_more_for_an_image_that_has_failed() -> None:
    registry = MemoryRegistry(
        lambda call: Denied("no", status=403, host=TARGET) if call.operation == "begin_upload" else None
    )
    wanted = request(registry, image([b"%d" % n for n in range(9)]), "lib/a:v1", is_new=True)
    assert statuses(seeded(registry, [wanted], jobs=1)) == [SeedStatus.FAILED]
    assert registry.count("begin_upload") == 1


@both_job_counts
def test_takes_a_blob_over_after_a_failure(jobs: int) -> None:
    denied = Reference.parse(f"{TARGET}/lib/image0:v1").name

    def faults(call: Call) -> Fault | None:
        if call.operation == "begin_upload" and call.repository == denied:
            return Denied("no", status=403, host=TARGET)
        return None

    registry = MemoryRegistry(faults)
    wanted = [request(registry, image([b"base" * 9]), f"lib/image{n}:v1") for n in range(4)]
    outcomes = seeded(registry, wanted, jobs=jobs)
    assert statuses(outcomes) == [SeedStatus.FAILED] + [SeedStatus.COPIED] * 3
    assert outcomes[0].error_code == "destination.denied"
    assert all(whole(registry, one.destination) for one in wanted[1:])


def test_fails_all_images_that_wait_for_a_lost_blob() -> None:
    registry = MemoryRegistry()
    layer = b"lost layer"
    wanted = [request(registry, image([layer, b"%d" % n]), f"lib/a:v{n}") for n in range(6)]
    elsewhere = request(registry, image([layer]), "lib/b:v1")
    [digest] = [d for d, raw in registry.blobs[wanted[0].source.name].items() if raw == layer]
    del registry.blobs[wanted[0].source.name][digest]
    all_wait = threading.Event()

    def hold(call: Call) -> Fault | None:
        all_wait.wait(5)
        return None

    registry.faults = hold
    with Seeder(registry, registry, [].append, jobs=1).open() as run:
        run.submit([*wanted, elsewhere])
        all_wait.set()
        outcomes = run.wait()
    assert statuses(outcomes) == [SeedStatus.FAILED] * 6 + [SeedStatus.COPIED]
    assert {outcome.error_code for outcome in outcomes[:6]} == {"source.missing"}
    asked = [c for c in registry.calls if c.operation == "open_blob" and c.subject == str(digest)]
    assert [call.repository for call in asked].count(wanted[0].source.name) == 1


def test_reads_damaged_content_twice() -> None:
    damages = [Garbled()]

    def faults(call: Call) -> Fault | None:
        return damages.pop() if call.operation == "open_blob" and damages else None

    registry = MemoryRegistry(faults)
    wanted = request(registry, image([b"layer"]), "lib/a:v1")
    assert statuses(seeded(registry, [wanted], jobs=1)) == [SeedStatus.COPIED]

    registry = MemoryRegistry(lambda call: Garbled() if call.operation == "open_blob" else None)
    wanted = request(registry, image([b"layer"]), "lib/a:v1")
    [outcome] = seeded(registry, [wanted], jobs=1)
    assert (outcome.status, outcome.error_code) == (SeedStatus.FAILED, "source.digest_mismatch")
    assert registry.blobs[wanted.destination.name] == {}


QUICK = RetryPolicy(upload=(0.0, 0.0), missing=0.001, missing_limit=0.1)


def test_repeats_a_broken_upload_in_a_new_session() -> None:
    breaks = [Cut(3)]

    def faults(call: Call) -> Fault | None:
        return breaks.pop() if call.operation == "put_blob" and breaks else None

    registry = MemoryRegistry(faults)
    wanted = request(registry, image([b"layer" * 10]), "lib/a:v1", is_new=True)
    [outcome] = Seeder(registry, registry, [].append, jobs=1, retry_policy=QUICK).seed([wanted])
    assert outcome.status is SeedStatus.COPIED
    assert registry.count("begin_upload") == 3
    assert whole(registry, wanted.destination)


def test_waits_for_a_new_repository() -> None:
    registry = MemoryRegistry(repositories_exist=False)
    wanted = request(registry, image([b"layer"]), "lib/a:v1", is_new=True)

    def faults(call: Call) -> None:
        if registry.count("begin_upload") > 2:
            registry.existing.add(wanted.destination.name)

    registry.faults = faults
    [outcome] = Seeder(registry, registry, [].append, jobs=1, retry_policy=QUICK).seed([wanted])
    assert outcome.status is SeedStatus.COPIED


def test_fails_with_a_hint_without_the_repository() -> None:
    registry = MemoryRegistry(repositories_exist=False)
    wanted = request(registry, image([b"layer"]), "lib/a:v1")
    [outcome] = Seeder(registry, registry, [].append, jobs=1, retry_policy=QUICK).seed([wanted])
    assert outcome.error_code == "destination.repository_missing"
    assert "toolkit apply" in (outcome.hint or "")


@pytest.mark.parametrize(
    "fault", [ConnectionFailed("gone", host="h"), NotFound("gone", status=404, host="h")], ids=["broken", "missing"]
)
def test_fails_an_image_whose_source_cannot_be_read(fault: OciError) -> None:
    registry = MemoryRegistry(lambda call: fault if call.operation == "get_manifest" else None)
    [outcome] = seeded(registry, [request(registry, image([b"layer"]), "lib/a:v1")])
    assert outcome.status is SeedStatus.FAILED
    assert (outcome.error_code or "").startswith("source.")


def test_names_an_attestation_that_the_registry_has_lost_and_how_to_leave_it() -> None:
    app, lost = image([b"layer"]), image([b"provenance"])
    about = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": str(app.digest)}
    made = index(("linux/amd64", app), ("", lost))
    document = json.loads(made.document.raw)
    document["manifests"][1]["annotations"] = about
    made = replace(made, document=Document(OCI_INDEX, json.dumps(document).encode()))
    registry = MemoryRegistry(
        lambda call: NotFound("gone", status=404, host="h") if call.subject == str(lost.digest) else None
    )
    [outcome] = seeded(registry, [request(registry, made, "lib/a:v1")])
    assert outcome.error_code == "source.attestation_missing"
    assert "which itself is whole" in (outcome.error_message or "")
    assert "`attestations: drop`" in (outcome.hint or "")
