"""Seed: the image part alone, into repositories that exist."""

from __future__ import annotations

from collections.abc import Callable

from toolkit.oci.copy import CopyRequest
from toolkit.operations.outcomes import raise_if_incomplete, settle
from toolkit.operations.plan import plan_images, refuse_if_unsafe
from toolkit.operations.services import Services, step
from toolkit.plan.desired import Desired
from toolkit.plan.model import Plan
from toolkit.report import Report, SeedOutcome
from toolkit.seed.requests import requests_for
from toolkit.seed.seeder import Seeder


def seed(
    desired: Desired,
    services: Services,
    *,
    review: Callable[[Plan], None],
    publish: Callable[[Report], None],
) -> None:
    """Plan the images, show the plan to `review`, copy, and hand the report to `publish` before raising."""
    started = services.clock()
    made = plan_images(desired, services)
    review(made)
    refuse_if_unsafe(made)
    requests = requests_for(made.pending_seeds, made.account.registry_host)
    with step(services.emit, "seed", total=len(requests)):
        outcomes, interrupt = run_seeder(services.seeder, requests)
    report = Report(settle(made, outcomes, services.ecr), round(services.clock() - started, 3), plan=made)
    publish(report)
    if interrupt:
        raise interrupt
    raise_if_incomplete(report)


def run_seeder(seeder: Seeder, requests: list[CopyRequest]) -> tuple[list[SeedOutcome], KeyboardInterrupt | None]:
    """Copy everything; an interrupt stops the copies and comes back with what was done until then."""
    with seeder.open() as run:
        try:
            run.submit(requests)
            return run.wait(), None
        except KeyboardInterrupt as interrupt:
            run.cancel()
            return run.wait(), interrupt
