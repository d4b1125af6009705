"""The documents of a registry: image manifests and image indexes, OCI's and Docker's.

`Document` is the raw bytes with their media type, and only raw bytes travel. `ImageManifest` and `ImageIndex` are views
for reading. Unknown fields are nobody's business; a known one that is wrong makes the document invalid.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from toolkit.oci.descriptor import Annotations, Descriptor, Platform
from toolkit.oci.digest import Digest
from toolkit.oci.errors import InvalidDigest, InvalidDocument, UnsupportedDocument
from toolkit.oci.media_types import (
    COPYABLE,
    DOCKER_SCHEMA_1,
    DOCKER_SCHEMA_1_SIGNED,
    INDEX_TYPES,
    MANIFEST_TYPES,
    OCI_ARTIFACT_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    SCHEMA_1_TYPES,
)

# Schema 1 is among them so that a registry that has nothing else says so, instead of 404.
ACCEPT = ", ".join((*COPYABLE, DOCKER_SCHEMA_1_SIGNED, DOCKER_SCHEMA_1))

_DOCUMENT_TYPES = INDEX_TYPES | MANIFEST_TYPES | SCHEMA_1_TYPES | {OCI_ARTIFACT_MANIFEST}

# Layers that live at `urls` of their owner (Windows base layers) and that registries do not hold.
_FOREIGN_TYPES = (
    "application/vnd.docker.image.rootfs.foreign.",
    "application/vnd.oci.image.layer.nondistributable.",
)


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest or index as the registry holds it, byte for byte."""

    media_type: str
    raw: bytes = field(repr=False)

    def __str__(self) -> str:
        return str(self.descriptor)

    @property
    def digest(self) -> Digest:
        """Computed from the bytes."""
        return Digest.of(self.raw)

    @property
    def descriptor(self) -> Descriptor:
        """How another document would point to this one."""
        return Descriptor(self.media_type, self.digest, len(self.raw))

    @property
    def is_index(self) -> bool:
        """Whether the media type is that of an index."""
        return self.media_type in INDEX_TYPES


@dataclass(frozen=True, slots=True)
class ImageManifest:
    """One image for one platform, or an artifact in the shape of one."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: Annotations = ()

    def __str__(self) -> str:
        return f"image with config {self.config.digest} and {len(self.layers)} layers"

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """What must be at a registry before this manifest: each once, without layers that live elsewhere."""
        held = (d for d in (self.config, *self.layers) if not (d.urls and d.media_type.startswith(_FOREIGN_TYPES)))
        return tuple({d.digest: d for d in held}.values())


@dataclass(frozen=True, slots=True)
class ImageIndex:
    """Images of several platforms under one name, with what belongs to them; children may be indexes themselves."""

    media_type: str
    manifests: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: Annotations = ()

    def __str__(self) -> str:
        return f"index of {len(self.manifests)} manifests"

    @property
    def documents(self) -> tuple[Descriptor, ...]:
        """The children that are documents themselves."""
        return tuple(child for child in self.manifests if child.media_type in _DOCUMENT_TYPES)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The children that are blobs: a build cache of BuildKit is an index of layers."""
        return tuple(child for child in self.manifests if child.media_type not in _DOCUMENT_TYPES)


def parse(document: Document) -> ImageManifest | ImageIndex:
    """Read `document`, strictly: what two readers could understand differently is refused."""
    if document.media_type in SCHEMA_1_TYPES:
        raise _schema_1()
    if document.media_type not in INDEX_TYPES | MANIFEST_TYPES:
        raise UnsupportedDocument(f"a document of type `{document.media_type}` is neither an image nor an index")
    found = read_object(document.raw)
    if found.get("schemaVersion") == 1:
        raise _schema_1()
    if found.get("schemaVersion") != 2:
        raise InvalidDocument("`schemaVersion` is not 2")
    if found.get("mediaType", document.media_type) != document.media_type:
        raise InvalidDocument(f"a document served as `{document.media_type}` calls itself something else")
    if document.is_index:
        if found.get("layers") is not None or found.get("config") is not None:
            raise InvalidDocument("an index has the fields of an image manifest too")
        return _image_index(document.media_type, found)
    if found.get("manifests") is not None:
        raise InvalidDocument("an image manifest has the fields of an index too")
    return _image_manifest(document.media_type, found)


