"""`python -m tests.simulation`: renews the table of `docs/explanation/many-machines.md`, and its picture."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.simulation.fleet import Ran, World, simulate
from tests.simulation.picture import render
from toolkit.cli.render.amounts import format_duration
from toolkit.plan.model import Bound

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PICTURE = DOCS / "explanation" / "many-machines.md", DOCS / "images" / "shards.svg"
COUNTS = (1, 2, 4, 8, 16, 32, 48, 64)
WORLDS = {"no pull limit": World(), "20,000 pulls in 6 hours": World(pulls=20_000)}
_WORDS = {Bound.BYTES: "bytes", Bound.PUT_IMAGE: "PutImage", Bound.PULLS: "pulls"}
_TABLE = re.compile(r"(?<=<!-- simulation -->\n)(?:\|.*\n)*")


def table(runs: Mapping[str, Sequence[Ran]]) -> str:
    """The runs of each world, a line for a number of shards."""
    head = [cell for name in runs for cell in (f"{name}: decides", "at least", "simulated", "429s")]
    lines = [["shards", *head], ["---"] * (len(head) + 1)]
    for number, count in enumerate(COUNTS):
        cells = [str(count)]
        for those in runs.values():
            one = those[number]
            took = f"{format_duration(one.makespan)} **{one.ratio:.2f}**"
            at_least = format_duration(one.division.seconds)
            cells += [_WORDS[one.division.bound], at_least, took, f"{one.throttled / one.puts:.0%}"]
        lines.append(cells)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def picture(runs: Mapping[str, Sequence[Ran]]) -> str:
    """The runs as a picture."""
    return render(
        {
            name: [(len(r.division.shards), r.division.seconds, r.makespan) for r in those]
            for name, those in runs.items()
        }
    )


def main() -> None:
    """Run every world."""
    runs = {name: simulate(world, COUNTS) for name, world in WORLDS.items()}
    PAGE.write_text(_TABLE.sub(lambda _: table(runs), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    PICTURE.write_text(picture(runs), encoding="utf-8")


if __name__ == "__main__":
    main()
