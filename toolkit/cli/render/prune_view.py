"""What `prune` deletes, or deleted, as text and as Markdown; the sentences are the page's too."""

from __future__ import annotations

from datetime import datetime

from toolkit.cli.render.amounts import format_count, format_size
from toolkit.cli.render.lines import Paint, Row, format_remarks, format_table, wrap
from toolkit.cli.render.markdown import Part, code, comment, hinted, marker, prose, row
from toolkit.cli.render.totals import PruneTotals, sum_prune
from toolkit.oci.companions import kind_of, subject_of
from toolkit.plan.pruning import Fate, PrunePlan, Removal, Why

_HEAD = (row("image", "digest", "why", "size", "pushed", "last pulled"), "|---|---|---|---:|---|---|")
_STYLES = {Fate.PLANNED: "", Fate.DELETED: "green", Fate.LEFT: "yellow", Fate.FAILED: "red"}
_WORDS = {
    Why.TAG: "not in the manifest",
    Why.KEEPER: "keeper that is not needed",
    Why.SUPERSEDED: "superseded",
    Why.PART: "part of",
    Why.ATTACHED: "belongs to",
    Why.ORPHAN: "without its image",
}


def render_prune(plan: PrunePlan, *, width: int = 100, colour: bool = False) -> str:
    """A table of what goes from each repository, and a summary as the last line.

    The tag of a signature is longer than a line, so what it is stands in its place; other names stay whole.
    """
    paint = Paint(colour)
    lines: list[str] = []
    for shelf in plan.shelves:
        gone = [one for one in in_order(plan) if one.repository == shelf.repository]
        if gone:
            count = sum(not one.is_tags_only for one in gone)
            lines.append(paint("bold", f"{shelf.repository}: {count} of {format_count(shelf.images, 'image')}"))
            lines += format_table([_row(one) for one in gone], width=width, paint=paint)
            lines.append("")
    failed = [(f"{one.keys[0]}: {one.error}", None) for one in plan.failed]
    lines += format_remarks("error", failed, style="red", width=width, paint=paint)
    notices = [(f"{one.message} [{one.code}]", one.hint) for one in plan.notices]
    lines += format_remarks("notice", notices, style="yellow", width=width, paint=paint)
    return "\n".join([*lines, *([""] if failed or notices else []), *wrap(say_prune(plan), width=width, indent="")])


def _row(one: Removal) -> Row:
    kinds = dict.fromkeys(kind_of(tag) if subject_of(tag) else tag for tag in one.tags)
    name = ", ".join(kinds) or ("(referrer)" if one.why is Why.ATTACHED else "(no tag)")
    cells = (name, one.digest.short, _size(one), say_why(one), f"pushed {_day(one.pushed_at)}", say_pulled(one))
    word = "-" if one.fate is Fate.PLANNED else one.fate.value
    return Row((word, *cells), _STYLES[one.fate])


def render_prune_markdown(plan: PrunePlan) -> str:
    """The same as a comment, with what is still there first."""
    rows = [_markdown_row(one) for one in in_order(plan) if one not in plan.failed]
    left = [f"- {code(one.keys[0])}: {prose(one.error or '')}" for one in plan.failed]
    notices = [f"- {prose(one.message)}{hinted(one.hint)}" for one in plan.notices]
    top = [marker("prune", name=plan.name), say_prune(plan), ""]
    title = "**To delete**" if plan.is_dry_run else "**Deleted**"
    return comment(top, [Part("**Still there**", left), Part("**Notices**", notices), Part(title, rows, head=_HEAD)])


def _markdown_row(one: Removal) -> str:
    names = ", ".join(map(code, one.keys))
    return row(names, code(one.digest.short), prose(say_why(one)), _size(one), _day(one.pushed_at), say_pulled(one))


def in_order(plan: PrunePlan) -> list[Removal]:
    """What goes for a reason of its own comes before its parts and signatures."""
    order = list(Why)
    return sorted(plan.removals, key=lambda one: order.index(one.why))


def say_prune(plan: PrunePlan) -> str:
    """What goes or went, with bytes and money."""
    totals = sum_prune(plan)
    if not plan.removals:
        return f"Nothing to delete: all {format_count(totals.images, 'image')} are needed."
    what = [format_count(totals.deleted, "image")] if totals.deleted else []
    what += [f"{format_count(totals.tags, 'tag')} of images that stay"] if totals.tags else []
    done = f"{' and '.join(what) or 'nothing'}; {say_saved(totals, plan)}."
    if plan.is_dry_run:
        return f"To delete: {done} Nothing was deleted yet: `--yes` does it."
    left = len(plan.removals) - sum(one.fate is Fate.DELETED for one in plan.removals)
    return f"Deleted: {done}{f' Still there: {left}.' if left else ''}"


def say_saved(totals: PruneTotals, plan: PrunePlan) -> str:
    """Bytes and money. Layers that images share are stored once, so both are the most that it can be."""
    price = f"${plan.price.dollars:.2f} a GB and month, as of {plan.price.seen}"
    dollars = f"${totals.dollars:.2f}" if totals.dollars or not totals.size else "less than $0.01"
    return f"at most {format_size(totals.size)} or {dollars} a month ({price})"


def say_why(one: Removal) -> str:
    """Why nothing needs it."""
    why = f"{_WORDS[one.why]} {one.belongs_to.short}" if one.belongs_to else _WORDS[one.why]
    return f"{why}, tag only" if one.is_tags_only else why


def say_pulled(one: Removal) -> str:
    """When it was pulled, as ECR knows it."""
    return f"pulled {_day(one.pulled_at)}" if one.pulled_at else "never pulled"


def _size(one: Removal) -> str:
    return format_size(one.size) if one.size else ""


def _day(time: datetime) -> str:
    return f"{time:%Y-%m-%d}"
