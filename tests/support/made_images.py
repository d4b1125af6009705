"""Small images made for tests, and what they are made of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.memory_registry import MemoryRegistry
from toolkit.oci.copy import Target
from toolkit.oci.descriptor import Descriptor
from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document, ImageIndex, ImageManifest, parse
from toolkit.oci.media_types import OCI_INDEX, OCI_MANIFEST
from toolkit.oci.reference import Reference, Repository

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True, slots=True)
class MadeImage:
    """A document with all that it points to, deepest first."""

    document: Document
    blobs: dict[Digest, bytes]
    children: tuple[MadeImage, ...] = ()

    @property
    def digest(self) -> Digest:
        return self.document.digest


def image(layers: Sequence[bytes], platform: str = "linux/amd64", *, config: bytes | None = None) -> MadeImage:
    """An image with these layers; two with the same layers and platform are the same."""
    system, architecture = platform.split("/")[:2]
    if config is None:
        config = json.dumps({"os": system, "architecture": architecture, "layers": len(layers)}).encode()
    contents = {Digest.of(content): content for content in (config, *layers)}
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(CONFIG, config),
        "layers": [descriptor(LAYER, layer) for layer in layers],
    }
    return MadeImage(Document(OCI_MANIFEST, json.dumps(document).encode()), contents)


def index(*children: tuple[str, MadeImage], note: str = "") -> MadeImage:
    """An index of images by platform; a platform of "" is left out, and `note` makes another index of the same."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [
            descriptor(child.document.media_type, child.document.raw)
            | ({"platform": dict(zip(("os", "architecture"), platform.split("/"), strict=False))} if platform else {})
            for platform, child in children
        ],
        "annotations": {"note": note},
    }
    return MadeImage(Document(OCI_INDEX, json.dumps(document).encode()), {}, tuple(child for _, child in children))


def referrer(subject: MadeImage, content: bytes, artifact_type: str = "application/vnd.test.sbom") -> MadeImage:
    """A document that refers to `subject`, as OCI 1.1 has it: the image of no platform."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [descriptor("application/octet-stream", content)],
        "subject": descriptor(subject.document.media_type, subject.document.raw),
    }
    contents = {Digest.of(part): part for part in (b"{}", content)}
    return MadeImage(Document(OCI_MANIFEST, json.dumps(document).encode()), contents)


def descriptor(media_type: str, content: bytes) -> dict[str, object]:
    """The JSON that points to `content`."""
    return {"mediaType": media_type, "digest": str(Digest.of(content)), "size": len(content)}


def store(registry: MemoryRegistry, made: MadeImage, reference: str) -> Reference:
    """Put an image where a test expects it; the reference with its digest."""
    found = Reference.parse(reference)
    _store(registry, made, found.name)
    if found.tag:
        registry.tags[found.name][found.tag] = made.digest
    return found.with_digest(made.digest)


def push(target: Target, made: MadeImage, reference: Reference) -> None:
    """The same through a target's own methods."""
    for child in made.children:
        push(target, child, reference.name.with_digest(child.digest))
    for digest, content in made.blobs.items():
        upload = target.begin_upload(reference.name, digest)
        assert upload is not None
        target.put_blob(upload, Descriptor(LAYER, digest, len(content)), [content] if content else [])
    target.put_manifest(reference, made.document)


def whole(registry: MemoryRegistry, reference: Reference) -> bool:
    """Whether everything under a tag or digest is there and is what its digest says."""
    digest = reference.digest or registry.tags[reference.name].get(reference.tag or "")
    document = registry.documents[reference.name].get(digest) if digest else None
    if digest is None or document is None or Digest.of(document.raw, digest.algorithm) != digest:
        return False
    parsed = parse(document)
    if isinstance(parsed, ImageIndex):
        return all(whole(registry, reference.name.with_digest(child.digest)) for child in parsed.manifests)
    assert isinstance(parsed, ImageManifest)
    held = registry.blobs[reference.name]
    return all(
        Digest.of(held[blob.digest]) == blob.digest and len(held[blob.digest]) == blob.size
        if blob.digest in held
        else False
        for blob in parsed.blobs
    )


def _store(registry: MemoryRegistry, made: MadeImage, repository: Repository) -> None:
    for child in made.children:
        _store(registry, child, repository)
    registry.blobs[repository].update(made.blobs)
    registry.documents[repository][made.digest] = made.document
