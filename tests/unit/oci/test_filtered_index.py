from __future__ import annotations

import json

import pytest

from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document, parse
from toolkit.oci.errors import InvalidDocument, MissingPlatform, UnsupportedDocument
from toolkit.oci.filtered_index import SELECTION, SOURCE_DIGEST, filter_index, read_provenance
from toolkit.oci.media_types import DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST
from toolkit.oci.subset import Subset

AMD64, ARM64, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64"), Platform.parse("linux/arm")


def child(content: bytes, platform: str = "", media_type: str = OCI_MANIFEST, **more: object) -> dict[str, object]:
    found = {"mediaType": media_type, "digest": str(Digest.of(content)), "size": len(content), **more}
    if platform:
        found["platform"] = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
    return found


def attestation(content: bytes, of: bytes) -> dict[str, object]:
    annotations = {
        "vnd.docker.reference.digest": str(Digest.of(of)),
        "vnd.docker.reference.type": "attestation-manifest",
    }
    return child(content, "unknown/unknown", annotations=annotations)


CHILDREN = [
    child(b"amd", "linux/amd64", data="eHg=", unknownField=[1.5, None]),
    child(b"arm64", "linux/arm64/v8"),
    child(b"arm5", "linux/arm/v5"),
    child(b"arm7", "linux/arm/v7"),
    child(b"plain"),
    attestation(b"att amd", of=b"amd"),
    attestation(b"att arm64", of=b"arm64"),
]


def index(media_type: str = OCI_INDEX, **more: object) -> Document:
    fields = {"schemaVersion": 2, "mediaType": media_type, "manifests": CHILDREN, **more}
    return Document(media_type, json.dumps(fields, indent=2).encode())


def digests(document: Document) -> list[str]:
    return [entry["digest"] for entry in json.loads(document.raw)["manifests"]]


def named(*contents: bytes) -> list[str]:
    return [str(Digest.of(content)) for content in contents]


def test_the_filtered_index_is_these_very_bytes() -> None:
    source = index(annotations={"org.example": "ä", SELECTION: "stale"})
    filtered = filter_index(
        source,
        Subset(
            (
                ARM64,
                AMD64,
            ),
            keeps_attestations=False,
        ),
        source.digest,
    )

    assert filtered.media_type == OCI_INDEX
    assert filtered.raw.decode("ascii") == (
        '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":['
        f'{{"mediaType":"{OCI_MANIFEST}","digest":"{Digest.of(b"amd")}","size":3,"data":"eHg=",'
        '"unknownField":[1.5,null],"platform":{"os":"linux","architecture":"amd64"}},'
        f'{{"mediaType":"{OCI_MANIFEST}","digest":"{Digest.of(b"arm64")}","size":5,'
        '"platform":{"os":"linux","architecture":"arm64","variant":"v8"}}],'
        '"annotations":{"org.example":"\\u00e4",'
        f'"io.base-image-toolkit.source.digest":"{source.digest}",'
        '"io.base-image-toolkit.selection":"linux/amd64,linux/arm64;attestations=drop"}}'
    )


def test_the_order_in_which_platforms_are_wanted_changes_nothing() -> None:
    source = index()

    one = filter_index(
        source,
        Subset(
            (
                AMD64,
                ARM64,
            )
        ),
        source.digest,
    )
    other = filter_index(
        source,
        Subset(
            (
                ARM64,
                AMD64,
                AMD64,
            )
        ),
        source.digest,
    )

    assert one == other


def test_attestations_stay_with_the_images_that_are_kept() -> None:
    source = index()

    assert digests(filter_index(source, Subset((ARM64,)), source.digest)) == named(b"arm64", b"att arm64")
    assert digests(filter_index(source, Subset((ARM64,), keeps_attestations=False), source.digest)) == named(b"arm64")


def test_a_platform_without_variant_takes_every_variant() -> None:
    source = index()

    assert digests(filter_index(source, Subset((ARM,)), source.digest)) == named(b"arm5", b"arm7")
    assert digests(filter_index(source, Subset((Platform.parse("linux/arm/v7"),)), source.digest)) == named(b"arm7")


