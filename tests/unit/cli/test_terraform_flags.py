"""Terraform's spelling of flags is a usage error that says ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.toolkit_run import Toolkit
from toolkit.cli.terraform_flags import hint_for, refuse_terraform_flags
from toolkit.errors import UsageError

KNOWN = {
    "--out",
    "-o",
    "--file",
    "-f",
    "--verbose",
    "-v",
    "--jobs",
    "-j",
    "--format",
    "--lock-timeout",
    "--auto-approve",
}
WITH_VALUE = {"--out", "-o", "--file", "-f", "--jobs", "-j", "--format", "--lock-timeout"}


def hint(*arguments: str) -> str | None:
    """What is said of a command line; None where nothing is."""
    try:
        refuse_terraform_flags(arguments, known=KNOWN, with_value=WITH_VALUE)
    except UsageError as error:
        return error.hint
    return None


@pytest.mark.parametrize(
    ("argument", "ours"),
    [
        ("-out=plan.json", "--out FILE"),
        ("-out", "--out FILE"),
        ("-auto-approve", "--auto-approve"),
        ("-lock-timeout=5m", "--lock-timeout 5m"),
        ("-json", "--format json"),
        ("-detailed-exitcode", "leave it out"),  # not among the options here
        ("-destroy", "toolkit destroy"),
        ("-var=a=b", "in the manifest"),
        ("-var-file=x.tfvars", "in the manifest"),
        ("-target=module.x", "whole manifest"),
        ("-replace=a.b", "terraform taint"),
        ("-no-color", "NO_COLOR"),
        ("-input=false", "--auto-approve"),
        ("-refresh=false", "every plan"),
        ("-parallelism=3", "--jobs"),
        ("-file=images.yaml", "write `--file`"),
        ("-format", "write `--format`"),
    ],
)
def test_a_flag_of_terraforms_gets_our_spelling_or_the_reason(argument: str, ours: str) -> None:
    assert ours in (hint("plan", argument) or "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "-vf", "images.yaml", "-j8", "-oplan.json"),
        ("plan", "-v", "-f", "images.yaml"),
        ("plan", "--out", "-out"),
        ("plan", "-o", "-json"),
        ("plan", "--out=-out"),
        ("scan", "--", "-out"),
        ("copy", "nginx:1", "target"),
        ("plan", "-h"),
    ],
)
def test_our_own_spelling_and_values_are_left_alone(arguments: tuple[str, ...]) -> None:
    assert hint(*arguments) is None


def test_a_value_ends_after_one_word() -> None:
    assert hint("plan", "-o", "-out", "-out") is not None


def test_a_long_option_that_only_terraform_has_gets_the_reason_too() -> None:
    assert "whole manifest" in (hint_for("--target") or "")
    assert hint_for("--bogus") is None


def test_terraforms_spelling_saves_no_plan_under_another_name(tmp_path: Path) -> None:
    done = Toolkit(tmp_path).run("plan", "-out=plan.json").expect(64)
    assert "hint: write `--out FILE`" in done.stderr
    assert list(tmp_path.glob("ut*")) == []
    assert "whole manifest" in Toolkit(tmp_path).run("plan", "--target", "x").expect(64).stderr
