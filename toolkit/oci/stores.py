"""One source and target for registries and layouts: each call goes to the one that the image is at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from toolkit.oci.client import ManifestHead, Upload
from toolkit.oci.copy import Source, Target
from toolkit.oci.descriptor import Descriptor
from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document
from toolkit.oci.layout_reference import LAYOUTS
from toolkit.oci.reference import Reference, Repository


class Store(Source, Target, Protocol):
    """Source and target in one."""

    def list_tags(self, repository: Repository) -> tuple[str, ...]:
        """Every tag; NotFound without the repository."""


class Stores:
    """`layouts` for `oci:DIR`, `registries` for the rest."""

    def __init__(self, registries: Store, layouts: Store) -> None:
        self._registries = registries
        self._layouts = layouts

    def _of(self, place: Reference | Repository) -> Store:
        return self._layouts if place.registry == LAYOUTS else self._registries

    def get_manifest(self, ref: Reference) -> Document:
        """The document."""
        return self._of(ref).get_manifest(ref)

    def head_manifest(self, ref: Reference) -> ManifestHead | None:
        """What a tag or digest points to."""
        return self._of(ref).head_manifest(ref)

    def list_referrers(self, repository: Repository, subject: Digest) -> tuple[Descriptor, ...] | None:
        """What refers to a document."""
        return self._of(repository).list_referrers(repository, subject)

    def list_tags(self, repository: Repository) -> tuple[str, ...]:
        """Every tag."""
        return self._of(repository).list_tags(repository)

    def put_manifest(self, ref: Reference, document: Document) -> None:
        """Store a document."""
        self._of(ref).put_manifest(ref, document)

    def has_blob(self, repository: Repository, digest: Digest) -> bool:
        """Whether the blob is there."""
        return self._of(repository).has_blob(repository, digest)

    def open_blob(
        self, repository: Repository, descriptor: Descriptor, offset: int = 0
    ) -> AbstractContextManager[Iterator[bytes]]:
        """The blob's bytes."""
        return self._of(repository).open_blob(repository, descriptor, offset)

    def begin_upload(
        self, repository: Repository, digest: Digest, mount_from: Repository | None = None
    ) -> Upload | None:
        """A session for one blob, or None."""
        return self._of(repository).begin_upload(repository, digest, mount_from)

    def put_blob(self, upload: Upload, descriptor: Descriptor, chunks: Iterable[bytes]) -> None:
        """Send a blob."""
        self._of(upload.repository).put_blob(upload, descriptor, chunks)

    def cancel_upload(self, upload: Upload) -> None:
        """Cancel a session."""
        self._of(upload.repository).cancel_upload(upload)
