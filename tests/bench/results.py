"""What was found: plain values, and the medians of them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

from tests.bench.access_log import Traffic
from tests.bench.processes import Cost


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one tool; `load` is the machine's load average just before."""

    load: float
    cost: Cost
    source: Traffic
    destination: Traffic


@dataclass(frozen=True, slots=True)
class Tally:
    """The medians of a tool's runs; of its memory, the highest peak."""

    runs: Sequence[Run]

    @property
    def walls(self) -> list[float]:
        return [run.cost.wall for run in self.runs]

    @property
    def wall(self) -> float:
        return statistics.median(self.walls)

    @property
    def cpu(self) -> float:
        return statistics.median(run.cost.cpu for run in self.runs)

    @property
    def peak_rss(self) -> int:
        return max(run.cost.peak_rss for run in self.runs)

    @property
    def source(self) -> Traffic:
        return _median([run.source for run in self.runs])

    @property
    def destination(self) -> Traffic:
        return _median([run.destination for run in self.runs])


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case's tallies by tool, and why tools have none; `new_bytes` are those that the destination lacked, each once."""

    images: int
    new_bytes: int
    tallies: dict[str, Tally] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def _median(all_traffic: Sequence[Traffic]) -> Traffic:
    return Traffic(
        *(statistics.median_high(getattr(one, column.name) for one in all_traffic) for column in fields(Traffic))
    )