def test_images_for_one_version_of_windows_are_chosen() -> None:
    def windows(content: bytes, version: str) -> dict[str, object]:
        platform = {"os": "windows", "architecture": "amd64", "os.version": version}
        return {**child(content), "platform": platform}

    source = index(manifests=[windows(b"2019", "10.0.17763.6414"), windows(b"2022", "10.0.20348.2762")])

    def chosen(text: str) -> list[str]:
        return digests(filter_index(source, Subset((Platform.parse(text),)), source.digest))

    assert chosen("windows/amd64") == named(b"2019", b"2022")
    assert chosen("windows/amd64:10.0.20348.*") == named(b"2022")
    assert chosen("windows/amd64:10.0.17763.6414") == named(b"2019")
    with pytest.raises(
        MissingPlatform, match=r"offers `windows/amd64:10\.0\.17763\.6414`, `windows/amd64:10\.0\.20348"
    ):
        chosen("windows/amd64:10.0.26100.*")


def test_dropping_attestations_keeps_every_image() -> None:
    source = index()
    filtered = filter_index(source, Subset(keeps_attestations=False), source.digest)

    assert digests(filtered) == named(b"amd", b"arm64", b"arm5", b"arm7", b"plain")
    assert read_provenance(filtered.raw) == (source.digest, "all;attestations=drop")


def test_a_docker_manifest_list_becomes_an_oci_index_of_the_same_children() -> None:
    children = [child(b"a", "linux/amd64", DOCKER_MANIFEST), child(b"b", "linux/s390x", DOCKER_MANIFEST)]
    source = index(DOCKER_MANIFEST_LIST, manifests=children)

    filtered = filter_index(source, Subset((AMD64,)), source.digest)

    assert parse(filtered).media_type == OCI_INDEX
    assert json.loads(filtered.raw)["manifests"] == children[:1]


def test_a_missing_platform_is_named_with_those_on_offer() -> None:
    source = index()
    with pytest.raises(MissingPlatform) as caught:
        filter_index(
            source,
            Subset(
                (
                    AMD64,
                    Platform.parse("linux/s390x"),
                )
            ),
            source.digest,
        )

    assert caught.value.offered == ("linux/amd64", "linux/arm64/v8", "linux/arm/v5", "linux/arm/v7")
    assert "`linux/s390x`" in caught.value.message
    assert "linux/amd64`, `linux/arm64/v8`" in caught.value.message


def test_a_single_image_cannot_be_filtered() -> None:
    fields = {"schemaVersion": 2, "config": child(b"c"), "layers": []}
    source = Document(OCI_MANIFEST, json.dumps(fields).encode())

    with pytest.raises(UnsupportedDocument):
        filter_index(source, Subset((AMD64,)), source.digest)


def test_text_and_numbers_that_utf8_or_json_cannot_hold_do_not_crash() -> None:
    odd = index(annotations={"a": "\ud800"})
    assert read_provenance(filter_index(odd, Subset((AMD64,)), odd.digest).raw) is not None

    endless = Document(OCI_INDEX, index().raw.replace(b"1.5", b"1e999"))
    with pytest.raises(InvalidDocument, match="number"):
        filter_index(endless, Subset((AMD64,)), endless.digest)


def test_provenance_reads_back_what_filtering_wrote() -> None:
    source = index()
    filtered = filter_index(
        source,
        Subset(
            (
                ARM64,
                AMD64,
            )
        ),
        source.digest,
    )

    assert read_provenance(filtered.raw) == (source.digest, str(Subset((AMD64, ARM64))))
    assert read_provenance(filtered.raw) == (source.digest, "linux/amd64,linux/arm64;attestations=keep")


@pytest.mark.parametrize(
    "annotations",
    [
        None,
        "x",
        {},
        {SELECTION: "a"},
        {SOURCE_DIGEST: "sha256:x", SELECTION: "a"},
        {SOURCE_DIGEST: 5, SELECTION: "a"},
        {SOURCE_DIGEST: str(Digest.of(b"")), SELECTION: None},
    ],
)
def test_an_index_of_others_has_no_provenance(annotations: object) -> None:
    assert read_provenance(json.dumps({"annotations": annotations}).encode()) is None


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff", b"null"])
def test_garbage_has_no_provenance(raw: bytes) -> None:
    assert read_provenance(raw) is None
