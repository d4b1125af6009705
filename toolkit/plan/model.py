"""The plan: what apply will do, as values that can be compared and serialised."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from toolkit.oci.auth import CredentialUse
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.subset import Subset
from toolkit.plan.observed import Account, PullBudget
from toolkit.plan.on_budget import OnBudget


class SeedAction(StrEnum):
    """What seeding will do to a tag."""

    COPY = "copy"  # the tag does not exist yet
    MOVE = "move"  # the tag exists and points to other content
    KEEP = "keep"  # the tag exists and stays as it is


class InfraAction(StrEnum):
    """What Terraform will do to a resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    FORGET = "forget"
    IMPORT = "import"


@dataclass(frozen=True, slots=True)
class AttributeChange:
    """One changed attribute of a resource.

    `path` is as Terraform writes it (`image_scanning_configuration[0].scan_on_push`), with three exceptions. A block
    with a name has this name as its key (`environment[0].environment_variable["A"].value`), `tags` are the effective
    AWS tags, and a rule of a lifecycle policy has its priority (`policy.rules[1]`). `before` and `after` are JSON
    values. Both are None for a sensitive attribute; `after` is None for one that is known only after the apply.
    """

    path: str
    before: object = None
    after: object = None
    is_unknown: bool = False
    is_sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """A right that a change adds (`is_added`) or removes, as a phrase: `role of web: s3:* on *`.

    `is_widening` marks what a reviewer must see because more is allowed afterwards: a new principal or action, a
    wildcard, PassRole, AssumeRole, a removed Deny or condition. See `toolkit.plan.rights`.
    """

    statement: str
    is_added: bool
    is_widening: bool = False


@dataclass(frozen=True, slots=True)
class InfraChange:
    """One resource change of Terraform's plan. `resource_type` is Terraform's (`aws_ecr_repository`).

    `is_imported`: the resource exists and enters the state, whether or not it is also changed. `replace_because` are
    the paths of the attributes that AWS cannot change in place. A creation or deletion has no `changes`, and a deletion
    usually has no `grants`. `reason` is Terraform's. For drift, `reason` says what the plan does about it: `put_back`,
    `changed` to yet another value, or only `recorded` in the state. `region` is that of a replica, "" for all others.
    """

    address: str
    resource_type: str
    action: InfraAction
    name: str = ""
    reason: str = ""
    is_imported: bool = False
    changes: tuple[AttributeChange, ...] = ()
    replace_because: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()
    region: str = ""

    @property
    def destroys(self) -> bool:
        """Whether the existing resource is deleted, by a replacement too."""
        return self.action in (InfraAction.REPLACE, InfraAction.DELETE)

    @property
    def is_of_repository(self) -> bool:
        """Whether the resource is an ECR repository and no replica; `name` is then the repository's name."""
        return self.resource_type == "aws_ecr_repository" and not self.region

    @property
    def is_of_replica(self) -> bool:
        """Whether the resource is a replica of the repository `name`."""
        return self.resource_type == "aws_ecr_repository" and bool(self.region)

    @property
    def name_there(self) -> str:
        """What a replica is called: `mirror/nginx in us-east-1`."""
        return f"{self.name} in {self.region}"


def doomed_repositories(changes: Iterable[InfraChange]) -> frozenset[str]:
    """The names of the repositories that are deleted or replaced, with all their images."""
    return frozenset(change.name for change in changes if change.is_of_repository and change.destroys)


def doomed_replicas(changes: Iterable[InfraChange]) -> tuple[InfraChange, ...]:
    """The changes that delete or replace a replica, with all its images."""
    return tuple(change for change in changes if change.is_of_replica and change.destroys)


@dataclass(frozen=True, slots=True)
class Cost:
    """The counted pulls of one copy: from `at_least` to `at_most` (None: HEAD cannot tell).

    `key` identifies the copy. Copies with the same `content` share their reads.
    """

    key: str
    source: Reference
    subset: Subset
    at_least: int
    at_most: int | None

    @property
    def content(self) -> tuple[Digest | None, Subset]:
        """What is read upstream."""
        return self.source.digest, self.subset


