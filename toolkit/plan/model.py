"""The plan: what apply will do, as values that compare and serialise."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.values import dataclass
from toolkit.plan.observed import Account, PullBudget
from toolkit.plan.on_budget import OnBudget
from toolkit.plan.seed_action import SeedAction


class InfraAction(StrEnum):
    """What Terraform will do to a resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    FORGET = "forget"
    IMPORT = "import"


@dataclass(frozen=True, slots=True)
class InfraChange:
    """One resource change of Terraform's plan. `resource_type` is Terraform's (`aws_ecr_repository`)."""

    address: str
    resource_type: str
    action: InfraAction
    name: str = ""
    reason: str = ""

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
class Seed:
    """The decision for one tag.

    `source` has its digest pinned: apply copies this and nothing else. `wanted_digest` is what the destination tag
    will point to (None: known after the copy), `current_digest` what it points to now. `pulls` is how many counted
    pulls the copy costs at its upstream, from `pulls[0]` to `pulls[1]` (None: cannot be known from HEAD), both 0
    where the upstream does not count. `bytes_from` is another repository that has this content, so that it costs none.
    `reason` is a phrase for the reader. `subject` is the digest that a companion is about; None for an image.
    """

    key: str
    action: SeedAction
    reason: str
    source: Reference
    repository: str
    tag: str
    platforms: tuple[Platform, ...] | None
    keeps_attestations: bool
    wanted_digest: Digest | None = None
    current_digest: Digest | None = None
    size: int | None = None
    pulls: tuple[int, int | None] = (0, 0)
    bytes_from: Repository | None = None
    subject: Digest | None = None

    @property
    def is_pending(self) -> bool:
        """Whether something is to be copied."""
        return self.action is not SeedAction.KEEP


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why this plan must not be applied. `kind` `denied` is a matter of credentials, all others are refused."""

    code: str
    message: str
    hint: str | None = None
    kind: str = "refused"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to know that stops nothing."""

    code: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class PullCost:
    """Counted pulls of the whole plan at one upstream; `at_most` is None when HEAD cannot tell."""

    registry: str
    at_least: int
    at_most: int | None
    budget: PullBudget | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything apply will do. `seeds` are in the manifest's order and include the ones to keep.

    `on_budget` is what was approved for copies that cost more pulls than are left.
    """

    name: str
    account: Account
    infra_changes: tuple[InfraChange, ...]
    seeds: tuple[Seed, ...]
    pull_costs: tuple[PullCost, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    notices: tuple[Notice, ...] = ()
    on_budget: OnBudget = OnBudget.REFUSE

    @property
    def pending_seeds(self) -> tuple[Seed, ...]:
        """The seeds that copy something."""
        return tuple(seed for seed in self.seeds if seed.is_pending)

    @property
    def has_changes(self) -> bool:
        """Whether apply would change anything, infrastructure or images; Terraform's outputs alone do not count."""
        return bool(self.infra_changes or self.pending_seeds)
