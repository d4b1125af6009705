"""Credentials for registries: what they are, where they come from, and which hosts may receive them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

from toolkit.oci.endpoints import is_loopback, may_send_to, origin


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret for one registry; never shown.

    With `is_identity_token` the password is an OAuth2 refresh token. `origin` says where it was found. `hosts` are the
    registries that it names itself; if there are none, it is for the registry that it was looked up for.
    """

    username: str
    password: str = field(repr=False)
    is_identity_token: bool = False
    origin: str = ""
    hosts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, order=True)
class CredentialUse:
    """That the credential for `registry`, found in `credential`, was sent to `host`: the registry or a token server."""

    registry: str
    host: str
    credential: str


class CredentialProvider(Protocol):
    """A source of credentials. It is called often and from many threads, so it has to cache.

    A credential that exists and does not work is a CredentialUnusable, which ends the request and not the run.
    """

    def credential_for(self, registry: str, path: str = "") -> Credential | None:
        """The credential for `registry` (`docker.io`, `quay.io`), None where there is none.

        One that is for the repository `path` alone, or for a namespace of it, comes before one for the whole registry.
        """
        ...


@runtime_checkable
class ForgetfulProvider(Protocol):
    """A provider that can be told that its credential was refused, so that it asks its own source again."""

    def forget(self, registry: str) -> None:
        """Drop what is cached for `registry`."""
        ...


class NoCredentials:
    """Anonymous everywhere."""

    def credential_for(self, registry: str, path: str = "") -> Credential | None:
        """None."""
        return None


class ChainedCredentials:
    """The first provider that has a credential wins."""

    def __init__(self, *providers: CredentialProvider) -> None:
        self._providers = providers

    def credential_for(self, registry: str, path: str = "") -> Credential | None:
        """The first credential found, in the order of the providers."""
        for provider in self._providers:
            credential = provider.credential_for(registry, path)
            if credential is not None:
                return credential
        return None

    def forget(self, registry: str) -> None:
        """Tell every provider that can forget."""
        for provider in self._providers:
            if isinstance(provider, ForgetfulProvider):
                provider.forget(registry)


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a 401 asks for: `scheme` is `bearer` or `basic`, in lower case like the parameter names."""

    scheme: str
    parameters: Mapping[str, str]


# Each repetition keeps what it took (`++`, `*+`), so that a hostile header costs time in proportion to its length.
_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]++"
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_PARAMETER = re.compile(rf"\s*+,?+\s*+({_WORD})\s*+=\s*+({_QUOTED}|{_WORD})")
_SCHEME = re.compile(rf"[\s,]*+({_WORD})(?=[\s,]|$)")


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """The challenges in `WWW-Authenticate` headers; what cannot be read is left out."""
    return tuple(challenge for header in headers for challenge in _parse_header(header))


def _parse_header(header: str) -> Iterable[Challenge]:
    position = 0
    while scheme := _SCHEME.match(header, position):
        position = scheme.end()
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(header, position):
            name, value = parameter.groups()
            if value.startswith('"'):
                value = re.sub(r"\\(.)", r"\1", value[1:-1])
            parameters.setdefault(name.lower(), value)
            position = parameter.end()
        yield Challenge(scheme.group(1).lower(), parameters)


def may_receive(realm: str, registry_urls: Iterable[str]) -> bool:
    """Whether a token server may receive a credential: only one that belongs to the registry served at `registry_urls`.

    A server at the same address belongs to it. Over HTTPS, so does one at the registry's port or at 443 on the same
    host, on the domain directly above it, or on another host below that domain: `auth.docker.io` and
    `registry-1.docker.io`, `gitlab.com` and `registry.gitlab.com`, a GitLab and its registry at port 5050. Any other
    port is another place.
    """
    try:
        scheme, host, port = origin(realm)
    except ValueError:  # its port is none
        return False
    for url in registry_urls:
        registry_scheme, registry_host, registry_port = origin(url)
        if (scheme, host, port) == (registry_scheme, registry_host, registry_port):
            return True
        parent = _parent_domain(registry_host)
        is_near = host == registry_host or (parent and (host == parent or host.endswith(f".{parent}")))
        if scheme == "https" and is_near and port in (443, registry_port):
            return True
    return False


def is_safe_realm(realm: str, registry_url: str) -> bool:
    """Whether a token may be requested there: over plain HTTP only for a registry that is served over plain HTTP."""
    try:
        parts = urlsplit(realm)
        host = parts.hostname
        _ = parts.port  # raises for what is no port
    except ValueError:
        return False
    if not host or parts.username is not None:
        return False
    is_safe_scheme = parts.scheme == "https" or (parts.scheme == "http" and urlsplit(registry_url).scheme == "http")
    return is_safe_scheme and may_send_to(urlsplit(registry_url).hostname or "", realm)


def _parent_domain(host: str) -> str:
    """The domain above `host`, empty if it is public (`io`, `co.uk`) or `host` is an address."""
    labels = host.split(".")
    parent = labels[1:]
    is_address = labels[-1].isdigit() or ":" in host or is_loopback(host)
    is_public = len(parent) < 2 or (len(parent) == 2 and len(parent[0]) <= 3 and len(parent[1]) == 2)
    return "" if is_address or is_public else ".".join(parent)
