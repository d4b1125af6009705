"""`--on-budget`: an upstream with fewer counted pulls than the copies need. Each image of the world costs one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fake_services import NAMES, World, desired
from tests.support.memory_registry import Call
from toolkit.errors import Refused, SeedingIncomplete, TerraformFailed
from toolkit.events import BudgetAwaited, ImageFailed, ImagePostponed, StepStarted
from toolkit.oci.errors import ConnectionFailed
from toolkit.oci.reference import Reference, Repository
from toolkit.operations.apply import apply, apply_saved
from toolkit.operations.plan import plan_manifest
from toolkit.operations.seed import seed
from toolkit.plan.model import Plan
from toolkit.plan.on_budget import OnBudget
from toolkit.report import Report, SeedStatus

UPSTREAM = "upstream.test"
COPIED, SKIPPED, UNCHANGED = SeedStatus.COPIED, SeedStatus.SKIPPED, SeedStatus.UNCHANGED


class Room:
    """A world whose upstream grants `pulls`, and who runs things in it."""

    def __init__(self, folder: Path, pulls: int) -> None:
        self.world = World(folder)
        self.world.registry.pulls_left[UPSTREAM] = pulls
        self.desired = desired(*NAMES)
        self.plans: list[Plan] = []
        self.reports: list[Report] = []

    def apply(self, on_budget: OnBudget) -> None:
        apply(
            self.desired,
            self.world.services,
            review=self.plans.append,
            confirm=lambda _: True,
            publish=self.reports.append,
            on_budget=on_budget,
        )

    @property
    def pulls(self) -> int:
        return self.world.registry.count("get_manifest", UPSTREAM)

    @property
    def statuses(self) -> dict[str, SeedStatus]:
        """How they ended, in the manifest's order."""
        return {outcome.key.partition(":")[0]: outcome.status for outcome in self.reports[-1].outcomes}

    def refill(self, pulls: int) -> None:
        self.world.registry.pulls_left[UPSTREAM] = pulls

    def used_up_by_others(self, after: int) -> None:
        """Somebody behind the same address takes all pulls after so many of ours."""

        def steal(call: Call) -> None:
            if call.operation == "get_manifest" and call.repository.registry == UPSTREAM and self.pulls == after + 1:
                self.refill(0)

        self.world.registry.faults = steal

    def told(self, kind: type) -> list[object]:
        return [event for event in self.world.events if isinstance(event, kind)]


def test_too_few_pulls_are_refused_before_anything_moves(tmp_path: Path) -> None:
    room = Room(tmp_path, 2)
    with pytest.raises(Refused) as refusal:
        room.apply(OnBudget.REFUSE)
    assert refusal.value.code == "budget.too_small"
    assert room.world.repositories == {}


def test_partial_copies_the_first_that_fit_and_leaves_the_rest(tmp_path: Path) -> None:
    room = Room(tmp_path, 2)
    with pytest.raises(SeedingIncomplete) as left:
        room.apply(OnBudget.PARTIAL)
    assert left.value.code == "budget.left_for_next_run"
    assert "1 of 3 images are left for the next run" in left.value.message
    assert "within 6 h" in (left.value.hint or "")
    assert room.statuses == {"one": COPIED, "two": COPIED, "three": SKIPPED}
    assert room.reports[-1].outcomes[2].error_code == "budget.left_for_next_run"
    assert set(room.world.repositories) == set(NAMES)  # Terraform did all of its part
    assert room.world.time.slept == []


def test_the_next_run_after_partial_copies_only_what_was_left(tmp_path: Path) -> None:
    room = Room(tmp_path, 2)
    with pytest.raises(SeedingIncomplete):
        room.apply(OnBudget.PARTIAL)
    room.refill(1)
    room.apply(OnBudget.PARTIAL)
    assert room.statuses == {"one": UNCHANGED, "two": UNCHANGED, "three": COPIED}
    assert room.pulls == 3


def test_partial_with_no_pull_left_does_terraform_and_asks_for_no_image(tmp_path: Path) -> None:
    room = Room(tmp_path, 0)
    with pytest.raises(SeedingIncomplete):
        room.apply(OnBudget.PARTIAL)
    assert set(room.statuses.values()) == {SKIPPED}
    assert set(room.world.repositories) == set(NAMES)
    assert room.pulls == 0


