"""What a repository contains, and the deletion of single images, against the sandbox's AWS."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.sandbox import RunningSandbox, running_sandbox
from toolkit.aws.contents import ContentService
from toolkit.aws.session import AwsSession
from toolkit.oci.digest import Digest
from toolkit.oci.filtered_index import SELECTION, SOURCE_DIGEST
from toolkit.oci.media_types import OCI_INDEX, OCI_MANIFEST
from toolkit.plan.observed import ListedImage
from toolkit.plan.pruning import Removal, UnreadIndex, Why
from toolkit.plan.severity import Severity
from toolkit.plan.status import Scan

pytestmark = pytest.mark.xdist_group("contents on aws")
REGION = "eu-west-1"
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


class Shelf:
    """One repository, filled by the API."""

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

    def listed(self) -> dict[Digest, ListedImage]:
        return {image.digest: image for image in self.contents.images(self.name, {})}

    def delete(self, *images: tuple[Digest, Sequence[str], bool]) -> dict[Digest, str]:
        removals = [
            Removal(self.name, digest, tuple(tags), Why.TAG, NOW, is_tags_only=only) for digest, tags, only in images
        ]
        refused = self.contents.delete(self.name, removals)
        return {one.digest: reason for one, reason in refused.items()}


@pytest.fixture
def shelf(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Shelf:
    for name, value in sandbox.environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return Shelf(AwsSession(REGION), request.node.name.replace("_", "-"))


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


def test_deletes_an_image_with_its_tags(shelf: Shelf) -> None:
    one, other, untagged = shelf.image(1, "1", "one"), shelf.image(2, "2"), shelf.image(3)
    assert shelf.delete((one, ["1", "one"], False), (untagged, [], False)) == {}
    assert set(shelf.listed()) == {other}


def test_deletes_tags_of_an_image_that_stays(shelf: Shelf) -> None:
    one = shelf.image(1, "1", "one")
    assert shelf.delete((one, ["1"], True)) == {}
    assert shelf.listed()[one].tags == ("one",)


def test_spares_a_tag_that_has_moved(shelf: Shelf) -> None:
    old, new = shelf.image(1), shelf.image(2, "1")
    assert "ImageTagDoesNotMatchDigest" in shelf.delete((old, ["1"], False))[old]
    assert shelf.listed()[new].tags == ("1",)


def test_says_which_image_an_index_still_lists(shelf: Shelf) -> None:
    child, other = shelf.image(1), shelf.image(2)
    index = shelf.index([child], "1")
    refused = shelf.delete((child, [], False), (other, [], False))
    assert list(refused) == [child]
    assert "ImageReferencedByManifestList" in refused[child]
    assert set(shelf.listed()) == {child, index}


def test_takes_what_is_gone_for_deleted(shelf: Shelf) -> None:
    one = shelf.image(1, "1")
    assert shelf.delete((one, ["1"], False)) == {}
    assert shelf.delete((one, ["1"], False)) == {}


def test_deletes_more_than_a_call_can_name(shelf: Shelf) -> None:
    images = [shelf.image(number, f"{number}", f"x{number}") for number in range(120)]
    assert shelf.delete(*((one, [f"{n}", f"x{n}"], False) for n, one in enumerate(images))) == {}
    assert shelf.listed() == {}


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
