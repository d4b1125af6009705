"""What GitHub Actions and GitLab CI are told of a run, and that nothing else in a log tells them something."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
import typer
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.plan_samples import NO_CHANGES, REVIEWED
from tests.unit.cli.render.test_markdown import HOSTILE
from tests.unit.cli.render.test_report_view import FAILED
from toolkit.cli.annotations import annotations_of
from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.ci import Annotation, FoldingSink, Service, annotation_lines, find_service, write_summary
from toolkit.cli.options import Format, LogFormat, ResultFormat
from toolkit.cli.render.lines import LineWriter
from toolkit.cli.render.plan_view import render_plan
from toolkit.cli.render.result import Result
from toolkit.errors import Issue, ManifestUnusable, Refused
from toolkit.events import EventStream, NoticeGiven, RunFinished, RunStarted, StepFinished
from toolkit.plan.model import Notice, Plan, Refusal
from toolkit.report import Report

REGISTERED = ("error", "warning", "group", "endgroup", "add-mask", "stop-commands", "set-output", "add-matcher")
foreign = (st.sampled_from(HOSTILE) | st.text(max_size=20) | st.text(":#[] \n\r%,a", max_size=12)).map(str)
foreign_texts = st.lists(
    foreign | st.sampled_from([f"::{name}::x" for name in REGISTERED] + [f"##[{name}]x" for name in REGISTERED]),
    max_size=3,
).map("".join)


def commands_in(log: str) -> list[tuple[str, dict[str, str], str]]:
    """The commands that GitHub's runner finds in a log, read as its `ActionCommand` does."""
    found = []
    for line in re.split(r"\r\n|\r|\n", log):
        new = re.match(r"::(?P<name>[^ :]+)(?: (?P<given>.*?))?::(?P<data>.*)", line.lstrip(), re.DOTALL)
        old = re.search(r"##\[(?P<name>[^ \]]+)(?: (?P<given>[^\]]*))?\](?P<data>.*)", line)
        if new and new["name"] in REGISTERED:
            given = dict(pair.split("=", 1) for pair in (new["given"] or "").split(",") if "=" in pair)
            found.append((new["name"], {name: unescape(text) for name, text in given.items()}, unescape(new["data"])))
        elif old and old["name"] in REGISTERED:
            found.append((old["name"], {}, old["data"]))
    return found


def unescape(text: str) -> str:
    for token, sign in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(token, sign)
    return text


@pytest.mark.parametrize(
    ("environment", "service"),
    [
        ({}, Service.NONE),
        ({"CI": "true"}, Service.NONE),
        ({"GITHUB_ACTIONS": "true"}, Service.GITHUB),
        ({"GITLAB_CI": "true"}, Service.GITLAB),
        ({"GITHUB_ACTIONS": ""}, Service.NONE),
    ],
)
def test_knows_the_service_by_its_variable(environment: Mapping[str, str], service: Service) -> None:
    assert find_service(environment) is service


@given(foreign_texts, foreign_texts, foreign_texts)
def test_an_annotation_is_one_command_whatever_its_text(title: str, message: str, file: str) -> None:
    [line] = annotation_lines([Annotation(True, f"t{title}", message, f"f{file}", 3)], {})
    [(name, given, data)] = commands_in(line)
    assert name == "error"
    assert set(given) == {"file", "line", "title"}
    assert given["line"] == "3"
    assert data.isprintable() or "\n" in data


def test_an_annotation_says_where_and_what(tmp_path: Path) -> None:
    file = str(tmp_path / "infra" / "images, a.yaml")
    [line] = annotation_lines(
        [Annotation(True, "manifest.invalid", "50% of `a`: no\nhint: b", file, 7)], {"GITHUB_WORKSPACE": str(tmp_path)}
    )
    assert line == "::error file=infra/images%2C a.yaml,line=7,title=manifest.invalid::50%25 of `a`: no%0Ahint: b"
    assert annotation_lines([Annotation(False, "a.b", "c")], {}) == ["::warning title=a.b::c"]


