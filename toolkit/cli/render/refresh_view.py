"""What a refresh came to: as text, as Markdown, and as metrics for CloudWatch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from toolkit.cli.render.amounts import format_count
from toolkit.cli.render.lines import Paint, visible, wrap
from toolkit.cli.render.markdown import Part, code, comment, marker, names, prose, row
from toolkit.cli.render.result import Result
from toolkit.errors import SeedingIncomplete, some
from toolkit.lock.admission import in_words
from toolkit.oci.digest import Digest
from toolkit.report import MovedTag, RefreshReport

NAMESPACE = "BaseImageToolkit"
_HEAD = (row("image", "digest", "used by", "event"), "|---|---|---|---|")


def render_refresh(report: RefreshReport, *, width: int = 100, colour: bool = False) -> str:
    """The text of `report`; `width` bounds sentences, names stay whole."""
    paint = Paint(colour)
    lines = [paint("bold", "Moved")] if report.moves else []
    for move in report.moves:
        lines.append(f"  {paint('green', '~')} {visible(move.key)}  {say_digests(move)}")
        for text in beneath(move):
            lines += wrap(text, width=width, indent=" " * 6, first=" " * 4)
    lines += [""] if lines else []
    return "\n".join([*lines, *(line for text in say_refresh(report) for line in wrap(text, width=width, indent=""))])


def render_refresh_markdown(report: RefreshReport) -> str:
    """The same as a comment."""
    rows = [
        row(code(one.key), code(say_digests(one)), names(one.used_by), prose(one.error) if one.error else "sent")
        for one in report.moves
    ]
    top = [marker("refresh", name=report.manifest), *map(prose, say_refresh(report)), ""]
    return comment(top, [Part("**Moved**", rows, head=_HEAD)])


def say_digests(move: MovedTag) -> str:
    """`old -> new`."""
    return " -> ".join(Digest.parse(text).short for text in (move.old_digest, move.new_digest))


def beneath(move: MovedTag) -> Iterator[str]:
    """The sentences about a move."""
    if move.used_by:
        yield f"used by {', '.join(move.used_by)}"
    if move.error:
        yield f"its event was not taken: {move.error}"


def say_moves(report: RefreshReport) -> str:
    """How many tags moved, and how many events tell of it."""
    if not report.moves:
        return "nothing was looked at" if report.gone is None else "no tag moved"
    sent = format_count(len(report.moves) - len(report.untold), "event")
    return f"{format_count(len(report.moves), 'tag')} moved, {sent} sent"


def say_refresh(report: RefreshReport) -> list[str]:
    """What a refresh came to, in sentences; the last one says where it is kept."""
    lines = [f"Refresh of `{report.manifest}`: {say_moves(report)}."]
    if report.behind:
        ages = in_words(timedelta(days=report.days_behind or 0))
        lines.append(f"Behind upstream: {some(one.key for one in report.behind)}; the longest for {ages}.")
    if report.gone:
        lines.append(f"Gone upstream: {some(report.gone)}.")
    if report.unreached:
        lines.append(f"Not reached upstream: {some(report.unreached)}.")
    if report.unverified:
        lines.append(f"Not verified: {some(report.unverified)}.")
    if report.pulls_left is not None:
        lines.append(f"{format_count(report.pulls_left, 'counted pull')} left.")
    return [*lines, f"This run is `{report.place}/runs/{report.run}`."]


def metrics_document(result: Result) -> dict[str, Any]:
    """The metrics of a refresh in CloudWatch's embedded metric format.

    CloudWatch Logs takes metrics from a log event that is this object and nothing else ("Using the PutLogEvents API to
    send manually-created embedded metric format logs"). So it is one line: logs of CodeBuild have an event for each,
    which AWS does not document.
    `Timestamp` is in milliseconds. What the run did not come to is left out: a zero would say that it was looked at.
    """
    report: RefreshReport = result.values["refresh"]
    came_to_its_end = result.exit_code in (0, SeedingIncomplete.exit_code)
    values = {
        "Refreshed": int(came_to_its_end),
        "Failed": int(result.exit_code != 0),
        "ImagesMoved": len(report.moves),
        "ImagesBehind": None if report.behind is None else len(report.behind),
        "DaysBehind": report.days_behind,
        "GoneUpstream": None if report.gone is None else len(report.gone),
        "PullsLeft": report.pulls_left,
    }
    known = {name: value for name, value in values.items() if value is not None}
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [["Manifest"]],
        "Metrics": [{"Name": name, "Unit": "None" if name == "DaysBehind" else "Count"} for name in known],
    }
    at = round(datetime.fromisoformat(report.at).timestamp() * 1000)
    return {
        "_aws": {"Timestamp": at, "CloudWatchMetrics": [directive]},
        "Manifest": report.manifest,
        **known,
    }
