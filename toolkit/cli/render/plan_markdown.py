"""A plan as a comment on a pull request: the verdict, what is dangerous, the images that change, and the rest folded.

A reviewer reads the first two lines. The marker above them is not shown; it stands first, so that a program can require
that the comment begins with it, which no name in a plan can imitate. Dates stand in place of ages, because a comment is
read for days.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from toolkit.cli.render.amounts import format_count, format_moment, format_range, format_sentence, format_size
from toolkit.cli.render.infra_view import (
    FATES,
    HEADINGS,
    TO_KEEP,
    Changed,
    attribute_texts,
    by_name,
    count_of,
    details_of,
    group_alike,
    group_whole,
    loss_facts,
    settings_to_keep,
    split_drift,
)
from toolkit.cli.render.markdown import (
    Part,
    code,
    comment,
    escape,
    hinted,
    marker,
    names,
    prose,
    row,
    yaml_block,
)
from toolkit.cli.render.plan_view import (
    PUT_OFF,
    companions_text,
    say_division,
    say_left,
    say_refused,
    say_replicas,
    say_unchanged,
    short_digest,
)
from toolkit.cli.render.totals import PlanTotals, count_changes, is_import, skipped_images, sum_plan
from toolkit.plan.model import Grant, InfraAction, InfraChange, Notice, Plan, Refusal, Seed, SeedAction
from toolkit.plan.pull_budget import postponed

# More rows than this are for those who look for one of them.
_SHOWN_IMAGES = 25
_HEAD = (
    row("image", "in ECR now", "since", "new", "size", "used by", "why"),
    "|---|---|---|---|---|---|---|",
)
_UNCHANGED_HEAD = (row("image", "in ECR", "since", "used by", "why"), "|---|---|---|---|---|")


def render_plan_markdown(plan: Plan) -> str:
    """The comment for `plan`."""
    totals = sum_plan(plan)
    refused = f"{say_refused(totals.refusals)}." if totals.refusals else ""
    top = [
        marker("plan", name=plan.name, region=plan.account.region),
        " ".join(part for part in (refused and f"**{refused}**", escape(say_plan(plan, totals))) if part),
        "",
        _dangers(plan, totals),
        "",
        f"{code(plan.name)} in the account {code(plan.account.account_id)}, region {code(plan.account.region)}.",
        *(
            f"Counted pulls at {code(cost.registry)}: {_range(cost.at_least, cost.at_most)} needed, {say_left(cost)}."
            for cost in plan.pull_costs
            if cost.at_most != 0
        ),
        *map(escape, say_division(plan.division)),
        *(f"{prose(sentence)}." for sentence in say_replicas(plan)),
        "",
    ]
    parts = [
        Part("**Refused**", list(map(_remark, plan.blocking_refusals))),
        Part("**Lost for good**", [_loss_item(loss.kind, loss.name, loss_facts(loss)) for loss in plan.losses]),
        Part("**Widened rights**", list(_rights(plan, is_widening=True))),
        *_image_parts(plan),
        *_drift_parts(plan),
        Part("**Skipped**", list(map(_remark, skipped_images(plan)))),
        Part("**Notices**", list(map(_remark, plan.notices))),
        Part(
            f"Infrastructure: {', '.join(count_changes(totals.infra))}",
            list(infra_items(plan.infra_changes)),
            is_folded=True,
        ),
        Part("Other rights", list(_rights(plan, is_widening=False)), is_folded=True),
        Part(TO_KEEP, list(_adopted_items(plan)), is_folded=True),
        Part(
            "Credentials",
            [f"- {code(use.registry)}: {code(use.credential)}, sent to {code(use.host)}" for use in plan.credentials],
            is_folded=True,
        ),
        _unchanged_part(plan),
    ]
    return comment(top, parts)


def say_plan(plan: Plan, totals: PlanTotals) -> str:
    """What apply does, in one sentence; "" if a plan that is refused has nothing to do."""
    actions = [*_image_actions(totals), *_infra_actions(plan), *_pull_actions(plan, totals)]
    actions += ["gives refreshes this manifest"] if plan.puts_manifest else []
    if not plan.has_changes and not totals.refusals:
        return f"{say_unchanged(plan, totals)}."
    ends = []
    if plan.covers_infra and not totals.infra.destroys:
        ends.append("nothing is destroyed")
    if plan.unseen_images:
        ends.append(f"{format_count(plan.unseen_images, 'image')} left out by --only")
    if totals.skipped:
        ends.append(f"{format_count(totals.skipped, 'image')} skipped (--keep-going)")
    if totals.refusals and not actions:
        return ""
    sentence = "; ".join([", ".join(actions), *ends] if actions else ends)
    return format_sentence(sentence)


def _image_actions(totals: PlanTotals) -> Iterator[str]:
    for action, verb in ((SeedAction.COPY, "copies"), (SeedAction.MOVE, "moves")):
        if count := totals.images[action]:
            yield f"{verb} {format_count(count, 'image')}"


def _infra_actions(plan: Plan) -> Iterator[str]:
    changes = plan.infra_changes
    for verb, those in (
        ("creates", [change for change in changes if change.action is InfraAction.CREATE]),
        ("imports", [change for change in changes if is_import(change)]),
        ("updates", [change for change in changes if change.action is InfraAction.UPDATE]),
        ("lets go of", [change for change in changes if change.action is InfraAction.FORGET]),
        ("replaces", [change for change in changes if change.action is InfraAction.REPLACE]),
        ("destroys", [change for change in changes if change.action is InfraAction.DELETE]),
    ):
        if those:
            yield f"{verb} {_things(those, counts_parts=verb != 'updates')}"


def _things(changes: Iterable[InfraChange], *, counts_parts: bool) -> str:
    """`1 repository and 2 builds`. A part alone, such as a policy, is a resource unless it is what changes."""
    groups = by_name(changes)
    counted: dict[str, list[Changed]] = {"repository": [], "build": [], "": []}
    for group in groups:
        is_named = group.kind in counted and (group.is_whole or not counts_parts)
        counted[group.kind if is_named else ""].append(group)
    texts = [count_of(those) for kind, those in counted.items() if kind and those]
    if counted[""]:
        texts.append(format_count(sum(len(group.changes) for group in counted[""]), "resource"))
    return _listed(texts)


def _listed(texts: Sequence[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if texts[1:] else texts)


def _pull_actions(plan: Plan, totals: PlanTotals) -> Iterator[str]:
    costs = [cost for cost in plan.pull_costs if cost.at_most != 0]
    if not costs:
        return
    needed, budget = _range(*totals.pulls), costs[0].budget
    if len(costs) == 1 and budget is not None:
        yield f"costs {needed} of {budget.remaining} pulls left"
    elif len(costs) == 1:
        yield f"costs {needed} counted pulls"
    else:
        yield f"costs {needed} counted pulls at {len(costs)} registries"


def _range(at_least: int, at_most: int | None) -> str:
    return format_range(at_least, at_most).replace(" to ", "\u2013")


def _dangers(plan: Plan, totals: PlanTotals) -> str:
    """What a reviewer must not miss, in one line."""
    facts = {loss.name: loss_facts(loss) for loss in plan.losses}
    parts = []
    for action, verb in ((InfraAction.DELETE, "destroys"), (InfraAction.REPLACE, "destroys and creates again")):
        gone = by_name(change for change in plan.infra_changes if change.action is action)
        whole = [one for one in gone if one.is_whole]
        texts = [f"{escape(one.kind)} {code(one.name)}{_aside(facts.get(one.name, ''))}" for one in whole[:3]]
        texts += [f"{len(whole) - 3} more"] if whole[3:] else []
        rest = sum(len(one.changes) for one in gone if not one.is_whole)
        texts += [format_count(rest, "resource")] if rest else []
        if texts:
            parts.append(f"{verb} {', '.join(texts)}")
    widened = [grant.statement for grant in _grants(plan) if grant.is_widening]
    if widened:
        parts.append(f"widens rights: {names(widened, 3)}")
    overwritten = [seed.key for seed in plan.seeds if seed.is_overwritten]
    if overwritten:
        parts.append(f"somebody else overwrote {names(overwritten)} in ECR")
    if totals.refusals:
        parts.append(f"cannot be applied: {names(dict.fromkeys(one.code for one in plan.blocking_refusals))}")
    if parts:
        return f"**Dangerous:** {'; '.join(parts)}."
    looked = say_harmless(plan)
    return format_sentence("; ".join(looked)) if looked else ""


def say_harmless(plan: Plan) -> list[str]:
    """What a reviewer need not fear if nothing is dangerous, said of what was looked at."""
    looked = ["no rights are widened"] if plan.covers_infra else []
    return looked + (["no tag in ECR was overwritten by somebody else"] if plan.seeds else [])


def _aside(text: str) -> str:
    return f" ({escape(text)})" if text else ""


def _grants(plan: Plan) -> dict[Grant, None]:
    return dict.fromkeys(grant for change in plan.infra_changes for grant in change.grants)


def _rights(plan: Plan, *, is_widening: bool) -> Iterator[str]:
    for grant in _grants(plan):
        if grant.is_widening is is_widening:
            yield f"- {'added' if grant.is_added else 'removed'}: {code(grant.statement)}"


def _remark(remark: Refusal | Notice) -> str:
    return f"- {code(remark.code)} {prose(remark.message)}{hinted(remark.hint)}"


def _loss_item(kind: str, name: str, facts: str) -> str:
    return f"- {escape(kind)} {code(name)}: {escape(facts)}"


def _image_parts(plan: Plan) -> list[Part]:
    """The images that change: the overwritten ones first, then those that move, then those that are new."""
    without_room = postponed(plan.costs, plan.pull_costs, plan.on_budget)
    pending = [seed for seed in plan.seeds if seed.is_overwritten or (seed.is_pending and not _is_new_companion(seed))]
    pending.sort(key=lambda seed: (not seed.is_overwritten, seed.action is not SeedAction.MOVE))
    rows = [_image_row(seed, PUT_OFF.get(plan.on_budget, "") if seed.key in without_room else "") for seed in pending]
    companions = [seed for seed in plan.seeds if _is_new_companion(seed)]
    return [
        Part("**Images**", rows[:_SHOWN_IMAGES], head=_HEAD),
        Part(f"{len(rows) - _SHOWN_IMAGES} more images", rows[_SHOWN_IMAGES:], head=_HEAD, is_folded=True),
        Part("**Signatures**", [f"- {escape(companions_text(companions))}"] if companions else []),
    ]


def _is_new_companion(seed: Seed) -> bool:
    return bool(seed.subject) and seed.action is SeedAction.COPY and not seed.is_overwritten


def _image_row(seed: Seed, put_off: str) -> str:
    wanted = seed.wanted_digest
    new = "made of " + code(short_digest(seed.source.digest)) if wanted is None else code(short_digest(wanted))
    why = [f"**overwritten in ECR**, {'copied again' if seed.is_pending else 'kept'}"] if seed.is_overwritten else []
    why += [] if seed.is_overwritten else [prose(seed.reason)]
    why += [put_off] if put_off else []
    if seed.bytes_from is not None:
        why.append(f"bytes from {code(seed.bytes_from.registry)}")
    if seed.stored_as is not None:
        name = seed.stored_name if seed.stored_name == "untagged" else f"as {code(seed.stored_as)}"
        why.append(f"ECR has it {name}: only the tag moves")
    if seed.keeper is not None:
        why.append(f"the old one stays as {code(seed.keeper)}")
    return row(
        code(seed.key),
        _current(seed),
        _since(seed),
        new if seed.is_pending else "stays",
        "" if seed.size is None or seed.stored_as is not None else format_size(seed.size),
        names(seed.used_by, 3),
        "; ".join(why),
    )


def _current(seed: Seed) -> str:
    return code(short_digest(seed.current_digest)) if seed.current_digest else ""


def _since(seed: Seed) -> str:
    return escape(format_moment(seed.pushed_at)) if seed.pushed_at else ""


def _unchanged_part(plan: Plan) -> Part:
    kept = [seed for seed in plan.seeds if not seed.is_pending and not seed.is_overwritten]
    rows = [
        row(code(seed.key), _current(seed), _since(seed), names(seed.used_by, 3), prose(seed.reason)) for seed in kept
    ]
    return Part(f"{format_count(len(kept), 'image')} unchanged", rows, head=_UNCHANGED_HEAD, is_folded=True)


def _drift_parts(plan: Plan) -> Iterator[Part]:
    drift = split_drift(plan)
    for fate, words in FATES.items():
        yield Part(f"**{words}**", list(_alike_items("", drift[fate])))


def infra_items(changes: Iterable[InfraChange], *, is_done: bool = False) -> Iterator[str]:
    """The items of a list of resource changes, the dangerous ones first."""
    listed = list(changes)
    for action, headings in HEADINGS.items():
        words = headings[is_done].replace(":", ";")
        these = [change for change in listed if change.action is action]
        if action in (InfraAction.REPLACE, InfraAction.UPDATE):
            yield from _alike_items(f"{words}: ", these)
        else:
            yield from (f"- {words}: {_named(those, _parts(those))}" for those in group_whole(these))


def _parts(those: Sequence[Changed]) -> str:
    return those[0].parts if those[0].kind else ""


def _alike_items(word: str, changes: Iterable[InfraChange]) -> Iterator[str]:
    """An item for resources with the same changes, which are listed beneath."""
    for those in group_alike(changes):
        texts = [f"  - {code(text)}" for text in attribute_texts(those[0].changes[0])]
        yield "\n".join([f"- {word}{_named(those, details_of(those))}", *texts])


def _named(those: Sequence[Changed], details: str) -> str:
    found = [one.name for one in those]
    kind = f"{escape(those[0].kind)} ".lstrip() if len(those) == 1 else f"{count_of(those)}: "
    return f"{kind}{names(found, 20)}{_aside(details)}"


def _adopted_items(plan: Plan) -> Iterator[str]:
    """For each adopted repository that would change: what to write into the manifest to keep it as it is."""
    for text, found in settings_to_keep(plan.adopted).items():
        yield f"- Write into the images of {names(found)}:\n\n{yaml_block(text)}"
