"""Every ending of a run is one message and one exit code, in the format that was asked for."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from tests.support.made_images import image
from tests.support.toolkit_run import TOOLKIT, Toolkit
from toolkit.cli.app import make_app
from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.main import COMMANDS
from toolkit.cli.options import Format, parse_duration, parse_rate
from toolkit.cli.render.serialise import read_result
from toolkit.cli.wiring import open_cache
from toolkit.errors import (
    AccessDenied,
    Interrupted,
    Issue,
    ManifestUnusable,
    Refused,
    SeedingIncomplete,
    TerraformFailed,
    ToolkitError,
)
from toolkit.events import Event, NoticeGiven

MANIFEST = "version: 1\nname: shop\naws: {region: eu-west-1}\nimages: [nginx:1.16]\n"


def end_of(body: object, form: Format = Format.TEXT) -> int:
    with pytest.raises(typer.Exit) as ending:
        execute("test", Presentation(form, no_progress=True), body)  # type: ignore[arg-type]
    return ending.value.exit_code


def raising(error: BaseException) -> object:
    def body(run: Run) -> int:
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ManifestUnusable("manifest.invalid", "`x` has 1 problem", (Issue("x", 3, "name", "is wrong"),)), 3),
        (AccessDenied("aws.no_credentials", "none"), 4),
        (TerraformFailed("terraform.failed", "no"), 5),
        (SeedingIncomplete("seed.incomplete", "no"), 6),
        (Refused("tag.immutable", "no", hint="do not"), 7),
        (Interrupted("interrupted", "stop"), 130),
        (KeyboardInterrupt(), 130),
        (ValueError("oops"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_its_exit_code(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert end_of(raising(error)) == code
    assert f" [{getattr(error, 'code', 'interrupted' if code == 130 else 'bug')}]\n" in capsys.readouterr().err


def test_takes_an_interrupt_in_the_middle_of_an_import_for_one() -> None:
    class Interrupting:
        def __set_name__(self, owner: type, name: str) -> None:
            raise KeyboardInterrupt

    def body(run: Run) -> int:
        type("Loaded", (), {"field": Interrupting()})
        return 0

    assert end_of(body) == 130


def test_json_has_the_error_and_its_issues_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    error = ManifestUnusable("manifest.invalid", "`x` has 1 problem", (Issue("x", 3, "name", "is wrong"),))
    assert end_of(raising(error), Format.JSON) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == 3
    assert document["error"]["code"] == "manifest.invalid"
    assert document["error"]["issues"] == [{"file": "x", "line": 3, "path": "name", "message": "is wrong"}]


def test_json_lines_end_with_run_finished_also_after_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    end_of(raising(Refused("a.b", "no", hint="do not")), Format.JSON_LINES)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["type"] == "run_started"
    assert lines[0]["schema_version"] == 1
    assert lines[-1]["type"] == "run_finished"
    assert (lines[-1]["exit_code"], lines[-1]["error_code"], lines[-1]["hint"]) == (7, "a.b", "do not")


def test_a_bug_shows_its_traceback_on_stderr_only(capsys: pytest.CaptureFixture[str]) -> None:
    end_of(raising(ValueError("oops")))
    captured = capsys.readouterr()
    assert "Traceback" in captured.err
    assert captured.out == ""


def test_what_would_move_the_cursor_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    end_of(raising(ToolkitError("x.y", "bad \x1b[31m text", hint="a\x07b")))
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("plan", "--bogus"), "--bogus"),
        (("nonsense",), "nonsense"),
        (("plan", "--format", "xml"), "xml"),
        (("apply", "--jobs", "0"), "--jobs"),
        (("copy", "nginx:1.16"), "a source and a destination"),
        (("copy", "nginx", "localhost:1/nginx:1"), "has no tag"),
        (("copy", "a:1", "localhost:1/x:1", "b:1", "localhost:1/x:1"), "filled twice"),
        (("copy", "a:1", "localhost:1/x"), "needs a tag"),
        (("copy", "--platform", "!", "a:1", "localhost:1/x:1"), "--platform"),
        (
            ("copy", "--list", "absent.txt"),
            "error: `absent.txt` cannot be read: No such file or directory [usage.list_unreadable]\n",
        ),
        (("copy", "--list", "/dev/zero"), "`/dev/zero` has more than 16,777,216 bytes"),
        (("copy",), "nothing to copy"),
    ],
)
def test_a_wrong_command_line_is_64(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    done = Toolkit(tmp_path).run(*arguments).expect(64)
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("https://user:hunter2@h.example/x:1", "localhost:1/x:1"),
        ("user:hunter2@h/x:1", "localhost:1/x:1"),
        ("u:hunter2@h",),
    ],
)
def test_a_credential_in_an_argument_is_not_repeated(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    for form in ("text", "json", "json-lines"):
        done = Toolkit(tmp_path).run("copy", *arguments, "--format", form).expect(64)
        assert "hunter2" not in done.stdout + done.stderr


def test_a_list_that_is_no_text_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"\xff")
    done = Toolkit(tmp_path).run("copy", "--list", "list").expect(64)
    assert "error: `list` cannot be read: it is not UTF-8 text [usage.list_unreadable]\n" in done.stderr


def test_a_list_from_windows_is_read(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"\xef\xbb\xbf# base images\r\na:1 localhost:1/x\r\n")
    done = Toolkit(tmp_path).run("copy", "--list", "list").expect(64)
    assert "error: list:2: the destination `localhost:1/x` needs a tag" in done.stderr


@pytest.mark.parametrize("other", ["./lay", "{here}/lay", "link", "none/../lay"])
def test_a_layout_that_is_spelled_in_two_ways_is_filled_once(tmp_path: Path, other: str) -> None:
    (tmp_path / "link").symlink_to("lay")
    again = f"oci:{other.format(here=tmp_path)}:x"
    done = Toolkit(tmp_path).run("copy", "localhost:1/a:1", "oci:lay:x", "localhost:1/b:1", again).expect(64)
    assert f"`{again}` is filled twice, also by the arguments" in done.stderr
    assert not (tmp_path / "lay").exists()


def test_a_usage_error_in_a_stream_is_its_last_line(tmp_path: Path) -> None:
    done = Toolkit(tmp_path).run("plan", "--format=json-lines", "--nope").expect(64)
    (line,) = [json.loads(text) for text in done.stdout.splitlines()]
    assert (line["schema_version"], line["type"], line["exit_code"]) == (1, "run_finished", 64)


def test_a_saved_plan_takes_no_flag_of_the_plan(tmp_path: Path) -> None:
    done = Toolkit(tmp_path).run("apply", "plan.toolkit", "--allow-destroy").expect(64)
    assert "toolkit plan --allow-destroy" in done.stderr
    done = Toolkit(tmp_path).run("apply", "plan.json", "--adopt", "web").expect(64)
    assert "toolkit plan --adopt" in done.stderr


def test_a_usage_error_comes_in_the_format_asked_for(tmp_path: Path) -> None:
    done = Toolkit(tmp_path).run("plan", "--format=json", "--bogus").expect(64)
    result = read_result(done.stdout.encode())
    assert (result.command, result.exit_code, result.error["code"] if result.error else "") == ("plan", 64, "usage")


def test_without_a_command_the_help_is_shown(tmp_path: Path) -> None:
    assert "Usage: toolkit" in Toolkit(tmp_path).run().expect(64).stderr


def commands_below(command: Any) -> Iterator[tuple[str, Any]]:
    for name, one in getattr(command, "commands", {}).items():
        yield name, one
        yield from commands_below(one)


def test_keeps_a_view_of_a_run_that_fails_and_fails_with_one_that_cannot_be_kept() -> None:
    kept: list[str] = []

    def fail(run: Run) -> int:
        run.keep_views({"json": kept.append})
        raise Refused("tag.immutable", "no")

    def refuse(text: str) -> None:
        raise AccessDenied("aws.access_denied", "not there")

    def lose(run: Run) -> int:
        run.keep_views({"json": refuse, "html": kept.append})
        return 0

    assert end_of(fail) == 7
    assert (json.loads(kept[0])["exit_code"], json.loads(kept[0])["error"]["code"]) == (7, "tag.immutable")
    assert end_of(lose) == 4
    assert kept[1].lower().startswith("<!doctype html>")


def test_describes_every_command_in_50_characters() -> None:
    found = dict(commands_below(get_command(make_app(COMMANDS))))
    assert {*COMMANDS, "up", "env"} <= found.keys()
    long = {name: text for name, one in found.items() if len(text := one.get_short_help_str(200)) > 50}
    assert long == {}


@pytest.mark.parametrize("command", COMMANDS)
def test_shows_examples_one_a_line(command: str, tmp_path: Path) -> None:
    done = Toolkit(tmp_path).run(command, "--help").expect(0)
    examples = done.stdout.partition("\n  Examples:\n")[2].splitlines()
    assert examples
    assert all(line.startswith("    toolkit ") for line in examples)


def test_a_missing_manifest_is_3_and_hints_at_init(tmp_path: Path) -> None:
    done = Toolkit(tmp_path).run("plan").expect(3)
    assert done.stderr.splitlines()[-2:] == [
        "error: there is no file `images.yaml` [manifest.not_found]",
        "hint: write one with `toolkit init`, or name it with `--file`",
    ]
    assert list(tmp_path.iterdir()) == []


def test_validate_counts_what_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "images.yaml").write_text(MANIFEST)
    assert "1 image," in Toolkit(tmp_path).run("validate").expect(0).stdout


def test_names_the_choices_of_an_option_without_jargon(tmp_path: Path) -> None:
    done = Toolkit(tmp_path).run("plan", "--on-budget", "z").expect(64)
    assert done.stderr.startswith("error: Invalid value for '--on-budget': 'z' is not one of 'refuse', 'wait', ")


def test_unusable_endpoints_are_a_usage_error(tmp_path: Path) -> None:
    toolkit = Toolkit(tmp_path, {"TOOLKIT_REGISTRY_ENDPOINTS": "docker.io"})
    done = toolkit.run("copy", "a:1", "localhost:1/x:1").expect(64)
    assert "TOOLKIT_REGISTRY_ENDPOINTS" in done.stderr


@pytest.mark.parametrize("has_folder", [False, True])
def test_without_a_home_documents_are_kept_where_a_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_folder: bool
) -> None:
    monkeypatch.setenv("HOME", "~")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    document = image([b"layer"]).document
    told: list[Event] = []
    open_cache(told.append, tmp_path / "cache" if has_folder else None).put(document.digest, document)
    assert [path.name for path in tmp_path.iterdir()] == (["cache"] if has_folder else [])
    assert told == []


def test_a_folder_where_no_document_can_be_kept_is_told_once(tmp_path: Path) -> None:
    """What is read of Docker Hub is paid for again otherwise, and nobody knows why."""
    (tmp_path / "file").touch()
    told: list[Event] = []
    cache = open_cache(told.append, tmp_path / "file")
    for layer in (b"a", b"b"):
        document = image([layer]).document
        cache.put(document.digest, document)
    (notice,) = told
    assert isinstance(notice, NoticeGiven)
    assert (notice.code, str(tmp_path / "file") in notice.message) == ("cache.unusable", True)


@pytest.mark.parametrize("rate", ["fast", "-1M", "20 apples", "5TB", "100K", "1,5M", ""])
def test_a_rate_that_is_none_is_a_usage_error(tmp_path: Path, rate: str) -> None:
    done = Toolkit(tmp_path).run("copy", "a:1", "localhost:1/x:1", "--limit-rate", rate).expect(64)
    assert "--limit-rate" in done.stderr and f"`{rate}`" in done.stderr


@pytest.mark.parametrize(
    "text, rate",
    [
        ("20M", 20_000_000),
        ("1.5g", 1_500_000_000),
        ("500KB", 500_000),
        ("1MiB", 2**20),
        ("2Gi", 2**31),
        ("300000", 300_000),
    ],
)
def test_a_rate_is_in_thousands_unless_it_says_otherwise(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("0s", 0), ("90s", 90), ("5m", 300), ("1h30m", 5400), (" 2h ", 7200)]
)
def test_a_duration_has_units(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "soon", "-1s", "1.5h", "5m1h"])
def test_what_is_no_duration_is_a_usage_error(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a duration"):
        parse_duration(text)


def test_the_schema_is_json(tmp_path: Path) -> None:
    assert "properties" in json.loads(Toolkit(tmp_path).run("schema").expect(0).stdout)


@pytest.mark.parametrize("form", ["text", "json", "json-lines"])
def test_a_result_that_cannot_be_written_is_no_success(tmp_path: Path, form: str) -> None:
    (tmp_path / "images.yaml").write_text(MANIFEST)
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [TOOLKIT, "validate", "--format", form], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert "stdout cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_of_a_stream_that_cannot_be_written_is_told_on_stderr(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [TOOLKIT, "validate", "--format=json-lines"], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 3
    assert "there is no file `images.yaml`" in done.stderr


@pytest.mark.parametrize(
    ("closed", "code"), [("<&-", 0), ("2>&-", 0), (">&-", 1), ("<&- >&- 2>&-", 1), ("--format json >&-", 1)]
)
def test_a_run_goes_on_with_closed_streams_and_says_when_its_result_is_lost(
    tmp_path: Path, closed: str, code: int
) -> None:
    (tmp_path / "images.yaml").write_text(MANIFEST)
    done = subprocess.run(["sh", "-c", f"{TOOLKIT} render --out out {closed}"], cwd=tmp_path, capture_output=True)
    assert done.returncode == code, done.stderr
    assert (tmp_path / "out" / "main.tf").exists()
    told = b"stdout cannot be written: Bad file descriptor; the run went on" in done.stderr
    assert told == (code == 1 and "2>&-" not in closed)
    assert b"Traceback" not in done.stderr
