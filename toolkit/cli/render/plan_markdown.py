"""A plan as Markdown."""

from __future__ import annotations

from toolkit.cli.render.plan_view import render_plan
from toolkit.plan.model import Plan


def render_plan_markdown(plan: Plan) -> str:
    """The text of `plan` in a block."""
    return f"```text\n{render_plan(plan).strip()}\n```\n"