@dataclass(frozen=True, slots=True)
class Seed:
    """The decision for one tag.

    `source` has its digest pinned: apply copies exactly this. `wanted_digest` is the digest that the destination tag
    will have (None: known after the copy), `current_digest` is the one that it has now. `pulls` are the counted pulls
    of the copy, from `pulls[0]` to `pulls[1]` (None: HEAD cannot tell), both 0 where the upstream does not count.
    `bytes_from` is another repository which has the same content and does not count pulls. `stored_as` is set where the
    repository in ECR has the image already, under this other tag or by its digest alone: the tag is moved there and
    upstream is not asked. `keeper` is a tag that `current_digest` gets before the tag moves away from it. `reason` is a
    phrase for the user. `subject` is the digest to which a companion belongs, None for an image. `pushed_at` is the
    time of the last push to the tag in ECR (ISO 8601, UTC), and `is_overwritten` says that somebody else made that
    push. `used_by` are the sorted names of the manifest's builds which start from the image or run in it.
    """

    key: str
    action: SeedAction
    reason: str
    source: Reference
    repository: str
    tag: str
    subset: Subset
    wanted_digest: Digest | None = None
    current_digest: Digest | None = None
    size: int | None = None
    pulls: tuple[int, int | None] = (0, 0)
    bytes_from: Repository | None = None
    stored_as: str | None = None
    keeper: str | None = None
    subject: Digest | None = None
    is_overwritten: bool = False
    pushed_at: str | None = None
    used_by: tuple[str, ...] = ()

    @property
    def is_pending(self) -> bool:
        """Whether apply copies something for this tag."""
        return self.action is not SeedAction.KEEP

    @property
    def stored_name(self) -> str:
        """How ECR has the image already, as a phrase: `as kept.1.27.8adbdcb969e2`, or `untagged`."""
        if self.stored_as is None:
            return ""
        return "untagged" if self.stored_as == str(self.wanted_digest) else f"as {self.stored_as}"

    @property
    def is_filtered_already(self) -> bool:
        """Whether the image that ECR has is an index of ours, of which all is wanted.

        An image without an index has upstream's digest, and has to be for a wanted platform.
        """
        return self.stored_as is not None and self.wanted_digest != self.source.digest

    def read_from(self, registry_host: str) -> Reference:
        """Where a copy reads the image: its source, or the repository in ECR that has it already."""
        if self.stored_as is None or self.wanted_digest is None:
            return self.source
        return Reference(registry_host, self.repository, digest=self.wanted_digest)

    @property
    def cost(self) -> Cost:
        """The counted pulls of its copy."""
        return Cost(self.key, self.source, self.subset, *self.pulls)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason why this plan must not be applied. The `kind` `denied` concerns credentials; the other is `refused`.

    `image` is the key of the image concerned, with the tag `*` for all images of a repository, and `source` is its name
    upstream. Both are None if the whole plan is concerned.
    """

    code: str
    message: str
    hint: str | None = None
    kind: str = "refused"
    image: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A remark for the user that does not stop the run."""

    code: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Loss:
    """What an apply of the plan deletes for good: the images of a repository, or the logs of a log group.

    `kind` is `repository`, `replica` or `log group`, `size` is in bytes. `digests` are the images that apply deletes,
    and it deletes no others from a repository. `last_pulled` is ECR's own record (ISO 8601, UTC).
    """

    kind: str
    name: str
    size: int = 0
    digests: tuple[Digest, ...] = ()
    last_pulled: str | None = None


@dataclass(frozen=True, slots=True)
class Adopted:
    """A repository that is taken over, and the `repository_settings` (JSON values) that would leave it unchanged.

    `settings` is empty if the takeover changes nothing.
    """

    repository: str
    settings: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class PullCost:
    """The counted pulls of all copies at one upstream; `at_most` is None when HEAD cannot tell."""

    registry: str
    at_least: int
    at_most: int | None
    budget: PullBudget | None


class Bound(StrEnum):
    """What the copies cannot be faster than."""

    PUT_IMAGE = "put_image"  # image manifests a second, a quota of the region
    PULLS = "pulls"  # counted pulls, which come back with time
    BYTES = "bytes"  # the only one that more machines move


@dataclass(frozen=True, slots=True)
class PullShare:
    """What a shard may take of the pulls at `registry`: `pulls` of those that the plan found, `part` of later ones."""

    registry: str
    pulls: int
    part: float


