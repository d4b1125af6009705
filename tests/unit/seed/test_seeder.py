from __future__ import annotations

import threading
import time
from collections.abc import Iterable

import pytest

from tests.support.clocks import FakeTime
from tests.support.made_images import MadeImage, image, index, store, whole
from tests.support.memory_registry import Call, Cut, Fault, Garbled, MemoryRegistry
from toolkit.events import Event, ImageFailed, ImageFinished, ImageProgressed, ImageStarted
from toolkit.oci.client import Upload
from toolkit.oci.copy import CopyRequest
from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.documents import Document
from toolkit.oci.errors import ConnectionFailed, Denied, NotFound, OciError
from toolkit.oci.reference import Reference, Repository
from toolkit.report import SeedOutcome, SeedStatus
from toolkit.seed.patience import Pauses
from toolkit.seed.run import SeedRun
from toolkit.seed.seeder import Seeder

SOURCE, TARGET = "source.test", "target.test"
AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")

both_job_counts = pytest.mark.parametrize("jobs", [1, 2, 8])


def request(
    registry: MemoryRegistry,
    made: MadeImage,
    name: str,
    *,
    platforms: tuple[Platform, ...] | None = None,
    trusts_tag: bool = False,
    is_new: bool = False,
) -> CopyRequest:
    """An image at the source under `name`, wanted under the same name at the target."""
    source = store(registry, made, f"{SOURCE}/{name}")
    return CopyRequest(
        name,
        source,
        Reference.parse(f"{TARGET}/{name}"),
        platforms,
        trusts_tag=trusts_tag,
        destination_is_new=is_new,
    )


def seeded(
    registry: MemoryRegistry,
    requests: Iterable[CopyRequest],
    *,
    jobs: int = 4,
    events: list[Event] | None = None,
    cache: DocumentCache | None = None,
) -> list[SeedOutcome]:
    return Seeder(registry, registry, (events if events is not None else []).append, jobs=jobs, cache=cache).seed(
        requests
    )


def statuses(outcomes: Iterable[SeedOutcome]) -> list[SeedStatus]:
    return [outcome.status for outcome in outcomes]


def multi_arch(text: str) -> MadeImage:
    return index(
        ("linux/amd64", image([b"base", text.encode() + b" amd"])),
        ("linux/arm64", image([b"arm base", text.encode() + b" arm"], "linux/arm64")),
    )


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


@both_job_counts
def test_one_failed_image_does_not_stop_the_others(jobs: int) -> None:
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


@both_job_counts
def test_a_blob_whose_mover_failed_is_taken_over(jobs: int) -> None:
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


def test_a_blob_that_the_source_lacks_fails_all_images_that_wait_for_it_from_there() -> None:
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


def test_damaged_content_is_read_a_second_time_and_then_given_up() -> None:
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


QUICK = Pauses(upload=(0.0, 0.0), missing=0.001, missing_limit=0.1)


def test_a_broken_upload_begins_again_in_a_new_session() -> None:
    breaks = [Cut(3)]

    def faults(call: Call) -> Fault | None:
        return breaks.pop() if call.operation == "put_blob" and breaks else None

    registry = MemoryRegistry(faults)
    wanted = request(registry, image([b"layer" * 10]), "lib/a:v1", is_new=True)
    [outcome] = Seeder(registry, registry, [].append, jobs=1, pauses=QUICK).seed([wanted])
    assert outcome.status is SeedStatus.COPIED
    assert registry.count("begin_upload") == 3
    assert whole(registry, wanted.destination)


def test_a_repository_that_was_just_created_is_waited_for() -> None:
    registry = MemoryRegistry(repositories_exist=False)
    wanted = request(registry, image([b"layer"]), "lib/a:v1", is_new=True)

    def faults(call: Call) -> None:
        if registry.count("begin_upload") > 2:
            registry.existing.add(wanted.destination.name)

    registry.faults = faults
    [outcome] = Seeder(registry, registry, [].append, jobs=1, pauses=QUICK).seed([wanted])
    assert outcome.status is SeedStatus.COPIED


