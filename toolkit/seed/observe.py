"""Observes both sides at once: HEAD requests at the sources, ECR's own API at the destination.

This only reads, and costs no counted pull except for an index that was never read and whose signatures are wanted: see
`toolkit.seed.companions`.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from toolkit.events import Emit, NoticeGiven, StepFinished, StepStarted
from toolkit.lock.keepers import is_keeper_tag, keeps
from toolkit.oci.client import ManifestHead
from toolkit.oci.companions import referrers_tag
from toolkit.oci.descriptor import Descriptor
from toolkit.oci.digest import Digest
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.errors import NotFound, OciError
from toolkit.oci.filtered_index import Document, read_provenance
from toolkit.oci.media_types import INDEX_TYPES
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.subset import WHOLE, Subset
from toolkit.oci.tree import TreeReader, read_tree
from toolkit.plan.observed import (
    Content,
    DestinationImage,
    Observed,
    Origin,
    PullBudget,
    SourceFault,
    SourceImage,
    StoredCopy,
    StoredImage,
    StoredTag,
    is_lacking,
)
from toolkit.seed.companions import Companion, CompanionSearch, Found, fault_of
from toolkit.seed.worker_pool import asking

if TYPE_CHECKING:
    from toolkit.oci.pull_limits import Upstream
    from toolkit.plan.desired import DesiredImage
    from toolkit.plan.model import Seed

# A registry that has responded to none of so many requests, each of them retried, is not asked for the rest.
_MOST_SILENCES = 8
# HEADs wait for the network, not for the processor. Docker Hub accepts this many at a time; its abuse limit is higher.
_THREADS = 32


class Ecr(Protocol):
    """The destination, by ECR's own API."""

    def images(self, repository: str, tags: Sequence[str]) -> Mapping[str, StoredImage] | None:
        """Tag -> image; None without the repository."""

    def tags(self, repository: str) -> Mapping[str, StoredTag]:
        """Every tag of a repository."""

    def has_image(self, repository: str, digest: Digest) -> bool:
        """Whether a repository has an image with that digest, tagged or not."""

    def documents(self, repository: str, digests: Sequence[Digest]) -> Mapping[Digest, Document]:
        """The documents that a repository has among `digests`, tagged or not."""

    def untagged_indexes(self, repository: str) -> Sequence[StoredImage]:
        """The untagged OCI indexes of a repository, the last pushed first."""


Head = ManifestHead | SourceFault
_Heads = Mapping[Reference, Future[Head]]
_Tags = Mapping[str, StoredTag]


@dataclass(frozen=True, slots=True)
class _Shelf:
    """What a repository has: its tags, and the documents of the tags in `read`, whose digests do not tell enough.

    `exists` is whether there is such a repository. `measured` has the sources, by image key, that had to be known to
    decide which tags to read.
    """

    exists: bool = False
    tags: _Tags = field(default_factory=dict)
    read: frozenset[str] = frozenset()
    documents: Mapping[str, StoredImage] = field(default_factory=dict)
    measured: Mapping[str, SourceImage | SourceFault] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One image on both sides, and its companions."""

    source: SourceImage | SourceFault
    destination: DestinationImage | None = None
    found: Found = field(default_factory=Found)
    stored: StoredCopy | None = None


class _Silences:
    """Which registries respond to nothing, so that one that is down is not waited for image by image."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._responding: set[str] = set()
        self._silent: Counter[str] = Counter()

    def fault(self, registry: str) -> SourceFault | None:
        """Why `registry` is not asked any more; None if it still is."""
        with self._lock:
            if registry in self._responding or self._silent[registry] < _MOST_SILENCES:
                return None
        return SourceFault("unreachable", f"`{registry}` does not respond", "run again later")

    def note(self, registry: str, head: Head) -> None:
        """Learn from the result of a request."""
        with self._lock:
            if isinstance(head, SourceFault) and head.kind == "unreachable":
                self._silent[registry] += 1
            else:
                self._responding.add(registry)


