"""A run from its first request to its end: its pace, its events, and how it stops."""

from __future__ import annotations

import threading
import time

import pytest

from tests.support.clocks import FakeTime
from tests.support.made_images import image, index, store, whole
from tests.support.memory_registry import Call, Fault, MemoryRegistry
from tests.support.seeding import both_job_counts, request, seeded, statuses
from toolkit.events import Event, ImageFailed, ImageFinished, ImageProgressed, ImageStarted
from toolkit.oci.copy import CopyRequest
from toolkit.oci.errors import Denied, NotFound, OciError, RegistryError
from toolkit.oci.reference import Reference, Repository
from toolkit.report import SeedStatus
from toolkit.seed.retry_policy import RetryPolicy
from toolkit.seed.run import SeedRun
from toolkit.seed.seeder import Seeder


def test_puts_documents_within_the_rate_limit() -> None:
    registry = MemoryRegistry()
    wanted = [request(registry, image([b"%d" % n]), f"lib/a:v{n}") for n in range(5)]
    began = time.monotonic()
    Seeder(registry, registry, [].append, puts_per_second=lambda _: 20).seed(wanted)
    assert time.monotonic() - began >= 4 / 20


class Turns:
    """How often a turn was taken at a registry that grants as many as come."""

    def __init__(self) -> None:
        self.taken = 0

    def __call__(self, registry: str) -> None:
        self.taken += 1


def test_takes_a_turn_for_each_put_only() -> None:
    registry, turns = MemoryRegistry(), Turns()
    made = index(*(("linux/amd64", image([b"%d" % n])) for n in range(20)))
    there = store(registry, made, "target.test/lib/a:v1")
    wanted = [request(registry, made, f"lib/a:{tag}") for tag in ("v1", "v2")]
    del registry.tags[there.name]["v1"]
    del registry.documents[there.name][made.children[7].digest]
    seeder = Seeder(registry, registry, [].append, puts_per_second=turns)
    assert statuses(seeder.seed(wanted)) == [SeedStatus.COPIED] * 2
    assert turns.taken == registry.count("put_manifest") == 1 + 2


@pytest.mark.parametrize("tags", [1, 3])
def test_takes_another_turn_for_a_retried_put(tags: int) -> None:
    registry, turns = MemoryRegistry(), Turns()
    made = index(("linux/amd64", image([b"a"])), ("linux/arm64", image([b"b"], "linux/arm64")))
    wanted = [request(registry, made, f"lib/a:v{n}") for n in range(tags)]
    unseen = RegistryError("not yet", status=400, host="target.test", error_codes=("MANIFEST_BLOB_UNKNOWN",))
    registry.faults = lambda call: (
        unseen if registry.count("put_manifest") in (1, 2, 4) and call.operation == "put_manifest" else None
    )
    seeder = Seeder(registry, registry, [].append, puts_per_second=turns, retry_policy=RetryPolicy(missing=0.001))
    assert statuses(seeder.seed(wanted)) == [SeedStatus.COPIED] * tags
    assert turns.taken == registry.count("put_manifest") == 3 + 2 + tags


def test_leaves_a_document_to_the_next_image_after_a_failure() -> None:
    registry = MemoryRegistry()
    shared, broken = image([b"shared"]), image([b"broken"], "linux/arm64")
    doomed = request(registry, index(("linux/arm64", broken), ("linux/amd64", shared)), "lib/a:doomed")
    well = request(registry, index(("linux/amd64", shared)), "lib/a:well")
    denied = Denied("no", status=403, host="target.test")
    registry.faults = lambda call: (
        denied if call.operation == "put_manifest" and call.subject == str(broken.digest) else None
    )
    # The doomed image fails before its turn for what both need has come.
    seeder = Seeder(registry, registry, [].append, jobs=1, puts_per_second=lambda _: 50)
    assert statuses(seeder.seed([doomed, well])) == [SeedStatus.FAILED, SeedStatus.COPIED]
    assert whole(registry, well.destination)


