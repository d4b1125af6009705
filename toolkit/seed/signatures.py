"""Asks upstream for what cosign keeps beside an image, and whether the wanted signature is among it.

An image costs two or three requests, apart from its signatures: a HEAD of cosign's tag and the list of referrers. Each
document with signatures is one counted pull where pulls are counted, and is cached; its layers are blobs, which no
registry counts.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.oci.companions import referrers_tag
from toolkit.oci.cosign import MAX_BYTES, MAX_REFERRERS, Fault, Nearness, Wanted, signed_layers, signed_referrers
from toolkit.oci.descriptor import Descriptor, verify
from toolkit.oci.digest import Digest
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.errors import DigestMismatch, InvalidDocument, NotFound, SizeMismatch, UnsupportedDocument
from toolkit.oci.filtered_index import Document
from toolkit.oci.public_keys import read_public_keys
from toolkit.oci.reference import Reference, Repository

if TYPE_CHECKING:
    from toolkit.lock.model import Verification
    from toolkit.oci.pull_limits import Upstream

_DAMAGED = (DigestMismatch, InvalidDocument, NotFound, SizeMismatch, UnsupportedDocument)
"""What is wrong with one signature. Another one may be good."""


class SignatureCheck:
    """Safe to share between threads. `reads` documents were not in the cache and were read upstream."""

    def __init__(self, upstream: Upstream, cache: DocumentCache) -> None:
        self.reads = 0
        self._upstream = upstream
        self._cache = cache
        self._lock = threading.Lock()

    def verify(self, source: Reference, verification: Verification) -> str | None:
        """None if `source`, which has a digest, is signed as `verification` says; otherwise the reason in words.

        Raises OciError if upstream does not answer, so that nothing is known of the signature.
        """
        if source.digest is None:
            raise ValueError(f"{source} has no digest")
        wanted = Wanted(source.digest, read_public_keys(verification.key), verification.attestation)
        nearest: Fault | None = None
        contents: dict[Digest, bytes] = {}
        size = 0
        for found in self._layers(source.name, wanted):
            if isinstance(found, Fault):
                fault: Fault | None = found
            elif size + found.size > MAX_BYTES:
                fault = Fault(Nearness.UNREADABLE, f"its signatures have more than {MAX_BYTES:,} bytes")
            else:
                size += found.size
                fault = self._judge(source.name, found, wanted, contents)
            if fault is None:
                return None
            nearest = max(nearest, fault) if nearest else fault
        return nearest.reason if nearest else wanted.nothing

    def _layers(self, repository: Repository, wanted: Wanted) -> Iterator[Descriptor | Fault]:
        """Every layer beside the image that may be what is wanted, and what is known of the others."""
        if wanted.tag and (head := self._upstream.head_manifest(repository.with_tag(wanted.tag))):
            yield from self._layers_of(repository, head.descriptor, wanted)
        listed: Document | tuple[Descriptor, ...] | None = self._upstream.list_referrers(repository, wanted.image)
        if listed is None:
            head = self._upstream.head_manifest(repository.with_tag(referrers_tag(wanted.image)))
            listed = self._read(repository, head.descriptor) if head else ()
        referrers = sorted(signed_referrers(listed), key=lambda one: wanted.skips(one) is not None)
        for referrer in referrers[:MAX_REFERRERS]:
            yield from self._layers_of(repository, referrer, wanted)

    def _layers_of(self, repository: Repository, document: Descriptor, wanted: Wanted) -> Iterator[Descriptor | Fault]:
        if fault := wanted.skips(document):
            yield fault
            return
        try:
            yield from (wanted.skips(one) or one for one in signed_layers(self._read(repository, document)))
        except _DAMAGED as error:
            yield Fault(Nearness.UNREADABLE, error.message)

    def _judge(
        self, repository: Repository, layer: Descriptor, wanted: Wanted, contents: dict[Digest, bytes]
    ) -> Fault | None:
        """`contents` are the layers that were read: signatures with several keys are about the same bytes."""
        if layer.digest not in contents:
            try:
                with self._upstream.open_blob(repository, layer) as chunks:
                    contents[layer.digest] = b"".join(verify(chunks, layer))
            except _DAMAGED as error:
                return Fault(Nearness.UNREADABLE, error.message)
        return wanted.judge(layer, contents[layer.digest])

    def _read(self, repository: Repository, document: Descriptor) -> Document:
        reference = repository.with_digest(document.digest)
        read, is_new = self._cache.get_or_read(document.digest, lambda: self._upstream.get_manifest(reference))
        with self._lock:
            self.reads += is_new
        return read
