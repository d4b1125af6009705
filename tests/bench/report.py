"""The tables for people and the document for machines."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.cases import Case
from tests.bench.results import Outcome, Tally
from tests.bench.tools import OURS, TOOLS, version

Results = Sequence[tuple[Case, Outcome]]

_COLUMNS = (
    "case",
    "tool",
    "wall s (min–max)",
    "ours ÷ theirs",
    "CPU s",
    "peak MB",
    "requests source / dest.",
    "manifest GETs",
    "MB read / received",
)


def machine(programs: Mapping[str, str], missing: Sequence[str]) -> dict[str, Any]:
    """The shape of this machine; `programs` are paths by name of what is measured, `missing` names of what is not installed."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory[1]) / 2**20) if memory else None,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": _commit(),
        "versions": {name: version(name, path) for name, path in programs.items()},
        "not_installed": list(missing),
    }


def document(about: Mapping[str, Any], results: Results) -> dict[str, Any]:
    """Every run of every tool, and what the checks found; `about` is the machine."""
    return {
        "schema_version": 1,
        "machine": about,
        "cases": [
            {
                "name": case.name,
                "about": case.about,
                "images": outcome.images,
                "new_bytes": outcome.new_bytes,
                "failures": outcome.failures,
                "checks": list(_checks(case, outcome)),
                "tools": [
                    {"name": name, "median_wall": tally.wall, "runs": [asdict(run) for run in tally.runs]}
                    for name, tally in outcome.tallies.items()
                ],
            }
            for case, outcome in results
        ],
    }


def markdown(about: Mapping[str, Any], results: Results) -> str:
    """What `docs/explanation/speed.md` can take as it is."""
    shape = f"{about['cores']} cores ({about['cpu']}), {about['memory_gib']} GiB, Linux {about['kernel']}"
    loads = [run.load for _, outcome in results for tally in outcome.tallies.values() for run in tally.runs]
    load = f", load average {min(loads):.1f} to {max(loads):.1f}" if loads else ""
    lines = [
        f"Measured on {about['date'][:10]}, on {shape}, Python {about['python']}{load}; "
        + ", ".join(about["versions"].values())
        + ".",
    ]
    if about["not_installed"]:
        lines.append(f"Not installed, so not measured: {', '.join(about['not_installed'])}.")
    lines += ["", _row(_COLUMNS), _row("---" for _ in _COLUMNS)]
    for case, outcome in results:
        ours = outcome.tallies.get("toolkit")
        lines += [_row(_cells(case, name, tally, ours)) for name, tally in outcome.tallies.items()]
    lines += ["", "Targets, for information:", ""]
    for case, outcome in results:
        for found in _checks(case, outcome):
            lines.append(f"- {case.name}, {found['tool']}: {found['what']} {_verdict(**found)}")
        lines += [f"- {case.name}, {tool}: **failed**, {reason}" for tool, reason in outcome.failures.items()]
    return "\n".join(lines) + "\n"


def _cells(case: Case, name: str, tally: Tally, ours: Tally | None) -> list[str]:
    spread = f" ({min(tally.walls):.2f}–{max(tally.walls):.2f})" if len(tally.runs) > 1 else ""
    source, destination = tally.source, tally.destination
    return [
        case.name,
        name,
        f"{tally.wall:.2f}{spread}",
        "" if ours is None or TOOLS[name].program == OURS else f"{ours.wall / tally.wall:.2f}",
        f"{tally.cpu:.2f}",
        f"{tally.peak_rss / 1e6:.0f}",
        f"{source.requests} / {destination.requests}",
        str(source.manifest_gets),
        f"{source.bytes_read / 1e6:.1f} / {destination.bytes_received / 1e6:.1f}",
    ]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _checks(case: Case, outcome: Outcome) -> Iterable[dict[str, Any]]:
    for name, tally in outcome.tallies.items():
        if TOOLS[name].program != OURS:
            continue
        for check in case.checks:
            value = check.value(tally, outcome)
            met = None if value is None or check.limit is None else round(value, 4) <= check.limit
            yield {"tool": name, "what": check.what, "value": value, "limit": check.limit, "met": met}


def _verdict(value: float | None, limit: float | None, met: bool | None, **_: Any) -> str:
    shown = "not measured" if value is None else f"{value:.3g}"
    if limit is None:
        return shown
    return f"{shown} (≤ {limit:g}{'' if met is None else ': met' if met else ': **not met**'})"


def _commit() -> str | None:
    argv = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None
