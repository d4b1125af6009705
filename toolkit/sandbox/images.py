"""Synthetic images for references: valid, small, and the same on every machine.

A Docker daemon can pull them and build on them. The images of a distribution share one layer, the images of a
repository a second one. So a copy meets blobs that exist already and blobs that another repository has.

`make_signature` and `make_sbom` make what a publisher puts beside an image. The signature is good, by a key that the
how-to for `verify` has.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import struct
import tarfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.media_types import (
    DOCKER_CONFIG,
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
)
from toolkit.oci.reference import Reference
from toolkit.sandbox.store import StoredDocument

PLATFORMS = (Platform("linux", "amd64"), Platform("linux", "arm64", "v8"), Platform("linux", "arm", "v7"))
CREATED = "2024-05-01T00:00:00Z"
_EPOCH = 1714521600
_STORED_BLOCK = 65535
_DISTRIBUTION_BYTES, _REPOSITORY_BYTES, _TAG_BYTES = 600_000, 400_000, 300_000
_ARCHITECTURE = re.compile(r"(?:^|[-/])(amd64|arm64|arm)(?:v[78])?(?:$|/)")

KeepBlob = Callable[[bytes], Digest]
KeepDocument = Callable[[StoredDocument], None]


class Shape(Enum):
    """The kinds of images that real upstreams have."""

    OCI_WITH_ATTESTATIONS = "OCI index with attestations"
    DOCKER_LIST = "Docker manifest list"
    DOCKER_SINGLE = "Docker manifest for one platform"


@dataclass(frozen=True, slots=True)
class _Dialect:
    """The media types of one family of documents."""

    index: str
    manifest: str
    config: str
    layer: str
    indent: int


_OCI = _Dialect(
    OCI_INDEX,
    OCI_MANIFEST,
    OCI_CONFIG,
    "application/vnd.oci.image.layer.v1.tar+gzip",
    2,
)
_DOCKER = _Dialect(
    DOCKER_MANIFEST_LIST,
    DOCKER_MANIFEST,
    DOCKER_CONFIG,
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    3,
)


def shape_of(reference: Reference) -> Shape:
    """The kind of image for a reference: always the same for the same name and tag."""
    if _single_platform(reference) is not None:
        return Shape.DOCKER_SINGLE
    name = f"{reference.repository}:{reference.tag}"
    return (Shape.OCI_WITH_ATTESTATIONS, Shape.DOCKER_LIST)[hashlib.sha256(name.encode()).digest()[13] % 2]


def make_image(
    reference: Reference, keep_blob: KeepBlob, keep_document: KeepDocument, generation: int = 0
) -> StoredDocument:
    """Make the image of `reference`, pass its parts to the callbacks, children first, and return the tag's document.

    Another `generation` is another image: the one that upstream has after the tag was moved.
    """
    shape = shape_of(reference)
    maker = _Maker(reference, _OCI if shape is Shape.OCI_WITH_ATTESTATIONS else _DOCKER, keep_blob, generation)
    single = _single_platform(reference)
    if single is not None:
        return maker.manifest(single)
    children = []
    for platform in PLATFORMS:
        child = maker.manifest(platform)
        keep_document(child)
        children.append(_pointer(child) | {"platform": _platform_fields(platform)})
    if shape is Shape.OCI_WITH_ATTESTATIONS:
        for described in [str(child["digest"]) for child in children]:
            attestation = maker.attestation(described)
            keep_document(attestation)
            children.append(_pointer(attestation) | _attestation_fields(described))
    return maker.document(maker.dialect.index, {"manifests": children})


class _Maker:
    """Makes the parts of one image."""

    def __init__(self, reference: Reference, dialect: _Dialect, keep_blob: KeepBlob, generation: int) -> None:
        self._reference = reference
        self.dialect = dialect
        self._keep_blob = keep_blob
        self._generation = generation

    def manifest(self, platform: Platform) -> StoredDocument:
        """The manifest for one platform; its blobs are passed to `keep_blob`."""
        layers, diff_ids = [], []
        for files in self._layer_files(platform):
            tar = _tar(files)
            packed = _gzip(tar)
            diff_ids.append(str(Digest.of(tar)))
            layers.append(self._blob(self.dialect.layer, packed))
        config = {
            "architecture": platform.architecture,
            "os": platform.os,
            **({"variant": platform.variant} if platform.variant else {}),
            "created": CREATED,
            "config": {
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "Labels": {"org.opencontainers.image.ref.name": str(self._reference)},
            },
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [{"created": CREATED, "created_by": f"made up, layer {i}"} for i in range(len(layers))],
        }
        return self._manifest(config, layers)

    def attestation(self, described: str) -> StoredDocument:
        """The attestation that BuildKit adds to an image: a manifest with statements about `described`."""
        layers, diff_ids = [], []
        for predicate in ("https://spdx.dev/Document", "https://slsa.dev/provenance/v0.2"):
            statement: dict[str, object] = {
                "_type": "https://in-toto.io/Statement/v0.1",
                "predicateType": predicate,
                "subject": [{"name": str(self._reference), "digest": {"sha256": described.removeprefix("sha256:")}}],
                "predicate": {},
            }
            content = json.dumps(statement).encode()
            diff_ids.append(str(Digest.of(content)))
            annotations = {"annotations": {"in-toto.io/predicate-type": predicate}}
            layers.append(self._blob("application/vnd.in-toto+json", content) | annotations)
        rootfs = {"type": "layers", "diff_ids": diff_ids}
        return self._manifest({"architecture": "unknown", "os": "unknown", "config": {}, "rootfs": rootfs}, layers)

    def document(self, media_type: str, fields: Mapping[str, object]) -> StoredDocument:
        """A document with the indentation of the usual tools: to serialise it again changes its digest."""
        content = {"schemaVersion": 2, "mediaType": media_type, **fields}
        return StoredDocument(media_type, json.dumps(content, indent=self.dialect.indent).encode())

    def _manifest(self, config: Mapping[str, object], layers: list[dict[str, object]]) -> StoredDocument:
        blob = self._blob(self.dialect.config, json.dumps(config).encode())
        return self.document(self.dialect.manifest, {"config": blob, "layers": layers})

    def _blob(self, media_type: str, content: bytes) -> dict[str, object]:
        return {"mediaType": media_type, "digest": str(self._keep_blob(content)), "size": len(content)}

    def _layer_files(self, platform: Platform) -> list[dict[str, bytes]]:
        """The files of each layer: the distribution's, the repository's and the tag's own."""
        path, tag = self._reference.repository, self._reference.tag or "latest"
        distribution = "alpine" if "alpine" in f"{path}:{tag}" else "debian"
        name = path.rpartition("/")[2]
        own = f"{path}:{tag} {platform} {self._generation}"
        return [
            {
                "etc/os-release": f"ID={distribution}\nPRETTY_NAME=made up\n".encode(),
                "usr/lib/distribution.bin": _noise(f"{distribution} {platform}", _DISTRIBUTION_BYTES),
            },
            {f"usr/share/{name}/{name}.bin": _noise(f"{path} {platform}", _REPOSITORY_BYTES)},
            {
                f"etc/{name}.release": f"reference={self._reference}\ngeneration={self._generation}\n".encode(),
                f"usr/share/{name}/{name}-{tag}.bin": _noise(own, _TAG_BYTES),
            },
        ]


