"""The list of referrers: by a registry that has it, by one from before it, and as registries get it wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.support.faulty_registry import FaultyRegistry, Reply, faulty_registry, refused
from tests.support.made_images import MadeImage, image, push, referrer
from tests.support.memory_registry import MemoryRegistry
from tests.support.registry import running_registry
from tests.support.sandbox import stand_in_registry
from toolkit.oci.auth import Credential
from toolkit.oci.client import RegistryClient
from toolkit.oci.companions import cosign_tags, referrers_index, referrers_tag
from toolkit.oci.copy import CopyRequest, Source, Target
from toolkit.oci.digest import Digest
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.documents import Document
from toolkit.oci.endpoints import Endpoints
from toolkit.oci.errors import ConnectionFailed, InvalidDocument, OciError, RegistryError, SubjectRefused
from toolkit.oci.media_types import OCI_INDEX, OCI_MANIFEST
from toolkit.oci.reference import Repository
from toolkit.oci.subset import WHOLE
from toolkit.oci.transport import Transport
from toolkit.report import SeedStatus
from toolkit.seed.companions import CompanionSearch
from toolkit.seed.seeder import Seeder

HOST = "registry.test"
HUB = Repository("docker.io", "library/nginx")
SUBJECT = Digest.of(b"subject")
REFERRERS = f"/v2/library/nginx/referrers/{SUBJECT}"
IMAGE = image([b"content"])
SBOM, SIGNATURE = referrer(IMAGE, b"sbom"), referrer(IMAGE, b"signature", "application/vnd.test.signature")


class Store(Source, Target, Protocol):
    """Both sides in one."""


@pytest.fixture(scope="module", params=["memory", "stand-in", "docker-registry"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, bool]]:
    """A registry, and whether it lists referrers."""
    with ExitStack() as stack:
        folder: Path = tmp_path_factory.mktemp("registry")
        if request.param == "memory":
            yield MemoryRegistry(), True
            return
        is_ours = request.param == "stand-in"
        url = stack.enter_context(stand_in_registry(folder) if is_ours else running_registry(folder))
        address = url if isinstance(url, str) else url.url
        yield RegistryClient(endpoints=Endpoints(((HOST, address),))), is_ours


def pushed(store: Store, name: str, *made: MadeImage) -> Repository:
    repository = Repository(HOST, name)
    for one in made:
        push(store, one, repository.with_digest(one.digest))
    return repository


def test_referrers_are_listed_with_what_they_are(served: tuple[Store, bool]) -> None:
    store, lists = served
    repository = pushed(store, "listed", IMAGE, SBOM, SIGNATURE)
    found = store.list_referrers(repository, IMAGE.digest)
    if not lists:
        assert found is None
        return
    assert found is not None
    assert {(one.digest, one.media_type, one.size, one.artifact_type) for one in found} == {
        (one.digest, OCI_MANIFEST, len(one.document.raw), kind)
        for one, kind in ((SBOM, "application/vnd.test.sbom"), (SIGNATURE, "application/vnd.test.signature"))
    }


def test_no_referrers_are_an_empty_list(served: tuple[Store, bool]) -> None:
    store, lists = served
    repository = pushed(store, "unsigned", IMAGE)
    assert store.list_referrers(repository, IMAGE.digest) == (() if lists else None)


def test_a_document_may_come_before_what_it_refers_to(served: tuple[Store, bool]) -> None:
    store, lists = served
    repository = pushed(store, "first", SBOM)
    found = store.list_referrers(repository, IMAGE.digest)
    assert [one.digest for one in found or ()] == ([SBOM.digest] if lists else [])


def test_signatures_and_referrers_are_copied_whoever_lists_them(served: tuple[Store, bool]) -> None:
    store, lists = served
    repository = pushed(store, "from", IMAGE, SBOM, SIGNATURE)
    push(store, IMAGE, repository.with_tag("1"))
    push(store, image([b"cosign's"]), repository.with_tag(cosign_tags(IMAGE.digest)[0]))
    if not lists:  # then its publisher keeps the list
        index = referrers_index([SBOM.document.descriptor, SIGNATURE.document.descriptor])
        store.put_manifest(repository.with_tag(referrers_tag(IMAGE.digest)), index)
    cache = DocumentCache()
    found = CompanionSearch(store, cache).find(repository.with_tag("1"), IMAGE.document.descriptor, WHOLE)
    target = Repository(HOST, "to")
    outcomes = Seeder(store, store, lambda _: None, cache=cache).seed(
        CopyRequest(
            one.tag,
            repository.with_tag(one.tag).with_digest(one.head.descriptor.digest),  # type: ignore[union-attr]
            target.with_tag(one.tag),
            subject=one.subject,
        )
        for one in found.companions
    )
    assert [(one.key, one.status) for one in outcomes] == [
        (cosign_tags(IMAGE.digest)[0], SeedStatus.COPIED),
        (referrers_tag(IMAGE.digest), SeedStatus.COPIED),
    ]
    assert store.get_manifest(target.with_digest(SBOM.digest)) == SBOM.document
    if lists:
        listed = store.list_referrers(target, IMAGE.digest)
        assert {one.digest for one in listed or ()} == {SBOM.digest, SIGNATURE.digest}


@pytest.fixture
def server() -> Iterator[FaultyRegistry]:
    with faulty_registry() as running:
        yield running


class Login:
    def credential_for(self, registry: str, path: str = "") -> Credential | None:
        return Credential("me", "hunter2")


@pytest.fixture
def client(server: FaultyRegistry) -> RegistryClient:
    transport = Transport(sleep=lambda _: None, random=lambda: 1.0, proxies={})
    return RegistryClient(credentials=Login(), endpoints=Endpoints((("docker.io", server.url),)), transport=transport)


def page(*contents: bytes, link: str | None = None) -> Reply:
    manifests = [{"mediaType": OCI_MANIFEST, "digest": str(Digest.of(one)), "size": len(one)} for one in contents]
    body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}).encode()
    return Reply(200, {"Content-Type": OCI_INDEX, **({"Link": link} if link else {})}, body)


@pytest.mark.parametrize("absolute", [True, False])
def test_the_list_is_read_page_by_page(server: FaultyRegistry, client: RegistryClient, absolute: bool) -> None:
    following = f"{server.url if absolute else ''}{REFERRERS}?last=two"
    server.on("GET", REFERRERS, page(b"one", b"two", link=f'<{following}>; rel="next"'), page(b"three"))
    found = client.list_referrers(HUB, SUBJECT)
    assert [one.digest for one in found or ()] == [Digest.of(one) for one in (b"one", b"two", b"three")]
    assert [seen.query for seen in server.asked("GET", REFERRERS)] == [{}, {"last": ["two"]}]
    assert server.seen[0].headers["accept"] == OCI_INDEX


@pytest.mark.parametrize("status", [400, 404, 405, 406, 501])
def test_a_registry_that_does_not_know_the_question_lists_nothing(
    server: FaultyRegistry, client: RegistryClient, status: int
) -> None:
    server.on("GET", REFERRERS, refused(status, "UNSUPPORTED"))
    assert client.list_referrers(HUB, SUBJECT) is None


def test_a_page_for_people_is_no_list(server: FaultyRegistry, client: RegistryClient) -> None:
    server.on("GET", REFERRERS, Reply(200, {"Content-Type": "text/html"}, b"<html>"))
    assert client.list_referrers(HUB, SUBJECT) is None


def test_null_is_an_empty_list(server: FaultyRegistry, client: RegistryClient) -> None:
    body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": None}).encode()
    server.on("GET", REFERRERS, Reply(200, {"Content-Type": OCI_INDEX}, body))
    assert client.list_referrers(HUB, SUBJECT) == ()


def test_a_malformed_list_names_the_registry_and_the_image(server: FaultyRegistry, client: RegistryClient) -> None:
    server.on("GET", REFERRERS, Reply(200, {"Content-Type": OCI_INDEX}, b'{"schemaVersion": 2, "manifests": {}}'))
    said = f"`{server.host}` sent no list of the referrers of `docker.io/library/nginx@{SUBJECT}`: `manifests` is no"
    with pytest.raises(InvalidDocument, match=said):
        client.list_referrers(HUB, SUBJECT)


@pytest.mark.parametrize("reply", [refused(403, "DENIED"), refused(500, "UNKNOWN")])
def test_a_refusal_is_not_taken_for_an_empty_list(server: FaultyRegistry, client: RegistryClient, reply: Reply) -> None:
    server.on("GET", REFERRERS, reply)
    with pytest.raises(RegistryError, match=f"the referrers of `docker.io/library/nginx@{SUBJECT}`"):
        client.list_referrers(HUB, SUBJECT)


def test_a_list_that_breaks_off_is_not_taken_for_the_whole(server: FaultyRegistry, client: RegistryClient) -> None:
    server.on("GET", REFERRERS, page(b"one", link=f'<{REFERRERS}?last=one>; rel="next"'), refused(404, "UNKNOWN"))
    with pytest.raises(RegistryError):
        client.list_referrers(HUB, SUBJECT)


def test_the_next_page_on_a_foreign_host_is_not_asked_for(server: FaultyRegistry, client: RegistryClient) -> None:
    server.on("GET", REFERRERS, page(b"one", link=f'<{server.foreign_url}{REFERRERS}>; rel="next"'))
    with pytest.raises(ConnectionFailed, match="another host"):
        client.list_referrers(HUB, SUBJECT)
    assert len(server.asked("GET", REFERRERS)) == 1


def test_a_list_without_end_is_an_error(server: FaultyRegistry, client: RegistryClient) -> None:
    server.on("GET", REFERRERS, page(b"one", link=f'<{REFERRERS}?again>; rel="next"'))
    with pytest.raises(OciError, match="without end"):
        client.list_referrers(HUB, SUBJECT)


WITH_TYPE = Document(OCI_MANIFEST, json.dumps({**json.loads(IMAGE.document.raw), "artifactType": "a/b"}).encode())


@pytest.mark.parametrize(
    ("document", "kind"),
    [(SBOM.document, SubjectRefused), (WITH_TYPE, SubjectRefused), (IMAGE.document, RegistryError)],
    ids=["subject", "artifactType", "an image"],
)
def test_a_registry_from_before_oci_1_1_refuses_what_it_does_not_know(
    server: FaultyRegistry, client: RegistryClient, document: Document, kind: type[RegistryError]
) -> None:
    server.on("PUT", f"/v2/library/nginx/manifests/{document.digest}", refused(405, "UNSUPPORTED"))
    with pytest.raises(RegistryError) as caught:
        client.put_manifest(HUB.with_digest(document.digest), document)
    assert type(caught.value) is kind


def test_a_destination_from_before_oci_1_1_fails_the_referrers_with_a_cure(
    server: FaultyRegistry, client: RegistryClient
) -> None:
    upstream = MemoryRegistry()
    repository = pushed(upstream, "a", IMAGE, SBOM)
    index = referrers_index(upstream.list_referrers(repository, IMAGE.digest) or ())
    server.on("PUT", f"/v2/library/nginx/manifests/{SBOM.digest}", refused(405, "UNSUPPORTED"))
    for digest in SBOM.blobs:
        server.on("HEAD", f"/v2/library/nginx/blobs/{digest}", Reply(200))
    tag = referrers_tag(IMAGE.digest)
    request = CopyRequest(
        tag, repository.with_tag(tag).with_digest(index.digest), HUB.with_tag(tag), subject=IMAGE.digest
    )
    (outcome,) = Seeder(upstream, client, lambda _: None, jobs=1).seed([request])
    assert (outcome.status, outcome.error_code) == (SeedStatus.FAILED, "destination.subject_refused")
    assert "`signatures: drop`" in (outcome.hint or "")
    assert server.asked("PUT", f"/v2/library/nginx/manifests/{tag}") == []
