"""What `prune` shows, in every format."""

from __future__ import annotations

import json
from datetime import date

import pytest

from tests.support.golden import assert_golden
from tests.support.prune_samples import DONE, INDEX, NOTHING, PLANNED
from toolkit.cli.render.result import Look, Result, render
from toolkit.cli.render.serialise import read_result
from toolkit.plan.pruning import PrunePlan


def shown(plan: PrunePlan, form: str, width: int = 120) -> str:
    return render(Result("prune", 0, {"prune": plan}), form, Look(width)) or ""


@pytest.mark.parametrize(("name", "plan"), [("planned", PLANNED), ("done", DONE), ("nothing", NOTHING)])
@pytest.mark.parametrize(("form", "suffix"), [("text", "txt"), ("markdown", "md")])
def test_shows_what_goes_and_why(name: str, plan: PrunePlan, form: str, suffix: str) -> None:
    assert_golden(f"render/prune_{name}.{suffix}", shown(plan, form) + "\n")


@pytest.mark.parametrize("plan", [PLANNED, DONE, NOTHING])
def test_reads_its_own_json(plan: PrunePlan) -> None:
    assert read_result(shown(plan, "json").encode()).values["prune"] == plan


def test_counts_bytes_and_money_at_most() -> None:
    totals = json.loads(shown(PLANNED, "json"))["prune"]["totals"]
    assert totals == {
        "images": 13,
        "deleted": 6,
        "tags": 1,
        "left": 0,
        "bytes_at_most": 2_503_000_500,
        "dollars_a_month_at_most": 0.25,
    }
    price = json.loads(shown(PLANNED, "json"))["prune"]["price"]
    assert price["dollars"] == 0.1 and date.fromisoformat(price["seen"])


def test_puts_each_image_and_each_failure_on_the_page() -> None:
    page = shown(DONE, "html")
    for text in (str(INDEX), "1.16.1", "ImageReferencedByManifestList", "still there", "prune.foreign"):
        assert text in page
    assert "<script>alert" not in page
