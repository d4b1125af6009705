"""What is there, on both sides at once: HEAD at the sources, ECR's own listing at the destination.

No counted pull, but for an index that was never read and whose signatures are wanted: see `toolkit.seed.companions`.
Its threads are the seeder's kind, a `WorkerPool`; they only ever read.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from toolkit.events import Emit, NoticeGiven, StepFinished, StepStarted
from toolkit.oci.client import ManifestHead
from toolkit.oci.companions import referrers_tag
from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.errors import NotFound, OciError
from toolkit.oci.filtered_index import Document, read_provenance
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.tree import TreeReader, read_tree
from toolkit.oci.values import dataclass
from toolkit.plan.observed import DestinationImage, Observed, PullBudget, SourceFault, SourceImage
from toolkit.seed.companions import Companion, CompanionSearch, Found, fault_of
from toolkit.seed.preview import preview
from toolkit.seed.worker_pool import WorkerPool

if TYPE_CHECKING:
    from toolkit.oci.pull_limits import Upstream
    from toolkit.plan.desired import DesiredImage
    from toolkit.plan.model import Seed

# HEADs wait on the network, not on the processor; Docker Hub answers this many side by side without its abuse limit.
_THREADS = 32


class StoredImage(Protocol):
    """A tag in ECR and the raw bytes of its document."""

    @property
    def digest(self) -> Digest:
        """What the tag points to."""

    @property
    def raw(self) -> bytes:
        """The document, byte for byte."""


StoredImages = Callable[[str, Sequence[str]], Mapping[str, StoredImage] | None]
Head = ManifestHead | SourceFault
_Heads = Mapping[Reference, Head]
_Stored = Mapping[str, Mapping[str, StoredImage] | None]


@dataclass(frozen=True, slots=True)
class _Company:
    """The companions of one image, and which of their tags are at the destination."""

    found: Found = field(default_factory=Found)
    stored: Mapping[str, StoredImage] = field(default_factory=dict)


_Companies = Mapping[str, _Company]


class Observation:
    """An observation under way."""

    def __init__(
        self,
        heads: Mapping[Reference, Future[Head]],
        stored: Mapping[str, Future[Mapping[str, StoredImage] | None]],
        companies: Mapping[str, Future[_Company]],
        finish: Callable[[_Heads, _Stored, _Companies], Observed],
    ) -> None:
        self._heads = heads
        self._stored = stored
        self._companies = companies
        self._finish = finish

    def result(self) -> Observed:
        """Wait for both sides. Raises AccessDenied or Refused when ECR says no; sources fail one by one."""
        return self._finish(
            {reference: future.result() for reference, future in self._heads.items()},
            {repository: future.result() for repository, future in self._stored.items()},
            {key: future.result() for key, future in self._companies.items()},
        )


class Observer:
    """Looks at sources and destinations. `stored_images` is ECR's BatchGetImage for one repository.

    `find` tells which other repository has what a digest names.
    """

    def __init__(
        self,
        upstream: Upstream,
        stored_images: StoredImages,
        emit: Emit,
        *,
        cache: DocumentCache,
        find: Callable[[Reference], Repository | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstream = upstream
        self._clock = clock
        self._stored_images = stored_images
        self._emit = emit
        self._cache = cache
        self._search = CompanionSearch(upstream, cache)
        self._find = find

    @contextmanager
    def start(self, images: Sequence[DesiredImage], repositories: frozenset[str]) -> Iterator[Observation]:
        """Look at all `images` in the background; `repositories` are the ones that exist.

        Leaving the block early drops the requests that have not begun.
        """
        wanted: dict[str, list[str]] = defaultdict(list)
        for image in images:
            if image.repository in repositories:
                wanted[image.repository].append(image.tag)
        self._emit(StepStarted("observe", f"{len(images)} images"))
        started = self._clock()
        ended = [started]

        def compose(heads: _Heads, stored: _Stored, companies: _Companies) -> Observed:
            observed = self._compose(images, repositories, heads, stored, companies)
            there = f"{sum(image.key in observed.destinations for image in images)} of {len(images)} images are in ECR"
            self._emit(StepFinished("observe", round(max(ended) - started, 3), there))
            return observed

        with _threads() as pool:
            stored = {name: pool.ask(partial(self._stored_images, name, tags)) for name, tags in wanted.items()}
            heads = {source: pool.ask(partial(self._head, source)) for source in dict.fromkeys(map(_by_tag, images))}
            # Requests run in order of arrival, so what these wait for has begun before them.
            companies = {
                image.key: pool.ask(
                    partial(self._companions, image, heads[_by_tag(image)], stored.get(image.repository))
                )
                for image in images
                if image.keeps_signatures
            }
            futures: list[Future[Any]] = [*stored.values(), *heads.values(), *companies.values()]
            for future in futures:
                future.add_done_callback(lambda _: ended.append(self._clock()))
            yield Observation(heads, stored, companies, compose)

    @contextmanager
    def heads(self, sources: Iterable[Reference]) -> Iterator[Mapping[Reference, Future[Head]]]:
        """Ask what each source points to now, once each; leaving early drops the requests that have not begun."""
        with _threads() as pool:
            yield {source: pool.ask(partial(self._head, source)) for source in dict.fromkeys(sources)}

    def measure(
        self, head: Head, platforms: tuple[Platform, ...] | None, keeps_attestations: bool
    ) -> SourceImage | SourceFault:
        """What is known of an image without asking for it."""
        if isinstance(head, SourceFault):
            return head
        return preview(head.descriptor, platforms, keeps_attestations, self._cache)

    def companions(
        self, sources: Iterable[Reference], platforms: tuple[Platform, ...] | None, keeps_attestations: bool
    ) -> Mapping[Reference, tuple[Companion, ...]]:
        """What upstream keeps beside each of the pinned `sources`, which are copied with that selection."""

        def find(source: Reference) -> tuple[Companion, ...]:
            head = self._head(source)
            if not isinstance(head, SourceFault):
                return self._search.find(source, head.descriptor, platforms, keeps_attestations).companions
            return (Companion(source.digest, referrers_tag(source.digest), head),) if source.digest else ()

        with _threads() as pool:
            asked = {source: pool.ask(partial(find, source)) for source in sources}
            return {source: answer.result() for source, answer in asked.items()}

    def list_tags(self, repositories: Iterable[Repository]) -> Mapping[Repository, tuple[str, ...] | SourceFault]:
        """The tags that each upstream has now; asked once for each."""
        unique = list(dict.fromkeys(repositories))
        with _threads() as pool:
            answers = [pool.ask(partial(self._tags, repository)) for repository in unique]
            return {repository: answer.result() for repository, answer in zip(unique, answers, strict=True)}

    def alternatives(self, seeds: Sequence[Seed]) -> Mapping[str, Repository]:
        """By key: another repository that has the content of a seed, where there is one. No counted pull."""
        if self._find is None:
            return {}
        with _threads() as pool:
            asked = {seed.key: pool.ask(partial(self._find, seed.source)) for seed in seeds}
            found = {key: answer.result() for key, answer in asked.items()}
        return {key: repository for key, repository in found.items() if repository is not None}

    def budget(self, source: Reference) -> PullBudget | SourceFault | None:
        """What is left of counted pulls at the upstream of `source`; None where they are not counted."""
        head = self._head(source)
        return head if isinstance(head, SourceFault) else next(iter(read_budgets([(source, head)])), None)

    def read(self, seeds: Sequence[Seed]) -> None:
        """Read the documents of `seeds` into the cache: counted pulls, which the copies save later.

        What cannot be read is told and left to the copy.
        """
        self._emit(StepStarted("read sizes", total=len(seeds)))
        started = self._clock()
        with _threads() as pool:
            for done in [pool.ask(partial(self._read, seed)) for seed in seeds]:
                done.result()
        self._emit(StepFinished("read sizes", round(self._clock() - started, 3)))

    def _read(self, seed: Seed) -> None:
        top = seed.source.digest
        if top is None:  # a plan pins every source that it copies
            return

        def read(digest: Digest) -> Document:
            reference = seed.source.name.with_digest(digest)
            return self._cache.get_or_read(digest, partial(self._upstream.get_manifest, reference))[0]

        try:
            read_tree(TreeReader(top, seed.platforms, keeps_attestations=seed.keeps_attestations), top, read)
        except OciError as error:
            message = f"the size of `{seed.key}` stays unknown: {error.message}"
            self._emit(NoticeGiven("source.unread", message, error.hint))

    def _tags(self, repository: Repository) -> tuple[str, ...] | SourceFault:
        try:
            return self._upstream.list_tags(repository)
        except NotFound:
            message = f"`{repository}` does not exist upstream"
            return SourceFault("missing", message, "check its name at the registry")
        except OciError as error:
            return fault_of(error)

    def _head(self, source: Reference) -> Head:
        try:
            head = self._upstream.head_manifest(source)
        except OciError as error:
            return fault_of(error)
        if head is None:
            return SourceFault(
                "missing", f"`{source.familiar}` does not exist upstream", hint="check its name and tag at the registry"
            )
        return head

    def _companions(
        self,
        image: DesiredImage,
        head: Future[Head],
        stored: Future[Mapping[str, StoredImage] | None] | None,
    ) -> _Company:
        top = head.result()
        if isinstance(top, SourceFault):
            return _Company()
        there = ((stored.result() if stored else None) or {}).get(image.tag)
        found = self._search.find(
            _by_tag(image), top.descriptor, image.platforms, image.keeps_attestations, there.raw if there else None
        )
        tags = [companion.tag for companion in found.companions]
        return _Company(found, (self._stored_images(image.repository, tags) if stored and tags else None) or {})

    def _compose(
        self,
        images: Sequence[DesiredImage],
        repositories: frozenset[str],
        heads: _Heads,
        stored: _Stored,
        companies: _Companies,
    ) -> Observed:
        destinations = {}
        for image in images:
            there = (stored.get(image.repository) or {}).get(image.tag)
            if there is not None:
                derived_from, selection = read_provenance(there.raw) or (None, None)
                destinations[image.key] = DestinationImage(there.digest, derived_from, selection)
        sources = {
            image.key: self.measure(heads[_by_tag(image)], image.platforms, image.keeps_attestations)
            for image in images
        }
        companions: dict[str, tuple[DesiredImage, ...]] = {}
        counted = list(heads.items())
        for image in images:
            company = companies.get(image.key)
            if company is None:
                continue
            if company.found.recount:
                counted.append((image.source, company.found.recount))
            wanted = []
            for companion in company.found.companions:
                one = _companion_image(image, companion)
                wanted.append(one)
                counted.append((one.source, companion.head))
                if one.key not in sources:  # the first to ask for a tag is the one that is served
                    sources[one.key] = self.measure(companion.head, one.platforms, one.keeps_attestations)
                    there = company.stored.get(one.tag)
                    if there is not None:
                        destinations[one.key] = DestinationImage(there.digest)
            companions[image.key] = tuple(wanted)
        return Observed(sources, destinations, repositories, read_budgets(counted), companions)


@contextmanager
def _threads() -> Iterator[WorkerPool]:
    """Leaving the block waits for nothing: a silent registry must not hold up an error or an interrupt."""
    pool = WorkerPool(_THREADS)
    try:
        yield pool
    finally:
        pool.stop()


def _by_tag(image: DesiredImage) -> Reference:
    """What to ask upstream: the tag, also for a pinned image, so that a pin that no longer holds is seen."""
    return replace(image.source, digest=None)


def _companion_image(image: DesiredImage, companion: Companion) -> DesiredImage:
    """A companion as a tag to be filled: as it is upstream, beside its image."""
    return replace(
        image,
        source=image.source.name.with_tag(companion.tag),
        tag=companion.tag,
        platforms=None,
        keeps_attestations=True,
        keeps_signatures=False,
        subject=companion.subject,
    )


def read_budgets(heads: Iterable[tuple[Reference, Head]]) -> tuple[PullBudget, ...]:
    """An upstream's lowest word on what is left; one that sends none does not count this pull."""
    lowest: dict[str, PullBudget] = {}
    for reference, head in heads:
        if isinstance(head, SourceFault) or head.pull_limit is None:
            continue
        limit = head.pull_limit
        budget = PullBudget(reference.registry, limit.limit, limit.remaining, limit.window_seconds)
        known = lowest.get(reference.registry)
        if known is None or budget.remaining < known.remaining:
            lowest[reference.registry] = budget
    return tuple(lowest[registry] for registry in sorted(lowest))
