"""Every view is made of what the JSON document says, so a document that is read back looks as it did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import plan_samples
from tests.support.plan_samples import counts, infra_changes, plans, texts, values
from tests.support.scanned_project import write_project
from toolkit.cli.options import ScanFormat
from toolkit.cli.render.result import Look, Result, render, result_document
from toolkit.cli.render.serialise import read_result
from toolkit.codebuild.coverage import Builder, Kind, Outcome, Trait, Verdict
from toolkit.codebuild.matching import Mirror
from toolkit.codebuild.scan_report import ScannedUse, ScanReport, ScanTrouble
from toolkit.manifest.strategy import Strategy
from toolkit.operations.scan import ScanOptions, scan
from toolkit.plan.model import Plan, SeedAction
from toolkit.report import LEFT, CheckState, CopyPreview, Finding, Report, SavedFile, SeedOutcome, SeedStatus

FORMS = [form for form in ScanFormat if form is not ScanFormat.JSON_LINES]
maybe = st.none() | texts


def in_order(fields: Mapping[Any, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[Any, Any]]:
    """A dictionary with these fields, in their order."""
    return st.fixed_dictionaries(dict(fields)).map(lambda made: {name: made[name] for name in fields})


outcomes = st.builds(
    SeedOutcome,
    texts,
    st.sampled_from(SeedStatus),
    texts,
    texts,
    digest=maybe,
    moved_bytes=counts,
    total_bytes=counts,
    moved_blobs=counts,
    mounted_blobs=counts,
    present_blobs=counts,
    document_reads=counts,
    seconds=st.floats(0, 10**6),
    error_code=maybe | st.just(LEFT),
    error_message=maybe,
    hint=maybe,
)
reports = st.builds(
    Report,
    st.lists(outcomes, max_size=3).map(tuple),
    st.floats(0, 10**6),
    infra_changes,
    st.dictionaries(texts, values, max_size=2),
    st.none() | plans,
    st.booleans(),
)
previews = st.lists(
    st.builds(CopyPreview, texts, texts, st.none() | st.sampled_from(SeedAction), maybe, maybe, maybe, maybe),
    max_size=3,
).map(tuple)
verdicts = st.builds(Outcome, st.sampled_from(Verdict), st.sampled_from([*Kind, *Trait]), texts)
uses = st.builds(
    ScannedUse,
    file=texts,
    line=counts,
    kind=st.sampled_from(Kind),
    written=texts,
    reference=st.none() | plan_samples.references.map(str),
    registry=maybe,
    platform=maybe,
    is_pinned=st.booleans(),
    pulls_always=st.booleans(),
    unset=st.lists(texts, max_size=2).map(tuple),
    mirror=st.none() | st.builds(Mirror, texts, texts, texts),
    built_by=maybe,
    is_unreached=st.booleans(),
    builder=st.sampled_from(Builder),
    is_builder_named=st.booleans(),
    builders=st.fixed_dictionaries({strategy: st.sampled_from(Builder) for strategy in Strategy}),
    outcome=verdicts,
    outcomes=in_order(dict.fromkeys(Strategy, in_order(dict.fromkeys(Builder, verdicts)))),
    is_read=st.booleans(),
    can_be_added=st.booleans(),
    doubt=texts,
    is_implied=st.booleans(),
    remedy=texts,
)
scans = st.builds(
    ScanReport,
    maybe,
    maybe,
    st.sampled_from(Strategy),
    texts,
    st.dictionaries(texts, st.sampled_from(["dockerfile", "compose"]), max_size=2),
    st.lists(uses, max_size=2).map(tuple),
    st.lists(st.builds(ScanTrouble, texts, counts, texts, st.booleans()), max_size=2).map(tuple),
    st.lists(texts, max_size=2).map(tuple),
)
saved_files = st.builds(
    SavedFile,
    texts,
    texts,
    texts,
    st.dictionaries(texts, texts, max_size=2),
    maybe,
    st.lists(texts, max_size=2).map(tuple),
    st.booleans(),
    st.booleans(),
)
issues = in_order({"file": texts, "line": counts, "path": texts, "message": texts})
errors = in_order({"code": texts, "message": texts, "hint": maybe}) | in_order(
    {"code": texts, "message": texts, "hint": maybe, "issues": st.lists(issues, min_size=1, max_size=2)}
)


def written(result: Result) -> bytes:
    return json.dumps(result_document(result)).encode()


def assert_looks_the_same(result: Result) -> None:
    again = read_result(written(result))
    assert again == result
    for form in FORMS:
        for look in (Look(), Look(80, colour=True, shows_unchanged=True, has_places=True)):
            assert render(again, form, look) == render(result, form, look), form


PLANS = {name: value for name, value in vars(plan_samples).items() if isinstance(value, Plan)}


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_looks_the_same_after_it_was_read(name: str) -> None:
    assert_looks_the_same(Result("plan", 0, {"plan": PLANS[name]}))


@given(plans, reports, st.none() | errors)
@settings(deadline=None, max_examples=30)
def test_any_apply_looks_the_same_after_it_was_read(
    plan: Plan, report: Report, error: Mapping[str, Any] | None
) -> None:
    assert_looks_the_same(Result("apply", 6, {"plan": plan, "report": report}, error))


@given(previews)
@settings(deadline=None, max_examples=30)
def test_any_preview_looks_the_same_after_it_was_read(preview: tuple[CopyPreview, ...]) -> None:
    assert_looks_the_same(Result("copy", 0, {"preview": preview}))


@given(scans)
@settings(deadline=None, max_examples=30)
def test_any_scan_looks_the_same_after_it_was_read(report: ScanReport) -> None:
    assert_looks_the_same(Result("scan", 0, {"scan": report}))


FINDINGS = (
    Finding("disk", CheckState.OK, "there is room"),
    Finding("rights", CheckState.FAILED, "no", "ask", "web", "aws.denied", is_denied=True),
)


def test_a_diagnosis_looks_the_same_after_it_was_read_and_is_in_every_view() -> None:
    result = Result("doctor", 4, {"diagnosis": FINDINGS})
    assert_looks_the_same(result)
    assert all("there is room" in (render(result, form, Look()) or "") for form in FORMS if form != "sarif")


def test_reads_a_name_that_is_not_utf_8_without_the_wrong_bytes() -> None:
    reasons = ("a\udcff/Dockerfile", "\U0001f433", "\\udcff", "\ud83d", "\\\ud83d!")
    result = Result("doctor", 0, {"diagnosis": tuple(Finding("x", CheckState.OK, reason) for reason in reasons)})
    read = read_result(json.dumps(result_document(result)).encode()).values["diagnosis"]
    assert [one.reason for one in read] == ["a\ufffd/Dockerfile", "\U0001f433", "\\udcff", "\ufffd", "\\\ufffd!"]


def test_a_real_scan_looks_the_same_after_it_was_read(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    assert_looks_the_same(Result("scan", 0, {"scan": scan(ScanOptions((project,), project, None)).report}))


@given(saved_files, plans)
@settings(deadline=None, max_examples=20)
def test_any_saved_plan_looks_the_same_after_it_was_read(file: SavedFile, plan: Plan) -> None:
    assert_looks_the_same(Result("show", 0, {"saved_plan": file, "plan": plan}))


@given(errors)
@settings(deadline=None, max_examples=30)
def test_a_failure_looks_the_same_after_it_was_read(error: Mapping[str, Any]) -> None:
    assert_looks_the_same(Result("plan", 3, {}, error))


DONE = SeedOutcome("a:1", SeedStatus.COPIED, "s", "d")
SEVERAL = Result(
    "apply",
    0,
    {
        "plan": plan_samples.CHANGED,
        "report": Report((DONE,), 1.0, plan=plan_samples.MIXED),
        "preview": (CopyPreview("s", "d", SeedAction.COPY),),
        "saved_plan": SavedFile("x", "1", "1", {}, None, (), is_signed=False, is_verified=False),
    },
    {"code": "a.b", "message": "no", "hint": None},
)
# Names in them are data: of resources, of Terraform's outputs, of enumerations.
_MAPPINGS = ("outputs", "settings", "providers", "before", "after")


def grown(value: Any) -> Any:
    """The document as a later version may write it."""
    if isinstance(value, list):
        return [grown(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {**{key: one if key in _MAPPINGS else grown(one) for key, one in value.items()}, "of_tomorrow": {"x": [1]}}


def test_reads_a_document_with_fields_of_a_later_version() -> None:
    assert read_result(json.dumps(grown(result_document(SEVERAL))).encode()) == SEVERAL


DERIVED = ("totals", "has_changes", "is_refused", "without_room", "is_complete", "is_clean", "name_of_source")
ADDED = ("used_by", "can_resume", "changed")


def shrunk(value: Any, names: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [shrunk(one, names) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: shrunk(one, names) for key, one in value.items() if key not in names}


def test_reads_a_document_without_what_is_derived_and_what_was_added_later() -> None:
    old = Result("seed", 0, {"plan": replace(plan_samples.EVERYTHING_NEW, notices=()), "report": Report((DONE,), 1.0)})
    seeds = tuple(replace(seed, used_by=()) for seed in old.values["plan"].seeds)
    old = replace(old, values={**old.values, "plan": replace(old.values["plan"], seeds=seeds)})
    assert read_result(json.dumps(shrunk(result_document(old), DERIVED + ADDED)).encode()) == old


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("schema_version", 2, "`schema_version`: Input should be 1"),
        ("schema_version", ..., "`schema_version`: Field required"),
        ("command", ..., "`command`: Field required"),
        ("exit_code", "0", "`exit_code`: Input should be a valid integer"),
        ("error.hint", ..., "`error.hint`: Field required"),
        ("plan", None, "`plan`: Input should be an object"),
        ("plan.schema_version", 2, "`plan.schema_version`: Input should be 1"),
        ("plan.seeds.0.current_digest", "sha256:ab", "`plan.seeds.0.current_digest`: `sha256:ab` is no digest"),
        ("plan.seeds.0.pulls.at_least", None, "`plan.seeds.0.pulls.at_least`: Input should be a valid integer"),
        ("plan.infra_changes.0.action", "explode", "`plan.infra_changes.0.action`: Input should be 'create'"),
        ("report.outcomes.0.status", "lost", "`report.outcomes.0.status`: Input should be 'copied'"),
        ("report.plan.name", ..., "`report.plan.name`: Field required"),
        ("preview.pairs", {}, "`preview.pairs`: Input should be a valid array"),
    ],
)
def test_says_which_field_is_wrong(path: str, value: object, words: str) -> None:
    document = result_document(SEVERAL)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = document
    for part in parents:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    with pytest.raises(ValueError) as refused:
        read_result(json.dumps(document).encode())
    assert str(refused.value).startswith(words)


@pytest.mark.parametrize(
    "change",
    [
        lambda use: use["outcomes"][0].update(verdict="flies"),
        lambda use: use["outcomes"][0].update(builders={"magic": ["legacy"]}),
        lambda use: use.update(outcomes=[1]),
        lambda use: use.update(mirror={"entry": 1}),
    ],
)
def test_says_which_field_of_a_scan_is_wrong(tmp_path: Path, change: Any) -> None:
    project = write_project(tmp_path)
    document = result_document(Result("scan", 0, {"scan": scan(ScanOptions((project,), project, None)).report}))
    change(document["scan"]["images"][0])
    with pytest.raises(ValueError, match=r"^`scan\.images\.0\.(outcomes|mirror)"):
        read_result(json.dumps(document).encode())


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_reads_or_refuses_a_document_that_is_damaged_anywhere(data: st.DataObject) -> None:
    content = written(SEVERAL)
    at = data.draw(st.integers(0, len(content) - 1))
    damaged = content[:at] + data.draw(st.binary(max_size=3)) + content[at + data.draw(st.integers(0, 40)) :]
    try:
        read_result(damaged)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"null", b"\xff", b"[" * 100_000, b'{"a":' * 100_000], ids=list("abcdefg")
)
def test_refuses_what_is_no_document(content: bytes) -> None:
    with pytest.raises(ValueError):
        read_result(content)