def test_ten_annotations_of_each_level_are_written_errors_first_and_each_once() -> None:
    found = [Annotation(number % 2 == 0, "a", str(number // 2 % 15)) for number in range(60)]
    lines = annotation_lines([*found, Annotation(False, "b", "0")], {})
    assert [line.partition(" ")[0] for line in lines] == ["::error"] * 10
    assert annotation_lines([Annotation(False, "a", str(number)) for number in range(20)], {})[9].endswith("::9")


@given(foreign_texts)
@example("##[add-mask]nginx")
@example("\n  ::stop-commands::x")
@example("a\r::stop-commands::x")
def test_no_text_that_is_written_is_a_command(text: str) -> None:
    stream = StringIO()
    writer = LineWriter(stream)
    writer.write(text)
    writer.write(json.dumps({"message": text}), json.dumps({"message": text}, indent=2))
    assert commands_in(stream.getvalue()) == []


@given(foreign_texts)
def test_json_says_the_same_after_it_was_written(text: str) -> None:
    stream = StringIO()
    LineWriter(stream).write(json.dumps([text], ensure_ascii=False))
    assert json.loads(stream.getvalue()) == [text]


@given(foreign_texts)
def test_no_text_of_a_plan_is_a_command_where_lines_are_wrapped(text: str) -> None:
    plan = replace(REVIEWED, refusals=(Refusal("a.b", f"{'x' * 60} {text} {'y' * 40} {text}", text),))
    stream = StringIO()
    LineWriter(stream).write(render_plan(plan, width=60))
    assert commands_in(stream.getvalue()) == []


def events(sink: FoldingSink) -> None:
    emit = EventStream([sink], clock=lambda: 1000.5).emit
    emit(RunStarted("apply", "1.0"))
    emit(StepFinished("observe", 1.0))
    with sink.paused():
        sink._marks.write("the plan")
    emit(StepFinished("seed", 1.0))
    emit(RunFinished(0, 2.0))


def test_github_folds_the_log_and_not_the_result() -> None:
    stream = StringIO()
    events(FoldingSink(stream, Service.GITHUB))
    lines = stream.getvalue().splitlines()
    assert [line.split(" ")[0] for line in lines] == [
        "::group::toolkit", "run", "done", "::endgroup::", "the", "::group::toolkit", "done", "finished", "::endgroup::"
    ]  # fmt: skip
    assert lines[0] == "::group::toolkit apply: progress"


def test_gitlab_folds_the_log_and_not_the_result() -> None:
    stream = StringIO()
    events(FoldingSink(stream, Service.GITLAB))
    marks = re.findall(
        r"\x1b\[0Ksection_(start|end):(\d+):([\w.-]+)(\[collapsed=true\])?\r\x1b\[0K(.*)\n", stream.getvalue()
    )
    assert [(kind, time, title) for kind, time, _, _, title in marks] == [
        ("start", "1000", "toolkit apply: progress"),
        ("end", "1000", ""),
        ("start", "1000", "toolkit apply: progress, continued"),
        ("end", "1000", ""),
    ]
    assert marks[0][2] == marks[1][2] != marks[2][2] == marks[3][2]


def test_a_summary_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    environment = {"GITHUB_STEP_SUMMARY": str(path)}
    assert write_summary("one\n", environment) is None
    assert write_summary("two", environment) is None
    assert write_summary("  \n", environment) is None
    assert path.read_text() == "one\n\ntwo\n\n"
    assert write_summary("one", {}) is None


def test_a_summary_that_cannot_be_written_is_a_notice(tmp_path: Path) -> None:
    full = tmp_path / "full.md"
    full.write_bytes(b"x" * (1024 * 1024 - 4))
    for path, why in ((tmp_path / "no" / "where", "No such file"), (tmp_path, "directory"), (full, "more than 1 MiB")):
        notice = write_summary("text", {"GITHUB_STEP_SUMMARY": str(path)})
        assert notice is not None
        assert notice.code == "summary.unwritten"
        assert why in notice.message
    assert full.stat().st_size == 1024 * 1024 - 4


MANIFEST = """\
version: 1
name: shop
aws: {region: eu-west-1}
images:
  - nginx:1.27
  - source: quay.io/acme/web:1
    repository: base/web
"""


def found_in(tmp_path: Path, result: Result) -> list[tuple[bool, str, int]]:
    manifest = tmp_path / "images.yaml"
    manifest.write_text(MANIFEST)
    return [(one.is_error, Path(one.file).name, one.line) for one in annotations_of(result, manifest)]


def test_refusals_and_notices_of_a_plan_are_at_their_line(tmp_path: Path) -> None:
    plan = replace(
        NO_CHANGES,
        refusals=(
            Refusal("source.missing", "images[1]: `quay.io/acme/web:1` does not exist", image="base/web:1"),
            Refusal("plan.stale", "`base/web:1` is gone", image="base/web:1"),
            Refusal("budget.too_small", "the copies need more"),
        ),
        notices=(Notice("a.b", "images[0].source: c"), Notice("a.b", "builds[7].images[2]: of another manifest")),
    )
    error = {"code": "plan.refused", "message": "no", "hint": None}
    assert found_in(tmp_path, Result("plan", 7, {"plan": plan}, error)) == [
        (False, "images.yaml", 5),
        (False, "images.yaml", 1),
        (True, "images.yaml", 6),
        (True, "images.yaml", 6),
        (True, "images.yaml", 0),
    ]


def test_an_image_that_failed_is_at_its_line(tmp_path: Path) -> None:
    report = Report((replace(FAILED, key="docker-hub/library/nginx:1.27"),), 1.0)
    assert found_in(tmp_path, Result("apply", 6, {"report": report})) == [(True, "images.yaml", 5)]


def test_an_error_alone_has_no_line_and_a_manifest_is_not_needed() -> None:
    error = {"code": "aws.no_credentials", "message": "no", "hint": "sign in"}
    [one] = annotations_of(Result("plan", 4, {}, error), None)
    assert one == Annotation(True, "aws.no_credentials", "no\nhint: sign in")
    assert list(annotations_of(Result("plan", 4, {}, error), Path("/nowhere.yaml"))) == [one]


class Ended:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))

    def ended(body: Callable[[Run], int], variable: str = "GITHUB_ACTIONS", **fields: object) -> Ended:
        monkeypatch.setenv(variable, "true")
        with pytest.raises(typer.Exit) as ending:
            execute("plan", Presentation(**fields), body)  # type: ignore[arg-type]  # keywords
        return Ended(ending.value.exit_code, *capfd.readouterr())

    return ended


def shows(plan: Plan) -> Callable[[Run], int]:
    def body(run: Run) -> int:
        run.emit(NoticeGiven("a.b", "remarkable", "look"))
        run.show_plan(plan)
        raise Refused("plan.refused", "refused for one reason")

    return body


REFUSED = replace(REVIEWED, refusals=(Refusal("budget.too_small", "images[0]: ::add-mask::x ##[add-mask]y"),))


def test_on_github_a_run_is_folded_annotated_and_summarised(run: Callable[..., Ended], tmp_path: Path) -> None:
    (tmp_path / "images.yaml").write_text(MANIFEST)
    done = run(shows(REFUSED), manifest=tmp_path / "images.yaml")
    assert done.code == 7
    names = [name for name, _, _ in commands_in(done.err)]
    assert names == ["group", "endgroup", "error", "warning", "warning"]
    assert commands_in(done.out) == []
    assert done.err.index("::endgroup::") < done.err.index("\nerror: refused")
    assert "::error file=images.yaml,line=5,title=budget.too_small::images[0]: ::add-mask::x" in done.err
    assert "::warning title=a.b::remarkable%0Ahint: look" in done.err
    assert (
        (tmp_path / "summary.md")
        .read_text()
        .startswith("<!-- toolkit:plan name=platform region=ap-northeast-1 -->\n**Refused")
    )


@pytest.mark.parametrize("form", [form for form in ResultFormat if form is not ResultFormat.TEXT])
def test_stdout_stays_data_on_github(run: Callable[..., Ended], form: ResultFormat) -> None:
    done = run(shows(REFUSED), format=form)
    assert commands_in(done.out) == []
    assert "\x1b" not in done.out
    if form is ResultFormat.JSON:
        assert json.loads(done.out)["plan"]["refusals"][0]["message"].endswith("##[add-mask]y")


def test_on_gitlab_a_run_is_folded_and_nothing_else(run: Callable[..., Ended], tmp_path: Path) -> None:
    done = run(shows(REFUSED), "GITLAB_CI")
    assert done.err.count("section_start") == done.err.count("section_end") == 1
    assert "::" not in done.err.replace("::add-mask::", "").replace("\\u003a:add-mask::", "")
    assert not (tmp_path / "summary.md").exists()


def test_a_broken_summary_does_not_fail_a_run(run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/nowhere/summary.md")
    done = run(lambda run: run.show_plan(NO_CHANGES) or 0)
    assert done.code == 0
    assert "notice: the summary `/nowhere/summary.md` cannot be written: No such file or directory" in done.err


def test_a_manifest_that_cannot_be_used_is_annotated_line_by_line(run: Callable[..., Ended]) -> None:
    def body(run: Run) -> int:
        raise ManifestUnusable(
            "manifest.invalid", "`x` has 2 problems", [Issue("x", 3, "a", "b"), Issue("x", 9, "", "c")]
        )

    done = run(body, is_brief=True)
    assert done.err.splitlines()[-2:] == [
        "::error file=x,line=3,title=manifest.invalid::a: b",
        "::error file=x,line=9,title=manifest.invalid::c",
    ]


@pytest.mark.parametrize("form", [Format.TEXT, Format.JSON, Format.JSON_LINES])
def test_the_log_is_json_lines_where_asked_for_and_stdout_the_result(run: Callable[..., Ended], form: Format) -> None:
    done = run(shows(REFUSED), format=form, log=LogFormat.JSON)
    lines = [json.loads(line) for line in done.err.splitlines()]
    assert [line["type"] for line in lines] == ["run_started", "notice_given", "run_finished"]
    assert lines[0]["schema_version"] == 1
    assert lines[-1]["error_code"] == "plan.refused"
    if form is Format.JSON:
        assert json.loads(done.out)["error"]["code"] == "plan.refused"
