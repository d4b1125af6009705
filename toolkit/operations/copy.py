"""Copy: copies images between registries and layouts with the same engine, without Terraform or a manifest."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.errors import AccessDenied, Refused
from toolkit.events import Emit, ImageFailed, NoticeGiven
from toolkit.oci.copy import CopyRequest
from toolkit.oci.reference import DOCKER_HUB, Reference
from toolkit.oci.subset import WHOLE, Subset
from toolkit.operations.outcomes import finish, raise_if_incomplete, run_seeder
from toolkit.operations.services import step
from toolkit.plan.model import Cost, PullCost, Refusal, SeedAction
from toolkit.plan.observed import SourceFault
from toolkit.plan.on_budget import OnBudget
from toolkit.plan.pull_budget import judge, pull_costs, pulls_of
from toolkit.report import CopyPreview, Report, SeedOutcome, SeedStatus
from toolkit.seed.budgeted_run import BudgetedRun, postponing
from toolkit.seed.companions import Companion
from toolkit.seed.observe import Observer, read_budgets
from toolkit.seed.seeder import Seeder

if TYPE_CHECKING:
    from concurrent.futures import Future

    from toolkit.oci.client import ManifestHead
    from toolkit.seed.observe import Head

# The last parts of error codes that concern credentials or permissions.
_DENIED = ("denied", "unauthorized", "credential_unusable")


@dataclass(frozen=True, slots=True)
class Pair:
    """One image to copy; the destination has a tag and no digest."""

    source: Reference
    destination: Reference


@dataclass(frozen=True, slots=True)
class Selection:
    """The wanted parts of each image; `keeps_signatures` also copies the signatures and referrers of upstream."""

    subset: Subset = WHOLE
    keeps_signatures: bool = False


@dataclass(frozen=True, slots=True)
class _Pinned:
    """A copy with a pinned source, and the response to the HEAD that pinned it.

    `waits`: the copy starts only when the pulls of all copies are known.
    """

    request: CopyRequest
    head: ManifestHead
    waits: bool


def copy(
    pairs: Sequence[Pair],
    wanted: Selection,
    observer: Observer,
    seeder: Seeder,
    emit: Emit,
    *,
    publish: Callable[[Report], None],
    on_budget: OnBudget = OnBudget.REFUSE,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Pin every source by HEAD, copy, pass the report to `publish`, then raise if an image is not in place.

    A copy starts as soon as its source is pinned. If an upstream counts pulls, all sources are pinned first, and
    `on_budget` says what to do when too few pulls are left: `refuse` raises Refused before anything is copied.
    """
    started = clock()
    lost: list[SeedOutcome] = []

    def lose(pair: Pair, fault: SourceFault) -> None:
        lost.append(outcome := _lost(pair, fault))
        emit(ImageFailed(outcome.key, f"source.{fault.kind}", fault.message, fault.hint))

    pinned = _pin(pairs, wanted, observer, lose)
    destinations = [pair.destination for pair in pairs]
    with step(emit, "copy", total=len(pairs)):
        if on_budget is OnBudget.REFUSE:
            requests = _within_budget(pinned, observer, seeder, emit)
            outcomes, interrupt = run_seeder(seeder, requests, expected=destinations)
        else:
            with seeder.open(postponing(emit)) as run:
                run.expect(destinations)
                known = list(pinned)
                looked = seeder.look([one.request for one in known if one.waits])
                costs, sums = _judge(known, looked, observer, on_budget, emit)
                budgeted = BudgetedRun(run, costs, sums, on_budget, observer.budget, emit, clock=clock, sleep=sleep)
                outcomes, interrupt = finish(budgeted, [one.request for one in known])
    report = Report((*outcomes, *lost), round(clock() - started, 3))
    publish(report)
    if interrupt:
        raise interrupt
    raise_if_incomplete(report)


def preview(
    pairs: Sequence[Pair],
    wanted: Selection,
    observer: Observer,
    seeder: Seeder,
    emit: Emit,
    *,
    publish: Callable[[Sequence[CopyPreview]], None],
    on_budget: OnBudget = OnBudget.REFUSE,
) -> None:
    """Pin every source by HEAD, look at the destinations, and pass to `publish` what `copy` would do.

    Raises Refused for pairs that cannot be copied, or AccessDenied if all of these concern credentials. Also raises
    Refused if too few pulls are left for `copy`.
    """
    lost: list[tuple[Pair, SourceFault]] = []
    pinned = list(_pin(pairs, wanted, observer, lambda pair, fault: lost.append((pair, fault))))
    looked = seeder.look([one.request for one in pinned])
    found = {preview.destination: preview for preview in looked}
    for pair, fault in lost:
        found[str(pair.destination)] = CopyPreview(
            str(pair.source),
            str(pair.destination),
            error_code=f"source.{fault.kind}",
            error_message=fault.message,
            hint=fault.hint,
        )
    # In the order of the pairs, then their signatures and referrers.
    previews = [found.pop(str(pair.destination)) for pair in pairs] + list(found.values())
    publish(previews)
    refused = [preview for preview in previews if preview.action is None]
    if refused:
        is_denied = all((preview.error_code or "").endswith(_DENIED) for preview in refused)
        raise (AccessDenied if is_denied else Refused)(
            "copy.refused",
            f"{len(refused)} of {len(previews)} images cannot be copied, for the reasons listed above",
            hint="fix them, or leave these images out",
        )
    if any(one.waits for one in pinned):
        _judge(pinned, looked, observer, on_budget, emit)


