"""What is there: at the source by HEAD, at the destination by ECR's own listing.

Nothing here costs a counted pull but an index that was never read and whose signatures are to be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from toolkit.oci.digest import Digest
from toolkit.oci.reference import Repository
from toolkit.oci.subset import Subset

if TYPE_CHECKING:
    from toolkit.plan.desired import DesiredImage


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
    `cached_documents` of them are on disk already and cost nothing. `tag_now` is about a pinned image only: what its
    tag points to upstream now, or why that cannot be known.
    """

    digest: Digest
    media_type: str
    wanted_digest: Digest | None = None
    size: int | None = None
    documents: int | None = None
    cached_documents: int = 0
    tag_now: Digest | SourceFault | None = None


@dataclass(frozen=True, slots=True)
class SourceFault:
    """Why an upstream image cannot be copied.

    `kind` is `missing`, `denied`, `limited` (too many requests), `unreachable` or `unusable`. Only `limited` and
    `unreachable` may pass by themselves; the others stay until somebody does something.
    """

    kind: str
    message: str
    hint: str | None = None

    @property
    def is_temporary(self) -> bool:
        """Whether the same question may be answered later."""
        return self.kind in ("limited", "unreachable")


@dataclass(frozen=True, slots=True)
class StoredTag:
    """A tag in ECR: the digest that it points to, and when that image was pushed (ISO 8601, UTC)."""

    digest: Digest
    pushed_at: str


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image in ECR, under a tag or without one. `raw` is its document, byte for byte."""

    digest: Digest
    raw: bytes


class Origin(StrEnum):
    """What is known of where an image in ECR comes from that is not as it should be."""

    UPSTREAM = "upstream"
    """Upstream has it by digest, or the index that it says it was made of."""
    RETURNED = "returned"
    """The same, but what upstream has under this tag now was in ECR before."""
    DISPLACING = "displacing"
    """Upstream does not have it, and what upstream has under this tag now was in ECR before."""
    LACKING = "lacking"
    """Upstream does not have it: it never did, or it has deleted it since."""
    UNKNOWN = "unknown"
    """Upstream could not be asked."""


@dataclass(frozen=True, slots=True)
class DestinationImage:
    """A tag in ECR.

    `derived_from` is the upstream index digest and `selection` the platforms that a filtered index of ours says it
    was made from; None for anything else. `pushed_at` is when ECR was given the image (ISO 8601, UTC). `origin` is
    looked up where the image is not the wanted one.
    """

    digest: Digest
    derived_from: Digest | None = None
    selection: str | None = None
    pushed_at: str | None = None
    origin: Origin | None = None

    def stems_from(self, digest: Digest) -> bool:
        """Whether it is the upstream document `digest`, or says that it was made of it."""
        return digest in (self.digest, self.derived_from)

    def is_copy_of(self, source: SourceImage, subset: Subset) -> bool:
        """Whether it is what is wanted of `source`, as far as that can be known without a pull."""
        if source.wanted_digest is not None:
            return self.digest == source.wanted_digest
        return self.is_filtered_from(source.digest, subset)

    def is_filtered_from(self, index: Digest | None, subset: Subset) -> bool:
        """Whether it says itself that it was made of `index` with this `subset`, which costs no pull."""
        return self.derived_from == index and self.selection == str(subset)


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
    `alternatives` are other repositories that have an upstream's content, where it costs no counted pull. `tags` are
    all tags of the repositories that were looked at, by repository.
    """

    sources: Mapping[str, SourceImage | SourceFault] = field(default_factory=dict)
    destinations: Mapping[str, DestinationImage] = field(default_factory=dict)
    repositories: frozenset[str] = frozenset()
    budgets: tuple[PullBudget, ...] = ()
    companions: Mapping[str, tuple[DesiredImage, ...]] = field(default_factory=dict)
    alternatives: Mapping[str, Repository] = field(default_factory=dict)
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def is_lacking(image: DesiredImage, destination: DestinationImage | None) -> bool:
    """Whether ECR has nothing that may stay for `image` when its source cannot be had: a pin stands for one content."""
    pinned = image.source.digest
    return destination is None or (pinned is not None and not destination.stems_from(pinned))


LIFECYCLE_POLICY = "lifecycle policy"
REPOSITORY_POLICY = "repository policy"
WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class ExistingResource:
    """A role, log group or project: its AWS tags, and the names of the parts that hang on it and have no tags.

    The parts of a role are its policies, inline ones by name and attached ones by ARN; `WEBHOOK` is a project's.
    A log group keeps its logs for `retention_days`, 0 is for ever.
    """

    resource_tags: Mapping[str, str]
    parts: frozenset[str] = frozenset()
    retention_days: int = 0


@dataclass(frozen=True, slots=True)
class ExistingRepository:
    """An ECR repository. The policies are JSON texts, None where there is none.

    `tag_mutability` is `MUTABLE` or `IMMUTABLE`, and the opposite holds for tags that fit an exclusion.
    """

    name: str
    account_id: str
    tag_mutability: str = "MUTABLE"
    tag_mutability_exclusions: tuple[str, ...] = ()
    scan_on_push: bool = False
    encryption_type: str = "AES256"
    kms_key: str | None = None
    resource_tags: Mapping[str, str] = field(default_factory=dict)
    lifecycle_policy: str | None = None
    repository_policy: str | None = None

    @property
    def parts(self) -> frozenset[str]:
        """As of any existing resource: the policies that there are."""
        policies = {LIFECYCLE_POLICY: self.lifecycle_policy, REPOSITORY_POLICY: self.repository_policy}
        return frozenset(kind for kind, text in policies.items() if text is not None)