@dataclass(frozen=True, slots=True)
class Shard:
    """The part of a plan that one machine does: whole repositories, and its share of what all machines share.

    `number` counts from 1. `images` are those to copy, in `documents` that ECR has to take. `size` are their bytes,
    in part estimated where the division has images of unknown size; None if no size is known.
    """

    number: int
    repositories: tuple[str, ...]
    images: int
    documents: int
    size: int | None
    put_image_per_second: float
    pulls: tuple[PullShare, ...] = ()

    def share(self, budget: PullBudget) -> PullBudget:
        """What this shard may take of `budget`: its planned pulls, or its part if there are more by now."""
        for one in self.pulls:
            if one.registry == budget.registry:
                left = max(min(budget.remaining, one.pulls), int(budget.remaining * one.part))
                return replace(budget, remaining=left, limit=max(1, int(budget.limit * one.part)))
        return budget


@dataclass(frozen=True, slots=True)
class Division:
    """A plan divided among machines.

    The copies take `seconds` at least, because of `bound`. More shards than `useful` gain nothing. `groups` is the
    number of parts that cannot be divided, `unknown_sizes` that of the images whose size is not known. `at_once` are
    the shards that CodeBuild runs at a time, where the manifest has a project for them and the quota is known.
    """

    shards: tuple[Shard, ...]
    bound: Bound
    seconds: float
    useful: int
    groups: int
    unknown_sizes: int
    at_once: int | None = None


@dataclass(frozen=True, slots=True)
class Replica:
    """What ECR keeps of the images in another `region`, at most, because a layer counts for each image that has it.

    `size` bytes are there after the apply, of which `sent` are sent by it, each with its US dollars. The price of what
    is sent may not be known. `unknown_sizes` images are copied whose size is in neither of them. `prices_of` is the day
    (ISO 8601) for which the older of the two prices is known.
    """

    region: str
    size: int
    sent: int
    dollars_a_month: float
    dollars_once: float | None
    prices_of: str
    unknown_sizes: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that apply will do. `seeds` are in the manifest's order and include the ones to keep.

    `drift` was changed outside of Terraform since its last run. `losses` are deleted for good, `adopted` are the
    repositories that are taken over. `on_budget` is the approved behaviour when the copies cost more pulls than are
    left. With `keeps_going`, a refusal of one image does not stop the others.
    `credentials` lists which credential was sent to which registry to make the plan; apply sends the same ones. ECR
    is left out, because its tokens go to its own hosts only.
    The plan says nothing about the infrastructure unless `covers_infra`, and nothing about the `unseen_images`.
    `is_destroy` marks the plan of `toolkit destroy`. `division` is set if several machines are to share the copies.
    `replicas` are the other regions that get the images. `puts_manifest` is where apply puts the manifest, which
    refreshes take from there; "" if it is there, or nothing refreshes. `unadmitted` are the keys of images which have
    no seed, because the lock admits no digest of them.
    """

    name: str
    account: Account
    infra_changes: tuple[InfraChange, ...]
    seeds: tuple[Seed, ...]
    pull_costs: tuple[PullCost, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    notices: tuple[Notice, ...] = ()
    on_budget: OnBudget = OnBudget.REFUSE
    drift: tuple[InfraChange, ...] = ()
    losses: tuple[Loss, ...] = ()
    adopted: tuple[Adopted, ...] = ()
    credentials: tuple[CredentialUse, ...] = ()
    keeps_going: bool = False
    covers_infra: bool = True
    unseen_images: int = 0
    is_destroy: bool = False
    division: Division | None = None
    replicas: tuple[Replica, ...] = ()
    puts_manifest: str = ""
    unadmitted: tuple[str, ...] = ()

    @property
    def pending_seeds(self) -> tuple[Seed, ...]:
        """The seeds that copy something."""
        return tuple(seed for seed in self.seeds if seed.is_pending)

    @property
    def costs(self) -> tuple[Cost, ...]:
        """The counted pulls of each copy."""
        return tuple(seed.cost for seed in self.pending_seeds)

    @property
    def blocking_refusals(self) -> tuple[Refusal, ...]:
        """The refusals that stop the whole run; with `keeps_going`, a refusal of one image does not."""
        return tuple(refusal for refusal in self.refusals if not (self.keeps_going and refusal.image))

    @property
    def is_overwritten(self) -> bool:
        """Whether somebody else made the last push to one of the tags."""
        return any(seed.is_overwritten for seed in self.seeds)

    @property
    def has_changes(self) -> bool:
        """Whether apply would change infrastructure, images or what refreshes go by.

        A change of Terraform's outputs does not count.
        """
        return bool(self.infra_changes or self.pending_seeds or self.puts_manifest)
