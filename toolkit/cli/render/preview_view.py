"""What `copy --dry-run` found, as one text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from toolkit.cli.render.amounts import format_count
from toolkit.cli.render.lines import Paint, Row, format_remarks, format_table, visible, wrap
from toolkit.plan.model import SeedAction
from toolkit.report import CopyPreview

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
    counts = _counts(previews)
    refused = sum(preview.action is None for preview in previews)
    summary = (
        f"Dry run: {format_count(counts['copy'], 'image')} to copy, {counts['move']} to move, "
        f"{counts['keep']} unchanged{f', {refused} refused' if refused else ''}; nothing was changed."
    )
    return "\n".join([*lines, "", summary])


def _counts(previews: Sequence[CopyPreview]) -> Mapping[str, int]:
    counts = Counter(preview.action for preview in previews)
    return {action.value: counts[action] for action in SeedAction}
