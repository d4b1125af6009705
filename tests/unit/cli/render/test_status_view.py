"""The state of a mirror in each view."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support import page_samples
from tests.support.golden import assert_golden
from tests.support.rendered_markdown import RenderedMarkdown
from tests.support.status_samples import DAY, IMAGES, NOW, REPORT, hostile, image, many, result
from toolkit.cli.render.result import Look, Result, render, result_document
from toolkit.cli.render.serialise import read_result
from toolkit.cli.render.status_page import status_page
from toolkit.cli.render.status_view import (
    SECTIONS,
    WORDS,
    render_status,
    render_status_markdown,
    say_scan,
    say_status,
)
from toolkit.plan.severity import Severity
from toolkit.plan.status import Scan, State


def test_shows_the_worst_first_with_reasons_and_counts_what_is_fine() -> None:
    text = render_status(REPORT)
    assert_golden("render/status.txt", text)
    assert max(map(len, text.splitlines())) <= 100 or text.splitlines()[0] == say_status(REPORT)
    assert "nginx:1.27" not in text
    assert "nginx:1.27" in render_status(REPORT, shows_unchanged=True)


def test_names_what_other_regions_lack_where_all_is_listed_and_never_says_a_state_twice() -> None:
    assert "1 late, 2 missing" in render_status(REPORT) and "quay/node" not in render_status(REPORT)
    assert "missing: docker-hub/library/postgres:17, quay/node:1" in render_status(REPORT, shows_unchanged=True)
    markdown = render_status_markdown(REPORT)
    assert "2 missing (`docker-hub/library/postgres:17`, `quay/node:1`)" in markdown
    assert "**held** until" in markdown and "held: held" not in markdown.replace("*", "")
    page = status_page("status", replace(REPORT, faults=None))
    assert [one.text for one in page.alarms[-1].remarks] == [
        "`us-east-1`: 9 of 12 images in place, 1 late, 2 missing",
        "`us-west-2`: not known: AWS cannot be reached: no such host",
    ]
    assert "late in us-east-1" in next(row for row in page.rows if row.name.endswith("nginx:1.27")).beneath


def test_fits_a_long_name_on_a_line_of_its_own() -> None:
    long = replace(IMAGES[1], key="a" * 90)
    lines = render_status(replace(REPORT, images=(long,))).splitlines()
    assert f"  {'a' * 90}" in lines
    assert max(map(len, lines)) <= 100


def test_puts_every_state_into_one_section() -> None:
    listed = [state for states in SECTIONS.values() for state in states]
    assert sorted(listed) == sorted(State) == sorted(WORDS)


def test_makes_the_body_of_a_dashboard_issue() -> None:
    markdown = render_status_markdown(REPORT)
    assert_golden("render/status.md", markdown)
    seen = RenderedMarkdown(markdown)
    assert not seen.faults
    assert seen.details == 1
    order = [markdown.index(title) for title in ("Needs a decision", "Cooling down", "**Behind**", "Fine: 1 image")]
    assert order == sorted(order)


def test_fits_a_thousand_images_into_an_issue_and_counts_the_rest() -> None:
    markdown = render_status_markdown(many(1000))
    assert len(markdown) < 60_000
    assert not RenderedMarkdown(markdown).faults
    assert " more" in markdown


def test_shows_hostile_text_as_text_in_every_view() -> None:
    text = render_status(hostile(), shows_unchanged=True)
    assert "\x1b" not in text and "\u202e" not in text and "\n::error" not in text
    seen = RenderedMarkdown(render_status_markdown(hostile()))
    assert not seen.faults
    assert len(seen.comments) == 1
    page = page_samples.page(result(hostile()))
    assert "<img" not in page and "</script><!--" not in page


@pytest.mark.parametrize("report", [REPORT, hostile(), replace(REPORT, lock=None, drift=None, faults=None)])
def test_is_shown_again_from_its_json(report: Any) -> None:
    saved = json.dumps(result_document(Result("status", 0, {"status": report})))
    again = read_result(saved.encode())
    assert again.values["status"] == report
    assert render(again, "text", Look()) == render(Result("status", 0, {"status": report}), "text", Look())


def test_refuses_a_time_without_a_zone() -> None:
    document = result(REPORT)
    document["status"]["at"] = "2026-11-30T06:00:00"
    with pytest.raises(ValueError, match=r"status\.at"):
        read_result(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("scan", "words"),
    [
        (None, "scan not asked for"),
        (Scan(lacking=("not scanned",)), "not scanned"),
        (Scan({}, NOW), "scan of 2026-11-30: no findings"),
        (Scan({Severity.CRITICAL: 1, Severity.LOW: 0}, NOW), "scan of 2026-11-30: 1 critical"),
        (Scan({Severity.HIGH: 2}, None, ("not scanned",)), "scan: 2 high; not scanned (1 platform)"),
    ],
)
def test_says_what_a_scan_found_and_never_that_none_found_nothing(scan: Scan | None, words: str) -> None:
    assert say_scan(scan) == words


def test_draws_a_time_line_only_of_earlier_results() -> None:
    page = status_page("status", REPORT)
    assert page.timeline
    [(name, stretches)] = page.timeline.lines.items()
    assert name.endswith("python:3.12-slim")
    assert [one.state for one in stretches] == ["fine", "behind", "fine", "cooling"]
    assert stretches[0].start == 0
    assert sum(one.length for one in stretches) == pytest.approx(1000, abs=1)
    assert "behind for 4 days" in stretches[-1].about
    assert status_page("status", replace(REPORT, images=(image("nginx:1"),))).timeline is None


def test_says_that_a_check_passed() -> None:
    passed = replace(REPORT, faults=(), images=(image("nginx:1"),))
    assert "The check passes." in render_status(passed)
    assert "The check passes." not in render_status(replace(passed, faults=None))
    assert status_page("status", replace(passed, at=NOW + DAY)).calm
