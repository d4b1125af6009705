"""ECR's replication: copies what arrives in a registry to other regions, some time later, by moto's configuration.

A document is copied with its blobs, and its tag is set there. What a rule came too late for is copied by a backfill
only. As in ECR, a repository that is missing in the other region is made there with default settings, and a deletion is
not replicated. Rules for other accounts do nothing.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from queue import Queue
from typing import Any

from moto.ecr import models

from toolkit.oci.digest import Digest
from toolkit.oci.media_types import INDEX_TYPES
from toolkit.sandbox.documents import read_links
from toolkit.sandbox.moto_ecr import MotoDocuments
from toolkit.sandbox.store import BlobStore, StoredDocument

# ECR takes minutes; a run that looks once has to find nothing.
_DELAY = 0.5


class Replication:
    """The replication of all registries, in one thread, in the order of arrival. `blobs_of` an account and region."""

    def __init__(self, blobs_of: Callable[[str, str], BlobStore], delay: float = _DELAY) -> None:
        self._blobs_of = blobs_of
        self._delay = delay
        self._queue: Queue[tuple[float, Callable[[], None]]] = Queue()
        threading.Thread(target=self._work, daemon=True).start()

    def arrived(self, account: str, region: str, repository: str, document: StoredDocument, tag: str | None) -> None:
        """Copy `document` to every region that a rule names, and point `tag` to it there."""
        for destination in _destinations(account, region, repository):
            self._copy_later(account, region, destination, repository, document, tag)

    def backfill(self, account: str, region: str, destination: str) -> str:
        """Copy everything to `destination` that a rule is about; the id of the backfill. None of it is compared."""
        for repository in tuple(models.ecr_backends[account][region].repositories.values()):
            if destination not in _destinations(account, region, repository.name):
                continue
            # Indexes come last, as their children have to be there.
            for image in sorted(repository.images, key=lambda one: one.image_manifest_media_type in INDEX_TYPES):
                document = StoredDocument(image.image_manifest_media_type, image.image_manifest.encode())
                for tag in image.image_tags or [None]:
                    self._copy_later(account, region, destination, repository.name, document, tag)
        return secrets.token_hex(16)

    def _copy_later(
        self, account: str, region: str, destination: str, repository: str, document: StoredDocument, tag: str | None
    ) -> None:
        def copy() -> None:
            backend: Any = models.ecr_backends[account][destination]
            if repository not in backend.repositories:
                backend.create_repository(repository, None, None, None, "MUTABLE", [])
            source, target = self._blobs_of(account, region), self._blobs_of(account, destination)
            if document.media_type not in INDEX_TYPES:
                for digest in map(Digest.parse, read_links(document)):
                    if path := source.find(repository, digest):
                        target.put(repository, path.read_bytes())
            MotoDocuments(account, destination).put(repository, document, tag)

        self._queue.put((time.monotonic() + self._delay, copy))

    def _work(self) -> None:
        while True:
            due, copy = self._queue.get()
            time.sleep(max(0.0, due - time.monotonic()))
            copy()


def _destinations(account: str, region: str, repository: str) -> list[str]:
    """The other regions of the account to which a rule copies `repository`."""
    return [
        destination["region"]
        for rule in models.ecr_backends[account][region].replication_config["rules"]
        if not rule.get("repositoryFilters")
        or any(repository.startswith(one["filter"]) for one in rule["repositoryFilters"])
        for destination in rule["destinations"]
        if destination["registryId"] == account
    ]
