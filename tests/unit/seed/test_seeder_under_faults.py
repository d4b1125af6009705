"""Whatever goes wrong and whenever: no tag without its whole content, and running again finishes the work."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.made_images import MadeImage, image, index, store, whole
from tests.support.memory_registry import Call, Cut, Ended, Fault, Garbled, MemoryRegistry, Overlong
from toolkit.oci.copy import CopyRequest
from toolkit.oci.errors import ConnectionFailed, Denied, NotFound, RegistryError, TooManyRequests
from toolkit.oci.reference import Reference
from toolkit.report import SeedStatus
from toolkit.seed.retry_policy import RetryPolicy
from toolkit.seed.run import SeedRun
from toolkit.seed.seeder import Seeder

QUICK = RetryPolicy(upload=(0.0, 0.0), missing=0.0, missing_limit=0.01)
LAYERS = [b"", b"{}", *(bytes([n]) * (7 * n) for n in range(1, 7))]

REFUSALS: list[Fault] = [
    ConnectionFailed("broke", host="h"),
    RegistryError("no", status=503, host="h"),
    RegistryError("no", status=400, host="h"),
    NotFound("no", status=404, host="h", error_codes=("BLOB_UPLOAD_UNKNOWN",)),
    NotFound("no", status=404, host="h", error_codes=("NAME_UNKNOWN",)),
    Denied("no", status=403, host="h"),
    TooManyRequests("no", host="h"),
]


def faults_for(chance: float, seed: int) -> Callable[[Call], Fault | None]:
    """At each call something goes wrong with this chance."""
    dice = random.Random(seed)

    def fault(call: Call) -> Fault | None:
        if dice.random() >= chance:
            return None
        if call.operation == "open_blob":
            after = dice.randrange(50)
            return dice.choice([*REFUSALS, Cut(after), Ended(after), Garbled(), Overlong()])
        if call.operation == "put_blob":
            return dice.choice([*REFUSALS, Cut(dice.randrange(50))])
        return dice.choice(REFUSALS)

    return fault


single = st.builds(
    image,
    st.lists(st.sampled_from(LAYERS), min_size=1, max_size=4),
    st.sampled_from(["linux/amd64", "linux/arm64"]),
)
multiple = st.lists(single, min_size=1, max_size=3).map(lambda made: index(*(("linux/amd64", one) for one in made)))
nested = st.lists(single | multiple, min_size=1, max_size=2).map(lambda made: index(*(("", one) for one in made)))


@dataclass(frozen=True)
class Work:
    """Images by repository and tag."""

    images: dict[tuple[str, str], MadeImage]

    def requests(self, registry: MemoryRegistry) -> list[CopyRequest]:
        return [
            CopyRequest(
                f"{name}:{tag}",
                store(registry, made, f"source.test/{name}:{tag}"),
                Reference.parse(f"target.test/{name}:{tag}"),
            )
            for (name, tag), made in self.images.items()
        ]


works = st.dictionaries(
    st.tuples(st.sampled_from(["lib/a", "lib/b", "lib/c"]), st.sampled_from(["v1", "v2", "v3"])),
    single | multiple | nested,
    min_size=1,
    max_size=7,
).map(Work)


def tags_with_less_than_their_content(registry: MemoryRegistry) -> list[str]:
    return [
        f"{repository}:{tag}"
        for repository, tags in list(registry.tags.items())
        for tag in tags
        if not whole(registry, repository.with_tag(tag))
    ]


def seeder(registry: MemoryRegistry, jobs: int) -> Seeder:
    return Seeder(registry, registry, [].append, jobs=jobs, retry_policy=QUICK)


def check_the_rest(registry: MemoryRegistry, requests: list[CopyRequest], jobs: int) -> None:
    """A clean run finishes, and another one has nothing to do."""
    registry.faults = lambda call: None
    second = seeder(registry, jobs).seed(requests)
    assert {outcome.status for outcome in second} <= {SeedStatus.COPIED, SeedStatus.UNCHANGED}
    assert [outcome.digest for outcome in second] == [str(one.source.digest) for one in requests]
    assert tags_with_less_than_their_content(registry) == []
    before = registry.sent_bytes, registry.count("put_manifest")
    third = seeder(registry, jobs).seed(requests)
    assert {outcome.status for outcome in third} == {SeedStatus.UNCHANGED}
    assert (registry.sent_bytes, registry.count("put_manifest")) == before


@settings(max_examples=60, deadline=None)
@given(works, st.integers(1, 4), st.booleans())
def test_moves_each_unique_blob_once_without_faults(work: Work, jobs: int, mounts: bool) -> None:
    registry = MemoryRegistry(mounts=mounts, checks_content=False)
    requests = work.requests(registry)
    held = [blobs for repository, blobs in registry.blobs.items() if repository.registry == "source.test"]
    unique = {digest: len(raw) for blobs in held for digest, raw in blobs.items()}
    outcomes = seeder(registry, jobs).seed(requests)
    assert {outcome.status for outcome in outcomes} == {SeedStatus.COPIED}
    assert tags_with_less_than_their_content(registry) == []
    if mounts:
        assert registry.sent_bytes == sum(unique.values()) == sum(outcome.moved_bytes for outcome in outcomes)
        assert registry.count("put_blob") == registry.count("open_blob") == len(unique)
    check_the_rest(registry, requests, jobs)


@settings(max_examples=100, deadline=None)
@given(
    works,
    st.integers(1, 4),
    st.sampled_from([0.02, 0.1, 0.4, 0.9]),
    st.integers(0, 2**32),
    st.booleans(),
    st.booleans(),
)
def test_leaves_no_tag_without_its_content_after_faults(
    work: Work, jobs: int, chance: float, seed: int, mounts: bool, checks_content: bool
) -> None:
    registry = MemoryRegistry(mounts=mounts, checks_content=checks_content)
    requests = work.requests(registry)
    registry.faults = faults_for(chance, seed)
    outcomes = seeder(registry, jobs).seed(requests)
    assert [outcome.key for outcome in outcomes] == [one.key for one in requests]
    assert tags_with_less_than_their_content(registry) == []
    for outcome, one in zip(outcomes, requests, strict=True):
        in_place = registry.tags[one.destination.name].get(one.destination.tag or "") == one.source.digest
        assert outcome.status in (SeedStatus.COPIED, SeedStatus.FAILED)
        if outcome.status is SeedStatus.COPIED:
            assert in_place
        else:
            assert outcome.error_code
    check_the_rest(registry, requests, jobs)


@settings(max_examples=50, deadline=None)
@given(works, st.integers(1, 4), st.integers(0, 60))
def test_leaves_no_tag_without_its_content_when_stopped(work: Work, jobs: int, stop_at: int) -> None:
    registry = MemoryRegistry(checks_content=False)
    requests = work.requests(registry)
    running: list[SeedRun] = []

    def stop(call: Call) -> None:
        if len(registry.calls) == stop_at + 1:
            running[0].cancel()

    registry.faults = stop
    with seeder(registry, jobs).open() as run:
        running.append(run)
        run.submit(requests)
        outcomes = run.wait()
    assert {outcome.status for outcome in outcomes} <= {SeedStatus.COPIED, SeedStatus.SKIPPED, SeedStatus.UNCHANGED}
    assert tags_with_less_than_their_content(registry) == []
    check_the_rest(registry, requests, jobs)
