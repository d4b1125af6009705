from __future__ import annotations

import time

from tests.support.made_images import image, whole
from tests.support.memory_registry import Call, Fault, MemoryRegistry
from tests.support.seeding import AMD64, ARM64, TARGET, both_job_counts, multi_arch, request, seeded, statuses
from toolkit.events import Event, ImageProgressed
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.errors import Denied
from toolkit.report import SeedStatus
from toolkit.seed.seeder import Seeder


@both_job_counts
def test_copies_an_index_whole_and_verbatim(jobs: int) -> None:
    registry = MemoryRegistry()
    made = multi_arch("a")
    wanted = request(registry, made, "lib/a:v1")
    [outcome] = seeded(registry, [wanted], jobs=jobs)
    assert outcome.status is SeedStatus.COPIED
    assert outcome.digest == str(made.digest)
    assert registry.documents[wanted.destination.name][made.digest].raw == made.document.raw
    assert whole(registry, wanted.destination)
    assert outcome.document_reads == 3
    assert (outcome.moved_blobs, outcome.mounted_blobs, outcome.present_blobs) == (6, 0, 0)
    assert outcome.moved_bytes == outcome.total_bytes == registry.sent_bytes


@both_job_counts
def test_moves_each_unique_blob_once(jobs: int) -> None:
    registry = MemoryRegistry()
    base = b"the base layer that all of them share" * 10
    wanted = [request(registry, image([base, f"own {n}".encode()]), f"lib/image{n % 7}:v{n}") for n in range(30)]
    outcomes = seeded(registry, wanted, jobs=jobs)
    assert set(statuses(outcomes)) == {SeedStatus.COPIED}
    assert all(whole(registry, one.destination) for one in wanted)
    unique = {digest: len(raw) for blobs in list(registry.blobs.values()) for digest, raw in blobs.items()}
    assert registry.sent_bytes == sum(unique.values())
    assert registry.count("open_blob") == len(unique)
    assert sum(outcome.moved_bytes for outcome in outcomes) == sum(unique.values())


def test_in_order_ends_the_first_images_before_the_last_ones_begin() -> None:
    """Else every image ends at the end of the run, and all documents are put then."""
    registry = MemoryRegistry()
    wanted = [request(registry, image([b"%d" % n * 100 * (n + 1)]), f"lib/image{n}:v1") for n in range(8)]
    Seeder(registry, registry, [].append, jobs=1, in_order=True).seed(wanted)
    tags = [number for number, call in enumerate(registry.calls) if call.operation == "put_manifest"]
    blobs = [number for number, call in enumerate(registry.calls) if call.operation == "open_blob"]
    assert len(tags) == 8
    assert all(tag < later for tag, later in zip(tags, blobs[4::2], strict=False))


@both_job_counts
def test_uses_the_session_of_a_declined_mount(jobs: int) -> None:
    registry = MemoryRegistry(mounts=False)
    wanted = [request(registry, image([b"base"]), f"lib/image{n}:v1", is_new=True) for n in range(5)]
    outcomes = seeded(registry, wanted, jobs=jobs)
    assert set(statuses(outcomes)) == {SeedStatus.COPIED}
    assert all(whole(registry, one.destination) for one in wanted)
    assert registry.count("begin_upload") == registry.count("put_blob") == 10


@both_job_counts
def test_links_from_complete_images_where_only_those_are_mounted(
    jobs: int,
) -> None:
    registry = MemoryRegistry(mounts_unreferred=False)
    base = b"the base layer that all of them share" * 10
    wanted = [request(registry, image([base, f"own {n}".encode()]), f"lib/image{n}:v1", is_new=True) for n in range(24)]
    outcomes = seeded(registry, wanted, jobs=jobs)
    assert set(statuses(outcomes)) == {SeedStatus.COPIED}
    assert all(whole(registry, one.destination) for one in wanted)
    assert sum(outcome.mounted_blobs for outcome in outcomes) >= len(wanted)  # each has two blobs that all share
    assert registry.sent_bytes < len(wanted) * len(base) / 2


def test_looks_for_nothing_in_a_new_repository() -> None:
    registry = MemoryRegistry()
    seeded(registry, [request(registry, multi_arch("a"), "lib/a:v1", is_new=True)])
    assert registry.count("has_blob") == 0
    assert registry.count("head_manifest", TARGET) == 1  # the tag, read back
    assert registry.count("begin_upload") == registry.count("put_blob") == 6
    assert registry.count("put_manifest") == 3


def test_puts_a_document_of_several_tags_once() -> None:
    failures = iter([Denied("no", status=403, host="h")])

    def slow(call: Call) -> Fault | None:
        if call.operation == "put_manifest" and "sha256" in call.subject:
            time.sleep(0.01)  # so that the others come in the meantime
            return next(failures, None)
        return None

    registry = MemoryRegistry(slow)
    outcomes = seeded(registry, [request(registry, multi_arch("a"), f"lib/a:v{tag}") for tag in range(6)], jobs=8)
    assert sorted(statuses(outcomes)) == [SeedStatus.COPIED] * 5 + [SeedStatus.FAILED]
    assert registry.count("put_manifest") == 3 + 5  # two documents, the failure, five tags


