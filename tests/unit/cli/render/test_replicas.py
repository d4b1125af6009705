"""What the views say of other regions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.plan_samples import EMPTY, EVERYTHING_NEW
from toolkit.cli.render.plan_markdown import render_plan_markdown
from toolkit.cli.render.plan_view import render_plan
from toolkit.cli.render.report_markdown import render_report_markdown
from toolkit.cli.render.report_view import render_report
from toolkit.cli.render.result import Look, Result, render
from toolkit.cli.render.serialise import document_of, plan_from_json, plan_to_json
from toolkit.plan.model import InfraAction, InfraChange, Replica
from toolkit.report import ReplicaOutcome, Report
from toolkit.terraform.root_module import repository_address

REPLICAS = (
    Replica("eu-west-1", 12_300_000_000, 12_300_000_000, 1.23, 0.25, "2026-03-15"),
    Replica("us-east-1", 12_300_000_000, 0, 1.23, 0.0, "2026-03-15"),
    Replica("us-west-2", 12_300_000_000, 4, 1.23, None, "2026-03-15", 2),
)
PLAN = replace(EVERYTHING_NEW, replicas=REPLICAS)
WORDS = [
    "Replicas in `eu-west-1`: at most 12.3 GB, $1.23 a month; at most 12.3 GB is sent there once, for $0.25 (prices as of 2026-03-15)",
    "Replicas in `us-east-1`: at most 12.3 GB, $1.23 a month (prices as of 2026-03-15)",
    "Replicas in `us-west-2`: at most 12.3 GB, $1.23 a month; at most 4 B is sent there once, at a price that this version does not know; besides, 2 images of unknown size (prices as of 2026-03-15)",
]
LATE = Report(
    (),
    3.0,
    replicas=(
        ReplicaOutcome("eu-west-1", 3),
        ReplicaOutcome("us-east-1", 1, ("a:1", "b:1")),
        ReplicaOutcome("us-west-2", 0, tuple(f"a:{n}" for n in range(7)), "replication.no_rule", "no rule", "apply"),
    ),
)


def test_a_plan_says_what_each_region_costs() -> None:
    shown = render_plan(PLAN, width=500)
    assert [line for line in shown.splitlines() if line.startswith("Replicas")] == WORDS
    assert "Replicas in `eu-west-1`: at most 12.3 GB" in render_plan_markdown(PLAN)


def test_a_plan_with_replicas_is_read_back() -> None:
    assert plan_from_json(plan_to_json(PLAN)) == PLAN


def test_a_replica_is_named_with_its_region() -> None:
    change = InfraChange(
        repository_address("mirror/x", "us-east-1"),
        "aws_ecr_repository",
        InfraAction.CREATE,
        "mirror/x",
        region="us-east-1",
    )
    assert "mirror/x in us-east-1" in render_plan(replace(EMPTY, infra_changes=(change,)))


@pytest.mark.parametrize("render", [render_report, render_report_markdown])
def test_a_report_says_which_images_are_late_where(render: object) -> None:
    shown = render(LATE)  # type: ignore[operator]
    assert "`us-east-1` lacks `a:1`, `b:1`" in shown
    assert "and 2 more" in shown
    assert "Not finished" in shown
    assert "3 of 3 images have arrived." in shown
    assert not document_of("report", LATE)["is_complete"]


def test_gives_each_region_a_tile_of_its_own_on_the_page() -> None:
    page = render(Result("plan", 0, {"plan": PLAN}), "html", Look()) or ""
    assert "<dt>Replicas in us-east-1</dt>\n<dd>at most 12.3 GB, $1.23 a month" in page
    page = render(Result("apply", 6, {"report": LATE}), "html", Look()) or ""
    assert "<dt>Arrived in us-east-1</dt>\n<dd>1 of 3 images" in page
