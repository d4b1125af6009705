"""Plan: what apply will do, found out without changing anything and without one counted pull."""

from __future__ import annotations

from dataclasses import dataclass, replace

from toolkit.errors import AccessDenied, Refused
from toolkit.operations.adopt import find_adoptions
from toolkit.operations.services import Services, step
from toolkit.plan.desired import Desired
from toolkit.plan.model import Plan
from toolkit.plan.observed import Account
from toolkit.plan.planner import make_plan
from toolkit.terraform.root_module import render
from toolkit.terraform.runner import PlanFile
from toolkit.terraform.work_dir import write


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan together with Terraform's saved plan that it describes."""

    plan: Plan
    plan_file: PlanFile


def find_account(desired: Desired, services: Services) -> Account:
    """Who and where we are. Raises Refused when the manifest's guard names another account."""
    account_id = services.account_id()
    if desired.account_id is not None and desired.account_id != account_id:
        raise Refused(
            "aws.wrong_account",
            f"these credentials belong to account `{account_id}`, the manifest is for `{desired.account_id}`",
            hint="switch the profile or role, or correct `aws.account_id`",
        )
    return Account(account_id=account_id, region=desired.region, registry_host=services.ecr.registry_host())


def plan(desired: Desired, services: Services, *, allows_destroy: bool = False) -> Planned:
    """Observe both registries while Terraform plans, then decide. The caller holds the working directory's lock."""
    account = find_account(desired, services)
    existing = services.ecr.repositories()
    with services.observer.start(desired.images, frozenset(existing)) as observation:
        work_dir = write(render(desired), services.work_path)
        with step(services.emit, "terraform init"):
            services.terraform.init(work_dir)
        adoptions, conflicts = find_adoptions(desired, existing, work_dir, services)
        if adoptions:
            work_dir = write(render(desired, adopt=adoptions), services.work_path)
        with step(services.emit, "terraform plan"):
            plan_file = services.terraform.plan(work_dir)
        observed = observation.result()
    made = make_plan(desired, observed, plan_file.changes, account, allows_destroy=allows_destroy)
    return Planned(replace(made, refusals=(*conflicts, *made.refusals)), plan_file)


def plan_images(desired: Desired, services: Services) -> Plan:
    """The image part alone, for repositories that exist."""
    account = find_account(desired, services)
    existing = frozenset(services.ecr.repositories())
    with services.observer.start(desired.images, existing) as observation:
        observed = observation.result()
    return make_plan(desired, observed, (), account, creates_repositories=False)


def refuse_if_unsafe(made: Plan) -> None:
    """Raise for a plan that must not be applied: AccessDenied where credentials are the matter, else Refused."""
    if not made.refusals:
        return
    first = made.refusals[0]
    kind = AccessDenied if all(refusal.kind == "denied" for refusal in made.refusals) else Refused
    if len(made.refusals) == 1:
        raise kind(first.code, first.message, hint=first.hint)
    raise kind(
        first.code,
        f"the plan is refused for {len(made.refusals)} reasons, all listed above; nothing was changed",
        hint="mend them and plan again",
    )
