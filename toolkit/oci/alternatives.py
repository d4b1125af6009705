"""Other registries that serve the same content: the digest is the upstream's, the bytes come from where they cost less.

Content is named by its hash, so any registry may deliver it, and other bytes are refused. An alternative saves pulls
and cannot make a copy fail: when anything goes wrong with it, the upstream is asked instead.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.oci.descriptor import Descriptor
from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document, ImageManifest, parse
from toolkit.oci.errors import (
    ConnectionFailed,
    CredentialUnusable,
    Denied,
    DigestMismatch,
    InvalidReference,
    NotFound,
    OciError,
    RegistryError,
    Unauthorized,
)
from toolkit.oci.pull_limits import Upstream
from toolkit.oci.reference import DOCKER_HUB, Reference, Repository, without_credential

if TYPE_CHECKING:
    from toolkit.oci.client import ManifestHead

_OFFICIAL = "library"
# A place that lacks so many blobs in a row lacks the image: a repository may have only some of the upstream's images.
_MOST_MISSES = 3


@dataclass(frozen=True, slots=True)
class Alternative:
    """A registry, and the path below which it has the repositories of another registry; `str` is how users write it."""

    registry: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"{self.registry}/{self.prefix}" if self.prefix else self.registry

    @classmethod
    def parse(cls, text: str) -> Alternative:
        """Read `registry` or `registry/path`; InvalidReference says what is wrong with it."""
        host = text.partition("/")[0].lower()
        try:
            found = Reference.parse(f"{text}/{_OFFICIAL}")
        except OciError:
            found = None
        if found is None or found.tag or found.digest or not ("." in host or ":" in host or host == "localhost"):
            raise InvalidReference(
                f"`{without_credential(text)}` is no registry with a path, such as `public.ecr.aws/docker/library`: "
                "a host first, no tag"
            )
        if found.registry == DOCKER_HUB:
            raise InvalidReference(f"`{text}` counts pulls itself: it spares none")
        return cls(found.registry, found.repository.removesuffix(_OFFICIAL).rstrip("/"))

    def place_of(self, repository: Repository) -> Repository | None:
        """Where `repository` is found here; None where it cannot be.

        Its path comes after ours. Where ours ends in `library`, it has Docker Hub's official images and no others, and
        their own `library/` is not repeated.
        """
        path = repository.path
        if self.prefix.rpartition("/")[2] == _OFFICIAL:
            if not path.startswith(f"{_OFFICIAL}/"):
                return None
            path = path.removeprefix(f"{_OFFICIAL}/")
        try:
            return Repository(self.registry, f"{self.prefix}/{path}" if self.prefix else path)
        except InvalidReference:  # the two together are too long
            return None


Tell = Callable[[str, OciError], None]
"""Told once of each registry or repository that is given up for this run, and why."""


class AlternativeSources:
    """`upstream`, with the `alternatives` of each registry asked first for what a digest names.

    Remembers for its lifetime, which is a run, which place lacks what. Safe to share between threads.
    """

    def __init__(
        self,
        upstream: Upstream,
        alternatives: Mapping[str, Sequence[Alternative]],
        tell: Tell = lambda subject, error: None,
    ) -> None:
        self._upstream = upstream
        self._alternatives = alternatives
        self._tell = tell
        self._lock = threading.Lock()
        self._lacking: set[tuple[Repository, Digest]] = set()
        self._given_up: set[str] = set()
        self._misses: Counter[Repository] = Counter()

    def head_manifest(self, ref: Reference) -> ManifestHead | None:
        """As the upstream says: it alone knows what a tag points to."""
        return self._upstream.head_manifest(ref)

    def list_referrers(self, repository: Repository, subject: Digest) -> tuple[Descriptor, ...] | None:
        """As the upstream says: it also knows what belongs to an image."""
        return self._upstream.list_referrers(repository, subject)

    def list_tags(self, repository: Repository) -> tuple[str, ...]:
        """As the upstream says."""
        return self._upstream.list_tags(repository)

    def find(self, ref: Reference) -> Repository | None:
        """Which alternative has the document that the digest of `ref` names, by HEAD; None if none has it."""
        if ref.digest is None:
            return None
        for place in self._places(ref.name, ref.digest):
            try:
                if self._upstream.head_manifest(place.with_digest(ref.digest)) is not None:
                    return place
                self._lacks(place, ref.digest)
            except OciError as error:
                self._learn(place, ref.digest, error)
        return None

    def get_manifest(self, ref: Reference) -> Document:
        """The document; a counted pull only where no alternative has it."""
        if ref.digest is None:
            return self._upstream.get_manifest(ref)
        for place in self._places(ref.name, ref.digest):
            try:
                return self._read(place, ref.digest)
            except OciError as error:
                self._learn(place, ref.digest, error)
        document = self._upstream.get_manifest(ref)
        self._expect_no_blobs(ref.name, document)
        return document

    @contextmanager
    def open_blob(self, repository: Repository, descriptor: Descriptor, offset: int = 0) -> Iterator[Iterator[bytes]]:
        """The blob's bytes from `offset` on.

        Each alternative is asked for a blob once. A second request, or one for the rest, means that what it sent was of
        no use.
        """
        digest = descriptor.digest
        with ExitStack() as stack:
            for place in () if offset else self._places(repository, digest):
                if self._misses[place] >= _MOST_MISSES:
                    continue
                try:
                    chunks = stack.enter_context(self._upstream.open_blob(place, descriptor))
                except OciError as error:
                    self._learn(place, digest, error)
                    self._misses[place] += 1
                else:
                    self._lacks(place, digest)
                    self._misses[place] = 0
                    break
            else:
                chunks = stack.enter_context(self._upstream.open_blob(repository, descriptor, offset))
            yield chunks

    def _places(self, repository: Repository, digest: Digest) -> Iterator[Repository]:
        """Where to ask for `digest`, in order, without the places that are known to lack it."""
        for alternative in self._alternatives.get(repository.registry, ()):
            place = alternative.place_of(repository)
            if place is None or place == repository:
                continue
            with self._lock:
                is_out = {str(place), place.registry} & self._given_up or (place, digest) in self._lacking
            if not is_out:
                yield place

    def _read(self, place: Repository, digest: Digest) -> Document:
        document = self._upstream.get_manifest(place.with_digest(digest))
        if Digest.of(document.raw, digest.algorithm) != digest:
            raise DigestMismatch(f"`{place}` has other content under `{digest}`")
        parse(document)  # the right bytes under a wrong type would fail later, and the upstream has them right
        return document

    def _expect_no_blobs(self, repository: Repository, document: Document) -> None:
        """Do not ask a place for the blobs of an image whose document it lacks."""
        try:
            parsed = parse(document)
        except OciError:
            return  # whoever reads the document reports what is wrong with it
        if isinstance(parsed, ImageManifest):
            for blob in parsed.blobs:
                for place in self._places(repository, blob.digest):
                    self._lacks(place, blob.digest)

    def _lacks(self, place: Repository, digest: Digest) -> None:
        with self._lock:
            self._lacking.add((place, digest))

    def _learn(self, place: Repository, digest: Digest, error: OciError) -> None:
        """Whether `error` is about this digest alone: a repository may be closed, a registry down."""
        match error:
            case NotFound() if "NAME_UNKNOWN" in error.error_codes:
                self._give_up(str(place), None)
            case NotFound():
                self._lacks(place, digest)
            case Unauthorized() | Denied() | CredentialUnusable():
                self._give_up(str(place), error)
            case ConnectionFailed() | RegistryError():
                self._give_up(place.registry, error)
            case _:
                self._lacks(place, digest)

    def _give_up(self, subject: str, error: OciError | None) -> None:
        with self._lock:
            is_new = subject not in self._given_up
            self._given_up.add(subject)
        if is_new and error is not None:
            self._tell(subject, error)
