"""Odd images, and registries that have something else than expected: each on a whole run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.fault_injection import Asked, Broken, Fault, Refused
from tests.support.made_images import CONFIG, LAYER, MadeImage, descriptor, image, index
from tests.support.two_registries import Play, open_side
from toolkit.oci.copy import CopyRequest
from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document
from toolkit.oci.media_types import (
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    DOCKER_SCHEMA_1_SIGNED,
    OCI_INDEX,
    OCI_MANIFEST,
)
from toolkit.oci.subset import Subset
from toolkit.report import SeedOutcome, SeedStatus

SINGLE = image([b"base" * 50, b"own"])
MULTIPLE = index(("linux/amd64", SINGLE), ("linux/arm64", image([b"base" * 50], "linux/arm64")))
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"


def made(
    media_type: str, layers: dict[str, bytes], config: tuple[str, bytes] = (CONFIG, b"{}"), **more: Any
) -> MadeImage:
    """An image of layers by media type; `more` are further fields."""
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor(*config),
        "layers": [descriptor(kind, content) for kind, content in layers.items()],
        **more,
    }
    contents = {Digest.of(content): content for content in (config[1], *layers.values())}
    return MadeImage(Document(media_type, json.dumps(document).encode()), contents)


def attestation(of: MadeImage, *, subject: bool) -> MadeImage:
    """What BuildKit puts beside an image."""
    pointer = descriptor(of.document.media_type, of.document.raw)
    return made(OCI_MANIFEST, {"application/vnd.in-toto+json": b"{}"}, **({"subject": pointer} if subject else {}))


def attested(*, subject: bool) -> MadeImage:
    beside = attestation(SINGLE, subject=subject)
    notes = {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": str(SINGLE.digest),
    }
    document = json.loads(index(("linux/amd64", SINGLE), ("unknown/unknown", beside)).document.raw)
    document["manifests"][1]["annotations"] = notes
    return MadeImage(Document(OCI_INDEX, json.dumps(document).encode()), {}, (SINGLE, beside))


def docker_list() -> MadeImage:
    child = made(DOCKER_MANIFEST, {"application/vnd.docker.image.rootfs.diff.tar.gzip": b"layer"})
    found = json.loads(index(("linux/amd64", child)).document.raw)
    del found["annotations"]
    raw = json.dumps(found | {"mediaType": DOCKER_MANIFEST_LIST}).encode()
    return MadeImage(Document(DOCKER_MANIFEST_LIST, raw), {}, (child,))


def nested(depth: int) -> MadeImage:
    found = MULTIPLE
    for level in range(depth):
        found = index(("", found), note=str(level))
    return found


ODD = {
    "index with 200 children": index(*(("linux/amd64", image([b"%d" % n])) for n in range(200))),
    "index without children": index(),
    "nested indexes": nested(3),
    "children twice": index(("linux/amd64", SINGLE), ("linux/arm64", SINGLE), ("", MULTIPLE)),
    "zero-byte blob": image([b"", b"layer"]),
    "2-byte blob": image([b"{}", b"layer"]),
    "nothing but a zero-byte blob": image([b""], config=b""),
    "no layers": image([]),
    "OCI artifact": made(
        OCI_MANIFEST, {"text/plain": b"text"}, ("application/vnd.oci.empty.v1+json", b"{}"), artifactType="text/x-notes"
    ),
    "document with a subject": attestation(SINGLE, subject=True),
    "attestations": attested(subject=False),
    "zstd layers": made(OCI_MANIFEST, {"application/vnd.oci.image.layer.v1.tar+zstd": b"zstd"}),
    "unknown media types inside": made(OCI_MANIFEST, {"application/x-whatever": b"w"}, ("application/x-config", b"c")),
    "Docker manifest list": docker_list(),
}


def codes(outcomes: list[SeedOutcome]) -> set[str | None]:
    return {outcome.error_code for outcome in outcomes}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("is_shaky", [False, True], ids=["calm", "shaky"])
def test_copies_odd_images_byte_for_byte(play: Play, name: str, is_shaky: bool) -> None:
    requests = play.requests({"lib/odd:v1": ODD[name]})

    def strike(asked: Asked) -> Fault | None:
        if not is_shaky or asked.number % 7 != 1:
            return None
        return Broken("before the answer") if asked.number % 2 else Refused(503)

    play.source.server.strike = play.destination.server.strike = strike
    assert codes(play.seed(requests)) == {None}
    assert play.destination.tags() == {one.key: str(ODD[name].digest) for one in requests}
    assert play.destination.damage() == []
    assert {outcome.status for outcome in play.seed(requests)} == {SeedStatus.UNCHANGED}


@pytest.mark.parametrize("kind", [FOREIGN, NONDISTRIBUTABLE])
def test_leaves_foreign_layers_with_their_owner(play: Play, kind: str) -> None:
    layers = [descriptor(kind, b"windows") | {"urls": ["https://owner.test/layer"]}, descriptor(LAYER, b"own")]
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(CONFIG, b"{}"), "layers": layers}
    contents = {Digest.of(content): content for content in (b"{}", b"own")}
    windows = MadeImage(Document(OCI_MANIFEST, json.dumps(document).encode()), contents)
    requests = play.requests({"lib/windows:v1": windows})
    assert codes(play.seed(requests)) == {None}
    assert play.source.server.count("GET blob") == 2
    assert play.destination.damage() == []


@pytest.mark.parametrize(
    ("document", "code", "hint"),
    [
        (
            Document(DOCKER_SCHEMA_1_SIGNED, b'{"schemaVersion": 1, "fsLayers": []}'),
            "source.unsupported_document",
            "newer tag",
        ),
        (Document(OCI_MANIFEST, b'{"schemaVersion": 1, "fsLayers": []}'), "source.unsupported_document", "newer tag"),
        (Document("application/x-whatever", b'{"schemaVersion": 2}'), "source.unsupported_document", ""),
        (Document(OCI_MANIFEST, b'{"schemaVersion": 2, "layers": []}'), "source.invalid_document", ""),
        (Document(OCI_INDEX, b"no JSON"), "source.invalid_document", ""),
    ],
    ids=["schema 1", "schema 1 in disguise", "unknown media type", "no config", "no JSON"],
)
@pytest.mark.parametrize("is_child", [False, True], ids=["tagged", "child"])
def test_copies_the_rest_beside_what_cannot_be_copied(
    play: Play, document: Document, code: str, hint: str, is_child: bool
) -> None:
    odd = MadeImage(document, {})
    requests = play.requests({"lib/odd:v1": index(("", SINGLE), ("", odd)) if is_child else odd, "lib/b:v1": SINGLE})
    outcomes = play.seed(requests)
    if is_child and document.media_type == "application/x-whatever":
        code = (
            "source.missing"  # a child of a type that no standard knows is taken for a blob, as BuildKit's caches are
        )
    assert [outcome.error_code for outcome in outcomes] == [code, None]
    assert hint in (outcomes[0].hint or "")
    assert play.destination.tags() == {"lib/b:v1": str(SINGLE.digest)}
    assert play.destination.damage() == []


def test_explains_a_refused_subject(play: Play) -> None:
    requests = play.requests({"lib/a:v1": attested(subject=True), "lib/b:v1": SINGLE})

    def strike(asked: Asked) -> Fault | None:
        is_attestation = asked.kind == "PUT manifest" and str(attestation(SINGLE, subject=True).digest) in asked.path
        return Refused(405, "UNSUPPORTED") if is_attestation else None

    play.destination.server.strike = strike
    outcomes = play.seed(requests)
    assert [outcome.error_code for outcome in outcomes] == ["destination.subject_refused", None]
    assert "attestations: drop" in (outcomes[0].hint or "")
    assert play.destination.tags() == {"lib/b:v1": str(SINGLE.digest)}

    cured = play.requests({"lib/a:v1": attested(subject=True)}, subset=Subset(keeps_attestations=False))
    assert codes(play.seed(cured)) == {None}
    assert play.destination.damage() == []


def behind_the_index(play: Play) -> list[CopyRequest]:
    requests = play.requests({"lib/a:v1": MULTIPLE})
    assert codes(play.seed(requests)) == {None}
    play.source.server.restart()
    play.destination.server.restart()
    return requests


@pytest.mark.parametrize("rules", ["", "mutable", "immutable"])
@pytest.mark.parametrize("what", ["child", "blob"])
def test_brings_back_what_is_missing_behind_an_index(play: Play, tmp_path: Path, what: str, rules: str) -> None:
    play.destination = open_side(play.destination.server, tmp_path / "strict", ecr=rules)
    requests = behind_the_index(play)
    if what == "child":
        assert play.destination.documents.delete("lib/a", str(SINGLE.digest))
    else:
        assert play.destination.blobs.unlink("lib/a", Digest.of(b"own"))
    assert play.destination.damage() != []
    assert codes(play.seed(requests)) == {None}
    assert play.destination.damage() == []


def test_trusts_a_tag_with_one_request_whatever_is_behind_it(play: Play) -> None:
    """The price of `toolkit copy` asking once a tag; whoever deletes behind a tag deletes the tag as well."""
    behind_the_index(play)
    assert play.destination.documents.delete("lib/a", str(SINGLE.digest))
    outcomes = play.seed(play.requests({"lib/a:v1": MULTIPLE}, trusts_tag=True))
    assert [outcome.status for outcome in outcomes] == [SeedStatus.UNCHANGED]
    assert [asked.kind for asked in play.destination.server.seen] == ["HEAD tag"]

    (play.destination.folder / "repositories/lib/a/_tags/v1").unlink()
    assert codes(play.seed(play.requests({"lib/a:v1": MULTIPLE}, trusts_tag=True))) == {None}
    assert play.destination.damage() == []


def test_copies_after_a_forbidden_look_at_a_trusted_tag(play: Play) -> None:
    requests = play.requests({"lib/a:v1": MULTIPLE}, trusts_tag=True)
    play.destination.server.strike = lambda asked: (
        Refused(403, "DENIED") if asked.kind == "HEAD tag" and asked.number == 1 else None
    )
    assert codes(play.seed(requests)) == {None}
    assert play.destination.damage() == []


def test_leaves_the_tag_alone_when_the_source_lacks_a_child(play: Play) -> None:
    older = image([b"older"])
    play.destination.keep(older, "lib/a", "v1")
    requests = play.requests({"lib/a:v1": MULTIPLE})
    assert play.source.documents.delete("lib/a", str(SINGLE.digest))
    assert codes(play.seed(requests)) == {"source.missing"}
    assert play.destination.tags() == {"lib/a:v1": str(older.digest)}
    assert play.destination.damage() == []


def test_copies_as_planned_after_the_tag_moved(play: Play) -> None:
    requests = play.requests({"lib/a:v1": SINGLE})
    play.source.keep(MULTIPLE, "lib/a", "v1")
    assert codes(play.seed(requests)) == {None}
    assert play.destination.tags() == {"lib/a:v1": str(SINGLE.digest)}


def test_needs_a_new_plan_when_the_old_content_is_gone(play: Play) -> None:
    requests = play.requests({"lib/a:v1": SINGLE})
    assert play.source.documents.delete("lib/a", str(SINGLE.digest))
    play.source.keep(image([b"newer"]), "lib/a", "v1")
    outcomes = play.seed(requests)
    assert codes(outcomes) == {"source.missing"}
    assert "new plan" in (outcomes[0].hint or "")
    assert play.destination.tags() == {}


def test_leaves_an_immutable_tag_alone(play: Play, tmp_path: Path) -> None:
    play.destination = open_side(play.destination.server, tmp_path / "ecr", ecr="immutable")
    older = image([b"older"])
    play.destination.keep(older, "lib/a", "v1")
    assert codes(play.seed(play.requests({"lib/a:v1": SINGLE}))) == {"destination.tag_immutable"}
    assert play.destination.tags() == {"lib/a:v1": str(older.digest)}
    assert play.destination.damage() == []


@pytest.mark.parametrize(
    ("links", "jobs", "expected"),
    [("all", 4, 6), ("referred", 1, 5), ("none", 4, 0)],  # what is tried too early is sent, with one job the least
    ids=["accepted", "accepted once referred to", "declined"],
)
def test_links_or_sends_blobs_of_several_repositories(
    play: Play, tmp_path: Path, links: str, jobs: int, expected: int
) -> None:
    play.destination = open_side(play.destination.server, tmp_path / "other", links=links)
    outcomes = play.seed(play.requests({f"lib/{name}:v1": SINGLE for name in "abc"}), jobs=jobs)
    assert codes(outcomes) == {None}
    mounted = sum(outcome.mounted_blobs for outcome in outcomes)
    assert mounted == expected
    assert play.destination.server.count("PUT upload") == 9 - mounted
    assert play.destination.damage() == []
