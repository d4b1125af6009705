"""A source that gets no more requests that count as pulls once it has said that the pulls are used up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from toolkit.oci.descriptor import Descriptor
from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document
from toolkit.oci.errors import TooManyRequests
from toolkit.oci.reference import Reference, Repository

if TYPE_CHECKING:
    from toolkit.oci.client import ManifestHead


class Upstream(Protocol):
    """A source that also tells what there is."""

    def head_manifest(self, ref: Reference) -> ManifestHead | None:
        """What `ref` points to, and the pull limit; None when it is not there. Never a counted pull."""

    def get_manifest(self, ref: Reference) -> Document:
        """The document. May be a counted pull."""

    def list_referrers(self, repository: Repository, subject: Digest) -> tuple[Descriptor, ...] | None:
        """The documents that refer to `subject`; None where the registry cannot list them. Never a counted pull."""

    def list_tags(self, repository: Repository) -> tuple[str, ...]:
        """Every tag; NotFound without the repository. Never a counted pull."""

    def open_blob(
        self, repository: Repository, descriptor: Descriptor, offset: int = 0
    ) -> AbstractContextManager[Iterator[bytes]]:
        """The blob's bytes from `offset` on."""


class PullLimits:
    """`upstream`, whose HEAD responses say when there are pulls again. Safe to share between threads."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._lock = threading.Lock()
        self._reached: dict[str, TooManyRequests] = {}

    def head_manifest(self, ref: Reference) -> ManifestHead | None:
        """As `upstream` says."""
        head = self._upstream.head_manifest(ref)
        if head is not None and (head.pull_limit is None or head.pull_limit.remaining):
            with self._lock:
                self._reached.pop(ref.registry, None)
        return head

    def get_manifest(self, ref: Reference) -> Document:
        """As `upstream` says, or its last refusal again."""
        with self._lock:
            reached = self._reached.get(ref.registry)
        if reached is not None:
            message = f"`{ref}` was not asked for any more: {reached.message}"
            raise TooManyRequests(message, host=reached.host, is_pull_limit=True, hint=reached.hint)
        try:
            return self._upstream.get_manifest(ref)
        except TooManyRequests as error:
            if error.is_pull_limit:
                with self._lock:
                    self._reached[ref.registry] = error
            raise

    def list_referrers(self, repository: Repository, subject: Digest) -> tuple[Descriptor, ...] | None:
        """As `upstream` says: lists are never counted."""
        return self._upstream.list_referrers(repository, subject)

    def list_tags(self, repository: Repository) -> tuple[str, ...]:
        """As `upstream` says."""
        return self._upstream.list_tags(repository)

    def open_blob(
        self, repository: Repository, descriptor: Descriptor, offset: int = 0
    ) -> AbstractContextManager[Iterator[bytes]]:
        """As `upstream` says: blobs are never counted."""
        return self._upstream.open_blob(repository, descriptor, offset)
