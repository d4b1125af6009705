"""What the schedule does in AWS, from `toolkit apply` to the build that a moved image starts, and when something is wrong.

The schedule, the project, its buildspec and its role are read back from the sandbox, and nothing else is run. The build
has the rights of that role alone, which the sandbox enforces.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.alarms import ALARM, OK, UNKNOWN, evaluate
from tests.support.real_parts import require
from tests.support.received_events import ReceivedEvents
from tests.support.roles import Role
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.started import Starter
from tests.support.toolkit_run import TOOLKIT, Toolkit
from toolkit.operations.load import load_desired
from toolkit.sandbox import process
from toolkit.terraform.iam_policy import Place, apply_policy, plan_policy

REGION = "eu-west-1"
NGINX, ALPINE, REDIS = (f"docker-hub/library/{name}" for name in ("nginx:1.16", "alpine:3.20", "redis:7"))
SIGNED = "quay/prometheus/prometheus:v3.0.1"
SOURCES = {
    NGINX: "nginx:1.16",
    ALPINE: "alpine:3.20",
    REDIS: "redis:7",
    SIGNED: "quay.io/prometheus/prometheus:v3.0.1",
}
MANIFEST = """\
version: 1
name: shop
aws: {region: eu-west-1, account_id: "123456789012"}
lock: s3://base/shop.yaml
images:
  - nginx:1.16
  - alpine:3.20
  - {source: "redis:7", min_age: 3d}
  - source: quay.io/prometheus/prometheus:v3.0.1
    verify:
      key: |
        -----BEGIN PUBLIC KEY-----
        MCowBQYDK2VwAyEAbkhtHrfPkE/n9rjhHAWAveFC8eUNJH/JCaduhK0HR6I=
        -----END PUBLIC KEY-----
