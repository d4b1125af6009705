"""Replicas: what they will cost, and the wait until the images of a run have arrived in all regions.

ECR copies what arrives in a registry after its rules, most of it within minutes. What was there before, it copies when
it is asked to (`StartReplicationBackfill`). Nothing is copied by this machine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from toolkit.errors import Refused, ToolkitError
from toolkit.operations.services import AWS_LOOK_UPS, Ecr, Services, step
from toolkit.plan.desired import Desired
from toolkit.plan.model import InfraChange, Plan, Replica, Seed
from toolkit.plan.observed import ReplicationRule
from toolkit.plan.replication import replicas_of
from toolkit.report import ReplicaOutcome, SeedOutcome, SeedStatus
from toolkit.seed.worker_pool import asking
from toolkit.terraform.root_module import REPLICATION_ADDRESS

LONGEST_WAIT = 1800.0
"""Seconds. Nothing of this run needs the images there, and the same command waits again."""
_LONGEST_PAUSE = 15.0


def look_at_replicas(
    desired: Desired,
    rules: Sequence[ReplicationRule],
    seeds: Sequence[Seed],
    existing: Collection[str],
    services: Services,
) -> tuple[Replica, ...]:
    """What the replicas of the manifest cost after the copies of `seeds`; `rules` are those of the registry now."""
    if desired.replication is None:
        return ()
    names = [repository.name for repository in desired.repositories if repository.name in existing]
    with asking(AWS_LOOK_UPS) as pool:
        sizes = [pool.ask(partial(services.losses.repository, name)) for name in names]
        stored = sum(size.result().size for size in sizes)
    return tuple(replicas_of(desired, rules, stored, seeds))


def await_replicas(
    plan: Plan, outcomes: Sequence[SeedOutcome], services: Services, changes: Sequence[InfraChange] = ()
) -> tuple[tuple[ReplicaOutcome, ...], KeyboardInterrupt | None]:
    """Wait until every region of the plan has the images that are in place, and say what each region lacks.

    `changes` are those that Terraform has just made: rules that are new do not cover what was copied before them. An
    interrupt ends the wait, and is returned. A region that cannot be asked does not stop the others.
    """
    in_place = {o.key: o for o in outcomes if o.status in (SeedStatus.COPIED, SeedStatus.UNCHANGED)}
    if not (plan.replicas and in_place):
        return (), None
    has_new_rules = any(change.address == REPLICATION_ADDRESS for change in changes)
    started = services.clock()
    missing = {one.region: in_place for one in plan.replicas}
    faults: dict[str, ToolkitError] = {}
    filled: set[str] = set()

    def look(region: str) -> None:
        """See what a region lacks, and have what is old copied to it, once."""
        lacks = missing[region] = _missing(missing[region], services.ecr_in(region))
        is_old = has_new_rules or any(one.status is SeedStatus.UNCHANGED for one in lacks.values())
        if lacks:
            _refuse_without_rule(lacks, region, services)
        if lacks and is_old and region not in filled and services.ecr.backfill(region, plan.account.account_id):
            filled.add(region)

    interrupt, pause = None, 1.0
    try:
        with step(services.emit, "replicate", total=len(missing)):
            while waiting := [region for region, lacks in missing.items() if lacks and region not in faults]:
                for region in waiting:
                    try:
                        look(region)
                    except ToolkitError as error:
                        faults[region] = error
                if services.clock() - started >= LONGEST_WAIT:
                    break
                if any(missing[region] and region not in faults for region in waiting):
                    services.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
    except KeyboardInterrupt as error:
        interrupt = error
    return tuple(
        _outcome(region, lacks, len(in_place), faults.get(region)) for region, lacks in missing.items()
    ), interrupt


def _missing(wanted: Mapping[str, SeedOutcome], ecr: Ecr) -> dict[str, SeedOutcome]:
    """Those of the images that a region does not have under their tag, by key."""
    with asking(AWS_LOOK_UPS) as pool:
        names = dict.fromkeys(key.rpartition(":")[0] for key in wanted)
        asked = {name: pool.ask(partial(ecr.tags, name)) for name in names}
        tags = {
            f"{name}:{tag}": str(one.digest) for name, found in asked.items() for tag, one in found.result().items()
        }
    return {key: outcome for key, outcome in wanted.items() if tags.get(key) != outcome.digest}


def _refuse_without_rule(missing: Iterable[str], region: str, services: Services) -> None:
    """Raise Refused if nothing will ever copy the images to the region."""
    rules = services.ecr.replication()
    for name in (key.rpartition(":")[0] for key in missing):
        if not any(rule.covers(name, region) for rule in rules):
            raise Refused(
                "replication.no_rule",
                f"no rule of the registry replicates `{name}` to `{region}`",
                hint="make the rule first: `toolkit apply`",
            )


def _outcome(region: str, missing: Mapping[str, SeedOutcome], total: int, fault: ToolkitError | None) -> ReplicaOutcome:
    outcome = ReplicaOutcome(region, total - len(missing), tuple(missing))
    if fault is None:
        return outcome
    return replace(outcome, error_code=fault.code, error_message=fault.message, hint=fault.hint)
