"""A plan as one text: what Terraform changes, what happens to each image, what that costs in counted pulls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from toolkit.cli.render.amounts import format_count, format_duration, format_range, format_size
from toolkit.cli.render.lines import Paint, Row, format_remark, format_table, visible, wrap
from toolkit.cli.render.totals import PlanTotals, sum_plan
from toolkit.oci.digest import Digest
from toolkit.plan.model import InfraAction, InfraChange, Plan, PullCost, Seed
from toolkit.plan.on_budget import OnBudget
from toolkit.plan.pull_budget import seeds_without_room
from toolkit.plan.seed_action import SeedAction

# Symbol, colour and heading, in the order shown.
_INFRA_LOOKS = {
    InfraAction.CREATE: ("+", "green", "To create:"),
    InfraAction.IMPORT: ("<", "cyan", "To import into the state, as it is in AWS:"),
    InfraAction.UPDATE: ("~", "yellow", "To update:"),
    InfraAction.FORGET: (".", "cyan", "To let go of, without deleting it:"),
    InfraAction.REPLACE: ("-/+", "red", "To destroy and create again:"),
    InfraAction.DELETE: ("-", "red", "To destroy:"),
}
# What becomes of an image for which the pulls left do not suffice; each may turn out to cost less than it could.
_PUT_OFF = {OnBudget.WAIT: "may have to wait for pulls", OnBudget.PARTIAL: "may be left for the next run"}
_MODULE_CALL = re.compile(r'(?:module\.base_images\.)?module\.(?P<call>[\w-]+)\["(?P<key>[^"]*)"\]\.')


def render_plan(plan: Plan, *, width: int = 100, colour: bool = False) -> str:
    """The text of `plan`, its last line a summary; `width` bounds sentences and tables, names stay whole."""
    paint = Paint(colour)
    account = plan.account
    title = f"{visible(plan.name)}: account {visible(account.account_id)}, region {visible(account.region)}"
    totals = sum_plan(plan)
    sections = [
        [paint("bold", title)],
        _infra_section(plan.infra_changes, paint),
        _image_section(plan, totals, width, paint),
        _pull_section(plan, width, paint),
        _remark_section(plan, width, paint),
        # Whole, so that a pipeline can look for it.
        [_summary(plan, totals)],
    ]
    return "\n".join("\n".join([*section, ""]) for section in sections if section)


def _infra_section(changes: Sequence[InfraChange], paint: Paint) -> list[str]:
    if not changes:
        return []
    lines = [paint("bold", "Infrastructure")]
    for action, (symbol, style, heading) in _INFRA_LOOKS.items():
        names = list(_name_changes([change for change in changes if change.action is action]))
        if names:
            lines.append(f"  {heading}")
            lines += [f"  {paint(style, f'{symbol:>3}')} {visible(name)}" for name in names]
    return lines


def _name_changes(changes: Sequence[InfraChange]) -> Iterator[str]:
    """Names of what changes: the resources of one repository or build are one, unless something is destroyed."""
    groups: dict[str, list[InfraChange]] = {}
    for change in changes:
        call = _MODULE_CALL.match(change.address)
        groups.setdefault(change.address if change.destroys or not call else call[0], []).append(change)
    for prefix, group in groups.items():
        first = group[0]
        call = _MODULE_CALL.fullmatch(prefix)
        if first.destroys:
            yield f"{first.address} ({first.reason.replace('_', ' ')})" if first.reason else first.address
        elif not call:
            yield first.address
        elif first.action in (InfraAction.CREATE, InfraAction.IMPORT):
            yield f"{_kind(call['call'], group)} {call['key']} ({format_count(len(group), 'resource')})"
        else:
            types = ", ".join(change.resource_type for change in group)
            yield f"{_kind(call['call'], group)} {call['key']} ({types})"


def _kind(call: str, changes: Iterable[InfraChange]) -> str:
    """What one module instance is to the reader; the module's own name where the types do not tell."""
    types = {change.resource_type for change in changes}
    if all(type_.startswith("aws_ecr_") for type_ in types):
        return "repository"
    if "build" in call or "aws_codebuild_project" in types:
        return "build"
    return call.replace("_", " ")


def _image_section(plan: Plan, totals: PlanTotals, width: int, paint: Paint) -> list[str]:
    if not plan.seeds:
        return []
    without_room = seeds_without_room(plan)
    lines = [paint("bold", f"Images, into {visible(plan.account.registry_host)}")]
    for action, symbol, style in ((SeedAction.COPY, "+", "green"), (SeedAction.MOVE, "~", "yellow")):
        for seed in plan.seeds:
            if seed.action is action:
                lines.append(f"  {paint(style, f'{symbol} {action.value}')}  {visible(seed.key)}")
                put_off = _PUT_OFF[plan.on_budget] if seed.key in without_room else None
                for fact in _pending_facts(seed, put_off):
                    lines += wrap(fact, width=width, indent=" " * 10)
    kept = [seed for seed in plan.seeds if seed.action is SeedAction.KEEP]
    rows = [Row(("= keep", seed.key, _short(seed.current_digest), seed.reason), "dim") for seed in kept]
    lines += format_table(rows, width=width, paint=paint)
    return lines + (wrap(_size_line(totals), width=width, indent="  ") if plan.pending_seeds else [])


