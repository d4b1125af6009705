from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from tests.support import plan_samples
from tests.support.golden import assert_golden
from toolkit.cli.render.serialise import document_of
from toolkit.report import Report, SeedOutcome, SeedStatus


def test_a_plan_is_written_as_reviewed() -> None:
    assert_golden("render/plan_mixed.json", json.dumps(document_of("plan", plan_samples.MIXED), indent=2) + "\n")


def test_totals_are_those_of_terraform() -> None:
    document: Any = document_of("plan", plan_samples.CHANGED)
    assert document["totals"]["resources"] == {"import": 5, "create": 5, "update": 7, "destroy": 5, "forget": 2}
    assert document["totals"]["overwritten"] == 2


def test_a_plan_that_keeps_going_is_not_refused_for_its_images() -> None:
    document: Any = document_of("plan", plan_samples.KEEPS_GOING)
    assert document["is_refused"] is False
    assert document["totals"]["skipped"] == 3
    assert document_of("plan", replace(plan_samples.KEEPS_GOING, keeps_going=False))["is_refused"] is True


def test_derived_words_tell_what_a_pipeline_asks() -> None:
    document: Any = document_of("plan", plan_samples.EVERYTHING_NEW)
    assert document["has_changes"] is True
    assert document["is_refused"] is False
    assert document["totals"] == {
        "resources": {"import": 0, "create": 10, "update": 0, "destroy": 0, "forget": 0},
        "images": {"copy": 4, "move": 0, "keep": 0},
        "overwritten": 0,
        "skipped": 0,
        "bytes_to_copy_at_most": 1_174_830_000,
        "images_of_unknown_size": 2,
        "pulls": {"at_least": 6, "at_most": 7},
    }
    document = document_of("plan", plan_samples.NO_CHANGES)
    assert document["has_changes"] is False
    assert document["totals"]["pulls"] == {"at_least": 0, "at_most": 0}
    document = document_of("plan", plan_samples.MIXED)
    assert document["is_refused"] is True
    assert document["totals"]["pulls"] == {"at_least": 7, "at_most": None}


def test_a_report_is_written_with_its_totals_and_its_plan() -> None:
    outcomes = (
        SeedOutcome(
            "a:1",
            SeedStatus.COPIED,
            "s",
            "d",
            digest="sha256:ab",
            moved_bytes=5,
            total_bytes=9,
            moved_blobs=1,
            mounted_blobs=2,
            present_blobs=3,
            document_reads=4,
            seconds=0.5,
        ),
        SeedOutcome(
            "b:1", SeedStatus.FAILED, "s", "d", moved_bytes=2, error_code="x.y", error_message="no", hint="try"
        ),
    )
    report = Report(outcomes, 3.0, MIXED_CHANGE, {"repository_urls": {"a": "host/a"}}, plan_samples.MIXED)
    document: Any = json.loads(json.dumps(document_of("report", report)))
    assert document["plan"] == json.loads(json.dumps(document_of("plan", plan_samples.MIXED)))
    del document["plan"]
    assert_golden("render/report.json", json.dumps(document, indent=2) + "\n")


MIXED_CHANGE = plan_samples.MIXED.infra_changes[:1]


def test_a_report_without_failures_is_complete() -> None:
    done = document_of("report", Report((SeedOutcome("a:1", SeedStatus.UNCHANGED, "s", "d"),), 1.0))
    assert (done["is_complete"], done["plan"], done["outputs"]) == (True, None, {})
    assert (
        document_of("report", Report((SeedOutcome("a:1", SeedStatus.SKIPPED, "s", "d"),), 1.0))["is_complete"] is False
    )