def test_a_repository_that_never_comes_is_an_error_with_a_cure() -> None:
    registry = MemoryRegistry(repositories_exist=False)
    wanted = request(registry, image([b"layer"]), "lib/a:v1")
    [outcome] = Seeder(registry, registry, [].append, jobs=1, pauses=QUICK).seed([wanted])
    assert outcome.error_code == "destination.repository_missing"
    assert "toolkit apply" in (outcome.hint or "")


def test_documents_are_put_at_a_pace() -> None:
    registry = MemoryRegistry()
    wanted = [request(registry, image([b"%d" % n]), f"lib/a:v{n}") for n in range(5)]
    began = time.monotonic()
    Seeder(registry, registry, [].append, puts_per_second=lambda _: 20).seed(wanted)
    assert time.monotonic() - began >= 4 / 20


def test_events_tell_an_image_from_its_start_to_its_end() -> None:
    registry = MemoryRegistry()
    wanted = request(registry, image([b"layer" * 100]), "lib/a:v1")
    events: list[Event] = []
    [outcome] = seeded(registry, [wanted], events=events)
    assert events[0] == ImageStarted("lib/a:v1", str(wanted.source), str(wanted.destination))
    finished = events[-1]
    assert isinstance(finished, ImageFinished)
    assert (finished.status, finished.digest, finished.moved_bytes) == ("copied", outcome.digest, outcome.moved_bytes)
    progress = [event for event in events if isinstance(event, ImageProgressed)]
    assert progress[-1].done_bytes == progress[-1].total_bytes == outcome.total_bytes
    assert [event.done_bytes for event in progress] == sorted(event.done_bytes for event in progress)


def test_progress_within_a_blob_is_told_a_few_times_a_second() -> None:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 0.05
        return now

    registry = MemoryRegistry(chunk_bytes=1)
    events: list[Event] = []
    Seeder(registry, registry, events.append, jobs=1, clock=clock).seed(
        [request(registry, image([b"x" * 400]), "lib/a:v1")]
    )
    told = [event for event in events if isinstance(event, ImageProgressed)]
    assert 20 <= len(told) <= 120


def test_images_are_fed_as_their_repositories_come() -> None:
    registry = MemoryRegistry()
    first, second = (request(registry, image([b"base", b"%d" % n]), f"lib/image{n}:v1") for n in range(2))
    with Seeder(registry, registry, [].append).open() as run:
        run.submit([first])
        assert statuses(run.wait()) == [SeedStatus.COPIED]
        run.submit([second])
        outcomes = run.wait()
    assert [outcome.key for outcome in outcomes] == [first.key, second.key]
    blobs = image([b"base", b"0"]).blobs | image([b"base", b"1"]).blobs
    assert registry.sent_bytes == sum(map(len, blobs.values()))


def test_nothing_to_copy_is_no_wait() -> None:
    registry = MemoryRegistry()
    assert seeded(registry, []) == []


