"""Plans and reports as JSON-safe documents with keys in a stable order.

A plan's document has all that the plan has, and what can be derived of it (`has_changes`, `totals`, a source's `name`)
for those who read it with `jq`.
"""

from __future__ import annotations

from dataclasses import asdict

from toolkit.cli.render.totals import PlanTotals, sum_plan, sum_report
from toolkit.oci.digest import Digest
from toolkit.plan.model import InfraChange, Plan, Seed
from toolkit.report import Report, SeedOutcome

SCHEMA_VERSION = 1

Document = dict[str, object]


def plan_document(plan: Plan) -> Document:
    """`plan` as JSON-safe values."""
    return {
        "schema_version": SCHEMA_VERSION,
        "name": plan.name,
        "account": asdict(plan.account),
        "has_changes": plan.has_changes,
        "is_refused": bool(plan.refusals),
        "totals": _totals_document(sum_plan(plan)),
        "infra_changes": [_infra_change_document(change) for change in plan.infra_changes],
        "seeds": [_seed_document(seed) for seed in plan.seeds],
        "pull_costs": [asdict(cost) for cost in plan.pull_costs],
        "refusals": [asdict(refusal) for refusal in plan.refusals],
        "notices": [asdict(notice) for notice in plan.notices],
    }


def _totals_document(totals: PlanTotals) -> Document:
    return {
        "resources": {action.value: count for action, count in totals.resources.items()},
        "images": {action.value: count for action, count in totals.images.items()},
        "bytes_to_copy_at_most": totals.size,
        "images_of_unknown_size": totals.unknown_sizes,
        "pulls": {"at_least": totals.pulls[0], "at_most": totals.pulls[1]},
    }


def _infra_change_document(change: InfraChange) -> Document:
    return {**asdict(change), "action": change.action.value}


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
        "platforms": None if seed.platforms is None else [str(platform) for platform in seed.platforms],
        "keeps_attestations": seed.keeps_attestations,
        "wanted_digest": _text_or_none(seed.wanted_digest),
        "current_digest": _text_or_none(seed.current_digest),
        "size": seed.size,
        "pulls": {"at_least": seed.pulls[0], "at_most": seed.pulls[1]},
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
