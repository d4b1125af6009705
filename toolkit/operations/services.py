"""The ports that the use cases call, in one frozen bundle; `toolkit.cli.wiring` fills it, tests fill it with fakes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from toolkit.events import Emit, StepFinished, StepStarted
from toolkit.oci.auth import CredentialUse
from toolkit.plan.model import InfraChange, Loss, OnBudget, Plan
from toolkit.plan.observed import ExistingRepository, ExistingResource, Observed
from toolkit.seed.budgeted_run import BudgetedRun, postponing
from toolkit.seed.observe import Ecr as ObservedEcr
from toolkit.seed.observe import Observer
from toolkit.seed.seeder import Seeder

if TYPE_CHECKING:
    from toolkit.terraform.runner import PlanFile
    from toolkit.terraform.state import State
    from toolkit.terraform.work_dir import WorkDir


AWS_LOOK_UPS = 16
"""So many go side by side: AWS answers one in some 80 ms, and throttles IAM and CloudWatch at a few dozen a second."""


class Ecr(ObservedEcr, Protocol):
    """ECR's own API, without a registry request."""

    def registry_host(self) -> str:
        """The registry's host."""

    def repositories(self) -> Mapping[str, str]:
        """Name -> ARN."""

    def repository(self, name: str) -> ExistingRepository | None:
        """With its tags and policies; None without it."""


class Terraform(Protocol):
    """Terraform in a working directory."""

    def version(self) -> str:
        """The program's version."""

    def init(self, work_dir: WorkDir, *, keeps_lock: bool = False) -> None:
        """Install providers and modules, open the backend; with `keeps_lock` just what the lock file names."""

    def state(self, work_dir: WorkDir) -> State:
        """What the state holds."""

    def untaint(self, work_dir: WorkDir, address: str) -> None:
        """Take back the resolve to replace a resource."""

    def check_lock(self, work_dir: WorkDir) -> None:
        """Raise as `apply` would where another run has locked the state."""

    def plan(self, work_dir: WorkDir) -> PlanFile:
        """Plan and save."""

    def detail(self, plan_file: PlanFile) -> PlanFile:
        """The same with the attributes and rights that change, and drift."""

    def show(self, plan_file: PlanFile) -> Mapping[str, Any]:
        """The saved plan as `terraform show -json` has it."""

    def planned_from(self, plan_file: PlanFile) -> State:
        """The state that the saved plan was made from."""

    def has_changes(self, work_dir: WorkDir) -> bool:
        """Plan without saving: whether a resource would change."""

    def apply(
        self, plan_file: PlanFile, *, on_resource: Callable[[InfraChange], None] | None = None
    ) -> Mapping[str, object]:
        """Apply exactly the saved plan, return the outputs."""


class Existing(Protocol):
    """What AWS has already under the names that builds will use; None where there is nothing."""

    def role(self, name: str) -> ExistingResource | None:
        """An IAM role and its inline policies."""

    def log_group(self, name: str) -> ExistingResource | None:
        """A log group."""

    def projects(self, names: Sequence[str]) -> Mapping[str, ExistingResource]:
        """Those CodeBuild projects that are there, by name."""


class Losses(Protocol):
    """What would be gone for good, and the one way to let it go that Terraform does not have."""

    def repository(self, name: str) -> Loss:
        """The images of a repository."""

    def log_group(self, name: str) -> Loss:
        """The logs of a log group."""

    def users(self, repositories: Collection[str], manifest: str) -> Mapping[str, Sequence[str]]:
        """By repository: projects of other manifests than `manifest` that pull from it."""

    def empty(self, losses: Sequence[Loss]) -> None:
        """Delete the images of a repository, these and no others."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a use case may touch. `account_id` asks STS, lazily.

    `credential_uses` tells which credential was sent to which registry so far.
    """

    emit: Emit
    account_id: Callable[[], str]
    ecr: Ecr
    existing: Existing
    losses: Losses
    terraform: Terraform
    observer: Observer
    seeder: Seeder
    work_path: Path
    credential_uses: Callable[[], tuple[CredentialUse, ...]] = tuple
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@contextmanager
def open_run(plan: Plan, services: Services) -> Iterator[BudgetedRun]:
    """A run for the copies of `plan`, within its pull budgets."""
    emit = services.emit
    with services.seeder.open(emit if plan.on_budget is OnBudget.REFUSE else postponing(emit)) as run:
        yield BudgetedRun(
            run,
            plan.costs,
            plan.pull_costs,
            plan.on_budget,
            services.observer.budget,
            emit,
            clock=services.clock,
            sleep=services.sleep,
        )


@contextmanager
def step(emit: Emit, name: str, *, total: int | None = None) -> Iterator[None]:
    """Tell when a part of the run begins and ends well; `total` is how many things it handles."""
    emit(StepStarted(name, total=total))
    started = time.monotonic()
    yield
    emit(StepFinished(name, round(time.monotonic() - started, 3)))


def decide_with_alternatives(observed: Observed, services: Services, decide: Callable[[Observed], Plan]) -> Plan:
    """The decision on `observed`. Other registries are asked only about what it copies."""
    plan = decide(observed)
    found = services.observer.alternatives(plan.pending_seeds)
    return decide(replace(observed, alternatives=found)) if found else plan