class Gate:
    """Blocks the target's uploads until it is opened, and says when one is there."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self, call: Call) -> Fault | None:
        if call.operation == "put_blob":
            self.reached.set()
            self.opened.wait(10)
        return None


def test_cancelling_stops_transfers_and_skips_the_rest() -> None:
    gate = Gate()
    registry = MemoryRegistry(gate)
    wanted = [request(registry, image([b"layer %d" % n * 50]), f"lib/image{n}:v1") for n in range(6)]
    events: list[Event] = []
    with Seeder(registry, registry, events.append, jobs=2).open() as run:
        run.submit(wanted)
        assert gate.reached.wait(5)
        run.cancel()
        gate.opened.set()
        began = time.monotonic()
        outcomes = run.wait()
    assert time.monotonic() - began < 3
    assert set(statuses(outcomes)) == {SeedStatus.SKIPPED}
    assert not any(isinstance(event, (ImageFinished, ImageFailed)) for event in events)
    assert not any(registry.tags[one.destination.name] for one in wanted)
    assert not any(registry.blobs[one.destination.name] for one in wanted)
    assert set(statuses(seeded(registry, wanted))) == {SeedStatus.COPIED}


@both_job_counts
def test_the_blobs_of_all_threads_together_keep_to_the_rate(jobs: int) -> None:
    registry = MemoryRegistry(chunk_bytes=100)
    wanted = [request(registry, image([b"%d" % n * 1000], config=b"{}"), f"lib/image{n}:v1") for n in range(4)]
    times = FakeTime()
    limited = Seeder(
        registry, registry, [].append, jobs=jobs, bytes_per_second=500, clock=times.clock, sleep=times.sleep
    )
    outcomes = limited.seed(wanted)
    # Each of the chunks but one has waited for those before it; with several threads their waits pass side by side.
    charged = sum(outcome.moved_bytes for outcome in outcomes)
    assert charged == 4002
    assert sum(times.slept) > (charged - 100) / 500 - 0.01
    if jobs == 1:
        assert sum(times.slept) < charged / 500 + 0.01


def test_without_a_rate_nobody_waits() -> None:
    registry, times = MemoryRegistry(), FakeTime()
    Seeder(registry, registry, [].append, clock=times.clock, sleep=times.sleep).seed(
        [request(registry, image([b"layer" * 100]), "lib/a:v1")]
    )
    assert times.slept == []


def test_a_run_that_is_stopped_does_not_wait_for_its_rate() -> None:
    registry = MemoryRegistry(chunk_bytes=100)
    slept: list[float] = []
    running: list[SeedRun] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        running[0].cancel()

    with Seeder(registry, registry, [].append, jobs=1, bytes_per_second=0.01, sleep=sleep).open() as run:
        running.append(run)
        run.submit([request(registry, image([b"layer" * 1000]), "lib/a:v1")])
        assert statuses(run.wait()) == [SeedStatus.SKIPPED]
    assert len(slept) == 1
    assert slept[0] < 1


def test_a_blob_is_not_asked_about_once_a_document_may_need_it() -> None:
    """docker-registry writes the blob's link again then, and a document that comes meanwhile finds it empty."""
    was_put = threading.Event()
    is_late: list[bool] = []

    class Watched(MemoryRegistry):
        def begin_upload(
            self, repository: Repository, digest: Digest, mount_from: Repository | None = None
        ) -> Upload | None:
            if mount_from == repository:
                is_late.append(was_put.wait(0.3))
            return super().begin_upload(repository, digest, mount_from)

        def put_manifest(self, ref: Reference, document: Document) -> None:
            was_put.set()
            super().put_manifest(ref, document)

    registry = Watched()
    seeded(registry, [request(registry, image([b"layer"], config=b"layer"), "lib/a:v1")])
    assert is_late == [False]


def test_leaving_early_ends_the_threads() -> None:
    gate = Gate()
    registry = MemoryRegistry(gate)
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt), Seeder(registry, registry, [].append, jobs=2).open() as run:
        run.submit([request(registry, image([b"layer"]), "lib/a:v1")])
        assert gate.reached.wait(5)
        gate.opened.set()
        raise KeyboardInterrupt
    deadline = time.monotonic() + 5
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not set(threading.enumerate()) - before


def test_a_bug_in_a_thread_is_raised_where_one_waits() -> None:
    class Bug(Exception):
        pass

    def faults(call: Call) -> Fault | None:
        if call.operation == "put_blob":
            raise Bug
        return None

    registry = MemoryRegistry(faults)
    with pytest.raises(Bug):
        seeded(registry, [request(registry, image([b"layer"]), "lib/a:v1")], jobs=1)


def test_a_request_without_digest_is_a_bug_of_the_caller() -> None:
    registry = MemoryRegistry()
    with pytest.raises(ValueError, match="from a digest to a tag"):
        seeded(registry, [CopyRequest("k", Reference.parse("a.test/b:v1"), Reference.parse("a.test/c:v1"))])


@pytest.mark.parametrize(
    "fault", [ConnectionFailed("gone", host="h"), NotFound("gone", status=404, host="h")], ids=["broken", "missing"]
)
def test_a_source_that_cannot_be_read_fails_its_image(fault: OciError) -> None:
    registry = MemoryRegistry(lambda call: fault if call.operation == "get_manifest" else None)
    [outcome] = seeded(registry, [request(registry, image([b"layer"]), "lib/a:v1")])
    assert outcome.status is SeedStatus.FAILED
    assert (outcome.error_code or "").startswith("source.")
