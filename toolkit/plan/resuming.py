"""A saved plan held against what is in ECR now. Pure.

What an earlier run of it has copied stays, so that the plan can be run again until every image is in place; a tag that
is neither as it was nor as it is to be stops it, or is left out where the plan keeps going.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from toolkit.errors import PLAN_AGAIN
from toolkit.plan.model import Plan, Refusal, Seed, doomed_repositories
from toolkit.plan.observed import DestinationImage
from toolkit.plan.pull_budget import pull_costs
from toolkit.plan.seed_action import SeedAction


def resume(made: Plan, there: Mapping[str, DestinationImage]) -> Plan:
    """`made` with nothing to copy where that is done, and a refusal for each tag that has moved.

    `there` are the tags in ECR by key. What is to go with its repository may be anything.
    """
    doomed = doomed_repositories(made.infra_changes)
    seeds: list[Seed] = []
    refusals: list[Refusal] = []
    for seed in made.seeds:
        found = there.get(seed.key)
        if seed.repository in doomed or (found.digest if found else None) == seed.current_digest:
            seeds.append(seed)
        elif found and seed.is_pending and _is_copy(found, seed):
            seeds.append(_kept(seed, found))
        else:
            refusals.append(_moved(seed, found))
    costs = [seed.cost for seed in seeds if seed.is_pending]
    return replace(
        made,
        seeds=made.seeds if refusals and not made.keeps_going else tuple(seeds),
        pull_costs=pull_costs(costs, [cost.budget for cost in made.pull_costs if cost.budget]),
        refusals=(*made.refusals, *refusals),
    )


def _is_copy(found: DestinationImage, seed: Seed) -> bool:
    if seed.wanted_digest is not None:
        return found.digest == seed.wanted_digest
    return found.is_filtered_from(seed.source.digest, seed.subset)


def _kept(seed: Seed, found: DestinationImage) -> Seed:
    return replace(
        seed,
        action=SeedAction.KEEP,
        reason="in ECR by now",
        wanted_digest=found.digest,
        current_digest=found.digest,
        pulls=(0, 0),
        bytes_from=None,
        is_overwritten=False,
        pushed_at=found.pushed_at,
    )


def _moved(seed: Seed, found: DestinationImage | None) -> Refusal:
    now = f"is `{found.digest}` now" if found else "is gone"
    before = f"was `{seed.current_digest}`" if seed.current_digest else "was not there"
    message = f"`{seed.key}` {now}, and {before} when the plan was made"
    return Refusal("plan.stale", message, hint=PLAN_AGAIN, image=seed.key, source=str(seed.source))