def _single_platform(reference: Reference) -> Platform | None:
    """The platform in a name, such as `arm64v8/nginx:1.16` or `coredns:v1-amd64`."""
    for text in (reference.repository, reference.tag or ""):
        match = _ARCHITECTURE.search(text)
        if match:
            return next(platform for platform in PLATFORMS if platform.architecture == match[1])
    return None


def _pointer(document: StoredDocument) -> dict[str, object]:
    return {"mediaType": document.media_type, "digest": str(document.digest), "size": len(document.raw)}


def _platform_fields(platform: Platform) -> dict[str, str]:
    fields = {"architecture": platform.architecture, "os": platform.os}
    return fields | ({"variant": platform.variant} if platform.variant else {})


def _attestation_fields(described: object) -> dict[str, object]:
    return {
        "annotations": {
            "vnd.docker.reference.digest": described,
            "vnd.docker.reference.type": "attestation-manifest",
        },
        "platform": {"architecture": "unknown", "os": "unknown"},
    }


def _noise(seed: str, size: int) -> bytes:
    """Bytes that cannot be compressed."""
    return hashlib.shake_256(seed.encode()).digest(size)


def _tar(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(content), _EPOCH, 0o644
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def _gzip(data: bytes) -> bytes:
    """Gzip without compression: zlib's output differs between versions, and the digests must not."""
    blocks = [data[start : start + _STORED_BLOCK] for start in range(0, len(data), _STORED_BLOCK)] or [b""]
    body = b"".join(
        struct.pack("<BHH", number == len(blocks) - 1, len(block), len(block) ^ 0xFFFF) + block
        for number, block in enumerate(blocks)
    )
    header = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    return header + body + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def make_signature(
    reference: Reference, signed: StoredDocument, keep_blob: Callable[[bytes], Digest]
) -> tuple[str, StoredDocument]:
    """The tag and the manifest of cosign's signature of `signed`; its blobs are passed to `keep_blob`."""
    payload = {
        "critical": {
            "identity": {"docker-reference": f"{reference.registry}/{reference.repository}"},
            "image": {"docker-manifest-digest": str(signed.digest)},
            "type": "cosign container image signature",
        },
        "optional": None,
    }
    content = json.dumps(payload).encode()
    layer = _blob_pointer("application/vnd.dev.cosign.simplesigning.v1+json", content, keep_blob)
    layer["annotations"] = {"dev.cosignproject.cosign/signature": base64.b64encode(_sign(content)).decode()}
    config = _blob_pointer(OCI_CONFIG, b'{"architecture":"","os":""}', keep_blob)
    return f"{str(signed.digest).replace(':', '-')}.sig", _document({"config": config, "layers": [layer]})


def _sign(content: bytes) -> bytes:
    """By the one publisher of all images; with Ed25519, whose signatures are the same every time."""
    from Crypto.PublicKey import ECC  # noqa: PLC0415  60 ms
    from Crypto.Signature import eddsa  # noqa: PLC0415

    key = ECC.construct(curve="Ed25519", seed=hashlib.sha256(b"publisher of the sandbox").digest())
    return eddsa.new(key, "rfc8032").sign(content)


def make_sbom(signed: StoredDocument, keep_blob: Callable[[bytes], Digest]) -> StoredDocument:
    """An SBOM of `signed` as an OCI 1.1 artifact; its blobs are passed to `keep_blob`."""
    kind = "application/spdx+json"
    content = json.dumps({"spdxVersion": "SPDX-2.3", "name": str(signed.digest)}).encode()
    fields: dict[str, object] = {
        "artifactType": kind,
        "config": _blob_pointer("application/vnd.oci.empty.v1+json", b"{}", keep_blob),
        "layers": [_blob_pointer(kind, content, keep_blob)],
        "subject": {"mediaType": signed.media_type, "digest": str(signed.digest), "size": len(signed.raw)},
        "annotations": {"org.opencontainers.image.created": "2024-05-01T00:00:00Z"},
    }
    return _document(fields)


def _blob_pointer(media_type: str, content: bytes, keep_blob: Callable[[bytes], Digest]) -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(keep_blob(content)), "size": len(content)}


def _document(fields: dict[str, object]) -> StoredDocument:
    content = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, **fields}
    return StoredDocument(OCI_MANIFEST, json.dumps(content, indent=2).encode())
