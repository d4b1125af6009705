"""A registry that repeats in its answers what it was sent, wherever it can, and addresses that open by themselves."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator

import pytest

from tests.support.clocks import FakeTime
from tests.support.faulty_registry import FaultyRegistry, Reply, Seen, as_json, faulty_registry, refused
from toolkit.oci.auth import Credential
from toolkit.oci.client import RegistryClient
from toolkit.oci.documents import parse
from toolkit.oci.endpoints import Endpoints
from toolkit.oci.errors import OciError
from toolkit.oci.media_types import OCI_MANIFEST
from toolkit.oci.reference import Reference
from toolkit.oci.transport import Transport

PASSWORD = "canary-s3cret"
BASIC = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
TOKEN = "canary.bearer.token"
SECRETS = (PASSWORD, BASIC, TOKEN, "canary-signature")
PRESIGNED = "https://s3.test/blob?X-Amz-Credential=me&X-Amz-Signature=canary-signature"
NGINX = Reference.parse("nginx:1")
PATH = "/v2/library/nginx/manifests/1"


class Me:
    def credential_for(self, registry: str, path: str = "") -> Credential | None:
        return Credential("me", PASSWORD)


@pytest.fixture
def server() -> Iterator[FaultyRegistry]:
    with faulty_registry() as running:
        yield running


def all_of(seen: Seen) -> str:
    """What it was sent, here and at its token server."""
    return f"{seen.authorization} {PASSWORD} {BASIC} {TOKEN} {PRESIGNED}"


@pytest.mark.parametrize(
    "echo",
    [
        lambda seen: refused(403, "DENIED", all_of(seen)),
        lambda seen: refused(403, all_of(seen)),
        lambda seen: refused(403, "DENIED", "x" * 280 + all_of(seen)),
        lambda seen: refused(400, PASSWORD, "lower-cased code"),
        lambda seen: refused(429, "TOOMANYREQUESTS", f"pull rate limit: {all_of(seen)}"),
        lambda seen: refused(503, "UNAVAILABLE", all_of(seen)),
        lambda seen: Reply(200, {"Content-Type": f"{PASSWORD}/{TOKEN}"}, b"{}"),
        lambda seen: Reply(200, {"Content-Type": OCI_MANIFEST}, f'{{"mediaType": "{BASIC}"}}'.encode()),
        lambda seen: Reply(302, {"Location": f"http://{PASSWORD}.{TOKEN}.localhost:1/?sig=canary-signature"}),
        lambda seen: Reply(307, {"Location": f"ftp://{PASSWORD}/{TOKEN}?sig=canary-signature"}),
    ],
)
@pytest.mark.parametrize("scheme", ["basic", "bearer"])
def test_nothing_that_was_sent_is_in_an_error_or_an_event(
    server: FaultyRegistry, scheme: str, echo: Callable[[Seen], Reply]
) -> None:
    challenge = f'Bearer realm="{server.url}/token"' if scheme == "bearer" else "Basic"

    def guard(seen: Seen) -> Reply:
        return echo(seen) if seen.authorization else refused(401, "UNAUTHORIZED", "", {"WWW-Authenticate": challenge})

    server.on("GET", PATH, guard)
    server.on("GET", "/token", lambda seen: as_json({"token": TOKEN}))
    time, told = FakeTime(), []
    client = RegistryClient(
        credentials=Me(),
        endpoints=Endpoints((("docker.io", server.url),)),
        transport=Transport(
            sleep=time.sleep, clock=time.clock, proxies={}, on_retry=lambda *event: told.append(str(event))
        ),
        clock=time.clock,
    )
    with pytest.raises(OciError) as caught:
        parse(client.get_manifest(NGINX))

    error = caught.value
    shown = f"{error!r} {error} {error.message} {error.hint} {getattr(error, 'error_codes', '')} {told}"
    assert any(PASSWORD in str(seen.headers) or BASIC in str(seen.headers) for seen in server.seen)
    sent = [secret for secret in SECRETS if secret != TOKEN or scheme == "bearer"]
    assert [secret for secret in sent if secret.lower() in shown.lower()] == []