class Observation:
    """An observation under way."""

    def __init__(self, finish: Callable[[], Observed]) -> None:
        self._finish = finish

    def result(self) -> Observed:
        """Wait for both sides. Raises AccessDenied or Refused if ECR refuses; a source that fails is a SourceFault."""
        return self._finish()


class Observer:
    """Looks at sources and destinations. `ecr` is None where only sources matter.

    `find` tells which other repository has the same content.
    """

    def __init__(
        self,
        upstream: Upstream,
        ecr: Ecr | None,
        emit: Emit,
        *,
        cache: DocumentCache,
        find: Callable[[Reference], Repository | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstream = upstream
        self._clock = clock
        self._ecr = ecr
        self._emit = emit
        self._cache = cache
        self._search = CompanionSearch(upstream, cache)
        self._find = find

    @contextmanager
    def start(self, images: Sequence[DesiredImage], repositories: frozenset[str]) -> Iterator[Observation]:
        """Look at all `images` in the background; `repositories` are the ones that exist.

        An image that ECR lacks and whose source cannot be read is told at once as a notice. Leaving the block early
        drops the requests that have not begun.
        """
        shelved: dict[str, list[DesiredImage]] = defaultdict(list)
        for image in images:
            if image.repository in repositories and self._ecr is not None:
                shelved[image.repository].append(image)
        self._emit(StepStarted("observe", f"{len(images)} images"))
        started = self._clock()
        ended = [started]

        with asking(_THREADS) as pool:
            listed = {} if self._ecr is None else {name: pool.ask(partial(self._ecr.tags, name)) for name in shelved}
            asked = [image.source for image in images] + [_by_tag(image) for image in images if _asks_tag(image)]
            silences = _Silences()
            heads = {source: pool.ask(partial(self._head_unless, silences, source)) for source in dict.fromkeys(asked)}
            # Requests run in order of arrival, so what these wait for has begun before them.
            shelves = {
                name: pool.ask(partial(self._shelf, shelved[name], heads, tags)) for name, tags in listed.items()
            }
            told: dict[SourceFault, str] = {}
            seen = {
                image.key: pool.ask(partial(self._look, image, heads, shelves.get(image.repository), told))
                for image in images
            }
            futures: list[Future[Any]] = [*heads.values(), *shelves.values(), *seen.values()]
            for future in futures:
                future.add_done_callback(lambda _: ended.append(self._clock()))

            def finish() -> Observed:
                observed = self._compose(
                    images,
                    repositories,
                    {reference: future.result() for reference, future in heads.items()},
                    {key: future.result() for key, future in seen.items()},
                    {name: future.result().tags for name, future in shelves.items()},
                )
                there = sum(image.key in observed.destinations for image in images)
                detail = f"{there} of {len(images)} images are in ECR"
                self._emit(StepFinished("observe", round(max(ended) - started, 3), detail))
                return observed

            yield Observation(finish)

    @contextmanager
    def heads(self, sources: Iterable[Reference]) -> Iterator[Mapping[Reference, Future[Head]]]:
        """Ask once for each source what it points to now. Leaving early drops the requests that have not begun."""
        silences = _Silences()
        with asking(_THREADS) as pool:
            yield {source: pool.ask(partial(self._head_unless, silences, source)) for source in dict.fromkeys(sources)}

    def documents(self, repository: str, digests: Sequence[Digest]) -> Mapping[Digest, Document]:
        """The documents of images in ECR, from the cache where it has them: ECR records a read as a pull."""
        found = {digest: document for digest in digests if (document := self._cache.get(digest))}
        lacking = [digest for digest in digests if digest not in found]
        read = self._ecr.documents(repository, lacking) if lacking and self._ecr is not None else {}
        for digest, document in read.items():
            self._cache.put(digest, document)
        return {**found, **read}

    def measure(self, head: Head, subset: Subset) -> SourceImage | SourceFault:
        """What is known of an image without reading it."""
        if isinstance(head, SourceFault):
            return head
        return preview(head.descriptor, subset, self._cache)

    def companions(self, sources: Iterable[Reference], subset: Subset) -> Mapping[Reference, tuple[Companion, ...]]:
        """What upstream keeps beside each of the pinned `sources`, of which `subset` is copied."""

        def find(source: Reference) -> tuple[Companion, ...]:
            head = self._head(source)
            if not isinstance(head, SourceFault):
                return self._search.find(source, head.descriptor, subset).companions
            return (Companion(source.digest, referrers_tag(source.digest), head),) if source.digest else ()

        with asking(_THREADS) as pool:
            asked = {source: pool.ask(partial(find, source)) for source in sources}
            return {source: found.result() for source, found in asked.items()}

    def list_tags(self, repositories: Iterable[Repository]) -> Mapping[Repository, tuple[str, ...] | SourceFault]:
        """The tags that each upstream repository has now, listed once each."""
        with asking(_THREADS) as pool:
            asked = {name: pool.ask(partial(self._tags, name)) for name in dict.fromkeys(repositories)}
            return {repository: tags.result() for repository, tags in asked.items()}

    def alternatives(self, seeds: Sequence[Seed]) -> Mapping[str, Repository]:
        """By key: another repository with the content of a seed, where one is known. Costs no counted pull."""
        if self._find is None:
            return {}
        with asking(_THREADS) as pool:
            asked = {seed.key: pool.ask(partial(self._find, seed.source)) for seed in seeds}
            found = {key: repository.result() for key, repository in asked.items()}
        return {key: repository for key, repository in found.items() if repository is not None}

    def budget(self, source: Reference) -> PullBudget | SourceFault | None:
        """The counted pulls that are left at the upstream of `source`; None where they are not counted."""
        head = self._head(source)
        return head if isinstance(head, SourceFault) else next(iter(read_budgets([(source, head)])), None)

    def read(self, seeds: Sequence[Seed]) -> None:
        """Read the documents of `seeds` into the cache: counted pulls, which the copies then save.

        What cannot be read is told as a notice, and the copy tries again.
        """
        self._emit(StepStarted("read sizes", total=len(seeds)))
        started = self._clock()
        with asking(_THREADS) as pool:
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
            read_tree(TreeReader(top, seed.subset), top, read)
        except OciError as error:
            message = f"the size of `{seed.key}` stays unknown: {error.message}"
            self._emit(NoticeGiven("source.unread", message, error.hint))

    def contents(self, seeds: Iterable[Seed]) -> Mapping[str, Content]:
        """What the images of `seeds` consist of, by key, as far as their documents are in the cache."""
        found = {}
        for seed in seeds:
            if seed.source.digest is not None:
                with suppress(OciError):  # the copy says why
                    reader = _read_cached(seed.source.digest, seed.subset, self._cache)
                    blobs = {blob.digest: blob.size for blob in reader.blobs}
                    found[seed.key] = Content(reader.taken + len(reader.missing), blobs, reader.is_complete)
        return found

    def _tags(self, repository: Repository) -> tuple[str, ...] | SourceFault:
        try:
            return self._upstream.list_tags(repository)
        except NotFound:
            message = f"`{repository}` does not exist upstream"
            return SourceFault("missing", message, "check its name at the registry")
        except OciError as error:
            return fault_of(error)

    def _head_unless(self, silences: _Silences, source: Reference) -> Head:
        head: Head | None = silences.fault(source.registry)
        if head is None:
            head = self._head(source)
            silences.note(source.registry, head)
        return head

    def _head(self, source: Reference) -> Head:
        try:
            head = self._upstream.head_manifest(source)
        except OciError as error:
            return fault_of(error)
        if head is None:
            hint = "pin a digest that it has" if source.digest else "check its name and tag at the registry"
            return SourceFault("missing", f"`{source.familiar}` does not exist upstream", hint)
        return head

    def _shelf(self, images: Sequence[DesiredImage], heads: _Heads, listed: Future[_Tags]) -> _Shelf:
        """One repository. Its documents are read in one call, except those of tags whose digest is right already."""
        tags = listed.result()
        measured: dict[str, SourceImage | SourceFault] = {}
        unclear: list[str] = []
        for image in images:
            if image.tag not in tags:
                continue
            if image.keeps_signatures:  # an index may have to be read before its source can be measured
                unclear.append(image.tag)
                continue
            source = self.measure(heads[image.source].result(), image.subset)
            measured[image.key] = source
            wanted = image.source.digest if isinstance(source, SourceFault) else source.wanted_digest
            is_clear = isinstance(source, SourceFault) and wanted is None
            if not is_clear and tags[image.tag].digest != wanted:
                unclear.append(image.tag)
        found = self._ecr.images(images[0].repository, unclear) if unclear and self._ecr is not None else None
        return _Shelf(True, tags, frozenset(unclear), found or {}, measured)

    def _look(
        self, image: DesiredImage, heads: _Heads, shelf_to_come: Future[_Shelf] | None, told: dict[SourceFault, str]
    ) -> _Seen:
        shelf = shelf_to_come.result() if shelf_to_come else _Shelf()
        tag, document = shelf.tags.get(image.tag), shelf.documents.get(image.tag)
        destination = None
        if tag is not None and not (image.tag in shelf.read and document is None):  # it may be gone since
            destination = _destination(tag, document)
        head = heads[image.source].result()
        found = Found()
        if image.keeps_signatures and not isinstance(head, SourceFault):
            found = self._search.find(
                image.source,
                head.descriptor,
                image.subset,
                document.raw if document else None,
            )
            for companion in found.companions:
                if isinstance(companion.head, SourceFault) and destination is None:
                    self._tell(image, companion.head, told)
        source = shelf.measured.get(image.key)
        if source is None:
            source = self.measure(head, image.subset)
        if isinstance(source, SourceFault):
            stored = self._stored(image, source, shelf) if is_lacking(image, destination) else None
            if stored is not None and destination is not None:
                destination = self._with_origin(image, stored.as_source(image), destination, shelf)
            elif stored is None and is_lacking(image, destination):
                self._tell(image, source, told)
            return _Seen(source, destination, stored=stored)
        if _asks_tag(image):
            now = heads[_by_tag(image)].result()
            source = replace(source, tag_now=now if isinstance(now, SourceFault) else now.descriptor.digest)
        stored = None
        if destination is None or not destination.is_copy_of(source, image.subset):
            stored = self._stored(image, source, shelf)
            if destination is not None and not destination.stems_from(source.digest):
                destination = self._with_origin(image, source, destination, shelf)
        return _Seen(source, destination, found, stored)

    def _tell(self, image: DesiredImage, fault: SourceFault, told: dict[SourceFault, str]) -> None:
        """Say at once why the plan will be refused; of several images with the same fault for the first only."""
        if told.setdefault(fault, image.key) == image.key:
            self._emit(NoticeGiven(f"source.{fault.kind}", f"{image.path}: {fault.message}", fault.hint))

    def _with_origin(
        self, image: DesiredImage, source: SourceImage, there: DestinationImage, shelf: _Shelf
    ) -> DestinationImage:
        if image.was_admitted(there.derived_from or there.digest):  # the lock tells
            return there
        return replace(there, origin=self._origin(image, source, there, shelf))

    def _origin(self, image: DesiredImage, source: SourceImage, there: DestinationImage, shelf: _Shelf) -> Origin:
        """Where an image comes from that is not the wanted one, as far as a HEAD and ECR's history can tell."""
        try:
            asked = there.derived_from or there.digest
            is_upstream = self._upstream.head_manifest(image.source.name.with_digest(asked)) is not None
        except OciError:
            return Origin.UNKNOWN
        if is_upstream:
            was_there = source.wanted_digest is not None and self._was_there(image, source, there, shelf)
            return Origin.RETURNED if was_there else Origin.UPSTREAM
        return Origin.DISPLACING if self._was_there(image, source, there, shelf) else Origin.LACKING

    def _stored(self, image: DesiredImage, source: SourceImage | SourceFault, shelf: _Shelf) -> StoredCopy | None:
        """The wanted image in its repository, under another tag or without one; None unless all of it is there.

        Where upstream is not known, a pinned digest tells what is wanted. An index of which a part is wanted is then
        found by what a filtered index records, as it is while the upstream index was never read.
        """
        upstream = source.digest if isinstance(source, SourceImage) else image.source.digest
        if self._ecr is None or upstream is None or not shelf.exists:
            return None
        wanted = source.wanted_digest if isinstance(source, SourceImage) else None
        if wanted is None:
            wanted = self._made_of(image, upstream, shelf)
        if wanted is None and isinstance(source, SourceFault):
            wanted = upstream
        if wanted is None:
            return None
        names = sorted(
            (tag for tag, one in shelf.tags.items() if one.digest == wanted),
            key=lambda tag: (not is_keeper_tag(tag), tag),
        )
        reader = TreeReader(wanted, WHOLE)
        try:
            while reader.missing:
                missing = sorted(reader.missing)
                found = self._ecr.documents(image.repository, missing)
                for digest in missing:
                    if digest not in found or Digest.of(found[digest].raw, digest.algorithm) != digest:
                        return None
                    reader.add(digest, found[digest])
        except OciError:
            return None
        is_part = isinstance(source, SourceFault) and wanted == upstream and not image.subset.is_whole
        if is_part and reader.tree().documents[wanted].is_index:
            return None
        return StoredCopy(wanted, names[0] if names else str(wanted))

    def _made_of(self, image: DesiredImage, index: Digest, shelf: _Shelf) -> Digest | None:
        """The index of ours in the repository which was made from the upstream `index` for these platforms.

        Beyond the documents that were read anyway, it is looked for only where it may be: what upstream has just
        published, or the lock just admitted, was never there. ECR records every read as a pull.
        """
        if self._ecr is None or image.subset.is_whole:
            return None
        found = [*shelf.documents.values()]
        if image.source.digest is not None and (image.is_back or not image.is_locked):
            keepers = sorted(tag for tag in shelf.tags if (kept := keeps(tag)) and image.tag.startswith(kept[0]))
            found += (self._ecr.images(image.repository, keepers) or {}).values() if keepers else ()
            found += self._ecr.untagged_indexes(image.repository)
        for one in found:
            if DestinationImage(one.digest, *(read_provenance(one.raw) or ())).is_filtered_from(index, image.subset):
                return one.digest
        return None

    def _was_there(self, image: DesiredImage, source: SourceImage, there: DestinationImage, shelf: _Shelf) -> bool:
        """Whether ECR had the wanted part of `source` before `there` was pushed.

        It had if the image is there untagged, or under another tag that was pushed no later than `there`.
        """
        if self._ecr is None:
            return False
        wanted = source.wanted_digest
        if wanted is None:
            for one in (*shelf.documents.values(), *self._ecr.untagged_indexes(image.repository)):
                found = DestinationImage(one.digest, *(read_provenance(one.raw) or (None, None)))
                if found.is_copy_of(source, image.subset):
                    wanted = one.digest
        if wanted is None:
            return False
        since = [tag.pushed_at for tag in shelf.tags.values() if tag.digest == wanted]
        if since:
            return there.pushed_at is not None and min(since) <= there.pushed_at
        return self._ecr.has_image(image.repository, wanted)

    def _compose(
        self,
        images: Sequence[DesiredImage],
        repositories: frozenset[str],
        heads: Mapping[Reference, Head],
        seen: Mapping[str, _Seen],
        listed: Mapping[str, _Tags],
    ) -> Observed:
        sources = {key: one.source for key, one in seen.items()}
        destinations = {key: one.destination for key, one in seen.items() if one.destination is not None}
        companions: dict[str, tuple[DesiredImage, ...]] = {}
        counted = list(heads.items())
        for image in images:
            found = seen[image.key].found
            if found.recount:
                counted.append((image.source, found.recount))
            wanted = []
            for companion in found.companions:
                one = _companion_image(image, companion)
                wanted.append(one)
                counted.append((one.source, companion.head))
                if one.key not in sources:  # the first to ask for a tag is the one that is served
                    sources[one.key] = self.measure(companion.head, one.subset)
                    tag = listed.get(one.repository, {}).get(one.tag)
                    if tag is not None:
                        destinations[one.key] = _destination(tag, None)
            companions[image.key] = tuple(wanted)
        return Observed(
            sources,
            destinations,
            repositories,
            read_budgets(counted),
            companions,
            tags={name: tuple(sorted(names)) for name, names in listed.items()},
            stored={key: one.stored for key, one in seen.items() if one.stored is not None},
        )


def preview(head: Descriptor, subset: Subset, cache: DocumentCache) -> SourceImage | SourceFault:
    """An upstream image as its HEAD and the documents in `cache` show it; a fault if it cannot be copied as wanted."""
    try:
        reader = _read_cached(head.digest, subset, cache)
    except OciError as error:
        return fault_of(error)
    if head.digest in reader.missing:
        is_verbatim = head.media_type not in INDEX_TYPES or subset.is_whole
        return SourceImage(head.digest, head.media_type, wanted_digest=head.digest if is_verbatim else None)
    return SourceImage(
        head.digest,
        head.media_type,
        wanted_digest=reader.digest,
        size=reader.tree().size if reader.is_complete else None,
        # An index inside an index would add to this; registries hold next to none.
        documents=reader.taken + len(reader.missing),
        cached_documents=reader.taken,
    )


def _read_cached(top: Digest, subset: Subset, cache: DocumentCache) -> TreeReader:
    """A reader that took what `cache` has of an image. Raises OciError if the image cannot be copied as wanted."""
    reader = TreeReader(top, subset)
    pending = [top]
    while pending:
        digest = pending.pop()
        document = cache.get(digest)
        if document is not None:
            pending.extend(reader.add(digest, document))
    return reader


def _asks_tag(image: DesiredImage) -> bool:
    """Whether its tag may have moved away from the digest in the manifest; what a lock follows is `toolkit lock`'s."""
    return image.source.digest is not None and not image.is_locked


def _by_tag(image: DesiredImage) -> Reference:
    """The tag without the digest: it shows whether the tag of a pinned image has moved."""
    return replace(image.source, digest=None)


def _destination(tag: StoredTag, document: StoredImage | None) -> DestinationImage:
    if document is None:
        return DestinationImage(tag.digest, pushed_at=tag.pushed_at)
    derived_from, selection = read_provenance(document.raw) or (None, None)
    # The tag and the document were read at two moments: if the tag moved in between, its time is unknown.
    pushed_at = tag.pushed_at if tag.digest == document.digest else None
    return DestinationImage(document.digest, derived_from, selection, pushed_at)


def _companion_image(image: DesiredImage, companion: Companion) -> DesiredImage:
    """A companion as a tag to be filled beside its image, whole as it is upstream."""
    return replace(
        image,
        source=image.source.name.with_tag(companion.tag),
        tag=companion.tag,
        subset=WHOLE,
        keeps_signatures=False,
        subject=companion.subject,
    )


def read_budgets(heads: Iterable[tuple[Reference, Head]]) -> tuple[PullBudget, ...]:
    """By upstream, the lowest number of pulls left that it named. One that names none does not count these pulls."""
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