def test_tries_a_mount_from_itself_before_a_document_needs_the_blob() -> None:
    """docker-registry empties a link for a moment when it is asked to write it again."""
    registry = MemoryRegistry()
    asked: list[int] = []

    def tell(event: Event) -> None:
        if isinstance(event, ImageProgressed) and event.done_bytes == event.total_bytes:
            asked.append(registry.count("begin_upload"))

    wanted = request(registry, image([], config=b"only"), "lib/a:v1")
    Seeder(registry, registry, tell).seed([wanted])
    assert asked[-1] == 2  # the upload and the question


def test_finds_blobs_by_mount_once_that_is_known() -> None:
    registry = MemoryRegistry()
    wanted = [request(registry, image([f"layer {n}".encode()]), f"lib/image{n}:v1") for n in range(20)]
    seeded(registry, wanted, jobs=1)
    assert registry.count("has_blob") == 1
    assert registry.count("begin_upload") == 20 + 1 + 1 + 19  # layers, config, one to find out, config links


def test_looks_for_no_document_where_a_blob_was_missing() -> None:
    registry = MemoryRegistry()
    seeded(registry, [request(registry, multi_arch("a"), "lib/a:v1")])
    assert registry.count("head_manifest", TARGET) == 1  # the tag, read back


def test_moves_nothing_the_second_time() -> None:
    registry = MemoryRegistry()
    wanted = [request(registry, multi_arch(str(n)), f"lib/image{n}:v1") for n in range(3)]
    cache = DocumentCache()
    seeded(registry, wanted, cache=cache)
    sent, puts, reads = registry.sent_bytes, registry.count("put_manifest"), registry.count("get_manifest")
    outcomes = seeded(registry, wanted, cache=cache)
    assert set(statuses(outcomes)) == {SeedStatus.UNCHANGED}
    assert [outcome.digest for outcome in outcomes] == [str(one.source.digest) for one in wanted]
    assert (registry.sent_bytes, registry.count("put_manifest"), registry.count("get_manifest")) == (sent, puts, reads)


def test_trusts_a_tag_with_one_request() -> None:
    registry = MemoryRegistry()
    wanted = request(registry, multi_arch("a"), "lib/a:v1", trusts_tag=True)
    seeded(registry, [wanted])
    before = len(registry.calls)
    [outcome] = seeded(registry, [wanted])
    assert outcome.status is SeedStatus.UNCHANGED
    assert outcome.digest == str(wanted.source.digest)
    assert [call.operation for call in registry.calls[before:]] == ["head_manifest"]


def test_copies_what_is_missing_behind_an_index() -> None:
    registry = MemoryRegistry()
    made = multi_arch("a")
    wanted = request(registry, made, "lib/a:v1")
    seeded(registry, [wanted])
    there = wanted.destination.name
    del registry.documents[there][made.children[0].digest]
    lost = next(iter(made.children[1].blobs))
    del registry.blobs[there][lost]
    [outcome] = seeded(registry, [wanted])
    assert outcome.status is SeedStatus.COPIED
    assert outcome.moved_blobs == 1
    assert whole(registry, wanted.destination)


def test_moves_a_tag_after_its_content() -> None:
    registry = MemoryRegistry()
    old, new = image([b"base", b"old"]), image([b"base", b"new"])
    seeded(registry, [request(registry, old, "lib/a:v1")])
    wanted = request(registry, new, "lib/a:v1")
    [outcome] = seeded(registry, [wanted])
    assert (outcome.moved_blobs, outcome.present_blobs) == (1, 2)
    assert registry.tags[wanted.destination.name]["v1"] == new.digest
    puts = [call.operation for call in registry.calls if call.operation in ("put_blob", "put_manifest")]
    assert puts[-2:] == ["put_blob", "put_manifest"]


def test_filters_the_index_for_a_platform_subset() -> None:
    registry = MemoryRegistry()
    made = multi_arch("a")
    wanted = request(registry, made, "lib/a:v1", platforms=(ARM64,))
    [outcome] = seeded(registry, [wanted])
    there = wanted.destination.name
    assert outcome.digest == str(registry.tags[there]["v1"]) != str(made.digest)
    assert set(registry.documents[there]) == {registry.tags[there]["v1"], made.children[1].digest}
    assert outcome.document_reads == 2
    assert whole(registry, wanted.destination)


def test_fails_another_platform_without_a_byte() -> None:
    registry = MemoryRegistry()
    wanted = request(registry, image([b"amd"]), "lib/a:v1", platforms=(ARM64,))
    [outcome] = seeded(registry, [wanted])
    assert (outcome.status, outcome.error_code) == (SeedStatus.FAILED, "source.platform_missing")
    assert registry.sent_bytes == 0


def test_copies_an_image_of_the_wanted_platform_as_it_is() -> None:
    registry = MemoryRegistry()
    made = image([b"amd"])
    [outcome] = seeded(registry, [request(registry, made, "lib/a:v1", platforms=(AMD64,))])
    assert outcome.digest == str(made.digest)
