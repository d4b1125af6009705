"""Apply: Terraform's saved plan, then the pinned digests, then a look at what is really there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace

from toolkit.errors import Refused, TerraformFailed, ToolkitError
from toolkit.operations.guards import find_account, refuse_if_unsafe
from toolkit.operations.outcomes import finish, raise_if_incomplete, settle
from toolkit.operations.plan import Planned, plan
from toolkit.operations.services import Services, open_run
from toolkit.operations.steps import step
from toolkit.plan.desired import Desired
from toolkit.plan.model import InfraAction, InfraChange, Plan, Seed
from toolkit.plan.observed import PullBudget
from toolkit.plan.on_budget import OnBudget
from toolkit.plan.pull_budget import judge_budgets
from toolkit.report import Report
from toolkit.seed.requests import requests_for

_REPOSITORY_TYPE = "aws_ecr_repository"

Review = Callable[[Plan], None]
Confirm = Callable[[Plan], bool]
Publish = Callable[[Report], None]


def apply(
    desired: Desired,
    services: Services,
    *,
    review: Review,
    confirm: Confirm,
    publish: Publish,
    allows_destroy: bool = False,
    on_budget: OnBudget = OnBudget.REFUSE,
) -> None:
    """Plan, show it to `review`, ask `confirm`, then do exactly that and hand the report to `publish`.

    The report is published also when Terraform fails half-way, when seeding is incomplete and after an interrupt;
    then the error is raised. The caller holds the working directory's lock.
    """
    started = services.clock()
    planned = plan(desired, services, allows_destroy=allows_destroy, on_budget=on_budget)
    review(planned.plan)
    refuse_if_unsafe(planned.plan)
    if planned.plan.has_changes and not confirm(planned.plan):
        raise Refused("apply.not_confirmed", "the plan was not approved; nothing was changed")
    carry_out(planned, services, publish=publish, started=started)


def apply_saved(
    desired: Desired,
    planned: Planned,
    services: Services,
    *,
    review: Review,
    publish: Publish,
    on_budget: OnBudget | None = None,
) -> None:
    """Do a plan that was made and reviewed before, or refuse where ECR is not as it was then.

    Terraform itself refuses its part when its state has changed since. Nobody is asked: the review was the approval.
    Pull budgets are read again, and judged by `on_budget`, or else as the plan says.
    """
    started = services.clock()
    made = planned.plan
    account = find_account(desired, services)
    if account != made.account:
        raise Refused(
            "plan.other_account",
            f"the plan is for `{made.account.registry_host}`, these credentials are for `{account.registry_host}`",
            hint="switch the profile or role, or plan again",
        )
    made = judge_budgets(made, _budgets_now(made, services), on_budget or made.on_budget)
    review(made)
    refuse_if_unsafe(made)
    _refuse_if_moved(made, services)
    services.terraform.init(planned.plan_file.work_dir)
    carry_out(replace(planned, plan=made), services, publish=publish, started=started)


def _budgets_now(made: Plan, services: Services) -> Mapping[str, PullBudget]:
    """By registry, of those at which the copies cost pulls; what cannot be read stays as it was."""
    costly = {seed.source.registry: seed.source for seed in made.pending_seeds if seed.pulls != (0, 0)}
    found = {registry: services.observer.budget(source) for registry, source in costly.items()}
    return {registry: budget for registry, budget in found.items() if isinstance(budget, PullBudget)}


def _refuse_if_moved(made: Plan, services: Services) -> None:
    """Raise Refused for a tag in ECR that is not what the plan was made for, unless it is to go with its repository."""
    doomed = {
        change.name for change in made.infra_changes if change.resource_type == _REPOSITORY_TYPE and change.destroys
    }
    staying = [seed for seed in made.seeds if seed.repository not in doomed]
    tags: dict[str, list[str]] = defaultdict(list)
    for seed in staying:
        tags[seed.repository].append(seed.tag)
    there = {name: services.ecr.images(name, wanted) or {} for name, wanted in tags.items()}
    for seed in staying:
        image = there[seed.repository].get(seed.tag)
        found = image.digest if image else None
        if found != seed.current_digest:
            raise Refused(
                "plan.stale",
                f"`{seed.key}` is `{found or 'not there'}` now, not `{seed.current_digest or 'not there'}` as planned",
                hint="plan again: `toolkit plan --out FILE`",
            )


def carry_out(planned: Planned, services: Services, *, publish: Publish, started: float) -> None:
    """Apply the saved plan while the images flow: a repository's seeding starts as soon as it exists."""
    made = planned.plan
    waiting: dict[str, list[Seed]] = defaultdict(list)
    for seed in made.pending_seeds:
        waiting[seed.repository].append(seed)
    done: list[InfraChange] = []
    outputs: Mapping[str, object] = {}
    failure: BaseException | None = None
    to_come = _repositories_to_come(made)

    with step(services.emit, "seed", total=len(made.pending_seeds)), open_run(made, services) as run:

        def start(repository: str) -> None:
            seeds = waiting.pop(repository, [])
            run.submit(requests_for(seeds, made.account.registry_host, new_repositories=to_come))

        def resource_done(change: InfraChange) -> None:
            done.append(change)
            if change.resource_type == _REPOSITORY_TYPE:
                start(change.name)

        try:
            for repository in sorted(set(waiting) - to_come):
                start(repository)
            if made.infra_changes:
                with step(services.emit, "terraform apply"):
                    outputs = services.terraform.apply(planned.plan_file, on_resource=resource_done)
            for repository in sorted(waiting):
                start(repository)
            outcomes = run.wait()
        except (ToolkitError, KeyboardInterrupt) as error:
            # Terraform's failure does not spoil the repositories that stand: their images are finished.
            run.leave_the_rest()
            if not isinstance(error, TerraformFailed):
                run.cancel()
            outcomes, interrupt = finish(run)
            failure = interrupt or error

    report = Report(
        outcomes=settle(made, outcomes, services.ecr),
        seconds=round(services.clock() - started, 3),
        infra_changes=tuple(done),
        outputs=outputs,
        plan=made,
    )
    publish(report)
    if failure:
        raise failure
    raise_if_incomplete(report)


def _repositories_to_come(made: Plan) -> frozenset[str]:
    return frozenset(
        change.name
        for change in made.infra_changes
        if change.resource_type == _REPOSITORY_TYPE and change.action in (InfraAction.CREATE, InfraAction.REPLACE)
    )
