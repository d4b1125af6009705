"""The findings of `doctor`, as text and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.cli.render.amounts import format_count
from toolkit.cli.render.lines import Paint, wrap
from toolkit.cli.render.markdown import Part, code, comment, marker, prose, row
from toolkit.cli.render.totals import sum_findings
from toolkit.report import CheckState, Finding

_STYLES = {CheckState.OK: "green", CheckState.WARNING: "yellow", CheckState.FAILED: "red", CheckState.SKIPPED: "dim"}
_INDENT = " " * (max(map(len, CheckState)) + 2)
_HEAD = (row("state", "check", "reason", "cure"), "|---|---|---|---|")


def render_diagnosis(findings: Sequence[Finding], *, width: int = 100, colour: bool = False) -> str:
    """A line for each finding, its cure below it, and a summary as the last line."""
    paint = Paint(colour)
    lines = []
    for finding in findings:
        state = finding.state.value
        first = f"{state:{len(_INDENT)}}{finding.name}: {finding.reason}"
        start, *others = wrap(first, width=width, indent=_INDENT, first="")
        lines += [paint(_STYLES[finding.state], state) + start.removeprefix(state), *others]
        if finding.cure:
            start, *others = wrap(f"{_INDENT}cure: {finding.cure}", width=width, indent=f"{_INDENT}      ", first="")
            lines += [start.replace("cure", paint("cyan", "cure"), 1), *others]
    return "\n".join([*lines, "", say_diagnosis(findings)])


def render_diagnosis_markdown(findings: Sequence[Finding]) -> str:
    """The same as a comment; checks that are ok or skipped are folded."""
    rows: dict[bool, list[str]] = {True: [], False: []}
    for one in findings:
        cells = (one.state.value, code(one.name), prose(one.reason), prose(one.cure or ""))
        rows[one.state in (CheckState.FAILED, CheckState.WARNING)].append(row(*cells))
    top = [marker("diagnosis"), say_diagnosis(findings), ""]
    parts = [Part("**To be cured**", rows[True], head=_HEAD), Part("Others", rows[False], head=_HEAD, is_folded=True)]
    return comment(top, parts)


def say_diagnosis(findings: Sequence[Finding]) -> str:
    """How the checks went, in one sentence."""
    counts = sum_findings(findings)
    return (
        f"{format_count(len(findings), 'check')}: {counts[CheckState.OK]} ok, "
        f"{format_count(counts[CheckState.WARNING], 'warning')}, {counts[CheckState.FAILED]} failed, "
        f"{counts[CheckState.SKIPPED]} skipped; nothing was changed."
    )
