"""What the fields of a build mean, in a command as in a compose or a bake file."""

from __future__ import annotations

import re
from typing import Any

SBOM_SCANNER = "docker/buildkit-syft-scanner:stable-1"

_ELSEWHERE = re.compile(r"\w+://|git@|github\.com/")
_OFF = ("false", "0")


def is_elsewhere(context: str) -> bool:
    """Whether the builder fetches the context: a repository or an archive, not a folder."""
    return _ELSEWHERE.match(context) is not None


def cache_image(value: str) -> str | None:
    """The image of a `cache-from`, which may be a bare name or `type=registry,ref=…`; None for other caches."""
    if "=" not in value:
        return value
    fields = _fields(value)
    return fields.get("ref") if fields.get("type") == "registry" else None


def sbom_scanner(value: str) -> str | None:
    """The image that makes the SBOM, for a value such as `true` or `generator=…`; None if no SBOM is made."""
    fields = _fields(value)
    is_off = value in _OFF or fields.get("disabled", "false") not in _OFF
    return None if is_off else fields.get("generator") or SBOM_SCANNER


def attested_scanner(value: str) -> str | None:
    """The image for an attestation `type=sbom,…`; None for other types."""
    return sbom_scanner(value) if _fields(value).get("type") == "sbom" else None


def listed(value: Any) -> list[Any]:
    """The items of a field that holds a list, a single item or nothing."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def spelled(value: Any) -> str:
    """A value as text. A mapping becomes `key=value,…`, which means the same in these fields."""
    if isinstance(value, dict):
        return ",".join(f"{key}={spelled(one)}" for key, one in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fields(value: str) -> dict[str, str]:
    parts = (part.partition("=") for part in value.split(","))
    return {key.strip(): text.strip() for key, _, text in parts}
