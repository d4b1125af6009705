"""Which proxy, if any, is between us and a host: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import SplitResult

from toolkit.oci.endpoints import is_loopback

_PORTS = {"http": 80, "https": 443}


def read_proxies() -> Mapping[str, str]:
    """What the environment names, by scheme, with the exemptions as `no`."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return {}
    from urllib.request import getproxies_environment  # noqa: PLC0415  takes 5 ms to load, which few runs need

    return getproxies_environment()


def proxy_for(parts: SplitResult, proxies: Mapping[str, str]) -> str:
    """The proxy's URL for a request to `parts`, empty for none; never one for loopback."""
    host = (parts.hostname or "").lower()
    if is_loopback(host) or _is_exempt(host, parts.port or _PORTS.get(parts.scheme), proxies.get("no", "")):
        return ""
    proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
    return proxy if "://" in proxy or not proxy else f"http://{proxy}"


def _is_exempt(host: str, port: int | None, exemptions: str) -> bool:
    """Whether a comma-separated list has the host, a domain or a network above it, or `*`.

    An entry may carry a port, and an IPv6 address brackets.
    """
    for entry in exemptions.lower().replace(",", " ").split():
        name, colon, end = entry.rpartition(":")
        if not colon or not end.isdecimal() or (":" in name and not name.endswith("]")):
            name, end = entry, str(port)
        name = name.removeprefix("[").removesuffix("]").removeprefix("*").removeprefix(".")
        if entry == "*" or (name and end == str(port) and (f".{host}".endswith(f".{name}") or _has(name, host))):
            return True
    return False


def _has(network: str, host: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
