"""Cells by the dozen: several rooms at a time, each with its own daemons, and what was seen in them."""

from __future__ import annotations

import os
import queue
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.proof.cases import EXTRAS
from tests.proof.cells import Cell, seeds
from tests.proof.daemon import Docker
from tests.proof.programs import find_programs, with_programs
from tests.proof.room import Outcome, Room, open_room
from tests.proof.said import Said, ask_scan
from toolkit.codebuild.coverage import Verdict

# Twice the cores: a build waits as much as it works.
_ROOMS = 2 * (os.cpu_count() or 2)


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen of `cell`: `verdict` is None for a result that cannot be explained, and `remark` says why.

    `has_programs`: BuildKit's own are in its images. A frontend that is none is fetched, and then fails.
    """

    cell: Cell
    outcome: Outcome
    said: Said
    verdict: Verdict | None
    remark: str = ""
    has_programs: bool = True

    @property
    def is_as_said(self) -> bool:
        """Whether the scan had said it."""
        if self.said.allows(self.verdict, self.cell):
            return True
        lacks_frontend = self.cell.case.loads_frontend and not self.has_programs
        asked = any("docker/dockerfile/manifests/" in contact.what for contact in self.outcome.contacts)
        return lacks_frontend and asked and self.verdict is Verdict.REFUSED

    def story(self) -> str:
        """For a message: what was expected, what happened instead."""
        lines = (f"said {self.said.verdict}, seen {self.verdict}", self.remark, *self.outcome.outside)
        return "\n".join((*filter(None, lines), str(dict(self.outcome.origins)), self.outcome.output[-3000:]))


def observe(
    cells: Iterable[Cell], docker: Docker, told: Callable[[Observation], None] = lambda _: None
) -> Mapping[Cell, Observation]:
    """Run each of `cells` on a daemon of its own; `told` hears of each when it is done."""
    todo = list(cells)
    rooms: queue.SimpleQueue[Room] = queue.SimpleQueue()
    programs = find_programs()
    extras = with_programs(EXTRAS, programs)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for number in range(min(_ROOMS, len(todo))):
            rooms.put(stack.enter_context(open_room(docker, seeds(), extras, folder / str(number))))

        def run(cell: Cell) -> Observation:
            said = ask_scan(cell)
            room = rooms.get()
            try:
                outcome = cell.run(room)
            finally:
                rooms.put(room)
            try:
                verdict, remark = cell.judge(outcome), ""
            except AssertionError as error:
                verdict, remark = None, str(error)
            seen = Observation(cell, outcome, said, verdict, remark, programs is not None)
            told(seen)
            return seen

        pool = stack.enter_context(ThreadPoolExecutor(_ROOMS))
        return dict(zip(todo, pool.map(run, todo), strict=True))
