from __future__ import annotations

import json

import pytest

from tests.support.made_images import MadeImage, image, index
from toolkit.oci.descriptor import Descriptor, Platform
from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document
from toolkit.oci.errors import InvalidDocument, MissingPlatform, UnsupportedDocument
from toolkit.oci.media_types import DOCKER_SCHEMA_1, OCI_INDEX
from toolkit.oci.subset import WHOLE, Subset
from toolkit.oci.tree import ImageTree, TreeReader, check_platform, read_tree

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


def contents(made: MadeImage) -> dict[Digest, Document]:
    found = {made.digest: made.document}
    for child in made.children:
        found |= contents(child)
    return found


def read(made: MadeImage, platforms: tuple[Platform, ...] | None = None, *, attestations: bool = True) -> ImageTree:
    reader = TreeReader(made.digest, Subset(platforms, attestations))
    tree = read_tree(reader, made.digest, contents(made).__getitem__)
    assert reader.is_complete
    return tree


def test_an_image_is_one_document_and_its_blobs() -> None:
    made = image([b"one", b"two"])
    tree = read(made)
    assert tree.digest == made.digest
    assert tree.levels == ((made.digest,),)
    assert {blob.digest for blob in tree.blobs} == set(made.blobs)
    assert tree.size == sum(map(len, made.blobs.values()))


def test_a_blob_that_two_children_share_counts_once() -> None:
    shared = b"shared"
    made = index(("linux/amd64", image([shared])), ("linux/arm64", image([shared], "linux/arm64")))
    assert len(read(made).blobs) == 3


def test_children_come_before_what_points_to_them_also_when_they_are_near_the_top_too() -> None:
    leaf = image([b"leaf"])
    inner = index(("linux/amd64", leaf))
    top = index(("", inner), ("linux/amd64", leaf))
    assert read(top).levels == ((leaf.digest,), (inner.digest,), (top.digest,))


def test_a_build_cache_is_an_index_of_blobs() -> None:
    leaf = image([b"leaf"])
    layer = Descriptor("application/vnd.oci.image.layer.v1.tar+gzip", Digest.of(b"layer"), 5)
    config = Descriptor("application/vnd.buildkit.cacheconfig.v0", Digest.of(b"{}"), 2)
    children = [leaf.document.descriptor, layer, config]
    fields = [{"mediaType": one.media_type, "digest": str(one.digest), "size": one.size} for one in children]
    raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": fields}).encode()
    reader = TreeReader(Digest.of(raw), WHOLE)
    assert reader.add(Digest.of(raw), Document(OCI_INDEX, raw)) == (leaf.digest,)
    reader.add(leaf.digest, leaf.document)
    assert {blob.digest for blob in reader.tree().blobs} == {layer.digest, config.digest, *leaf.blobs}


def test_a_child_named_twice_is_asked_for_once() -> None:
    leaf = image([b"leaf"])
    top = index(("linux/amd64", leaf), ("linux/amd64", leaf))
    reader = TreeReader(top.digest, WHOLE)
    assert reader.add(top.digest, top.document) == (leaf.digest,)
    assert reader.missing == {leaf.digest}
    assert reader.add(leaf.digest, leaf.document) == ()
    assert reader.is_complete


def test_a_platform_subset_is_another_index_and_reads_its_children_only() -> None:
    amd, arm = image([b"amd"]), image([b"arm"], "linux/arm64")
    made = index(("linux/amd64", amd), ("linux/arm64", arm))
    tree = read(made, (ARM64,))
    assert tree.digest != made.digest
    assert set(tree.documents) == {tree.digest, arm.digest}
    assert {blob.digest for blob in tree.blobs} == set(arm.blobs)
    assert read(made, (ARM64,)).digest == tree.digest


def test_dropping_attestations_of_a_whole_index_filters_it_too() -> None:
    made = index(("linux/amd64", image([b"amd"])))
    assert read(made, attestations=False).digest != made.digest


def test_a_missing_platform_is_said_before_children_are_read() -> None:
    made = index(("linux/amd64", image([b"amd"])))
    reader = TreeReader(made.digest, Subset((ARM64,)))
    with pytest.raises(MissingPlatform):
        reader.add(made.digest, made.document)


def test_only_the_configuration_tells_the_platform_of_an_image_without_index() -> None:
    made = image([b"amd"])
    assert read(made).config is None
    config = read(made, (AMD64,)).config
    assert config is not None and config.digest in made.blobs


@pytest.mark.parametrize("wanted", [(ARM64,), (AMD64, ARM64)], ids=["another", "one more"])
def test_an_image_for_another_platform_is_refused(wanted: tuple[Platform, ...]) -> None:
    with pytest.raises(MissingPlatform) as caught:
        check_platform(b'{"os": "linux", "architecture": "amd64"}', wanted)
    assert caught.value.offered == ("linux/amd64",)
    assert "`linux/arm64`" in caught.value.message


def test_an_image_for_the_wanted_platform_passes() -> None:
    check_platform(b'{"os": "linux", "architecture": "arm64", "variant": "v8"}', (ARM64,))


def test_the_configuration_tells_the_version_of_windows() -> None:
    config = b'{"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.2762"}'
    check_platform(config, (Platform.parse("windows/amd64:10.0.20348.*"),))
    with pytest.raises(MissingPlatform, match=r"for `windows/amd64:10\.0\.20348\.2762` only"):
        check_platform(config, (Platform.parse("windows/amd64:10.0.17763.*"),))


def test_a_configuration_without_platform_is_invalid() -> None:
    with pytest.raises(InvalidDocument):
        check_platform(b"{}", (AMD64,))


def test_indexes_in_indexes_have_an_end() -> None:
    made = image([b"leaf"])
    for _ in range(6):
        made = index(("", made))
    with pytest.raises(InvalidDocument):
        read(made)


def test_schema_1_is_refused() -> None:
    document = Document(DOCKER_SCHEMA_1, b'{"schemaVersion": 1}')
    with pytest.raises(UnsupportedDocument):
        TreeReader(document.digest, WHOLE).add(document.digest, document)
