"""A report as one text: what was copied, what is not in place and why, and what to do next.

Images that are as they were are a count: their names are in the plan (`--show-unchanged`) and in the JSON report.
"""

from __future__ import annotations

from collections import Counter

from toolkit.cli.render.amounts import format_count, format_duration, format_size
from toolkit.cli.render.lines import Paint, Row, format_remarks, format_table, wrap
from toolkit.cli.render.totals import ReportTotals, count_changes, sum_infra, sum_report
from toolkit.errors import some
from toolkit.report import LEFT, Report, SeedOutcome, SeedStatus

_STYLES = {
    SeedStatus.COPIED: "green",
    SeedStatus.FAILED: "red",
    SeedStatus.SKIPPED: "yellow",
}
_HEADER = Row(("STATUS", "IMAGE", "DIGEST", "MOVED", "TIME"), "bold")
_AGAIN = "Run the same command again: it continues where this one stopped."
_SHARDS_AGAIN = "Run the shards again that have these images: `toolkit apply FILE --shard K`, then this command."
_PLAN_AGAIN = "Plan again with `toolkit plan --out FILE` and apply that: Terraform takes a saved plan only once."


def render_report(report: Report, *, width: int = 100, colour: bool = False) -> str:
    """The text of `report`; `width` bounds sentences and tables, names stay whole."""
    paint = Paint(colour)
    rows = [
        Row(_cells(outcome), _STYLES[outcome.status])
        for outcome in report.outcomes
        if outcome.status is not SeedStatus.UNCHANGED
    ]
    sections = [
        format_table([_HEADER, *rows], width=width, paint=paint, indent="") if rows else [],
        _failure_section(report, width, paint),
        _late_section(report, width, paint),
        [line for total in say_totals(report) for line in wrap(total, width=width, indent="")],
        wrap(say_next_step(report), width=width, indent=""),
    ]
    return "\n".join("\n".join([*section, ""]) for section in sections if section)


def _cells(outcome: SeedOutcome) -> tuple[str, ...]:
    digits = (outcome.digest or "").partition(":")[2]
    was_reached = outcome.status is not SeedStatus.SKIPPED
    return (
        outcome.status.value,
        outcome.key,
        digits[:12],
        f"{format_size(outcome.moved_bytes)} of {format_size(outcome.total_bytes)}" if outcome.total_bytes else "",
        format_duration(outcome.seconds) if was_reached else "",
    )


def _failure_section(report: Report, width: int, paint: Paint) -> list[str]:
    """Why tags are not in place. Tags that were not reached have no error; those that were left share one."""
    errors: list[tuple[str, str | None]] = []
    left: Counter[tuple[str, str | None]] = Counter()
    for outcome in report.failed:
        if outcome.error_message is None:
            continue
        code = f" [{outcome.error_code}]" if outcome.error_code else ""
        if outcome.error_code == LEFT:
            left[outcome.error_message + code, outcome.hint] += 1
        else:
            errors.append((f"{outcome.key}: {outcome.error_message}{code}", outcome.hint))
    shared = [(f"{format_count(count, 'image')}: {message}", hint) for (message, hint), count in left.items()]
    return [
        *format_remarks("error", errors, style="red", width=width, paint=paint),
        *format_remarks("left", shared, style="yellow", width=width, paint=paint),
    ]


def _late_section(report: Report, width: int, paint: Paint) -> list[str]:
    remarks = [
        (sentence + (f" [{one.error_code}]" if one.error_code else ""), one.hint)
        for one, sentence in zip(report.late, say_late(report), strict=True)
    ]
    return format_remarks("late", remarks, style="yellow", width=width, paint=paint)


def say_late(report: Report) -> list[str]:
    """What each region lacks that does not have everything, and why if that is known."""
    return [
        f"`{one.region}` lacks {some(one.missing)}{f': {one.error_message}' if one.error_message else ''}"
        for one in report.late
    ]


def say_next_step(report: Report) -> str:
    """What to do about images that are not in place; "" if there are none."""
    if report.is_complete:
        return ""
    if report.plan and report.plan.division:
        return _SHARDS_AGAIN
    return _AGAIN if report.can_resume else _PLAN_AGAIN


def say_blobs(totals: ReportTotals) -> str:
    """How the blobs came to be where they are."""
    moved = f"{totals.moved_blobs} moved ({format_size(totals.moved_bytes)})"
    return f"{moved}, {totals.mounted_blobs} mounted, {totals.present_blobs} present before"


def say_totals(report: Report) -> list[str]:
    """What was done, in sentences; the last one is the verdict."""
    totals = sum_report(report)
    lines = [f"Shard {report.shard.number} of {report.shard.of}."] if report.shard else []
    if report.infra_changes:
        counts = count_changes(sum_infra(report.infra_changes), is_done=True)
        lines.append(f"Infrastructure: {', '.join(counts)}.")
    images = ", ".join(f"{count} {status.value}" for status, count in totals.images.items() if count)
    lines.append(f"Images: {images or 'none to seed'}.")
    if totals.document_reads or totals.moved_blobs or totals.mounted_blobs:
        reads = format_count(totals.document_reads, "manifest read")
        lines.append(f"Blobs: {say_blobs(totals)}; {reads} upstream.")
    for one in report.replicas:
        lines.append(f"In {one.region}, {one.arrived} of {one.arrived + len(one.missing)} images have arrived.")
    verdict = "Done" if report.is_complete else "Not finished"
    return [*lines, f"{verdict} after {format_duration(report.seconds)}."]
