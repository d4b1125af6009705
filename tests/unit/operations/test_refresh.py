"""What `toolkit refresh` admits, copies and tells, and what is left when it is stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.fake_refresh import FakeShared
from tests.support.fake_services import HOST, Signatures, World
from tests.support.fake_services import desired as listing
from tests.support.made_images import image, store
from tests.support.memory_registry import Call, Fault
from toolkit.cli.render.plan_markdown import render_plan_markdown
from toolkit.cli.render.plan_view import render_plan
from toolkit.errors import Refused, SeedingIncomplete
from toolkit.lock.model import Freshness, Hold, Policy, Verification
from toolkit.manifest.loader import loads
from toolkit.oci.digest import Digest
from toolkit.oci.errors import ConnectionFailed
from toolkit.oci.reference import Repository
from toolkit.operations.apply import apply
from toolkit.operations.bundle import applied_manifest, put_bundle, refuse_other_manifest
from toolkit.operations.refresh import refresh
from toolkit.plan.desired import Desired
from toolkit.plan.model import Plan
from toolkit.plan.observed import Account
from toolkit.plan.resolve import resolve
from toolkit.report import RefreshReport, Report, SeedStatus

REFRESHING = """\
version: 1
name: shop
aws: {region: eu-west-1}
lock: s3://base/images.lock.yaml
refresh: {schedule: rate(1 day), bucket: base, tool: {image: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/t:1"}}
images: [nginx:1.27]
"""
TWO_DAYS = Policy(min_age=timedelta(days=2))


class Mirror:
    """A world in which the repositories exist, and its refreshes."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder, ("one", "two"))
        for name in self.world.names:
            self.world.create(name)
        self.shared = FakeShared(lambda: self.world.now)
        self.world.services = replace(self.world.services, refresh=self.shared.services)
        self.reports: list[Report] = []

    def show_plan(self, plan: Plan) -> None:
        """Nobody looks at it."""

    def show_report(self, report: Report) -> None:
        self.reports.append(report)

    def run(self, desired: Desired | None = None, *, code: str | None = None, days: float = 1) -> RefreshReport:
        """A refresh `days` after the last one."""
        self.world.now += timedelta(days=days)
        found: list[RefreshReport] = []
        arguments = {
            "run": f"run-{self.world.now:%d%H%M}",
            "show_lock": lambda _: None,
            "show_plan": self.show_plan,
            "show_report": self.show_report,
            "publish": found.append,
        }
        if code is None:
            refresh(desired or wanted(), self.world.services, **arguments)  # type: ignore[arg-type]
        else:
            with pytest.raises((Refused, SeedingIncomplete)) as caught:
                refresh(desired or wanted(), self.world.services, **arguments)  # type: ignore[arg-type]
            assert caught.value.code == code
        return found[0]

    def move(self, name: str, content: str) -> Digest:
        made = image([content.encode()])
        store(self.world.registry, made, f"upstream.test/{name}:1")
        return made.digest

    def stored(self, name: str) -> str:
        return str(self.world.stored(name))

    @property
    def lease(self) -> dict[str, object]:
        return dict(json.loads(self.shared.lease.texts[-1]))


def wanted(policy: Policy = Policy()) -> Desired:  # noqa: B008  it is frozen
    made = listing("one", "two")
    return replace(made, images=tuple(replace(image, policy=policy) for image in made.images))


def refreshing(text: str) -> Desired:
    """A manifest of that text with a schedule."""
    made = resolve(loads(REFRESHING, "images.yaml"))
    return replace(wanted(), refresh=made.refresh, text=text)


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    return Mirror(tmp_path)


def test_tells_of_each_tag_that_moved_with_both_digests_and_of_no_new_one(mirror: Mirror) -> None:
    mirror.run()
    assert mirror.shared.bus.sent == []
    before = mirror.stored("one")
    mirror.move("one", "newer")
    report = mirror.run()
    assert mirror.shared.bus.sent == [
        (
            "base image moved",
            {
                "manifest": "shop",
                "image": "one:1",
                "repository": "one",
                "tag": "1",
                "old_digest": before,
                "new_digest": mirror.stored("one"),
                "registry": HOST,
            },
        )
    ]
    assert [(move.key, move.error) for move in report.moves] == [("one:1", None)]


def test_pulls_nothing_and_writes_only_the_lease_when_nothing_moved(mirror: Mirror) -> None:
    mirror.run()
    pulls, writes = mirror.world.registry.count("get_manifest"), len(mirror.shared.lease.texts)
    mirror.run()
    assert mirror.world.registry.count("get_manifest") == pulls
    assert len(mirror.shared.lease.texts) == writes + 2, "taken and released"
    assert mirror.lease == {"run": None, "seconds": 3600, "moves": {}}


def test_waits_for_a_young_digest_and_says_for_how_long_the_tag_is_behind(mirror: Mirror) -> None:
    mirror.run(wanted(TWO_DAYS))
    mirror.run(wanted(TWO_DAYS), days=2)
    mirror.move("one", "newer")
    seen = mirror.run(wanted(TWO_DAYS))
    assert [(one.key, seen.days_behind) for one in seen.behind or ()] == [("one:1", 0)]
    assert mirror.run(wanted(TWO_DAYS), days=1.5).days_behind == 1.5
    assert mirror.shared.bus.sent == []
    done = mirror.run(wanted(TWO_DAYS), days=0.5)
    assert (done.behind, done.days_behind, len(mirror.shared.bus.sent)) == ((), 0, 1)


@pytest.mark.parametrize(
    "policy",
    [
        Policy(Freshness.PIN),
        Policy(Freshness.ONCE),
        Policy(suspend=Hold("a bad release")),
    ],
    ids=["pin", "once", "suspended"],
)
def test_calls_no_tag_behind_that_is_to_stay(mirror: Mirror, policy: Policy) -> None:
    mirror.run()
    mirror.move("one", "newer")
    assert mirror.run(wanted(policy)).behind == ()


def failing(operation: str, host: str) -> Callable[[Call], Fault | None]:
    def faults(call: Call) -> Fault | None:
        is_asked = call.operation == operation and call.repository == Repository(host, "one")
        return ConnectionFailed(f"`{host}` does not respond", host=host) if is_asked else None

    return faults


def test_counts_a_tag_behind_from_the_first_digest_that_could_not_be_copied(mirror: Mirror) -> None:
    mirror.run()
    mirror.world.registry.faults = failing("put_manifest", HOST)
    for day in range(3):
        mirror.move("one", f"day {day}")
        report = mirror.run(code="seed.incomplete")
    assert (report.days_behind, mirror.shared.bus.sent, mirror.lease["moves"]) == (2, [], {})


def test_keeps_a_tag_that_is_gone_upstream_and_says_so(mirror: Mirror) -> None:
    mirror.run()
    del mirror.world.registry.tags[Repository("upstream.test", "one")]["1"]
    before = mirror.stored("one")
    report = mirror.run()
    assert (report.gone, report.unreached, mirror.stored("one")) == (("one:1",), (), before)


def test_is_incomplete_when_an_upstream_cannot_be_asked_and_does_the_rest(mirror: Mirror) -> None:
    mirror.run()
    mirror.world.registry.faults = failing("head_manifest", "upstream.test")
    mirror.move("two", "newer")
    report = mirror.run(code="refresh.unreached")
    assert (report.unreached, [move.key for move in report.moves]) == (("one:1",), ["two:1"])


def test_is_incomplete_when_a_digest_is_not_verified_and_does_the_rest(mirror: Mirror) -> None:
    signed = wanted(Policy(verify=Verification("the key")))
    verifier = Signatures()
    mirror.world.services = replace(mirror.world.services, verifier=verifier)
    mirror.run(signed)
    before = mirror.stored("one")
    verifier.faults = {mirror.move("one", "newer one"): "its signature was made with another key"}
    mirror.move("two", "newer two")
    report = mirror.run(signed, code="refresh.unverified")
    assert (report.unverified, [move.key for move in report.moves]) == (("one:1",), ["two:1"])
    assert ([one.key for one in report.behind or ()], mirror.stored("one")) == (["one:1"], before)
    verifier.faults = {}
    assert [move.key for move in mirror.run(signed).moves] == ["one:1"]


def test_leaves_what_the_pulls_do_not_suffice_for_to_the_next_run(mirror: Mirror) -> None:
    mirror.world.registry.pulls_left["upstream.test"] = 10
    mirror.run()
    for name in ("one", "two"):
        mirror.move(name, f"newer {name}")
    mirror.world.registry.pulls_left["upstream.test"] = 1
    report = mirror.run(code="budget.left_for_next_run")
    assert (len(report.moves), report.pulls_left) == (1, 0)
    mirror.world.registry.pulls_left["upstream.test"] = 10
    mirror.run()
    assert [key for key, _, _ in mirror.shared.bus.moves] == ["one:1", "two:1"]


def test_sends_an_event_again_that_was_not_taken_and_copies_nothing_again(mirror: Mirror) -> None:
    mirror.run()
    first = mirror.stored("one")
    for name in ("one", "two"):
        mirror.move(name, f"newer {name}")
    mirror.shared.bus.refuses["one:1"] = "too much (ThrottlingException)"
    report = mirror.run(code="refresh.untold")
    assert [(move.key, move.error is None) for move in report.moves] == [("one:1", False), ("two:1", True)]
    assert mirror.lease["moves"] == {"one:1": first}
    assert {one.status for one in mirror.reports[-1].outcomes} == {SeedStatus.COPIED}, "the copies stand"
    pulls = mirror.world.registry.count("get_manifest")
    mirror.run()
    assert [key for key, _, _ in mirror.shared.bus.moves] == ["two:1", "one:1"]
    assert (mirror.world.registry.count("get_manifest"), mirror.lease["moves"]) == (pulls, {})


def test_tells_once_of_a_tag_that_moved_twice_before_anybody_was_told(mirror: Mirror) -> None:
    mirror.run()
    first = mirror.stored("one")
    mirror.move("one", "second")
    mirror.shared.bus.refuses["one:1"] = "no"
    mirror.run(code="refresh.untold")
    mirror.move("one", "third")
    mirror.move("two", "second of two")
    mirror.run()
    told = {key: (old, new) for key, old, new in mirror.shared.bus.moves}
    assert (len(mirror.shared.bus.moves), told["one:1"]) == (2, (first, mirror.stored("one")))


def test_refuses_while_another_refresh_has_the_lease_and_touches_nothing(mirror: Mirror) -> None:
    mirror.run()
    mirror.move("one", "newer")
    mirror.shared.lease.put(json.dumps({"run": "other", "seconds": 3600, "moves": {}}))
    before = list(mirror.shared.lease.texts), mirror.world.services.lock.read(), mirror.stored("one")
    report = mirror.run(code="refresh.under_way", days=1 / 24)
    assert (report.moves, report.behind) == ((), None)
    assert (mirror.shared.lease.texts, mirror.world.services.lock.read(), mirror.stored("one")) == before
    mirror.run(days=1 / 86400)
    assert len(mirror.shared.bus.sent) == 1


def test_judges_a_lease_by_the_clock_of_where_it_is_kept_alone(mirror: Mirror) -> None:
    mirror.shared.ahead = timedelta(days=-300)
    mirror.run()
    mirror.shared.lease.put(json.dumps({"run": "other", "seconds": 3600, "moves": {}}))
    mirror.run(code="refresh.under_way", days=0.5 / 24)
    mirror.run(days=0.6 / 24)


def test_gives_way_to_the_one_that_was_quicker_to_take_the_lease(mirror: Mirror) -> None:
    read = mirror.shared.lease.read
    mirror.shared.lease.read = lambda: (read(), mirror.shared.lease.put("{}"))[0]  # type: ignore[method-assign]
    mirror.run(code="refresh.under_way")


class Killed(BaseException):
    """The process is gone: nothing that it would still do is done."""


def test_converges_and_tells_of_every_move_wherever_it_was_killed(tmp_path: Path) -> None:
    number, ends = 0, False
    while not ends:
        folder = tmp_path / str(number)
        folder.mkdir()
        mirror = Mirror(folder)
        mirror.run()
        old = {name: mirror.stored(name) for name in ("one", "two")}
        mirror.move("one", "newer")
        left = [number]
        for owner, name in (
            (mirror.shared.lease, "read"),
            (mirror.shared.lease, "write"),
            (mirror.shared.bus, "send"),
            (mirror.world.services.ecr, "images"),
            (mirror, "show_plan"),
            (mirror, "show_report"),
        ):
            kill(owner, name, left)
        try:
            mirror.run()
            ends = True
        except Killed:
            left[0] = 10**6
            mirror.run()
        assert set(mirror.shared.bus.moves) == {("one:1", old["one"], mirror.stored("one"))}, number
        assert mirror.stored("one") == str(mirror.world.registry.tags[Repository("upstream.test", "one")]["1"])
        assert mirror.lease == {"run": None, "seconds": 3600, "moves": {}}
        number += 1
    assert number > 8


def kill(owner: object, name: str, left: list[int]) -> None:
    """From when `left` calls were made on, every call of the method dies, before or (once) after it has worked."""
    work = getattr(owner, name)

    def call(*arguments: object) -> object:
        left[0] -= 1
        if left[0] < -1:
            raise Killed
        done = work(*arguments)
        if left[0] == -1:
            raise Killed
        return done

    setattr(owner, name, call)


@pytest.mark.parametrize("is_asleep", [False, True])
def test_ends_by_itself_before_its_lease_does_and_tells_of_what_it_has_moved(mirror: Mirror, is_asleep: bool) -> None:
    mirror.run()
    mirror.move("one", "newer")

    def alarm(report: Report) -> None:
        if is_asleep:
            mirror.world.now += timedelta(minutes=56)
        else:
            mirror.world.time.sleep(55 * 60)
        raise KeyboardInterrupt

    mirror.show_report = alarm  # type: ignore[method-assign]
    report = mirror.run(code="refresh.out_of_time")
    assert ([move.key for move in report.moves], mirror.lease["run"]) == (["one:1"], None)


def applying(mirror: Mirror, desired: Desired) -> Plan:
    """Apply, and return the plan that was reviewed."""
    plans: list[Plan] = []
    apply(
        desired,
        mirror.world.services,
        review=plans.append,
        confirm=lambda _: True,
        publish=lambda _: None,
        adopt=("*",),
    )
    return plans[0]


def test_takes_the_manifest_that_apply_has_put_there_and_no_other(mirror: Mirror) -> None:
    applied = refreshing(text="name: shop")
    bundle = mirror.shared.bundle
    with pytest.raises(Refused) as caught:
        applied_manifest(bundle)
    assert caught.value.code == "refresh.not_applied"
    applying(mirror, applied)
    assert applied_manifest(bundle) == "name: shop"
    refuse_other_manifest(applied, bundle)
    with pytest.raises(Refused) as caught:
        refuse_other_manifest(replace(applied, text="name: shop  # changed"), bundle)
    assert caught.value.code == "refresh.other_manifest"


def test_plans_that_refreshes_go_by_another_manifest_until_it_is_there(mirror: Mirror) -> None:
    first, second = refreshing(text="min_age: 3d"), refreshing(text="min_age: 0d")
    applying(mirror, first)
    done, changed = applying(mirror, first), applying(mirror, second)
    assert (done.puts_manifest, done.has_changes) == ("", False)
    assert (changed.puts_manifest, changed.has_changes) == (mirror.shared.bundle.name, True)
    assert (changed.infra_changes, changed.pending_seeds) == ((), ())
    assert applied_manifest(mirror.shared.bundle) == "min_age: 0d"
    assert "; refreshes get another manifest." in render_plan(changed).splitlines()[0]
    assert "Gives refreshes this manifest; nothing is destroyed." in render_plan_markdown(changed)
    assert "refreshes" not in render_plan(done)


@pytest.mark.parametrize(
    ("name", "account"),
    [
        ("other", Account("123456789012", "eu-west-1", HOST)),
        ("shop", Account("123456789012", "us-east-1", HOST)),
        ("shop", Account("210987654321", "eu-west-1", HOST)),
    ],
)
def test_leaves_the_folder_of_another_manifest_alone(mirror: Mirror, name: str, account: Account) -> None:
    put_bundle(replace(refreshing(text="theirs"), name=name), account, mirror.shared.bundle)
    with pytest.raises(Refused) as caught:
        applying(mirror, refreshing(text="ours"))
    assert caught.value.code == "refresh.other_bundle"
    assert applied_manifest(mirror.shared.bundle) == "theirs"
    assert "apply" not in mirror.world.log


DAMAGED = [
    ("{", "refresh.bundle_damaged"),
    ("[]", "refresh.bundle_damaged"),
    ("[" * 100_000, "refresh.bundle_damaged"),
    ('{"schema_version": 1}', "refresh.bundle_damaged"),
    ('{"schema_version": 1, "of": "o", "manifest": "a", "sha256": "b"}', "refresh.bundle_damaged"),
    ('{"schema_version": 2, "of": "o", "manifest": "a", "sha256": "b"}', "refresh.newer_bundle"),
    ('{"version": 4, "terraform_version": "1.11.0", "serial": 1}', "refresh.bundle_damaged"),
]


@pytest.mark.parametrize(("text", "code"), DAMAGED)
def test_refuses_a_bundle_that_apply_has_not_written_and_leaves_it(mirror: Mirror, text: str, code: str) -> None:
    mirror.shared.bundle.put(text)
    with pytest.raises(Refused) as caught:
        applied_manifest(mirror.shared.bundle)
    assert caught.value.code == code
    with pytest.raises(Refused) as caught:
        applying(mirror, refreshing(text="ours"))
    assert (caught.value.code, mirror.shared.bundle.texts) == (code, [text])


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[]", "{}", "[" * 100_000, '{"run": 1, "moves": [], "seconds": 1}', '{"run": 1, "moves": {}}'),
        '{"run": null, "moves": {}, "seconds": 1e300}',
        '{"run": null, "moves": {}, "seconds": NaN}',
        '{"run": null, "moves": {"one:1": "latest"}, "seconds": 3600}',
        '{"run": null, "moves": {"one:1": 1}, "seconds": 3600}',
    ],
)
def test_refuses_a_lease_that_no_refresh_has_written(mirror: Mirror, text: str) -> None:
    mirror.shared.lease.put(text)
    mirror.run(code="refresh.lease_damaged")
