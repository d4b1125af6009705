"""Docker 20.10, Debian's own: every Dockerfile of the corpus on both of its builders, with and without the fragment."""

from __future__ import annotations

import pytest

from tests.proof.cells import Cell
from tests.proof.conftest import Seen
from tests.proof.suites import cells_of_docker_20
from tests.proof.trap import count
from toolkit.manifest.strategy import Strategy

# One process runs them all, several at a time.
pytestmark = pytest.mark.xdist_group("docker 20.10")

# One Dockerfile with a tag in each stage, by each of the quick strategies and builders: a cell costs 2 s of CPU.
_CELLS = [
    pytest.param(cell, id=str(cell), marks=() if cell.case.name == "multi-stage" else pytest.mark.slow)
    for cell in cells_of_docker_20()
]
_CONTROLS = [param for param in _CELLS if param.values[0].strategy is Strategy.NONE]


@pytest.mark.parametrize("cell", _CELLS)
def test_a_build_does_what_the_scan_said(cell: Cell, seen_20: Seen) -> None:
    seen = seen_20(cell)
    assert seen.is_as_said, seen.story()


@pytest.mark.parametrize("cell", _CONTROLS)
def test_a_build_without_the_fragment_is_seen_leaving(cell: Cell, seen_20: Seen) -> None:
    seen = seen_20(cell)
    assert all(count(seen.outcome.contacts).values()), seen.story()
