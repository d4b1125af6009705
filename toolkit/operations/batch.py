"""Batch: the shards of a saved plan as one batch of CodeBuild, which is followed from here.

The batch goes on without whoever follows it. Its id is kept beside the plan, so that a second run follows the one that
is under way, and otherwise starts another, whose shards copy what is missing. A run that is killed between the start
and the record leaves no id; the next one starts with the same token, for which CodeBuild starts no second batch.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256

from toolkit.aws.inspection import Quota
from toolkit.codebuild.shard_batch import PLAN_VARIABLE, RUNNING, Batch, render_shard_batch
from toolkit.errors import AccessDenied, Interrupted, Refused, UsageError
from toolkit.events import BuildChanged, NoticeGiven, RetryScheduled
from toolkit.operations.doctor import increase
from toolkit.operations.refresh import shared_by_refreshes
from toolkit.operations.services import Batches, Services, step
from toolkit.plan.model import Plan
from toolkit.plan.on_budget import OnBudget

_PAUSE = 5.0
_PATIENCE = 900.0
"""Seconds without an answer of AWS after which a batch is not followed any more."""
_PASSING = ("aws.unavailable", "aws.unreachable")
_SUCCEEDED = "SUCCEEDED"
_BUDGET_VARIABLE = "TOOLKIT_ON_BUDGET"


def check_batch(plan: Plan, services: Services) -> None:
    """Raise UsageError or Refused if no batch of CodeBuild can do the plan."""
    if plan.division is None:
        raise UsageError(
            "usage.batch",
            "the plan is not divided into shards",
            hint="plan again: `toolkit plan --shards N --out FILE`",
        )
    if services.refresh is None:
        raise Refused(
            "batch.not_configured",
            "the manifest has no `refresh`, whose CodeBuild project runs the shards",
            hint="add `refresh` and plan again, or run the shards elsewhere with --shard",
        )
    shards = len(plan.division.shards)
    render_shard_batch("{}", shards)
    quota = read_quota(services.refresh.batches, services)
    if quota and quota.value < 1:
        raise Refused(
            "batch.no_builds",
            f"CodeBuild runs no build of this kind here: its quota `{quota.code}` is 0",
            hint=increase(quota, "codebuild", shards),
        )
    if quota and quota.value < shards:
        verb = "runs" if quota.value == 1 else "run"
        at_once = f"of {shards} shards {quota.value:.0f} {verb} at a time here"
        message = f"{at_once}: CodeBuild's quota `{quota.code}` allows no more"
        services.emit(NoticeGiven("batch.few_builds", message, hint=increase(quota, "codebuild", shards)))


def read_quota(batches: Batches, services: Services) -> Quota | None:
    """How many builds run at a time; None, with a notice, where that cannot be seen."""
    try:
        quota, why = batches.quota(), "Service Quotas does not list it"
    except (AccessDenied, Refused) as error:
        quota, why = None, error.message
    if quota is None:
        message = f"how many shards CodeBuild runs at a time here is not known: {why}"
        services.emit(NoticeGiven("batch.quota_unknown", message))
    return quota


def run_batch(
    plan: Plan, digest: str, place: str, services: Services, on_budget: OnBudget | None, prepare: Callable[[], None]
) -> None:
    """Have CodeBuild do the shards of the `plan`, and return when the batch has ended.

    Before a batch is started, `prepare` puts the plan, which has this `digest`, at its `place`.
    """
    shared = shared_by_refreshes(services)
    batches, record = shared.batches, shared.text(f"shards/{digest}/batch", "text/plain")
    shards = len(plan.division.shards) if plan.division else 0
    kept = record.read()
    batch = batches.look(kept.text) if kept else None
    if batch and batch.status == RUNNING:
        services.emit(NoticeGiven("batch.followed", f"the batch `{batch.id}` does this plan already, and is followed"))
    else:
        try:
            buildspec = render_shard_batch(batches.buildspec(), shards)
        except ValueError as error:
            raise Refused(
                "batch.other_project",
                "the CodeBuild project that refreshes does not exist, or its buildspec is not ours",
                hint="run `toolkit apply`, which makes it",
            ) from error
        variables = {PLAN_VARIABLE: place} | ({_BUDGET_VARIABLE: str(on_budget)} if on_budget else {})
        token = sha256(json.dumps([batch and batch.id, buildspec, variables]).encode()).hexdigest()
        prepare()
        batch = batches.start(buildspec, variables, token)
        record.put(batch.id)
    with step(services.emit, "batch", total=shards):
        try:
            batch = _follow(batch, services, batches)
        except KeyboardInterrupt as error:
            raise Interrupted(
                "batch.left",
                f"the batch `{batch.id}` goes on in CodeBuild",
                hint="run the same command again: it follows the batch",
            ) from error
    if batch.status != _SUCCEEDED:
        why = f": {batch.why}" if batch.why else ""
        message = f"the batch `{batch.id}` ended as {batch.status}{why}"
        services.emit(NoticeGiven("batch.failed", message, hint="look at the logs of its builds"))


def _follow(batch: Batch, services: Services, batches: Batches) -> Batch:
    """The batch as it ended; every change of a build is an event."""
    seen: dict[str, str] = {}
    heard, failures = services.clock(), 0
    while True:
        for build, status in batch.builds.items():
            if seen.get(build) != status:
                services.emit(BuildChanged(batch.id, build, status))
        seen = dict(batch.builds)
        if batch.status != RUNNING:
            return batch
        services.sleep(_PAUSE)
        try:
            batch = batches.look(batch.id)
            heard, failures = services.clock(), 0
        except Refused as error:
            if error.code not in _PASSING or services.clock() - heard > _PATIENCE:
                raise
            failures += 1
            services.emit(RetryScheduled("codebuild", error.message, failures + 1, _PAUSE))
