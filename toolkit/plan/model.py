"""The plan: what apply will do, as values that compare and serialise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from toolkit.oci.auth import CredentialUse
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.subset import Subset
from toolkit.plan.observed import Account, PullBudget


class SeedAction(StrEnum):
    """What seeding will do to a tag."""

    COPY = "copy"  # not there yet
    MOVE = "move"  # there, pointing elsewhere: the upstream tag has moved
    KEEP = "keep"  # there, and right


class OnBudget(StrEnum):
    """What to do when an upstream has fewer counted pulls left than the copies need."""

    REFUSE = "refuse"
    WAIT = "wait"  # copy what fits, wait for the rest
    PARTIAL = "partial"  # copy what fits, leave the rest for the next run


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
    """One attribute of a resource that changes.

    `path` is as Terraform writes it (`image_scanning_configuration[0].scan_on_push`), but that blocks with names have
    these as keys (`environment[0].environment_variable["A"].value`), that `tags` are the effective AWS tags, and that a
    rule of a lifecycle policy has its priority (`policy.rules[1]`). `before` and `after` are JSON values, None where
    there is none: both of a sensitive one, and `after` of one that is known only after the apply.
    """

    path: str
    before: object = None
    after: object = None
    is_unknown: bool = False
    is_sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """A statement that a change adds (`is_added`) or takes away, as a phrase: `role of web: s3:* on *`.

    `is_widening` marks what a reviewer must see, because more is allowed afterwards: a new principal or action, a
    wildcard, PassRole, AssumeRole, a Deny or a condition that is gone. See `toolkit.plan.rights`.
    """

    statement: str
    is_added: bool
    is_widening: bool = False


@dataclass(frozen=True, slots=True)
class InfraChange:
    """One resource change of Terraform's plan. `resource_type` is Terraform's (`aws_ecr_repository`).

    `is_imported` says that the resource exists and enters the state, whatever is changed of it besides.
    `replace_because` are the paths of the attributes that AWS cannot change in place. `changes` and `grants` are empty
    for what is created or deleted as a whole, but for the rights that a creation gives. `reason` is Terraform's; of
    drift it is what becomes of it: `put_back`, `changed` to something else again, or only `recorded` in the state.
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

    @property
    def destroys(self) -> bool:
        """Whether what is there now will be gone."""
        return self.action in (InfraAction.REPLACE, InfraAction.DELETE)

    @property
    def is_of_repository(self) -> bool:
        """Whether it is about an ECR repository, which `name` then is."""
        return self.resource_type == "aws_ecr_repository"


def doomed_repositories(changes: Iterable[InfraChange]) -> frozenset[str]:
    """The repositories that go, with what is in them; those that are replaced too."""
    return frozenset(change.name for change in changes if change.is_of_repository and change.destroys)


@dataclass(frozen=True, slots=True)
class Cost:
    """The counted pulls of one copy: from `at_least` to `at_most` (None: HEAD cannot tell).

    `key` names the copy; copies with the same `content` share their reads.
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

    `source` has its digest pinned: apply copies this and nothing else. `wanted_digest` is what the destination tag
    will point to (None: known after the copy), `current_digest` what it points to now. `pulls` is how many counted
    pulls the copy costs at its upstream, from `pulls[0]` to `pulls[1]` (None: cannot be known from HEAD), both 0
    where the upstream does not count. `bytes_from` is another repository that has this content, so that it costs none.
    `reason` is a phrase for the reader. `subject` is the digest that a companion is about; None for an image.
    `pushed_at` is when what ECR has under the tag was pushed (ISO 8601, UTC), and `is_overwritten` says that somebody
    else did.
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
    subject: Digest | None = None
    is_overwritten: bool = False
    pushed_at: str | None = None

    @property
    def is_pending(self) -> bool:
        """Whether something is to be copied."""
        return self.action is not SeedAction.KEEP

    @property
    def cost(self) -> Cost:
        """The counted pulls of its copy."""
        return Cost(self.key, self.source, self.subset, *self.pulls)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why this plan must not be applied. `kind` `denied` is a matter of credentials, all others are refused.

    `image` is the key of the one image that it is about, with `*` for its tag where it is about all of a repository,
    and `source` that image's name upstream; None where it is about the whole plan.
    """

    code: str
    message: str
    hint: str | None = None
    kind: str = "refused"
    image: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to know that stops nothing."""

    code: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Loss:
    """What is gone for good once the plan is applied: the images of a repository, or the logs of a log group.

    `kind` is `repository` or `log group`, `size` counts bytes. `digests` are the images, so that apply deletes these
    and no others; `last_pulled` is ECR's own record (ISO 8601, UTC).
    """

    kind: str
    name: str
    size: int = 0
    digests: tuple[Digest, ...] = ()
    last_pulled: str | None = None


@dataclass(frozen=True, slots=True)
class Adopted:
    """A repository that is taken over, and the `repository_settings` that would leave it as it is (JSON values).

    They are empty where nothing of it changes.
    """

    repository: str
    settings: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class PullCost:
    """Counted pulls of all copies at one upstream; `at_most` is None when HEAD cannot tell."""

    registry: str
    at_least: int
    at_most: int | None
    budget: PullBudget | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything apply will do. `seeds` are in the manifest's order and include the ones to keep.

    `drift` is what was changed outside of Terraform since its last run. `losses` is what is gone for good afterwards,
    `adopted` the repositories that are taken over. `on_budget` is what was approved for copies that cost more pulls
    than are left, and with `keeps_going` a refusal of one image does not stop the others.
    `credentials` is what was sent where to make the plan, and will be sent there to apply it; of ECR, whose tokens go
    to its own hosts only, there is none.
    A verdict speaks only of what was looked at: not of the infrastructure unless `covers_infra`, and not of the
    `unseen_images` that were left out. `is_destroy` marks the plan of `toolkit destroy`.
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
        """The refusals for which nothing may be done at all: those of single images too, unless it keeps going."""
        return tuple(refusal for refusal in self.refusals if not (self.keeps_going and refusal.image))

    @property
    def is_overwritten(self) -> bool:
        """Whether somebody else pushed what ECR has under one of the tags."""
        return any(seed.is_overwritten for seed in self.seeds)

    @property
    def has_changes(self) -> bool:
        """Whether apply would change anything, infrastructure or images; Terraform's outputs alone do not count."""
        return bool(self.infra_changes or self.pending_seeds)
