"""A simulation of many machines: the real planner and divider, and models of ECR, Docker Hub, a network and faults.

An image has five image manifests. Its layers come through the network of the machine, image after image as a shard does
it, and then its manifests are put, the index last. Requests of all machines meet the quotas of the region, which are token buckets: an
empty one answers 429, and the request is made again after the transport's pause. A share of all requests fails before
bytes flow and is made again the same way. Each machine paces its manifests by the real `RateLimit`, at the rate of its
shard, and takes pulls at its shard's part. Time is simulated; the same arguments give the same result.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from toolkit.oci.digest import Digest
from toolkit.oci.media_types import OCI_INDEX
from toolkit.oci.reference import Reference
from toolkit.oci.subset import WHOLE
from toolkit.plan.desired import Desired, DesiredImage, DesiredRepository
from toolkit.plan.model import Division, Plan
from toolkit.plan.observed import Account, Content, Observed, PullBudget, SourceImage
from toolkit.plan.on_budget import OnBudget
from toolkit.plan.planner import make_plan
from toolkit.plan.shards import MACHINE_BYTES_PER_SECOND, divide, part_of
from toolkit.seed.rate_limit import RateLimit

ACCOUNT = Account("123456789012", "eu-west-1", "123456789012.dkr.ecr.eu-west-1.amazonaws.com")
DOCUMENTS = 5
LAYERS = 44
"""Of an image: 10 layers and a configuration for each of 4 platforms."""
PUT_RATE = 8.0
"""`aws.put_image_per_second`, by default."""
QUOTAS = {"PutImage": 10.0, "InitiateLayerUpload": 100.0, "UploadLayerPart": 500.0, "CompleteLayerUpload": 100.0}
"""A second, in a region: AWS's defaults."""
AT_A_TIME = 2
"""Images whose layers a machine has begun: a shard moves 16 large layers at a time, in the order of its images."""
_WINDOW = 21_600


@dataclass(frozen=True, slots=True)
class World:
    """How much there is, and how it is disturbed.

    `pulls` are Docker Hub's in six hours, None for no limit. With `counts_faults`, AWS counts requests that fail.
    """

    images: int = 10_000
    size: int = 40 * 10**12
    faults: float = 0.2
    counts_faults: bool = False
    pulls: int | None = None
    seed: int = 16


@dataclass(frozen=True, slots=True)
class Ran:
    """What the plan said, when the last image was in place, and of how many `puts` ECR answered 429."""

    division: Division
    makespan: float
    puts: int
    throttled: int

    @property
    def ratio(self) -> float:
        """The makespan by the bound that the plan names."""
        return self.makespan / self.division.seconds