def _within_budget(pinned: Iterable[_Pinned], observer: Observer, seeder: Seeder, emit: Emit) -> Iterator[CopyRequest]:
    """First the copies that cost no pull, as they are pinned, then the others. Refused if too few pulls are left."""
    known, waiting = [], []
    for one in pinned:
        known.append(one)
        if one.waits:
            waiting.append(one.request)
        else:
            yield one.request
    if waiting:
        _judge(known, seeder.look(waiting), observer, OnBudget.REFUSE, emit)
        yield from waiting


def _judge(
    pinned: Sequence[_Pinned], looked: Iterable[CopyPreview], observer: Observer, on_budget: OnBudget, emit: Emit
) -> tuple[tuple[Cost, ...], tuple[PullCost, ...]]:
    """The cost of each copy, and the sum at each upstream; copies that `looked` found in place cost nothing.

    Raises Refused when the cost exceeds a budget and `on_budget` is `refuse`.
    """
    in_place = {preview.destination for preview in looked if preview.action is SeedAction.KEEP}
    costs = tuple(_cost(one, observer) for one in pinned if one.request.key not in in_place)
    sums = pull_costs(costs, read_budgets((one.request.source, one.head) for one in pinned))
    findings = judge(costs, sums, on_budget)
    refusals = [found for found in findings if isinstance(found, Refusal)]
    if refusals:
        raise Refused(
            refusals[0].code,
            "; ".join(refusal.message for refusal in refusals),
            hint="use `--on-budget wait` or `--on-budget partial`, or sign in with `docker login` for a higher limit",
        )
    for notice in findings:
        emit(NoticeGiven(notice.code, notice.message, notice.hint))
    return costs, sums


def _cost(one: _Pinned, observer: Observer) -> Cost:
    request = one.request
    image = observer.measure(one.head, request.subset)
    pulls: tuple[int, int | None] = (0, 0)
    if one.head.pull_limit is not None and not isinstance(image, SourceFault):  # a fault is found without a read
        pulls = pulls_of(image, request.subset)
    return Cost(request.key, request.source, request.subset, *pulls)


def _pin(
    pairs: Sequence[Pair], wanted: Selection, observer: Observer, lose: Callable[[Pair, SourceFault], None]
) -> Iterator[_Pinned]:
    """The copies, one by one as their sources are pinned; `lose` gets the pairs whose source is unavailable."""
    requests = []
    with observer.heads(pair.source for pair in pairs) as heads:
        all_wait = _counts_pulls(heads)
        for pair in pairs:
            head = heads[pair.source].result()
            if isinstance(head, SourceFault):
                lose(pair, head)
                continue
            request = CopyRequest(
                key=str(pair.destination),
                source=pair.source.with_digest(head.descriptor.digest),
                destination=pair.destination,
                subset=wanted.subset,
                # A registry accepts a tag only after its content, so one request for the tag shows that all is there.
                trusts_tag=True,
            )
            requests.append(request)
            yield _Pinned(request, head, waits=all_wait or head.pull_limit is not None)
    if wanted.keeps_signatures:
        sources = [request.source for request in requests]
        found = observer.companions(sources, wanted.subset)
        taken = {pair.destination for pair in pairs}
        for pair, companion in _beside(requests, found, taken):
            if isinstance(companion.head, SourceFault):
                lose(pair, companion.head)
                continue
            request = CopyRequest(
                key=str(pair.destination),
                source=pair.source.with_digest(companion.head.descriptor.digest),
                destination=pair.destination,
                trusts_tag=True,
                subject=companion.subject,
            )
            yield _Pinned(request, companion.head, waits=all_wait or companion.head.pull_limit is not None)


def _counts_pulls(heads: Mapping[Reference, Future[Head]]) -> bool:
    """Whether an upstream counts pulls, by its first response. Docker Hub counts pulls of some images only.

    At another registry that does so, copies which start before the first counted response are not part of the sum.
    """
    known = set()
    for source, response in heads.items():
        if source.registry == DOCKER_HUB:
            return True
        if source.registry not in known and not isinstance(head := response.result(), SourceFault):
            known.add(source.registry)
            if head.pull_limit is not None:
                return True
    return False


def _beside(
    requests: Sequence[CopyRequest], found: Mapping[Reference, Sequence[Companion]], taken: Collection[Reference]
) -> list[tuple[Pair, Companion]]:
    """The companions of all images: each destination once, without those that a pair itself names (`taken`)."""
    beside: dict[Reference, tuple[Pair, Companion]] = {}
    for request in requests:
        for companion in found[request.source]:
            pair = Pair(request.source.name.with_tag(companion.tag), request.destination.name.with_tag(companion.tag))
            if pair.destination not in taken:
                beside.setdefault(pair.destination, (pair, companion))
    return list(beside.values())


def _lost(pair: Pair, fault: SourceFault) -> SeedOutcome:
    return SeedOutcome(
        key=str(pair.destination),
        status=SeedStatus.FAILED,
        source=str(pair.source),
        destination=str(pair.destination),
        error_code=f"source.{fault.kind}",
        error_message=fault.message,
        hint=fault.hint,
    )
