"""What a HEAD and an earlier run's documents say of an image, without asking upstream."""

from __future__ import annotations

import pytest

from tests.support.made_images import MadeImage, image, index
from toolkit.oci.descriptor import Descriptor, Platform
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.filtered_index import filter_index
from toolkit.oci.subset import Subset
from toolkit.plan.observed import SourceFault, SourceImage
from toolkit.seed.observe import preview

AMD64, ARM64 = image([b"one" * 9]), image([b"two" * 9], "linux/arm64")
INDEX = index(("linux/amd64", AMD64), ("linux/arm64", ARM64))
CHOSEN = (Platform("linux", "amd64"),)


def head_of(made: MadeImage) -> Descriptor:
    return Descriptor(made.document.media_type, made.digest, len(made.document.raw))


def cached(*images: MadeImage) -> DocumentCache:
    cache = DocumentCache()
    for made in images:
        cache.put(made.digest, made.document)
    return cache


@pytest.mark.parametrize(
    ("made", "platforms", "keeps", "wanted"),
    [
        (INDEX, None, True, INDEX.digest),  # as it is
        (INDEX, None, False, None),  # without its attestations it is another index
        (INDEX, CHOSEN, True, None),
        (AMD64, CHOSEN, True, AMD64.digest),  # one platform is never filtered
        (AMD64, None, False, AMD64.digest),
    ],
)
def test_knows_the_digest_by_head_only_without_a_subset(
    made: MadeImage, platforms: tuple[Platform, ...] | None, keeps: bool, wanted: object
) -> None:
    found = preview(head_of(made), Subset(platforms, keeps), DocumentCache())
    assert isinstance(found, SourceImage)
    assert (found.wanted_digest, found.size, found.documents, found.cached_documents) == (wanted, None, None, 0)


def test_knows_the_filtered_digest_by_the_index() -> None:
    found = preview(head_of(INDEX), Subset(CHOSEN), cached(INDEX))
    assert isinstance(found, SourceImage)
    assert found.wanted_digest == filter_index(INDEX.document, Subset(CHOSEN), INDEX.digest).digest
    assert (found.size, found.documents, found.cached_documents) == (None, 2, 1)


def test_knows_the_size_by_all_documents() -> None:
    found = preview(head_of(INDEX), Subset(CHOSEN), cached(INDEX, AMD64))
    assert isinstance(found, SourceImage)
    assert found.size == sum(map(len, AMD64.blobs.values()))
    assert (found.documents, found.cached_documents) == (2, 2)


def test_faults_an_index_without_the_platform() -> None:
    found = preview(head_of(INDEX), Subset((Platform("linux", "s390x"),)), cached(INDEX))
    assert isinstance(found, SourceFault)
    assert found.kind == "platform_missing"
    assert "linux/s390x" in found.message
