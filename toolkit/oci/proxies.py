"""Which proxy, if any, is between us and a host: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import SplitResult

from toolkit.oci.endpoints import is_loopback


def proxy_for(parts: SplitResult, proxies: Mapping[str, str]) -> str:
    """The proxy's URL for a request to `parts`, empty for none; never one for loopback.

    `proxies` is what `urllib.request.getproxies_environment` found.
    """
    host = (parts.hostname or "").lower()
    if is_loopback(host) or _is_exempt(host, parts.port, proxies.get("no", "")):
        return ""
    proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
    return proxy if "://" in proxy or not proxy else f"http://{proxy}"


def _is_exempt(host: str, port: int | None, exemptions: str) -> bool:
    """Whether a comma-separated list has the host, a domain above it, or `*`; an entry may carry a port."""
    for entry in exemptions.lower().replace(",", " ").split():
        name = entry.removeprefix("*").removeprefix(".")
        if entry == "*" or name in (host, f"{host}:{port}"):
            return True
        if name and (host.endswith(f".{name}") or f"{host}:{port}".endswith(f".{name}")):
            return True
    return False
