"""Joins the results of the shards of a saved plan into one report, in which every image of the plan stands once."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.errors import Refused, SeedingIncomplete
from toolkit.operations.outcomes import raise_if_late, refused_outcome
from toolkit.plan.model import Plan, Seed
from toolkit.report import ReplicaOutcome, Report, SeedOutcome, SeedStatus


def join(plan: Plan, digest: str, results: Mapping[str, Report | None]) -> Report:
    """The report of the whole `plan`, whose file has this `digest`; `results` are by file, None for a run without one.

    Raises Refused for a result of another plan, of no shard, or of a shard that another file is about too.
    """
    shards = plan.division.shards if plan.division else ()
    if not shards:
        raise Refused("report.no_shards", "the plan has no shards", hint="plan with `--shards`")
    files: dict[int, str] = {}
    outcomes: dict[str, SeedOutcome] = {}
    replicas: dict[str, ReplicaOutcome] = {}
    for file, report in results.items():
        if report is None:
            continue
        run = report.shard
        if run is None or run.plan != digest or not 1 <= run.number <= len(shards):
            what = "is of another plan" if run else "is not of a shard"
            raise Refused("report.other_plan", f"the result `{file}` {what}", hint="name the results of this plan only")
        if run.number in files:
            raise Refused(
                "report.twice",
                f"`{files[run.number]}` and `{file}` are both of the shard {run.number}",
                hint="name the newer one only",
            )
        files[run.number] = file
        here = frozenset(shards[run.number - 1].repositories)
        own = {o.key: o for o in report.outcomes if o.key.rpartition(":")[0] in here}
        outcomes |= own
        for one in plan.replicas:
            replicas[one.region] = _added(replicas.get(one.region, ReplicaOutcome(one.region, 0)), report, own)
    shard_of = {name: shard.number for shard in shards for name in shard.repositories}
    found = [
        _believed(seed, outcomes.get(seed.key))
        or _missing(seed, shard_of[seed.repository], files, plan.account.registry_host)
        for seed in plan.seeds
    ]
    return Report(
        (*found, *(refused_outcome(refusal, plan) for refusal in plan.refusals)),
        max((report.seconds for report in results.values() if report), default=0.0),
        plan=plan,
        replicas=tuple(replicas.values()),
    )


def _added(replica: ReplicaOutcome, report: Report, own: Mapping[str, SeedOutcome]) -> ReplicaOutcome:
    """`replica` with what the `report` of a shard says of its region. A run that did not look there says nothing."""
    in_place = [key for key, outcome in own.items() if outcome.status in (SeedStatus.COPIED, SeedStatus.UNCHANGED)]
    found = next((one for one in report.replicas if one.region == replica.region), None)
    missing = [key for key in in_place if found is None or key in found.missing]
    fault = found if found and found.error_code else replica
    return ReplicaOutcome(
        replica.region,
        replica.arrived + len(in_place) - len(missing),
        (*replica.missing, *missing),
        fault.error_code,
        fault.error_message,
        fault.hint,
    )


def raise_if_missing(report: Report, *, of_batch: bool = False) -> None:
    """Raise SeedingIncomplete unless every image is in place, in every region. The report may be that `of_batch`."""
    if report.failed:
        raise SeedingIncomplete(
            "report.incomplete",
            f"{len(report.failed)} of {len(report.outcomes)} images are not in place",
            hint="run the same command again: the shards copy only what is missing"
            if of_batch
            else "run their shards again: `toolkit apply FILE --shard K`",
        )
    raise_if_late(report)


def _believed(seed: Seed, outcome: SeedOutcome | None) -> SeedOutcome | None:
    """The outcome, unless it says that another digest is in place than the plan wants."""
    if outcome is None or outcome.status not in (SeedStatus.COPIED, SeedStatus.UNCHANGED) or not seed.wanted_digest:
        return outcome
    return outcome if outcome.digest == str(seed.wanted_digest) else None


def _missing(seed: Seed, number: int, files: Mapping[int, str], host: str) -> SeedOutcome:
    why = f"`{files[number]}` does not have it" if number in files else f"there is no result of the shard {number}"
    return SeedOutcome(
        key=seed.key,
        status=SeedStatus.SKIPPED,
        source=str(seed.source),
        destination=f"{host}/{seed.key}",
        error_code="report.no_result",
        error_message=why,
        hint=f"run `toolkit apply FILE --shard {number}`",
    )
