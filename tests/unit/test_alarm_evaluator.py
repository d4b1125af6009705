"""The evaluator of alarms, by the table of AWS's page "Configuring how CloudWatch alarms treat missing data"."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.alarms import ALARM, OK, UNKNOWN, evaluate

GOOD, BAD = 0.0, 1.0


def alarm(missing: str, *, least: int = 3, periods: int = 3) -> dict[str, Any]:
    return {
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "Threshold": 1.0,
        "EvaluationPeriods": periods,
        "DatapointsToAlarm": least,
        "TreatMissingData": missing,
    }


@pytest.mark.parametrize(
    ("data", "missing", "ignore", "breaching", "not_breaching"),
    [
        ("0-X-X", OK, OK, OK, OK),
        ("----0", OK, OK, OK, OK),
        ("-----", UNKNOWN, "as before", ALARM, OK),
        ("0XX-X", ALARM, ALARM, ALARM, ALARM),
        ("--X--", ALARM, "as before", ALARM, OK),
    ],
)
def test_three_of_three_as_aws_documents_it(
    data: str, missing: str, ignore: str, breaching: str, not_breaching: str
) -> None:
    points = [{"0": GOOD, "X": BAD, "-": None}[sign] for sign in data]
    expected = {"missing": missing, "ignore": ignore, "breaching": breaching, "notBreaching": not_breaching}
    assert {kind: evaluate(alarm(kind), points, "as before") for kind in expected} == expected


def test_two_of_three_leaves_room_for_one_that_is_good() -> None:
    assert evaluate(alarm("breaching", least=2), [BAD, GOOD, BAD]) == ALARM
    assert evaluate(alarm("breaching", least=2), [GOOD, GOOD, BAD]) == OK
    assert evaluate(alarm("breaching", least=2), [None, None, None, None, GOOD]) == ALARM


@pytest.mark.parametrize(
    ("comparison", "breaching"),
    [
        ("GreaterThanOrEqualToThreshold", [1.0, 2.0]),
        ("GreaterThanThreshold", [2.0]),
        ("LessThanOrEqualToThreshold", [0.0, 1.0]),
        ("LessThanThreshold", [0.0]),
    ],
)
def test_compares_with_the_threshold(comparison: str, breaching: list[float]) -> None:
    made = alarm("missing", periods=1, least=1) | {"ComparisonOperator": comparison}
    assert [value for value in (0.0, 1.0, 2.0) if evaluate(made, [value]) == ALARM] == breaching
