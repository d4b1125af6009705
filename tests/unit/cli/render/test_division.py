"""Every view of a plan in shards says how it is divided, what decides, and whether more shards gain anything."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.plan_samples import EVERYTHING_NEW
from toolkit.cli.options import ScanFormat
from toolkit.cli.render.plan_view import say_division
from toolkit.cli.render.result import Look, Result, render
from toolkit.plan.model import Bound, Division, Shard
from toolkit.report import Report, ShardRun

DIVISION = Division(
    shards=(
        Shard(1, ("a",), 30, 90, 12_000_000_000, 4.5),
        Shard(2, ("b", "c"), 25, 70, 11_500_000_000, 3.5),
    ),
    bound=Bound.BYTES,
    seconds=120.0,
    useful=5,
    groups=3,
    unknown_sizes=0,
)
ONE = replace(DIVISION, shards=DIVISION.shards[:1], useful=1)


@pytest.mark.parametrize(
    ("division", "said"),
    [
        (
            DIVISION,
            [
                "2 shards with 25 to 30 images, 11.5 GB to 12.0 GB each; 3 groups of repositories stay whole.",
                "Bytes decide, at 100 MB a second for a machine: the copies take 2 min at least; up to 5 shards gain.",
            ],
        ),
        (
            replace(DIVISION, bound=Bound.PUT_IMAGE, useful=2, unknown_sizes=4),
            [
                "2 shards with 25 to 30 images, 11.5 GB to 12.0 GB each; 3 groups of repositories stay whole.",
                "The size of 4 images is not known: --sizes reads it.",
                "PutImage decides, at 8 a second in the region: the copies take 2 min at least; "
                "more shards gain nothing.",
            ],
        ),
        (
            replace(ONE, shards=(replace(ONE.shards[0], size=None),), bound=Bound.PULLS),
            [
                "1 shard with 30 images each; 3 groups of repositories stay whole.",
                "Counted pulls decide, which come back with time: the copies take 2 min at least; "
                "more shards gain nothing.",
            ],
        ),
        (
            replace(DIVISION, at_once=1, useful=1),
            [
                "2 shards with 25 to 30 images, 11.5 GB to 12.0 GB each; 3 groups of repositories stay whole.",
                "Of 2 shards 1 runs at a time in CodeBuild, by the quota of this account.",
                "Bytes decide, at 100 MB a second for a machine: the copies take 2 min at least; "
                "more shards gain nothing.",
            ],
        ),
        (None, []),
    ],
)
def test_says_what_bounds_the_copies(division: Division | None, said: list[str]) -> None:
    assert say_division(division) == said


@pytest.mark.parametrize("form", [ScanFormat.TEXT, ScanFormat.MARKDOWN, ScanFormat.HTML])
def test_every_view_of_a_plan_has_its_shards(form: ScanFormat) -> None:
    plan = replace(EVERYTHING_NEW, division=DIVISION)
    text = render(Result("plan", 0, {"plan": plan}), form, Look(width=200))
    assert text
    assert "2 shards with 25 to 30 images" in text
    assert "up to 5 shards gain" in text


@pytest.mark.parametrize("form", [ScanFormat.TEXT, ScanFormat.MARKDOWN])
def test_a_report_says_of_which_shard_it_is(form: ScanFormat) -> None:
    text = render(Result("apply", 0, {"report": Report((), 3.0, shard=ShardRun(2, 4, "x"))}), form, Look())
    assert text
    assert "Shard 2 of 4" in text
