"""The client against the real docker-registry, in the open and behind a login."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.registry import PASSWORD, USERNAME, RunningRegistry, running_registry
from toolkit.oci.auth import Credential
from toolkit.oci.client import RegistryClient
from toolkit.oci.descriptor import Descriptor, Platform, verify
from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document
from toolkit.oci.endpoints import Endpoints
from toolkit.oci.errors import (
    CredentialUnusable,
    DigestMismatch,
    NotFound,
    RegistryError,
    SizeMismatch,
    Unauthorized,
)
from toolkit.oci.filtered_index import filter_index, read_provenance
from toolkit.oci.media_types import OCI_INDEX, OCI_MANIFEST
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.subset import Subset
from toolkit.oci.transport import CHUNK_BYTES


class Login:
    """Gives its credentials in turn, the last one again and again."""

    def __init__(self, *passwords: str) -> None:
        self.passwords = list(passwords)

    def credential_for(self, registry: str, path: str = "") -> Credential | None:
        return Credential(USERNAME, self.passwords[0])

    def forget(self, registry: str) -> None:
        if len(self.passwords) > 1:
            self.passwords.pop(0)


@pytest.fixture(scope="module", params=["open", "behind a login"])
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    needs_login = request.param != "open"
    with running_registry(tmp_path_factory.mktemp("registry"), needs_login=needs_login) as running:
        yield running


@pytest.fixture(scope="module")
def closed_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    with running_registry(tmp_path_factory.mktemp("closed"), needs_login=True) as running:
        yield running


@pytest.fixture
def client(registry: RunningRegistry) -> RegistryClient:
    return RegistryClient(credentials=Login(PASSWORD) if registry.needs_login else None)


@pytest.fixture
def repository(registry: RunningRegistry, request: pytest.FixtureRequest) -> Repository:
    return Repository(registry.host, f"tests/r{abs(hash(request.node.nodeid))}")


def described(content: bytes) -> Descriptor:
    return Descriptor("application/octet-stream", Digest.of(content), len(content))


def push_blob(client: RegistryClient, repository: Repository, content: bytes, step: int = 1000) -> Descriptor:
    blob = described(content)
    upload = client.begin_upload(repository, blob.digest)
    assert upload is not None
    client.put_blob(upload, blob, (content[i : i + step] for i in range(0, len(content), step)))
    return blob


def as_json(found: Descriptor, **more: object) -> dict[str, object]:
    return {"mediaType": found.media_type, "digest": str(found.digest), "size": found.size, **more}


def push_image(client: RegistryClient, repository: Repository, content: bytes, tag: str) -> Document:
    config, layer = push_blob(client, repository, b"{}"), push_blob(client, repository, content)
    # An odd spelling, which no JSON writer would give back.
    raw = json.dumps({"schemaVersion": 2, "config": as_json(config), "layers": [as_json(layer)]}, indent=3) + "\n"
    document = Document(OCI_MANIFEST, raw.encode())
    client.put_manifest(repository.with_tag(tag), document)
    return document


@pytest.mark.parametrize("size", [0, 2, CHUNK_BYTES - 1, CHUNK_BYTES, 3 * CHUNK_BYTES + 7])
def test_a_blob_comes_back_as_it_went(client: RegistryClient, repository: Repository, size: int) -> None:
    content = os.urandom(size)
    assert not client.has_blob(repository, Digest.of(content))

    blob = push_blob(client, repository, content, step=CHUNK_BYTES)

    assert client.has_blob(repository, blob.digest)
    with client.open_blob(repository, blob) as chunks:
        assert b"".join(verify(chunks, blob)) == content


@pytest.mark.parametrize("offset", [1, CHUNK_BYTES, 2 * CHUNK_BYTES - 1])
def test_a_blob_is_read_from_an_offset(client: RegistryClient, repository: Repository, offset: int) -> None:
    content = os.urandom(2 * CHUNK_BYTES)
    blob = push_blob(client, repository, content, step=CHUNK_BYTES)

    with client.open_blob(repository, blob, offset) as chunks:
        assert b"".join(chunks) == content[offset:]


def test_a_blob_that_is_not_there_is_not_found(client: RegistryClient, repository: Repository) -> None:
    push_blob(client, repository, b"something")
    missing = described(b"missing")

    with (
        pytest.raises(NotFound, match=f"blob `{missing.digest}` of `{repository}`: BLOB_UNKNOWN") as caught,
        client.open_blob(repository, missing),
    ):
        pass

    assert caught.value.error_codes == ("BLOB_UNKNOWN",)


def test_wrong_bytes_are_never_stored(client: RegistryClient, repository: Repository) -> None:
    wanted = described(b"right")
    upload = client.begin_upload(repository, wanted.digest)
    assert upload is not None
    with pytest.raises(RegistryError, match="DIGEST_INVALID"):
        client.put_blob(upload, wanted, [b"wrong"])

    upload = client.begin_upload(repository, wanted.digest)
    assert upload is not None
    with pytest.raises(DigestMismatch):
        client.put_blob(upload, wanted, verify([b"wr", b"ong"], wanted))
    client.cancel_upload(upload)

    assert not client.has_blob(repository, wanted.digest)


def test_a_body_that_breaks_off_leaves_a_client_that_works(client: RegistryClient, repository: Repository) -> None:
    content = os.urandom(100_000)
    wanted = described(content)
    upload = client.begin_upload(repository, wanted.digest)
    assert upload is not None

    with pytest.raises(SizeMismatch):
        client.put_blob(upload, wanted, verify([content[:50_000]], wanted))
    client.cancel_upload(upload)
    assert not client.has_blob(repository, wanted.digest)
    push_blob(client, repository, content)

    assert client.has_blob(repository, wanted.digest)


def test_a_blob_is_mounted_where_another_repository_has_it(client: RegistryClient, repository: Repository) -> None:
    other = Repository(repository.registry, f"{repository.path}-other")
    blob = push_blob(client, repository, b"shared " + os.urandom(8))

    assert client.begin_upload(other, blob.digest, repository) is None
    assert client.has_blob(other, blob.digest)
    assert client.begin_upload(other, blob.digest, other) is None


def test_a_mount_that_cannot_be_is_an_upload_that_works(client: RegistryClient, repository: Repository) -> None:
    other = Repository(repository.registry, f"{repository.path}-empty")
    content = b"nowhere yet " + os.urandom(8)
    blob = described(content)

    upload = client.begin_upload(repository, blob.digest, other)
    assert upload is not None
    client.put_blob(upload, blob, [content])

    assert client.has_blob(repository, blob.digest)


def test_a_mount_across_registries_is_a_mistake(client: RegistryClient, repository: Repository) -> None:
    with pytest.raises(ValueError, match="different registries"):
        client.begin_upload(repository, Digest.of(b""), Repository("quay.io", "a/b"))


def test_a_document_comes_back_byte_for_byte(client: RegistryClient, repository: Repository) -> None:
    document = push_image(client, repository, b"layer", "1.0")

    by_tag = client.get_manifest(repository.with_tag("1.0"))
    by_digest = client.get_manifest(repository.with_digest(document.digest))
    head = client.head_manifest(repository.with_tag("1.0"))

    assert by_tag == by_digest == document
    assert head is not None
    assert head.descriptor == document.descriptor
    assert head.pull_limit is None


def test_a_document_is_put_by_digest_without_a_tag(client: RegistryClient, repository: Repository) -> None:
    document = push_image(client, repository, b"layer", "first")
    other = Document(OCI_MANIFEST, document.raw + b" ")
    client.put_manifest(repository.with_digest(other.digest), other)

    head = client.head_manifest(repository.with_digest(other.digest))
    assert head is not None
    assert head.descriptor.digest == other.digest
    assert client.get_manifest(repository.with_tag("first")) == document


def test_looking_is_head_only(registry: RunningRegistry, client: RegistryClient, repository: Repository) -> None:
    push_image(client, repository, b"layer", "1.0")
    before = registry.manifest_gets()

    assert client.head_manifest(repository.with_tag("1.0")) is not None
    assert client.head_manifest(repository.with_tag("2.0")) is None
    assert client.head_manifest(Reference(repository.registry, "no/such", "1")) is None

    assert registry.manifest_gets() == before


def test_what_is_not_there_is_not_found(client: RegistryClient, repository: Repository) -> None:
    with pytest.raises(NotFound, match=r"MANIFEST_UNKNOWN|NAME_UNKNOWN") as caught:
        client.get_manifest(repository.with_tag("2.0"))

    assert f"`{repository}:2.0`" in caught.value.message


def test_a_document_whose_blobs_are_missing_is_refused(client: RegistryClient, repository: Repository) -> None:
    missing = as_json(described(b"missing"))
    document = Document(OCI_MANIFEST, json.dumps({"schemaVersion": 2, "config": missing, "layers": [missing]}).encode())

    with pytest.raises(RegistryError, match="MANIFEST_BLOB_UNKNOWN") as caught:
        client.put_manifest(repository.with_tag("1"), document)

    assert not caught.value.is_temporary


def test_a_filtered_index_is_stored_and_tells_its_origin(client: RegistryClient, repository: Repository) -> None:
    children = [push_image(client, repository, arch.encode(), arch) for arch in ("amd64", "arm64")]
    entries = [
        as_json(child.descriptor, platform={"os": "linux", "architecture": arch})
        for child, arch in zip(children, ("amd64", "arm64"), strict=True)
    ]
    source = Document(OCI_INDEX, json.dumps({"schemaVersion": 2, "manifests": entries}).encode())
    filtered = filter_index(source, Subset((Platform.parse("linux/arm64"),)), source.digest)

    client.put_manifest(repository.with_tag("multi"), filtered)

    found = client.get_manifest(repository.with_tag("multi"))
    assert found == filtered
    assert read_provenance(found.raw) == (source.digest, "linux/arm64;attestations=keep")


def test_threads_share_a_client(client: RegistryClient, repository: Repository) -> None:
    contents = [os.urandom(50_000) for _ in range(8)]

    def push_and_read(content: bytes) -> bytes:
        blob = push_blob(client, repository, content)
        with client.open_blob(repository, blob) as chunks:
            return b"".join(verify(chunks, blob))

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(push_and_read, contents)) == contents


def test_an_endpoint_stands_in_for_a_registry(registry: RunningRegistry) -> None:
    client = RegistryClient(
        credentials=Login(PASSWORD) if registry.needs_login else None,
        endpoints=Endpoints((("docker.io", registry.url),)),
    )

    document = push_image(client, Repository("docker.io", "library/nginx"), b"nginx", "1.16")

    assert client.get_manifest(Reference.parse("nginx:1.16")) == document


def _look(client: RegistryClient, registry: RunningRegistry) -> None:
    """One request, to which a registry that lets us in answers 404."""
    assert client.head_manifest(Reference(registry.host, "a/b", "1")) is None


def test_a_login_costs_one_refusal_and_is_remembered(closed_registry: RunningRegistry) -> None:
    client = RegistryClient(credentials=Login(PASSWORD))
    before = len(closed_registry.accesses())

    for _ in range(3):
        _look(client, closed_registry)

    assert [access.status for access in closed_registry.accesses()[before:]] == [401, 404, 404, 404]


def test_a_wrong_login_is_tried_once_more_when_the_provider_has_another(closed_registry: RunningRegistry) -> None:
    _look(RegistryClient(credentials=Login("expired", PASSWORD)), closed_registry)

    with pytest.raises(Unauthorized) as caught:
        _look(RegistryClient(credentials=Login("wrong", "wrong too", PASSWORD)), closed_registry)
    assert "wrong" not in str(caught.value)


def test_without_a_login_a_closed_registry_says_so(closed_registry: RunningRegistry) -> None:
    client = RegistryClient()

    with pytest.raises(Unauthorized, match="UNAUTHORIZED") as caught:
        client.get_manifest(Reference(closed_registry.host, "a/b", "1"))
    assert caught.value.hint
    with pytest.raises(Unauthorized):
        client.head_manifest(Reference(closed_registry.host, "a/b", "1"))
    with pytest.raises(Unauthorized):
        client.begin_upload(Repository(closed_registry.host, "a/b"), Digest.of(b""))
    with (
        pytest.raises(Unauthorized),
        client.open_blob(Repository(closed_registry.host, "a/b"), described(b"")),
    ):
        pass


def test_a_provider_that_fails_is_heard(closed_registry: RunningRegistry) -> None:
    class Broken:
        def credential_for(self, registry: str, path: str = "") -> Credential | None:
            raise CredentialUnusable(f"no helper for `{registry}`")

    with pytest.raises(CredentialUnusable, match="no helper"):
        _look(RegistryClient(credentials=Broken()), closed_registry)


def test_the_access_log_of_the_real_thing_is_read(tmp_path: Path) -> None:
    with running_registry(tmp_path) as registry:
        client = RegistryClient()
        repository = Repository(registry.host, "a/b")
        push_image(client, repository, b"x", "1")
        client.get_manifest(repository.with_tag("1"))

        assert registry.manifest_gets() == ["/v2/a/b/manifests/1"]
        assert {a.user_agent.partition("/")[0] for a in registry.accesses()} == {"base-image-toolkit"}


def test_tags_are_listed_page_by_page(
    registry: RunningRegistry, client: RegistryClient, repository: Repository
) -> None:
    for number in range(5):
        push_image(client, repository, b"content", f"1.{number}")

    assert sorted(client.list_tags(repository)) == [f"1.{number}" for number in range(5)]
    assert sorted(client.list_tags(repository, page_size=2)) == [f"1.{number}" for number in range(5)]


def test_tags_of_an_unknown_repository_are_not_found(client: RegistryClient, repository: Repository) -> None:
    with pytest.raises(NotFound) as caught:
        client.list_tags(repository)
    assert "NAME_UNKNOWN" in caught.value.error_codes
