"""Keeper tags: a second tag in ECR on the image that a tag had before, so that no lifecycle rule deletes it."""

from __future__ import annotations

import re

from toolkit.oci.digest import Digest

_LONGEST_TAG = 128
_KEEPER = re.compile(r"kept\.([A-Za-z0-9_][A-Za-z0-9_.-]*)\.([0-9a-f]{12})", re.ASCII)


def keeper_tag(tag: str, digest: Digest) -> str:
    """`kept.1.27.8adbdcb969e2`: the tag that keeps `digest`, which `tag` had. A long `tag` is cut at its end."""
    ending = f".{digest.short}"
    return f"kept.{tag}"[: _LONGEST_TAG - len(ending)] + ending


def is_keeper_tag(tag: str) -> bool:
    """Whether a tag has the form of a keeper."""
    return keeps(tag) is not None


def keeps(tag: str) -> tuple[str, str] | None:
    """The tag (cut, if it is long) and the first 12 hex digits of the digest that a keeper names; None for others."""
    found = _KEEPER.fullmatch(tag)
    return (found[1], found[2]) if found else None