def test_waits_for_a_put_in_flight_of_a_failed_image() -> None:
    """docker-registry empties the link of a document for a moment when it is put again."""
    registry = MemoryRegistry()
    shared, broken = image([b"shared"]), image([b"broken"], "linux/arm64")
    doomed = request(registry, index(("linux/amd64", shared), ("linux/arm64", broken)), "lib/a:doomed")
    well = request(registry, index(("linux/amd64", shared)), "lib/a:well")
    is_put, has_failed = threading.Event(), threading.Event()

    def faults(call: Call) -> Fault | None:
        if call.operation == "put_manifest" and call.subject == str(shared.digest):
            is_put.set()
            assert has_failed.wait(5)
            time.sleep(0.05)  # time enough for the other image to put it too
        if call.operation == "put_manifest" and call.subject == str(broken.digest):
            assert is_put.wait(5)
            return Denied("no", status=403, host="target.test")
        return None

    def tell(event: Event) -> None:
        if isinstance(event, ImageFailed):
            has_failed.set()

    class Lockless(MemoryRegistry):
        """Asks for faults without its lock, so that two calls can wait for each other."""

        def _enter(self, operation: str, repository: Repository, subject: str) -> Fault | None:
            fault = faults(Call(operation, repository, subject))
            if isinstance(fault, OciError):
                raise fault
            return super()._enter(operation, repository, subject)

    target = Lockless()
    seeder = Seeder(registry, target, tell, jobs=4)
    assert statuses(seeder.seed([doomed, well])) == [SeedStatus.FAILED, SeedStatus.COPIED]
    assert [call.subject for call in target.calls if call.operation == "put_manifest"].count(str(shared.digest)) == 1


@pytest.mark.parametrize("missing_at", [("begin_upload 1", "put_manifest 1"), ("put_manifest 1", "put_manifest 3")])
def test_waits_as_long_for_a_repository_that_is_missing_again(missing_at: tuple[str, str]) -> None:
    registry, later = MemoryRegistry(), 0.0
    made = index(("linux/amd64", image([b"layer"])))
    wanted = request(registry, made, "lib/a:v1", is_new=True)
    missing = NotFound("no", status=404, host="target.test", error_codes=("NAME_UNKNOWN",))

    def faults(call: Call) -> Fault | None:
        nonlocal later
        found = f"{call.operation} {registry.count(call.operation)}"
        if found == missing_at[1]:
            later = 1000.0
        return missing if found in missing_at else None

    registry.faults = faults
    policy = RetryPolicy(missing=0.001)
    seeder = Seeder(registry, registry, [].append, jobs=1, retry_policy=policy, clock=lambda: time.monotonic() + later)
    assert statuses(seeder.seed([wanted])) == [SeedStatus.COPIED]


def test_emits_an_image_from_start_to_end() -> None:
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


def test_emits_progress_a_few_times_per_second() -> None:
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


def test_takes_images_as_they_come() -> None:
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


def test_returns_at_once_without_requests() -> None:
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


def test_stops_transfers_and_skips_the_rest_when_cancelled() -> None:
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
def test_limits_the_blobs_of_all_threads_together(jobs: int) -> None:
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


def test_sleeps_never_without_a_limit() -> None:
    registry, times = MemoryRegistry(), FakeTime()
    Seeder(registry, registry, [].append, clock=times.clock, sleep=times.sleep).seed(
        [request(registry, image([b"layer" * 100]), "lib/a:v1")]
    )
    assert times.slept == []


def test_stops_waiting_for_the_limit_when_cancelled() -> None:
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


def test_waits_once_for_a_connection_that_hangs() -> None:
    gate = Gate()
    registry = MemoryRegistry(gate)
    began = time.monotonic()
    with Seeder(registry, registry, [].append, jobs=1).open() as run:
        run.submit([request(registry, image([b"layer"]), "lib/a:v1")])
        assert gate.reached.wait(5)
        run.cancel()
        assert statuses(run.wait()) == [SeedStatus.SKIPPED]
    assert time.monotonic() - began < 7
    gate.opened.set()


def test_ends_its_threads_after_an_interrupt() -> None:
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


def test_raises_a_bug_of_a_thread_in_wait() -> None:
    class Bug(Exception):
        pass

    def faults(call: Call) -> Fault | None:
        if call.operation == "put_blob":
            raise Bug
        return None

    registry = MemoryRegistry(faults)
    with pytest.raises(Bug):
        seeded(registry, [request(registry, image([b"layer"]), "lib/a:v1")], jobs=1)


def test_refuses_a_request_without_digest() -> None:
    registry = MemoryRegistry()
    with pytest.raises(ValueError, match="from a digest to a tag"):
        seeded(registry, [CopyRequest("k", Reference.parse("a.test/b:v1"), Reference.parse("a.test/c:v1"))])
