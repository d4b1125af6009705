"""The matrix as text: Dockerfiles down, strategies and builders across, and what was seen outside in each cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tests.proof.cells import Cell
from tests.proof.rooms import Observation
from tests.proof.trap import count
from toolkit.codebuild.coverage import Verdict
from toolkit.manifest.strategy import Strategy

_Column = tuple[Strategy, str, str]
LEGEND = """\
`home`: ECR's bytes, nothing asked outside · `leaves D/T/H`: so many DNS questions, TLS handshakes and HTTP requests to others than ECR · `ends`: nothing asked
outside, and the build fails · `wrong platform`: nothing asked outside, and the image is for another platform · `?`: cannot be explained · empty: not run.
"""


def render(seen: Mapping[Cell, Observation]) -> str:
    """A table in Markdown, in the order of the corpus, and the same counted."""
    columns = list(
        dict.fromkeys(_column(cell) for cell in sorted(seen, key=lambda cell: list(Strategy).index(cell.strategy)))
    )
    rows: dict[str, dict[_Column, str]] = {}
    for cell, observation in seen.items():
        rows.setdefault(cell.case.name, {})[_column(cell)] = _shown(observation)
    titles = [" ".join(column) for column in columns]
    return "\n".join(
        [
            _line("Dockerfile", *titles),
            _line(*("---" for _ in range(len(columns) + 1))),
            *(_line(f"`{name}`", *(row.get(column, "") for column in columns)) for name, row in rows.items()),
            "",
            _counted(seen),
        ]
    )


def _counted(seen: Mapping[Cell, Observation]) -> str:
    counts: dict[_Column, Counter[str]] = {}
    for cell, observation in seen.items():
        counts.setdefault(_column(cell), Counter())[str(observation.verdict)] += 1
    verdicts = (Verdict.STAYS, Verdict.REFUSED, Verdict.WRONG, Verdict.LEAVES)
    heads = ("stay home", "end at home", "wrong platform", "leave")
    return "\n".join(
        [
            _line("strategy", "on_miss", "builder", "Dockerfiles", *heads),
            _line(*("---" for _ in range(8))),
            *(
                _line(*column, str(sum(counted.values())), *(str(counted[verdict] or "") for verdict in verdicts))
                for column, counted in counts.items()
            ),
        ]
    )


def _column(cell: Cell) -> _Column:
    # Without a strategy there is no fragment, and one builder is like the other.
    if cell.strategy is Strategy.NONE:
        return cell.strategy, "", ""
    return cell.strategy, cell.on_miss, cell.builder


def _shown(observation: Observation) -> str:
    match observation.verdict:
        case Verdict.STAYS:
            return "home"
        case Verdict.REFUSED:
            return "ends"
        case Verdict.WRONG:
            return "wrong platform"
        case Verdict.LEAVES:
            return "leaves " + "/".join(map(str, count(observation.outcome.contacts).values()))
        case _:
            return "?"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
