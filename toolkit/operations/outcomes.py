"""The seeder's run and its result for every tag of a plan; what was copied is read back from ECR."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from toolkit.errors import PLAN_AGAIN, AccessDenied, SeedingIncomplete, ToolkitError
from toolkit.oci.copy import CopyRequest
from toolkit.oci.reference import Reference
from toolkit.report import LEFT, Report, SeedOutcome, SeedStatus
from toolkit.seed.explain import DENIED
from toolkit.seed.run import SeedRun
from toolkit.seed.seeder import Seeder

if TYPE_CHECKING:
    from toolkit.operations.services import Ecr
    from toolkit.plan.model import Plan, Refusal, Seed
    from toolkit.seed.budgeted_run import BudgetedRun


def run_seeder(
    seeder: Seeder, requests: Iterable[CopyRequest], *, expected: Iterable[Reference] = ()
) -> tuple[list[SeedOutcome], KeyboardInterrupt | None]:
    """Copy everything. An interrupt stops the copies, and is returned with the outcomes up to then.

    `expected` are the destinations that are known before their requests.
    """
    with seeder.open() as run:
        run.expect(expected)
        return finish(run, requests)


def finish(
    run: SeedRun | BudgetedRun, requests: Iterable[CopyRequest] = ()
) -> tuple[list[SeedOutcome], KeyboardInterrupt | None]:
    """Submit the last `requests` and wait for the end of the run. An interrupt is returned as by `run_seeder`."""
    try:
        run.submit(requests)
        return run.wait(), None
    except KeyboardInterrupt as interrupt:
        run.cancel()
        return run.wait(), interrupt


def settle(plan: Plan, outcomes: Sequence[SeedOutcome], ecr: Ecr) -> tuple[SeedOutcome, ...]:
    """One outcome for each seed of the plan, in the plan's order.

    `outcomes` are the seeder's; a seed without one was not reached. Copied tags are read back by ECR's own API, and a
    tag that does not have the expected digest is a failure. The images that the plan refuses come last.
    """
    by_key = {outcome.key: outcome for outcome in outcomes}
    stored = _read_back(plan, [key for key, outcome in by_key.items() if outcome.status is SeedStatus.COPIED], ecr)
    settled = [_settle_one(seed, plan, by_key.get(seed.key), stored) for seed in plan.seeds]
    return (*settled, *(refused_outcome(refusal, plan) for refusal in plan.refusals))


def refused_outcome(refusal: Refusal, plan: Plan) -> SeedOutcome:
    """The outcome of an image that the plan refuses while it keeps going with the others."""
    key = refusal.image or ""
    return SeedOutcome(
        key=key,
        status=SeedStatus.FAILED,
        source=refusal.source or "",
        destination=f"{plan.account.registry_host}/{key}",
        error_code=refusal.code,
        error_message=refusal.message,
        hint=refusal.hint,
    )


def raise_if_incomplete(report: Report) -> None:
    """Raise SeedingIncomplete unless every tag is in place, AccessDenied if all copies lacked a right and nothing else.

    An image that the plan refused was left out on purpose, so that it leaves the copies incomplete. Last, the replicas
    must have what is in place.
    """
    left = [outcome for outcome in report.failed if outcome.error_code == LEFT]
    if left and len(left) == len(report.failed):
        raise SeedingIncomplete(
            LEFT,
            f"{len(left)} of {len(report.outcomes)} images are left for the next run; all others are in place",
            hint=left[0].hint,
        )
    leaves_out = report.plan is not None and bool(report.plan.refusals)
    if report.failed and not leaves_out and all(outcome.error_code in DENIED for outcome in report.failed):
        refused = report.failed[0]
        raise AccessDenied(
            refused.error_code or "",
            f"{len(report.failed)} of {len(report.outcomes)} images are not in place: {refused.error_message}",
            hint=refused.hint,
        )
    if report.failed:
        # An image with a hint of its own fails again until the hint is followed.
        first = "follow the hint of each, then " if any(outcome.hint for outcome in report.failed) else ""
        raise SeedingIncomplete(
            "seed.incomplete",
            f"{len(report.failed)} of {len(report.outcomes)} images are not in place",
            hint=f"{first}run the same command again: it copies only the missing images"
            if report.can_resume
            else PLAN_AGAIN,
        )
    raise_if_late(report)


def raise_if_late(report: Report) -> None:
    """Raise SeedingIncomplete if a region lacks images."""
    if late := report.late:
        regions = ", ".join(f"`{one.region}`" for one in late)
        raise SeedingIncomplete(
            "replication.incomplete",
            f"images have not arrived in {regions} ({sum(len(one.missing) for one in late)})",
            hint="run `toolkit seed`: it copies nothing that is in place, and waits for them",
        )


def _read_back(plan: Plan, keys: Iterable[str], ecr: Ecr) -> Mapping[str, str | ToolkitError]:
    """The digest by key, or the error: a failure to read back must not lose the report of what was done."""
    seeds = {seed.key: seed for seed in plan.seeds}
    tags: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        tags[seeds[key].repository].append(seeds[key].tag)
    found: dict[str, str | ToolkitError] = {}
    for repository, names in tags.items():
        try:
            images = ecr.images(repository, names) or {}
        except ToolkitError as error:
            found |= {f"{repository}:{tag}": error for tag in names}
        else:
            found |= {f"{repository}:{tag}": str(image.digest) for tag, image in images.items()}
    return found


def _settle_one(
    seed: Seed, plan: Plan, outcome: SeedOutcome | None, stored: Mapping[str, str | ToolkitError]
) -> SeedOutcome:
    blank = SeedOutcome(
        key=seed.key,
        status=SeedStatus.UNCHANGED,
        source=str(seed.source),
        destination=f"{plan.account.registry_host}/{seed.key}",
        digest=str(seed.current_digest) if seed.current_digest else None,
    )
    if not seed.is_pending:
        return blank
    if outcome is None:
        return replace(
            blank,
            status=SeedStatus.SKIPPED,
            error_code="seed.not_reached",
            error_message=f"`{seed.key}` was not reached before the run ended",
        )
    if outcome.status is not SeedStatus.COPIED:
        return outcome
    expected = str(seed.wanted_digest) if seed.wanted_digest else outcome.digest
    found = stored.get(seed.key)
    if found == expected:
        return outcome
    if isinstance(found, ToolkitError):
        return replace(
            outcome,
            status=SeedStatus.FAILED,
            error_code=found.code,
            error_message=f"`{seed.key}` was copied but cannot be read back: {found.message}",
            hint=found.hint,
        )
    return replace(
        outcome,
        status=SeedStatus.FAILED,
        digest=found,
        error_code="destination.not_as_copied",
        error_message=f"`{seed.key}` holds `{found or 'nothing'}` after the copy, not `{expected}`",
        hint="something else writes to this tag: find it, then run again",
    )
