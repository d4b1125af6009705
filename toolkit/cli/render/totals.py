"""Sums over results, counted in one place for all views."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toolkit.plan.model import InfraAction, InfraChange, Plan, Refusal, SeedAction
from toolkit.plan.pruning import Fate, PrunePlan, freed
from toolkit.plan.status import State, StatusReport
from toolkit.report import CheckState, CopyPreview, Finding, LockAction, LockChanges, Report, SeedStatus


@dataclass(frozen=True, slots=True)
class InfraTotals:
    """Resources as Terraform counts them, for the sentence at the end of its own plan.

    A replacement is created and destroyed, and an import that changes something counts as an import too.
    """

    imports: int
    creates: int
    updates: int
    destroys: int
    forgets: int


def sum_infra(changes: Sequence[InfraChange]) -> InfraTotals:
    """The totals of `changes`."""
    counts = Counter(change.action for change in changes)
    replaced = counts[InfraAction.REPLACE]
    return InfraTotals(
        imports=sum(is_import(change) for change in changes),
        creates=counts[InfraAction.CREATE] + replaced,
        updates=counts[InfraAction.UPDATE],
        destroys=counts[InfraAction.DELETE] + replaced,
        forgets=counts[InfraAction.FORGET],
    )


def count_changes(totals: InfraTotals, *, is_done: bool = False) -> list[str]:
    """`1 to create` or `1 created`, and so on: what there is any of, in one order everywhere."""
    rows = (
        (totals.creates, "to create", "created"),
        (totals.updates, "to update", "updated"),
        (totals.destroys, "to destroy", "destroyed"),
        (totals.imports, "to import", "imported"),
        (totals.forgets, "to let go of", "let go of"),
    )
    return [f"{count} {done if is_done else to_do}" for count, to_do, done in rows if count]


def is_import(change: InfraChange) -> bool:
    """Whether an existing resource enters the state, changed or not."""
    return change.is_imported or change.action is InfraAction.IMPORT


@dataclass(frozen=True, slots=True)
class PlanTotals:
    """`size` is an upper bound: layers that images share move once. `unknown_sizes` images are not in it.

    `overwritten` counts tags that somebody else pushed, `refusals` those that stop the whole plan, and `skipped` images
    that are left out because their refusal does not stop the plan.
    """

    infra: InfraTotals
    images: Mapping[SeedAction, int]
    overwritten: int
    refusals: int
    skipped: int
    size: int
    unknown_sizes: int
    pulls: tuple[int, int | None]


def skipped_images(plan: Plan) -> list[Refusal]:
    """The refusals that stop their own image only, because the plan keeps going."""
    blocking = frozenset(plan.blocking_refusals)
    return [refusal for refusal in plan.refusals if refusal not in blocking]


def sum_plan(plan: Plan) -> PlanTotals:
    """The totals of `plan`; two tags with the same content count its bytes once."""
    images = Counter(seed.action for seed in plan.seeds)
    sizes = {(s.source.digest or s.key, s.subset): s.size for s in plan.pending_seeds}
    highs = [cost.at_most for cost in plan.pull_costs]
    return PlanTotals(
        infra=sum_infra(plan.infra_changes),
        images={action: images[action] for action in SeedAction},
        overwritten=sum(seed.is_overwritten for seed in plan.seeds),
        refusals=len(plan.blocking_refusals),
        skipped=len({refusal.image for refusal in skipped_images(plan)}),
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


@dataclass(frozen=True, slots=True)
class PreviewTotals:
    """How many images would be copied, moved and kept, and how many cannot be had."""

    copies: int
    moves: int
    keeps: int
    refused: int


def sum_previews(previews: Sequence[CopyPreview]) -> PreviewTotals:
    """The totals of `previews`."""
    counts = Counter(preview.action for preview in previews)
    return PreviewTotals(counts[SeedAction.COPY], counts[SeedAction.MOVE], counts[SeedAction.KEEP], counts[None])


def sum_findings(findings: Sequence[Finding]) -> Mapping[CheckState, int]:
    """How many findings there are of each state."""
    counts = Counter(finding.state for finding in findings)
    return {state: counts[state] for state in CheckState}


def sum_states(report: StatusReport) -> Mapping[State, int]:
    """How many images there are in each state."""
    counts = Counter(image.state for image in report.images)
    return {state: counts[state] for state in State}


@dataclass(frozen=True, slots=True)
class PruneTotals:
    """Images that are looked at, those that are deleted (or would be), and deleted tags of images that stay.

    `size` and `dollars` a month are what that frees at most.
    """

    images: int
    deleted: int
    tags: int
    left: int
    size: int
    dollars: float


def sum_prune(plan: PrunePlan) -> PruneTotals:
    """The totals of `plan`; what was not reached does not count as deleted."""
    wanted = Fate.PLANNED if plan.is_dry_run else Fate.DELETED
    gone = [one for one in plan.removals if one.fate is wanted]
    size = freed(gone)
    return PruneTotals(
        images=sum(shelf.images for shelf in plan.shelves),
        deleted=sum(not one.is_tags_only for one in gone),
        tags=sum(len(one.tags) for one in gone if one.is_tags_only),
        left=len(plan.removals) - len(gone),
        size=size,
        dollars=round(plan.price.of(size), 2),
    )


def sum_lock(changes: LockChanges) -> Mapping[LockAction, int]:
    """How many entries there are of each action."""
    counts = Counter(image.action for image in changes.images)
    return {action: counts[action] for action in LockAction}
