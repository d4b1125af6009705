"""What `prune` deletes, or deleted, as text and as Markdown; the sentences are the page's too."""

from __future__ import annotations

from datetime import datetime

from toolkit.cli.render.amounts import format_count, format_size
from toolkit.cli.render.lines import Paint, Row, format_remarks, format_table
from toolkit.cli.render.markdown import Part, code, comment, hinted, marker, prose, row
from toolkit.cli.render.totals import PruneTotals, sum_prune
from toolkit.plan.pruning import Fate, PrunePlan, Removal, Why

_HEAD = (row("image", "digest", "why", "size", "pushed", "last pulled"), "|---|---|---|---:|---|---|")
_STYLES = {Fate.PLANNED: "", Fate.DELETED: "green", Fate.LEFT: "yellow", Fate.FAILED: "red"}
_WORDS = {
    Why.TAG: "the manifest does not name it",
    Why.KEEPER: "keeper that is no longer needed",
    Why.SUPERSEDED: "superseded: it has no tag",
    Why.PART: "part of",
    Why.ATTACHED: "belongs to",
    Why.ORPHAN: "belongs to what is not there:",
}


def render_prune(plan: PrunePlan, *, width: int = 100, colour: bool = False) -> str:
    """A table of what goes from each repository, and a summary as the last line; names stay whole."""
    paint = Paint(colour)
    lines: list[str] = []
    for shelf in plan.shelves:
        gone = [one for one in plan.removals if one.repository == shelf.repository]
        if gone:
            images = format_count(shelf.images, "image")
            lines.append(paint("bold", f"{shelf.repository}: {shelf.stay} of {images} stay"))
            lines += format_table([_row(one) for one in gone], width=width, paint=paint)
            lines.append("")
    failed = [(f"{_name(one)}: {one.error} [prune.incomplete]", None) for one in plan.failed]
    lines += format_remarks("error", failed, style="red", width=width, paint=paint)
    notices = [(f"{one.message} [{one.code}]", one.hint) for one in plan.notices]
    lines += format_remarks("notice", notices, style="yellow", width=width, paint=paint)
    return "\n".join([*lines, *([""] if failed or notices else []), say_prune(plan)])


def _row(one: Removal) -> Row:
    tags = ", ".join(one.tags) or "(no tag)"
    cells = (tags, one.digest.short, _size(one), say_why(one), f"pushed {_day(one.pushed_at)}", say_pulled(one))
    word = "-" if one.fate is Fate.PLANNED else one.fate.value
    return Row((word, *cells), _STYLES[one.fate])


def render_prune_markdown(plan: PrunePlan) -> str:
    """The same as a comment, with what is still there first."""
    rows = [_markdown_row(one) for one in plan.removals if one not in plan.failed]
    left = [f"- {code(_name(one))}: {prose(one.error or '')}" for one in plan.failed]
    notices = [f"- {prose(one.message)}{hinted(one.hint)}" for one in plan.notices]
    top = [marker("prune", name=plan.name), say_prune(plan), ""]
    title = "**To delete**" if plan.is_dry_run else "**Deleted**"
    return comment(top, [Part("**Still there**", left), Part("**Notices**", notices), Part(title, rows, head=_HEAD)])


def _markdown_row(one: Removal) -> str:
    names = ", ".join(map(code, one.keys))
    return row(names, code(one.digest.short), prose(say_why(one)), _size(one), _day(one.pushed_at), say_pulled(one))


def say_prune(plan: PrunePlan) -> str:
    """What goes or went, in one sentence with bytes and money."""
    totals = sum_prune(plan)
    if not plan.removals:
        return f"Nothing to delete: all {format_count(totals.images, 'image')} are needed."
    what = [format_count(totals.deleted, "image")] if totals.deleted else []
    what += [f"{format_count(totals.tags, 'tag')} of images that stay"] if totals.tags else []
    if plan.is_dry_run:
        return f"{' and '.join(what)} to delete, {say_saved(totals, plan)}; nothing was deleted, `--yes` does it."
    left = f"; {len(plan.failed)} still there" if plan.failed else ""
    return f"{' and '.join(what) or 'Nothing'} deleted, {say_saved(totals, plan)}{left}."


def say_saved(totals: PruneTotals, plan: PrunePlan) -> str:
    """Bytes and money. Layers that images share are stored once, so both are the most that it can be."""
    price = f"${plan.price.dollars:.2f} a GB and month, as of {plan.price.seen}"
    return f"at most {format_size(totals.size)} or ${totals.dollars:.2f} a month ({price})"


def say_why(one: Removal) -> str:
    """Why nothing needs it."""
    return f"{_WORDS[one.why]} {one.belongs_to.short}" if one.belongs_to else _WORDS[one.why]


def say_pulled(one: Removal) -> str:
    """When it was pulled, as ECR knows it."""
    return f"pulled {_day(one.pulled_at)}" if one.pulled_at else "never pulled"


def _name(one: Removal) -> str:
    return one.keys[0]


def _size(one: Removal) -> str:
    return format_size(one.size) if one.size else ""


def _day(time: datetime) -> str:
    return f"{time:%Y-%m-%d}"
