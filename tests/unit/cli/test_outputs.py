"""`--output FORMAT=FILE`: a view of this run's result in FILE, however the run ends, or no FILE at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from tests.support import plan_samples
from tests.support.scanned_project import write_project
from tests.support.toolkit_run import Finished
from toolkit.cli.app import make_app
from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.options import ResultFormat
from toolkit.cli.render.plan_view import render_plan
from toolkit.cli.render.result import Result, result_document
from toolkit.cli.render.serialise import read_result
from toolkit.errors import Refused

Body = Callable[[Run], int]


def planning(run: Run) -> int:
    run.show_plan(plan_samples.MIXED)
    return 0


def refusing(run: Run) -> int:
    run.show_plan(plan_samples.MIXED)
    raise Refused("plan.refused", "no", hint="look")


def breaking(run: Run) -> int:
    raise KeyError("x")


def stopping(run: Run) -> int:
    raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def end_of(body: Body, *outputs: str, files: tuple[Path, ...] = (), form: ResultFormat = ResultFormat.TEXT) -> int:
    with pytest.raises(typer.Exit) as ending:
        execute("plan", Presentation(form, no_progress=True, outputs=outputs, files=files), body)
    return ending.value.exit_code


def test_each_file_has_what_stdout_would_have(capsys: pytest.CaptureFixture[str]) -> None:
    forms = [form for form in ResultFormat if form is not ResultFormat.JSON_LINES]
    assert end_of(planning, *(f"{form}={form}.out" for form in forms)) == 0
    capsys.readouterr()
    for form in forms:
        end_of(planning, form=form)
        assert Path(f"{form}.out").read_text(encoding="utf-8") == capsys.readouterr().out, form


def test_a_file_has_the_stream_of_events_to_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    end_of(refusing, "json-lines=lines.out", form=ResultFormat.JSON_LINES)
    lines = [json.loads(line) for line in Path("lines.out").read_text(encoding="utf-8").splitlines()]
    assert [line["type"] for line in lines] == ["run_started", "plan_made", "run_finished"]
    assert [line["type"] for line in map(json.loads, capsys.readouterr().out.splitlines())] == [
        line["type"] for line in lines
    ]


@pytest.mark.parametrize(
    ("body", "code", "error"), [(refusing, 7, "plan.refused"), (breaking, 1, "bug"), (stopping, 130, "interrupted")]
)
def test_a_run_that_fails_writes_its_error(body: Body, code: int, error: str) -> None:
    Path("result.json").write_text("of yesterday")
    assert end_of(body, "json=result.json", "markdown=result.md", "html=result.html", "text=result.txt") == code
    read = read_result(Path("result.json").read_bytes())
    assert (read.exit_code, dict(read.error or {})["code"]) == (code, error)
    for name in ("result.md", "result.html", "result.txt"):
        assert error in Path(name).read_text(encoding="utf-8"), name


def test_text_in_a_file_has_no_colours_and_is_100_wide() -> None:
    end_of(planning, "text=plan.txt")
    assert (
        Path("plan.txt").read_text(encoding="utf-8") == render_plan(plan_samples.MIXED, width=100).rstrip("\n") + "\n"
    )


def test_a_file_of_an_earlier_run_is_gone_before_the_run_begins() -> None:
    Path("result.json").write_text("of yesterday")
    there: list[bool] = []

    def body(run: Run) -> int:
        there.append(Path("result.json").exists())
        return 0

    end_of(body, "json=result.json")
    assert there == [False]


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (["json"], "`json` is not FORMAT=FILE"),
        (["json="], "`json=` is not FORMAT=FILE"),
        (["xml=x"], "`xml` is no format of this command"),
        (["sarif=x"], "`sarif` is no format of this command"),
        (["json=-"], "use `--format json` for stdout"),
        (["json=nowhere/x"], "`nowhere/x` cannot be written: No such file"),
        (["json=folder"], "`folder` cannot be written: it is no regular file"),
        (["json=pipe"], "`pipe` cannot be written: it is no regular file"),
        (["json=link"], "link` is a link"),
        (["json=link-to-folder/x"], "link-to-folder` is a link"),
        (["json=x", "html=x"], "`x` is named for something else too"),
        (["json=x", "html=./folder/../x"], "`folder/../x` is named for something else too"),
        (["json=images.yaml"], "`images.yaml` is named for something else too"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(
    outputs: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("folder").mkdir()
    os.mkfifo("pipe")  # and not a device of the machine, which a broken check would remove
    Path("images.yaml").write_text("mine")
    Path("link").symlink_to("images.yaml.old")
    Path("link-to-folder").symlink_to("folder")
    Path("good.json").write_text("of yesterday")
    began: list[Run] = []
    assert end_of(lambda run: began.append(run) or 0, "json=good.json", *outputs, files=(Path("images.yaml"),)) == 64
    assert words in capsys.readouterr().err
    assert (began, Path("good.json").read_text(), Path("images.yaml").read_text()) == ([], "of yesterday", "mine")


def test_a_file_that_cannot_be_written_in_the_end_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    def body(run: Run) -> int:
        Path("result.json").mkdir()
        return 0

    assert end_of(body, "json=result.json", "text=result.txt") == 1
    assert "error: `result.json` cannot be written: it is no regular file [output.lost]" in capsys.readouterr().err
    assert Path("result.txt").exists()


class Program:
    """The program in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def run(self, *arguments: str) -> Finished:
        self._capsys.readouterr()
        code = make_app(["scan", "show", "plan"])(list(arguments))
        return Finished(code, *self._capsys.readouterr())


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str]) -> Program:
    return Program(capsys)


