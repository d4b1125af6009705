"""Seed: copies the images into existing repositories, without Terraform."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from toolkit.operations.choose import choose, fits
from toolkit.operations.guards import find_account, refuse_if_unsafe
from toolkit.operations.lock_store import pin_images
from toolkit.operations.outcomes import finish, raise_if_incomplete, settle
from toolkit.operations.replicate import await_replicas, look_at_replicas
from toolkit.operations.select import meant_selections, names_of, select_images
from toolkit.operations.services import Services, decide_with_alternatives, open_run, step
from toolkit.plan.desired import Desired
from toolkit.plan.model import Plan
from toolkit.plan.observed import Observed
from toolkit.plan.on_budget import OnBudget
from toolkit.plan.planner import make_plan
from toolkit.report import Report
from toolkit.seed.seeder import requests_for


def seed(
    desired: Desired,
    services: Services,
    *,
    review: Callable[[Plan], None],
    publish: Callable[[Report], None],
    only: Sequence[str] = (),
    is_dry_run: bool = False,
    on_budget: OnBudget = OnBudget.REFUSE,
    keeps_going: bool = False,
) -> None:
    """Plan the images, show the plan to `review`, copy, and pass the report to `publish` before raising an error.

    `only` are patterns that select images by key or source. A dry run ends after the review.
    """
    started = services.clock()
    plan = plan_images(desired, services, only=only, on_budget=on_budget, keeps_going=keeps_going)
    review(plan)
    refuse_if_unsafe(plan)
    if is_dry_run:
        return
    requests = requests_for(plan.pending_seeds, plan.account.registry_host)
    with step(services.emit, "seed", total=len(requests)), open_run(plan, services) as run:
        outcomes, interrupt = finish(run, requests)
    settled = settle(plan, outcomes, services.ecr)
    replicas, interrupt = ((), interrupt) if interrupt else await_replicas(plan, settled, services)
    report = Report(settled, round(services.clock() - started, 3), plan=plan, replicas=replicas)
    publish(report)
    if interrupt:
        raise interrupt
    raise_if_incomplete(report)


def plan_images(
    desired: Desired,
    services: Services,
    *,
    only: Sequence[str] = (),
    on_budget: OnBudget = OnBudget.REFUSE,
    keeps_going: bool = False,
) -> Plan:
    """The plan of the images that match `only`, for existing repositories.

    A selection that was left out counts as one unseen image, because the number of its images is unknown.
    """
    account = find_account(desired, services)
    existing = frozenset(services.ecr.repositories())
    unseen = len(desired.selections) - len(meant_selections(desired, only))
    desired, unselected, unlisted = select_images(desired, services, only)
    if unselected:  # a pattern may name a refused selection, and so match no image
        chosen = tuple(image for image in desired.images if fits(names_of(image), only))
    else:
        chosen = choose(desired.images, only, names_of)
    unseen += len(desired.images) - len(chosen)
    desired, locked = pin_images(replace(desired, images=chosen), services)
    with services.observer.start(desired.images, existing) as observation:
        observed = observation.result()
    if only or unselected or unlisted:  # the list of all tags that the manifest names is incomplete
        observed = replace(observed, tags={})

    def decide(seen: Observed) -> Plan:
        return make_plan(
            desired,
            seen,
            (),
            account,
            creates_repositories=False,
            on_budget=on_budget,
            keeps_going=keeps_going,
        )

    plan = decide_with_alternatives(observed, services, decide)
    return replace(
        plan,
        refusals=(*unselected, *plan.refusals),
        notices=(*unlisted, *locked, *plan.notices),
        replicas=look_at_replicas(desired, services.ecr.replication(), plan.seeds, existing, services)
        if desired.replication
        else (),
        covers_infra=False,
        unseen_images=unseen,
        credentials=services.credential_uses(),
    )
