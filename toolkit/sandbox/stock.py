"""The synthetic images of one upstream stand-in, and how often each tag has moved.

Every document of an image with attestations is also signed.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path

from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference
from toolkit.sandbox.images import Shape, make_image, make_sbom, make_signature, shape_of
from toolkit.sandbox.store import BlobStore, DiskDocuments, StoredDocument, write_atomically


class Stock:
    """Images of a stand-in, on disk in `folder`; thread-safe."""

    def __init__(self, folder: Path) -> None:
        self.blobs = BlobStore(folder)
        self.documents = DiskDocuments(folder)
        self._file = folder / "generations.json"
        self._generations: dict[str, int] = json.loads(self._file.read_text()) if self._file.exists() else {}
        self._lock = threading.Lock()

    def provide(self, reference: Reference) -> bool:
        """Make the image of a reference unless it exists; False if the reference pins other content."""
        repository, tag = reference.repository, reference.tag
        with self._lock:
            if tag is not None and self.documents.find(repository, tag) is None:
                self._make(reference, tag, self._generations.get(f"{repository}:{tag}", 0))
        return reference.digest is None or self.documents.find(repository, str(reference.digest)) is not None

    def bump(self, reference: Reference) -> Digest:
        """Move the tag to another image; the former image stays available by digest."""
        if reference.tag is None:
            raise ValueError(f"`{reference}` has no tag")
        name = f"{reference.repository}:{reference.tag}"
        with self._lock:
            generation = self._generations.get(name, 0) + 1
            digest = self._make(reference, reference.tag, generation)
            self._generations[name] = generation
            write_atomically(self._file, json.dumps(self._generations).encode())
            return digest

    def _make(self, reference: Reference, tag: str, generation: int) -> Digest:
        repository = reference.repository

        kept: list[StoredDocument] = []

        def keep_blob(blob: bytes) -> Digest:
            return self.blobs.put(repository, blob)

        def keep_document(document: StoredDocument) -> None:
            self.documents.put(repository, document, None)
            kept.append(document)

        image = make_image(reference.with_tag(tag), keep_blob, keep_document, generation)
        if shape_of(reference.with_tag(tag)) is Shape.OCI_WITH_ATTESTATIONS:
            for document in (*kept, image):
                signature_tag, signature = make_signature(reference, document, keep_blob)
                self.documents.put(repository, signature, signature_tag)
                self.documents.put(repository, make_sbom(document, keep_blob), None)
        self.documents.put(repository, image, tag)
        return image.digest
