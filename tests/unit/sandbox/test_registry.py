"""What our registry does beyond docker-registry 2.8, by the standard."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.plain_http import PlainHttp, plain_http
from tests.support.sandbox import stand_in_registry

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with stand_in_registry(tmp_path) as url:
        yield url


@pytest.fixture
def http(url: str) -> Iterator[PlainHttp]:
    with plain_http(url) as http:
        yield http


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def push_blob(http: PlainHttp, repository: str, content: bytes) -> str:
    digest = digest_of(content)
    assert http.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", content).status == 201
    return digest


def test_part_that_leaves_a_gap_is_refused(http: PlainHttp) -> None:
    location = http.ask("POST", "/v2/a/blobs/uploads/").headers["location"]
    answer = http.ask("PATCH", location, b"later", {"Content-Range": "10-14"})
    assert (answer.status, answer.codes) == (416, ["BLOB_UPLOAD_INVALID"])


def test_who_puts_a_referrer_is_told_that_it_was_understood(http: PlainHttp) -> None:
    subject = digest_of(b"not there yet")
    document = {
        "schemaVersion": 2,
        "config": {"mediaType": "application/json", "digest": push_blob(http, "a", b"{}"), "size": 2},
        "layers": [],
        "subject": {"mediaType": OCI_MANIFEST, "digest": subject, "size": 13},
    }
    raw = json.dumps(document).encode()
    put = http.ask("PUT", f"/v2/a/manifests/{digest_of(raw)}", raw, {"Content-Type": OCI_MANIFEST})
    assert (put.status, put.headers["oci-subject"]) == (201, subject)
    listed = http.ask("GET", f"/v2/a/referrers/{subject}").document["manifests"]
    assert listed == [
        {
            "mediaType": OCI_MANIFEST,
            "digest": digest_of(raw),
            "size": len(raw),
            "artifactType": "application/json",  # the configuration's, where the document has none
        }
    ]


def test_range_after_the_end_is_refused(http: PlainHttp) -> None:
    path = f"/v2/a/blobs/{push_blob(http, 'a', b'ten bytes.')}"
    assert http.ask("GET", path, headers={"Range": "bytes=10-"}).status == 416
    assert http.ask("GET", path, headers={"Range": "bytes=9-"}).body == b"."


def test_tags_are_listed_page_by_page(http: PlainHttp) -> None:
    config = {"mediaType": "application/json", "digest": push_blob(http, "a", b"{}"), "size": 2}
    document = json.dumps({"schemaVersion": 2, "config": config, "layers": []})
    for tag in ("b", "d", "a", "c", "e"):
        put = http.ask("PUT", f"/v2/a/manifests/{tag}", document.encode(), {"Content-Type": DOCKER_MANIFEST})
        assert put.status == 201
    path, pages = "/v2/a/tags/list?n=2", []
    while path:
        answer = http.ask("GET", path)
        pages.append(answer.document["tags"])
        path = answer.headers.get("link", "").partition(">")[0].removeprefix("<")
    assert pages == [["a", "b"], ["c", "d"], ["e"]]


def test_upload_that_breaks_off_keeps_what_came_and_makes_no_blob(url: str, http: PlainHttp) -> None:
    location = http.ask("POST", "/v2/a/blobs/uploads/").headers["location"]
    digest = digest_of(b"all of it")
    path = f"{location.removeprefix(url)}&digest={digest}"
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nall".encode())
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(64).startswith(b"HTTP/1.1 400")
    assert http.ask("HEAD", f"/v2/a/blobs/{digest}").status == 404
    assert http.ask("GET", location).headers["range"] == "0-2"
    assert http.ask("PUT", path, b" of it", {"Content-Range": "3-8"}).status == 201


@pytest.mark.parametrize("name", ["Upper/case", "a//b", "-a", "a" * 256])
def test_repository_name_that_the_standard_forbids_is_refused(http: PlainHttp, name: str) -> None:
    answer = http.ask("GET", f"/v2/{name}/tags/list")
    assert (answer.status, answer.codes) == (400, ["NAME_INVALID"])


@pytest.mark.parametrize("target", ["..", "sha256:short", "-tag", "a" * 129, "sha256:../../../etc/passwd"])
def test_target_that_is_neither_tag_nor_digest_is_refused(http: PlainHttp, target: str) -> None:
    assert http.ask("GET", f"/v2/a/manifests/{target}").status in (400, 404)
    assert http.ask("PUT", f"/v2/a/manifests/{target}", b"{}").status in (400, 404)


def test_method_that_means_nothing_is_refused(http: PlainHttp) -> None:
    assert http.ask("POST", "/v2/a/tags/list").status == 405
    assert http.ask("GET", "/v1/a").status == 404


def test_content_outlives_the_server(tmp_path: Path) -> None:
    with stand_in_registry(tmp_path / "kept") as url, plain_http(url) as http:
        digest = push_blob(http, "a/b", b"content")
    with stand_in_registry(tmp_path / "kept") as url, plain_http(url) as http:
        assert http.ask("GET", f"/v2/a/b/blobs/{digest}").body == b"content"


@pytest.mark.parametrize("length", ["-5", "ten", "1e3"])
def test_length_that_is_no_number_is_refused(url: str, length: str) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            f"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()
        )
        assert connection.recv(64).startswith(b"HTTP/1.1 400")
