"""What exists: at the source by HEAD, at the destination by ECR's own listing.

To observe costs no counted pull, with one exception: an index that was never read and whose signatures are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Repository
from toolkit.oci.subset import Subset

if TYPE_CHECKING:
    from toolkit.plan.desired import DesiredImage


@dataclass(frozen=True, slots=True)
class Account:
    """The account and region of the run; `registry_host` comes from ECR and is never composed by us."""

    account_id: str
    region: str
    registry_host: str


@dataclass(frozen=True, slots=True)
class SourceImage:
    """An upstream tag as HEAD shows it.

    `wanted_digest` is the digest that the destination must have: `digest` itself, or that of the filtered index when
    platforms are chosen. `size` is the bytes of all blobs wanted, and `documents` the number of manifests and indexes
    to read. These three are None when only a counted pull could tell. `cached_documents` of the documents are on disk
    already and cost nothing. `tag_now` is set for a pinned image only: what its tag points to upstream now, or why that
    is unknown.
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

    `kind` is `limited` (too many requests), `unreachable`, or the code of a copy that fails for the same reason, such
    as `missing`. Only the first two may be temporary; the others stay until somebody acts.
    """

    kind: str
    message: str
    hint: str | None = None

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may succeed later."""
        return self.kind in ("limited", "unreachable")

    @property
    def is_denied(self) -> bool:
        """Whether other credentials or permissions are the cure."""
        return self.kind in ("denied", "unauthorized", "credential_unusable")


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


@dataclass(frozen=True, slots=True)
class StoredCopy:
    """The wanted image as its repository in ECR has it already, whole: with every document that it points to.

    `name` is another tag of it, or its digest where it has none.
    """

    digest: Digest
    name: str

    def as_source(self, image: DesiredImage) -> SourceImage:
        """What upstream is known to have had of the pinned `image`, for when it cannot be asked."""
        return SourceImage(image.source.digest or self.digest, "", wanted_digest=self.digest)


