"""Divides a plan among machines, and says what more machines would gain. Pure, and the same for the same input.

Repositories are divided, never the images of one. Repositories that share a source or a blob form a group that stays
together, because the machine that has the blob links it where it can and reads it once. Sharing is known as far as
documents are cached. A blob of less than 1 MiB forms no group: the empty layer is in nearly every image, and another
upload of it costs about what a link costs.

Groups go to the shard that has the fewest bytes, the largest first. If a shard has more than 1.2 times the average
after that, groups are moved and exchanged while the largest shard gets smaller, and at last shards are filled one by
one. An image of unknown size counts as many bytes as its documents have on average, so that without any size the
numbers of documents are balanced.

Three bounds hold. ECR takes a number of image manifests a second in a region, and registries count pulls: machines
divide both among them. A shard's share is in proportion to its documents or pulls, so that all shards are done at the
same time. Only the bytes go faster with more machines.

Where CodeBuild runs fewer shards at a time than there are, the others wait, and their shares of the manifests a second
lie idle meanwhile. Eight shards that run one after the other take eight times as long as one machine. So no more shards
than run at a time are useful there.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from toolkit.oci.digest import Digest
from toolkit.plan.model import Bound, Division, Plan, PullCost, PullShare, Seed, Shard
from toolkit.plan.observed import Content
from toolkit.plan.pull_budget import judge_plan, pull_costs

MACHINE_BYTES_PER_SECOND = 100_000_000
"""What one machine is taken to copy, for the choice of a number. Our engine needs 1.9 s of CPU for 1 GB
(`docs/explanation/speed.md`), so that the network decides."""
MACHINE_START_SECONDS = 60
"""A machine that would copy for less time than it takes to start gains nothing."""
MOST_SHARDS = 99
"""A batch of CodeBuild has at most 100 builds, one of which joins the results; `auto` goes no further."""
_SMALLEST_TIE = 2**20
_BALANCE = 1.2
"""How many times the average the largest shard may have, if the groups allow it."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Repositories that stay together."""

    repositories: tuple[str, ...]
    weight: float
    documents: int
    seeds: tuple[Seed, ...]


def divide(
    plan: Plan,
    count: int,
    contents: Mapping[str, Content],
    put_image_per_second: float,
    at_once: int | None = None,
) -> Division:
    """Divide the copies of `plan` into `count` shards, or into as many as are useful if that is 0.

    `contents` are by image key. What is in ECR already has no bytes: its tag is put, and that is all. `at_once` shards
    run at a time; where none does, they run elsewhere.
    """
    machines = at_once or MOST_SHARDS
    bytes_a_document = _bytes_a_document(plan, contents)
    groups = _groups(plan, contents, bytes_a_document or 1.0)
    weight, documents = sum(group.weight for group in groups), sum(group.documents for group in groups)
    copying = sum(bool(group.seeds) for group in groups)
    largest = max((group.weight for group in groups), default=0.0)
    put_seconds = documents / put_image_per_second
    pull_seconds = max(map(_pull_seconds, plan.pull_costs), default=0.0)
    rate = MACHINE_BYTES_PER_SECOND if bytes_a_document else math.inf
    floor = max(put_seconds, pull_seconds, MACHINE_START_SECONDS, largest / rate)
    useful = max(1, min(MOST_SHARDS, machines, copying, math.ceil(weight / rate / floor)))

    parts = _balance(groups, count or useful)
    weights = [sum(group.weight for group in part) for part in parts if any(group.seeds for group in part)] or [0.0]
    rounds = math.ceil(len(weights) / machines)  # a machine that does so many shards does them one after the other
    byte_seconds = max(*weights, weight / machines, rounds * min(weights)) / rate
    bounds = {Bound.BYTES: byte_seconds, Bound.PUT_IMAGE: rounds * put_seconds, Bound.PULLS: pull_seconds}
    bound = max(bounds, key=lambda one: bounds[one])

    documents_of = [sum(group.documents for group in part) for part in parts]
    parts_of_rate = _parts([max(1, number) for number in documents_of])
    pulls = _pull_shares(plan, parts)
    shards = [
        Shard(
            number=number + 1,
            repositories=tuple(sorted(name for group in part for name in group.repositories)),
            images=sum(len(group.seeds) for group in part),
            documents=documents_of[number],
            size=round(sum(group.weight for group in part)) if bytes_a_document else None,
            put_image_per_second=put_image_per_second * parts_of_rate[number],
            pulls=pulls[number],
        )
        for number, part in enumerate(parts)
    ]
    unknown = sum(not _is_known(seed, contents) for seed in plan.pending_seeds)
    return Division(tuple(shards), bound, round(bounds[bound], 1), useful, copying, unknown, at_once)


