"""The client against a registry with Bearer tokens, played by a scripted server."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tests.support.clocks import FakeTime
from tests.support.faulty_registry import FaultyRegistry, Reply, Seen, as_json, faulty_registry, refused
from toolkit.oci.auth import Credential
from toolkit.oci.client import RegistryClient
from toolkit.oci.descriptor import Descriptor
from toolkit.oci.digest import Digest
from toolkit.oci.docker_config import DockerConfigCredentials
from toolkit.oci.endpoints import Endpoints
from toolkit.oci.errors import ConnectionFailed, RegistryError, Unauthorized
from toolkit.oci.media_types import OCI_MANIFEST
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.transport import Transport

ME = Credential("me", "hunter2")
BASIC = "Basic " + base64.b64encode(b"me:hunter2").decode()
HEAD_OK = Reply(
    200, {"Docker-Content-Digest": str(Digest.of(b"x")), "Content-Type": OCI_MANIFEST, "Content-Length": "1"}
)


class Provider:
    """Has `credentials` in turn; the next one once it is told that the last was refused."""

    def __init__(self, *credentials: Credential | None) -> None:
        self.credentials = list(credentials)

    def credential_for(self, registry: str, path: str = "") -> Credential | None:
        return self.credentials[0] if self.credentials else None

    def forget(self, registry: str) -> None:
        if len(self.credentials) > 1:
            self.credentials.pop(0)


class TokenRegistry:
    """Gives tokens `t1`, `t2`, … on `/token`, and wants the newest one, if it was given for the right scope."""

    def __init__(self, server: FaultyRegistry) -> None:
        self.server = server
        self.realm = f"{server.url}/token"
        self.given: list[Seen] = []
        self.valid: str | None = None
        self.answer: dict[str, object] = {"expires_in": 300}
        server.on("GET", "/token", self.give)
        server.on("POST", "/token", self.give)

    def give(self, seen: Seen) -> Reply:
        self.given.append(seen)
        self.valid = f"t{len(self.given)}"
        return as_json({"token": self.valid, **self.answer})

    def guard(self, reply: Reply) -> object:
        def answer(seen: Seen) -> Reply:
            if self.valid is None or seen.authorization != f"Bearer {self.valid}":
                challenge = f'Bearer realm="{self.realm}",service="the, service",scope="whatever"'
                return refused(401, "UNAUTHORIZED", "no", {"WWW-Authenticate": challenge})
            return reply

        return answer

    def on(self, method: str, path: str, reply: Reply) -> None:
        self.server.on(method, path, self.guard(reply))  # type: ignore[arg-type]


@pytest.fixture
def server() -> Iterator[FaultyRegistry]:
    with faulty_registry() as running:
        yield running


@pytest.fixture
def registry(server: FaultyRegistry) -> TokenRegistry:
    return TokenRegistry(server)


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


def make_client(
    server: FaultyRegistry, time: FakeTime, *credentials: Credential | None, endpoints: Endpoints | None = None
) -> RegistryClient:
    return RegistryClient(
        credentials=Provider(*credentials),
        endpoints=endpoints or Endpoints((("*", server.url),)),
        transport=Transport(sleep=time.sleep, clock=time.clock, random=lambda: 1.0, proxies={}),
        clock=time.clock,
    )


NGINX = Reference.parse("nginx:1.16")
HEAD_PATH = "/v2/library/nginx/manifests/1.16"


def test_a_token_is_asked_for_with_service_scope_and_credential(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime
) -> None:
    registry.on("HEAD", HEAD_PATH, HEAD_OK)

    assert make_client(server, time, ME).head_manifest(NGINX) is not None

    (asked,) = registry.given
    assert asked.query == {"service": ["the, service"], "scope": ["repository:library/nginx:pull"]}
    assert asked.authorization == BASIC
    assert [s.authorization for s in server.asked("HEAD", HEAD_PATH)] == [None, "Bearer t1"]


def test_asks_a_registry_that_only_says_no_how_to_sign_in(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime
) -> None:
    registry.on("GET", "/v2/", Reply(200))
    server.on(
        "HEAD",
        HEAD_PATH,
        lambda seen: HEAD_OK if seen.authorization == f"Bearer {registry.valid}" else Reply(401),
    )

    assert make_client(server, time, ME).head_manifest(NGINX) is not None
    assert [asked.authorization for asked in registry.given] == [BASIC]
    assert len(server.asked("GET", "/v2/")) == 1


def test_without_a_credential_the_token_is_anonymous(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime
) -> None:
    registry.on("HEAD", HEAD_PATH, HEAD_OK)
    registry.answer = {"access_token": "t1", "token": None}

    assert make_client(server, time).head_manifest(NGINX) is not None
    assert registry.given[0].authorization is None


def test_a_realm_with_a_query_keeps_it(server: FaultyRegistry, registry: TokenRegistry, time: FakeTime) -> None:
    registry.realm += "?tenant=a%20b"
    registry.on("HEAD", HEAD_PATH, HEAD_OK)

    make_client(server, time).head_manifest(NGINX)

    assert registry.given[0].query["tenant"] == ["a b"]


def test_each_scope_has_its_own_token_and_keeps_it(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime
) -> None:
    registry.on("HEAD", HEAD_PATH, HEAD_OK)
    client = make_client(server, time)

    for _ in range(3):
        client.head_manifest(NGINX)

    assert len(registry.given) == 1
    assert len(server.asked("HEAD", HEAD_PATH)) == 4

    registry.on("POST", "/v2/library/nginx/blobs/uploads/", Reply(202, {"Location": "/upload?s=1"}))
    registry.on("PUT", "/upload", Reply(201))
    upload = client.begin_upload(NGINX.name, Digest.of(b"abc"), Repository("docker.io", "library/python"))
    assert upload is not None
    client.put_blob(upload, Descriptor("x", Digest.of(b"abc"), 3), [b"abc"])

    assert [asked.query["scope"] for asked in registry.given[1:]] == [
        ["repository:library/nginx:pull,push", "repository:library/python:pull"]
    ]
    assert len(server.asked("POST", "/v2/library/nginx/blobs/uploads/")) == 1
    assert server.asked("PUT", "/upload")[0].authorization == "Bearer t2"


def test_a_token_is_renewed_before_it_expires(server: FaultyRegistry, registry: TokenRegistry, time: FakeTime) -> None:
    registry.on("HEAD", HEAD_PATH, HEAD_OK)
    client = make_client(server, time)

    client.head_manifest(NGINX)
    time.now += 269
    client.head_manifest(NGINX)
    assert len(registry.given) == 1
    time.now += 2
    client.head_manifest(NGINX)

    assert len(registry.given) == 2
    assert [s.authorization for s in server.asked("HEAD", HEAD_PATH)][1:] == ["Bearer t1", "Bearer t1", "Bearer t2"]


@pytest.mark.parametrize("lifetime", [None, "300", 0, -5, 10**12])
def test_a_lifetime_that_means_nothing_is_a_minute(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime, lifetime: object
) -> None:
    registry.on("HEAD", HEAD_PATH, HEAD_OK)
    registry.answer = {} if lifetime is None else {"expires_in": lifetime}
    client = make_client(server, time)

    client.head_manifest(NGINX)
    time.now += 53
    client.head_manifest(NGINX)
    assert len(registry.given) == 1
    time.now += 2
    client.head_manifest(NGINX)
    assert len(registry.given) == 2


def test_a_token_that_is_refused_is_renewed_once(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime
) -> None:
    registry.on("HEAD", HEAD_PATH, HEAD_OK)
    client = make_client(server, time)
    client.head_manifest(NGINX)
    time.now += 60
    registry.valid = "revoked"

    assert client.head_manifest(NGINX) is not None
    assert len(registry.given) == 2


@pytest.mark.parametrize("status", [400, 401, 403])
def test_renews_a_token_that_expired_while_its_request_waited(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime, status: int
) -> None:
    registry.on("HEAD", HEAD_PATH, HEAD_OK)
    client = make_client(server, time)
    client.head_manifest(NGINX)

    def too_late(seen: Seen) -> Reply:
        time.now += 301
        registry.on("HEAD", HEAD_PATH, HEAD_OK)
        challenge = {"WWW-Authenticate": f'Bearer realm="{registry.realm}"'} if status == 401 else {}
        return refused(status, "DENIED", headers=challenge)

    server.on("HEAD", HEAD_PATH, too_late)

    assert client.head_manifest(NGINX) is not None
    assert len(registry.given) == 2


@pytest.mark.parametrize("status", [400, 403])
def test_takes_the_refusal_of_a_good_token_for_an_answer(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime, status: int
) -> None:
    registry.on("HEAD", HEAD_PATH, HEAD_OK)
    client = make_client(server, time)
    client.head_manifest(NGINX)
    server.on("HEAD", HEAD_PATH, refused(status, "DENIED"))
    time.now += 60

    with pytest.raises(RegistryError):
        client.head_manifest(NGINX)
    assert len(registry.given) == 1


def test_a_fresh_token_that_is_refused_ends_the_matter(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime
) -> None:
    registry.on("HEAD", HEAD_PATH, HEAD_OK)
    registry.answer = {"token": "not-enough"}

    with pytest.raises(Unauthorized) as caught:
        make_client(server, time).head_manifest(NGINX)

    assert len(registry.given) == 1
    assert "not-enough" not in str(caught.value)
    assert caught.value.hint


def test_threads_ask_for_a_token_once(server: FaultyRegistry, registry: TokenRegistry, time: FakeTime) -> None:
    registry.on("HEAD", HEAD_PATH, HEAD_OK)
    client = make_client(server, time)

    with ThreadPoolExecutor(8) as threads:
        heads = list(threads.map(lambda _: client.head_manifest(NGINX), range(16)))

    assert None not in heads
    assert len(registry.given) == 1


def test_an_identity_token_is_exchanged_by_post_and_never_in_a_url(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime
) -> None:
    registry.on("HEAD", HEAD_PATH, HEAD_OK)
    registry.answer = {"access_token": "t1", "expires_in": 60}

    assert make_client(server, time, Credential("", "refresh-me", is_identity_token=True)).head_manifest(NGINX)

    (asked,) = registry.given
    assert asked.method == "POST"
    assert asked.query == {}
    assert asked.authorization is None
    assert parse_qs(asked.body.decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["refresh-me"],
        "service": ["the, service"],
        "scope": ["repository:library/nginx:pull"],
        "client_id": ["base-image-toolkit"],
    }


def test_a_credential_is_withheld_from_a_foreign_token_server(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime
) -> None:
    registry.realm = f"{server.foreign_url}/token"
    registry.on("HEAD", HEAD_PATH, HEAD_OK)

    assert make_client(server, time, ME).head_manifest(NGINX) is not None  # anonymously

    assert [asked.authorization for asked in registry.given] == [None]


@pytest.mark.parametrize(
    ("registry_name", "is_trusted", "expected"),
    [("docker.io", True, BASIC), ("quay.io", True, None), ("docker.io", False, None)],
)
def test_a_foreign_token_server_gets_the_credential_of_the_registry_that_is_allowed_it(
    server: FaultyRegistry,
    registry: TokenRegistry,
    time: FakeTime,
    registry_name: str,
    is_trusted: bool,
    expected: str | None,
) -> None:
    registry.realm = f"{server.foreign_url}/token"
    registry.on("HEAD", HEAD_PATH, HEAD_OK)
    served = (("*", server.url),)
    endpoints = Endpoints(
        served if is_trusted else (), () if is_trusted else served, ((registry_name, registry.realm),)
    )

    assert make_client(server, time, ME, endpoints=endpoints).head_manifest(NGINX) is not None

    assert [asked.authorization for asked in registry.given] == [expected]


def test_each_namespace_gets_its_own_credential(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime, tmp_path: Path
) -> None:
    auths = {f"quay.io/{name}": {"username": name, "password": "x"} for name in ("acme", "other")}
    (tmp_path / "auth.json").write_text(json.dumps({"auths": auths}))
    client = RegistryClient(
        credentials=DockerConfigCredentials(tmp_path / "auth.json"),
        endpoints=Endpoints((("*", server.url),)),
        transport=Transport(sleep=time.sleep, clock=time.clock, random=lambda: 1.0, proxies={}),
    )
    for name in ("acme", "other", "free"):
        registry.on("HEAD", f"/v2/{name}/app/manifests/1", HEAD_OK)
        assert client.head_manifest(Reference.parse(f"quay.io/{name}/app:1")) is not None

    sent = [asked.authorization for asked in registry.given]
    assert sent == [f"Basic {base64.b64encode(f'{name}:x'.encode()).decode()}" for name in ("acme", "other")] + [None]


def test_a_mirror_is_asked_for_the_path_that_it_has(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime
) -> None:
    path = HEAD_PATH.replace("/v2/", "/v2/dockerhub-proxy/")
    registry.on("HEAD", path, HEAD_OK)
    endpoints = Endpoints((("docker.io", f"{server.url}/v2/dockerhub-proxy"),))

    assert make_client(server, time, ME, endpoints=endpoints).head_manifest(NGINX) is not None

    assert [asked.query["scope"] for asked in registry.given] == [["repository:dockerhub-proxy/library/nginx:pull"]]
    assert registry.given[0].authorization == BASIC


def test_another_port_of_the_same_host_is_a_foreign_token_server(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime
) -> None:
    registry.on("HEAD", HEAD_PATH, HEAD_OK)
    with faulty_registry() as other:
        registry.realm = f"{other.url}/token"
        other.on("GET", "/token", registry.give)
        assert make_client(server, time, ME).head_manifest(NGINX) is not None  # anonymously

    assert [asked.authorization for asked in registry.given] == [None]


def test_a_foreign_token_server_that_wants_the_credential_is_refused_in_words(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime
) -> None:
    registry.realm = f"{server.foreign_url}/token"
    registry.on("HEAD", HEAD_PATH, HEAD_OK)
    server.on("GET", "/token", Reply(401))

    with pytest.raises(Unauthorized, match=r"`docker\.io` was not sent there because it does not belong") as caught:
        make_client(server, time, ME).head_manifest(NGINX)

    assert "token_server" in (caught.value.hint or "")
    assert {seen.authorization for seen in server.seen} == {None}
    assert "hunter2" not in str(caught.value)


def test_an_identity_token_is_withheld_too(server: FaultyRegistry, registry: TokenRegistry, time: FakeTime) -> None:
    registry.realm = f"{server.foreign_url}/token"
    registry.on("HEAD", HEAD_PATH, HEAD_OK)

    make_client(server, time, Credential("", "refresh-me", is_identity_token=True)).head_manifest(NGINX)

    assert [(asked.method, asked.body) for asked in registry.given] == [("GET", b"")]


def test_a_token_server_that_redirects_does_not_carry_the_credential_along(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime
) -> None:
    registry.realm = f"{server.url}/old-token"
    server.on("GET", "/old-token", Reply(302, {"Location": f"{server.foreign_url}/token"}))
    registry.on("HEAD", HEAD_PATH, HEAD_OK)

    make_client(server, time, ME).head_manifest(NGINX)

    assert server.asked("GET", "/old-token")[0].authorization == BASIC
    assert registry.given[0].authorization is None


@pytest.mark.parametrize("realm", ["", "ftp://x/token", "http://["])
def test_a_challenge_that_leads_nowhere_is_an_error(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime, realm: str
) -> None:
    registry.realm = realm
    registry.on("HEAD", HEAD_PATH, HEAD_OK)

    with pytest.raises(Unauthorized, match="no safe address"):
        make_client(server, time, ME).head_manifest(NGINX)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_credential_that_is_refused_names_its_user_only(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime, status: int
) -> None:
    registry.on("HEAD", HEAD_PATH, HEAD_OK)
    server.on("GET", "/token", refused(status, "UNAUTHORIZED", "incorrect username or password hunter2"))

    with pytest.raises(Unauthorized, match=r"`docker\.io` refuses the credential of `me`") as caught:
        make_client(server, time, ME).head_manifest(NGINX)

    assert "hunter2" not in str(caught.value)


def test_a_password_that_expired_is_asked_for_again(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime
) -> None:
    registry.on("HEAD", HEAD_PATH, HEAD_OK)
    server.on("GET", "/token", Reply(401), registry.give)

    assert make_client(server, time, Credential("me", "expired"), ME).head_manifest(NGINX) is not None
    assert registry.given[0].authorization == BASIC


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"token": 5}', b'{"token": ""}', json.dumps({"token": "a\r\nX: y"}).encode()]
)
def test_an_answer_without_a_usable_token_is_an_error(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime, body: bytes
) -> None:
    registry.on("HEAD", HEAD_PATH, HEAD_OK)
    server.on("GET", "/token", Reply(200, {}, body))

    with pytest.raises(RegistryError, match="sent no token"):
        make_client(server, time).head_manifest(NGINX)


def test_a_token_server_that_is_down_is_named(server: FaultyRegistry, registry: TokenRegistry, time: FakeTime) -> None:
    registry.on("HEAD", HEAD_PATH, HEAD_OK)
    server.on("GET", "/token", Reply(503))

    with pytest.raises(RegistryError, match="token server") as caught:
        make_client(server, time).head_manifest(NGINX)

    assert caught.value.is_temporary


def test_storage_that_refuses_behind_a_redirect_gets_no_credential(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime
) -> None:
    blob = Descriptor("x", Digest.of(b"abc"), 3)
    path = f"/v2/library/nginx/blobs/{blob.digest}"
    registry.on("GET", path, Reply(307, {"Location": f"{server.foreign_url}/storage?X-Amz-Signature=hunter3"}))
    server.on("GET", "/storage", Reply(401, {"WWW-Authenticate": f'Bearer realm="{server.url}/token"'}, b"expired"))

    registry.on("HEAD", HEAD_PATH, HEAD_OK)
    client = make_client(server, time, ME)
    client.head_manifest(NGINX)
    time.now += 60  # so that the token's youth is not why no other one is asked for

    with pytest.raises(Unauthorized) as caught, client.open_blob(NGINX.name, blob):
        pass

    assert "hunter3" not in str(caught.value)
    assert [seen.authorization for seen in server.asked("GET", "/storage")] == [None]
    assert len(registry.given) == 1


def test_an_upload_whose_token_has_expired_may_be_tried_again(
    server: FaultyRegistry, registry: TokenRegistry, time: FakeTime
) -> None:
    registry.on("POST", "/v2/library/nginx/blobs/uploads/", Reply(202, {"Location": "/upload"}))
    registry.on("PUT", "/upload", Reply(201))
    client = make_client(server, time)
    blob = Descriptor("x", Digest.of(b"abc"), 3)
    upload = client.begin_upload(NGINX.name, blob.digest)
    assert upload is not None
    time.now += 60
    registry.valid = "revoked"

    with pytest.raises(ConnectionFailed) as caught:
        client.put_blob(upload, blob, [b"abc"])
    assert caught.value.is_temporary
    again = client.begin_upload(NGINX.name, blob.digest)
    assert again is not None
    client.put_blob(again, blob, [b"abc"])


def test_ecr_says_403_to_an_expired_login_and_gets_the_new_one(server: FaultyRegistry, time: FakeTime) -> None:
    def guard(seen: Seen) -> Reply:
        if seen.authorization is None:
            return Reply(401, {"WWW-Authenticate": 'Basic realm="https://1.dkr.ecr.amazonaws.com/"'})
        if seen.authorization == BASIC:
            return HEAD_OK
        return refused(403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")

    server.on("HEAD", HEAD_PATH, guard)

    assert make_client(server, time, Credential("AWS", "old"), ME).head_manifest(NGINX) is not None
    assert len(server.seen) == 3
