"""The client against what registries are known to do and docker-registry does not, played by a scripted server."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.clocks import FakeTime
from tests.support.faulty_registry import FaultyRegistry, Reply, Seen, as_json, faulty_registry, refused
from toolkit.oci.auth import Credential
from toolkit.oci.client import PullLimit, RegistryClient, Upload
from toolkit.oci.descriptor import Descriptor, verify
from toolkit.oci.digest import Digest
from toolkit.oci.documents import ACCEPT, Document
from toolkit.oci.endpoints import Endpoints
from toolkit.oci.errors import (
    ConnectionFailed,
    DigestMismatch,
    InvalidDocument,
    OciError,
    RegistryError,
    SizeMismatch,
    SubjectRefused,
    TagImmutable,
    TooManyRequests,
)
from toolkit.oci.media_types import DOCKER_MANIFEST, OCI_MANIFEST
from toolkit.oci.reference import Reference
from toolkit.oci.transport import Transport

NGINX = Reference.parse("nginx:1.16")
MANIFEST = "/v2/library/nginx/manifests/1.16"
UPLOADS = "/v2/library/nginx/blobs/uploads/"
RAW = b'{"schemaVersion": 2}'
BLOB = Descriptor("application/octet-stream", Digest.of(b"0123456789"), 10)
BLOB_PATH = f"/v2/library/nginx/blobs/{BLOB.digest}"


def document_reply(**headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(200, {"Content-Type": OCI_MANIFEST, "Docker-Content-Digest": str(Digest.of(RAW)), **named}, RAW)


@pytest.fixture
def server() -> Iterator[FaultyRegistry]:
    with faulty_registry() as running:
        yield running


class Login:
    def credential_for(self, registry: str, path: str = "") -> Credential | None:
        return Credential("me", "hunter2")


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def client(server: FaultyRegistry, time: FakeTime) -> RegistryClient:
    return RegistryClient(
        credentials=Login(),
        endpoints=Endpoints((("docker.io", server.url),)),
        transport=Transport(sleep=time.sleep, clock=time.clock, random=lambda: 1.0, proxies={}),
    )


def test_head_reads_the_pull_limit_and_asks_for_every_kind(server: FaultyRegistry, client: RegistryClient) -> None:
    server.on("HEAD", MANIFEST, document_reply(ratelimit_limit="100;w=21600", ratelimit_remaining="42;w=21600"))

    head = client.head_manifest(NGINX)

    assert head is not None
    assert head.pull_limit == PullLimit(100, 42, 21600)
    assert head.descriptor == Descriptor(OCI_MANIFEST, Digest.of(RAW), len(RAW))
    assert server.seen[0].headers["accept"] == ACCEPT


@pytest.mark.parametrize("digest", ["", "sha256:nonsense"])
def test_head_without_a_digest_is_an_error_and_costs_no_get(
    server: FaultyRegistry, client: RegistryClient, digest: str
) -> None:
    server.on("HEAD", MANIFEST, document_reply(Docker_Content_Digest=digest))
    server.on("GET", MANIFEST, document_reply(Docker_Content_Digest=digest))

    with pytest.raises(OciError) as caught:
        client.head_manifest(NGINX)
    assert caught.value.code == "oci.no_digest_on_head"
    assert server.asked("GET", MANIFEST) == []


@pytest.mark.parametrize(
    "reply",
    [
        document_reply(Docker_Content_Digest=""),
        document_reply(Content_Length=""),
        document_reply(Content_Type=""),
        *(refused(status, "UNSUPPORTED") for status in (400, 403, 405, 406, 501)),
    ],
)
@pytest.mark.parametrize("is_pinned", [False, True])
def test_reads_what_head_leaves_out_where_pulls_are_not_counted(
    server: FaultyRegistry, client: RegistryClient, reply: Reply, is_pinned: bool
) -> None:
    reference = Reference.parse(f"{server.host}/team/app:v1")
    if is_pinned:
        reference = reference.with_digest(Digest.of(RAW))
    path = f"/v2/team/app/manifests/{reference.target}"
    server.on("HEAD", path, reply)
    server.on("GET", path, Reply(200, {"Content-Type": OCI_MANIFEST}, RAW))

    head = client.head_manifest(reference)

    assert head is not None
    assert head.descriptor == Descriptor(OCI_MANIFEST, Digest.of(RAW), len(RAW))
    assert len(server.asked("GET", path)) <= 1


def test_takes_a_404_after_a_refused_head_for_absence(server: FaultyRegistry, client: RegistryClient) -> None:
    server.on("HEAD", "/v2/team/app/manifests/v1", refused(405, "UNSUPPORTED"))
    server.on("GET", "/v2/team/app/manifests/v1", refused(404, "MANIFEST_UNKNOWN"))

    assert client.head_manifest(Reference.parse(f"{server.host}/team/app:v1")) is None


@pytest.mark.parametrize("name", ["nginx:1.16", "{host}/team/app:v1"])
def test_reads_nothing_after_a_refused_head_where_pulls_are_counted(
    server: FaultyRegistry, client: RegistryClient, name: str
) -> None:
    reference = Reference.parse(name.format(host=server.host))
    path = f"/v2/{reference.name.path}/manifests/{reference.tag}"
    counted = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "42;w=21600"}
    server.on("HEAD", path, refused(405, "UNSUPPORTED", headers={} if name == "nginx:1.16" else counted))

    with pytest.raises(RegistryError):
        client.head_manifest(reference)
    assert server.asked("GET", path) == []


def test_names_who_sent_a_page_where_a_document_was_asked_for(server: FaultyRegistry, client: RegistryClient) -> None:
    server.on("GET", MANIFEST, Reply(200, {"Content-Type": "text/html"}, b"<html>Sign in</html>"))
    with pytest.raises(InvalidDocument, match=f"`{server.host}` sent no document for `docker.io/library/nginx:1.16`"):
        client.get_manifest(NGINX)


def test_ecr_tells_no_digest_on_get_and_it_is_computed(server: FaultyRegistry, client: RegistryClient) -> None:
    server.on("GET", MANIFEST, Reply(200, {"Content-Type": f"{DOCKER_MANIFEST}; charset=utf-8"}, RAW))

    assert client.get_manifest(NGINX) == Document(DOCKER_MANIFEST, RAW)


def test_other_content_than_the_digest_says_is_refused(server: FaultyRegistry, client: RegistryClient) -> None:
    pinned = NGINX.with_digest(Digest.of(b"reviewed"))
    server.on("GET", f"/v2/library/nginx/manifests/{pinned.digest}", document_reply())
    server.on("GET", MANIFEST, document_reply(Docker_Content_Digest=str(Digest.of(b"other"))))

    for reference in (pinned, NGINX):
        with pytest.raises(DigestMismatch, match="other content"):
            client.get_manifest(reference)


def test_the_pull_limit_is_an_error_of_its_own_at_once(
    server: FaultyRegistry, client: RegistryClient, time: FakeTime
) -> None:
    server.on("GET", MANIFEST, refused(429, "TOOMANYREQUESTS", "You have reached your pull rate limit."))

    with pytest.raises(TooManyRequests) as caught:
        client.get_manifest(NGINX)

    assert caught.value.is_pull_limit
    assert caught.value.code == "oci.pull_limit_reached"
    assert (len(server.seen), time.slept) == (1, [])


def test_throttling_is_waited_for(server: FaultyRegistry, client: RegistryClient, time: FakeTime) -> None:
    server.on("PUT", MANIFEST, refused(429, "TOOMANYREQUESTS", "Rate exceeded"), Reply(201))

    client.put_manifest(NGINX, Document(OCI_MANIFEST, RAW))

    assert [seen.body for seen in server.seen] == [RAW, RAW]
    assert len(time.slept) == 1


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (refused(400, "TAG_INVALID", "The image tag '1.16' already exists and is immutable."), TagImmutable),
        (refused(412, "PRECONDITION", "configured as immutable"), TagImmutable),
        (refused(409, "TAG_IMMUTABLE"), TagImmutable),
        (refused(409, "CONFLICT"), RegistryError),
        (refused(400, "MANIFEST_INVALID"), RegistryError),
        (refused(405, "UNSUPPORTED"), RegistryError),
    ],
)
def test_a_tag_that_cannot_move_is_told_from_other_refusals(
    server: FaultyRegistry, client: RegistryClient, reply: Reply, expected: type[RegistryError]
) -> None:
    server.on("PUT", MANIFEST, reply)

    with pytest.raises(RegistryError) as caught:
        client.put_manifest(NGINX, Document(OCI_MANIFEST, RAW))

    assert type(caught.value) is expected
    assert not caught.value.is_temporary


@pytest.mark.parametrize("reply", [Reply(405), refused(400, "UNSUPPORTED")])
def test_a_registry_that_takes_no_subject_is_told_from_other_refusals(
    server: FaultyRegistry, client: RegistryClient, reply: Reply
) -> None:
    server.on("PUT", MANIFEST, reply)

    with pytest.raises(SubjectRefused):
        client.put_manifest(NGINX, Document(OCI_MANIFEST, b'{"schemaVersion": 2, "subject": {}}'))


def test_a_put_sends_the_type_and_distrusts_another_digest(server: FaultyRegistry, client: RegistryClient) -> None:
    server.on("PUT", MANIFEST, Reply(201, {"Docker-Content-Digest": str(Digest.of(b"other"))}))

    with pytest.raises(DigestMismatch, match="not what it was given"):
        client.put_manifest(NGINX, Document(DOCKER_MANIFEST, RAW))

    assert server.seen[0].headers["content-type"] == DOCKER_MANIFEST


def test_a_head_with_a_size_of_thousands_of_digits_is_an_error(server: FaultyRegistry, client: RegistryClient) -> None:
    server.on("HEAD", MANIFEST, document_reply(Content_Length="9" * 5000))

    with pytest.raises(OciError) as caught:
        client.head_manifest(NGINX)
    assert caught.value.code == "oci.no_digest_on_head"


def test_a_range_that_is_ignored_is_skipped(server: FaultyRegistry, client: RegistryClient) -> None:
    server.on("GET", BLOB_PATH, Reply(200, {}, b"0123456789"))

    with client.open_blob(NGINX.name, BLOB, 4) as chunks:
        assert b"".join(chunks) == b"456789"
    assert server.seen[0].headers["range"] == "bytes=4-"


PACKED = gzip.compress(b"0123456789", mtime=0)


@pytest.mark.parametrize("coding", ["gzip", "x-gzip"])
def test_unpacks_a_blob_that_was_packed_on_the_way(server: FaultyRegistry, client: RegistryClient, coding: str) -> None:
    server.on("GET", BLOB_PATH, Reply(200, {"Content-Encoding": coding}, PACKED))

    for offset in (0, 4):
        with client.open_blob(NGINX.name, BLOB, offset) as chunks:
            assert b"".join(chunks) == b"0123456789"[offset:]


def test_leaves_a_layer_packed_that_is_a_gzip_file_itself(server: FaultyRegistry, client: RegistryClient) -> None:
    layer = Descriptor("application/vnd.oci.image.layer.v1.tar+gzip", Digest.of(PACKED), len(PACKED))
    path = f"/v2/library/nginx/blobs/{layer.digest}"
    server.on("GET", path, Reply(200, {"Content-Encoding": "gzip"}, PACKED))

    with client.open_blob(NGINX.name, layer) as chunks:
        assert b"".join(chunks) == PACKED


@pytest.mark.parametrize("body", [b"not packed", PACKED[:12] + b"damage"])
def test_refuses_a_packed_blob_that_is_damaged(server: FaultyRegistry, client: RegistryClient, body: bytes) -> None:
    server.on("GET", BLOB_PATH, Reply(200, {"Content-Encoding": "gzip", "Content-Length": str(len(body))}, body))
    wanted = replace(BLOB, size=99)

    with pytest.raises(SizeMismatch), client.open_blob(NGINX.name, wanted) as chunks:
        b"".join(verify(chunks, wanted))


@pytest.mark.parametrize("content_range", ["bytes 0-9/10", "", "bytes */10", f"bytes {'9' * 5000}-"])
def test_another_part_than_asked_for_is_refused(
    server: FaultyRegistry, client: RegistryClient, content_range: str
) -> None:
    server.on("GET", BLOB_PATH, Reply(206, {"Content-Range": content_range}, b"0123456789"))

    with pytest.raises(SizeMismatch, match="another part"), client.open_blob(NGINX.name, BLOB, 4):
        pass


def test_a_blob_comes_from_storage_without_credentials(server: FaultyRegistry, client: RegistryClient) -> None:
    def guard(seen: Seen) -> Reply:
        if seen.authorization is None:
            return Reply(401, {"WWW-Authenticate": "Basic realm=x"})
        return Reply(307, {"Location": f"{server.foreign_url}/storage?signature=1"})

    server.on("GET", BLOB_PATH, guard)
    server.on("GET", "/storage", Reply(206, {"Content-Range": "bytes 4-9/10"}, b"456789"))

    with client.open_blob(NGINX.name, BLOB, 4) as chunks:
        assert b"".join(chunks) == b"456789"

    (stored,) = server.asked("GET", "/storage")
    assert stored.authorization is None
    assert stored.headers["range"] == "bytes=4-"


@pytest.mark.parametrize("base", ["", "{url}"])
@pytest.mark.parametrize("query", ["", "?_state=a%2Fb"])
def test_an_upload_goes_where_the_registry_says(
    server: FaultyRegistry, client: RegistryClient, base: str, query: str
) -> None:
    server.on("POST", UPLOADS, Reply(202, {"Location": f"{base.format(url=server.url)}/session/1{query}"}))
    server.on("PUT", "/session/1", Reply(201))

    upload = client.begin_upload(NGINX.name, BLOB.digest)
    assert upload is not None
    client.put_blob(upload, BLOB, [b"01234", b"56789"])

    (put,) = server.asked("PUT", "/session/1")
    assert put.body == b"0123456789"
    assert put.headers["content-length"] == "10"
    assert put.query == {"digest": [str(BLOB.digest)]} | ({"_state": ["a/b"]} if query else {})
    assert "state" not in repr(upload)


def test_an_upload_begins_where_the_registry_sends_it(server: FaultyRegistry, client: RegistryClient) -> None:
    server.on("POST", UPLOADS, Reply(308, {"Location": f"{server.foreign_url}/new/uploads/"}))
    server.on("POST", "/new/uploads/", Reply(202, {"Location": "session/1"}))
    server.on("PUT", "/new/uploads/session/1", Reply(201))

    upload = client.begin_upload(NGINX.name, BLOB.digest)
    assert upload is not None and upload.location == f"{server.foreign_url}/new/uploads/session/1"
    client.put_blob(upload, BLOB, [b"0123456789"])


def test_an_upload_to_another_host_gets_no_credential(server: FaultyRegistry, client: RegistryClient) -> None:
    def guard(seen: Seen) -> Reply:
        if seen.authorization is None:
            return Reply(401, {"WWW-Authenticate": "Basic realm=x"})
        return Reply(202, {"Location": f"{server.foreign_url}/session/1"})

    server.on("POST", UPLOADS, guard)
    server.on("PUT", "/session/1", Reply(201))
    server.on("DELETE", "/session/1", Reply(204))

    upload = client.begin_upload(NGINX.name, BLOB.digest)
    assert upload is not None
    client.put_blob(upload, BLOB, [b"0123456789"])
    client.cancel_upload(upload)

    assert [seen.authorization for seen in server.asked("PUT", "/session/1")] == [None]
    assert [seen.authorization for seen in server.asked("DELETE", "/session/1")] == [None]


@pytest.mark.parametrize(
    ("base", "location", "expected"),
    [
        ("https://r.example.com", "http://r.example.com/u/1?s=2", "https://r.example.com/u/1?s=2"),
        ("https://r.example.com:8443", "http://r.example.com/u/1", "https://r.example.com:8443/u/1"),
        ("https://r.example.com/prefix", "/v2/u/1", "https://r.example.com/v2/u/1"),
        ("https://r.example.com", "https://other.example.com/u", "https://other.example.com/u"),
        ("https://r.example.com", "http://other.example.com/u", None),
        ("https://r.example.com", "ftp://r.example.com/u", None),
        ("https://r.example.com", "https://[", None),
    ],
)
def test_a_location_is_never_followed_into_the_clear(base: str, location: str, expected: str | None) -> None:
    client = RegistryClient(endpoints=Endpoints((("*", base),)))
    if expected is None:
        with pytest.raises(ConnectionFailed, match="unusable address"):
            client._absolute("r.example.com", f"{base}/v2/a/blobs/uploads/", location)
    else:
        assert client._absolute("r.example.com", f"{base}/v2/a/blobs/uploads/", location) == expected


def test_a_mount_that_is_answered_201_needs_no_upload(server: FaultyRegistry, client: RegistryClient) -> None:
    other = Reference.parse("python").name
    server.on("POST", UPLOADS, Reply(201))

    assert client.begin_upload(NGINX.name, BLOB.digest, other) is None
    assert server.seen[0].query == {"mount": [str(BLOB.digest)], "from": ["library/python"]}


@pytest.mark.parametrize("reply", [Reply(202), Reply(201), Reply(200, {"Location": "/x"}), refused(405, "UNSUPPORTED")])
def test_an_upload_that_does_not_begin_is_an_error(
    server: FaultyRegistry, client: RegistryClient, reply: Reply
) -> None:
    server.on("POST", UPLOADS, reply)

    with pytest.raises(RegistryError, match=r"an upload to `docker\.io/library/nginx`"):
        client.begin_upload(NGINX.name, BLOB.digest)


@pytest.mark.parametrize("status", [200, 202, 204, 416, 500])
def test_only_201_completes_an_upload_and_it_is_tried_once(
    server: FaultyRegistry, client: RegistryClient, status: int
) -> None:
    server.on("PUT", "/session", Reply(status))

    with pytest.raises(RegistryError, match=f"responded with {status}"):
        client.put_blob(Upload(NGINX.name, f"{server.url}/session"), BLOB, [b"0123456789"])

    assert len(server.seen) == 1


def test_sends_a_blob_in_smaller_parts_where_a_request_is_too_large(
    server: FaultyRegistry, client: RegistryClient
) -> None:
    content = bytes(range(256)) * 5000
    blob = Descriptor("application/octet-stream", Digest.of(content), len(content))
    stored: list[bytes] = []
    limit = 2**20

    def take(seen: Seen) -> Reply:
        if len(seen.body) > limit:
            return Reply(413, {"Content-Type": "text/html"}, b"<html>Request Entity Too Large</html>")
        start, _, end = seen.headers["content-range"].partition("-")
        assert (int(start), int(end) + 1) == (len(b"".join(stored)), len(b"".join(stored)) + len(seen.body))
        stored.append(seen.body)
        return Reply(202, {"Location": f"/session?part={len(stored)}"})

    server.on("PATCH", "/session", take)
    server.on("PUT", "/session", lambda seen: Reply(413 if len(seen.body) > limit else 201))

    def put() -> None:
        chunks = [content[at : at + 100_000] for at in range(0, len(content), 100_000)]
        client.put_blob(Upload(NGINX.name, f"{server.url}/session"), blob, verify(chunks, blob))

    for _ in range(3):
        with pytest.raises(ConnectionFailed) as caught:
            put()
        assert caught.value.is_temporary
    put()

    assert b"".join(stored) == content
    last = server.asked("PUT", "/session")[-1]
    assert (last.body, last.query) == (b"", {"part": [str(len(stored))], "digest": [str(blob.digest)]})
    limit = 0
    with pytest.raises(RegistryError) as refusal:
        put()
    assert refusal.value.code == "oci.too_large"


def test_never_completes_an_upload_in_parts_of_other_content(server: FaultyRegistry, client: RegistryClient) -> None:
    server.on("PUT", "/session", Reply(413))
    server.on("PATCH", "/session", Reply(202, {"Location": "/session"}))
    upload = Upload(NGINX.name, f"{server.url}/session")
    with pytest.raises(ConnectionFailed):
        client.put_blob(upload, BLOB, [b"0123456789"])

    for content in (b"9876543210", b"0123456789+", b"01234"):
        with pytest.raises(OciError):
            client.put_blob(upload, BLOB, verify([content[:4], content[4:]], BLOB))
    assert len(server.asked("PUT", "/session")) == 1


def test_cancelling_never_fails(server: FaultyRegistry, client: RegistryClient, time: FakeTime) -> None:
    server.on("DELETE", "/session", Reply(drops=True))

    client.cancel_upload(Upload(NGINX.name, f"{server.url}/session"))

    assert (len(server.seen), time.slept) == (1, [])


def test_a_manifest_that_is_cut_is_read_again(server: FaultyRegistry, client: RegistryClient) -> None:
    server.on("GET", MANIFEST, Reply(200, {"Content-Type": OCI_MANIFEST}, RAW, sends=5), document_reply())

    assert client.get_manifest(NGINX).raw == RAW


def test_a_registry_that_cannot_look_for_a_blob_is_sent_it(server: FaultyRegistry, client: RegistryClient) -> None:
    server.on("HEAD", BLOB_PATH, refused(405, "UNSUPPORTED"))

    assert not client.has_blob(NGINX.name, BLOB.digest)


@pytest.mark.parametrize("status", [499, 520, 521, 522, 523, 524, 530])
def test_asks_again_after_a_status_of_a_network_between(
    server: FaultyRegistry, client: RegistryClient, status: int
) -> None:
    server.on("GET", MANIFEST, Reply(status, {"Content-Type": "text/html"}, b"<html>"), document_reply())

    assert client.get_manifest(NGINX).raw == RAW


def test_a_blob_check_that_fails_is_not_taken_for_absence(server: FaultyRegistry, client: RegistryClient) -> None:
    server.on("HEAD", BLOB_PATH, Reply(400))

    with pytest.raises(RegistryError):
        client.has_blob(NGINX.name, BLOB.digest)


TAGS = "/v2/library/nginx/tags/list"


def tag_page(*tags: str, link: str = "") -> Reply:
    reply = as_json({"name": "library/nginx", "tags": list(tags)})
    return replace(reply, headers={**reply.headers, "Link": link}) if link else reply


def test_tags_come_page_by_page_from_relative_and_absolute_links(
    server: FaultyRegistry, client: RegistryClient
) -> None:
    server.on(
        "GET",
        TAGS,
        tag_page("1", "2", link=f'<{TAGS}?last=2&n=2>; rel="next"'),
        tag_page("3", "2", link=f'</v2/>; rel="first", <{server.url}{TAGS}?last=3&n=2>; title="a, b"; rel=next'),
        tag_page("4", link="<?last=4>; rel=next"),
        tag_page("5", link=f'<{TAGS}?last=0>; rel="previous"'),
    )

    assert client.list_tags(NGINX.name) == ("1", "2", "3", "4", "5")
    assert [seen.query.get("last") for seen in server.seen] == [None, ["2"], ["3"], ["4"]]


@pytest.mark.parametrize("path", [TAGS, "/anything"])
def test_a_list_that_goes_on_elsewhere_is_not_followed(
    server: FaultyRegistry, client: RegistryClient, path: str
) -> None:
    server.on("GET", TAGS, tag_page("1", link=f'<{server.foreign_url}{path}?last=1>; rel="next"'))

    with pytest.raises(ConnectionFailed, match="on another host, which is not followed") as caught:
        client.list_tags(NGINX.name)
    assert not caught.value.is_temporary
    assert len(server.seen) == 1


@pytest.mark.parametrize("link", ["<ftp://127.0.0.1/x>; rel=next", "<http://[/x>; rel=next"])
def test_a_list_that_goes_on_nowhere_is_an_error(server: FaultyRegistry, client: RegistryClient, link: str) -> None:
    server.on("GET", TAGS, tag_page("1", link=link))

    with pytest.raises(ConnectionFailed, match="unusable address"):
        client.list_tags(NGINX.name)


@pytest.mark.parametrize("link", [f"<{TAGS}?last=1>", f'<{TAGS}?last=1>; title="more"'])
def test_follows_a_link_that_does_not_say_what_it_is(server: FaultyRegistry, client: RegistryClient, link: str) -> None:
    server.on("GET", TAGS, tag_page("1", link=link), tag_page("2"))

    assert client.list_tags(NGINX.name) == ("1", "2")


@pytest.mark.parametrize("link", [f"{TAGS}?last=1", f'{TAGS}?last=1; rel="next"', "<", "next"])
def test_takes_a_link_that_cannot_be_read_for_no_end(server: FaultyRegistry, client: RegistryClient, link: str) -> None:
    server.on("GET", TAGS, tag_page("1", link=link))

    with pytest.raises(InvalidDocument, match="the tags of `docker"):
        client.list_tags(NGINX.name)


def test_bounds_the_tags_of_a_list_in_sum(server: FaultyRegistry, client: RegistryClient) -> None:
    tags = [f"{n:0>7}{'x' * 121}" for n in range(50_000)]
    server.on("GET", TAGS, lambda seen: tag_page(*tags, link=f"<{TAGS}?last={len(server.seen)}>; rel=next"))

    with pytest.raises(OciError) as caught:
        client.list_tags(NGINX.name)
    assert caught.value.code == "oci.endless_list"
    assert len(server.seen) < 8


def test_a_list_that_comes_back_to_a_page_is_an_error(server: FaultyRegistry, client: RegistryClient) -> None:
    server.on("GET", TAGS, tag_page("1", link=f'<{TAGS}?last=1>; rel="next"'))

    with pytest.raises(OciError) as caught:
        client.list_tags(NGINX.name)
    assert caught.value.code == "oci.endless_list"
    assert len(server.seen) == 2


def test_a_list_of_ever_new_pages_is_an_error(server: FaultyRegistry, client: RegistryClient) -> None:
    server.on("GET", TAGS, lambda seen: tag_page("1", link=f'<{TAGS}?last={len(server.seen)}>; rel="next"'))

    with pytest.raises(OciError) as caught:
        client.list_tags(NGINX.name)
    assert caught.value.code == "oci.endless_list"
    assert len(server.seen) == 1000


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"tags": {"a": 1}}', b'{"tags": [1]}', b"<html>"])
def test_what_is_no_list_of_tags_is_an_error(server: FaultyRegistry, client: RegistryClient, body: bytes) -> None:
    server.on("GET", TAGS, Reply(200, {}, body))

    with pytest.raises(InvalidDocument, match="sent no list of tags when asked for the tags of `docker"):
        client.list_tags(NGINX.name)


@pytest.mark.parametrize("rest", [b', "tags": null', b', "tags": []', b""])
def test_a_repository_may_have_no_tags(server: FaultyRegistry, client: RegistryClient, rest: bytes) -> None:
    server.on("GET", TAGS, Reply(200, {}, b'{"name": "library/nginx"' + rest + b"}"))

    assert client.list_tags(NGINX.name) == ()


def test_throttled_pages_are_waited_for(server: FaultyRegistry, client: RegistryClient, time: FakeTime) -> None:
    server.on("GET", TAGS, refused(429, "TOOMANYREQUESTS", "slow down"), tag_page("1"))

    assert client.list_tags(NGINX.name) == ("1",)
    assert len(time.slept) == 1