def plan_world(world: World) -> tuple[Plan, Mapping[str, Content]]:
    """The planner's plan of repositories with five tags each, of sizes that vary by a factor of thirty."""
    dice = random.Random(world.seed)
    weights = [dice.lognormvariate(0, 0.7) for _ in range(world.images)]
    sizes = [int(world.size * weight / sum(weights)) for weight in weights]
    images = [_image(number // 5, number % 5) for number in range(world.images)]
    digests = [Digest.of(image.key.encode()) for image in images]
    budget = PullBudget("docker.io", world.pulls, world.pulls, _WINDOW) if world.pulls else None
    repositories = tuple(DesiredRepository(name) for name in sorted({image.repository for image in images}))
    observed = Observed(
        sources={
            image.key: SourceImage(digest, OCI_INDEX, digest, size, DOCUMENTS)
            for image, digest, size in zip(images, digests, sizes, strict=True)
        },
        repositories=frozenset(one.name for one in repositories),
        budgets=(budget,) if budget else (),
    )
    desired = Desired("world", ACCOUNT.region, None, repositories=repositories, images=tuple(images))
    plan = make_plan(desired, observed, (), ACCOUNT, on_budget=OnBudget.WAIT)
    contents = {
        image.key: Content(DOCUMENTS, {digest: size}, is_known=True)
        for image, digest, size in zip(images, digests, sizes, strict=True)
    }
    return plan, contents


def _image(repository: int, tag: int) -> DesiredImage:
    name = f"team/service-{repository:04}"
    return DesiredImage(Reference.parse(f"{name}:{tag}"), name, str(tag), WHOLE, f"images[{repository}]")


class Bucket:
    """`rate` tokens a second; as many are there at once."""

    def __init__(self, rate: float, capacity: float | None = None) -> None:
        self._rate = rate
        self._capacity = self._level = rate if capacity is None else capacity
        self._at = 0.0

    def take(self, now: float, count: float = 1.0) -> bool:
        """Take tokens; False if there are not so many."""
        self._fill(now)
        if self._level < count - 1e-9:
            return False
        self._level -= count
        return True

    def reserve(self, now: float, count: float) -> float:
        """Take tokens in any case; the time when all of them are there."""
        self._fill(now)
        self._level -= count
        return now + max(0.0, -self._level / self._rate)

    def _fill(self, now: float) -> None:
        self._level = min(self._capacity, self._level + (now - self._at) * self._rate)
        self._at = now


@dataclass(slots=True)
class _Machine:
    """One shard at work. Its network is busy until `free`, and it sends nothing to ECR until `paused`."""

    images: Iterator[int]
    turns: RateLimit
    pulls: Bucket | None
    free: float = 0.0
    paused: float = 0.0


_Steps = Iterator[float]
"""Work in progress: each item is the time when it goes on."""


class Fleet:
    """The shards of one division, each on a machine."""

    def __init__(self, plan: Plan, contents: Mapping[str, Content], division: Division, world: World) -> None:
        self._world = world
        self._division = division
        self._dice = random.Random(world.seed)
        self._attempts = 1 / (1 - world.faults) if world.counts_faults else 1.0
        self._now = 0.0
        self._order = itertools.count()
        self._work: list[tuple[float, int, _Steps]] = []
        self._region = {name: Bucket(rate) for name, rate in QUOTAS.items()}
        self._hub = Bucket(world.pulls / _WINDOW, world.pulls) if world.pulls else None
        self._puts = 0
        self._throttled = 0
        for shard in division.shards:
            share = shard.pulls[0].part * world.pulls if world.pulls else 0
            part = part_of(plan, shard)
            machine = _Machine(
                images=iter([seed.size or 0 for seed in part.pending_seeds]),
                turns=RateLimit(partial(_rate_of, shard.put_image_per_second), clock=lambda: self._now),
                pulls=Bucket(share / _WINDOW, share) if share else None,
            )
            for _ in range(AT_A_TIME):
                self._go_on(0.0, self._copy(machine))

    def run(self) -> Ran:
        """Let every machine finish."""
        while self._work:
            self._now, _, steps = heapq.heappop(self._work)
            later = next(steps, None)
            if later is not None:
                self._go_on(later, steps)
        return Ran(self._division, self._now, self._puts, self._throttled)

    def _go_on(self, moment: float, steps: _Steps) -> None:
        heapq.heappush(self._work, (moment, next(self._order), steps))

    def _copy(self, machine: _Machine) -> _Steps:
        """Copy one image after the other: the next begins when the layers of this one are there."""
        for size in machine.images:
            yield from self._pull(machine)
            for name in ("InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload"):
                yield self._region[name].reserve(self._now, LAYERS * self._attempts)
            machine.free = max(self._now, machine.free) + size / MACHINE_BYTES_PER_SECOND
            yield machine.free
            self._go_on(self._now, self._put(machine))

    def _pull(self, machine: _Machine) -> _Steps:
        """Take the pulls of an image, of which a free HEAD every minute says whether they are there."""
        if machine.pulls is not None and self._hub is not None:
            moment = machine.pulls.reserve(self._now, DOCUMENTS)
            if moment > self._now:
                yield self._now + math.ceil((moment - self._now) / 60) * 60
            if not self._hub.take(self._now, DOCUMENTS):
                raise AssertionError("the shards take more pulls than there are")

    def _put(self, machine: _Machine) -> _Steps:
        """Put the manifests of an image."""
        for _ in range(DOCUMENTS):
            yield self._now + machine.turns.take_turn()
            for attempt in itertools.count(1):
                while machine.paused > self._now:
                    yield machine.paused
                self._puts += 1
                is_lost = self._dice.random() < self._world.faults
                is_counted = not is_lost or self._world.counts_faults
                is_taken = not is_counted or self._region["PutImage"].take(self._now)
                if is_taken and not is_lost:
                    break
                pause = self._now + self._dice.random() * min(30.0, 0.5 * 2**attempt)  # as `Transport` does
                if not is_taken:
                    self._throttled += 1
                    machine.paused = max(machine.paused, pause)
                yield pause


def _rate_of(rate: float, registry: str) -> float:
    return rate


def simulate(world: World, counts: Sequence[int]) -> list[Ran]:
    """The same world with each number of shards."""
    plan, contents = plan_world(world)
    return [Fleet(plan, contents, division, world).run() for division in _divisions(plan, contents, counts)]


def _divisions(plan: Plan, contents: Mapping[str, Content], counts: Sequence[int]) -> Iterator[Division]:
    for count in counts:
        yield divide(plan, count, contents, PUT_RATE)
