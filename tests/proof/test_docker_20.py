"""Docker 20.10, Debian's own: every Dockerfile of the corpus on both of its builders, with and without the fragment."""

from __future__ import annotations

import pytest

from tests.proof.cases import CASES, Verdict
from tests.proof.cells import NO_STRATEGY, Cell
from tests.proof.room import Room
from tests.proof.trap import count

pytestmark = pytest.mark.slow

_BUILDERS = ("legacy", "buildkit")
_CELLS = [Cell(case, "retag", builder) for case in CASES for builder in _BUILDERS if builder in case.builders]
_CONTROLS = [
    Cell(case, NO_STRATEGY, builder)
    for case in CASES
    for builder in _BUILDERS[::-1]
    if builder in case.builders and (builder == "buildkit" or "buildkit" not in case.builders)
]


@pytest.mark.parametrize("cell", _CELLS, ids=str)
def test_a_build_does_what_its_strategy_promises(cell: Cell, docker_20_room: Room) -> None:
    outcome = cell.run(docker_20_room)
    assert cell.judge(outcome) == cell.case.verdict(cell.strategy, cell.builder), (outcome.outside, outcome.output)


@pytest.mark.parametrize("cell", _CONTROLS, ids=str)
def test_a_build_without_the_fragment_is_seen_leaving(cell: Cell, docker_20_room: Room) -> None:
    outcome = cell.run(docker_20_room)
    assert cell.judge(outcome) == Verdict.LEAVES
    assert all(count(outcome.contacts).values()), outcome.outside