def media_type_of(content_type: str | None, raw: bytes) -> str:
    """The media type of a document from its `Content-Type`; where that says nothing, from the document itself."""
    served = (content_type or "").partition(";")[0].strip().lower()
    if served and served not in ("application/json", "text/plain", "application/octet-stream", "text/html"):
        return served
    found = read_object(raw)
    own = found.get("mediaType")
    if isinstance(own, str):
        return own
    if found.get("schemaVersion") == 1:
        return DOCKER_SCHEMA_1
    return OCI_INDEX if "manifests" in found and "config" not in found else OCI_MANIFEST


def read_object(raw: bytes) -> dict[str, object]:
    """The JSON object in `raw`."""
    try:
        found = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise InvalidDocument("a document is no JSON") from None
    if not isinstance(found, dict):
        raise InvalidDocument("a document is no JSON object")
    return found


def read_descriptor(found: object, path: str) -> Descriptor:
    """The descriptor in `found`; `path` is its place, for messages."""
    if not isinstance(found, dict):
        raise InvalidDocument(f"`{path}` is no descriptor")
    size = found.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise InvalidDocument(f"`{path}.size` is no number of bytes")
    try:
        digest = Digest.parse(_text(found, "digest", path))
    except InvalidDigest as fault:
        raise InvalidDocument(f"`{path}.digest`: {fault.message}") from None
    urls = found.get("urls") or []
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise InvalidDocument(f"`{path}.urls` is no list of texts")
    return Descriptor(
        media_type=_text(found, "mediaType", path),
        digest=digest,
        size=size,
        platform=_platform(found.get("platform"), f"{path}.platform"),
        annotations=_annotations(found, path),
        artifact_type=_optional_text(found, "artifactType", path),
        urls=tuple(urls),
    )


def _image_manifest(media_type: str, found: Mapping[str, object]) -> ImageManifest:
    return ImageManifest(
        media_type=media_type,
        config=read_descriptor(found.get("config"), "config"),
        layers=_descriptors(found, "layers"),
        subject=_subject(found),
        artifact_type=_optional_text(found, "artifactType", ""),
        annotations=_annotations(found, ""),
    )


def _image_index(media_type: str, found: Mapping[str, object]) -> ImageIndex:
    return ImageIndex(
        media_type=media_type,
        manifests=_descriptors(found, "manifests"),
        subject=_subject(found),
        artifact_type=_optional_text(found, "artifactType", ""),
        annotations=_annotations(found, ""),
    )


def _descriptors(found: Mapping[str, object], key: str) -> tuple[Descriptor, ...]:
    """A list of descriptors. Programs in Go write an empty one as `null`."""
    listed = found.get(key)
    if listed is None:
        return ()
    if not isinstance(listed, list):
        raise InvalidDocument(f"`{key}` is no list")
    return tuple(read_descriptor(one, f"{key}[{i}]") for i, one in enumerate(listed))


def _subject(found: Mapping[str, object]) -> Descriptor | None:
    subject = found.get("subject")
    return None if subject is None else read_descriptor(subject, "subject")


def _platform(found: object, path: str) -> Platform | None:
    if found is None:
        return None
    if not isinstance(found, dict):
        raise InvalidDocument(f"`{path}` is no object")
    system, architecture = _optional_text(found, "os", path), _optional_text(found, "architecture", path)
    variant = _optional_text(found, "variant", path) or ""
    version = _optional_text(found, "os.version", path) or ""
    return Platform(system, architecture, variant, version) if system and architecture else None


def _annotations(found: Mapping[str, object], path: str) -> Annotations:
    annotations = found.get("annotations")
    if annotations is None:
        return ()
    if not isinstance(annotations, dict) or not all(isinstance(value, str) for value in annotations.values()):
        raise InvalidDocument(f"`{_join(path, 'annotations')}` is no mapping of texts")
    return tuple(annotations.items())


def _text(found: Mapping[str, object], key: str, path: str) -> str:
    text = found.get(key)
    if not isinstance(text, str) or not text:
        raise InvalidDocument(f"`{_join(path, key)}` is no text")
    return text


def _optional_text(found: Mapping[str, object], key: str, path: str) -> str | None:
    text = found.get(key)
    if text is not None and not isinstance(text, str):
        raise InvalidDocument(f"`{_join(path, key)}` is no text")
    return text or None


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _refuse_constant(text: str) -> None:
    raise ValueError(text)


def _schema_1() -> UnsupportedDocument:
    return UnsupportedDocument(
        "the image is in Docker's schema 1 format, which ECR and current Docker releases refuse",
        hint="Choose a newer tag, or rebuild the image with a current Docker.",
    )
