"""Counted pulls: what the copies cost at each upstream, and which copies the budget allows now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from toolkit.oci.digest import Digest
from toolkit.oci.media_types import INDEX_TYPES
from toolkit.oci.subset import Subset
from toolkit.plan.model import Cost, Notice, Plan, PullCost, Refusal
from toolkit.plan.observed import PullBudget, SourceImage
from toolkit.plan.on_budget import OnBudget

_CODES = frozenset({"budget.too_small", "budget.may_be_small", "budget.waits", "budget.left_for_next_run"})


def pulls_of(source: SourceImage, subset: Subset) -> tuple[int, int | None]:
    """The lowest and highest number of documents that a copy reads: each GET of a manifest or index is one pull."""
    if source.documents is not None:
        left = source.documents - source.cached_documents
        return left, left
    if source.media_type not in INDEX_TYPES:
        return 1 - source.cached_documents, 1 - source.cached_documents
    if subset.platforms is None:
        return 2, None
    chosen = len(subset.platforms)
    if any(platform.may_be_several for platform in subset.platforms):
        return 1 + chosen, None  # `linux/arm` means all of its variants, and HEAD cannot tell how many there are
    # Each platform may have an attestation, and HEAD cannot tell.
    return 1 + chosen, 1 + chosen * (2 if subset.keeps_attestations else 1)


def pull_costs(costs: Sequence[Cost], budgets: Iterable[PullBudget]) -> tuple[PullCost, ...]:
    """The sum at each upstream that counts pulls; a document that two copies share is read once."""
    return tuple(_sum_at(budget, costs) for budget in budgets)


def _sum_at(budget: PullBudget, costs: Sequence[Cost]) -> PullCost:
    lows: dict[Digest | None, int] = {}
    highs: dict[object, int | None] = {}
    for cost in costs:
        if cost.source.registry == budget.registry:
            lows[cost.source.digest] = max(lows.get(cost.source.digest, 0), cost.at_least)
            highs[cost.content] = cost.at_most
    at_most = None if None in highs.values() else sum(high for high in highs.values() if high is not None)
    return PullCost(budget.registry, at_least=sum(lows.values()), at_most=at_most, budget=budget)


def judge_plan(plan: Plan, budgets: Mapping[str, PullBudget], on_budget: OnBudget) -> Plan:
    """`plan` with the current `budgets`, which are by registry, and the refusals and notices that follow from them.

    A saved plan may be hours old when it is applied, so its own remarks about budgets are replaced.
    """
    sums = tuple(replace(cost, budget=budgets.get(cost.registry, cost.budget)) for cost in plan.pull_costs)
    findings = judge(plan.costs, sums, on_budget)
    refusals = [refusal for refusal in plan.refusals if refusal.code not in _CODES]
    notices = [notice for notice in plan.notices if notice.code not in _CODES]
    return replace(
        plan,
        pull_costs=sums,
        on_budget=on_budget,
        refusals=(*refusals, *(found for found in findings if isinstance(found, Refusal))),
        notices=(*notices, *(found for found in findings if isinstance(found, Notice))),
    )


def judge(costs: Sequence[Cost], sums: Sequence[PullCost], on_budget: OnBudget) -> list[Refusal | Notice]:
    """A refusal or notice for each upstream whose budget is, or may be, too small."""
    return [finding for total in sums if (finding := _judge_at(total, costs, on_budget))]


def _judge_at(total: PullCost, costs: Sequence[Cost], on_budget: OnBudget) -> Refusal | Notice | None:
    budget = total.budget
    if budget is None:
        return None
    hours = budget.window_seconds / 3600
    left = f"{budget.remaining} of {budget.limit} are left (a window of {hours:g} h)"
    most = "an unknown number of" if total.at_most is None else f"up to {total.at_most}"
    is_short = total.at_least > budget.remaining
    needed = f"at least {total.at_least}" if is_short else most
    need = f"the copies need {needed} counted pulls at `{total.registry}`, and {left}"
    here = [cost for cost in costs if cost.source.registry == total.registry]
    waiting = len(postponed(here, [total], on_budget))
    if on_budget is OnBudget.WAIT and waiting:
        return Notice("budget.waits", f"{need}: {waiting} of {len(here)} images may have to wait for more")
    if on_budget is OnBudget.PARTIAL and waiting:
        return Notice(
            "budget.left_for_next_run",
            f"{need}: {waiting} of {len(here)} images may be left for the next run",
            hint="run again when the window has passed",
        )
    if on_budget is OnBudget.REFUSE and is_short:
        return Refusal(
            "budget.too_small",
            need,
            hint="use `--on-budget wait` or `--on-budget partial`, or give `registries` a credential with a higher "
            "limit",
        )
    if total.at_least and (total.at_most is None or total.at_most > budget.remaining):
        return Notice(
            "budget.may_be_small", need, hint="images beyond the limit are left for the next run; nothing is lost"
        )
    return None


def postponed(costs: Sequence[Cost], sums: Sequence[PullCost], on_budget: OnBudget) -> frozenset[str]:
    """The keys of the copies that `--on-budget wait` and `partial` postpone; none with `refuse`."""
    if on_budget is OnBudget.REFUSE:
        return frozenset()
    late: set[str] = set()
    for total in sums:
        here = [cost for cost in costs if cost.source.registry == total.registry]
        if total.budget is not None:
            late |= {cost.key for cost in here} - choose(here, total.budget)
    return frozenset(late)


def choose(costs: Sequence[Cost], budget: PullBudget) -> frozenset[str]:
    """The keys of the copies from one upstream to make now: whole images, in their order.

    An image is copied only if its highest possible cost fits into the budget that the images before it leave. An image
    whose content is copied anyway costs nothing. An image that costs more than the limit is copied when the whole limit
    is left. If no image fits, the first one with an unknown highest cost is copied alone, provided that its lowest cost
    fits. Otherwise it would never be copied. If the budget does not suffice, the documents already read stay in the
    cache.
    """
    room = budget.remaining
    paid: set[object] = set()
    chosen = set()
    for cost in costs:
        price = 0 if cost.content in paid else cost.at_most
        if price is not None and min(price, budget.limit) <= room:
            room -= min(price, budget.limit)
            chosen.add(cost.key)
            if price:
                paid.add(cost.content)
    if not paid:
        alone = next((cost for cost in costs if cost.key not in chosen and _may_fit(cost, budget)), None)
        if alone is not None:
            chosen |= {cost.key for cost in costs if cost.content == alone.content}
    return frozenset(chosen)


def _may_fit(cost: Cost, budget: PullBudget) -> bool:
    return cost.at_most is None and min(cost.at_least, budget.limit) <= budget.remaining > 0
