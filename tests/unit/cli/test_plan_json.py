"""A plan in a saved file reads back exactly, and anything else is refused with the field."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import plan_samples
from tests.support.plan_samples import plans
from toolkit.cli.render.serialise import plan_from_json, plan_to_json
from toolkit.plan.model import Plan


@given(plans)
@settings(deadline=None)
def test_reads_back_what_was_written(plan: Plan) -> None:
    assert plan_from_json(plan_to_json(plan)) == plan


def changed(path: str, value: object) -> bytes:
    document: Any = json.loads(plan_to_json(plan_samples.MIXED))
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place = document
    for part in parents:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("name", ..., "`name`: Field required"),
        ("more", 1, "it does not have exactly the fields of a plan"),
        ("keeps_going", ..., "`keeps_going`: Field required"),
        ("totals", {}, "it does not have exactly the fields of a plan"),
        ("seeds.1.is_overwritten", 0, "`seeds.1.is_overwritten`: Input should be a valid boolean"),
        ("seeds", {}, "`seeds`: Input should be a valid array"),
        ("seeds.1", "x", "`seeds.1`: Input should be an object"),
        ("seeds.1.more", 1, "it does not have exactly the fields of a plan"),
        ("seeds.1.action", "delete", "`seeds.1.action`: Input should be 'copy', 'move' or 'keep'"),
        ("seeds.0.wanted_digest", "sha256:ab", "`seeds.0.wanted_digest`: `sha256:ab` is no digest"),
        ("seeds.0.wanted_digest", ..., "`seeds.0.wanted_digest`: Field required"),
        ("seeds.0.source.repository", "UP", "`seeds.0.source`: `docker.io/UP` is not spelled canonically"),
        ("seeds.1.subset.platforms", ["linux"], "`seeds.1.subset.platforms.0`: `linux` is no platform"),
        ("seeds.1.size", 1.5, "`seeds.1.size`: Input should be a valid integer"),
        (
            "seeds.1.subset.keeps_attestations",
            1,
            "`seeds.1.subset.keeps_attestations`: Input should be a valid boolean",
        ),
        ("pull_costs.0.budget.remaining", "3", "`pull_costs.0.budget.remaining`: Input should be a valid integer"),
        ("account", None, "`account`: Input should be an object"),
    ],
)
def test_refuses_another_document_with_the_field(path: str, value: object, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        plan_from_json(changed(path, value))


@given(st.data())
@settings(deadline=None)
def test_reads_or_refuses_a_plan_that_is_damaged_anywhere(data: st.DataObject) -> None:
    content = plan_to_json(plan_samples.MIXED)
    at = data.draw(st.integers(0, len(content) - 1))
    damaged = content[:at] + data.draw(st.binary(max_size=3)) + content[at + data.draw(st.integers(0, 40)) :]
    try:
        plan_from_json(damaged)
    except ValueError as error:
        assert str(error)
