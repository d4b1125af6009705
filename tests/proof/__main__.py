"""`python -m tests.proof 20.10` (or `28`): run every cell and print the matrix; progress goes to stderr."""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.proof import docker_28
from tests.proof.cells import Cell
from tests.proof.daemon import Docker
from tests.proof.matrix import LEGEND, render
from tests.proof.programs import find_programs
from tests.proof.rooms import Observation, observe
from tests.proof.suites import OLD, cells_of_docker_20, cells_of_docker_28


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; 1 when something was seen that the scan had not said."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    parser.add_argument("docker", choices=("20.10", "28"))
    parser.add_argument("--case", action="append", help="only this Dockerfile; may be given again")
    options = parser.parse_args(arguments)
    programs = find_programs()
    try:
        docker = Docker(OLD, Path("/")) if options.docker == "20.10" else docker_28.fetch()
    except docker_28.NotToBeHad as reason:
        sys.exit(f"no Docker 28: {reason}")
    if reason := docker.missing():
        sys.exit(reason)
    cells = cells_of_docker_20() if options.docker == "20.10" else cells_of_docker_28(has_programs=programs is not None)
    chosen = [cell for cell in cells if not options.case or cell.case.name in options.case]
    surprises: list[Cell] = []

    def tell(seen: Observation) -> None:
        if not seen.is_as_said:
            surprises.append(seen.cell)
        sys.stderr.write(f"{seen.cell}: {seen.verdict if seen.is_as_said else seen.story()}\n")

    began = time.monotonic()
    seen = observe(chosen, docker, tell)
    seconds = time.monotonic() - began
    today = datetime.datetime.now(datetime.UTC).date()
    own = "with BuildKit's own programs" if programs else "without BuildKit's own programs"
    sys.stdout.write(
        f"## Docker {docker.version}, {today}\n\n{len(seen)} builds in {seconds:.0f} s, {own}.\n\n{LEGEND}\n"
    )
    sys.stdout.write(render(seen) + "\n")
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main())
