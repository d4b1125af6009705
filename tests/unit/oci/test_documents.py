from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.documents import ACCEPT, Document, ImageIndex, ImageManifest, media_type_of, parse
from toolkit.oci.errors import InvalidDocument, OciError, UnsupportedDocument
from toolkit.oci.media_types import (
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    DOCKER_SCHEMA_1,
    DOCKER_SCHEMA_1_SIGNED,
    OCI_INDEX,
    OCI_MANIFEST,
)

Json = dict[str, object]


def pointer(content: bytes, media_type: str = "application/vnd.oci.image.layer.v1.tar+gzip", **more: object) -> Json:
    return {"mediaType": media_type, "digest": str(Digest.of(content)), "size": len(content), **more}


def document(media_type: str, **fields: object) -> Document:
    return Document(media_type, json.dumps({"schemaVersion": 2, **fields}).encode())


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_an_image_manifest_is_read(media_type: str) -> None:
    image = parse(
        document(
            media_type,
            mediaType=media_type,
            config=pointer(b"config"),
            layers=[pointer(b"one"), pointer(b"two")],
            subject=pointer(b"subject", OCI_MANIFEST),
            artifactType="application/x",
            annotations={"a": "1"},
            somethingNew={"x": [1]},
        )
    )

    assert isinstance(image, ImageManifest)
    assert image.config.digest == Digest.of(b"config")
    assert [layer.size for layer in image.layers] == [3, 3]
    assert image.subject is not None
    assert image.subject.digest == Digest.of(b"subject")
    assert (image.artifact_type, image.annotations) == ("application/x", (("a", "1"),))


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_MANIFEST_LIST])
def test_an_index_is_read_with_its_platforms(media_type: str) -> None:
    arm = {"os": "linux", "architecture": "arm", "variant": "v7", "os.features": ["x"]}
    index = parse(
        document(
            media_type,
            manifests=[pointer(b"a", OCI_MANIFEST, platform=arm), pointer(b"b", OCI_MANIFEST, annotations={"k": "v"})],
        )
    )

    assert isinstance(index, ImageIndex)
    assert index.manifests[0].platform == Platform("linux", "arm", "v7")
    assert index.manifests[1].platform is None
    assert index.manifests[1].annotation("k") == "v"


def test_blobs_are_each_once_and_without_layers_that_live_elsewhere() -> None:
    foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    image = parse(
        document(
            DOCKER_MANIFEST,
            config=pointer(b"{}"),
            layers=[
                pointer(b"one"),
                pointer(b"one"),
                pointer(b"{}"),
                pointer(b"windows", foreign, urls=["https://example.com/layer"]),
                pointer(b"pushed all the same", foreign),
            ],
        )
    )

    assert isinstance(image, ImageManifest)
    assert [blob.digest for blob in image.blobs] == [Digest.of(c) for c in (b"{}", b"one", b"pushed all the same")]


def test_the_digest_is_that_of_the_raw_bytes() -> None:
    found = Document(OCI_MANIFEST, b'{"schemaVersion": 2 }\n')

    assert found.digest == Digest.of(b'{"schemaVersion": 2 }\n')
    assert found.descriptor.size == len(found.raw)
    assert found.descriptor.media_type == OCI_MANIFEST


@pytest.mark.parametrize("media_type", [DOCKER_SCHEMA_1, DOCKER_SCHEMA_1_SIGNED, OCI_MANIFEST])
def test_schema_1_is_named_as_such(media_type: str) -> None:
    with pytest.raises(UnsupportedDocument, match="schema 1") as caught:
        parse(Document(media_type, b'{"schemaVersion": 1, "name": "old"}'))

    assert caught.value.hint


def test_a_kind_that_is_neither_image_nor_index_is_named() -> None:
    with pytest.raises(UnsupportedDocument, match=r"`application/vnd\.oci\.artifact\.manifest\.v1\+json`"):
        parse(document("application/vnd.oci.artifact.manifest.v1+json"))


GOOD = {"config": pointer(b"c"), "layers": [pointer(b"l")]}


