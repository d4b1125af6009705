"""What a repository contains, and the deletion of single images, against the sandbox's AWS."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.fake_services import FakeContents
from tests.support.sandbox import RunningSandbox
from toolkit.aws.contents import ContentService
from toolkit.aws.session import AwsSession
from toolkit.oci.digest import Digest
from toolkit.oci.filtered_index import SELECTION, SOURCE_DIGEST
from toolkit.oci.media_types import OCI_INDEX, OCI_MANIFEST
from toolkit.operations.services import Contents
from toolkit.plan.observed import ListedImage
from toolkit.plan.pruning import Removal, UnreadIndex, Why
from toolkit.plan.severity import Severity
from toolkit.plan.status import Scan

pytestmark = pytest.mark.xdist_group("aws")
REGION = "eu-west-1"
NOW = datetime.now(UTC)


class Looked:
    """One repository."""

    name: str
    contents: Contents

    def listed(self) -> dict[Digest, ListedImage]:
        return {image.digest: image for image in self.contents.images(self.name, {})}

    def delete(self, *images: tuple[Digest, Sequence[str], bool]) -> dict[Digest, str]:
        removals = [
            Removal(self.name, digest, tuple(tags), Why.TAG, NOW, is_tags_only=only) for digest, tags, only in images
        ]
        refused = self.contents.delete(self.name, removals)
        return {one.digest: reason for one, reason in refused.items()}


class Shelf(Looked):
    """One repository of the sandbox, filled by the API."""

    def __init__(self, session: AwsSession, name: str) -> None:
        self.name = name
        self.contents = ContentService(session)
        self.ecr = session.client("ecr")
        self.ecr.create_repository(repositoryName=name)

    def put(self, document: dict[str, Any], *tags: str) -> Digest:
        raw = json.dumps(document)
        digest = Digest.of(raw.encode())
        for named in [{"imageTag": tag} for tag in tags] or [{}]:
            self.ecr.put_image(
                repositoryName=self.name,
                imageManifest=raw,
                imageManifestMediaType=document["mediaType"],
                imageDigest=str(digest),
                **named,
            )
        return digest

    def image(self, number: int, *tags: str, **fields: Any) -> Digest:
        blob = {"mediaType": "x/y", "digest": str(Digest.of(b"%d" % number)), "size": number}
        document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": blob, "layers": []}
        return self.put({**document, **fields}, *tags)

    def index(self, children: Sequence[Digest], *tags: str, **annotations: str) -> Digest:
        listed = [{"mediaType": OCI_MANIFEST, "digest": str(child), "size": 1} for child in children]
        return self.put(
            {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed, "annotations": annotations}, *tags
        )


class FakeShelf(Looked):
    """One repository of the fake that the operation is tested with."""

    def __init__(self) -> None:
        self.name = "fake"
        self.fake = self.contents = FakeContents({})

    def image(self, number: int, *tags: str) -> Digest:
        return self._put(Digest.of(b"%d" % number), *tags)

    def index(self, children: Sequence[Digest], *tags: str) -> Digest:
        return self._put(Digest.of(str(children).encode()), *tags, is_index=True, children=tuple(children))

    def _put(self, digest: Digest, *tags: str, **fields: Any) -> Digest:
        self.fake.put(self.name, ListedImage(digest, NOW, tags, **fields))
        return digest


@pytest.fixture
def shelf(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Shelf:
    for name, value in sandbox.environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return Shelf(AwsSession(REGION), re.sub("[^a-z0-9]+", "-", request.node.name).strip("-"))


@pytest.fixture(params=["sandbox", "fake"])
def either(request: pytest.FixtureRequest) -> Shelf | FakeShelf:
    """The sandbox's, and the fake that has to behave like it."""
    return FakeShelf() if request.param == "fake" else request.getfixturevalue("shelf")


