"""A run of the seeder within the pull budgets of its upstreams: `--on-budget wait` and `partial`.

Images are copied in rounds. The first round has the images that the budgets allow and those that cost no pull; it runs
beside Terraform. The next round starts when a free HEAD shows that pulls have come back: `wait` sleeps until then,
`partial` ends. An image that meets the pull limit nevertheless, because others pull from the same address, is postponed
as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from toolkit.events import BudgetAwaited, Emit, Event, ImageFailed, ImagePostponed, StepFinished, StepStarted
from toolkit.oci.copy import CopyRequest
from toolkit.oci.reference import Reference
from toolkit.plan.model import Cost, PullCost
from toolkit.plan.observed import PullBudget, SourceFault
from toolkit.plan.on_budget import OnBudget
from toolkit.plan.pull_budget import choose, postponed
from toolkit.report import LEFT, SeedOutcome, SeedStatus
from toolkit.seed.explain import PULL_LIMIT_REACHED
from toolkit.seed.run import SeedRun

# Docker Hub's window slides, so pulls come back one by one. A HEAD is free, and one per minute is polite.
_POLL_SECONDS = 60.0

ReadBudget = Callable[[Reference], PullBudget | SourceFault | None]
"""Asks an upstream by a free HEAD how many pulls are left; None when it does not count them."""


class BudgetedRun:
    """Copies by `run`, which have these `costs`; `sums` adds them up by upstream. With `refuse` nothing is held back.

    When a whole window has passed without a copy, the rest is left for the next run.
    """

    def __init__(
        self,
        run: SeedRun,
        costs: Sequence[Cost],
        sums: Sequence[PullCost],
        on_budget: OnBudget,
        read_budget: ReadBudget,
        emit: Emit,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._run = run
        self._on_budget = on_budget
        self._read_budget = read_budget
        self._emit = emit
        self._clock = clock
        self._sleep = sleep
        self._costs = {cost.key: cost for cost in costs}
        self._budgets = {one.registry: one.budget for one in sums if one.budget}
        self._put_off = postponed(costs, sums, on_budget)
        self._requests: dict[str, CopyRequest] = {}
        self._held: set[str] = set()
        self._outcomes: dict[str, SeedOutcome] = {}
        self._seen = 0
        self._idle_since: float | None = None
        self._is_cancelled = False
        self._waits = on_budget is OnBudget.WAIT

    def submit(self, requests: Iterable[CopyRequest]) -> None:
        """Start copying what the budgets allow and hold the rest; returns at once."""
        for request in requests:
            self._requests[request.key] = request
            if request.key in self._put_off:
                self._held.add(request.key)
            else:
                self._run.submit([request])

    def wait(self) -> list[SeedOutcome]:
        """Every outcome, once all is copied that the budgets will allow, or the run was cancelled."""
        self._collect()
        is_progressing = True
        while self._held and not self._is_cancelled:
            if is_progressing:
                self._idle_since = None
            if not (is_progressing and self._submit_what_fits()) and not (self._waits and self._wait_for_room()):
                break
            is_progressing = self._collect()
        if not self._is_cancelled:
            self._outcomes |= {key: self._left(key) for key in self._held}
        return [self._outcomes[key] for key in self._requests if key in self._outcomes]

    def cancel(self) -> None:
        """Cancel the seeder's run, and wait for no more pulls."""
        self._is_cancelled = True
        self._run.cancel()

    def leave_the_rest(self) -> None:
        """From now on copy what the budgets allow, and do not wait for more."""
        self._waits = False

    def _collect(self) -> bool:
        """Wait for the round to end; whether it made progress.

        An image that met the pull limit is held again; the documents that it has read cost nothing the next time.
        """
        outcomes = self._run.wait()
        new, self._seen = outcomes[self._seen :], len(outcomes)
        for outcome in new:
            self._outcomes[outcome.key] = outcome
            if self._is_postponed(outcome):
                self._held.add(outcome.key)
                self._costs[outcome.key] = _reduced(self._costs[outcome.key], outcome.document_reads)
        return any(not self._is_postponed(outcome) or outcome.document_reads for outcome in new)

    def _is_postponed(self, outcome: SeedOutcome) -> bool:
        return self._on_budget is not OnBudget.REFUSE and outcome.error_code == PULL_LIMIT_REACHED

    def _submit_what_fits(self) -> bool:
        """Start the next round, if there is one."""
        chosen: set[str] = set()
        for registry, costs in self._held_by_registry().items():
            found = self._read_budget(costs[0].source)
            if found is None:  # not limited any more
                chosen |= {cost.key for cost in costs}
            elif isinstance(found, PullBudget):
                self._budgets[registry] = found
                chosen |= choose(costs, found)
            elif not found.is_temporary:
                self._outcomes[costs[0].key] = replace(
                    self._left(costs[0].key),
                    status=SeedStatus.FAILED,
                    error_code=f"source.{found.kind}",
                    error_message=found.message,
                    hint=found.hint,
                )
                self._held.discard(costs[0].key)
        self._held -= chosen
        self._run.submit([self._requests[key] for key in self._costs if key in chosen])
        return bool(chosen)

    def _wait_for_room(self) -> bool:
        """Look every minute; False when a whole window has passed without room."""
        longest = max((budget.window_seconds for budget in self._budgets.values()), default=0) + _POLL_SECONDS
        started = self._idle_since = self._clock() if self._idle_since is None else self._idle_since
        with self._waiting(started):
            while self._clock() - started < longest:
                self._sleep(_POLL_SECONDS)
                if self._submit_what_fits():
                    return True
                self._tell(started)
        return False

    def _held_by_registry(self) -> Mapping[str, list[Cost]]:
        held: dict[str, list[Cost]] = {}
        for key, cost in self._costs.items():
            if key in self._held:
                held.setdefault(cost.source.registry, []).append(cost)
        return held

    @contextmanager
    def _waiting(self, started: float) -> Iterator[None]:
        detail = "; ".join(
            f"{len(costs)} image{'s' * (len(costs) > 1)} from {registry}, "
            f"where {budget.remaining} of {budget.limit} are left"
            for registry, costs in self._held_by_registry().items()
            if (budget := self._budgets.get(registry))
        )
        self._emit(StepStarted("wait for pulls", detail))
        self._tell(started)
        yield
        self._emit(StepFinished("wait for pulls", round(self._clock() - started, 3)))

    def _tell(self, started: float) -> None:
        for registry, costs in self._held_by_registry().items():
            budget = self._budgets.get(registry)
            if budget is not None:
                self._emit(
                    BudgetAwaited(
                        registry,
                        len(costs),
                        budget.remaining,
                        budget.limit,
                        round(self._clock() - started, 3),
                        budget.window_seconds,
                    )
                )

    def _left(self, key: str) -> SeedOutcome:
        request, registry = self._requests[key], self._costs[key].source.registry
        budget = self._budgets.get(registry)
        when = f"within {budget.window_seconds / 3600:g} h" if budget else "later"
        return SeedOutcome(
            key=key,
            status=SeedStatus.SKIPPED,
            source=str(request.source),
            destination=str(request.destination),
            error_code=LEFT,
            error_message=f"the pulls left at `{registry}` do not suffice",
            hint=f"run again when pulls are back at `{registry}`, {when}",
        )


def _reduced(cost: Cost, reads: int) -> Cost:
    """What is left to pay after `reads` documents; at least one, because the last one was refused."""
    at_most = None if cost.at_most is None else max(cost.at_most - reads, 1)
    return replace(cost, at_least=max(cost.at_least - reads, 1), at_most=at_most)


def postponing(emit: Emit) -> Emit:
    """`emit` for a run that postpones: an image that meets the pull limit has not failed."""

    def tell(event: Event) -> None:
        if isinstance(event, ImageFailed) and event.code == PULL_LIMIT_REACHED:
            emit(ImagePostponed(event.image, event.code, event.message))
        else:
            emit(event)

    return tell