def as_elsewhere(plan: Plan, contents: Mapping[str, Content]) -> Plan:
    """`plan` with the counted pulls of machines that have none of its documents in their cache."""
    counting = {cost.registry for cost in plan.pull_costs}

    def pulls(seed: Seed) -> tuple[int, int | None]:
        content = contents.get(seed.key)
        is_counted = _has_bytes(seed) and seed.bytes_from is None and seed.source.registry in counting
        if not seed.is_pending or not is_counted or content is None or content.documents <= seed.pulls[0]:
            return seed.pulls
        return content.documents, content.documents

    seeds = tuple(replace(seed, pulls=pulls(seed)) for seed in plan.seeds)
    budgets = [cost.budget for cost in plan.pull_costs if cost.budget]
    costs = pull_costs([seed.cost for seed in seeds if seed.is_pending], budgets)
    return judge_plan(replace(plan, seeds=seeds, pull_costs=costs), {}, plan.on_budget)


def part_of(plan: Plan, shard: Shard) -> Plan:
    """What `shard` does of `plan`: copies only. What the plan refuses, and its remarks, belong to no shard."""
    here = frozenset(shard.repositories)
    seeds = tuple(seed for seed in plan.seeds if seed.repository in here)
    budgets = [shard.share(cost.budget) for cost in plan.pull_costs if cost.budget]
    return replace(
        plan,
        infra_changes=(),
        seeds=seeds,
        pull_costs=pull_costs([seed.cost for seed in seeds if seed.is_pending], budgets),
        refusals=(),
        notices=(),
        drift=(),
        losses=(),
        adopted=(),
        covers_infra=False,
        division=None,
        puts_manifest="",
    )


def division_misfits(plan: Plan, put_image_per_second: float) -> Iterator[str]:
    """Where a division does not fit its plan, as sentences."""
    if plan.division is None:
        return
    shards = plan.division.shards
    if [shard.number for shard in shards] != list(range(1, len(shards) + 1)):
        yield "the shards are not numbered from 1"
    counts = Counter(name for shard in shards for name in shard.repositories)
    for name in sorted({seed.repository for seed in plan.seeds} ^ counts.keys()):
        yield f"the repository `{name}` is {'in no shard' if name not in counts else 'in a shard, and not in the plan'}"
    yield from (f"the repository `{name}` is in {count} shards" for name, count in counts.items() if count > 1)
    rates = [shard.put_image_per_second for shard in shards]
    if min(rates, default=0) <= 0 or sum(rates) > put_image_per_second * (1 + 1e-9):
        yield "the shards do not share the manifests a second that the manifest allows"
    left = {cost.registry: cost.budget.remaining for cost in plan.pull_costs if cost.budget}
    for shard in shards:
        if sorted(share.registry for share in shard.pulls) != sorted(left):
            yield f"the shard {shard.number} has no share of the pulls that the plan found"
    for name, remaining in sorted(left.items()):
        shares = [share for shard in shards for share in shard.pulls if share.registry == name]
        parts, pulls = [share.part for share in shares], [share.pulls for share in shares]
        if min((*parts, *pulls), default=0) < 0 or sum(parts) > 1 + 1e-9 or sum(pulls) > remaining:
            yield f"the shards do not share the pulls at `{name}` that the plan found"


