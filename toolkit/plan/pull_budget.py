"""Counted pulls: what a plan's copies cost at each upstream, and which of them there is room for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from toolkit.oci.digest import Digest
from toolkit.oci.media_types import INDEX_TYPES
from toolkit.oci.subset import Subset
from toolkit.plan.model import Notice, Plan, PullCost, Refusal, Seed
from toolkit.plan.observed import PullBudget, SourceImage
from toolkit.plan.on_budget import OnBudget

_CODES = frozenset({"budget.too_small", "budget.may_be_small", "budget.waits", "budget.left_for_next_run"})


def pulls_of(source: SourceImage, subset: Subset) -> tuple[int, int | None]:
    """Documents that a copy reads upstream, at least and at most: each GET of a manifest or an index is one pull."""
    if source.documents is not None:
        left = source.documents - source.cached_documents
        return left, left
    if source.media_type not in INDEX_TYPES:
        return 1 - source.cached_documents, 1 - source.cached_documents
    if subset.platforms is None:
        return 2, None
    chosen = len(subset.platforms)
    if any(platform.architecture == "arm" and not platform.variant for platform in subset.platforms):
        return 1 + chosen, None  # linux/arm means each of its variants: HEAD cannot tell how many there are
    # Each platform may carry an attestation: HEAD cannot tell.
    return 1 + chosen, 1 + chosen * (2 if subset.keeps_attestations else 1)


def pull_costs(seeds: Sequence[Seed], budgets: Iterable[PullBudget]) -> tuple[PullCost, ...]:
    """The counted pulls at each upstream that counts; a document that two tags share is read once."""
    return tuple(_cost_at(budget, seeds) for budget in budgets)


def _cost_at(budget: PullBudget, seeds: Sequence[Seed]) -> PullCost:
    lows: dict[Digest | None, int] = {}
    highs: dict[tuple[object, ...], int | None] = {}
    for seed in seeds:
        if seed.source.registry == budget.registry and seed.is_pending:
            digest = seed.source.digest
            lows[digest] = max(lows.get(digest, 0), seed.pulls[0])
            highs[_content(seed)] = seed.pulls[1]
    at_most = None if None in highs.values() else sum(high for high in highs.values() if high is not None)
    return PullCost(budget.registry, at_least=sum(lows.values()), at_most=at_most, budget=budget)


def judge_budgets(plan: Plan, budgets: Mapping[str, PullBudget], on_budget: OnBudget) -> Plan:
    """`plan` with its budgets as they are now, by registry, and with what `on_budget` makes of them.

    A saved plan may be hours old by the time it is applied: what it said of its budgets is said anew.
    """
    costs = tuple(replace(cost, budget=budgets.get(cost.registry, cost.budget)) for cost in plan.pull_costs)
    bare = replace(
        plan,
        pull_costs=costs,
        on_budget=on_budget,
        refusals=tuple(refusal for refusal in plan.refusals if refusal.code not in _CODES),
        notices=tuple(notice for notice in plan.notices if notice.code not in _CODES),
    )
    without_room = seeds_without_room(bare)
    findings = [finding for cost in costs for finding in _judge(cost, bare, without_room)]
    return replace(
        bare,
        refusals=(*bare.refusals, *(found for found in findings if isinstance(found, Refusal))),
        notices=(*bare.notices, *(found for found in findings if isinstance(found, Notice))),
    )


def _judge(cost: PullCost, plan: Plan, without_room: frozenset[str]) -> Iterator[Refusal | Notice]:
    budget = cost.budget
    if budget is None:
        return
    hours = budget.window_seconds / 3600
    left = f"{budget.remaining} of {budget.limit} are left (a window of {hours:g} h)"
    most = "an unknown number of" if cost.at_most is None else f"up to {cost.at_most}"
    least = f"at least {cost.at_least}"
    is_short = cost.at_least > budget.remaining
    need = f"the copies need {least if is_short else most} counted pulls at `{cost.registry}`, and {left}"
    here = [seed for seed in plan.pending_seeds if seed.source.registry == cost.registry]
    put_off = sum(seed.key in without_room for seed in here)
    if plan.on_budget is OnBudget.WAIT and put_off:
        yield Notice("budget.waits", f"{need}: {put_off} of {len(here)} images may have to wait for more")
    elif plan.on_budget is OnBudget.PARTIAL and put_off:
        yield Notice(
            "budget.left_for_next_run",
            f"{need}: {put_off} of {len(here)} images may be left for the next run",
            hint="run again when the window has passed",
        )
    elif plan.on_budget is OnBudget.REFUSE and is_short:
        yield Refusal(
            "budget.too_small",
            need,
            hint="say `--on-budget wait` or `--on-budget partial`, or give `registries` a credential with a larger "
            "limit",
        )
    elif cost.at_least and (cost.at_most is None or cost.at_most > budget.remaining):
        yield Notice("budget.may_be_small", need, hint="what does not fit is left for the next run, nothing is lost")


def seeds_without_room(plan: Plan) -> frozenset[str]:
    """The keys of what is to be copied that `--on-budget wait` and `partial` put off; none with `refuse`."""
    if plan.on_budget is OnBudget.REFUSE:
        return frozenset()
    put_off: set[str] = set()
    for cost in plan.pull_costs:
        seeds = [seed for seed in plan.pending_seeds if seed.source.registry == cost.registry]
        if cost.budget is not None:
            put_off |= {seed.key for seed in seeds} - choose(seeds, cost.budget)
    return frozenset(put_off)


def choose(seeds: Sequence[Seed], budget: PullBudget) -> frozenset[str]:
    """The keys of the seeds of one upstream to copy now: whole images, in their order, whose worst case fits together.

    Where none's does, the first whose worst case is unknown goes alone if its best case fits: it would never have its
    turn otherwise, and should the room not suffice, what was read of it is in the cache. An image that needs more than
    a whole window grants fits when all of it is left. Who shares content with a chosen one is free.
    """
    room = budget.remaining
    paid: set[tuple[object, ...]] = set()
    chosen = set()
    for seed in seeds:
        cost = 0 if _content(seed) in paid else seed.pulls[1]
        if cost is not None and min(cost, budget.limit) <= room:
            room -= min(cost, budget.limit)
            chosen.add(seed.key)
            if cost:
                paid.add(_content(seed))
    if not paid:
        alone = next((seed for seed in seeds if seed.key not in chosen and _may_fit(seed, budget)), None)
        if alone is not None:
            chosen |= {seed.key for seed in seeds if _content(seed) == _content(alone)}
    return frozenset(chosen)


def _may_fit(seed: Seed, budget: PullBudget) -> bool:
    return seed.pulls[1] is None and min(seed.pulls[0], budget.limit) <= budget.remaining > 0


def _content(seed: Seed) -> tuple[object, ...]:
    return seed.source.digest, seed.subset