def test_lists_what_belongs_together(shelf: Shelf) -> None:
    child = shelf.image(7)
    upstream = Digest.of(b"upstream")
    filtered = shelf.index([child], "1", "latest", **{SOURCE_DIGEST: str(upstream), SELECTION: "linux/amd64"})
    subject = {"mediaType": OCI_INDEX, "digest": str(filtered), "size": 1}
    referrer = shelf.image(9, subject=subject)
    found = shelf.listed()
    assert (found[filtered].tags, found[filtered].children, found[filtered].made_of) == (
        ("1", "latest"),
        (child,),
        upstream,
    )
    assert (found[filtered].is_index, found[child].is_index, found[child].size) == (True, False, 7)
    assert (found[referrer].subject, found[child].subject) == (filtered, None)


def test_reads_no_image_that_is_no_index(shelf: Shelf) -> None:
    child = shelf.image(7)
    index = shelf.index([child], "1")
    shelf.listed()
    found = shelf.listed()
    assert found[index].pulled_at is not None
    assert found[child].pulled_at is None


def test_does_not_read_a_known_index_again(shelf: Shelf) -> None:
    index = shelf.index([shelf.image(7)], "1")
    known = shelf.listed()
    shelf.listed()
    (again,) = [one for one in shelf.contents.images(shelf.name, known) if one.digest == index]
    assert again.children == known[index].children


def test_says_that_an_index_cannot_be_read(shelf: Shelf) -> None:
    shelf.put({"schemaVersion": 1, "mediaType": OCI_INDEX, "manifests": []}, "1")
    with pytest.raises(UnreadIndex, match=shelf.name):
        shelf.listed()


def test_deletes_an_image_with_its_tags(either: Shelf | FakeShelf) -> None:
    one, other, untagged = either.image(1, "1", "one"), either.image(2, "2"), either.image(3)
    assert either.delete((one, ["1", "one"], False), (untagged, [], False)) == {}
    assert set(either.listed()) == {other}


def test_deletes_tags_of_an_image_that_stays(either: Shelf | FakeShelf) -> None:
    one = either.image(1, "1", "one")
    assert either.delete((one, ["1"], True)) == {}
    assert either.listed()[one].tags == ("one",)


def test_spares_a_tag_that_has_moved(either: Shelf | FakeShelf) -> None:
    old, new = either.image(1), either.image(2, "1")
    assert "ImageTagDoesNotMatchDigest" in either.delete((old, ["1"], False))[old]
    assert either.listed()[new].tags == ("1",)


def test_says_which_image_an_index_still_lists(either: Shelf | FakeShelf) -> None:
    child, other = either.image(1), either.image(2)
    index = either.index([child], "1")
    refused = either.delete((child, [], False), (other, [], False))
    assert list(refused) == [child]
    assert "ImageReferencedByManifestList" in refused[child]
    assert set(either.listed()) == {child, index}


def test_takes_what_is_gone_for_deleted(either: Shelf | FakeShelf) -> None:
    one = either.image(1, "1")
    assert either.delete((one, ["1"], False)) == {}
    assert either.delete((one, ["1"], False)) == {}


def test_deletes_more_than_a_call_can_name(either: Shelf | FakeShelf) -> None:
    images = [either.image(number, f"{number}", f"x{number}") for number in range(120)]
    assert either.delete(*((one, [f"{n}", f"x{n}"], False) for n, one in enumerate(images))) == {}
    assert either.listed() == {}


def test_tells_what_a_scan_found_and_that_there_was_none(shelf: Shelf) -> None:
    digest, other = shelf.image(7, "1"), shelf.image(8)
    assert shelf.contents.scan(shelf.name, digest) == Scan(lacking=("not scanned",))
    shelf.ecr.start_image_scan(repositoryName=shelf.name, imageId={"imageDigest": str(digest)})
    found = shelf.contents.scan(shelf.name, digest)
    assert found.counts == {Severity.HIGH: 1}  # moto's answer for every image
    assert found.at and found.at.tzinfo is UTC
    assert shelf.contents.scan(shelf.name, other).counts is None
    assert shelf.contents.scan(shelf.name, Digest.of(b"gone")).counts is None


def test_lists_without_reading_a_document(shelf: Shelf) -> None:
    index = shelf.index([shelf.image(7)], "1")
    found = {image.digest: image for image in shelf.contents.listed(shelf.name)}
    assert (found[index].is_index, found[index].children, found[index].pulled_at) == (True, (), None)
    assert found[index].pushed_at.tzinfo is UTC
