"""The findings of `doctor`, as one text and as JSON-safe values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from toolkit.cli.render.amounts import format_count
from toolkit.cli.render.lines import Paint, wrap
from toolkit.operations.doctor import Finding, State

_STYLES = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "red", State.SKIPPED: "dim"}
_INDENT = " " * (max(map(len, State)) + 2)


def doctor_document(findings: Sequence[Finding]) -> dict[str, object]:
    """The findings in the order of the checks, and how many there are of each state."""
    return {
        "schema_version": 1,
        "totals": _counts(findings),
        "findings": [{**asdict(finding), "state": finding.state.value} for finding in findings],
    }


def render_findings(findings: Sequence[Finding], *, width: int = 100, colour: bool = False) -> str:
    """A line for each finding, its cure below it, and a summary as the last line."""
    paint = Paint(colour)
    lines = []
    for finding in findings:
        state = finding.state.value
        name = f"{finding.check} {finding.subject}".rstrip()
        first = f"{state:{len(_INDENT)}}{name}: {finding.reason}"
        start, *others = wrap(first, width=width, indent=_INDENT, first="")
        lines += [paint(_STYLES[finding.state], state) + start.removeprefix(state), *others]
        if finding.cure:
            start, *others = wrap(f"{_INDENT}cure: {finding.cure}", width=width, indent=f"{_INDENT}      ", first="")
            lines += [start.replace("cure", paint("cyan", "cure"), 1), *others]
    counts = _counts(findings)
    parts = [f"{counts['ok']} ok", format_count(counts["warning"], "warning"), f"{counts['failed']} failed"]
    summary = ", ".join((*parts, f"{counts['skipped']} skipped"))
    return "\n".join([*lines, "", f"{format_count(len(findings), 'check')}: {summary}; nothing was changed."])


def _counts(findings: Sequence[Finding]) -> Mapping[str, int]:
    counts = Counter(finding.state for finding in findings)
    return {state.value: counts[state] for state in State}
