"""The pulls that `copy` costs, judged as a plan's are: a plan without infrastructure, made of its requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from toolkit.errors import Refused
from toolkit.events import Emit, NoticeGiven
from toolkit.oci.reference import Reference
from toolkit.operations.copy import Asked
from toolkit.operations.outcomes import finish
from toolkit.plan.model import Plan, Seed
from toolkit.plan.observed import Account, SourceFault
from toolkit.plan.on_budget import OnBudget
from toolkit.plan.pull_budget import judge_budgets, pull_costs, pulls_of
from toolkit.plan.seed_action import SeedAction
from toolkit.report import CopyPreview, SeedOutcome
from toolkit.seed.budgeted_run import BudgetedRun, postponing
from toolkit.seed.observe import Observer, read_budgets
from toolkit.seed.seeder import Seeder

_NOWHERE = Account("", "", "")


def judge(
    asked: Sequence[Asked], looked: Iterable[CopyPreview], observer: Observer, on_budget: OnBudget, emit: Emit
) -> Plan:
    """What the copies cost, but for those that are in place as they were `looked` at. Raises Refused where too much."""
    kept = {preview.destination for preview in looked if preview.action is SeedAction.KEEP}
    seeds = tuple(_seed(one, observer, is_kept=one.request.key in kept) for one in asked)
    costs = pull_costs(seeds, read_budgets((one.request.source, one.head) for one in asked))
    made = judge_budgets(Plan("copy", _NOWHERE, (), seeds, costs), {}, on_budget)
    if made.refusals:
        raise Refused(
            made.refusals[0].code,
            "; ".join(refusal.message for refusal in made.refusals),
            hint="say `--on-budget wait` or `--on-budget partial`, or sign in with `docker login` for a larger limit",
        )
    for notice in made.notices:
        emit(NoticeGiven(notice.code, notice.message, notice.hint))
    return made


def copy_within(
    asked: Iterable[Asked],
    on_budget: OnBudget,
    observer: Observer,
    seeder: Seeder,
    emit: Emit,
    *,
    expected: Iterable[Reference],
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> tuple[list[SeedOutcome], KeyboardInterrupt | None]:
    """Copy as far as the pulls go, and then wait or leave the rest, as `on_budget` says."""
    with seeder.open(postponing(emit)) as run:
        run.expect(expected)
        known = list(asked)
        made = judge(known, seeder.look([one.request for one in known if one.waits]), observer, on_budget, emit)
        budgeted = BudgetedRun(run, made, observer.budget, emit, clock=clock, sleep=sleep)
        return finish(budgeted, [one.request for one in known])


def _seed(one: Asked, observer: Observer, *, is_kept: bool) -> Seed:
    request = one.request
    image = observer.measure(one.head, request.subset)
    if is_kept or one.head.pull_limit is None or isinstance(image, SourceFault):  # that one fails without a read
        pulls: tuple[int, int | None] = (0, 0)
    else:
        pulls = pulls_of(image, request.subset)
    return Seed(
        key=request.key,
        action=SeedAction.KEEP if is_kept else SeedAction.COPY,
        reason="",
        source=request.source,
        repository=request.destination.repository,
        tag=request.destination.tag or "",
        subset=request.subset,
        pulls=pulls,
        subject=request.subject,
    )