refresh:
  schedule: rate(1 day)
  bucket: base
  tool: {image: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/tools/base-image-toolkit:1.0"}
builds:
  - {name: web, rebuild: on_update, source: {type: S3, location: acme/web.zip}, images: ["nginx:1.16"]}
  - {name: api, rebuild: on_update, source: {type: S3, location: acme/web.zip}, images: ["alpine:3.20"]}
  - {name: docs, source: {type: S3, location: acme/web.zip}, images: ["nginx:1.16"]}
"""
FREE = {"run": None, "seconds": 3600, "moves": {}}

# One story, told by one worker: the tests follow each other, and each leaves ECR with what upstream has.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("scheduled_refresh")]


@dataclass(frozen=True)
class Fired:
    """What a build that the schedule started has left: `result` is what it put into S3, `events` the images told of."""

    succeeded: bool
    metrics: Mapping[str, Any]
    result: Mapping[str, Any]
    events: list[str]

    @property
    def error(self) -> str | None:
        return self.result.get("error", {}).get("code")


class Shop:
    """A sandbox in which the manifest was applied."""

    def __init__(self, folder: Path, sandbox: RunningSandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox
        (folder / "images.yaml").write_text(MANIFEST)
        self.admin = Toolkit(folder, sandbox.environment())
        self._s3, self._ecr = sandbox.client("s3", REGION), sandbox.client("ecr", REGION)
        self._builds = sandbox.client("codebuild", REGION)
        self._s3.create_bucket(Bucket="base", CreateBucketConfiguration={"LocationConstraint": REGION})
        desired, place = load_desired(folder / "images.yaml"), Place("123456789012", REGION)
        roles = {name: Role(sandbox, REGION, f"toolkit-{name}") for name in ("plan", "apply")}
        roles["plan"].may(plan_policy(desired, place))
        roles["apply"].may(apply_policy(desired, place))
        self.planner, self.applier = (roles[name].toolkit(folder) for name in ("plan", "apply"))
        self.admin.run("lock").expect(0)
        self.pass_days(3)
        self.admin.run("lock").expect(0)
        self.applier.run("apply", "--auto-approve").expect(0)
        self.starter = Starter(sandbox, REGION, folder / "started")
        self.received = ReceivedEvents(sandbox, REGION)
        found = sandbox.client("cloudwatch", REGION).describe_alarms()["MetricAlarms"]
        self.alarms = {one["AlarmName"].removeprefix("shop-refresh-"): one for one in found}
        self._states = dict.fromkeys(self.alarms, UNKNOWN)

    def fire(self) -> Fired:
        """Run what the schedule starts."""
        before = self.runs()
        run = self.starter.fire("shop-refresh")
        lines = [line for line in run.output.splitlines() if line.startswith('{"_aws"')]
        assert len(lines) == 1, run.output
        [new] = self.runs() - before
        assert self._object(f"shop/refresh/runs/{new}.html").startswith("<!doctype html>")
        result = json.loads(self._object(f"shop/refresh/runs/{new}.json"))
        events = [one["detail"]["image"] for one in self.received.take()]
        return Fired(run.succeeded, json.loads(lines[0]), result, events)

    def rings(self, fired: Fired) -> set[str]:
        """The alarms that are on after a run, of those that do not wait for silence."""
        for name, alarm in self.alarms.items():
            failures = None if fired.succeeded else 1
            value = failures if name == "failed" else fired.metrics.get(alarm["MetricName"])
            self._states[name] = evaluate(alarm, [value], self._states[name])
        return {name for name, state in self._states.items() if state == ALARM and name != "silent"}

    def bump(self, key: str) -> str:
        return self.sandbox.bump(SOURCES[key])

    def upstream_tag(self, key: str, tag: str = "") -> Path:
        """The file of a tag of the upstream registry, in which its digest is."""
        host, path = (
            ("upstream", "prometheus/prometheus") if key == SIGNED else ("docker-hub", f"library/{SOURCES[key]}")
        )
        folder = self.sandbox.status.folder / host / "repositories" / path.partition(":")[0]
        return folder / "_tags" / (tag or key.rpartition(":")[2])

    def made_of(self, key: str) -> str:
        """The upstream digest of what ECR has."""
        repository, _, tag = key.rpartition(":")
        [found] = self._ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": tag}])["images"]
        notes = json.loads(found["imageManifest"])["annotations"]
        return str(notes["io.base-image-toolkit.source.digest"])

    def entry(self, key: str) -> str:
        """What the lock says of a tag, as text."""
        text = self._object("shop.yaml")
        return re.split(r"\n  (?=\S)", text[text.index(f"\n  {key}:") + 1 :], maxsplit=1)[0]

    @property
    def lease(self) -> dict[str, Any]:
        return dict(json.loads(self._object("shop/refresh/lease.json")))

    def end_lease(self) -> None:
        """Wait until the lease of a run that was killed has ended, in less time."""
        self._put("shop/refresh/lease.json", json.dumps(self.lease | {"seconds": -1}))

    def pass_days(self, days: int) -> None:
        """Make everything that the lock knows so much older."""

        def earlier(found: re.Match[str]) -> str:
            return (datetime.fromisoformat(found[0]) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")

        self._put("shop.yaml", re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", earlier, self._object("shop.yaml")))

    def runs(self) -> set[str]:
        found = self._s3.list_objects_v2(Bucket="base", Prefix="shop/refresh/runs/")
        return {Path(one["Key"]).stem for one in found.get("Contents", ())}

    def started(self) -> dict[str, int]:
        """How often each build was started."""
        return {
            name: len(self._builds.list_builds_for_project(projectName=f"shop-{name}")["ids"])
            for name in ("web", "api", "docs")
        }

    def slowed(self) -> tuple[Starter, Path]:
        """A starter of builds behind a slow network, and the file with the process of the last one."""
        program, file = self.folder / "slow" / "toolkit", self.folder / "slow" / "pid"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho $$ > {file}\nexec {TOOLKIT} "$@" --limit-rate 256K --jobs 1\n')
        program.chmod(0o755)
        return Starter(self.sandbox, REGION, self.folder / "started", program.parent), file

    def _object(self, key: str) -> str:
        return str(self._s3.get_object(Bucket="base", Key=key)["Body"].read().decode())

    def _put(self, key: str, text: str) -> None:
        self._s3.put_object(Bucket="base", Key=key, Body=text.encode())


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    require("terraform")
    folder = tmp_path_factory.mktemp("shop")
    with running_sandbox(folder / "sandbox", list(SOURCES.values()), upstream_limit=1000) as sandbox:
        yield Shop(folder, sandbox)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.05)


def test_moves_nothing_while_upstream_does_not(shop: Shop) -> None:
    quiet = shop.fire()
    assert (quiet.succeeded, quiet.error, quiet.events) == (True, None, [])
    assert quiet.metrics.items() >= {"Refreshed": 1, "Failed": 0, "ImagesMoved": 0, "ImagesBehind": 0}.items()
    assert (shop.rings(quiet), shop.started(), shop.lease) == (set(), {"web": 0, "api": 0, "docs": 0}, FREE)
    # Each alarm looks at what a run says.
    for alarm in (one for one in shop.alarms.values() if one["Namespace"] == "BaseImageToolkit"):
        assert {one["Name"]: one["Value"] for one in alarm["Dimensions"]} == {"Manifest": quiet.metrics["Manifest"]}
        assert alarm["MetricName"] in quiet.metrics
    silent = shop.alarms["silent"]
    assert evaluate(silent, [quiet.metrics["Refreshed"], *[None] * 47]) == OK
    assert evaluate(silent, [quiet.metrics["Refreshed"], *[None] * 50]) == ALARM


def test_a_tag_that_moves_upstream_starts_the_build_that_uses_it(shop: Shop) -> None:
    upstream = shop.bump(NGINX)
    shop.admin.run("lock").expect(0)
    beforehand = shop.planner.run("plan", "--detailed-exitcode").expect(2).stdout
    assert "moving `docker-hub/library/nginx:1.16` rebuilds `web` [image.rebuilds]" in " ".join(beforehand.split())
    moved = shop.fire()
    assert (moved.succeeded, moved.metrics["ImagesMoved"], moved.events) == (True, 1, [NGINX])
    assert (shop.made_of(NGINX), shop.started()) == (upstream, {"web": 1, "api": 0, "docs": 0})
    assert shop.starter.projects_for(moved_event(NGINX)) == ["shop-web"]
    shop.planner.run("plan", "--detailed-exitcode").expect(0)


def moved_event(image: str) -> dict[str, Any]:
    detail = {"manifest": "shop", "image": image}
    return {"source": "base-image-toolkit", "detail-type": "base image moved", "detail": detail}


def test_a_young_digest_waits_and_is_copied_when_it_is_old_enough(shop: Shop) -> None:
    before, upstream = shop.made_of(REDIS), shop.bump(REDIS)
    for days in (0, 2):
        shop.pass_days(days)
        young = shop.fire()
        assert (young.succeeded, young.error, young.events) == (True, None, [])
        assert (young.metrics["ImagesMoved"], young.metrics["ImagesBehind"]) == (0, 1)
        assert round(young.metrics["DaysBehind"], 1) == days
        assert (shop.made_of(REDIS), shop.rings(young)) == (before, set())
        assert re.search(rf"admitted:\s+digest: {before}.*candidates:\s+- digest: {upstream}", shop.entry(REDIS), re.S)
    shop.pass_days(1)
    old = shop.fire()
    assert (old.metrics["ImagesMoved"], old.metrics["ImagesBehind"], old.events) == (1, 0, [REDIS])
    assert shop.made_of(REDIS) == upstream
    assert re.search(rf"admitted:\s+digest: {upstream}", shop.entry(REDIS))


def test_a_bad_signature_moves_nothing_and_fails_the_build(shop: Shop) -> None:
    before, upstream = shop.made_of(SIGNED), shop.bump(SIGNED)
    signature = shop.upstream_tag(SIGNED, f"{upstream.replace(':', '-')}.sig")
    good = signature.read_text()
    signature.write_text(shop.upstream_tag(SIGNED, f"{before.replace(':', '-')}.sig").read_text())
    moving = shop.bump(NGINX)
    refused = shop.fire()
    assert (refused.succeeded, refused.error, refused.events) == (False, "refresh.unverified", [NGINX])
    assert refused.metrics.items() >= {"Refreshed": 1, "Failed": 1, "ImagesMoved": 1, "ImagesBehind": 1}.items()
    assert refused.result["refresh"]["unverified"] == [SIGNED]
    [line] = [one for one in refused.result["lock"]["images"] if one["key"] == SIGNED]
    assert "its signature is for another image" in line["reasons"][0]
    assert (shop.made_of(SIGNED), shop.made_of(NGINX), shop.rings(refused)) == (before, moving, {"failed"})
    assert re.search(rf"admitted:\s+digest: {before}.*candidates:\s+- digest: {upstream}", shop.entry(SIGNED), re.S)

    shop.pass_days(8)
    assert shop.rings(shop.fire()) == {"failed", "behind"}
    signature.write_text(good)
    signed = shop.fire()
    assert (signed.succeeded, signed.events, shop.made_of(SIGNED)) == (True, [SIGNED], upstream)
    assert shop.rings(signed) == set()


def test_a_tag_that_vanished_is_kept_and_told_of(shop: Shop) -> None:
    before, file = shop.made_of(ALPINE), shop.upstream_tag(ALPINE)
    tag = file.read_text()
    file.unlink()
    gone = shop.fire()
    assert (gone.succeeded, gone.error, gone.events) == (True, None, [])
    assert gone.metrics.items() >= {"GoneUpstream": 1, "ImagesMoved": 0, "ImagesBehind": 0}.items()
    assert (shop.made_of(ALPINE), shop.rings(gone)) == (before, {"gone"})
    assert re.search(r"\n    gone: \S+Z", shop.entry(ALPINE))
    file.write_text(tag)
    back = shop.fire()
    assert (back.metrics["GoneUpstream"], back.events, shop.rings(back)) == (0, [], set())
    assert "gone:" not in shop.entry(ALPINE)


def test_a_pull_limit_leaves_the_rest_to_the_next_run(shop: Shop) -> None:
    upstream = {key: shop.bump(key) for key in (NGINX, ALPINE)}
    before = shop.made_of(ALPINE)
    process.up(shop.sandbox.status.folder, upstream_limit=shop.sandbox.pulls()["used"] + 3)
    first = shop.fire()
    assert (first.succeeded, first.error, first.events) == (False, "budget.left_for_next_run", [NGINX])
    assert first.metrics.items() >= {"Refreshed": 1, "Failed": 1, "ImagesMoved": 1, "ImagesBehind": 1}.items()
    assert first.metrics["PullsLeft"] == shop.sandbox.pulls()["left"] < 3
    assert (shop.made_of(NGINX), shop.made_of(ALPINE)) == (upstream[NGINX], before)
    assert shop.rings(first) == {"failed", "pulls"}
    # It is admitted, so the next run does not have to wait.
    assert re.search(rf"admitted:\s+digest: {upstream[ALPINE]}", shop.entry(ALPINE))
    process.up(shop.sandbox.status.folder, upstream_limit=1000)
    second = shop.fire()
    assert (second.succeeded, second.events, shop.made_of(ALPINE)) == (True, [ALPINE], upstream[ALPINE])
    assert shop.rings(second) == set()


def test_of_two_at_once_one_does_it_and_the_other_ends_at_the_lease(shop: Shop) -> None:
    starter, pid = shop.slowed()
    upstream, before, runs = shop.bump(NGINX), shop.started(), shop.runs()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(starter.fire, "shop-refresh")
        wait_for(lambda: bool(shop.lease["moves"]))
        process_of_first = int(pid.read_text())
        os.kill(process_of_first, signal.SIGSTOP)  # it has the lease for as long as the other runs
        second = shop.starter.fire("shop-refresh")
        os.kill(process_of_first, signal.SIGCONT)
    assert (first.result().succeeded, second.succeeded) == (True, False)
    assert "refresh.under_way" in second.output
    [line] = [line for line in second.output.splitlines() if line.startswith('{"_aws"')]
    refused = json.loads(line)
    assert refused.items() >= {"Refreshed": 0, "Failed": 1, "ImagesMoved": 0}.items()
    assert not refused.keys() & {"ImagesBehind", "DaysBehind", "GoneUpstream", "PullsLeft"}
    assert [one["detail"]["image"] for one in shop.received.take()] == [NGINX]
    assert shop.started() == {**before, "web": before["web"] + 1}
    assert (shop.made_of(NGINX), shop.lease, len(shop.runs() - runs)) == (upstream, FREE, 2)


def test_one_that_is_killed_half_way_is_finished_and_told_by_a_later_one(shop: Shop) -> None:
    starter, pid = shop.slowed()
    upstream = {key: shop.bump(key) for key in (NGINX, ALPINE)}
    before, runs = shop.started(), shop.runs()
    with ThreadPoolExecutor() as pool:
        killed = pool.submit(starter.fire, "shop-refresh")
        wait_for(lambda: any(shop.made_of(key) == digest for key, digest in upstream.items()))
        os.kill(int(pid.read_text()), signal.SIGKILL)
    assert not killed.result().succeeded
    assert '{"_aws"' not in killed.result().output
    assert sum(shop.made_of(key) == digest for key, digest in upstream.items()) == 1, "it is half way"
    assert (shop.received.take(), shop.runs() - runs, shop.started()) == ([], set(), before)
    assert shop.lease["moves"].keys() == upstream.keys()

    early = shop.fire()
    assert (early.succeeded, early.error, early.events) == (False, "refresh.under_way", [])
    assert shop.rings(early) == {"failed"}
    shop.end_lease()
    done = shop.fire()
    assert (done.succeeded, done.metrics["ImagesMoved"], sorted(done.events)) == (True, 2, sorted(upstream))
    assert {key: shop.made_of(key) for key in upstream} == upstream
    assert (shop.lease, shop.rings(done)) == (FREE, set())
    assert shop.started() == {**before, "web": before["web"] + 1, "api": before["api"] + 1}
    assert shop.fire().events == []


def test_what_leaves_the_manifest_goes_also_after_the_state_was_lost(shop: Shop) -> None:
    shutil.rmtree(shop.folder / ".toolkit")
    shop.applier.run("apply", "--auto-approve").expect(0)
    shop.planner.run("plan", "--detailed-exitcode").expect(0)
    # With the rights of the manifest that has it no more.
    (shop.folder / "images.yaml").write_text(MANIFEST.replace("rebuild: on_update, ", ""))
    shop.applier.run("apply", "--auto-approve").expect(0)
    assert [one["Name"] for one in shop.sandbox.client("events", REGION).list_rules()["Rules"]] == ["moved"]
