"""A report as Markdown."""

from __future__ import annotations

from toolkit.cli.render.report_view import render_report
from toolkit.report import Report


def render_report_markdown(report: Report) -> str:
    """The text of `report` in a block."""
    return f"```text\n{render_report(report).strip()}\n```\n"