@pytest.mark.parametrize(
    ("media_type", "fields", "why"),
    [
        (OCI_MANIFEST, {**GOOD, "schemaVersion": 3}, "`schemaVersion`"),
        (OCI_MANIFEST, {**GOOD, "mediaType": OCI_INDEX}, "calls itself something else"),
        (OCI_MANIFEST, {**GOOD, "manifests": []}, "an index too"),
        (OCI_INDEX, {"manifests": [], "layers": []}, "an image manifest too"),
        (OCI_MANIFEST, {"layers": []}, "`config` is no descriptor"),
        (OCI_MANIFEST, {"config": pointer(b"c"), "layers": {}}, "`layers` is no list"),
        (OCI_MANIFEST, {"config": pointer(b"c"), "layers": False}, "`layers` is no list"),
        (OCI_MANIFEST, {**GOOD, "layers": [pointer(b"l", size=-1)]}, r"`layers\[0\].size`"),
        (OCI_MANIFEST, {**GOOD, "layers": [pointer(b"l", size=True)]}, r"`layers\[0\].size`"),
        (OCI_MANIFEST, {**GOOD, "layers": [pointer(b"l", size=1.0)]}, r"`layers\[0\].size`"),
        (OCI_MANIFEST, {**GOOD, "config": pointer(b"c", digest="sha256:x")}, "`config.digest`"),
        (OCI_MANIFEST, {**GOOD, "config": pointer(b"c", digest=5)}, "`config.digest`"),
        (OCI_MANIFEST, {**GOOD, "config": pointer(b"c", mediaType="")}, "`config.mediaType`"),
        (OCI_MANIFEST, {**GOOD, "config": pointer(b"c", urls="x")}, "`config.urls`"),
        (OCI_MANIFEST, {**GOOD, "annotations": {"a": 1}}, "`annotations`"),
        (OCI_MANIFEST, {**GOOD, "artifactType": 1}, "`artifactType`"),
        (OCI_MANIFEST, {**GOOD, "subject": []}, "`subject`"),
        (OCI_INDEX, {"manifests": {}}, "`manifests` is no list"),
        (OCI_INDEX, {"manifests": [pointer(b"m", platform="linux")]}, r"`manifests\[0\].platform`"),
        (OCI_INDEX, {"manifests": [pointer(b"m", platform={"os": 1})]}, r"platform.os`"),
    ],
)
def test_a_broken_document_is_refused_with_the_place(media_type: str, fields: Json, why: str) -> None:
    with pytest.raises(InvalidDocument, match=why):
        parse(document(media_type, **fields))


@pytest.mark.parametrize("absent", [{}, {"layers": None}, {"layers": None, "manifests": None}])
def test_an_image_without_a_list_of_layers_has_none(absent: Json) -> None:
    image = parse(document(OCI_MANIFEST, config=pointer(b"c"), **absent))

    assert isinstance(image, ImageManifest)
    assert image.layers == ()


@pytest.mark.parametrize("absent", [{}, {"manifests": None}, {"manifests": None, "layers": None, "config": None}])
def test_an_index_without_a_list_of_children_has_none(absent: Json) -> None:
    index = parse(document(OCI_INDEX, **absent))

    assert isinstance(index, ImageIndex)
    assert index.manifests == ()


@pytest.mark.parametrize("platform", [{}, {"os": "linux"}, {"os": "", "architecture": "amd64"}, {"architecture": None}])
def test_a_child_with_half_a_platform_has_none(platform: Json) -> None:
    index = parse(document(OCI_INDEX, manifests=[pointer(b"m", platform=platform)]))

    assert isinstance(index, ImageIndex)
    assert index.manifests[0].platform is None


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"{", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000, b"1" * 10_000])
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidDocument, match="no JSON"):
        parse(Document(OCI_MANIFEST, raw))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "annotations", "x"])


@given(st.sampled_from([OCI_MANIFEST, OCI_INDEX]), st.dictionaries(keys, values))
def test_any_object_is_a_document_or_an_error_of_ours(media_type: str, fields: Json) -> None:
    try:
        parse(document(media_type, **fields))
    except OciError as fault:
        assert fault.message


@pytest.mark.parametrize(
    ("content_type", "raw", "expected"),
    [
        (f"{OCI_INDEX}; charset=utf-8", b"{}", OCI_INDEX),
        (DOCKER_MANIFEST.upper(), b"{}", DOCKER_MANIFEST),
        (None, json.dumps({"mediaType": DOCKER_MANIFEST}).encode(), DOCKER_MANIFEST),
        ("application/json", b'{"schemaVersion": 1}', DOCKER_SCHEMA_1),
        ("application/octet-stream", b'{"schemaVersion": 2, "manifests": []}', OCI_INDEX),
        ("", b'{"schemaVersion": 2}', OCI_MANIFEST),
    ],
)
def test_the_media_type_is_the_served_one_or_the_documents_own(
    content_type: str | None, raw: bytes, expected: str
) -> None:
    assert media_type_of(content_type, raw) == expected


def test_every_kind_is_asked_for() -> None:
    for kind in (OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_MANIFEST, DOCKER_SCHEMA_1_SIGNED):
        assert kind in ACCEPT