def test_partial_leaves_the_rest_at_once_when_others_use_the_limit_up(tmp_path: Path) -> None:
    room = Room(tmp_path, 50)
    room.used_up_by_others(after=0)
    with pytest.raises(SeedingIncomplete) as left:
        room.apply(OnBudget.PARTIAL)
    assert left.value.code == "budget.left_for_next_run"
    assert set(room.statuses.values()) == {SKIPPED}
    assert room.pulls <= 2  # two threads were on their way; the third image did not ask
    assert room.told(ImageFailed) == []
    assert len(room.told(ImagePostponed)) == 3


def test_wait_copies_what_fits_and_waits_for_the_rest(tmp_path: Path) -> None:
    room = Room(tmp_path, 1)
    seen: list[tuple[bool, int]] = []

    def a_pull_comes_back() -> None:
        seen.append(("apply" in room.world.log, sum(room.world.stored(name) is not None for name in NAMES)))
        if len(seen) in (3, 5):
            room.refill(1)

    room.world.time.meanwhile = a_pull_comes_back
    room.apply(OnBudget.WAIT)
    assert room.statuses == dict.fromkeys(NAMES, COPIED)
    assert seen == [(True, 1), (True, 1), (True, 1), (True, 2), (True, 2)]
    assert room.world.time.slept == [60.0] * 5
    assert room.pulls == 3
    (first, *_) = room.told(StepStarted)[-2:]
    assert "2 images from upstream.test" in first.detail  # type: ignore[attr-defined]
    clock = [(event.images, event.remaining, event.seconds) for event in room.told(BudgetAwaited)]  # type: ignore[attr-defined]
    assert clock == [(2, 0, 0.0), (2, 0, 60.0), (2, 0, 120.0), (1, 0, 0.0), (1, 0, 60.0)]


def test_wait_goes_on_when_others_use_the_limit_up(tmp_path: Path) -> None:
    room = Room(tmp_path, 50)
    room.used_up_by_others(after=1)

    def all_come_back() -> None:
        room.world.registry.faults = lambda call: None
        room.refill(50)

    room.world.time.meanwhile = all_come_back
    room.apply(OnBudget.WAIT)
    assert room.statuses == dict.fromkeys(NAMES, COPIED)
    assert room.world.time.slept == [60.0]
    assert room.told(ImageFailed) == []


def test_what_costs_no_pull_is_not_held_up(tmp_path: Path) -> None:
    room = Room(tmp_path, 0)
    registry = room.world.registry
    there, free = Repository(UPSTREAM, "three"), Repository("free.test", "three")
    for kept in (registry.blobs, registry.documents, registry.tags):
        kept[free] = kept[there]  # type: ignore[index, assignment]
    images = (*room.desired.images[:2], replace(room.desired.images[2], source=Reference.parse("free.test/three:1")))
    room.desired = replace(room.desired, images=images)
    stored: list[bool] = []

    def look() -> None:
        stored.append(room.world.stored("three") is not None)
        room.refill(5)

    room.world.time.meanwhile = look
    room.apply(OnBudget.WAIT)
    assert stored == [True]


def test_waiting_ends_when_a_whole_window_has_brought_nothing(tmp_path: Path) -> None:
    room = Room(tmp_path, 0)
    with pytest.raises(SeedingIncomplete) as left:
        room.apply(OnBudget.WAIT)
    assert left.value.code == "budget.left_for_next_run"
    assert sum(room.world.time.slept) == 21660


def test_a_limit_that_is_refused_in_spite_of_its_own_headers_ends_too(tmp_path: Path) -> None:
    room = Room(tmp_path, 50)
    room.world.registry.faults = lambda call: room.refill(0 if call.operation == "get_manifest" else 50)
    with pytest.raises(SeedingIncomplete):
        room.apply(OnBudget.WAIT)
    assert set(room.statuses.values()) == {SKIPPED}
    assert sum(room.world.time.slept) <= 21660


def test_an_upstream_that_cannot_be_reached_for_a_while_is_asked_again(tmp_path: Path) -> None:
    room = Room(tmp_path, 2)
    down = ConnectionFailed("the network is down", host=UPSTREAM)

    def meanwhile() -> None:
        room.refill(5)
        is_down = len(room.world.time.slept) < 3
        room.world.registry.faults = lambda call: down if is_down and call.repository.registry == UPSTREAM else None

    room.world.time.meanwhile = meanwhile
    room.apply(OnBudget.WAIT)
    assert room.statuses == dict.fromkeys(NAMES, COPIED)
    assert len(room.world.time.slept) == 3


