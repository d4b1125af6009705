"""Copying pairs from an upstream that counts pulls. Each image costs one."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from tests.support.clocks import FakeTime
from tests.support.made_images import image, index, store, whole
from tests.support.memory_registry import Call, MemoryRegistry
from toolkit.errors import Refused, SeedingIncomplete
from toolkit.events import BudgetAwaited, Event, ImageFailed, NoticeGiven
from toolkit.oci.client import ManifestHead
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.pull_limits import PullLimits
from toolkit.oci.reference import Reference, Repository
from toolkit.operations.copy import Pair, Selection, copy, preview
from toolkit.plan.on_budget import OnBudget
from toolkit.report import CopyPreview, Report, SeedStatus
from toolkit.seed.observe import Observer
from toolkit.seed.seeder import Seeder

HUB, FREE = "hub.test", "free.test"
COPIED, FAILED, SKIPPED, UNCHANGED = SeedStatus.COPIED, SeedStatus.FAILED, SeedStatus.SKIPPED, SeedStatus.UNCHANGED


class Errand:
    """Copies of images by their sources, whose upstream grants `pulls`."""

    def __init__(self, pulls: int, *sources: str, registry: MemoryRegistry | None = None) -> None:
        self.registry = registry or MemoryRegistry()
        self.registry.pulls_left[HUB] = pulls
        self.time = FakeTime()
        self.events: list[Event] = []
        self.reports: list[Report] = []
        self.previews: list[CopyPreview] = []
        self.cache = DocumentCache()
        self.pairs = [self.pair(source) for source in sources]

    def pair(self, source: str) -> Pair:
        store(self.registry, image([source.encode()]), source)
        reference = Reference.parse(source)
        return Pair(reference, Reference("target.test", f"to/{reference.repository}", tag=reference.tag))

    def run(self, on_budget: OnBudget = OnBudget.REFUSE, *, is_dry: bool = False, only: int | None = None) -> None:
        source = PullLimits(self.registry)
        observer = Observer(source, None, self.events.append, cache=self.cache)
        seeder = Seeder(source, self.registry, self.events.append, jobs=2, cache=self.cache)
        pairs, emit = self.pairs[:only], self.events.append
        if is_dry:
            preview(pairs, Selection(), observer, seeder, emit, publish=self.previews.extend, on_budget=on_budget)
            return
        copy(
            pairs,
            Selection(),
            observer,
            seeder,
            emit,
            publish=self.reports.append,
            on_budget=on_budget,
            clock=self.time.clock,
            sleep=self.time.sleep,
        )

    @property
    def statuses(self) -> list[SeedStatus]:
        return [outcome.status for outcome in self.reports[-1].outcomes]

    @property
    def there(self) -> list[bool]:
        return [bool(self.registry.tags[pair.destination.name]) for pair in self.pairs]

    @property
    def pulls(self) -> int:
        return self.registry.count("get_manifest", HUB)


def of_hub(count: int) -> Sequence[str]:
    return [f"{HUB}/lib/{number}:1" for number in range(count)]


@pytest.mark.parametrize("is_dry", [False, True])
@pytest.mark.parametrize("order", [1, -1], ids=["free first", "free last"])
def test_too_few_pulls_are_refused_before_anything_moves(order: int, is_dry: bool) -> None:
    errand = Errand(2, *[f"{FREE}/lib/free:1", *of_hub(3)][::order])
    with pytest.raises(Refused) as refusal:
        errand.run(is_dry=is_dry)
    assert refusal.value.code == "budget.too_small"
    assert "at least 3 counted pulls at `hub.test`, and 2 of 100 are left" in refusal.value.message
    assert "--on-budget wait" in (refusal.value.hint or "")
    assert errand.there == [False] * 4
    assert errand.pulls == 0
    assert len(errand.previews) == (4 if is_dry else 0)


def test_what_is_in_place_costs_no_pull_and_one_look() -> None:
    errand = Errand(3, *of_hub(4))
    errand.run(only=3)
    errand.registry.pulls_left[HUB] = 1
    errand.registry.calls.clear()
    errand.run()
    assert errand.statuses == [UNCHANGED] * 3 + [COPIED]
    assert errand.registry.count("head_manifest", "target.test") == 4 + 1  # the new tag is read back


def test_what_an_earlier_run_has_read_costs_no_pull() -> None:
    errand = Errand(2, *of_hub(2))
    errand.run()
    errand.registry.pulls_left[HUB] = 0
    errand.pairs = [Pair(pair.source, pair.destination.name.with_tag("other")) for pair in errand.pairs]
    errand.run()
    assert errand.statuses == [COPIED, COPIED]


def test_partial_copies_the_first_that_fit_and_leaves_the_rest() -> None:
    errand = Errand(2, *of_hub(3), f"{FREE}/lib/free:1")
    with pytest.raises(SeedingIncomplete) as left:
        errand.run(OnBudget.PARTIAL)
    assert left.value.code == "budget.left_for_next_run"
    assert errand.statuses == [COPIED, COPIED, SKIPPED, COPIED]
    assert errand.time.slept == []
    assert [event for event in errand.events if isinstance(event, ImageFailed)] == []
    assert [event.code for event in errand.events if isinstance(event, NoticeGiven)] == ["budget.left_for_next_run"]


def test_wait_copies_what_fits_and_waits_for_the_rest() -> None:
    errand = Errand(2, *of_hub(3))
    errand.time.meanwhile = lambda: errand.registry.pulls_left.update({HUB: 1})
    errand.run(OnBudget.WAIT)
    assert errand.statuses == [COPIED] * 3
    assert errand.time.slept == [60.0]
    assert [event.images for event in errand.events if isinstance(event, BudgetAwaited)] == [1]


def test_a_limit_that_others_use_up_is_asked_of_once() -> None:
    errand = Errand(50, *of_hub(8))

    def steal(call: Call) -> None:
        if call.operation == "get_manifest" and call.repository.registry == HUB:
            errand.registry.pulls_left[HUB] = 0

    errand.registry.faults = steal
    with pytest.raises(SeedingIncomplete):
        errand.run()
    assert errand.statuses == [FAILED] * 8
    assert errand.pulls <= 2  # two threads were on their way


def test_an_index_that_may_cost_more_than_is_left_is_copied_and_said_to() -> None:
    errand = Errand(3)
    pair = errand.pair(f"{HUB}/lib/index:1")
    store(errand.registry, index(("linux/amd64", image([b"a"])), ("linux/arm64", image([b"b"]))), str(pair.source))
    errand.pairs = [pair]
    errand.run()
    assert whole(errand.registry, pair.destination)
    assert [event.code for event in errand.events if isinstance(event, NoticeGiven)] == ["budget.may_be_small"]


def test_docker_hub_is_looked_at_as_a_whole_because_it_counts_some_images_only() -> None:
    class Sponsoring(MemoryRegistry):
        def head_manifest(self, ref: Reference) -> ManifestHead | None:
            head = super().head_manifest(ref)
            return head and (ManifestHead(head.descriptor) if "sponsored" in ref.repository else head)

    errand = Errand(100, *(f"docker.io/{name}:1" for name in ("sponsored/a", "lib/b", "lib/c")), registry=Sponsoring())
    errand.registry.pulls_left["docker.io"] = 1
    with pytest.raises(Refused):
        errand.run()
    assert errand.there == [False] * 3
    errand.registry.pulls_left["docker.io"] = 3  # this one counts them all when they come
    errand.run()
    assert errand.statuses == [COPIED] * 3


class Hesitant(MemoryRegistry):
    """Says what the second image is when the first one has been copied."""

    def head_manifest(self, ref: Reference) -> ManifestHead | None:
        if (ref.registry, ref.repository) == (FREE, "lib/second"):
            for _ in range(1000):
                if self.tags[Repository("target.test", "to/lib/first")]:
                    break
                time.sleep(0.01)
            else:
                raise AssertionError("the first image is not copied")
        return super().head_manifest(ref)


def test_where_nobody_counts_an_image_is_copied_while_other_sources_are_looked_at() -> None:
    errand = Errand(0, registry=Hesitant())
    errand.pairs = [errand.pair(f"{FREE}/lib/{name}:1") for name in ("first", "second")]
    errand.run()
    assert errand.statuses == [COPIED, COPIED]
