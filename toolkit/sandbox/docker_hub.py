"""Makes a registry behave like Docker Hub: Bearer tokens for everybody, and counted pulls.

Without a limit the same policy simulates the other public registries. As on Docker Hub, a missing repository looks like
a private one: no token gives access. HEAD is free and shows the budget; GET of a manifest counts.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from werkzeug.wrappers import Request, Response

from toolkit.sandbox.documents import RegistryFault
from toolkit.sandbox.registry import Access, Policy
from toolkit.sandbox.store import write_atomically

SERVICE = "registry.docker.io"
WINDOW_SECONDS = 21600
TOKEN_SECONDS = 300
_SCOPE = re.compile(r"repository:(?P<repository>[^:]+):(?P<actions>[a-z*,]*)")
_LIMIT_WORDS = (
    "You have reached your pull rate limit. You may increase the limit by authenticating and upgrading: "
    "https://www.docker.com/increase-rate-limit"
)


class PullCounter:
    """Counted pulls by source and by reference, kept in a file so that a restart does not reset them."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._by_source: Counter[str] = Counter()
        self._by_reference: Counter[str] = Counter()
        if file.exists():
            found = json.loads(file.read_text())
            self._by_source.update(found["by_source"])
            self._by_reference.update(found["by_reference"])

    def used(self, source: str) -> int:
        """The counted pulls of one source."""
        with self._lock:
            return self._by_source[source]

    def count(self, source: str, reference: str, limit: int | None) -> bool:
        """Count a pull; if `limit` is used up, count nothing and return False."""
        with self._lock:
            if limit is not None and self._by_source[source] >= limit:
                return False
            self._by_source[source] += 1
            self._by_reference[reference] += 1
            self._save()
            return True

    def reset(self) -> None:
        """Reset all counts."""
        with self._lock:
            self._by_source.clear()
            self._by_reference.clear()
            self._save()

    def snapshot(self) -> dict[str, object]:
        """The counts as `/sandbox/pulls` shows them."""
        with self._lock:
            return {
                "counted": self._by_source.total(),
                "by_source": dict(self._by_source),
                "by_reference": dict(self._by_reference),
            }

    def _save(self) -> None:
        document = {"by_source": self._by_source, "by_reference": self._by_reference}
        write_atomically(self._file, json.dumps(document).encode())


@dataclass(frozen=True, slots=True)
class Token:
    """The account of a Bearer token, the access that it grants, and its expiry."""

    account: str | None
    granted: frozenset[tuple[str, str]]
    expires: float


@dataclass(slots=True)
class DockerHubPolicy(Policy):
    """The rules of Docker Hub.

    `accounts` are user names with passwords. A user with an account may push, and has twice the `limit` of an anonymous
    one. With `limit` None, pulls are counted but not limited, and the responses have no rate-limit headers.
    """

    has_repository: Callable[[str], bool]
    pulls: PullCounter
    limit: int | None = None
    accounts: Mapping[str, str] = field(default_factory=dict, repr=False)
    service: str = SERVICE
    clock: Callable[[], float] = time.time
    _tokens: dict[str, Token] = field(default_factory=dict, repr=False)

    def admit(self, request: Request, access: Access) -> None:
        """Accept a request whose token grants the access; challenge any other to fetch a token."""
        token = self._token_of(request)
        if token is None:
            self._challenge(request, access, "invalid_token" if "Authorization" in request.headers else None)
        elif access.repository and (access.repository, access.action) not in token.granted:
            self._challenge(request, access, "insufficient_scope")

    def serve_document(self, request: Request, repository: str, target: str) -> Mapping[str, str]:
        """Count a GET; the headers show the pulls that are left."""
        token = self._token_of(request)
        account = token.account if token else None
        source = account or request.remote_addr or ""
        limit = self.limit if self.limit is None or account is None else 2 * self.limit
        counted = request.method == "HEAD" or self.pulls.count(source, _spelled(repository, target), limit)
        if limit is None:
            return {}
        headers = {
            "ratelimit-limit": f"{limit};w={WINDOW_SECONDS}",
            "ratelimit-remaining": f"{max(limit - self.pulls.used(source), 0)};w={WINDOW_SECONDS}",
            "docker-ratelimit-source": source,
        }
        if not counted:
            raise RegistryFault(429, "TOOMANYREQUESTS", _LIMIT_WORDS, headers=headers)
        return headers

    def grant(self, request: Request) -> Response:
        """Handle a request to the token server."""
        account = None
        if request.authorization is not None:
            account = request.authorization.username or ""
            password = request.authorization.password or ""
            known = self.accounts.get(account)
            if known is None or not secrets.compare_digest(known.encode(), password.encode()):
                return _json({"details": "incorrect username or password"}, 401)
        granted = frozenset(self._granted(request.args.getlist("scope"), account))
        word = secrets.token_urlsafe(48)
        now = self.clock()
        for stale in [w for w, token in list(self._tokens.items()) if token.expires <= now]:
            self._tokens.pop(stale, None)
        self._tokens[word] = Token(account, granted, now + TOKEN_SECONDS)
        issued = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        return _json({"token": word, "access_token": word, "expires_in": TOKEN_SECONDS, "issued_at": issued})

    def _granted(self, scopes: Iterable[str], account: str | None) -> Iterable[tuple[str, str]]:
        for scope in " ".join(scopes).split():
            match = _SCOPE.fullmatch(scope)
            for action in match["actions"].split(",") if match else ():
                allowed = (
                    self.has_repository(match["repository"]) if action == "pull" and match else account is not None
                )
                if match and allowed:
                    yield match["repository"], action

    def _token_of(self, request: Request) -> Token | None:
        given = request.authorization
        token = self._tokens.get(given.token or "") if given is not None and given.type == "bearer" else None
        return token if token is not None and token.expires > self.clock() else None

    def _challenge(self, request: Request, access: Access, error: str | None) -> None:
        parts = [f'realm="{request.host_url}token"', f'service="{self.service}"']
        if access.repository:
            actions = "pull" if access.action == "pull" else f"pull,{access.action}"
            parts.append(f'scope="repository:{access.repository}:{actions}"')
        if error is not None:
            parts.append(f'error="{error}"')
        detail = [{"Type": "repository", "Class": "", "Name": access.repository, "Action": access.action}]
        headers = {"WWW-Authenticate": f"Bearer {','.join(parts)}"}
        raise RegistryFault(
            401, "UNAUTHORIZED", "authentication required", detail if access.repository else None, headers
        )


def _spelled(repository: str, target: str) -> str:
    return f"{repository}@{target}" if ":" in target else f"{repository}:{target}"


def _json(document: object, status: int = 200) -> Response:
    return Response(json.dumps(document), status, content_type="application/json")
