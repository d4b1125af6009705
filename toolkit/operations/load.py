"""Load: a manifest with every default filled in. Light: needs no AWS, no Terraform, no registry."""

from __future__ import annotations

from pathlib import Path

from toolkit.manifest.loader import load, loads
from toolkit.plan.desired import Desired
from toolkit.plan.resolve import resolve


def load_desired(file: Path) -> Desired:
    """What the manifest asks for. Raises ManifestUnusable with all of its problems."""
    return resolve(load(file))


def desired_of(text: str, file: str) -> Desired:
    """What the manifest `text` asks for; `file` is what messages call it. Raises ManifestUnusable."""
    return resolve(loads(text, file))
