"""What `copy --dry-run` found, as text and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.cli.render.amounts import format_count
from toolkit.cli.render.lines import Paint, Row, format_remarks, format_table, visible, wrap
from toolkit.cli.render.markdown import Part, code, comment, hinted, marker, prose, row
from toolkit.cli.render.totals import sum_previews
from toolkit.plan.model import SeedAction
from toolkit.report import CopyPreview

_HEAD = (row("source", "destination", "action", "destination now"), "|---|---|---|---|")
_LOOKS = {SeedAction.COPY: ("+", "green"), SeedAction.MOVE: ("~", "yellow")}


def render_previews(previews: Sequence[CopyPreview], *, width: int = 100, colour: bool = False) -> str:
    """The text of `previews`, its last line a summary; `width` bounds sentences and tables, names stay whole."""
    paint = Paint(colour)
    lines = [paint("bold", "Images")]
    for preview in previews:
        if preview.action in _LOOKS:
            symbol, style = _LOOKS[preview.action]
            lines.append(f"  {paint(style, f'{symbol} {preview.action.value}')}  {visible(preview.destination)}")
            lines += wrap(f"from {preview.source}", width=width, indent=" " * 10)
            if preview.current_digest:
                lines += wrap(f"tag now {preview.current_digest}", width=width, indent=" " * 10)
    kept = [preview for preview in previews if preview.action is SeedAction.KEEP]
    rows = [Row(("= keep", preview.destination, preview.current_digest or ""), "dim") for preview in kept]
    lines += format_table(rows, width=width, paint=paint) if rows else []
    remarks = [
        (f"{preview.destination}: {preview.error_message} [{preview.error_code}]", preview.hint)
        for preview in previews
        if preview.error_message
    ]
    lines += format_remarks("refused", remarks, style="red", width=width, paint=paint)
    return "\n".join([*lines, "", say_previews(previews)])


def render_previews_markdown(previews: Sequence[CopyPreview]) -> str:
    """The same as a comment."""
    rows = [
        row(code(one.source), code(one.destination), one.action.value, code(one.current_digest or ""))
        for one in previews
        if one.action
    ]
    refused = [
        f"- {code(one.destination)}: {prose(one.error_message or '')}{hinted(one.hint)}"
        for one in previews
        if not one.action
    ]
    top = [marker("preview"), say_previews(previews), ""]
    parts = [Part("**Refused**", refused), Part("**Images**", rows, head=_HEAD)]
    return comment(top, parts)


def say_previews(previews: Sequence[CopyPreview]) -> str:
    """What would be done, in one sentence."""
    totals = sum_previews(previews)
    refused = f", {totals.refused} refused" if totals.refused else ""
    return (
        f"Dry run: {format_count(totals.copies, 'image')} to copy, {totals.moves} to move, {totals.keeps} unchanged"
        f"{refused}; nothing was changed."
    )
