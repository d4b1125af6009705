"""What is there: at the source by HEAD, at the destination by ECR's own listing.

Nothing here costs a counted pull but an index that was never read and whose signatures are to be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.filtered_index import selection_text
from toolkit.oci.reference import Repository
from toolkit.oci.values import dataclass

if TYPE_CHECKING:
    from toolkit.plan.desired import DesiredImage

INDEX_TYPES = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)


@dataclass(frozen=True, slots=True)
class Account:
    """Where we are: `registry_host` is ECR's own word for it, never formatted by us."""

    account_id: str
    region: str
    registry_host: str


@dataclass(frozen=True, slots=True)
class SourceImage:
    """An upstream tag as HEAD shows it.

    `wanted_digest` is what the destination must have: `digest` itself, or that of the filtered index when platforms
    are chosen — None when that cannot be computed without a counted pull. `size` counts the bytes of all blobs
    wanted, and `documents` the manifests and indexes to be read; None when unknown for the same reason.
    `cached_documents` of them are on disk already and cost nothing.
    """

    digest: Digest
    media_type: str
    wanted_digest: Digest | None = None
    size: int | None = None
    documents: int | None = None
    cached_documents: int = 0


@dataclass(frozen=True, slots=True)
class SourceFault:
    """Why an upstream tag cannot be copied; `kind` is `missing`, `denied`, `unreachable` or `unusable`."""

    kind: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class DestinationImage:
    """A tag in ECR.

    `derived_from` is the upstream index digest and `selection` the platforms that a filtered index of ours says it
    was made from; None for anything else.
    """

    digest: Digest
    derived_from: Digest | None = None
    selection: str | None = None

    def is_filtered_from(
        self, index: Digest | None, platforms: tuple[Platform, ...] | None, *, keeps_attestations: bool
    ) -> bool:
        """Whether it says itself that it was made of `index` for these platforms, which costs no pull."""
        return self.derived_from == index and self.selection == selection_text(platforms, keeps_attestations)


@dataclass(frozen=True, slots=True)
class PullBudget:
    """An upstream's own word on counted pulls: `remaining` of `limit` in a window of `window_seconds`."""

    registry: str
    limit: int
    remaining: int
    window_seconds: int


@dataclass(frozen=True, slots=True)
class Observed:
    """Both sides, by image key. A key missing from `destinations` is absent there, its repository perhaps too.

    `companions` has what belongs to an image that keeps its signatures, by that image's key; each of them has a key of
    its own in `sources`, and the companion of two images is in both lists.
    `alternatives` are other repositories that have an upstream's content, where it costs no counted pull.
    """

    sources: Mapping[str, SourceImage | SourceFault] = field(default_factory=dict)
    destinations: Mapping[str, DestinationImage] = field(default_factory=dict)
    repositories: frozenset[str] = frozenset()
    budgets: tuple[PullBudget, ...] = ()
    companions: Mapping[str, tuple[DesiredImage, ...]] = field(default_factory=dict)
    alternatives: Mapping[str, Repository] = field(default_factory=dict)