def _groups(plan: Plan, contents: Mapping[str, Content], bytes_a_document: float) -> list[_Group]:
    """The repositories of the plan, joined where their copies share a source or a blob, the heaviest first."""
    leader = {seed.repository: seed.repository for seed in plan.seeds}

    def find(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    first: dict[object, str] = {}
    for seed in plan.pending_seeds:
        content = contents.get(seed.key)
        blobs = content.blobs.items() if content else ()
        for tie in (seed.source.name, *(digest for digest, size in blobs if size >= _SMALLEST_TIE)):
            one, other = sorted((find(seed.repository), find(first.setdefault(tie, seed.repository))))
            leader[other] = one
    names: dict[str, list[str]] = {}
    for name in sorted(leader):
        names.setdefault(find(name), []).append(name)
    seeds: dict[str, list[Seed]] = {one: [] for one in names}
    for seed in plan.pending_seeds:
        seeds[find(seed.repository)].append(seed)
    found = []
    for one, repositories in names.items():
        here = seeds[one]
        known = [contents[seed.key] for seed in here if _has_bytes(seed) and _is_known(seed, contents)]
        unique: dict[Digest, int] = {digest: size for content in known for digest, size in content.blobs.items()}
        unknown = sum(_documents(seed, contents) for seed in here if not _is_known(seed, contents))
        weight = sum(unique.values()) + bytes_a_document * unknown
        documents = sum(_documents(seed, contents) for seed in here)
        found.append(_Group(tuple(repositories), weight, documents, tuple(here)))
    return sorted(found, key=lambda group: (-group.weight, -group.documents, group.repositories))


def _has_bytes(seed: Seed) -> bool:
    return seed.stored_as is None


def _is_known(seed: Seed, contents: Mapping[str, Content]) -> bool:
    return not _has_bytes(seed) or (seed.key in contents and contents[seed.key].is_known)


def _documents(seed: Seed, contents: Mapping[str, Content]) -> int:
    """How many image manifests and indexes ECR has to take; a HEAD alone does not tell, so that it may be too few."""
    if not _has_bytes(seed):
        return 1
    content = contents.get(seed.key)
    platforms = 1 + len(seed.subset.platforms) if seed.subset.platforms else 1
    return max(content.documents if content else platforms, seed.pulls[0], 1)


def _bytes_a_document(plan: Plan, contents: Mapping[str, Content]) -> float | None:
    """The average of the images whose size is known; None if there is none."""
    known = [contents[s.key] for s in plan.pending_seeds if _has_bytes(s) and _is_known(s, contents)]
    size = sum(sum(content.blobs.values()) for content in known)
    return size / sum(content.documents for content in known) if size else None


def _balance(groups: Sequence[_Group], count: int) -> list[list[_Group]]:
    """`count` parts of nearly the same weight. The `groups` are sorted, the heaviest first."""
    parts: list[list[_Group]] = [[] for _ in range(count)]
    # Groups without bytes are spread by the number of documents, and by that of groups.
    loads = [(0.0, 0, 0, number) for number in range(count)]
    for group in groups:
        weight, documents, size, number = heappop(loads)
        parts[number].append(group)
        heappush(loads, (weight + group.weight, documents + group.documents, size + 1, number))
    weights = [load[0] for load in sorted(loads, key=lambda load: load[3])]
    mean = sum(weights) / count
    while max(weights) > _BALANCE * mean and (step := _exchange(parts, weights)):
        for source, target, moved in step:
            parts[source].remove(moved)
            parts[target].append(moved)
            weights[source] -= moved.weight
            weights[target] += moved.weight
    if groups and groups[0].weight <= _BALANCE * mean < max(weights):
        return _fill(groups, count, _BALANCE * mean) or parts
    return parts


def _exchange(parts: Sequence[Sequence[_Group]], weights: Sequence[float]) -> list[tuple[int, int, _Group]]:
    """Moves of one group out of the heaviest part, and of a lighter one back, that leave both parts lighter than it."""
    top = max(range(len(parts)), key=lambda number: weights[number])
    for other in sorted(range(len(parts)), key=lambda number: weights[number]):
        for group in parts[top]:
            for instead in (None, *parts[other]):
                gain = group.weight - (instead.weight if instead else 0.0)
                if gain > 0 and weights[other] + gain < weights[top] * (1 - 1e-9):
                    return [(top, other, group), *([(other, top, instead)] if instead else [])]
    return []


def _fill(groups: Sequence[_Group], count: int, room: float) -> list[list[_Group]] | None:
    """`count` parts of at most `room` each, filled one after the other; None if something is left."""
    parts: list[list[_Group]] = []
    waiting = groups
    for _ in range(count):
        part: list[_Group] = []
        left: list[_Group] = []
        weight = 0.0
        for group in waiting:
            is_fitting = weight + group.weight <= room
            (part if is_fitting else left).append(group)
            weight += group.weight if is_fitting else 0.0
        parts.append(part)
        waiting = left
    return None if waiting else parts


def _pull_seconds(cost: PullCost) -> float:
    """How long the copies have to wait for pulls at one upstream; they come back over a window."""
    if cost.budget is None:
        return 0.0
    missing = (cost.at_least if cost.at_most is None else cost.at_most) - cost.budget.remaining
    return max(0.0, missing / max(1, cost.budget.limit) * cost.budget.window_seconds)


def _parts(weights: Sequence[float]) -> list[float]:
    """What each has of the whole; equal parts if there is nothing."""
    whole = sum(weights)
    return [weight / whole if whole else 1 / len(weights) for weight in weights]


def _pull_shares(plan: Plan, parts: Sequence[Sequence[_Group]]) -> list[tuple[PullShare, ...]]:
    """What each part may take at each upstream: at least what it needs, if that is there, and its part of the rest."""
    shares: list[list[PullShare]] = [[] for _ in parts]
    for cost in plan.pull_costs:
        if cost.budget is None:
            continue
        needs = [
            pull_costs([seed.cost for group in part for seed in group.seeds], [cost.budget])[0].at_least
            for part in parts
        ]
        ratios = _parts(needs)
        sure = needs if sum(needs) <= cost.budget.remaining else [0] * len(needs)
        rest = cost.budget.remaining - sum(sure)
        ends = [round(rest * sum(ratios[: number + 1])) for number in range(len(ratios))]
        for number, end in enumerate(ends):
            pulls = sure[number] + end - (ends[number - 1] if number else 0)
            shares[number].append(PullShare(cost.registry, pulls, ratios[number]))
    return [tuple(share) for share in shares]
