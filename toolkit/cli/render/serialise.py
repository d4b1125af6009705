"""Plans and reports as JSON-safe documents with keys in a stable order, for programs that read our output.

They include what can be derived, such as `totals`. A saved plan is written by `toolkit.cli.saved_plan`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TypeVar

from toolkit.cli.render.totals import PlanTotals, sum_plan, sum_report
from toolkit.oci.digest import Digest
from toolkit.plan.model import (
    InfraChange,
    Plan,
    Seed,
)
from toolkit.plan.pull_budget import postponed
from toolkit.report import Report, SeedOutcome

SCHEMA_VERSION = 1

Document = dict[str, object]
T = TypeVar("T")


def plan_document(plan: Plan) -> Document:
    """`plan` as JSON-safe values."""
    without_room = postponed(plan.costs, plan.pull_costs, plan.on_budget)
    totals = sum_plan(plan)
    return {
        "schema_version": SCHEMA_VERSION,
        "name": plan.name,
        "account": asdict(plan.account),
        "has_changes": plan.has_changes,
        "is_refused": totals.refusals > 0,
        "totals": _totals_document(totals),
        "infra_changes": [_infra_change_document(change) for change in plan.infra_changes],
        "seeds": [_seed_document(seed) for seed in plan.seeds],
        "pull_costs": [asdict(cost) for cost in plan.pull_costs],
        "refusals": [asdict(refusal) for refusal in plan.refusals],
        "notices": [asdict(notice) for notice in plan.notices],
        "on_budget": plan.on_budget.value,
        "drift": [_infra_change_document(change) for change in plan.drift],
        "losses": [{**asdict(loss), "digests": [str(digest) for digest in loss.digests]} for loss in plan.losses],
        "adopted": [{"repository": one.repository, "settings": dict(one.settings)} for one in plan.adopted],
        "credentials": [asdict(use) for use in plan.credentials],
        "keeps_going": plan.keeps_going,
        "covers_infra": plan.covers_infra,
        "unseen_images": plan.unseen_images,
        "is_destroy": plan.is_destroy,
        "without_room": [seed.key for seed in plan.seeds if seed.key in without_room],
    }


def _totals_document(totals: PlanTotals) -> Document:
    return {
        "resources": {
            "import": totals.infra.imports,
            "create": totals.infra.creates,
            "update": totals.infra.updates,
            "destroy": totals.infra.destroys,
            "forget": totals.infra.forgets,
        },
        "images": {action.value: count for action, count in totals.images.items()},
        "overwritten": totals.overwritten,
        "skipped": totals.skipped,
        "bytes_to_copy_at_most": totals.size,
        "images_of_unknown_size": totals.unknown_sizes,
        "pulls": {"at_least": totals.pulls[0], "at_most": totals.pulls[1]},
    }


def _infra_change_document(change: InfraChange) -> Document:
    return {
        **asdict(change),
        "action": change.action.value,
        "changes": [asdict(one) for one in change.changes],
        "replace_because": list(change.replace_because),
        "grants": [asdict(grant) for grant in change.grants],
    }


def _seed_document(seed: Seed) -> Document:
    return {
        "key": seed.key,
        "action": seed.action.value,
        "reason": seed.reason,
        "source": {
            "name": str(seed.source),
            "registry": seed.source.registry,
            "repository": seed.source.repository,
            "tag": seed.source.tag,
            "digest": _text_or_none(seed.source.digest),
        },
        "repository": seed.repository,
        "tag": seed.tag,
        "subset": {
            "platforms": None if seed.subset.platforms is None else [str(one) for one in seed.subset.platforms],
            "keeps_attestations": seed.subset.keeps_attestations,
        },
        "wanted_digest": _text_or_none(seed.wanted_digest),
        "current_digest": _text_or_none(seed.current_digest),
        "subject": _text_or_none(seed.subject),
        "size": seed.size,
        "pulls": {"at_least": seed.pulls[0], "at_most": seed.pulls[1]},
        "bytes_from": None if seed.bytes_from is None else asdict(seed.bytes_from),
        "is_overwritten": seed.is_overwritten,
        "pushed_at": seed.pushed_at,
        "used_by": list(seed.used_by),
    }


def _text_or_none(digest: Digest | None) -> str | None:
    return None if digest is None else str(digest)


def report_document(report: Report) -> Document:
    """`report` as JSON-safe values, the plan it came from included."""
    totals = sum_report(report)
    return {
        "schema_version": SCHEMA_VERSION,
        "is_complete": not report.failed,
        "seconds": report.seconds,
        "totals": {
            "images": {status.value: count for status, count in totals.images.items()},
            "moved_bytes": totals.moved_bytes,
            "moved_blobs": totals.moved_blobs,
            "mounted_blobs": totals.mounted_blobs,
            "present_blobs": totals.present_blobs,
            "document_reads": totals.document_reads,
        },
        "infra_changes": [_infra_change_document(change) for change in report.infra_changes],
        "outcomes": [_outcome_document(outcome) for outcome in report.outcomes],
        "outputs": dict(report.outputs),
        "plan": None if report.plan is None else plan_document(report.plan),
    }


def _outcome_document(outcome: SeedOutcome) -> Document:
    return {**asdict(outcome), "status": outcome.status.value}
