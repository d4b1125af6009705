"""What the manifest may say about Terraform itself: versions of the provider, files of the user's own."""

from __future__ import annotations

import re
from collections.abc import Sequence

PROVIDER_VERSIONS = ">= 5.80, < 7"
"""The versions of the AWS provider that the modules are made for."""

OWN_FILES = frozenset({"main.tf", "outputs.tf", "imports.tf", "let_go.tf", "base-images.json"})
"""Names that the root module keeps for itself, written or not."""

_BOUND = re.compile(r"(?P<operator>=|!=|>=|<=|>|<|~>)?\s*(?P<version>\d+(\.\d+){0,2})")
_NUMBERS = tuple[int, ...]


def check_provider_version(text: str) -> str:
    """`text` itself; ValueError with a sentence unless it is a constraint that leaves a version to choose."""
    low: _NUMBERS = (5, 80, 0)
    high: _NUMBERS = (7, 0, 0)
    for part in text.split(","):
        bound = _BOUND.fullmatch(part.strip())
        if bound is None:
            raise ValueError(f"`{text}` is not a version such as `5.100.0`, or a constraint such as `>= 6.8, < 7`")
        given = tuple(map(int, bound["version"].split(".")))
        version = (*given, 0, 0)[:3]
        after = (*version, 1)  # just above it
        match bound["operator"]:
            case None | "=":
                low, high = max(low, version), min(high, after)
            case ">=":
                low = max(low, version)
            case ">":
                low = max(low, after)
            case "<":
                high = min(high, version)
            case "<=":
                high = min(high, after)
            case "~>":
                kept = given[:-1] or given
                low, high = max(low, version), min(high, (*kept[:-1], kept[-1] + 1, 0, 0)[:3])
    if low >= high:
        raise ValueError(f"`{text}` allows no version of the AWS provider within `{PROVIDER_VERSIONS}`")
    return text


def check_extra_file(text: str) -> str:
    """`text` itself; ValueError with a sentence unless it is a path to a file that may stand beside ours."""
    parts = text.split("/")
    if "\\" in text or not text.isprintable() or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"`{text}` is not a path below the manifest's folder, such as `terraform/alarms.tf`")
    name = parts[-1]
    if name.startswith("."):
        raise ValueError(f"`{text}` is a hidden file, which Terraform does not read")
    if is_override(name):
        raise ValueError(f"`{text}` would override what `toolkit` writes")
    if name in OWN_FILES:
        raise ValueError(f"`{text}` would take the place of the `{name}` that `toolkit` writes")
    return text


def is_override(name: str) -> bool:
    """Whether Terraform merges a file of this name over others."""
    return re.fullmatch(r"(.*_)?override\.(tf|tofu)(\.json)?", name) is not None


def check_extra_files(paths: Sequence[str]) -> Sequence[str]:
    """`paths` themselves; ValueError with a sentence where two would have one name in the working directory."""
    names = [path.rpartition("/")[2] for path in paths]
    for position, name in enumerate(names):
        if name in names[:position]:
            raise ValueError(f"two files are called `{name}`: they would be one in the working directory")
    return paths
