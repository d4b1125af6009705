"""Plan: what apply will do, found out without changing a resource.

Terraform's state is locked, and changed where an apply that broke off has left a repository to be replaced: the plan
has to be made of the state that apply will find. Planning costs no counted pull, unless sizes are asked for, or the
signatures of an index that was never read.
"""

from __future__ import annotations

from dataclasses import replace

from toolkit.oci.values import dataclass
from toolkit.operations.adopt import heal
from toolkit.operations.alternatives import decide_with_alternatives
from toolkit.operations.guards import find_account
from toolkit.operations.select import select_images
from toolkit.operations.services import Services
from toolkit.operations.steps import step
from toolkit.plan.desired import Desired
from toolkit.plan.model import Plan
from toolkit.plan.observed import Observed
from toolkit.plan.on_budget import OnBudget
from toolkit.plan.planner import make_plan
from toolkit.terraform.root_module import render
from toolkit.terraform.runner import PlanFile
from toolkit.terraform.work_dir import extra_file_notices, write


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan together with Terraform's saved plan that it describes."""

    plan: Plan
    plan_file: PlanFile


def plan(
    desired: Desired,
    services: Services,
    *,
    allows_destroy: bool = False,
    reads_sizes: bool = False,
    on_budget: OnBudget = OnBudget.REFUSE,
) -> Planned:
    """Observe both registries while Terraform plans, then decide. The caller holds the working directory's lock.

    `reads_sizes` reads the documents of what is to be copied, so that the plan is exact: counted pulls, kept in the
    cache for the copy.
    """
    account = find_account(desired, services)
    existing = services.ecr.repositories()
    desired, unselected = select_images(desired, services)
    with services.observer.start(desired.images, frozenset(existing)) as observation:
        work_dir = write(render(desired), services.work_path)
        with step(services.emit, "terraform init"):
            services.terraform.init(work_dir)
        healing = heal(desired, existing, work_dir, services, keeps_tainted=not allows_destroy)
        if healing.adoptions:
            work_dir = write(render(desired, adopt=healing.adoptions), services.work_path)
        with step(services.emit, "terraform plan"):
            plan_file = services.terraform.plan(work_dir)
        observed = observation.result()

    def decide(seen: Observed) -> Plan:
        return make_plan(desired, seen, plan_file.changes, account, allows_destroy=allows_destroy, on_budget=on_budget)

    made = decide_with_alternatives(observed, services, decide)
    if reads_sizes and made.pending_seeds:
        services.observer.read(made.pending_seeds)
        with services.observer.start(desired.images, frozenset(existing)) as observation:
            made = decide_with_alternatives(observation.result(), services, decide)
    made = replace(made, notices=(*extra_file_notices(work_dir), *made.notices))
    return Planned(replace(made, refusals=(*healing.conflicts, *unselected, *made.refusals)), plan_file)