@pytest.fixture
def scanned(program: Program) -> Program:
    write_project(Path())
    program.run("scan", "--check", "--output", "json=scan.json", ".").expect(7)
    return program


@pytest.mark.parametrize("look", ["json", "markdown", "markdown --places", "html", "sarif"])
def test_a_result_is_shown_later_as_it_was(scanned: Program, look: str) -> None:
    then = scanned.run("scan", "--check", ".", "--format", *look.split()).expect(7)
    assert scanned.run("show", "scan.json", "--format", *look.split()).expect(0).stdout == then.stdout


def test_the_images_that_stay_are_shown_later_where_they_are_asked_for(program: Program) -> None:
    Path("plan.json").write_text(json.dumps(result_document(Result("plan", 0, {"plan": plan_samples.MIXED}))))
    for options, unchanged in (((), False), (("--show-unchanged",), True)):
        assert ("images unchanged:" in program.run("show", "plan.json", *options).expect(0).stdout) is unchanged


def test_a_failure_is_shown_with_its_error(scanned: Program) -> None:
    then = scanned.run("scan", "--check", ".").expect(7)
    shown = scanned.run("show", "scan.json", "--output", "json=again.json").expect(0)
    assert shown.stdout == then.stdout + then.stderr
    assert Path("again.json").read_bytes() == Path("scan.json").read_bytes()


def test_the_variables_name_formats_and_files(scanned: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLKIT_OUTPUT", "json=one.json markdown=two.md")
    monkeypatch.setenv("TOOLKIT_FORMAT", "sarif")
    done = scanned.run("scan", ".").expect(0)
    assert json.loads(done.stdout)["version"] == "2.1.0"
    assert read_result(Path("one.json").read_bytes()).command == "scan"
    assert Path("two.md").read_text(encoding="utf-8").startswith("<!-- toolkit:scan")


def test_a_scan_that_fails_early_leaves_no_sarif(program: Program) -> None:
    Path("scan.sarif").write_text("of yesterday")
    done = program.run("scan", "nowhere", "--output", "sarif=scan.sarif", "--output", "json=scan.json")
    assert done.code != 0
    assert not Path("scan.sarif").exists()
    assert read_result(Path("scan.json").read_bytes()).error
    assert "as `sarif`" in program.run("show", "scan.json", "--format", "sarif").expect(64).stderr


def _timed(seconds: str) -> str:
    report = f'{{"seconds": {seconds}, "infra_changes": [], "outcomes": [], "outputs": {{}}, "plan": null}}'
    return f'{{"schema_version": 1, "command": "seed", "exit_code": 0, "report": {report}}}'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"schema_version": 2, "command": "plan", "exit_code": 0}', "`schema_version`: Input should be 1"),
        ('{"a": 1}', "`schema_version`: Field required"),
        ('{"type": "run_started"}\n{"type": "run_finished"}\n', "is not the result of a command"),
        ('{"schema_version": 1, "command": "validate", "exit_code": 0}', "of `toolkit validate`, whose result is not"),
        (_timed("NaN"), "the number `NaN` is out of range"),
        (_timed("1e999"), "the number `1e999` is out of range"),
        (_timed("9" * 400), "is out of range"),
        ("version: 1\n", "is not a saved plan"),
    ],
)
def test_what_is_no_result_is_refused_with_the_reason(program: Program, content: str, words: str) -> None:
    Path("x").write_text(content)
    assert words in program.run("show", "x").expect(7).stderr


def test_a_format_that_a_command_lacks_is_refused_with_those_that_it_has(program: Program) -> None:
    Path("images.yaml").write_text("version: 1\nname: shop\naws: {region: eu-west-1}\nimages: [nginx:1.16]\n")
    done = program.run("plan", "--output", "sarif=plan.sarif").expect(64)
    assert "take one of text, json, json-lines, markdown, html" in done.stderr
