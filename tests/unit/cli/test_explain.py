"""Every code has an explanation, and every explanation a code."""

from __future__ import annotations

import inspect
import json

import pytest

from tests.docs import reference
from tests.support.toolkit_run import Toolkit
from toolkit import errors
from toolkit.cli import explanations


def test_knows_every_code_of_the_program() -> None:
    assert set(explanations.codes()) == {one.code for one in reference.codes()}


def test_knows_codes_of_errors_that_a_room_declares_for_itself() -> None:
    assert set(explanations.codes()) >= {"aws.region_disabled", "aws.secret_unusable", "doctor.failed"}


@pytest.mark.parametrize("code", explanations.codes())
def test_says_what_happened_or_why(code: str) -> None:
    found = explanations.explain(code)
    assert found
    assert found.happened or explanations.own_reason(code)
    assert found.why
    assert found.leaves
    assert found.next


def test_has_no_explanation_without_a_code() -> None:
    known = set(explanations.codes())
    sides = {f"{side}.{cause}" for side in ("source", "destination") for cause in explanations._WHY_OF_A_SIDE}
    assert set(explanations._WHY) <= known
    assert {code.partition(".")[2] for code in sides & known} == set(explanations._WHY_OF_A_SIDE)
    assert set(explanations._ROOMS) == {code.partition(".")[0] for code in known}


def test_explains_every_exit_code() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.ToolkitError)]
    assert {one.number for one in explanations.EXIT_CODES} == {kind.exit_code for kind in kinds} | {0, 2, 8}


@pytest.mark.parametrize(
    ("asked", "near"), [("plan.stael", "plan.stale"), ("stale", "plan.stale"), ("source.mising", "source.missing")]
)
def test_suggests_what_was_meant(asked: str, near: str) -> None:
    assert near in explanations.near(asked)


def test_command_explains_codes_and_refuses_others(tmp_path_factory: pytest.TempPathFactory) -> None:
    toolkit = Toolkit(tmp_path_factory.mktemp("explain"))
    assert "What to do next:" in toolkit.run("explain", "[plan.stale]").expect(0).stdout
    assert "plan.stale" in toolkit.run("explain", "7").expect(0).stdout
    assert "`plan.stale`" in toolkit.run("explain", "plan.stael").expect(64).stderr
    assert "exit code" in toolkit.run("explain", "9").expect(64).stderr
    listed = json.loads(toolkit.run("explain", "--format", "json").expect(0).stdout)["explanation"]
    assert {one["code"] for one in listed["codes"]} == set(explanations.codes())
