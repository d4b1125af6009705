"""Where a registry's API is really served: by its own host, a corporate mirror, or a stand-in on loopback."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from urllib.parse import urlsplit

from toolkit.oci.errors import InvalidEndpoints
from toolkit.oci.reference import DOCKER_HUB, HUB_HOSTS, Repository

_DOCKER_HUB_URL = f"https://{HUB_HOSTS[0]}"
_PREFIX = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*)?")
# AWS's by IPv6, which is no link-local address.
_METADATA = "fd00:ec2::254"
_HINT = "Write `pattern=URL` pairs with spaces between them, such as `docker.io=http://127.0.0.1:5000`."


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Rules of a host pattern (`*.dkr.ecr.*`) and a URL each; the first that matches decides.

    Those in `untrusted` come last. They say where a registry is served, but its credential must not go there.
    What stands behind `/v2/` in a URL is put before every repository, as mirrors want it that hold several registries:
    `https://harbor.example.com/v2/dockerhub-proxy`. `token_servers` are the addresses on other domains to which a
    registry, by its name, may send for tokens with its credential.
    """

    rules: tuple[tuple[str, str], ...] = ()
    untrusted: tuple[tuple[str, str], ...] = ()
    token_servers: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for pattern, url in (*self.rules, *self.untrusted, *self.token_servers):
            _check(pattern, url)

    def __str__(self) -> str:
        return " ".join(f"{pattern}={url}" for pattern, url in self.rules)

    @classmethod
    def parse(cls, text: str) -> Endpoints:
        """Read `pattern=URL` pairs, as in `TOOLKIT_REGISTRY_ENDPOINTS`."""
        rules = []
        for pair in text.split():
            pattern, equals, url = pair.partition("=")
            if not equals:
                raise InvalidEndpoints(f"`{pair}` is no registry endpoint", hint=_HINT)
            rules.append((pattern, url))
        return cls(tuple(rules))

    def base_url(self, registry: str) -> str:
        """What comes before `/v2/`, without a slash at the end.

        Plain HTTP only where a rule says so, and for loopback hosts, as Docker does. The pattern `*` does not match
        loopback hosts: an image there is meant to come from the port in its name.
        """
        return _split(_rule((*self.rules, *self.untrusted), registry))[0]

    def path(self, repository: Repository) -> str:
        """The path of `repository` where its registry is served."""
        prefix = _split(_rule((*self.rules, *self.untrusted), repository.registry))[1]
        return f"{prefix}/{repository.path}" if prefix else repository.path

    def is_token_server(self, registry: str, url: str) -> bool:
        """Whether `url` is at the token server that `registry` may have on another domain."""
        return any(host == registry and origin(server) == origin(url) for host, server in self.token_servers)

    def trusted_url(self, registry: str) -> str:
        """As `base_url`, by the rules that a credential may follow."""
        return _split(_rule(self.rules, registry))[0]


@lru_cache(maxsize=1024)
def _split(url: str) -> tuple[str, str]:
    """What comes before `/v2/`, and what is put before every repository."""
    scheme, _, rest = url.partition("://")
    base, _, prefix = f"{rest.rstrip('/')}/".partition("/v2/")
    return f"{scheme}://{base.rstrip('/')}", prefix.strip("/")


@lru_cache(maxsize=1024)  # called several times for each request, for a handful of registries
def _rule(rules: tuple[tuple[str, str], ...], registry: str) -> str:
    is_local = is_loopback(urlsplit(f"//{registry}").hostname or "")
    for pattern, url in rules:
        if fnmatchcase(registry, pattern.lower()) and not (is_local and pattern == "*"):
            return url
    return own_url(registry)


def own_url(registry: str) -> str:
    """Where `registry` is served if no rule says otherwise."""
    if registry == DOCKER_HUB:
        return _DOCKER_HUB_URL
    scheme = "http" if is_loopback(urlsplit(f"//{registry}").hostname or "") else "https"
    return f"{scheme}://{registry}"


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Whether `host`, without a port, is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def may_send_to(host: str, url: str) -> bool:
    """Whether a registry at `host` may send us to `url`, by a redirect for example.

    Not to a place that only this machine reaches: services on loopback, and on link-local addresses the metadata of
    clouds, which hand out credentials. A registry that is itself on this machine may send us to another port of it.
    """
    there = urlsplit(url).hostname or ""
    return there == host or not _is_only_here(there) or (is_loopback(host) and is_loopback(there))


def _is_only_here(host: str) -> bool:
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:  # `127.1`, `2852039166` and `0xa9fea9fe` are addresses to what opens connections
            address = ipaddress.ip_address(socket.inet_aton(name))
        except (OSError, ValueError):
            return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_link_local or address.is_unspecified or str(address) == _METADATA


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port. Addresses that agree in them may receive the same credential."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _check(pattern: str, url: str) -> None:
    if not pattern:
        raise InvalidEndpoints("a registry endpoint has no host pattern before its `=`", hint=_HINT)
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for what is no port
    except ValueError:
        raise InvalidEndpoints(f"the endpoint of `{pattern}` is no URL", hint=_HINT) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidEndpoints(f"the endpoint of `{pattern}` is no http or https URL", hint=_HINT)
    if parts.username is not None or parts.password is not None:
        raise InvalidEndpoints(
            f"the endpoint of `{pattern}` has a user name in its URL",
            hint="Give credentials through the docker config.",
        )
    if not _PREFIX.fullmatch(_split(url)[1]):
        raise InvalidEndpoints(f"the endpoint of `{pattern}` has no path of a repository behind `/v2/`", hint=_HINT)
    if parts.query or parts.fragment:
        raise InvalidEndpoints(f"the endpoint of `{pattern}` has a query or a fragment in its URL", hint=_HINT)
