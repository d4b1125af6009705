"""`status` looks at ECR, upstream and the lock, and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.fake_services import HOST, World, desired
from tests.support.made_images import image, index, store
from toolkit.errors import AccessDenied, Refused, UsageError
from toolkit.lock.model import Policy
from toolkit.manifest.model import IgnoreSpec
from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.subset import Subset
from toolkit.operations.drift import find_drift
from toolkit.operations.lock import lock
from toolkit.operations.rollback import rollback
from toolkit.operations.seed import seed
from toolkit.operations.status import status
from toolkit.plan.desired import Desired, ownership_tags
from toolkit.plan.gate import Gate
from toolkit.plan.model import InfraAction, InfraChange
from toolkit.plan.observed import ReplicationRule
from toolkit.plan.severity import Severity
from toolkit.plan.status import ImageStatus, ReplicaStatus, Scan, State, StatusReport

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
AGED = Policy(min_age=timedelta(days=3))


class Days:
    """A mirror that was locked and filled on day 0."""

    def __init__(self, folder: Path, policy: Policy = Policy()) -> None:  # noqa: B008  it is frozen
        self.world = World(folder)
        self.names = self.world.names
        for name in self.names:
            self.world.create(name)
        self.desired = self.wanted(policy)
        self.world.now = START

    def wanted(self, policy: Policy) -> Desired:
        made = desired(*self.names)
        return replace(made, images=tuple(replace(one, policy=policy) for one in made.images))

    def lock(self, day: float = 0) -> None:
        self.world.now = START + timedelta(days=day)
        lock(self.desired, self.world.services, publish=lambda changes: None)

    def seed(self) -> None:
        seed(self.desired, self.world.services, review=lambda plan: None, publish=lambda report: None)

    def move(self, name: str, content: str) -> Digest:
        made = image([content.encode()])
        store(self.world.registry, made, f"upstream.test/{name}:1")
        return made.digest

    def status(
        self,
        day: float = 0,
        *only: str,
        gate: Gate | None = None,
        earlier: Sequence[StatusReport] = (),
        drift: bool = False,
    ) -> StatusReport:
        self.world.now = START + timedelta(days=day)
        shown: list[StatusReport] = []
        self.failure = ""
        try:
            status(
                self.desired,
                self.world.services,
                publish=shown.append,
                only=only,
                gate=gate,
                earlier=earlier,
                find_drift=find_drift if drift else None,
            )
        except Refused as error:
            self.failure = error.code
        return shown[0]


@pytest.fixture
def days(tmp_path: Path) -> Days:
    made = Days(tmp_path)
    made.lock()
    made.seed()
    return made


def one(report: StatusReport, name: str = "one") -> ImageStatus:
    return next(image for image in report.images if image.key == f"{name}:1")


def states(report: StatusReport) -> dict[str, State]:
    return {image.key.partition(":")[0]: image.state for image in report.images}


def test_finds_all_fine_by_free_requests_and_changes_nothing(days: Days) -> None:
    registry = days.world.registry
    gets, puts = registry.count("get_manifest"), registry.count("put_manifest")
    text = days.world.services.lock.read()
    report = days.status(1)
    assert states(report) == dict.fromkeys(days.names, State.FINE)
    assert (registry.count("get_manifest"), registry.count("put_manifest")) == (gets, puts)
    assert days.world.services.lock.read() == text
    assert days.world.log == []  # no Terraform


def test_tells_since_when_an_image_is_behind_and_what_it_waits_for(tmp_path: Path) -> None:
    days = Days(tmp_path, AGED)
    days.lock()
    days.lock(3)
    days.seed()
    newer = days.move("one", "newer")
    days.lock(10)
    found = one(days.status(11))
    assert (found.state, found.newest, found.behind_since) == (State.COOLING, newer, START + timedelta(days=10))
    assert found.ready_at == START + timedelta(days=13)
    days.lock(14)
    found = one(days.status(14))
    assert (found.state, found.admitted, found.behind_since) == (State.BEHIND, newer, START + timedelta(days=10))
    days.seed()
    assert one(days.status(14)).state is State.FINE


def test_knows_what_was_overwritten_and_what_is_gone_since(days: Days) -> None:
    store(days.world.registry, image([b"somebody else's"]), f"{HOST}/one:1")
    del days.world.registry.tags[Repository("upstream.test", "two")]["1"]
    days.lock(5)
    report = days.status(9, gate=Gate())
    assert states(report) == {"one": State.OVERWRITTEN, "two": State.GONE, "three": State.FINE}
    assert one(report, "two").gone_since == START + timedelta(days=5)
    assert [fault.code for fault in report.faults or ()] == ["status.overwritten", "status.gone"]
    assert days.failure == "status.failed"


def test_forgets_that_a_tag_was_gone_when_it_returns(days: Days) -> None:
    tags = days.world.registry.tags[Repository("upstream.test", "two")]
    digest = tags.pop("1")
    days.lock(5)
    tags["1"] = digest
    days.lock(6)
    assert one(days.status(6), "two").gone_since is None
    tags.pop("1")
    days.lock(8)
    assert one(days.status(9), "two").gone_since == START + timedelta(days=8)


def test_follows_a_rollback_from_the_lock_to_ecr(days: Days) -> None:
    days.move("one", "broken")
    days.lock(2)
    days.seed()
    rollback(days.desired, days.world.services, "one:1", reason="breaks the shop", publish=lambda changes: None)
    found = one(days.status(3))
    assert (found.state, found.hold and found.hold.reason) == (State.HELD, "breaks the shop")
    assert "is admitted and not in ECR yet" in found.reason
    days.seed()
    found = one(days.status(3))
    assert (found.state, found.behind_since) == (State.HELD, START + timedelta(days=2))
    assert "not in ECR" not in found.reason


@pytest.mark.parametrize(("is_there", "state"), [(True, State.BEHIND), (False, State.UNKNOWN)])
def test_without_a_lock_asks_upstream_where_an_image_comes_from(tmp_path: Path, is_there: bool, state: State) -> None:
    days = Days(tmp_path)
    days.seed()
    old = days.world.registry.tags[Repository("upstream.test", "one")]["1"]
    days.move("one", "newer")
    if not is_there:
        del days.world.registry.documents[Repository("upstream.test", "one")][old]
    report = days.status()
    assert (one(report).state, one(report).behind_since, report.lock) == (state, None, None)
    assert one(report, "two").state is State.FINE


def test_reads_an_index_once_and_tells_its_platforms(tmp_path: Path) -> None:
    days = Days(tmp_path)
    made = index(("linux/amd64", image([b"amd"])), ("linux/arm64", image([b"arm"], "linux/arm64")))
    store(days.world.registry, made, "upstream.test/one:1")
    subset = Subset((Platform.parse("linux/arm64"),))
    days.desired = replace(
        days.desired, images=(replace(days.desired.images[0], subset=subset), *days.desired.images[1:])
    )
    days.lock()
    days.seed()
    found = one(days.status())
    assert (found.state, found.filtered_from, list(map(str, found.platforms))) == (
        State.FINE,
        made.digest,
        ["linux/arm64"],
    )
    reads = days.world.calls.count("BatchGetImage")
    days.status()
    assert days.world.calls.count("BatchGetImage") == reads


def test_says_what_ecr_has_besides_and_whose_it_is(days: Days) -> None:
    days.world.create("two-old")
    days.world.create("foreign", ownership_tags("another"))
    store(days.world.registry, image([b"x"]), f"{HOST}/one:0.9")
    report = days.status()
    assert [(tag.repository, tag.tag) for tag in report.extra_tags] == [("one", "0.9")]
    assert report.extra_repositories == ("two-old",)
    chosen = days.status(0, "one:*")
    assert (chosen.extra_tags, chosen.extra_repositories, chosen.unseen_images) == ((), (), 2)


def test_fails_by_findings_and_lets_pass_what_is_accepted(days: Days) -> None:
    digest = days.world.stored("one")
    assert digest
    days.world.contents.scans = {d: Scan({}, START) for name in days.names if (d := days.world.stored(name))}
    days.world.contents.scans[digest] = Scan({Severity.CRITICAL: 2}, START)
    gate = Gate(fail_on=Severity.HIGH)
    assert [fault.image for fault in days.status(gate=gate).faults or ()] == ["one:1"]
    assert days.failure == "status.findings"
    accepted = {"code": "status.findings", "at": "one:*", "reason": "not reachable", "until": "2026-11-30"}
    days.desired = replace(days.desired, ignore=(IgnoreSpec.model_validate(accepted),))
    assert days.status(gate=gate).faults == ()
    assert days.failure == ""


def test_runs_terraform_only_for_drift(days: Days) -> None:
    days.world.drift = [InfraChange("a", "aws_ecr_repository", InfraAction.UPDATE, "one", "recorded")]
    assert days.status().drift is None
    assert days.status(drift=True).drift == tuple(days.world.drift)
    assert days.world.log == ["init", "refresh"]


def test_continues_the_history_of_an_earlier_report(days: Days) -> None:
    first = days.status(1)
    days.move("one", "newer")
    days.lock(2)
    later = one(days.status(3, earlier=[first]))
    assert [(span.state, span.first) for span in later.history] == [
        (State.FINE, START + timedelta(days=1)),
        (State.BEHIND, START + timedelta(days=3)),
    ]


def test_says_that_a_lock_is_missing(tmp_path: Path) -> None:
    days = Days(tmp_path, AGED)
    days.desired = replace(days.desired, needs_lock=True)
    assert [notice.code for notice in days.status().notices] == ["lock.missing"]


def test_refuses_a_pattern_that_fits_nothing(days: Days) -> None:
    with pytest.raises(UsageError):
        days.status(0, "nothing*")


def test_does_not_believe_an_entry_of_the_lock_for_another_source(days: Days) -> None:
    other = Reference.parse("upstream.test/two:1")
    days.desired = replace(
        days.desired, images=(replace(days.desired.images[0], source=other), *days.desired.images[1:])
    )
    assert one(days.status()).admitted is None


def test_tells_what_other_regions_have_of_what_is_in_ecr(days: Days) -> None:
    world = days.world
    days.desired = replace(days.desired, replicate_to=("us-east-1", "us-west-2", "ap-south-1"))
    world.rules = [ReplicationRule(("us-east-1", "us-west-2"))]
    world.replicate("us-east-1")
    world.replicate("us-west-2")
    world.replicas["us-west-2"]["one"]["1"] = Digest.of(b"older")
    del world.replicas["us-west-2"]["two"]["1"]
    world.refused_regions["ap-south-1"] = AccessDenied("aws.access_denied", "not allowed there")
    report = days.status(1, gate=Gate())
    assert report.replicas == (
        ReplicaStatus("ap-south-1", fault="not allowed there"),
        ReplicaStatus("us-east-1", len(days.names)),
        ReplicaStatus("us-west-2", len(days.names) - 2, ("one:1",), ("two:1",)),
    )
    assert [(one.code, one.image) for one in report.faults or ()] == [
        ("status.unknown", "ap-south-1"),
        ("status.not_replicated", "one:1"),
        ("status.not_replicated", "two:1"),
    ]
    assert days.failure == "status.failed"
    days.desired = replace(
        days.desired,
        ignore=(
            IgnoreSpec(code="status.not_replicated", at="two:1", reason="r", until="2030-01-01"),
            IgnoreSpec(code="status.unknown", at="ap-*", reason="r", until="2030-01-01"),
        ),
    )
    assert [one.image for one in days.status(1, gate=Gate()).faults or ()] == ["one:1"]


def test_asks_other_regions_for_nothing_that_is_not_in_ecr(tmp_path: Path) -> None:
    days = Days(tmp_path)
    days.lock()
    days.desired = replace(days.desired, replicate_to=("us-east-1",))
    assert days.status().replicas == (ReplicaStatus("us-east-1"),)