@dataclass(frozen=True, slots=True)
class Content:
    """What an image consists of, as far as cached documents tell: how many documents, and the bytes of each blob.

    It `is_known` if no document is missing.
    """

    documents: int
    blobs: Mapping[Digest, int]
    is_known: bool


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image of a repository as ECR lists it; a `size` of 0 is not known. `pulled_at` is ECR's own record.

    `subject` is what a referrer refers to. What only a document tells: an index has `children`, with their `platforms`
    in the same order, None for attestations. A filtered one of ours tells which index it is `made_of`, and by which
    `selection`.
    """

    digest: Digest
    pushed_at: datetime
    tags: tuple[str, ...] = ()
    size: int = 0
    pulled_at: datetime | None = None
    is_index: bool = False
    is_archived: bool = False
    subject: Digest | None = None
    children: tuple[Digest, ...] = ()
    made_of: Digest | None = None
    platforms: tuple[Platform | None, ...] = ()
    selection: str | None = None

    @property
    def upstream(self) -> Digest:
        """The digest under which upstream would have it."""
        return self.made_of or self.digest

    def fits(self, subset: Subset) -> bool:
        """Whether it has no other platforms than `subset`, as far as an index tells."""
        if self.made_of:
            return self.selection == str(subset)
        return all(subset.includes(platform) for platform in self.platforms if platform)


class Origin(StrEnum):
    """Where an image in ECR comes from that is not the wanted one."""

    UPSTREAM = "upstream"
    """Upstream has it by digest, or has the index from which it says it was made."""
    RETURNED = "returned"
    """As `UPSTREAM`, but ECR had the current upstream content of this tag before."""
    DISPLACING = "displacing"
    """Upstream does not have it, and ECR had the current upstream content of this tag before."""
    LACKING = "lacking"
    """Upstream does not have it: it never had it, or has deleted it since."""
    UNKNOWN = "unknown"
    """The request to upstream failed."""


@dataclass(frozen=True, slots=True)
class DestinationImage:
    """A tag in ECR.

    A filtered index of ours records the digest of its upstream index, `derived_from`, and its platforms, `selection`;
    both are None for any other document. `pushed_at` is the time of the push to ECR (ISO 8601, UTC). `origin` is
    looked up if the image is not the wanted one.
    """

    digest: Digest
    derived_from: Digest | None = None
    selection: str | None = None
    pushed_at: str | None = None
    origin: Origin | None = None

    def stems_from(self, digest: Digest) -> bool:
        """Whether it is the upstream document `digest`, or records that it was made from it."""
        return digest in (self.digest, self.derived_from)

    def is_copy_of(self, source: SourceImage, subset: Subset) -> bool:
        """Whether it is the wanted copy of `source`, as far as that is known without a pull."""
        if source.wanted_digest is not None:
            return self.digest == source.wanted_digest
        return self.is_filtered_from(source.digest, subset)

    def is_filtered_from(self, index: Digest | None, subset: Subset) -> bool:
        """Whether it records that it was made from `index` with this `subset`; reading that costs no pull."""
        return self.derived_from == index and self.selection == str(subset)


@dataclass(frozen=True, slots=True)
class PullBudget:
    """Counted pulls as the upstream reports them: `remaining` of `limit` in a window of `window_seconds`."""

    registry: str
    limit: int
    remaining: int
    window_seconds: int


@dataclass(frozen=True, slots=True)
class Observed:
    """Both sides by image key. A key that is not in `destinations` does not exist there; its repository may.

    `companions` are the signatures and referrers of an image that keeps them, by that image's key. Each has a key of
    its own in `sources`, and the companion of two images is in both lists. `alternatives` are other repositories which
    have the same content and do not count pulls. `tags` are all tags of the observed repositories, by repository.
    `stored` are the wanted images that ECR has, though not under their tag: the tag can be moved without a copy.
    """

    sources: Mapping[str, SourceImage | SourceFault] = field(default_factory=dict)
    destinations: Mapping[str, DestinationImage] = field(default_factory=dict)
    repositories: frozenset[str] = frozenset()
    budgets: tuple[PullBudget, ...] = ()
    companions: Mapping[str, tuple[DesiredImage, ...]] = field(default_factory=dict)
    alternatives: Mapping[str, Repository] = field(default_factory=dict)
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stored: Mapping[str, StoredCopy] = field(default_factory=dict)


def is_lacking(image: DesiredImage, destination: DestinationImage | None) -> bool:
    """Whether ECR has nothing to keep for `image` while its source is unavailable.

    For a pinned image, only the pinned content may be kept.
    """
    pinned = image.source.digest
    return destination is None or (pinned is not None and not destination.stems_from(pinned))


LIFECYCLE_POLICY = "lifecycle policy"
REPOSITORY_POLICY = "repository policy"
WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class ExistingResource:
    """A role, log group or project: its AWS tags, and the names of its parts, which have no tags of their own.

    The parts of a role are its policies, inline ones by name and attached ones by ARN. A project's part is its
    `WEBHOOK`. A log group keeps its logs for `retention_days`; 0 means for ever.
    """

    resource_tags: Mapping[str, str]
    parts: frozenset[str] = frozenset()
    retention_days: int = 0


@dataclass(frozen=True, slots=True)
class ExistingRepository:
    """An ECR repository. A policy is JSON text, or None if it does not exist.

    `tag_mutability` is `MUTABLE` or `IMMUTABLE`. The opposite holds for tags that match an exclusion.
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
        """The kinds of policies that exist, as `ExistingResource.parts`."""
        policies = {LIFECYCLE_POLICY: self.lifecycle_policy, REPOSITORY_POLICY: self.repository_policy}
        return frozenset(kind for kind, text in policies.items() if text is not None)


@dataclass(frozen=True, slots=True)
class PullThroughRule:
    """A pull-through cache rule: pulls below `prefix` fill repositories from `upstream_host`, below `upstream_prefix`.

    AWS writes `ROOT` for no prefix. `credential_arn` is a secret of Secrets Manager.
    """

    prefix: str
    upstream_host: str
    upstream_prefix: str = "ROOT"
    credential_arn: str | None = None


@dataclass(frozen=True, slots=True)
class ReplicationRule:
    """A rule of a registry: repositories whose name begins with one of `prefixes` are copied to `destinations`.

    A destination is a region, or `<account>/<region>` for the registry of another account. Without prefixes, the rule
    is about every repository. Both are sorted.
    """

    destinations: tuple[str, ...]
    prefixes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As a phrase: `mirror/ to us-east-1`."""
        return f"{', '.join(self.prefixes) or 'every repository'} to {', '.join(self.destinations)}"

    def covers(self, repository: str, region: str) -> bool:
        """Whether it copies `repository` to `region` of the same account."""
        return region in self.destinations and (not self.prefixes or repository.startswith(self.prefixes))


def replication_rule(
    destinations: Iterable[tuple[str, str]], prefixes: Iterable[str], account_id: str
) -> ReplicationRule:
    """The rule with these regions and accounts, in the registry of `account_id`."""
    places = (region if account == account_id else f"{account}/{region}" for region, account in destinations)
    return ReplicationRule(tuple(sorted(places)), tuple(sorted(prefixes)))
