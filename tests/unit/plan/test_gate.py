"""What fails `status --check`, and what `ignore` accepts of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from toolkit.manifest.model import IgnoreSpec
from toolkit.oci.digest import Digest
from toolkit.plan.gate import Gate, check
from toolkit.plan.observed import Account
from toolkit.plan.severity import Severity
from toolkit.plan.status import ImageStatus, Scan, State, StatusReport

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
A = Digest.of(b"A")
CLEAN = Scan({}, NOON)
FINE = ImageStatus("nginx:1.27", "docker.io/library/nginx:1.27", State.FINE, "", in_ecr=A, scan=CLEAN)
NAMES = {"nginx:1.27": ("nginx:1.27", "docker.io/library/nginx:1.27")}
WEEK = Gate(behind=7 * DAY)
CRITICAL = Gate(fail_on=Severity.CRITICAL)
HIGH = Gate(fail_on=Severity.HIGH)
BEHIND = replace(FINE, state=State.BEHIND, is_behind=True, behind_since=NOON - 7 * DAY)


def gated(image: ImageStatus, gate: Gate = Gate(), *entries: IgnoreSpec, unseen: int = 0) -> StatusReport:  # noqa: B008  it is frozen
    report = StatusReport("shop", Account("1", "eu-west-1", "host"), NOON, None, (image,), unseen_images=unseen)
    return check(report, gate, entries, NAMES)


def codes(report: StatusReport) -> list[str]:
    return [fault.code for fault in report.faults or ()]


@pytest.mark.parametrize(
    ("image", "gate", "wanted"),
    [
        (FINE, Gate(), []),
        (replace(FINE, state=State.MISSING, in_ecr=None), Gate(), ["status.missing"]),
        (replace(FINE, state=State.COOLING, in_ecr=None), Gate(), ["status.missing"]),
        (replace(FINE, state=State.MISSING, in_ecr=None, is_gone=True), HIGH, ["status.missing", "status.gone"]),
        (replace(FINE, state=State.OVERWRITTEN), Gate(), ["status.overwritten"]),
        (replace(FINE, state=State.GONE, is_gone=True), Gate(), ["status.gone"]),
        (replace(FINE, state=State.UNKNOWN), Gate(), ["status.unknown"]),
        (BEHIND, Gate(), []),
        (BEHIND, WEEK, ["status.behind"]),
        (replace(BEHIND, state=State.COOLING), WEEK, ["status.behind"]),
        (replace(BEHIND, behind_since=NOON - 6.9 * DAY), WEEK, []),
        (replace(BEHIND, behind_since=None), WEEK, ["status.behind"]),  # a doubt fails
        *((replace(BEHIND, state=state), WEEK, []) for state in (State.HELD, State.SUSPENDED, State.PINNED)),
        (replace(FINE, scan=Scan({Severity.CRITICAL: 1}, NOON)), CRITICAL, ["status.findings"]),
        (replace(FINE, scan=Scan({Severity.CRITICAL: 1}, NOON)), HIGH, ["status.findings"]),
        (replace(FINE, scan=Scan({Severity.HIGH: 1}, NOON)), CRITICAL, []),
        (replace(FINE, scan=Scan({Severity.CRITICAL: 1}, NOON)), Gate(), []),
        (replace(FINE, scan=Scan(lacking=("not scanned",))), HIGH, ["status.unscanned"]),
        (replace(FINE, scan=None), HIGH, ["status.unscanned"]),
        (
            replace(FINE, scan=Scan({Severity.HIGH: 2}, NOON, ("not scanned",))),
            HIGH,
            ["status.findings", "status.unscanned"],
        ),
    ],
)
def test_fails_for_what_is_wrong_and_what_is_not_known(image: ImageStatus, gate: Gate, wanted: list[str]) -> None:
    assert codes(gated(image, gate)) == wanted


def entry(code: str, at: str, until: str = "2026-12-31") -> IgnoreSpec:
    return IgnoreSpec.model_validate({"code": code, "at": at, "reason": "accepted", "until": until})


@pytest.mark.parametrize("at", ["nginx:1.27", "nginx:*", "docker.io/library/nginx:1.27", "*"])
def test_lets_pass_what_is_accepted_by_key_or_source(at: str) -> None:
    report = gated(BEHIND, WEEK, entry("status.behind", at))
    assert (report.faults, report.notices) == ((), ())


@pytest.mark.parametrize(
    ("accepted", "notice"),
    [
        (entry("status.behind", "nginx:1.27", "2026-11-29"), "ignore.expired"),
        (entry("status.behind", "nginx:1.26"), "ignore.unused"),
        (entry("status.gone", "nginx:1.27"), "ignore.unused"),
    ],
)
def test_names_an_entry_that_is_over_or_fits_nothing(accepted: IgnoreSpec, notice: str) -> None:
    report = gated(BEHIND, WEEK, accepted)
    assert codes(report) == ["status.behind"]
    assert [one.code for one in report.notices] == [notice]
    assert report.notices[0].message.startswith("`ignore[0]`")


def test_counts_the_last_day_of_an_entry_in_full() -> None:
    assert gated(BEHIND, WEEK, entry("status.behind", "*", "2026-11-30")).faults == ()


@pytest.mark.parametrize(
    ("accepted", "unseen"),
    [
        (entry("status.findings", "nginx:1.27"), 0),  # not asked for
        (entry("risk.wide_rights", "builds.web"), 0),
        (entry("status.gone", "other:1"), 3),  # may be about one that was not looked at
    ],
)
def test_calls_no_entry_useless_that_this_run_cannot_judge(accepted: IgnoreSpec, unseen: int) -> None:
    assert gated(BEHIND, WEEK, accepted, unseen=unseen).notices == ()
