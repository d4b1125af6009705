"""A plan's shards as a batch of CodeBuild: what is started, what is followed, and what is refused before anything runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fake_refresh import FakeBatches, FakeShared
from tests.support.fake_services import World, desired
from toolkit.aws.inspection import Quota
from toolkit.errors import AccessDenied, Interrupted, Refused, ToolkitError, UsageError
from toolkit.events import BuildChanged, NoticeGiven, RetryScheduled
from toolkit.operations.batch import check_batch, run_batch
from toolkit.operations.plan import plan_manifest
from toolkit.operations.services import Services
from toolkit.plan.model import Plan
from toolkit.plan.on_budget import OnBudget

NAMES = ("one", "two", "three", "four", "five")
PLACE = "s3://base/shop/refresh/shards/d/plan.toolkit"
RUNS, DONE, FAILED = "IN_PROGRESS", "SUCCEEDED", "FAILED"
THROTTLED = Refused(
    "aws.unavailable", "AWS answered every attempt of `BatchGetBuildBatches` with `Throttling`: slow down"
)


class Room:
    """A plan in `shards`, and a CodeBuild that does it."""

    def __init__(self, folder: Path, shards: int = 3) -> None:
        self.world = World(folder, NAMES)
        self.shared = FakeShared(lambda: self.world.now)
        self.batches: FakeBatches = self.shared.batches
        self.services: Services = replace(self.world.services, refresh=self.shared.services)
        self.shards = shards
        self.prepared: list[int] = []
        """How many batches there were when the plan was put in its place."""

    def plan(self, services: Services | None = None) -> Plan:
        return plan_manifest(desired(*NAMES), services or self.services, shards=self.shards, reads_sizes=True).plan

    def run(self, on_budget: OnBudget | None = None) -> None:
        run_batch(self.plan(), "d", PLACE, self.services, on_budget, self.prepare)

    def prepare(self) -> None:
        self.prepared.append(len(self.batches.started))

    def told(self, kind: type[NoticeGiven]) -> list[str]:
        return [event.code for event in self.world.events if isinstance(event, kind)]

    def changes(self) -> list[tuple[str, str]]:
        return [(one.build, one.status) for one in self.world.events if isinstance(one, BuildChanged)]


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_a_batch_is_started_with_the_plan_and_followed_to_its_end(room: Room) -> None:
    room.batches.ends = [
        (RUNS, {"shard_1": RUNS}),
        (RUNS, {"shard_1": DONE, "shard_2": RUNS}),
        (RUNS, {"shard_1": DONE, "shard_2": RUNS}),
        (DONE, {"shard_1": DONE, "shard_2": DONE, "report": DONE}),
    ]
    room.run(OnBudget.WAIT)
    [(buildspec, variables)] = room.batches.started
    assert [one["identifier"] for one in buildspec["batch"]["build-graph"]] == [
        "shard_1",
        "shard_2",
        "shard_3",
        "report",
    ]
    assert variables == {"TOOLKIT_PLAN": PLACE, "TOOLKIT_ON_BUDGET": "wait"}
    changes = [("shard_1", RUNS), ("shard_1", DONE), ("shard_2", RUNS), ("shard_2", DONE), ("report", DONE)]
    assert room.changes() == changes
    assert room.told(NoticeGiven) == []


def test_an_interrupted_run_leaves_the_batch_and_the_next_one_follows_it(room: Room) -> None:
    room.batches.ends = [(RUNS, {}), KeyboardInterrupt()]
    with pytest.raises(Interrupted) as left:
        room.run()
    assert (left.value.code, left.value.exit_code) == ("batch.left", 130)
    room.batches.ends = [(RUNS, {}), (DONE, {"report": DONE})]
    room.run()
    assert len(room.batches.started) == 1
    assert room.prepared == [0]
    assert room.told(NoticeGiven) == ["batch.followed"]


def test_after_one_that_failed_another_is_started(room: Room) -> None:
    room.batches.why = "CLIENT_ERROR: the batch specification is invalid"
    room.batches.ends = [(FAILED, {"shard_1": DONE, "shard_2": "FAULT", "report": FAILED})]
    room.run()
    [notice] = [one for one in room.world.events if isinstance(one, NoticeGiven)]
    assert (
        notice.message == "the batch `shop-refresh:1` ended as FAILED: CLIENT_ERROR: the batch specification is invalid"
    )
    assert ("shard_2", "FAULT") in room.changes()
    room.batches.ends = [(FAILED, {}), (DONE, {})]
    room.run()
    assert len(room.batches.started) == 2


def test_a_batch_of_which_no_record_was_left_is_not_started_twice(room: Room) -> None:
    room.batches.ends = [(RUNS, {}), KeyboardInterrupt()]
    with pytest.raises(Interrupted):
        room.run()
    [record] = room.shared.texts.values()
    record.texts.clear()  # killed between the start and the record
    room.batches.ends = [(DONE, {})]
    room.run()
    assert len(room.batches.started) == 1
    assert record.texts == ["shop-refresh:1"]


def test_a_batch_that_is_deleted_is_followed_no_more(room: Room) -> None:
    room.batches.ends = [("DELETED", {})]
    room.run()
    assert room.told(NoticeGiven) == ["batch.failed"]


def test_aws_may_be_away_for_a_while(room: Room) -> None:
    room.batches.ends = [*[THROTTLED] * 20, (DONE, {})]
    room.run()
    assert [one.attempt for one in room.world.events if isinstance(one, RetryScheduled)] == list(range(2, 22))


@pytest.mark.parametrize(
    "ends",
    [[THROTTLED] * 200, [AccessDenied("aws.credentials_expired", "AWS refused `BatchGetBuildBatches`")]],
)
def test_what_does_not_pass_ends_the_run_and_leaves_the_batch(room: Room, ends: list[ToolkitError]) -> None:
    room.batches.ends = [*ends]
    with pytest.raises(ToolkitError) as raised:
        room.run()
    assert raised.value is ends[0]
    room.batches.ends = [(RUNS, {}), (DONE, {})]
    room.run()
    assert len(room.batches.started) == 1


def test_a_start_that_codebuild_refuses_is_told(room: Room) -> None:
    room.batches.refuses = THROTTLED
    with pytest.raises(Refused) as refused:
        room.run()
    assert refused.value is THROTTLED


@pytest.mark.parametrize("own", ["", "version: 0.2"])
def test_a_project_that_is_not_ours_is_not_started(room: Room, own: str) -> None:
    room.batches.own = own
    with pytest.raises(Refused) as refused:
        room.run()
    assert refused.value.code == "batch.other_project"
    assert room.batches.started == []


QUOTA = Quota("Concurrently running builds for ARM/Small environment", "L-5ED1D25B", 60)


@pytest.mark.parametrize(
    ("allowed", "at_once", "notices"),
    [
        (QUOTA, 60, []),
        (replace(QUOTA, value=3), 3, []),
        (replace(QUOTA, value=1), 1, ["batch.few_builds"]),
        (None, None, ["batch.quota_unknown"]),
        (AccessDenied("aws.access_denied", "AWS refused it"), None, ["batch.quota_unknown"]),
        (Refused("aws.unreachable", "AWS cannot be reached"), None, ["batch.quota_unknown"]),
    ],
)
def test_says_how_many_shards_run_at_a_time(
    room: Room, allowed: Quota | ToolkitError | None, at_once: int | None, notices: list[str]
) -> None:
    room.batches.allowed = allowed
    plan = room.plan()
    assert plan.division
    assert plan.division.at_once == at_once
    room.world.events.clear()
    check_batch(plan, room.services)
    assert room.told(NoticeGiven) == notices


def test_without_a_build_at_a_time_nothing_is_started_and_the_hint_asks_for_more(room: Room) -> None:
    room.batches.allowed = replace(QUOTA, value=0)
    with pytest.raises(Refused) as refused:
        check_batch(room.plan(), room.services)
    assert refused.value.code == "batch.no_builds"
    assert "--quota-code L-5ED1D25B --desired-value 3" in (refused.value.hint or "")


def test_auto_takes_no_more_shards_than_run_at_a_time(tmp_path: Path) -> None:
    room = Room(tmp_path, shards=0)
    room.batches.allowed = replace(QUOTA, value=0)  # none runs there, and so they run elsewhere
    assert room.plan().division
    room.batches.allowed = replace(QUOTA, value=1)
    division = room.plan().division
    assert division
    assert (len(division.shards), division.useful) == (1, 1)


def test_no_batch_does_a_plan_without_shards_or_a_manifest_without_refresh(room: Room) -> None:
    plan = room.plan()
    with pytest.raises(UsageError, match="not divided"):
        check_batch(replace(plan, division=None), room.services)
    with pytest.raises(Refused) as refused:
        check_batch(plan, room.world.services)
    assert refused.value.code == "batch.not_configured"
    assert plan.division
    many = replace(plan.division, shards=plan.division.shards * 40)
    with pytest.raises(Refused) as refused:
        check_batch(replace(plan, division=many), room.services)
    assert refused.value.code == "batch.too_many_shards"
