"""The copy engine: copies one document or one blob from a source to a target, and checks it on the way.

It sees no HTTP, only `Source` and `Target`, and starts no thread: the caller decides what runs at a time. Bytes are
checked before the target has all of them. Documents are copied byte for byte. That one thing is at the target proves
nothing about another. Every error names its side.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from toolkit.oci.companions import referrers_index, referrers_tag
from toolkit.oci.descriptor import Descriptor, verify
from toolkit.oci.digest import Digest
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.documents import Document
from toolkit.oci.errors import (
    ConnectionFailed,
    Denied,
    InvalidDocument,
    NotAsCopied,
    NotFound,
    OciError,
    ReferrersChanged,
    RegistryError,
    SizeMismatch,
    TagImmutable,
)
from toolkit.oci.filtered_index import read_provenance
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.subset import WHOLE, Subset
from toolkit.oci.tree import ImageTree, check_platform

if TYPE_CHECKING:
    from concurrent.futures import Future

    from toolkit.oci.client import ManifestHead, Upload

    Ask = Callable[[Callable[[], ManifestHead | None]], Future[ManifestHead | None]]

# How often an interrupted download is resumed.
_RESUMES = 5
# An image's configuration has some kilobytes of JSON, seldom megabytes: as for documents.
_LARGEST_CONFIG = 8 * 2**20

T = TypeVar("T")
Watch = Callable[[int], None]
"""Called after each chunk with the bytes of the blob received so far; raises to stop the transfer."""


class Source(Protocol):
    """The side that images are read from."""

    def get_manifest(self, ref: Reference) -> Document:
        """The document. May be a counted pull."""

    def list_referrers(self, repository: Repository, subject: Digest) -> tuple[Descriptor, ...] | None:
        """The documents that refer to `subject`; None where the registry cannot list them. Never a counted pull."""

    def open_blob(
        self, repository: Repository, descriptor: Descriptor, offset: int = 0
    ) -> AbstractContextManager[Iterator[bytes]]:
        """The blob's bytes from `offset` on."""


class Target(Protocol):
    """The side that images are written to."""

    def get_manifest(self, ref: Reference) -> Document:
        """The document; NotFound without it."""

    def head_manifest(self, ref: Reference) -> ManifestHead | None:
        """What a tag or digest points to; None without it."""

    def put_manifest(self, ref: Reference, document: Document) -> None:
        """Store a document under a tag or under its digest."""

    def has_blob(self, repository: Repository, digest: Digest) -> bool:
        """Whether this repository has the blob."""

    def begin_upload(
        self, repository: Repository, digest: Digest, mount_from: Repository | None = None
    ) -> Upload | None:
        """A session for one blob; None if the blob was linked from `mount_from` instead."""

    def put_blob(self, upload: Upload, descriptor: Descriptor, chunks: Iterable[bytes]) -> None:
        """Send all bytes and complete the upload."""

    def cancel_upload(self, upload: Upload) -> None:
        """Cancel the session. Never raises: a session that is not cancelled expires by itself."""


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """One tag to be filled. `source` has a digest, `destination` a tag and no digest.

    A `source` in the repository of the destination moves the tag and copies nothing else.

    `destination_is_new`: the repository was created for this run and is empty, so nothing is looked for in it.
    `trusts_tag`: if the tag points to the wanted image already, its content is believed to be there, for one request.
    Without it all of the content is looked for.
    `subject`: this is a companion of that digest. If it is an index that was composed from a registry's list of
    referrers, no registry has it as a document; it is composed again when the cache has lost it.
    `keeper`: a tag in the same repository, with a digest that it has to get before the destination's tag moves.
    """

    key: str
    source: Reference
    destination: Reference
    subset: Subset = WHOLE
    destination_is_new: bool = False
    trusts_tag: bool = False
    subject: Digest | None = None
    keeper: Reference | None = None

    @property
    def is_within_repository(self) -> bool:
        """Whether everything is at the destination already, except for the tag."""
        return self.source.name == self.destination.name


