"""The interfaces that the use cases call, in one frozen bundle: `toolkit.cli.wiring` or a test's fakes fill it.

Below them are the steps that several use cases share.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from toolkit.codebuild.shard_batch import Batch
from toolkit.events import Emit, StepFinished, StepStarted
from toolkit.lock.model import Verification
from toolkit.oci.auth import CredentialUse
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference
from toolkit.operations.bundle import BundleStore
from toolkit.operations.lock_store import LockStore
from toolkit.plan.model import InfraChange, Loss, Plan, Shard
from toolkit.plan.observed import (
    ExistingRepository,
    ExistingResource,
    ListedImage,
    Observed,
    PullBudget,
    ReplicationRule,
    SourceFault,
)
from toolkit.plan.on_budget import OnBudget
from toolkit.plan.pruning import Removal
from toolkit.plan.status import Scan
from toolkit.seed.budgeted_run import BudgetedRun, postponing
from toolkit.seed.observe import Ecr as ObservedEcr
from toolkit.seed.observe import Observer
from toolkit.seed.seeder import Seeder

if TYPE_CHECKING:
    from toolkit.aws.inspection import Quota
    from toolkit.terraform.runner import PlanFile
    from toolkit.terraform.state import State
    from toolkit.terraform.work_dir import WorkDir


AWS_LOOK_UPS = 16
"""Requests in flight: AWS takes about 80 ms for one, and limits IAM and CloudWatch to a few dozen per second."""


class Ecr(ObservedEcr, Protocol):
    """ECR's own API, without a registry request."""

    def registry_host(self) -> str:
        """The registry's host."""

    def repositories(self) -> Mapping[str, str]:
        """The ARN of each repository by its name."""

    def repository(self, name: str) -> ExistingRepository | None:
        """The repository with its tags and policies; None if it does not exist."""

    def replication(self) -> Sequence[ReplicationRule]:
        """The rules by which the registry copies images elsewhere."""

    def backfill(self, region: str, account_id: str) -> bool:
        """Have copied to `region` what was there before the rules; False if it has to be asked later."""


class Terraform(Protocol):
    """Terraform in a working directory."""

    def version(self) -> str:
        """The program's version."""

    def init(self, work_dir: WorkDir, *, keeps_lock: bool = False) -> None:
        """Install providers and modules, open the backend; with `keeps_lock`, install only what the lock file names."""

    def state(self, work_dir: WorkDir) -> State:
        """What the state holds."""

    def untaint(self, work_dir: WorkDir, address: str) -> None:
        """Remove the mark because of which Terraform would replace a resource."""

    def check_lock(self, work_dir: WorkDir) -> None:
        """Raise the error that `apply` would raise if another run has locked the state."""

    def plan(self, work_dir: WorkDir, *, refreshes_only: bool = False) -> PlanFile:
        """Make a plan and save it; with `refreshes_only`, one that changes no resource and only shows drift."""

    def detail(self, plan_file: PlanFile) -> PlanFile:
        """`plan_file` with the changed attributes and rights, and with drift."""

    def show(self, plan_file: PlanFile) -> Mapping[str, Any]:
        """The saved plan in the form of `terraform show -json`."""

    def planned_from(self, plan_file: PlanFile) -> State:
        """The state from which the saved plan was made."""

    def has_changes(self, work_dir: WorkDir) -> bool:
        """Whether a plan made now, which is not saved, would change a resource."""

    def apply(
        self, plan_file: PlanFile, *, on_resource: Callable[[InfraChange], None] | None = None
    ) -> Mapping[str, object]:
        """Apply exactly the saved plan, return the outputs."""


class Existing(Protocol):
    """Existing AWS resources with the names that builds will use; None if there is none."""

    def role(self, name: str) -> ExistingResource | None:
        """An IAM role and its inline policies."""

    def log_group(self, name: str) -> ExistingResource | None:
        """A log group."""

    def schedule(self, name: str) -> ExistingResource | None:
        """A schedule, by `<group>/<name>`."""

    def rule(self, name: str) -> ExistingResource | None:
        """A rule of the default event bus."""

    def alarm(self, name: str) -> ExistingResource | None:
        """An alarm of CloudWatch."""

    def projects(self, names: Sequence[str]) -> Mapping[str, ExistingResource]:
        """The CodeBuild projects among `names` that exist, by name."""


class Losses(Protocol):
    """What would be lost for good, and the deletion of images, which Terraform cannot do in the same apply."""

    def repository(self, name: str) -> Loss:
        """The images of a repository."""

    def log_group(self, name: str) -> Loss:
        """The logs of a log group."""

    def users(self, repositories: Collection[str], manifest: str) -> Mapping[str, Sequence[str]]:
        """By repository, the projects which pull from it and which another manifest than `manifest` made."""

    def empty(self, losses: Sequence[Loss]) -> None:
        """Delete exactly these images of the repositories."""


