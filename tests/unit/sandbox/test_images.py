from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile

import pytest

from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document, ImageIndex, ImageManifest, parse
from toolkit.oci.reference import Reference
from toolkit.sandbox.images import Shape, make_image, shape_of
from toolkit.sandbox.store import StoredDocument


class Made:
    """An image with all of its parts, as a registry would have them."""

    def __init__(self, reference: str, generation: int = 0) -> None:
        self.blobs: dict[str, bytes] = {}
        self.documents: dict[str, StoredDocument] = {}
        self.top = make_image(Reference.parse(reference), self.keep_blob, self.keep_document, generation)

    def keep_blob(self, content: bytes) -> Digest:
        digest = Digest.of(content)
        self.blobs[str(digest)] = content
        return digest

    def keep_document(self, document: StoredDocument) -> None:
        self.documents[str(document.digest)] = document

    def manifests(self) -> list[ImageManifest]:
        parsed = parse(Document(self.top.media_type, self.top.raw))
        if isinstance(parsed, ImageManifest):
            return [parsed]
        found = [self.documents[str(child.digest)] for child in parsed.manifests]
        return [m for d in found if isinstance(m := parse(Document(d.media_type, d.raw)), ImageManifest)]


ALL_SHAPES = ["python:3.12-slim", "nginx:1.16", "arm64v8/nginx:1.16"]


def test_every_shape_is_among_the_examples() -> None:
    assert {shape_of(Reference.parse(name)) for name in ALL_SHAPES} == set(Shape)


@pytest.mark.parametrize(
    ("reference", "digest"),
    [
        ("nginx:1.16", "sha256:96d9900b579aed3f8fcf98fc25edfc4e44320a17af37ca414499441349b46109"),
        ("python:3.12-slim", "sha256:d3a800572b59f3eb22765e0dd224bf892fe6bb1f9c9bfa38bce9ffe93c92ce86"),
        ("arm64v8/nginx:1.16", "sha256:e55210310268b6d46d60db10a1373b4bd1830f7cdcaaa3e5a5141dc0e79bb618"),
    ],
)
def test_image_is_the_same_on_every_machine(reference: str, digest: str) -> None:
    assert str(Made(reference).top.digest) == digest


@pytest.mark.parametrize("reference", ALL_SHAPES)
def test_every_descriptor_has_the_digest_and_size_of_what_it_points_to(reference: str) -> None:
    made = Made(reference)
    top = parse(Document(made.top.media_type, made.top.raw))
    if isinstance(top, ImageIndex):
        for child in top.manifests:
            document = made.documents[str(child.digest)]
            assert (child.size, child.media_type) == (len(document.raw), document.media_type)
    for manifest in made.manifests():
        for blob in manifest.blobs:
            assert blob.size == len(made.blobs[str(blob.digest)])


@pytest.mark.parametrize("reference", ALL_SHAPES)
def test_layers_are_archives_that_the_config_names_by_their_content(reference: str) -> None:
    made = Made(reference)
    for manifest in made.manifests():
        config = json.loads(made.blobs[str(manifest.config.digest)])
        if config["os"] == "unknown":
            continue  # an attestation
        unpacked = [gzip.decompress(made.blobs[str(layer.digest)]) for layer in manifest.layers]
        assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in unpacked]
        with tarfile.open(fileobj=io.BytesIO(unpacked[0])) as archive:
            assert "etc/os-release" in archive.getnames()


def test_attestations_name_the_images_they_belong_to() -> None:
    made = Made("python:3.12-slim")
    top = parse(Document(made.top.media_type, made.top.raw))
    assert isinstance(top, ImageIndex)
    images = [c for c in top.manifests if c.platform is not None and c.platform.os == "linux"]
    attestations = [c for c in top.manifests if c.annotation("vnd.docker.reference.type") == "attestation-manifest"]
    assert [c.annotation("vnd.docker.reference.digest") for c in attestations] == [str(c.digest) for c in images]
    assert [str(c.platform) for c in images] == ["linux/amd64", "linux/arm64/v8", "linux/arm/v7"]


def test_images_of_one_repository_and_of_one_distribution_share_layers() -> None:
    one, two, other = (set(Made(name).blobs) for name in ("python:3.12-slim", "python:3.13-slim", "redis:7"))
    assert len(one & two) > len(one & other) > 0


def test_another_generation_is_another_image_on_the_same_distribution() -> None:
    old, new = Made("nginx:1.16"), Made("nginx:1.16", generation=1)
    assert old.top.digest != new.top.digest
    assert set(old.blobs) & set(new.blobs)


def test_image_has_a_few_megabytes() -> None:
    size = sum(layer.size for layer in Made("nginx:1.16").manifests()[0].layers)
    assert 1_000_000 < size < 3_000_000