def _pending_facts(seed: Seed, put_off: str | None) -> Iterator[str]:
    """The lines below an image that is copied: from where, to what, which parts, how much, and why."""
    # A companion's own tag is in its key already, and too long to be read twice.
    source = seed.source.name if seed.subject else replace(seed.source, digest=None)
    yield f"from {source} {_short(seed.source.digest)}"
    if seed.bytes_from is not None:
        yield f"bytes from {seed.bytes_from}, which costs no counted pull"
    if seed.action is SeedAction.MOVE:
        yield f"tag now {_short(seed.current_digest)} -> {_short(seed.wanted_digest)}"
    elif seed.platforms is not None and seed.wanted_digest != seed.source.digest:
        yield f"in ECR {_short(seed.wanted_digest)}, with the chosen platforms only"
    chosen = "all platforms" if seed.platforms is None else ", ".join(str(platform) for platform in seed.platforms)
    facts = [] if seed.subject else [chosen if seed.keeps_attestations else f"{chosen} without attestations"]
    facts.append("size unknown until read" if seed.size is None else format_size(seed.size))
    if seed.pulls != (0, 0):
        facts.append(f"counted pulls: {format_range(*seed.pulls)}")
    yield "; ".join([*facts, seed.reason, *([put_off] if put_off else [])])


def _short(digest: Digest | None) -> str:
    return "(digest known after the copy)" if digest is None else f"{digest.algorithm}:{digest.short}"


def _size_line(totals: PlanTotals) -> str:
    parts = []
    if totals.size or not totals.unknown_sizes:
        parts.append(f"at most {format_size(totals.size)}")
    if totals.unknown_sizes:
        parts.append(f"{format_count(totals.unknown_sizes, 'image')} of unknown size")
    return f"Together {' and '.join(parts)}; what is in ECR already is not sent again."


def _pull_section(plan: Plan, width: int, paint: Paint) -> list[str]:
    costs = [cost for cost in plan.pull_costs if cost.at_most != 0]
    if not costs:
        return []
    rows = []
    for cost in costs:
        verdict, style = _judge(cost)
        left = "no limit stated"
        if cost.budget is not None:
            budget = cost.budget
            left = f"left {budget.remaining} of {budget.limit} in {format_duration(budget.window_seconds)}"
        rows.append(Row((cost.registry, f"needed {format_range(cost.at_least, cost.at_most)}", left, verdict), style))
    return [paint("bold", "Counted pulls"), *format_table(rows, width=width, paint=paint)]


def _judge(cost: PullCost) -> tuple[str, str]:
    if cost.budget is None or (cost.at_most is not None and cost.at_most <= cost.budget.remaining):
        return "fits", "green"
    if cost.at_least > cost.budget.remaining:
        return "does not fit", "red"
    return "may not fit", "yellow"


def _remark_section(plan: Plan, width: int, paint: Paint) -> list[str]:
    lines = []
    for word, style, remarks in (("notice", "yellow", plan.notices), ("refused", "red", plan.refusals)):
        for remark in remarks:
            text = f"{remark.message} [{remark.code}]"
            lines += format_remark(word, text, remark.hint, style=style, width=width, paint=paint)
    return lines


def _summary(plan: Plan, totals: PlanTotals) -> str:
    if not plan.has_changes and not plan.refusals:
        pulls = format_count(totals.pulls[0], "counted pull")
        return f"No changes. Infrastructure and images match the manifest; {pulls}."
    resources, images = totals.resources, totals.images
    replaced = resources[InfraAction.REPLACE]
    infra = [
        f"{format_count(resources[InfraAction.CREATE] + replaced, 'resource')} to create",
        f"{resources[InfraAction.UPDATE]} to update",
        f"{resources[InfraAction.DELETE] + replaced} to destroy",
    ]
    infra += [f"{resources[a]} to {a.value}" for a in (InfraAction.IMPORT, InfraAction.FORGET) if resources[a]]
    seeding = [
        f"{format_count(images[SeedAction.COPY], 'image')} to copy",
        f"{images[SeedAction.MOVE]} to move",
        f"{images[SeedAction.KEEP]} unchanged",
    ]
    refused = f" Refused for {format_count(len(plan.refusals), 'reason')}, see above." if plan.refusals else ""
    return f"Plan: {', '.join(infra)}; {', '.join(seeding)}.{refused}"
