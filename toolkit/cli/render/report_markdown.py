"""A report as a comment: whether all is in place, what failed and what to do next, what was copied, the rest folded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from toolkit.cli.render.amounts import format_count, format_duration, format_sentence, format_size
from toolkit.cli.render.markdown import LONGEST_COMMENT, Part, code, comment, escape, hinted, marker, prose, row
from toolkit.cli.render.plan_markdown import infra_items
from toolkit.cli.render.report_view import say_late, say_next_step, say_totals
from toolkit.cli.render.totals import sum_report
from toolkit.errors import Issue
from toolkit.report import Report, SeedOutcome, SeedStatus

_SHOWN_IMAGES = 25
_NOT_FINISHED = "Not finished:"
_HEAD = (row("image", "digest", "moved", "time"), "|---|---|---|---|")


def render_report_markdown(report: Report) -> str:
    """The comment for `report`."""
    plan = report.plan
    where = {"name": plan.name, "region": plan.account.region} if plan else {}
    step = say_next_step(report)
    top = [
        marker("report", **where),
        say_report(report).replace(_NOT_FINISHED, f"**{_NOT_FINISHED}**"),
        "",
        *([f"**Next:** {prose(step)}", ""] if step else []),
    ]
    copied = [_row(outcome) for outcome in report.outcomes if outcome.status is SeedStatus.COPIED]
    kept = [_row(outcome) for outcome in report.outcomes if outcome.status is SeedStatus.UNCHANGED]
    parts = [
        Part("**Failed**", list(_failures(report))),
        Part(
            "**Late**",
            [
                f"- {prose(sentence)}{hinted(one.hint)}"
                for one, sentence in zip(report.late, say_late(report), strict=True)
            ],
        ),
        Part("**Images**", copied[:_SHOWN_IMAGES], head=_HEAD),
        Part(f"{len(copied) - _SHOWN_IMAGES} more images", copied[_SHOWN_IMAGES:], head=_HEAD, is_folded=True),
        Part("Infrastructure", list(infra_items(report.infra_changes, is_done=True)), is_folded=True),
        Part("Amounts", [f"- {escape(line)}" for line in say_totals(report)], is_folded=True),
        Part(f"{format_count(len(kept), 'image')} unchanged", kept, head=_HEAD, is_folded=True),
    ]
    return comment(top, parts)


def say_report(report: Report) -> str:
    """What was done, and whether every image is in place, in one sentence."""
    totals = sum_report(report)
    copied = totals.images[SeedStatus.COPIED]
    done = (
        f"copied {format_count(copied, 'image')} ({format_size(totals.moved_bytes)})" if copied else "copied no image"
    )
    done += f", changed {format_count(len(report.infra_changes), 'resource')}" if report.infra_changes else ""
    done += f" in {format_duration(report.seconds)}"
    if report.failed:
        missing = f"{len(report.failed)} of {format_count(len(report.outcomes), 'image')}"
        return f"{_NOT_FINISHED} {missing} {'is' if len(report.failed) == 1 else 'are'} not in place; {done}."
    if report.late:
        regions = ", ".join(one.region for one in report.late)
        return f"{_NOT_FINISHED} images have not arrived in {regions}; {done}."
    return format_sentence(f"{done}; all images are in place")


def _failures(report: Report) -> Iterator[str]:
    for outcome in report.failed:
        why = f": {prose(outcome.error_message)}" if outcome.error_message else ""
        cause = f" {code(outcome.error_code)}" if outcome.error_code else ""
        yield f"- {outcome.status.value}{cause} {code(outcome.key)}{why}{hinted(outcome.hint)}"


def _row(outcome: SeedOutcome) -> str:
    moved = f"{format_size(outcome.moved_bytes)} of {format_size(outcome.total_bytes)}" if outcome.total_bytes else ""
    took = format_duration(outcome.seconds) if outcome.seconds else ""
    return row(code(outcome.key), code((outcome.digest or "").partition(":")[2][:12]), moved, took)


def render_error_markdown(command: str, error: Mapping[str, Any], *, begins: bool) -> str:
    """Why a run failed; with a marker if it `begins` the comment."""
    issues = [
        f"- {code(f'{issue.file}:{issue.line}')} {code(issue.path)} {prose(issue.message)}"
        for issue in (Issue(**fields) for fields in error.get("issues", ()))
    ]
    top = [marker(command)] if begins else []
    top += [f"**Failed:** {prose(error['message'])} {code(error['code'])}{hinted(error['hint'])}", ""]
    return comment(top, [Part("**Problems**", issues)], LONGEST_COMMENT if begins else 0)
