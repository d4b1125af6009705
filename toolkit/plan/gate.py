"""What fails `toolkit status --check`, and what of it the manifest's `ignore` accepts. Pure.

An image always fails that is not in ECR or in another region, was overwritten there, is gone upstream, or of which one
of these is not known: a doubt fails a gate. How far behind it may be and which findings it may have is asked for by
options. What somebody holds, suspends or pins is not behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from fnmatch import fnmatchcase

from toolkit.lock.admission import in_words
from toolkit.manifest.model import IgnoreSpec
from toolkit.plan.risks import without_effect
from toolkit.plan.severity import Severity
from toolkit.plan.status import Fault, ImageStatus, State, StatusReport

_HELD_BACK = frozenset({State.MISSING, State.OVERWRITTEN, State.HELD, State.SUSPENDED, State.PINNED})


@dataclass(frozen=True, slots=True)
class Gate:
    """An image fails that is `behind` for so long, or has a finding of `fail_on` or worse; None: whatever it has."""

    behind: timedelta | None = None
    fail_on: Severity | None = None


def check(
    report: StatusReport, gate: Gate, entries: Sequence[IgnoreSpec], names: Mapping[str, Sequence[str]]
) -> StatusReport:
    """`report` with its faults, and with a notice for each entry of `ignore` that has no effect.

    `names` are those by which an entry's `at` may name an image, by key. An entry is not called useless where not all
    images were looked at, or where its code was not asked for.
    """
    found = [fault for image in report.images for fault in _faults(image, report, gate)]
    found += _replica_faults(report)
    today = report.at.date()
    in_force = [entry for entry in entries if today <= entry.last_day]
    kept = [fault for fault in found if not any(_is_about(entry, fault, names) for entry in in_force)]
    asked = [
        (number, entry)
        for number, entry in enumerate(entries)
        if entry.code in _asked_codes(gate) and not report.unseen_images
    ]
    useless = without_effect(asked, lambda entry: any(_is_about(entry, fault, names) for fault in found), today)
    return replace(report, faults=tuple(kept), notices=(*report.notices, *useless))


def _asked_codes(gate: Gate) -> set[str]:
    codes = {"status.missing", "status.overwritten", "status.gone", "status.unknown", "status.not_replicated"}
    codes |= {"status.behind"} if gate.behind is not None else set()
    return codes | ({"status.findings", "status.unscanned"} if gate.fail_on else set())


def _is_about(entry: IgnoreSpec, fault: Fault, names: Mapping[str, Sequence[str]]) -> bool:
    return entry.code == fault.code and any(
        fnmatchcase(name, entry.at) for name in names.get(fault.image, [fault.image])
    )


def _faults(image: ImageStatus, report: StatusReport, gate: Gate) -> Iterator[Fault]:
    key = image.key
    if image.in_ecr is None and report.lock and image.admitted is None:
        yield Fault(
            "status.missing",
            f"`{key}` is not in ECR, and no digest of it is admitted",
            "run `toolkit lock`, then `toolkit seed`",
            key,
        )
    elif image.in_ecr is None:
        yield Fault("status.missing", f"`{key}` is not in ECR", "run `toolkit seed`", key)
    if image.state is State.OVERWRITTEN:
        yield Fault(
            "status.overwritten",
            f"`{key}` was overwritten: {image.reason}",
            "look up `PutImage` in CloudTrail to see who pushed it; `toolkit seed` puts the right image back",
            key,
        )
    if image.is_gone:
        since = f" since {image.gone_since:%Y-%m-%d}" if image.gone_since else ""
        yield Fault(
            "status.gone", f"`{image.source}` is gone upstream{since}", "move to a tag that is still published", key
        )
    if image.state is State.UNKNOWN:
        yield Fault("status.unknown", f"`{key}` cannot be judged: {image.reason}", "run again later", key)
    if gate.behind is not None and image.is_behind and image.state not in _HELD_BACK:
        behind = image.behind_since
        if behind is None:
            yield Fault(
                "status.behind",
                f"`{key}` is behind upstream, and no lock knows since when",
                "run `toolkit lock` before",
                key,
            )
        elif report.at - behind >= gate.behind:
            yield Fault(
                "status.behind",
                f"`{key}` is behind upstream for {in_words(report.at - behind)}",
                "run `toolkit lock` and `toolkit seed`",
                key,
            )
    if gate.fail_on and image.in_ecr is not None:
        counts = (image.scan.counts if image.scan else None) or {}
        bad = ", ".join(f"{counts[one]} {one}" for one in _as_bad_as(gate.fail_on) if counts.get(one))
        if bad:
            yield Fault(
                "status.findings",
                f"`{key}` has findings: {bad}",
                "move to an image without them, or accept them in `ignore` with a `reason` and `until`",
                key,
            )
        if image.scan is None or image.scan.lacking:
            why = ", ".join(dict.fromkeys(image.scan.lacking)) if image.scan else "not asked for"
            yield Fault(
                "status.unscanned",
                f"`{key}` has no result of ECR's scan: {why}",
                "scan it with `aws ecr start-image-scan`, or set `repositories.scan_on_push`",
                key,
            )


def _replica_faults(report: StatusReport) -> Iterator[Fault]:
    regions: dict[str, list[str]] = {}
    for one in report.replicas:
        if one.fault:
            yield Fault(
                "status.unknown",
                f"what `{one.region}` has of the images is not known: {one.fault}",
                "run again later",
                one.region,
            )
        for key in (*one.late, *one.missing):
            regions.setdefault(key, []).append(f"`{one.region}`")
    for key, where in regions.items():
        yield Fault(
            "status.not_replicated",
            f"`{key}` has not arrived in {', '.join(where)}",
            "run `toolkit seed`, which has it copied and waits for it",
            key,
        )


def _as_bad_as(severity: Severity) -> Sequence[Severity]:
    order = list(Severity)
    return order[: order.index(severity) + 1]
