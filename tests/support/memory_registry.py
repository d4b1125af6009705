"""Registries in memory, source and target of the copy engine, with the faults that a test asks for.

`tests/contract/test_copy_stores.py` holds it to what a real registry does.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from toolkit.oci.client import ManifestHead, PullLimit, Upload
from toolkit.oci.descriptor import Descriptor
from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document, ImageIndex, ImageManifest, parse
from toolkit.oci.errors import ConnectionFailed, NotFound, OciError, RegistryError, TagImmutable, TooManyRequests
from toolkit.oci.reference import Reference, Repository


@dataclass(frozen=True, slots=True)
class Call:
    """A request: `operation` is the method's name, `subject` a repository with tag or digest."""

    operation: str
    repository: Repository
    subject: str


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection breaks after so many bytes of a body."""

    after: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A download ends after so many bytes as if that were all."""

    after: int


@dataclass(frozen=True, slots=True)
class Garbled:
    """A download has one wrong byte."""


@dataclass(frozen=True, slots=True)
class Overlong:
    """A download has one byte too many."""


Fault = OciError | Cut | Ended | Garbled | Overlong


def no_fault(call: Call) -> Fault | None:
    """Everything works."""
    return None


class MemoryRegistry:
    """Every registry that a reference may name. `faults` is asked at each call what goes wrong with it.

    `repositories_exist` False: a repository has to be added to `existing` before anything can be put there, as in ECR.
    `mounts_unreferred` False: a blob is mounted only where a document refers to it already, as in ECR.
    `pulls_left` has the hosts that count pulls, with how many of 100 they still grant.
    `checks_content` False: it takes documents whatever they point to, so that only the one who puts them is to blame.
    `lists_referrers` False: it is from before OCI 1.1.
    """

    def __init__(
        self,
        faults: Callable[[Call], Fault | None] = no_fault,
        *,
        chunk_bytes: int = 16,
        mounts: bool = True,
        mounts_unreferred: bool = True,
        repositories_exist: bool = True,
        checks_content: bool = True,
        lists_referrers: bool = True,
    ) -> None:
        self.faults = faults
        self.mounts = mounts
        self.mounts_unreferred = mounts_unreferred
        self.lists_referrers = lists_referrers
        self.blobs: dict[Repository, dict[Digest, bytes]] = defaultdict(dict)
        self.documents: dict[Repository, dict[Digest, Document]] = defaultdict(dict)
        self.tags: dict[Repository, dict[str, Digest]] = defaultdict(dict)
        self.immutable: set[Repository] = set()
        self.existing: set[Repository] = set()
        self.calls: list[Call] = []
        self.sent_bytes = 0
        self.pulls_left: dict[str, int] = {}
        self._chunk_bytes = chunk_bytes
        self._repositories_exist = repositories_exist
        self._checks_content = checks_content
        self._lock = threading.RLock()

    def count(self, operation: str, host: str = "") -> int:
        """How often a method was called, for repositories of `host` if that is said."""
        return sum(c.operation == operation and (not host or c.repository.registry == host) for c in self.calls)

    def head_manifest(self, ref: Reference) -> ManifestHead | None:
        self._enter("head_manifest", ref.name, ref.target)
        with self._lock:
            document = self._find(ref)
        if document is None:
            return None
        digest = ref.digest or document.digest
        left = self.pulls_left.get(ref.registry)
        limit = None if left is None else PullLimit(100, left, 21600)
        return ManifestHead(Descriptor(document.media_type, digest, len(document.raw)), limit)

    def get_manifest(self, ref: Reference) -> Document:
        self._enter("get_manifest", ref.name, ref.target)
        with self._lock:
            self._count_pull(ref.registry)
            document = self._find(ref)
        if document is None:
            raise _refused(404, ref.name, "MANIFEST_UNKNOWN")
        return document

    def list_referrers(self, repository: Repository, subject: Digest) -> tuple[Descriptor, ...] | None:
        self._enter("list_referrers", repository, str(subject))
        if not self.lists_referrers:
            return None
        with self._lock:
            found = [(document, parse(document)) for document in self.documents[repository].values()]
        return tuple(
            replace(document.descriptor, artifact_type=parsed.artifact_type, annotations=parsed.annotations)
            for document, parsed in found
            if parsed.subject is not None and parsed.subject.digest == subject
        )

    def list_tags(self, repository: Repository) -> tuple[str, ...]:
        self._enter("list_tags", repository, "")
        with self._lock:
            if not self.tags[repository]:
                raise _refused(404, repository, "NAME_UNKNOWN")
            return tuple(self.tags[repository])

    def put_manifest(self, ref: Reference, document: Document) -> None:
        self._enter("put_manifest", ref.name, ref.target)
        parsed = parse(document)
        with self._lock:
            self._check_exists(ref.name)
            if isinstance(parsed, ImageIndex):
                missing = any(child.digest not in self.documents[ref.name] for child in parsed.manifests)
            else:
                missing = any(blob.digest not in self.blobs[ref.name] for blob in parsed.blobs)
            if missing and self._checks_content:
                raise _refused(404, ref.name, "MANIFEST_BLOB_UNKNOWN")
            digest = ref.digest or document.digest
            if Digest.of(document.raw, digest.algorithm) != digest:
                raise _refused(400, ref.name, "DIGEST_INVALID")
            if ref.digest is None and ref.tag is not None:
                if ref.name in self.immutable and ref.tag in self.tags[ref.name]:
                    raise TagImmutable(f"`{ref}` already exists", status=400, host=ref.registry)
                self.tags[ref.name][ref.tag] = digest
            self.documents[ref.name][digest] = document

    def has_blob(self, repository: Repository, digest: Digest) -> bool:
        self._enter("has_blob", repository, str(digest))
        with self._lock:
            return digest in self.blobs[repository]

    @contextmanager
    def open_blob(self, repository: Repository, descriptor: Descriptor, offset: int = 0) -> Iterator[Iterator[bytes]]:
        fault = self._enter("open_blob", repository, str(descriptor.digest))
        with self._lock:
            content = self.blobs[repository].get(descriptor.digest)
        if content is None:
            raise _refused(404, repository, "BLOB_UNKNOWN")
        yield self._chunks(content[offset:], fault, repository)

    def begin_upload(
        self, repository: Repository, digest: Digest, mount_from: Repository | None = None
    ) -> Upload | None:
        self._enter("begin_upload", repository, str(digest))
        with self._lock:
            self._check_exists(repository)
            if mount_from is not None and self._is_mountable(mount_from, digest):
                self.blobs[repository][digest] = self.blobs[mount_from][digest]
                return None
        return Upload(repository, f"memory:{digest}")

    def put_blob(self, upload: Upload, descriptor: Descriptor, chunks: Iterable[bytes]) -> None:
        fault = self._enter("put_blob", upload.repository, str(descriptor.digest))
        content = b""
        for chunk in chunks:
            content += chunk
            with self._lock:
                self.sent_bytes += len(chunk)
            if isinstance(fault, Cut) and len(content) > fault.after:
                break
        if isinstance(fault, Cut) or len(content) != descriptor.size:
            raise ConnectionFailed("the connection broke", host=upload.repository.registry)
        if Digest.of(content, descriptor.digest.algorithm) != descriptor.digest:
            raise _refused(400, upload.repository, "DIGEST_INVALID")
        with self._lock:
            self.blobs[upload.repository][descriptor.digest] = content

    def cancel_upload(self, upload: Upload) -> None:
        self.calls.append(Call("cancel_upload", upload.repository, upload.location))

    def _enter(self, operation: str, repository: Repository, subject: str) -> Fault | None:
        call = Call(operation, repository, subject)
        with self._lock:
            self.calls.append(call)
            fault = self.faults(call)
        if isinstance(fault, OciError):
            raise fault
        return fault

    def _is_mountable(self, repository: Repository, digest: Digest) -> bool:
        if not self.mounts or digest not in self.blobs[repository]:
            return False
        parsed = [parse(document) for document in self.documents[repository].values()]
        referred = {
            blob.digest for manifest in parsed if isinstance(manifest, ImageManifest) for blob in manifest.blobs
        }
        return self.mounts_unreferred or digest in referred

    def _count_pull(self, host: str) -> None:
        if host in self.pulls_left:
            if not self.pulls_left[host]:
                raise TooManyRequests(f"`{host}`: you have reached your pull rate limit", host=host, is_pull_limit=True)
            self.pulls_left[host] -= 1

    def _find(self, ref: Reference) -> Document | None:
        digest = ref.digest or self.tags[ref.name].get(ref.tag or "")
        return self.documents[ref.name].get(digest) if digest else None

    def _check_exists(self, repository: Repository) -> None:
        if not self._repositories_exist and repository not in self.existing:
            raise _refused(404, repository, "NAME_UNKNOWN")

    def _chunks(self, content: bytes, fault: Fault | None, repository: Repository) -> Iterator[bytes]:
        if isinstance(fault, Garbled):
            content = content[:-1] + bytes([content[-1] ^ 1]) if content else b""
        elif isinstance(fault, Overlong):
            content += b"x"
        end = fault.after if isinstance(fault, (Cut, Ended)) else len(content)
        for start in range(0, min(end, len(content)), self._chunk_bytes):
            yield content[start : min(end, start + self._chunk_bytes)]
        if isinstance(fault, Cut):
            raise ConnectionFailed("the connection broke", host=repository.registry)


def _refused(status: int, repository: Repository, code: str) -> RegistryError:
    kind = NotFound if status == 404 else RegistryError
    return kind(
        f"`{repository}` responded with {status}: {code}", status=status, host=repository.registry, error_codes=(code,)
    )
