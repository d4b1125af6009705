"""The page of a status: every image with its state, what it was before, and what ECR has besides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta

from toolkit.cli.render.amounts import format_count, format_size
from toolkit.cli.render.html import (
    IMAGE,
    PLACES,
    Alarm,
    Changes,
    Mark,
    Page,
    Remark,
    Row,
    Stretch,
    Tile,
    Timeline,
    each_alike,
    image_tile,
    picture_of,
    row_of,
    sort_rows,
)
from toolkit.cli.render.status_view import (
    SECTIONS,
    WORDS,
    facts,
    lacking,
    say_behind,
    say_counted,
    say_findings,
    say_pull,
    say_replica,
    say_scan,
    say_status,
    short,
)
from toolkit.plan.severity import Severity
from toolkit.plan.status import ImageStatus, Span, State, StatusReport

_SYMBOLS = {
    State.OVERWRITTEN: ("!", "odd"),
    State.MISSING: ("✕", "bad"),
    State.GONE: ("✕", "bad"),
    State.UNKNOWN: ("?", "bad"),
    State.HELD: ("‖", "moved"),
    State.SUSPENDED: ("‖", "moved"),
    State.BEHIND: ("~", "moved"),
    State.COOLING: ("◔", "new"),
    State.PINNED: ("–", "quiet"),
    State.FINE: ("=", "quiet"),
}
_MARKS = {state.value: Mark(symbol, WORDS[state], tone) for state, (symbol, tone) in _SYMBOLS.items()}
_LABELS = {
    **IMAGE,
    "state": "State",
    "digest": "In ECR → upstream",
    "behind": "Behind since",
    "scan": "Scan",
    "size": "Size",
    "users": "Used by",
}


def status_page(command: str, report: StatusReport) -> Page:
    """The page of `report`."""
    elsewhere: dict[str, list[str]] = defaultdict(list)
    for replica in report.replicas:
        for how, those in lacking(replica):
            for key in those:
                elsewhere[key].append(f"{how} in {replica.region}")
    rows = sort_rows([_row(image, report, elsewhere[image.key]) for image in report.images], _MARKS)
    alarms = []
    if report.faults:
        keys = {image.key for image in report.images}  # a fault may be about a region
        remarks = [
            Remark(one.message, one.code, one.hint, one.image if one.image in keys else None) for one in report.faults
        ]
        alarms.append(Alarm(f"{format_count(len(remarks), 'fault')} fail the check", "bad", remarks))
    elif report.faults is None:
        bad = [one for one in report.images if one.state in SECTIONS["Needs a decision"]]
        if bad:
            alarms.append(
                Alarm("Needs a decision", "bad", [Remark(f"{one.key}: {one.reason}", link=one.key) for one in bad])
            )
        late = [
            Remark(f"`{one.region}`: {say_replica(one)}") for one in report.replicas if one.fault or any(lacking(one))
        ]
        if late:
            alarms.append(Alarm("Other regions", "bad", late))
    states = {image.state for image in report.images}
    is_fine = states <= {State.FINE, State.PINNED}
    word, tone = ("Look closely", "bad") if alarms else ("Fine", "new") if is_fine else ("Not up to date", "moved")
    extra = [f"{one.repository}:{one.tag}" for one in report.extra_tags] + list(report.extra_repositories)
    counted = say_counted(report)
    drift = report.drift or ()
    return Page(
        command,
        say_status(report),
        word,
        tone,
        about=[
            report.name,
            f"account {report.account.account_id}",
            report.account.region,
            f"{report.at:%Y-%m-%d %H:%M} UTC",
        ],
        calm="" if alarms or not is_fine else "Every image is as upstream has it, or as it was pinned.",
        alarms=alarms,
        tiles=[
            *image_tile(rows, _MARKS),
            Tile("Lock", report.lock or "none", "" if report.lock else "nobody knows since when an image is behind"),
            *([Tile("Also in ECR", counted)] if counted else []),
            *(Tile(f"In {one.region}", say_replica(one)) for one in report.replicas),
        ],
        picture=picture_of(rows, _MARKS, PLACES),
        states=_MARKS,
        labels=_LABELS,
        rows=rows,
        timeline=_timeline(report),
        extra=extra,
        drift=[Changes("Changed outside of Terraform", "!", "odd", len(drift), each_alike(drift))] if drift else [],
        notices=[Remark(notice.message, notice.code, notice.hint) for notice in report.notices],
    )


def _row(image: ImageStatus, report: StatusReport, elsewhere: Sequence[str]) -> Row:
    counts = (image.scan.counts if image.scan else None) or {}
    more = [
        ("Source", image.source),
        ("In ECR", str(image.in_ecr or "")),
        ("Made of", str(image.filtered_from or "")),
        ("Admitted", str(image.admitted or "")),
        ("Pushed", f"{image.pushed_at:%Y-%m-%d %H:%M} UTC" if image.pushed_at else ""),
        ("Platforms", ", ".join(map(str, image.platforms))),
        ("Scan", say_scan(image.scan) if image.in_ecr else ""),
        ("Pulls", say_pull(image) if image.in_ecr else ""),
    ]
    return row_of(
        image.key,
        image.state.value,
        image.source,
        beneath=[f"from {image.source}", *facts(image, is_short=True), *elsewhere],
        old=str(image.filtered_from or image.in_ecr or ""),
        new=str(image.newest or "") if image.newest not in (image.in_ecr, image.filtered_from) else "",
        behind=say_behind(image, report.at),
        since=image.behind_since.isoformat() if image.is_behind and image.behind_since else "",
        scan=say_findings(image.scan) if image.in_ecr else "",
        severity=sum(counts.get(one, 0) * 1000 ** (len(Severity) - place) for place, one in enumerate(Severity)),
        size=image.size,
        size_text="" if image.size is None else format_size(image.size),
        users=image.used_by,
        more=[fact for fact in more if fact[1]],
    )


def _timeline(report: StatusReport) -> Timeline | None:
    """Each image that changed; None without an earlier result."""
    first = min((span.first for image in report.images for span in image.history), default=report.at)
    whole = report.at - first
    if whole <= timedelta(0):
        return None
    changed = {image.key: list(_stretches(image, report, whole)) for image in report.images if len(image.history) > 1}
    return Timeline(first.isoformat(), report.at.isoformat(), changed, len(report.images) - len(changed))


def _stretches(image: ImageStatus, report: StatusReport, whole: timedelta) -> Iterator[Stretch]:
    """Up to the next change: what was so between two results is not known, and is drawn as the former."""
    ends = [*(span.first for span in image.history[1:]), report.at]
    for span, end in zip(image.history, ends, strict=True):
        start = 1000 - 1000 * ((report.at - span.first) / whole)
        yield Stretch(
            round(start, 2), round(max(1000 * ((end - span.first) / whole), 2), 2), span.state.value, _about(span)
        )


def _about(span: Span) -> str:
    times = f"{span.first:%Y-%m-%d %H:%M}"
    times += f" to {span.last:%Y-%m-%d %H:%M}" if span.last != span.first else ""
    facts_ = [f"in ECR {short(span.in_ecr)}", f"admitted {short(span.admitted)}", f"upstream {short(span.newest)}"]
    if span.behind_since:
        facts_.append(f"behind for {max((span.last - span.behind_since).days, 0)} days")
    return f"{times}: {', '.join(facts_)}"
