"""A question on a real terminal ends with an answer, or as any other interrupt does."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.support.terminal import on_a_terminal
from tests.support.toolkit_run import TOOLKIT

ASKING = """
from toolkit.cli.boundary import Presentation, ToolkitGroup, execute
import typer
app = typer.Typer(cls=ToolkitGroup, rich_markup_mode=None)
app.callback()(lambda: None)
@app.command()
def ask() -> None:
    execute("ask", Presentation(is_brief=True), lambda run: 0 if run.ask("Apply this plan?") else 7)
raise SystemExit(app(["ask"]))
"""


@pytest.mark.parametrize("keys, code", [(b"y\n", 0), (b"n\n", 7), (b"\n", 7)])
def test_an_answer_is_taken(keys: bytes, code: int) -> None:
    assert on_a_terminal(sys.executable, "-c", ASKING, until="[y/N]", keys=keys)[0] == code


@pytest.mark.parametrize(
    "keys, number",
    [(b"\x03", 0), (b"\x04", 0), (b"", signal.SIGTERM), (b"", signal.SIGHUP)],
    ids=["Ctrl-C", "Ctrl-D", "SIGTERM", "SIGHUP"],
)
def test_no_answer_is_an_interrupt_and_no_bug(keys: bytes, number: int) -> None:
    code, output = on_a_terminal(sys.executable, "-c", ASKING, until="[y/N]", keys=keys, number=number)
    assert code == 130
    assert "\nerror: the run was interrupted [interrupted]\n" in output
    assert "Traceback" not in output


def test_a_format_for_programs_is_no_missing_terminal(tmp_path: Path) -> None:
    code, output = on_a_terminal(TOOLKIT, "apply", "--format", "json", folder=tmp_path)
    assert code == 7
    assert "with `--format json` nobody is asked to approve the plan" in output
    assert "no terminal" not in output
