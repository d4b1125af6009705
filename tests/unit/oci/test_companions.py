"""Which tags belong to a digest, which digests of a copy can be signed, and an index of referrers that stays the same."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support.made_images import MadeImage, image, index
from toolkit.oci.companions import cosign_tags, find_subjects, kind_of, referrers_index, referrers_tag
from toolkit.oci.descriptor import Descriptor, Platform
from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document, ImageIndex, parse
from toolkit.oci.filtered_index import filter_index
from toolkit.oci.media_types import OCI_INDEX, OCI_MANIFEST
from toolkit.oci.reference import Repository
from toolkit.oci.subset import Subset

AMD64, ARM64 = image([b"amd64"]), image([b"arm64"], "linux/arm64")
INDEX = index(("linux/amd64", AMD64), ("linux/arm64", ARM64))
CHOSEN = (Platform("linux", "amd64"),)
FILTERED = filter_index(INDEX.document, Subset(CHOSEN), INDEX.digest).raw
STALE = filter_index(index(("linux/amd64", AMD64)).document, Subset(CHOSEN), Digest.of(b"before")).raw
DIGEST = Digest("sha256", "0123456789abcdef" * 4)


def test_tags_are_those_that_cosign_and_the_standard_make_of_a_digest() -> None:
    name = "sha256-" + "0123456789abcdef" * 4
    assert cosign_tags(DIGEST) == (f"{name}.sig", f"{name}.att", f"{name}.sbom")
    assert referrers_tag(DIGEST) == name


def test_a_long_digest_still_makes_a_tag() -> None:
    long = Digest.of(b"", "sha512")
    assert cosign_tags(long) == ()
    Repository("a.example", "b").with_tag(referrers_tag(long))


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        (f"{referrers_tag(DIGEST)}.sig", "signature"),
        (f"{referrers_tag(DIGEST)}.att", "attestations"),
        (f"{referrers_tag(DIGEST)}.sbom", "SBOM"),
        (referrers_tag(DIGEST), "referrers"),
    ],
)
def test_each_tag_has_a_word_for_readers(tag: str, kind: str) -> None:
    assert kind_of(tag) == kind


def referrer(content: bytes, **fields: object) -> Descriptor:
    return replace(Descriptor(OCI_MANIFEST, Digest.of(content), len(content)), **fields)  # type: ignore[arg-type]


def test_an_index_of_referrers_is_the_same_for_the_same_list_in_any_order() -> None:
    one = referrer(b"one", artifact_type="application/x", annotations=(("b", "2"), ("a", "1")))
    other = replace(one, annotations=(("a", "1"), ("b", "2")))
    two = referrer(b"two")
    assert referrers_index([one, two]) == referrers_index([two, other, two])


def test_an_index_of_referrers_says_what_the_list_said() -> None:
    one = referrer(b"one", artifact_type="application/x", annotations=(("a", "\u00e9"),))
    found = parse(referrers_index([one]))
    assert isinstance(found, ImageIndex)
    assert (found.media_type, found.manifests) == (OCI_INDEX, (one,))


def test_an_index_of_referrers_has_the_bytes_that_a_plan_was_made_for() -> None:
    assert referrers_index([referrer(b"one", artifact_type="x/y", annotations=(("k", "v"),))]).raw.decode() == (
        '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":'
        '"application/vnd.oci.image.manifest.v1+json","digest":'
        '"sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed","size":3,'
        '"annotations":{"k":"v"},"artifactType":"x/y"}]}'
    )


def subjects(
    made: MadeImage, platforms: tuple[Platform, ...] | None, keeps: bool = True, stored: bytes | None = None
) -> tuple[tuple[Digest, ...], bool]:
    """The subjects, and whether the index had to be read."""
    reads = []

    def read() -> Document:
        reads.append(made)
        return made.document

    return find_subjects(made.document.descriptor, Subset(platforms, keeps), stored, read), bool(reads)


@pytest.mark.parametrize(
    ("made", "platforms", "stored", "found", "was_read"),
    [
        (AMD64, None, None, (AMD64,), False),
        (AMD64, CHOSEN, None, (AMD64,), False),
        (INDEX, None, None, (INDEX, AMD64, ARM64), True),
        (INDEX, None, INDEX.document.raw, (INDEX, AMD64, ARM64), False),
        (INDEX, None, STALE, (INDEX, AMD64, ARM64), True),
        (INDEX, CHOSEN, None, (AMD64,), True),
        (INDEX, CHOSEN, FILTERED, (AMD64,), False),
        (INDEX, CHOSEN, STALE, (AMD64,), True),
        (INDEX, CHOSEN, b"no JSON", (AMD64,), True),
    ],
)
def test_signatures_can_be_about_what_keeps_its_digest(
    made: MadeImage, platforms: tuple[Platform, ...] | None, stored: bytes | None, found: object, was_read: bool
) -> None:
    assert isinstance(found, tuple)
    assert subjects(made, platforms, stored=stored) == (tuple(one.digest for one in found), was_read)


def test_an_index_without_its_attestations_is_another_one() -> None:
    assert subjects(INDEX, None, keeps=False) == ((AMD64.digest, ARM64.digest), True)


def test_an_index_read_from_the_destination_may_be_dockers() -> None:
    listed = json.loads(INDEX.document.raw)
    listed["mediaType"] = "application/vnd.docker.distribution.manifest.list.v2+json"
    raw = json.dumps(listed).encode()
    docker = MadeImage(Document(listed["mediaType"], raw), {})
    assert subjects(docker, None, stored=raw) == ((docker.digest, AMD64.digest, ARM64.digest), False)
