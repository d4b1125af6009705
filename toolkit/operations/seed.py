"""Seed: the image part alone, into repositories that exist."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from toolkit.operations.choose import choose, spellings
from toolkit.operations.guards import find_account, refuse_if_unsafe
from toolkit.operations.outcomes import raise_if_incomplete, run_seeder, settle
from toolkit.operations.select import select_images
from toolkit.operations.services import Services
from toolkit.operations.steps import step
from toolkit.plan.desired import Desired
from toolkit.plan.model import Plan
from toolkit.plan.planner import make_plan
from toolkit.report import Report
from toolkit.seed.requests import requests_for


def seed(
    desired: Desired,
    services: Services,
    *,
    review: Callable[[Plan], None],
    publish: Callable[[Report], None],
    only: Sequence[str] = (),
    is_dry_run: bool = False,
) -> None:
    """Plan the images, show the plan to `review`, copy, and hand the report to `publish` before raising.

    `only` are patterns for the images to look at, by key or source; a dry run ends with the review.
    """
    started = services.clock()
    chosen = choose(desired.images, only, lambda image: [image.key, *spellings(image.source)])
    desired = replace(desired, images=chosen)
    made = plan_images(desired, services)
    review(made)
    refuse_if_unsafe(made)
    if is_dry_run:
        return
    requests = requests_for(made.pending_seeds, made.account.registry_host)
    with step(services.emit, "seed", total=len(requests)):
        outcomes, interrupt = run_seeder(services.seeder, requests)
    report = Report(settle(made, outcomes, services.ecr), round(services.clock() - started, 3), plan=made)
    publish(report)
    if interrupt:
        raise interrupt
    raise_if_incomplete(report)


def plan_images(desired: Desired, services: Services) -> Plan:
    """The image part alone, for repositories that exist."""
    account = find_account(desired, services)
    existing = frozenset(services.ecr.repositories())
    desired, unselected = select_images(desired, services)
    with services.observer.start(desired.images, existing) as observation:
        observed = observation.result()
    made = make_plan(desired, observed, (), account, creates_repositories=False)
    return replace(made, refusals=(*unselected, *made.refusals))
