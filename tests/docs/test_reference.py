"""The generated reference says what the code says, and its schemas hold for what the code writes."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from tests.bench import plot
from tests.docs import reference
from tests.docs.pages import ROOT
from tests.support.event_samples import SAMPLES
from tests.support.plan_samples import plans
from toolkit.cli.render.serialise import plan_document
from toolkit.plan.model import Plan


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return reference.pages()


def test_is_as_make_reference_writes_it(pages: dict[str, str]) -> None:
    old = [name for name, text in pages.items() if (reference.REFERENCE / name).read_text(encoding="utf-8") != text]
    assert not old, "run `make reference`"


def test_has_no_schema_of_a_result_that_is_gone(pages: dict[str, str]) -> None:
    there = {f"schemas/{path.name}" for path in (reference.REFERENCE / "schemas").iterdir()}
    assert there == {name for name in pages if name.startswith("schemas/")}


@given(plans)
def test_describes_any_plan(plan: Plan) -> None:
    schema = json.loads((reference.REFERENCE / "schemas" / "plan.json").read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(json.loads(json.dumps(plan_document(plan))))


@pytest.mark.parametrize("event", [event for event in SAMPLES if not event.ephemeral], ids=lambda event: event.name)
def test_describes_every_event(event: Any) -> None:
    line = {"type": event.name, "sequence": 2, "time": "2026-11-24T10:00:00.000Z", **asdict(event)}
    Draft202012Validator(reference.event_schema()).validate(json.loads(json.dumps(line)))


def test_draws_the_speed_that_was_measured() -> None:
    results = json.loads((ROOT / "tests/bench/results.json").read_text(encoding="utf-8"))
    assert (ROOT / "docs/images/speed.svg").read_text(encoding="utf-8") == plot.render(results), "run `make plot`"
