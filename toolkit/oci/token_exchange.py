"""From a 401 to an `Authorization` header, with the tokens and challenges that are remembered.

The first request to a registry has no header. The challenge in its response is remembered, so that every later request
has its header at once: Basic from the credential, Bearer from a token for exactly the scopes that the request needs.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit, urlunsplit

from toolkit.oci.auth import (
    Challenge,
    Credential,
    CredentialProvider,
    CredentialUse,
    ForgetfulProvider,
    is_safe_realm,
    may_receive,
    parse_challenges,
)
from toolkit.oci.endpoints import Endpoints, own_url
from toolkit.oci.errors import RegistryError, Unauthorized
from toolkit.oci.masking import remember_password, remember_token
from toolkit.oci.responses import Response
from toolkit.oci.transport import Transport

Scopes = tuple[str, ...]

# What the token specification says if the server does not.
_DEFAULT_LIFETIME = 60.0
# A token that is refused so soon lacks a permission, and another one would lack it too.
_FRESH_SECONDS = 5.0
_REFUSALS = frozenset({400, 401, 403})
_CLIENT_ID = "base-image-toolkit"


@dataclass(frozen=True, slots=True)
class _Token:
    header: str = field(repr=False)
    obtained: float
    expires: float


class Authorizer:
    """Answers registries' challenges; safe to share between threads."""

    def __init__(
        self,
        transport: Transport,
        credentials: CredentialProvider,
        endpoints: Endpoints,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._credentials = credentials
        self._endpoints = endpoints
        self._clock = clock
        self._lock = threading.Lock()
        self._challenges: dict[str, Challenge] = {}
        self._tokens: dict[tuple[str, Scopes], _Token] = {}
        self._exchanges: dict[tuple[str, Scopes], threading.Lock] = {}
        self._uses: set[CredentialUse] = set()

    def uses(self) -> tuple[CredentialUse, ...]:
        """Which credential was sent where so far; those without an `origin` are left out."""
        with self._lock:
            return tuple(sorted(self._uses))

    def header(self, registry: str, scopes: Scopes) -> str | None:
        """The header for a request, None as long as the registry has sent no challenge."""
        challenge = self._challenges.get(registry)
        if challenge is None:
            return None
        if challenge.scheme == "basic":
            return self._basic_header(registry, self._credentials.credential_for(registry, _path(scopes)))
        return self._token(registry, scopes, challenge, rejected=None)

    def renewed_header(self, registry: str, scopes: Scopes, response: Response, rejected: str | None) -> str | None:
        """The header to send instead of the `rejected` one after `response`; None when there is nothing else to try."""
        challenge = _pick(response) if response.status == 401 else self._challenges.get(registry)
        if challenge is None and response.status == 401 and rejected is None:
            # Docker, skopeo and crane ask here first, so some registries say it nowhere else.
            challenge = _pick(self._transport.send("GET", f"{self._endpoints.base_url(registry)}/v2/", {}))
        if challenge is None:
            return None
        self._challenges[registry] = challenge
        if challenge.scheme == "bearer":
            # A 400 or 403 is the registry's last word on a token, unless that expired while the request waited.
            if response.status == 401 or self._has_expired(registry, scopes, rejected):
                return self._renewed_token(registry, scopes, challenge, rejected)
            return None
        if response.status == 400:
            return None  # no word on a password
        if rejected:
            credential = self._other_credential(registry, scopes)
        else:
            credential = self._credentials.credential_for(registry, _path(scopes))
        header = self._basic_header(registry, credential)
        if credential is not None and header is None:
            raise self._withheld(registry, urlsplit(self._endpoints.base_url(registry)).netloc, response.status)
        return None if header == rejected else header

    def _basic_header(self, registry: str, credential: Credential | None) -> str | None:
        url = self._endpoints.base_url(registry)
        if credential is None or not self._may_receive(url, registry, credential):
            return None
        self._note(registry, url, credential)
        return _basic(credential)

    def _may_receive(self, url: str, registry: str, credential: Credential) -> bool:
        """Whether `credential` may go to `url`, the registry or its token server, for a request to `registry`.

        It may not if the registry is served at a place that neither a trusted rule nor the credential names. Even the
        right token server gets nothing then: that place would receive the token.
        """
        served_at = self._endpoints.base_url(registry)
        hosts = credential.hosts or {registry}
        is_for_registry = registry in hosts
        is_at_home = is_for_registry and served_at == self._endpoints.trusted_url(registry)
        if not is_at_home and urlsplit(served_at).netloc not in hosts:
            return False
        if self._endpoints.is_token_server(registry, url):
            return True
        return may_receive(url, (served_at, own_url(registry)) if is_for_registry else (served_at,))

    def _note(self, registry: str, url: str, credential: Credential) -> None:
        if credential.origin:
            with self._lock:
                self._uses.add(CredentialUse(registry, urlsplit(url).netloc, credential.origin))

    def _withheld(self, registry: str, host: str, status: int) -> Unauthorized:
        """The error for a registry or token server that wants a credential which must not go there."""
        message = f"`{host}` gives nothing of `{registry}` without a credential, and the one for `{registry}` was not "
        hint = None
        if self._endpoints.base_url(registry) != self._endpoints.trusted_url(registry):
            hint = (
                "Say in the environment where the registry is served (`TOOLKIT_REGISTRY_ENDPOINTS`), or give a "
                "credential that is for that host."
            )
        elif host != urlsplit(self._endpoints.base_url(registry)).netloc:
            hint = (
                f"If `{host}` is where `{registry}` hands out tokens, say so in the manifest: `token_server: "
                f"https://{host}` for `{registry}` below `registries`."
            )
        return _unauthorized(registry, f"{message}sent there because it does not belong to that host", status, hint)

    def _has_expired(self, registry: str, scopes: Scopes, header: str | None) -> bool:
        known = self._tokens.get((registry, scopes))
        return known is not None and known.header == header and known.expires <= self._clock()

    def _renewed_token(self, registry: str, scopes: Scopes, challenge: Challenge, rejected: str | None) -> str | None:
        known = self._tokens.get((registry, scopes))
        if known is not None and known.header == rejected and self._clock() < known.obtained + _FRESH_SECONDS:
            return None  # it was not refused for its age
        return self._token(registry, scopes, challenge, rejected)

    def _token(self, registry: str, scopes: Scopes, challenge: Challenge, rejected: str | None) -> str:
        key = (registry, scopes)
        with self._lock:
            exchange = self._exchanges.setdefault(key, threading.Lock())
        with exchange:  # one thread requests the token, the others wait for it
            token = self._tokens.get(key)
            if token is None or token.header == rejected or token.expires <= self._clock():
                token = self._tokens[key] = self._new_token(registry, scopes, challenge)
            return token.header

    def _new_token(self, registry: str, scopes: Scopes, challenge: Challenge) -> _Token:
        registry_url = self._endpoints.base_url(registry)
        realm = challenge.parameters.get("realm", "")
        if not is_safe_realm(realm, registry_url):
            raise _unauthorized(registry, f"`{registry}` sends for tokens to no safe address")
        service = challenge.parameters.get("service", "")
        known = self._credentials.credential_for(registry, _path(scopes))
        sent = known if known is not None and self._may_receive(realm, registry, known) else None
        asked_at = self._clock()
        response = self._request_token(realm, registry, service, scopes, sent)
        if sent is not None and response.status in _REFUSALS:
            other = self._other_credential(registry, scopes)
            if other is not None and other != sent and self._may_receive(realm, registry, other):
                sent = other
                response = self._request_token(realm, registry, service, scopes, sent)
        if response.is_success:
            return _read_token(registry, response, asked_at)
        if response.status in _REFUSALS:
            if known is not None and sent is None:
                raise self._withheld(registry, response.host, response.status)
            raise _refused(registry, response, sent)
        raise RegistryError(
            f"the token server `{response.host}` of `{registry}` responded with {response.status}",
            status=response.status,
            host=response.host,
        )

    def _other_credential(self, registry: str, scopes: Scopes) -> Credential | None:
        """The provider's credential, after it has been told that the last one was refused."""
        if isinstance(self._credentials, ForgetfulProvider):
            self._credentials.forget(registry)
        return self._credentials.credential_for(registry, _path(scopes))

    def _request_token(
        self, realm: str, registry: str, service: str, scopes: Scopes, credential: Credential | None
    ) -> Response:
        if credential is not None:
            self._note(registry, realm, credential)
        if credential is not None and credential.is_identity_token:
            return self._request_with_identity_token(realm, service, scopes, credential)
        parts = urlsplit(realm)
        query = [("service", service)] if service else []
        query += [("scope", scope) for scope in scopes]
        joined = "&".join(text for text in (parts.query, urlencode(query)) if text)
        headers = {} if credential is None else {"Authorization": _basic(credential)}
        return self._transport.send("GET", urlunsplit((*parts[:3], joined, "")), headers)

    def _request_with_identity_token(
        self, realm: str, service: str, scopes: Scopes, credential: Credential
    ) -> Response:
        form = {
            "grant_type": "refresh_token",
            "service": service,
            "client_id": _CLIENT_ID,
            "scope": " ".join(scopes),
            "refresh_token": credential.password,
        }
        remember_password(credential.password, credential.username)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._transport.send("POST", realm, headers, urlencode(form).encode("ascii"), follows=False)


def _path(scopes: Scopes) -> str:
    """The repository that a request is about; `scopes` begins with `repository:PATH:ACTIONS`."""
    return scopes[0].split(":")[1] if scopes else ""


def _refused(registry: str, response: Response, sent: Credential | None) -> Unauthorized:
    """Why there is no token."""
    if sent is None:
        hint = f"Run `docker login {registry}`."
        return _unauthorized(registry, f"`{registry}` wants a credential and there is none", response.status, hint)
    who = f" of `{sent.username}`" if sent.username else ""
    return _unauthorized(
        registry,
        f"`{registry}` refuses the credential{who}",
        response.status,
        "Sign in again, or renew the stored credential.",
    )


def _pick(response: Response) -> Challenge | None:
    challenges = parse_challenges(response.challenges)
    for scheme in ("bearer", "basic"):
        for challenge in challenges:
            if challenge.scheme == scheme:
                return challenge
    return None


def _basic(credential: Credential) -> str:
    remember_password(credential.password, credential.username)
    pair = f"{credential.username}:{credential.password}".encode()
    return f"Basic {base64.b64encode(pair).decode('ascii')}"


def _read_token(registry: str, response: Response, asked_at: float) -> _Token:
    try:
        found = json.loads(response.body)
    except (ValueError, RecursionError):
        found = None
    token = (found.get("token") or found.get("access_token")) if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(token, str) or not _is_header_text(token):
        raise RegistryError(
            f"the token server `{response.host}` of `{registry}` sent no token",
            status=response.status,
            host=response.host,
        )
    remember_token(token)
    lifetime = found.get("expires_in")
    seconds = float(lifetime) if isinstance(lifetime, int | float) and 0 < lifetime < 10**9 else _DEFAULT_LIFETIME
    # A token must outlive its request; a tenth of a short lifetime is enough for that.
    return _Token(f"Bearer {token}", asked_at, asked_at + seconds - min(30.0, seconds / 10))


def _is_header_text(token: str) -> bool:
    return token.isascii() and token.isprintable() and " " not in token


def _unauthorized(registry: str, message: str, status: int = 401, hint: str | None = None) -> Unauthorized:
    return Unauthorized(message, status=status, host=registry, hint=hint)
