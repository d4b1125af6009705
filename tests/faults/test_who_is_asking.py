"""Tokens, redirects and foreign hosts on a whole run: who gets in, and who gets to see a credential."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import self_signed
from tests.support.fault_injection import Asked, Changed, Fault, FaultyServer, Refused, faulty_server
from tests.support.made_images import image, index
from tests.support.two_registries import Login, Play, Side, TokenServer, quick_transport
from toolkit.oci.endpoints import Endpoints
from toolkit.report import SeedOutcome

BASE = b"base" * 100
REFUSED = "destination.bad_request"
IMAGES = {
    "lib/a:v1": index(("linux/amd64", image([BASE, b"a" * 40])), ("linux/arm64", image([b"arm" * 20], "linux/arm64"))),
    "lib/b:v1": image([BASE, b"b" * 30]),
}


@pytest.fixture
def stranger(play: Play) -> Iterator[FaultyServer]:
    """A server at an address of its own, which has what the source has."""
    with faulty_server(play.source.app) as server:
        yield server


def guard(play: Play, side: Side, *, realm: str = "", anonymous: bool = False) -> TokenServer:
    """From now on `side` wants a token, and the play has what is asked for it."""
    guarded = TokenServer(side.app, anonymous=anonymous)
    guarded.realm = realm or f"{side.server.url}/token"
    side.server.restart(guarded)
    play.login = Login(play.source.server.host, play.destination.server.host)
    return guarded


def codes(outcomes: list[SeedOutcome]) -> set[str | None]:
    return {outcome.error_code for outcome in outcomes}


def check_a_clean_run(play: Play) -> None:
    play.source.server.restart(play.source.app)
    play.destination.server.restart(play.destination.app)
    requests = play.requests(IMAGES)
    assert codes(play.seed(requests)) == {None}
    assert play.destination.tags() == {one.key: str(one.source.digest) for one in requests}
    assert play.destination.damage() == []


@pytest.mark.parametrize("kind", ["GET manifest", "GET blob"])
def test_survives_a_source_token_that_expires_at_any_request(play: Play, kind: str) -> None:
    expires(play, play.source, kind)


@pytest.mark.parametrize(
    "kind",
    ["HEAD tag", "HEAD blob", "POST upload", "POST mount", "PUT upload", "PUT manifest", "PUT tag"],
)
def test_survives_a_destination_token_that_expires_at_any_request(play: Play, kind: str) -> None:
    """`PUT upload` is the one in mid-upload: its bytes are on their way when the token is refused."""
    expires(play, play.destination, kind)


def expires(play: Play, side: Side, kind: str) -> None:
    requests = play.requests(IMAGES)
    guarded = guard(play, side)
    strikes = itertools.count()

    def strike(asked: Asked) -> Fault | None:
        # Once, and only this token: a request of another thread may be on its way from no token to its first.
        if asked.kind == kind and asked.authorization and next(strikes) == 0:
            play.time.now += 400
            guarded.valid.remove(asked.authorization.removeprefix("Bearer "))
        return None

    side.server.strike = strike
    assert codes(play.seed(requests)) == {None}
    assert play.destination.damage() == []
    assert next(strikes) > 0
    check_a_clean_run(play)


def test_gives_up_after_a_new_token_is_refused(play: Play) -> None:
    requests = play.requests(IMAGES)
    guarded = guard(play, play.destination)

    def strike(asked: Asked) -> Fault | None:
        guarded.valid.clear()
        return None

    play.destination.server.strike = strike
    assert codes(play.seed(requests)) == {"destination.unauthorized"}
    assert play.destination.tags() == {}
    check_a_clean_run(play)


def test_sends_no_credential_to_a_foreign_token_server(play: Play, stranger: FaultyServer) -> None:
    requests = play.requests(IMAGES)
    realm = f"{stranger.url.replace('127.0.0.1', 'localhost')}/token"
    guarded = guard(play, play.destination, realm=realm)
    stranger.restart(guarded)
    outcomes = play.seed(requests)
    assert codes(outcomes) == {"destination.unauthorized"}
    assert "does not belong to that host" in (outcomes[0].error_message or "")
    assert {asked.authorization for asked in stranger.seen} == {None}
    assert play.destination.tags() == {}
    check_a_clean_run(play)


def test_uses_a_foreign_token_server_without_credentials(play: Play, stranger: FaultyServer) -> None:
    requests = play.requests(IMAGES)
    realm = f"{stranger.url.replace('127.0.0.1', 'localhost')}/token"
    stranger.restart(guard(play, play.source, realm=realm, anonymous=True))
    assert codes(play.seed(requests)) == {None}
    assert {asked.authorization for asked in stranger.seen} == {None}
    check_a_clean_run(play)


@pytest.mark.parametrize("status", [302, 307])
def test_sends_no_token_to_the_storage_of_blobs(play: Play, stranger: FaultyServer, status: int) -> None:
    requests = play.requests(IMAGES)
    guard(play, play.source)
    play.source.server.strike = lambda asked: (
        Refused(status, headers={"Location": stranger.url + asked.path}) if asked.kind == "GET blob" else None
    )
    assert codes(play.seed(requests)) == {None}
    assert stranger.count("GET blob") == play.source.server.count("GET blob") > 0
    assert {asked.authorization for asked in stranger.seen} == {None}
    assert play.destination.damage() == []
    check_a_clean_run(play)


def test_blames_the_source_for_its_storage(play: Play, stranger: FaultyServer) -> None:
    requests = play.requests(IMAGES)
    guard(play, play.source)
    play.source.server.strike = lambda asked: (
        Refused(307, headers={"Location": stranger.url + asked.path}) if asked.kind == "GET blob" else None
    )
    stranger.strike = lambda asked: Refused(403)
    assert codes(play.seed(requests)) == {"source.denied"}
    assert play.source.server.count("GET token") <= len(IMAGES), "no new token for what is not about the token"
    assert play.destination.tags() == {}
    check_a_clean_run(play)


def test_sends_no_token_to_another_host_of_uploads(play: Play, stranger: FaultyServer) -> None:
    requests = play.requests(IMAGES)
    guard(play, play.destination)
    stranger.restart(play.destination.app)

    def elsewhere(location: str) -> str:
        return location.replace(play.destination.server.url, stranger.url)

    play.destination.server.strike = lambda asked: (
        Changed(lambda answered: answered.with_headers(Location=elsewhere(answered.headers["Location"])))
        if asked.kind == "POST upload"
        else None
    )
    assert codes(play.seed(requests)) == {None}
    assert stranger.count("PUT upload") > 0 == play.destination.server.count("PUT upload")
    assert {asked.authorization for asked in stranger.seen} == {None}
    assert play.destination.damage() == []
    check_a_clean_run(play)


def test_stops_every_thread_at_a_host_after_a_429(play: Play) -> None:
    requests = play.requests(IMAGES)
    told: list[str] = []
    play.transport = quick_transport(play.time, on_retry=lambda host, *_: told.append(host))
    ends = play.time.now + 30
    early: list[str] = []

    def strike(asked: Asked) -> Fault | None:
        if asked.kind == "POST upload" and asked.number == 1:
            return Refused(429, "TOOMANYREQUESTS", {"Retry-After": "30"})
        if told and play.time.now < ends:
            early.append(asked.kind)
        return None

    play.destination.server.strike = strike
    assert codes(play.seed(requests, jobs=4)) == {None}
    assert len(early) <= 3, "more than what was on its way on the other threads"
    check_a_clean_run(play)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Refused(503, early=True), None),
        (Refused(400, "DIGEST_INVALID", early=True), REFUSED),
        (Refused(403, "DENIED", early=True), "destination.denied"),
    ],
    ids=["503", "400", "403"],
)
def test_hears_a_response_during_a_large_upload(play: Play, fault: Fault, code: str | None) -> None:
    check_a_large_upload(play, fault, code)


@pytest.mark.parametrize(("fault", "code"), [(Refused(503, early=True), None), (Refused(413, early=True), None)])
def test_hears_a_response_during_a_large_upload_over_tls(
    play: Play, fault: Fault, code: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    play.transport = quick_transport(play.time)
    with faulty_server(play.destination.app, tls=context) as server:
        play.destination.server = server
        play.endpoints = Endpoints(((server.host, server.url),))
        check_a_large_upload(play, fault, code)


def check_a_large_upload(play: Play, fault: Fault, code: str | None) -> None:
    """More than the buffers between the two hold: the answer comes while the client is still sending."""
    large = {"lib/large:v1": image([bytes(16 * 2**20)])}
    requests = play.requests(large)
    play.destination.server.strike = lambda asked: (
        fault if asked.kind == "PUT upload" and asked.length > 2**20 and (code or asked.number < 3) else None
    )
    assert codes(play.seed(requests)) == {code}
    assert play.destination.damage() == []
    play.destination.server.restart()
    assert codes(play.seed(requests)) == {None}
    assert play.destination.damage() == []
