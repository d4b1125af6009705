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
def test_an_index_is_copied_whole_and_verbatim(jobs: int) -> None:
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
def test_each_unique_blob_moves_once_for_all_images(jobs: int) -> None:
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


@both_job_counts
def test_where_mounting_is_declined_the_session_is_used(jobs: int) -> None:
    registry = MemoryRegistry(mounts=False)
    wanted = [request(registry, image([b"base"]), f"lib/image{n}:v1", is_new=True) for n in range(5)]
    outcomes = seeded(registry, wanted, jobs=jobs)
    assert set(statuses(outcomes)) == {SeedStatus.COPIED}
    assert all(whole(registry, one.destination) for one in wanted)
    assert registry.count("begin_upload") == registry.count("put_blob") == 10


@both_job_counts
def test_where_only_what_a_manifest_refers_to_is_mounted_the_first_images_move_it_and_the_others_link(
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


def test_a_new_repository_is_not_looked_into() -> None:
    registry = MemoryRegistry()
    seeded(registry, [request(registry, multi_arch("a"), "lib/a:v1", is_new=True)])
    assert registry.count("has_blob") == 0
    assert registry.count("head_manifest", TARGET) == 1  # the tag, read back
    assert registry.count("begin_upload") == registry.count("put_blob") == 6
    assert registry.count("put_manifest") == 3


def test_a_document_under_several_tags_of_a_repository_is_put_once_and_by_the_next_where_that_fails() -> None:
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


def test_a_registry_is_asked_whether_it_mounts_from_itself_before_a_document_relies_on_that_blob() -> None:
    """docker-registry empties a link for a moment when it is asked to write it again."""
    registry = MemoryRegistry()
    asked: list[int] = []

    def tell(event: Event) -> None:
        if isinstance(event, ImageProgressed) and event.done_bytes == event.total_bytes:
            asked.append(registry.count("begin_upload"))

    wanted = request(registry, image([], config=b"only"), "lib/a:v1")
    Seeder(registry, registry, tell).seed([wanted])
    assert asked[-1] == 2  # the upload and the question


def test_a_registry_that_mounts_from_itself_is_asked_for_blobs_by_head_only_until_that_is_known() -> None:
    registry = MemoryRegistry()
    wanted = [request(registry, image([f"layer {n}".encode()]), f"lib/image{n}:v1") for n in range(20)]
    seeded(registry, wanted, jobs=1)
    assert registry.count("has_blob") == 1
    assert registry.count("begin_upload") == 20 + 1 + 1 + 19  # layers, config, one to find out, config links


def test_documents_are_not_looked_for_where_a_blob_was_missing() -> None:
    registry = MemoryRegistry()
    seeded(registry, [request(registry, multi_arch("a"), "lib/a:v1")])
    assert registry.count("head_manifest", TARGET) == 1  # the tag, read back


def test_the_second_time_nothing_moves() -> None:
    registry = MemoryRegistry()
    wanted = [request(registry, multi_arch(str(n)), f"lib/image{n}:v1") for n in range(3)]
    cache = DocumentCache()
    seeded(registry, wanted, cache=cache)
    sent, puts, reads = registry.sent_bytes, registry.count("put_manifest"), registry.count("get_manifest")
    outcomes = seeded(registry, wanted, cache=cache)
    assert set(statuses(outcomes)) == {SeedStatus.UNCHANGED}
    assert [outcome.digest for outcome in outcomes] == [str(one.source.digest) for one in wanted]
    assert (registry.sent_bytes, registry.count("put_manifest"), registry.count("get_manifest")) == (sent, puts, reads)


def test_a_tag_that_is_trusted_takes_one_request_and_none_at_the_source() -> None:
    registry = MemoryRegistry()
    wanted = request(registry, multi_arch("a"), "lib/a:v1", trusts_tag=True)
    seeded(registry, [wanted])
    before = len(registry.calls)
    [outcome] = seeded(registry, [wanted])
    assert outcome.status is SeedStatus.UNCHANGED
    assert outcome.digest == str(wanted.source.digest)
    assert [call.operation for call in registry.calls[before:]] == ["head_manifest"]


def test_an_index_that_is_there_does_not_prove_its_children() -> None:
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


def test_a_tag_moves_only_when_its_new_content_is_there() -> None:
    registry = MemoryRegistry()
    old, new = image([b"base", b"old"]), image([b"base", b"new"])
    seeded(registry, [request(registry, old, "lib/a:v1")])
    wanted = request(registry, new, "lib/a:v1")
    [outcome] = seeded(registry, [wanted])
    assert (outcome.moved_blobs, outcome.present_blobs) == (1, 2)
    assert registry.tags[wanted.destination.name]["v1"] == new.digest
    puts = [call.operation for call in registry.calls if call.operation in ("put_blob", "put_manifest")]
    assert puts[-2:] == ["put_blob", "put_manifest"]


def test_a_platform_subset_is_a_filtered_index_of_the_sources_children() -> None:
    registry = MemoryRegistry()
    made = multi_arch("a")
    wanted = request(registry, made, "lib/a:v1", platforms=(ARM64,))
    [outcome] = seeded(registry, [wanted])
    there = wanted.destination.name
    assert outcome.digest == str(registry.tags[there]["v1"]) != str(made.digest)
    assert set(registry.documents[there]) == {registry.tags[there]["v1"], made.children[1].digest}
    assert outcome.document_reads == 2
    assert whole(registry, wanted.destination)


def test_an_image_of_another_platform_fails_without_a_byte() -> None:
    registry = MemoryRegistry()
    wanted = request(registry, image([b"amd"]), "lib/a:v1", platforms=(ARM64,))
    [outcome] = seeded(registry, [wanted])
    assert (outcome.status, outcome.error_code) == (SeedStatus.FAILED, "source.platform_missing")
    assert registry.sent_bytes == 0


def test_an_image_of_the_wanted_platform_is_copied_as_it_is() -> None:
    registry = MemoryRegistry()
    made = image([b"amd"])
    [outcome] = seeded(registry, [request(registry, made, "lib/a:v1", platforms=(AMD64,))])
    assert outcome.digest == str(made.digest)
