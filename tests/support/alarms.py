"""A small evaluator of CloudWatch's alarms, which moto keeps and never evaluates.

Its rules are those of AWS's page "Configuring how CloudWatch alarms treat missing data":

- CloudWatch looks at more periods than the alarm has, if data are missing in those. How many more, AWS does not say.
- If there are as many data as the alarm has periods, the newest of them decide, and what is missing does not count.
- If there are fewer, each that lacks is filled in as the alarm says. `ignore` keeps the state as it is, if the data that
  there are do not decide.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

OK, ALARM, UNKNOWN = "OK", "ALARM", "INSUFFICIENT_DATA"

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanOrEqualToThreshold": operator.le,
    "LessThanThreshold": operator.lt,
}


def evaluate(alarm: Mapping[str, Any], data: Sequence[float | None], state: str = UNKNOWN, *, further: int = 2) -> str:
    """The state of `alarm` after `data`, one for each period and the newest last; None is a period without any.

    `alarm` is as DescribeAlarms has it, and `state` its state so far. `further` are the periods that CloudWatch looks at
    beyond those of the alarm.
    """
    periods, most_good = alarm["EvaluationPeriods"], alarm["EvaluationPeriods"] - alarm["DatapointsToAlarm"]
    is_breaching = _COMPARISONS[alarm["ComparisonOperator"]]
    seen = [value for value in data[-(periods + further) :] if value is not None][-periods:]
    breaches = [is_breaching(value, alarm["Threshold"]) for value in seen]
    lacking = periods - len(seen)
    match alarm["TreatMissingData"]:
        case "breaching":
            breaches += [True] * lacking
        case "notBreaching":
            breaches += [False] * lacking
        case "missing" if not seen:
            return UNKNOWN
        case "ignore" if lacking and all(breaches):
            return state
    return OK if breaches.count(False) > most_good else ALARM
