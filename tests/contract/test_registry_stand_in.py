"""The distribution API as a client sees it: the same suite on our stand-in and on the real docker-registry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.plain_http import Answer, PlainHttp, plain_http
from tests.support.registry import running_registry
from tests.support.sandbox import stand_in_registry
from toolkit.oci.client import RegistryClient
from toolkit.oci.reference import Repository

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
ALL_TYPES = ", ".join((OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST))
CONTENT = b"0123456789" * 1000


@pytest.fixture(scope="module", params=["stand-in", "docker-registry"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("registry")
    if request.param == "stand-in":
        with stand_in_registry(folder) as url:
            yield url
    else:
        with running_registry(folder) as registry:
            yield registry.url


@pytest.fixture
def http(url: str) -> Iterator[PlainHttp]:
    with plain_http(url, {"Accept": ALL_TYPES}) as http:
        yield http


@pytest.fixture
def repository(request: pytest.FixtureRequest) -> str:
    """One for each test: they share a registry."""
    return "tests/" + hashlib.sha256(request.node.name.encode()).hexdigest()[:12]


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def with_digest(location: str, digest: str) -> str:
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"


def push_blob(http: PlainHttp, repository: str, content: bytes) -> dict[str, Any]:
    start = http.ask("POST", f"/v2/{repository}/blobs/uploads/")
    assert start.status == 202
    digest = digest_of(content)
    assert http.ask("PUT", with_digest(start.headers["location"], digest), content).status == 201
    return {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": len(content)}


def image(http: PlainHttp, repository: str, note: str = "", media_type: str = OCI_MANIFEST) -> bytes:
    """An image whose blobs are there; `note` makes another one of the same blobs."""
    config = push_blob(http, repository, b"{}") | {"mediaType": "application/vnd.oci.image.config.v1+json"}
    if media_type == DOCKER_MANIFEST:
        config["mediaType"] = "application/vnd.docker.container.image.v1+json"
    layer = push_blob(http, repository, CONTENT)
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config,
        "layers": [layer],
        "annotations": {"n": note},
    }
    return json.dumps(document, indent=3).encode()


def index(*children: bytes, media_type: str = OCI_INDEX, child_type: str = OCI_MANIFEST) -> bytes:
    platforms = ({"os": "linux", "architecture": a} for a in ("arm64", "amd64"))
    manifests = [
        {"mediaType": child_type, "digest": digest_of(child), "size": len(child), "platform": platform}
        for child, platform in zip(children, platforms, strict=False)
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}, indent=2).encode()


def put(http: PlainHttp, repository: str, target: str, document: bytes, media_type: str = OCI_MANIFEST) -> Answer:
    return http.ask("PUT", f"/v2/{repository}/manifests/{target}", document, {"Content-Type": media_type})


def test_ping_names_the_api_version(http: PlainHttp) -> None:
    answer = http.ask("GET", "/v2/")
    assert (answer.status, answer.headers["docker-distribution-api-version"]) == (200, "registry/2.0")


def test_blob_in_one_put_can_be_read_back(http: PlainHttp, repository: str) -> None:
    digest = push_blob(http, repository, CONTENT)["digest"]
    head = http.ask("HEAD", f"/v2/{repository}/blobs/{digest}")
    assert (head.status, head.headers["content-length"], head.body) == (200, str(len(CONTENT)), b"")
    assert head.headers["docker-content-digest"] == digest
    assert http.ask("GET", f"/v2/{repository}/blobs/{digest}").body == CONTENT


def test_blob_in_parts_can_be_read_back(http: PlainHttp, repository: str) -> None:
    location = http.ask("POST", f"/v2/{repository}/blobs/uploads/").headers["location"]
    first = http.ask("PATCH", location, CONTENT[:400], {"Content-Range": "0-399"})
    assert (first.status, first.headers["range"]) == (202, "0-399")
    second = http.ask("PATCH", first.headers["location"], iter([CONTENT[400:600], CONTENT[600:900]]), chunked=True)
    assert second.headers["range"] == "0-899"
    digest = digest_of(CONTENT)
    assert http.ask("PUT", with_digest(second.headers["location"], digest), CONTENT[900:]).status == 201
    assert http.ask("GET", f"/v2/{repository}/blobs/{digest}").body == CONTENT


def test_empty_blob_is_a_blob(http: PlainHttp, repository: str) -> None:
    digest = push_blob(http, repository, b"")["digest"]
    assert http.ask("HEAD", f"/v2/{repository}/blobs/{digest}").headers["content-length"] == "0"


def test_blob_with_another_digest_is_refused_and_not_kept(http: PlainHttp, repository: str) -> None:
    location = http.ask("POST", f"/v2/{repository}/blobs/uploads/").headers["location"]
    wrong = digest_of(b"something else")
    answer = http.ask("PUT", with_digest(location, wrong), CONTENT)
    assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])
    assert http.ask("HEAD", f"/v2/{repository}/blobs/{wrong}").status == 404


def test_cancelled_upload_is_gone(http: PlainHttp, repository: str) -> None:
    location = http.ask("POST", f"/v2/{repository}/blobs/uploads/").headers["location"]
    assert http.ask("GET", location).status == 204
    assert http.ask("DELETE", location).status == 204
    answer = http.ask("PUT", with_digest(location, digest_of(b"")), b"")
    assert (answer.status, answer.codes) == (404, ["BLOB_UPLOAD_UNKNOWN"])


def test_unknown_blob_is_not_found(http: PlainHttp, repository: str) -> None:
    answer = http.ask("GET", f"/v2/{repository}/blobs/{digest_of(b'nobody has this')}")
    assert (answer.status, answer.codes) == (404, ["BLOB_UNKNOWN"])


def test_part_of_a_blob_is_sent_for_a_range(http: PlainHttp, repository: str) -> None:
    path = f"/v2/{repository}/blobs/{push_blob(http, repository, CONTENT)['digest']}"
    answer = http.ask("GET", path, headers={"Range": "bytes=9990-"})
    assert (answer.status, answer.body) == (206, CONTENT[9990:])
    assert answer.headers["content-range"] == "bytes 9990-9999/10000"


def test_blob_belongs_to_its_repository_until_mounted(http: PlainHttp, repository: str) -> None:
    digest = push_blob(http, f"{repository}/a", CONTENT + repository.encode())["digest"]
    assert http.ask("HEAD", f"/v2/{repository}/b/blobs/{digest}").status == 404
    mounted = http.ask("POST", f"/v2/{repository}/b/blobs/uploads/?mount={digest}&from={repository}/a")
    assert (mounted.status, mounted.headers["docker-content-digest"]) == (201, digest)
    assert http.ask("HEAD", f"/v2/{repository}/b/blobs/{digest}").status == 200


def test_mount_of_what_is_not_there_opens_an_upload(http: PlainHttp, repository: str) -> None:
    content = f"only of {repository}".encode()
    start = http.ask("POST", f"/v2/{repository}/blobs/uploads/?mount={digest_of(content)}&from=tests/nothing")
    assert start.status == 202
    assert http.ask("PUT", with_digest(start.headers["location"], digest_of(content)), content).status == 201


def test_image_is_served_byte_for_byte_under_tag_and_digest(http: PlainHttp, repository: str) -> None:
    document = image(http, repository)
    digest = digest_of(document)
    answer = put(http, repository, "1.0", document)
    assert (answer.status, answer.headers["docker-content-digest"]) == (201, digest)
    for target in ("1.0", digest):
        found = http.ask("GET", f"/v2/{repository}/manifests/{target}")
        assert (found.status, found.body, found.headers["content-type"]) == (200, document, OCI_MANIFEST)
        head = http.ask("HEAD", f"/v2/{repository}/manifests/{target}")
        assert head.headers["docker-content-digest"] == found.headers["docker-content-digest"] == digest
        assert (head.headers["content-length"], head.body) == (str(len(document)), b"")


def test_image_whose_blobs_are_missing_is_refused(http: PlainHttp, repository: str) -> None:
    document = image(http, f"{repository}/elsewhere")
    answer = put(http, repository, "1.0", document)
    assert (answer.status, set(answer.codes)) == (400, {"MANIFEST_BLOB_UNKNOWN"})
    assert http.ask("HEAD", f"/v2/{repository}/manifests/1.0").status == 404


def test_index_is_refused_before_its_children_and_taken_after(http: PlainHttp, repository: str) -> None:
    child = image(http, repository)
    document = index(child)
    refused = put(http, repository, "1.0", document, OCI_INDEX)
    assert (refused.status, set(refused.codes)) == (400, {"MANIFEST_BLOB_UNKNOWN"})
    assert put(http, repository, digest_of(child), child).status == 201
    assert put(http, repository, "1.0", document, OCI_INDEX).status == 201
    assert http.ask("GET", f"/v2/{repository}/manifests/1.0").body == document


def test_manifest_under_another_digest_is_refused(http: PlainHttp, repository: str) -> None:
    answer = put(http, repository, digest_of(b"something else"), image(http, repository))
    assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])


def test_manifest_that_is_no_json_is_refused(http: PlainHttp, repository: str) -> None:
    answer = put(http, repository, "1.0", b"no json")
    assert (answer.status, answer.codes) == (400, ["MANIFEST_INVALID"])


def test_tag_moves_and_what_it_pointed_to_stays(http: PlainHttp, repository: str) -> None:
    old, new = image(http, repository, "old"), image(http, repository, "new")
    put(http, repository, "1.0", old)
    put(http, repository, "1.0", new)
    assert http.ask("GET", f"/v2/{repository}/manifests/1.0").body == new
    assert http.ask("GET", f"/v2/{repository}/manifests/{digest_of(old)}").body == old


def test_index_that_a_client_cannot_read_is_answered_with_another_image(http: PlainHttp, repository: str) -> None:
    arm, amd = (image(http, repository, note, DOCKER_MANIFEST) for note in ("arm", "amd"))
    for child in (arm, amd):
        put(http, repository, digest_of(child), child, DOCKER_MANIFEST)
    document = index(arm, amd, media_type=DOCKER_LIST, child_type=DOCKER_MANIFEST)
    assert put(http, repository, "1.0", document, DOCKER_LIST).status == 201
    answer = http.ask("HEAD", f"/v2/{repository}/manifests/1.0", headers={"Accept": DOCKER_MANIFEST})
    assert answer.headers["docker-content-digest"] == digest_of(amd)


def test_oci_image_that_a_client_cannot_read_is_not_found(http: PlainHttp, repository: str) -> None:
    put(http, repository, "1.0", image(http, repository))
    answer = http.ask("GET", f"/v2/{repository}/manifests/1.0", headers={"Accept": DOCKER_MANIFEST})
    assert (answer.status, answer.codes) == (404, ["MANIFEST_UNKNOWN"])


def test_unknown_tag_is_not_found(http: PlainHttp, repository: str) -> None:
    put(http, repository, "1.0", image(http, repository))
    answer = http.ask("GET", f"/v2/{repository}/manifests/2.0")
    assert (answer.status, answer.codes) == (404, ["MANIFEST_UNKNOWN"])


def test_tags_are_listed(http: PlainHttp, repository: str) -> None:
    document = image(http, repository)
    for tag in ("b", "a", "c"):
        put(http, repository, tag, document)
    listed = http.ask("GET", f"/v2/{repository}/tags/list").document
    assert (listed["name"], sorted(listed["tags"])) == (repository, ["a", "b", "c"])


def test_the_client_lists_tags_page_by_page(url: str, http: PlainHttp, repository: str) -> None:
    document = image(http, repository)
    for tag in ("c", "a", "b", "d", "e"):
        put(http, repository, tag, document)

    name = Repository(urlsplit(url).netloc, repository)
    assert sorted(RegistryClient().list_tags(name)) == ["a", "b", "c", "d", "e"]
    assert sorted(RegistryClient().list_tags(name, page_size=2)) == ["a", "b", "c", "d", "e"]


def test_tags_of_an_unknown_repository_are_not_found(http: PlainHttp, repository: str) -> None:
    answer = http.ask("GET", f"/v2/{repository}/tags/list")
    assert (answer.status, answer.codes) == (404, ["NAME_UNKNOWN"])


def test_deleted_manifest_takes_its_tags_along(http: PlainHttp, repository: str) -> None:
    document, other = image(http, repository), image(http, repository, "other")
    put(http, repository, "1.0", document)
    put(http, repository, "2.0", other)
    path = f"/v2/{repository}/manifests/{digest_of(document)}"
    assert http.ask("DELETE", path).status == 202
    assert http.ask("HEAD", path).status == 404
    assert http.ask("GET", f"/v2/{repository}/tags/list").document["tags"] == ["2.0"]
    assert http.ask("DELETE", path).status == 404


def test_deleted_blob_is_gone_from_its_repository(http: PlainHttp, repository: str) -> None:
    path = f"/v2/{repository}/blobs/{push_blob(http, repository, CONTENT)['digest']}"
    assert http.ask("DELETE", path).status == 202
    assert http.ask("HEAD", path).status == 404


def test_connection_stays_usable_after_refused_bodies(http: PlainHttp, repository: str) -> None:
    http.ask("GET", "/v2/")
    socket = http.connection.sock
    assert socket is not None
    for _ in range(3):
        assert (
            http.ask("PUT", f"/v2/{repository}/blobs/uploads/none?digest={digest_of(b'')}", CONTENT * 20).status == 404
        )
        assert http.ask("GET", "/v2/").status == 200
    assert http.connection.sock is socket


def test_body_is_sent_after_the_server_says_continue(http: PlainHttp, repository: str) -> None:
    location = http.ask("POST", f"/v2/{repository}/blobs/uploads/").headers["location"]
    path = with_digest(location.partition("//")[2].partition("/")[2], digest_of(CONTENT))
    http.connection.putrequest("PUT", f"/{path}")
    http.connection.putheader("Content-Length", str(len(CONTENT)))
    http.connection.putheader("Expect", "100-continue")
    http.connection.endheaders()
    assert http.connection.sock.recv(64) == b"HTTP/1.1 100 Continue\r\n\r\n"
    http.connection.send(CONTENT)
    answer = http.connection.getresponse()
    assert answer.read() == b""
    assert answer.status == 201
