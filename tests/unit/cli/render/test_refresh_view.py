"""What `refresh` shows, in every format."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tests.support import lock_samples, plan_samples
from tests.support.golden import assert_golden
from tests.support.refresh_samples import BUSY, QUIET, STOPPED
from toolkit.cli.render.result import Look, Result, render
from toolkit.cli.render.serialise import read_result
from toolkit.report import RefreshReport, Report


def shown(report: RefreshReport, form: str, code: int = 0) -> str:
    return render(Result("refresh", code, {"refresh": report}), form, Look(120)) or ""


@pytest.mark.parametrize(("name", "report"), [("busy", BUSY), ("quiet", QUIET), ("stopped", STOPPED)])
@pytest.mark.parametrize(("form", "suffix"), [("text", "txt"), ("markdown", "md")])
def test_shows_what_a_refresh_came_to(name: str, report: RefreshReport, form: str, suffix: str) -> None:
    assert_golden(f"render/refresh_{name}.{suffix}", shown(report, form) + "\n")


@pytest.mark.parametrize("report", [BUSY, QUIET, STOPPED])
def test_reads_its_own_json(report: RefreshReport) -> None:
    assert read_result(shown(report, "json").encode()).values["refresh"] == report


def test_puts_what_a_refresh_says_on_the_page_of_its_copies() -> None:
    values = {
        "lock": lock_samples.CHANGES,
        "report": Report((), 3.0, plan=plan_samples.EVERYTHING_NEW),
        "refresh": BUSY,
    }
    page = render(Result("refresh", 6, values), "html", Look()) or ""
    for text in ("nobody was told", "ThrottlingException", "Gone upstream", "quay/job:1", "ghcr/app:6", "2 tags moved"):
        assert text in page
    assert "<h1>2 tags moved, 1 event sent. " in page


@pytest.mark.parametrize(
    ("report", "code", "expected"),
    [
        (QUIET, 0, {"Refreshed": 1, "Failed": 0, "ImagesMoved": 0, "ImagesBehind": 0, "DaysBehind": 0, "GoneUpstream": 0, "PullsLeft": 93}),
        (BUSY, 6, {"Refreshed": 1, "Failed": 1, "ImagesMoved": 2, "ImagesBehind": 2, "DaysBehind": 2, "GoneUpstream": 1, "PullsLeft": 1}),
        (STOPPED, 7, {"Refreshed": 0, "Failed": 1, "ImagesMoved": 0}),
        (STOPPED, 130, {"Refreshed": 0, "Failed": 1, "ImagesMoved": 0}),
    ],
    ids=["quiet", "incomplete", "refused", "interrupted"],
)  # fmt: skip
def test_tells_cloudwatch_in_one_line_what_was_looked_at_and_nothing_else(
    report: RefreshReport, code: int, expected: dict[str, float]
) -> None:
    text = shown(report, "emf", code)
    assert "\n" not in text
    document = json.loads(text)
    head = document.pop("_aws")
    assert document == {"Manifest": "shop", **expected}
    assert head["Timestamp"] == datetime(2026, 11, 30, 4, 0, 12, tzinfo=UTC).timestamp() * 1000
    [directive] = head["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == ("BaseImageToolkit", [["Manifest"]])
    assert [metric["Name"] for metric in directive["Metrics"]] == list(expected)
    assert {metric["Unit"] for metric in directive["Metrics"]} <= {"Count", "None"}


def test_has_no_metrics_where_nothing_is_known() -> None:
    assert render(Result("refresh", 4), "emf", Look()) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"at": "2026-11-30T', '"at": "2026-11-31T'),
        ('+00:00"', '"'),
        ('"old_digest": "sha256:', '"old_digest": "sha1:'),
    ],
)
def test_a_damaged_result_is_refused_and_no_bug(old: str, new: str) -> None:
    text = shown(BUSY, "json")
    assert old in text
    with pytest.raises(ValueError, match="refresh"):
        read_result(text.replace(old, new).encode())