def test_an_image_that_goes_away_upstream_while_it_waits_fails_alone(tmp_path: Path) -> None:
    room = Room(tmp_path, 0)

    def meanwhile() -> None:
        room.world.registry.documents[Repository(UPSTREAM, "one")].clear()
        room.refill(5 if len(room.world.time.slept) > 1 else 0)

    room.world.time.meanwhile = meanwhile
    with pytest.raises(SeedingIncomplete):
        room.apply(OnBudget.WAIT)
    assert room.statuses == {"one": SeedStatus.FAILED, "two": COPIED, "three": COPIED}
    assert room.reports[-1].outcomes[0].error_code == "source.missing"


def test_all_go_at_once_when_the_upstream_counts_no_more(tmp_path: Path) -> None:
    room = Room(tmp_path, 0)
    room.world.time.meanwhile = room.world.registry.pulls_left.clear
    room.apply(OnBudget.WAIT)
    assert room.statuses == dict.fromkeys(NAMES, COPIED)
    assert room.world.time.slept == [60.0]


def test_an_interrupt_of_the_waiting_reports_what_is_done(tmp_path: Path) -> None:
    room = Room(tmp_path, 1)

    def interrupt() -> None:
        raise KeyboardInterrupt

    room.world.time.meanwhile = interrupt
    with pytest.raises(KeyboardInterrupt):
        room.apply(OnBudget.WAIT)
    assert room.statuses == {"one": COPIED, "two": SKIPPED, "three": SKIPPED}
    assert room.reports[-1].outcomes[2].error_code == "seed.not_reached"
    assert len(room.world.time.slept) == 1


def test_a_terraform_failure_is_not_kept_back_by_waiting(tmp_path: Path) -> None:
    room = Room(tmp_path, 0)
    room.world.fails_after = (1, TerraformFailed("terraform.failed", "quota"))
    with pytest.raises(TerraformFailed):
        room.apply(OnBudget.WAIT)
    assert room.world.time.slept == []
    assert room.statuses == dict.fromkeys(NAMES, SKIPPED)


@pytest.mark.parametrize("chosen", [None, OnBudget.PARTIAL])
def test_a_saved_plan_is_done_within_the_budget_of_the_moment(tmp_path: Path, chosen: OnBudget | None) -> None:
    room = Room(tmp_path, 100)
    planned = plan_manifest(
        room.desired, room.world.services, on_budget=OnBudget.PARTIAL if chosen is None else OnBudget.REFUSE
    )
    room.refill(1)
    with pytest.raises(SeedingIncomplete):
        apply_saved(
            room.desired,
            planned,
            room.world.services,
            review=room.plans.append,
            publish=room.reports.append,
            on_budget=chosen,
        )
    assert room.statuses == {"one": COPIED, "two": SKIPPED, "three": SKIPPED}
    assert [notice.code for notice in room.plans[-1].notices] == ["budget.left_for_next_run"]
    assert room.reports[-1].plan == room.plans[-1]


def test_a_saved_plan_is_refused_when_others_have_used_the_pulls_since(tmp_path: Path) -> None:
    room = Room(tmp_path, 100)
    planned = plan_manifest(room.desired, room.world.services)
    room.refill(1)
    with pytest.raises(Refused) as refusal:
        apply_saved(room.desired, planned, room.world.services, review=room.plans.append, publish=room.reports.append)
    assert refusal.value.code == "budget.too_small"
    assert room.world.repositories == {}


def test_a_saved_plan_that_costs_no_pull_asks_no_upstream(tmp_path: Path) -> None:
    room = Room(tmp_path, 3)
    room.apply(OnBudget.REFUSE)
    planned = plan_manifest(room.desired, room.world.services)
    asked = room.world.registry.count("head_manifest", UPSTREAM)
    apply_saved(room.desired, planned, room.world.services, review=room.plans.append, publish=room.reports.append)
    assert room.world.registry.count("head_manifest", UPSTREAM) == asked


def test_seed_keeps_to_the_budget_too(tmp_path: Path) -> None:
    room = Room(tmp_path, 1)
    for name in NAMES:
        room.world.create(name)
    with pytest.raises(SeedingIncomplete):
        seed(
            room.desired,
            room.world.services,
            review=room.plans.append,
            publish=room.reports.append,
            on_budget=OnBudget.PARTIAL,
        )
    assert room.statuses == {"one": COPIED, "two": SKIPPED, "three": SKIPPED}
