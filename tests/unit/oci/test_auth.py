from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.oci.auth import (
    ChainedCredentials,
    Credential,
    ForgetfulProvider,
    NoCredentials,
    is_safe_realm,
    may_receive,
    parse_challenges,
)


class Remembered:
    def __init__(self, **found: Credential) -> None:
        self.found = found
        self.forgotten: list[str] = []

    def credential_for(self, registry: str, path: str = "") -> Credential | None:
        return self.found.get(registry)

    def forget(self, registry: str) -> None:
        self.forgotten.append(registry)


def test_a_credential_never_shows_its_secret() -> None:
    credential = Credential("me", "hunter2")

    assert "hunter2" not in repr(credential)
    assert "hunter2" not in str(credential)


def test_the_first_provider_with_a_credential_wins_and_all_are_told_to_forget() -> None:
    first, second = Remembered(a=Credential("1", "x")), Remembered(a=Credential("2", "x"), b=Credential("3", "x"))
    chain = ChainedCredentials(NoCredentials(), first, second)

    assert chain.credential_for("a") == Credential("1", "x")
    assert chain.credential_for("b") == Credential("3", "x")
    assert chain.credential_for("c") is None
    assert isinstance(chain, ForgetfulProvider)
    chain.forget("a")
    assert first.forgotten == second.forgotten == ["a"]


def test_a_bearer_challenge_is_read_with_quotes_and_escapes() -> None:
    header = r'Bearer realm="https://auth.docker.io/token",service="a, \"b\"",scope="repository:x:pull,push",error=no'

    (challenge,) = parse_challenges([header])

    assert challenge.scheme == "bearer"
    assert challenge.parameters == {
        "realm": "https://auth.docker.io/token",
        "service": 'a, "b"',
        "scope": "repository:x:pull,push",
        "error": "no",
    }


def test_several_challenges_are_read_from_one_header_and_from_many() -> None:
    found = parse_challenges(['Negotiate, Basic realm="x", BEARER realm="y"', 'Basic Realm="z"'])

    assert [(c.scheme, c.parameters.get("realm")) for c in found] == [
        ("negotiate", None),
        ("basic", "x"),
        ("bearer", "y"),
        ("basic", "z"),
    ]


@given(st.lists(st.text() | st.text(alphabet='Basicerm=",\\ '), max_size=3))
def test_any_header_is_read_without_a_crash(headers: list[str]) -> None:
    for challenge in parse_challenges(headers):
        assert challenge.scheme == challenge.scheme.lower() != ""


@pytest.mark.parametrize(
    ("realm", "registry_url", "allowed"),
    [
        ("https://auth.docker.io/token", "https://registry-1.docker.io", True),
        ("https://ghcr.io/token", "https://ghcr.io", True),
        ("https://gitlab.com/jwt/auth", "https://registry.gitlab.com", True),
        ("https://git.example.com/jwt", "https://registry.example.com", True),
        ("https://example.com/jwt", "https://example.com:5050", True),
        ("https://gitlab.example.com/jwt/auth", "https://gitlab.example.com:5050", True),
        ("https://git.example.com:5050/jwt", "https://registry.example.com:5050", True),
        ("http://127.0.0.1:5000/token", "http://127.0.0.1:5000", True),
        ("https://registry.example.com/token", "http://registry.example.com", True),
        ("http://127.0.0.1:5001/token", "http://127.0.0.1:5000", False),
        ("https://ghcr.io:8443/token", "https://ghcr.io", False),
        ("https://auth.docker.io:8443/token", "https://registry-1.docker.io", False),
        ("https://example.com:5051/jwt", "https://example.com:5050", False),
        ("https://quay.io:99999/token", "https://quay.io", False),
        ("https://auth.docker.io.evil.com/token", "https://registry-1.docker.io", False),
        ("https://evildocker.io/token", "https://registry-1.docker.io", False),
        ("https://evil.io/token", "https://quay.io", False),
        ("https://evil.co.uk/token", "https://example.co.uk", False),
        ("https://io/token", "https://docker.io", False),
        ("http://localhost:5001/token", "http://127.0.0.1:5000", False),
        ("http://127.0.0.2/token", "http://127.0.0.1:5000", False),
        ("https://9.0.0.1/token", "http://127.0.0.1", False),
        ("http://auth.example.com/token", "http://registry.example.com", False),
        ("http://quay.io/token", "https://quay.io", False),
        ("http://auth.docker.io/token", "https://registry-1.docker.io", False),
    ],
)
def test_a_credential_goes_only_to_a_token_server_of_its_registry(realm: str, registry_url: str, allowed: bool) -> None:
    assert may_receive(realm, [registry_url]) is allowed


@pytest.mark.parametrize(
    ("realm", "registry_url", "safe"),
    [
        ("https://anything.example/token", "https://quay.io", True),
        ("http://169.254.169.254/latest", "https://quay.io", False),
        ("http://127.0.0.1:1/token", "http://127.0.0.1:2", True),
        ("ftp://x/token", "http://127.0.0.1", False),
        ("https://user@quay.io/token", "https://quay.io", False),
        ("https://[", "https://quay.io", False),
        ("https://quay.io:99999/token", "https://quay.io", False),
        ("", "https://quay.io", False),
    ],
)
def test_a_token_is_never_asked_for_in_the_clear_on_behalf_of_tls(realm: str, registry_url: str, safe: bool) -> None:
    assert is_safe_realm(realm, registry_url) is safe
