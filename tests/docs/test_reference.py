"""The generated reference says what the code says, and its schemas hold for what the code writes."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from tests.bench import plot
from tests.docs import reference
from tests.docs.pages import ROOT
from tests.docs.result_samples import RESULTS
from tests.support.event_samples import SAMPLES
from tests.support.plan_samples import plans
from toolkit.cli.commands.schema import Kind, schema_of
from toolkit.cli.render.serialise import OBJECTS, document_of, read_result
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


def closed(schema: Any) -> Any:
    """The same schema, which takes no other fields than those that it names."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    more = {"additionalProperties": False} if isinstance(schema.get("properties"), dict) else {}
    return {**{key: closed(one) for key, one in schema.items()}, **more}


@cache
def checker(kind: Kind) -> Draft202012Validator:
    """For exactly what the published schema describes."""
    text = (reference.REFERENCE / "schemas" / f"{kind}.json").read_text(encoding="utf-8")
    Draft202012Validator.check_schema(json.loads(text))
    return Draft202012Validator(closed(json.loads(text)))


@given(plans)
def test_describes_any_plan(plan: Plan) -> None:
    PLAN.validate(json.loads(json.dumps(document_of("plan", plan))))


PLAN = checker(Kind.PLAN)


def test_has_a_type_and_a_sample_for_every_result_of_a_command() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "toolkit/cli/commands").glob("*.py")]
    shown = {kind for text in sources for kind in re.findall(r'run\.show\(\s*"(\w+)", (?!\{\})', text)}
    assert shown <= OBJECTS.keys() == RESULTS.keys()


@pytest.mark.parametrize("kind", RESULTS)
def test_describes_every_result(kind: str) -> None:
    whole, line = checker(Kind.RESULT), checker(Kind.EVENTS)
    head = {"type": f"{kind}_made", "sequence": 2, "time": "2026-11-24T10:00:00.000Z"}
    for document in RESULTS[kind].documents:
        result = {"schema_version": 1, "command": "any", "exit_code": 0, kind: document}
        whole.validate(result)
        assert read_result(json.dumps(result).encode()).command == "any"
        line.validate({**head, kind: document})
        if kind in list(Kind) and kind != Kind.MANIFEST:
            checker(Kind(kind)).validate(document)


@pytest.mark.parametrize("event", [event for event in SAMPLES if not event.ephemeral], ids=lambda event: event.name)
def test_describes_every_event(event: Any) -> None:
    line = {"type": event.name, "sequence": 2, "time": "2026-11-24T10:00:00.000Z", **asdict(event)}
    checker(Kind.EVENTS).validate(json.loads(json.dumps(line)))


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.MANIFEST])
def test_takes_nothing_away_from_the_readers_of_a_version(kind: Kind) -> None:
    published = json.loads((reference.REFERENCE / "schemas" / f"{kind}.json").read_text(encoding="utf-8"))
    assert reference.losses(published, schema_of(kind)) == [], "raise the `schema_version`"


def changed(kind: Kind, change: Callable[[Any], object]) -> Any:
    schema = copy.deepcopy(schema_of(kind))
    change(schema)
    return schema


@pytest.mark.parametrize(
    ("kind", "change", "lost"),
    [
        (Kind.PLAN, lambda plan: plan["properties"].pop("name"), ["name: string, now gone"]),
        (Kind.PLAN, lambda plan: plan["$defs"]["SeedObject"]["properties"].update(size={"type": "string"}), ["seeds[].size: integer or null, now string"]),
        (Kind.PLAN, lambda plan: plan["$defs"]["Notice"]["required"].remove("hint"), ["notices[].hint: string or null, now string or null, may be absent"]),
        (Kind.PLAN, lambda plan: plan["$defs"]["Notice"]["properties"].update(more={"type": "string"}), []),
        (Kind.PLAN, lambda plan: plan["$defs"]["SeedAction"]["enum"].append("hold"), []),
        (Kind.PLAN, lambda plan: plan["properties"].update(schema_version={"const": 2}, name={}), []),
        (Kind.EVENTS, lambda line: line["oneOf"][0]["properties"].pop("command"), ["run_started.command: string, now gone"]),
        (Kind.EVENTS, lambda line: line["oneOf"].append({"properties": {"type": {"const": "new"}}}), []),
    ],
)  # fmt: skip
def test_knows_what_readers_would_lose(kind: Kind, change: Callable[[Any], object], lost: list[str]) -> None:
    assert reference.losses(schema_of(kind), changed(kind, change)) == lost


def test_does_not_write_a_schema_that_breaks_the_promise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "schemas").mkdir()
    old = changed(Kind.PLAN, lambda plan: plan["properties"].update(sizes={"type": "integer"}))
    (tmp_path / "schemas" / "plan.json").write_text(json.dumps(old), encoding="utf-8")
    monkeypatch.setattr(reference, "REFERENCE", tmp_path)
    monkeypatch.setattr(reference, "pages", lambda: {"schemas/plan.json": json.dumps(schema_of(Kind.PLAN))})
    with pytest.raises(SystemExit, match="raise the `schema_version`, or keep sizes: integer, may be absent, now gone"):
        reference.main()
    assert json.loads((tmp_path / "schemas" / "plan.json").read_text(encoding="utf-8")) == old


def test_draws_the_speed_that_was_measured() -> None:
    results = json.loads((ROOT / "tests/bench/results.json").read_text(encoding="utf-8"))
    assert (ROOT / "docs/images/speed.svg").read_text(encoding="utf-8") == plot.render(results), "run `make plot`"
