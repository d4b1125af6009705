"""Docker 28, CodeBuild's own, from Debian unstable: `make test-docker28`."""

from __future__ import annotations

import pytest

from tests.proof.cells import Cell
from tests.proof.conftest import Seen
from tests.proof.programs import find_programs
from tests.proof.suites import cells_of_docker_28
from tests.proof.trap import count
from toolkit.codebuild.coverage import Verdict
from toolkit.manifest.strategy import Strategy

pytestmark = [pytest.mark.docker28, pytest.mark.xdist_group("docker 28")]

_CELLS = cells_of_docker_28(has_programs=find_programs() is not None)


@pytest.mark.parametrize("cell", _CELLS, ids=str)
def test_a_build_does_what_the_scan_said(cell: Cell, seen_28: Seen) -> None:
    seen = seen_28(cell)
    assert seen.is_as_said, seen.story()


@pytest.mark.parametrize("cell", [cell for cell in _CELLS if cell.strategy is Strategy.NONE], ids=str)
def test_a_build_without_the_fragment_is_seen_leaving(cell: Cell, seen_28: Seen) -> None:
    seen = seen_28(cell)
    is_refused = seen.said.verdict is Verdict.REFUSED  # by every builder, whatever comes before it
    assert is_refused or all(count(seen.outcome.contacts).values()), seen.story()
