"""Where else the content of what is to be copied can be had: looked for between two decisions of the planner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from toolkit.operations.services import Services
from toolkit.plan.model import Plan
from toolkit.plan.observed import Observed


def decide_with_alternatives(observed: Observed, services: Services, decide: Callable[[Observed], Plan]) -> Plan:
    """The decision on `observed`. Other registries are asked only about what it copies."""
    made = decide(observed)
    found = services.observer.alternatives(made.pending_seeds)
    return decide(replace(observed, alternatives=found)) if found else made