class CopyError(OciError):
    """A copy failed at one `side`, `source` or `destination`; `code` and `hint` are those of the `cause`."""

    def __init__(self, side: str, key: str, cause: OciError) -> None:
        super().__init__(f"{side}: {cause.message}", hint=cause.hint, code=cause.code)
        self.side = side
        self.key = key
        self.cause = cause

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may succeed later."""
        return isinstance(self.cause, (ConnectionFailed, RegistryError)) and self.cause.is_temporary


class BlobFate(Enum):
    """How a blob came to its place at the destination."""

    PRESENT = "present"
    MOUNTED = "mounted"
    MOVED = "moved"


class CopyEngine:
    """The steps of a copy from `source` to `target`. Threads may share it.

    The caller keeps the order: read documents, place blobs, put children, put the tag and read it back.
    """

    def __init__(self, source: Source, target: Target, cache: DocumentCache) -> None:
        self._source = source
        self._target = target
        self._cache = cache
        self._ahead: dict[Reference, Future[ManifestHead | None]] = {}
        self._lock = threading.Lock()
        self._mounts_from_itself: dict[str, bool] = {}

    def look_ahead(self, destinations: Iterable[Reference], ask: Ask) -> None:
        """Look at these tags now, by `ask`. The copy of a request uses what was found once, as its first step."""
        for destination in destinations:
            self._ahead[destination] = ask(partial(self._target.head_manifest, destination))

    def read_document(self, request: CopyRequest, digest: Digest) -> tuple[Document, bool]:
        """A document of the source, and whether the source was asked rather than the cache."""
        with _at("source", request.key):
            return self._cache.get_or_read(digest, lambda: self._read(request, digest))

    def _read(self, request: CopyRequest, digest: Digest) -> Document:
        source, subject = request.source, request.subject
        if subject is not None and digest == source.digest and source.tag == referrers_tag(subject):
            referrers = self._source.list_referrers(source.name, subject)
            if referrers is not None:
                document = referrers_index(referrers)
                if document.digest != digest:
                    raise ReferrersChanged(f"`{source.name}` lists other referrers of `{subject}` than it did before")
                return document
        return self._source.get_manifest(source.name.with_digest(digest))

    def digest_in_place(self, request: CopyRequest) -> Digest | None:
        """What the tag points to, if that is the wanted image; the source is not asked."""
        try:
            found, is_wanted = self.look(request)
        finally:
            self._ahead.pop(request.destination, None)
        return found if is_wanted else None

    def look(self, request: CopyRequest) -> tuple[Digest | None, bool]:
        """What the tag points to, and whether that is the wanted image; the source is not asked."""
        with _at("destination", request.key):
            ahead = self._ahead.get(request.destination)
            found = _if_allowed(lambda: _digest_of(ahead.result()) if ahead else self._tag_digest(request.destination))
            if found is None or request.subset.is_whole:
                return found, found == request.source.digest
            document = self._target.get_manifest(request.destination.name.with_digest(found))
            if not document.is_index:
                return found, found == request.source.digest
            wanted = (request.source.digest, str(request.subset))
            return found, read_provenance(document.raw) == wanted

    def check_config(self, request: CopyRequest, config: Descriptor) -> None:
        """MissingPlatform unless the image with this configuration is for the wanted platform. No counted pull."""
        with _at("source", request.key):
            if config.size > _LARGEST_CONFIG:
                raise InvalidDocument(f"the image's configuration has {config.size} bytes")
            with closing(self._download(request, config, lambda _: None)) as chunks:
                content = b"".join(verify(chunks, config))
            check_platform(content, request.subset.platforms or ())

    def expect_blob(self, request: CopyRequest, blob: Descriptor) -> None:
        """NotFound unless the destination has a blob that a copy within the repository needs."""
        repository = request.destination.name
        with _at("destination", request.key):
            if _if_allowed(lambda: self._target.has_blob(repository, blob.digest)) is False:
                lost = f"`{repository}` has lost `{blob.digest}`, a part of the image"
                raise NotFound(lost, status=404, host=repository.registry)

    def begin_blob(
        self, request: CopyRequest, blob: Descriptor, mount_from: Repository | None = None
    ) -> BlobFate | Upload:
        """Find `blob` at the destination or link it there; otherwise open a session to send it.

        A HEAD tells whether the repository has it. So does a mount from itself, and opens the session if it has not.
        """
        repository = request.destination.name
        itself = None
        with _at("destination", request.key):
            if not request.destination_is_new:
                if self._mounts_from_itself.get(repository.registry):
                    itself = repository
                elif _if_allowed(lambda: self._target.has_blob(repository, blob.digest)):
                    return BlobFate.PRESENT
            upload = self._begin_upload(repository, blob.digest, mount_from or itself)
        if upload is not None:
            return upload
        return BlobFate.MOUNTED if mount_from else BlobFate.PRESENT

    def move_blob(self, request: CopyRequest, blob: Descriptor, watch: Watch, upload: Upload | None = None) -> BlobFate:
        """Send `blob` in the session `upload`, or in one of its own unless the destination has the blob.

        The last chunk is sent only if size and digest are right.
        """
        session = upload or self.begin_blob(request, blob)
        if isinstance(session, BlobFate):
            return session
        faults: list[CopyError] = []
        with closing(self._checked_download(request, blob, watch, faults)) as chunks:
            try:
                self._target.put_blob(session, blob, chunks)
            except OciError as error:
                if not faults:
                    raise CopyError("destination", request.key, error) from error
                self._target.cancel_upload(session)
                raise faults[0] from error
        if not request.destination_is_new:
            self._try_mount_from_itself(request.destination.name, blob)
        return BlobFate.MOVED

    def _try_mount_from_itself(self, repository: Repository, blob: Descriptor) -> None:
        """Learn, once for each registry, whether it mounts a blob from the repository that has it already.

        docker-registry does. ECR does so only with blob mounting on, and when a manifest refers to the blob. This must
        precede any document that refers to `blob`: docker-registry empties the blob's link for a moment.
        """
        with self._lock:
            if repository.registry in self._mounts_from_itself:
                return
            self._mounts_from_itself[repository.registry] = False
        with suppress(OciError):  # an optimisation: after an error HEAD is used
            upload = self._target.begin_upload(repository, blob.digest, repository)
            self._mounts_from_itself[repository.registry] = upload is None
            if upload is not None:
                self._target.cancel_upload(upload)

    def has_child(self, request: CopyRequest, digest: Digest) -> bool:
        """Whether the destination has a document; False too if looking is forbidden."""
        reference = request.destination.name.with_digest(digest)
        with _at("destination", request.key):
            return _if_allowed(lambda: self._target.head_manifest(reference)) is not None

    def put_child(self, request: CopyRequest, digest: Digest, document: Document) -> None:
        """Put a document that another one points to."""
        with _at("destination", request.key):
            self._target.put_manifest(request.destination.name.with_digest(digest), document)

    def put_tag(self, request: CopyRequest, tree: ImageTree, *, may_be_there: bool) -> bool:
        """Point the tag to the image, all of whose content must be there, and read it back; whether the tag changed."""
        with _at("destination", request.key):
            return self._point(request.destination, tree.documents[tree.digest], may_be_there=may_be_there)

    def put_keeper(self, request: CopyRequest, keeper: Reference) -> bool:
        """Give the image that the tag still has a tag of its own, and read it back; whether that changed anything."""
        if keeper.tag is None:
            raise ValueError(f"`{keeper}` names no tag")
        with _at("destination", request.key):
            document = self._target.get_manifest(keeper)  # by its digest
            return self._point(keeper.with_tag(keeper.tag), document, may_be_there=True)

    def _point(self, tag: Reference, document: Document, *, may_be_there: bool) -> bool:
        """An immutable tag refuses even the image that it has already, so a refusal is followed by another look."""

        def is_done(found: Digest | None) -> bool:
            """A registry may name content by another algorithm than the source does."""
            return found is not None and found == Digest.of(document.raw, found.algorithm)

        if may_be_there and is_done(_if_allowed(lambda: self._tag_digest(tag))):
            return False
        try:
            self._target.put_manifest(tag, document)
        except TagImmutable:
            if not is_done(self._tag_digest(tag)):
                raise
            return False
        found = self._tag_digest(tag)
        if not is_done(found):
            raise NotAsCopied(
                f"`{tag}` points to `{found or 'nothing'}` after `{document.digest}` was put",
                is_missing=found is None,
            )
        return True

    def _begin_upload(self, repository: Repository, digest: Digest, mount_from: Repository | None) -> Upload | None:
        """After a refused link the blob is sent: the credential may cover only `repository`."""
        if mount_from is not None:
            try:
                return self._target.begin_upload(repository, digest, mount_from)
            except RegistryError as error:
                if error.is_temporary:
                    raise
        return self._target.begin_upload(repository, digest)

    def _tag_digest(self, tag: Reference) -> Digest | None:
        return _digest_of(self._target.head_manifest(tag))

    def _checked_download(
        self, request: CopyRequest, blob: Descriptor, watch: Watch, faults: list[CopyError]
    ) -> Generator[bytes]:
        """Verified bytes. An error of the source is also kept in `faults`, for the upload may turn it into another."""
        try:
            with _at("source", request.key), closing(self._download(request, blob, watch)) as chunks:
                yield from verify(chunks, blob)
        except CopyError as error:
            faults.append(error)
            raise

    def _download(self, request: CopyRequest, blob: Descriptor, watch: Watch) -> Generator[bytes]:
        """The blob's bytes, unverified; an interrupted download is resumed."""
        received = 0
        for attempt in range(_RESUMES + 1):
            try:
                with self._source.open_blob(request.source.name, blob, received) as chunks:
                    for chunk in chunks:
                        received += len(chunk)
                        watch(received)
                        yield chunk
            except (ConnectionFailed, RegistryError, SizeMismatch) as error:
                is_cut = isinstance(error, SizeMismatch) or error.is_temporary
                if not is_cut or received > blob.size or attempt == _RESUMES:
                    raise
            if received >= blob.size:
                return


def _digest_of(head: ManifestHead | None) -> Digest | None:
    return None if head is None else head.descriptor.digest


def _if_allowed(look: Callable[[], T]) -> T | None:
    """What `look` finds at the destination; None if looking is forbidden, so that the write decides."""
    try:
        return look()
    except Denied:
        return None


@contextmanager
def _at(side: str, key: str) -> Iterator[None]:
    try:
        yield
    except CopyError:
        raise
    except OciError as error:
        raise CopyError(side, key, error) from error
