"""Sums over a plan and a report, counted once for the text and the JSON that show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from toolkit.oci.values import dataclass
from toolkit.plan.model import InfraAction, Plan
from toolkit.plan.seed_action import SeedAction
from toolkit.report import Report, SeedStatus


@dataclass(frozen=True, slots=True)
class PlanTotals:
    """`size` is an upper bound: layers that images share move once. `unknown_sizes` images are not in it.

    `overwritten` counts the tags whose content somebody else pushed.
    """

    resources: Mapping[InfraAction, int]
    images: Mapping[SeedAction, int]
    overwritten: int
    size: int
    unknown_sizes: int
    pulls: tuple[int, int | None]


def sum_plan(plan: Plan) -> PlanTotals:
    """The totals of `plan`; two tags with the same content count its bytes once."""
    resources = Counter(change.action for change in plan.infra_changes)
    images = Counter(seed.action for seed in plan.seeds)
    sizes = {(s.source.digest or s.key, s.platforms, s.keeps_attestations): s.size for s in plan.pending_seeds}
    highs = [cost.at_most for cost in plan.pull_costs]
    return PlanTotals(
        resources={action: resources[action] for action in InfraAction},
        images={action: images[action] for action in SeedAction},
        overwritten=sum(seed.is_overwritten for seed in plan.seeds),
        size=sum(size or 0 for size in sizes.values()),
        unknown_sizes=sum(size is None for size in sizes.values()),
        pulls=(
            sum(cost.at_least for cost in plan.pull_costs),
            None if None in highs else sum(high or 0 for high in highs),
        ),
    )


@dataclass(frozen=True, slots=True)
class ReportTotals:
    """What seeding did, over all tags."""

    images: Mapping[SeedStatus, int]
    moved_bytes: int
    moved_blobs: int
    mounted_blobs: int
    present_blobs: int
    document_reads: int


def sum_report(report: Report) -> ReportTotals:
    """The totals of `report`."""
    images = Counter(outcome.status for outcome in report.outcomes)
    return ReportTotals(
        images={status: images[status] for status in SeedStatus},
        moved_bytes=sum(outcome.moved_bytes for outcome in report.outcomes),
        moved_blobs=sum(outcome.moved_blobs for outcome in report.outcomes),
        mounted_blobs=sum(outcome.mounted_blobs for outcome in report.outcomes),
        present_blobs=sum(outcome.present_blobs for outcome in report.outcomes),
        document_reads=sum(outcome.document_reads for outcome in report.outcomes),
    )