class Contents(Protocol):
    """What repositories contain, and the deletion of single images."""

    def resource_tags(self, arn: str) -> Mapping[str, str]:
        """The AWS tags of a repository."""

    def images(self, repository: str, known: Mapping[Digest, ListedImage]) -> Sequence[ListedImage]:
        """Every image of a repository; an index that is `known` is not read again."""

    def listed(self, repository: str) -> Sequence[ListedImage]:
        """Every image of a repository, without what only its document tells."""

    def scan(self, repository: str, digest: Digest) -> Scan:
        """What ECR's scan found in an image manifest."""

    def delete(self, repository: str, removals: Sequence[Removal]) -> Mapping[Removal, str]:
        """Delete the `removals`; the reasons for those which ECR refuses."""


class Verifier(Protocol):
    """Checks signatures at the source. For that it has read `reads` documents, which some registries count as pulls."""

    reads: int

    def verify(self, source: Reference, verification: Verification) -> str | None:
        """None if the image with the digest of `source` is signed as wanted, else in words what is wrong.

        Raises OciError if the registry does not tell.
        """


class EventBus(Protocol):
    """Where others learn of what was done."""

    def send(self, kind: str, details: Sequence[Mapping[str, str]]) -> Sequence[str | None]:
        """Send an event of the `kind` for each of `details`; for each why it was not taken, None if it was."""


class Batches(Protocol):
    """The batches of the CodeBuild project that refreshes."""

    def quota(self) -> Quota | None:
        """How many builds run at a time; None if that is not listed."""

    def buildspec(self) -> str:
        """The project's own buildspec; "" if the project does not exist."""

    def start(self, buildspec: str, variables: Mapping[str, str], token: str) -> Batch:
        """Start a batch, or find the one that was started with the same arguments a few minutes ago."""

    def look(self, batch: str) -> Batch:
        """What became of the batch by now."""


@dataclass(frozen=True, slots=True)
class RefreshServices:
    """What is shared by all refreshes of a manifest, below `place`.

    `text` opens one more text by its name there and its content type.
    """

    place: str
    bundle: BundleStore
    lease: LockStore
    bus: EventBus
    text: Callable[[str, str], BundleStore]
    batches: Batches


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a use case may call. `account_id` calls STS on first use.

    `ecr_in` and `losses_in` are those of another region. `credential_uses` lists which credential was sent to which
    registry so far. `now` is the time by which the lock judges how old a digest is. `refresh` is None where the
    manifest has no `refresh`.
    """

    emit: Emit
    account_id: Callable[[], str]
    ecr: Ecr
    ecr_in: Callable[[str], Ecr]
    existing: Existing
    losses: Losses
    losses_in: Callable[[str], Losses]
    contents: Contents
    terraform: Terraform
    observer: Observer
    seeder: Seeder
    work_path: Path
    lock: LockStore
    verifier: Verifier
    refresh: RefreshServices | None = None
    credential_uses: Callable[[], tuple[CredentialUse, ...]] = tuple
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@contextmanager
def open_run(plan: Plan, services: Services, shard: Shard | None = None) -> Iterator[BudgetedRun]:
    """A run for the copies of `plan` that stays within its pull budgets, or within the share of `shard` in them."""
    emit = services.emit

    def read_budget(source: Reference) -> PullBudget | SourceFault | None:
        found = services.observer.budget(source)
        return shard.share(found) if shard and isinstance(found, PullBudget) else found

    with services.seeder.open(emit if plan.on_budget is OnBudget.REFUSE else postponing(emit)) as run:
        yield BudgetedRun(
            run,
            plan.costs,
            plan.pull_costs,
            plan.on_budget,
            read_budget,
            emit,
            clock=services.clock,
            sleep=services.sleep,
        )


@contextmanager
def step(emit: Emit, name: str, *, total: int | None = None) -> Iterator[None]:
    """Emit the start and the success of a step of the run; `total` is the number of its items."""
    emit(StepStarted(name, total=total))
    started = time.monotonic()
    yield
    emit(StepFinished(name, round(time.monotonic() - started, 3)))


def decide_with_alternatives(observed: Observed, services: Services, decide: Callable[[Observed], Plan]) -> Plan:
    """The plan that `decide` makes. Alternative registries are asked only for the images that it copies."""
    plan = decide(observed)
    alternatives = services.observer.alternatives([seed for seed in plan.pending_seeds if seed.stored_as is None])
    return decide(replace(observed, alternatives=alternatives)) if alternatives else plan
