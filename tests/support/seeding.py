"""Requests between two registries in memory, and a seeder that does them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.support.made_images import MadeImage, image, index, store
from tests.support.memory_registry import MemoryRegistry
from toolkit.events import Event
from toolkit.oci.copy import CopyRequest
from toolkit.oci.descriptor import Platform
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.reference import Reference
from toolkit.oci.subset import Subset
from toolkit.report import SeedOutcome, SeedStatus
from toolkit.seed.seeder import Seeder

SOURCE, TARGET = "source.test", "target.test"
AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")

both_job_counts = pytest.mark.parametrize("jobs", [1, 2, 8])


def request(
    registry: MemoryRegistry,
    made: MadeImage,
    name: str,
    *,
    platforms: tuple[Platform, ...] | None = None,
    trusts_tag: bool = False,
    is_new: bool = False,
) -> CopyRequest:
    """An image at the source under `name`, wanted under the same name at the target."""
    source = store(registry, made, f"{SOURCE}/{name}")
    return CopyRequest(
        name,
        source,
        Reference.parse(f"{TARGET}/{name}"),
        Subset(platforms),
        trusts_tag=trusts_tag,
        destination_is_new=is_new,
    )


def seeded(
    registry: MemoryRegistry,
    requests: Iterable[CopyRequest],
    *,
    jobs: int = 4,
    events: list[Event] | None = None,
    cache: DocumentCache | None = None,
) -> list[SeedOutcome]:
    return Seeder(registry, registry, (events if events is not None else []).append, jobs=jobs, cache=cache).seed(
        requests
    )


def statuses(outcomes: Iterable[SeedOutcome]) -> list[SeedStatus]:
    return [outcome.status for outcome in outcomes]


def multi_arch(text: str) -> MadeImage:
    return index(
        ("linux/amd64", image([b"base", text.encode() + b" amd"])),
        ("linux/arm64", image([b"arm base", text.encode() + b" arm"], "linux/arm64")),
    )
