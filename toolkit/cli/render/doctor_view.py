"""The findings of `doctor` as one text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from toolkit.cli.render.amounts import format_count
from toolkit.cli.render.lines import Paint, wrap
from toolkit.report import CheckState, Finding

_STYLES = {CheckState.OK: "green", CheckState.WARNING: "yellow", CheckState.FAILED: "red", CheckState.SKIPPED: "dim"}
_INDENT = " " * (max(map(len, CheckState)) + 2)


def render_diagnosis(findings: Sequence[Finding], *, width: int = 100, colour: bool = False) -> str:
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
    counts = Counter(finding.state for finding in findings)
    warnings = format_count(counts[CheckState.WARNING], "warning")
    summary = f"{counts[CheckState.OK]} ok, {warnings}, {counts[CheckState.FAILED]} failed"
    summary += f", {counts[CheckState.SKIPPED]} skipped; nothing was changed."
    return "\n".join([*lines, "", f"{format_count(len(findings), 'check')}: {summary}"])
