"""What refreshes, from a manifest's text to the sandbox's AWS, by the real Terraform and AWS provider.

Everything is read back from there: the alarms, which are then evaluated, the rules, which are matched against events,
and what the schedule would start, which is run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.alarms import ALARM, OK, evaluate
from tests.support.real_parts import missing, require
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.started import Starter
from toolkit.aws.existing import ExistingService
from toolkit.aws.session import AwsSession
from toolkit.errors import TerraformFailed
from toolkit.manifest.loader import loads
from toolkit.plan.desired import Desired, ownership_tags
from toolkit.plan.model import InfraAction
from toolkit.plan.resolve import resolve
from toolkit.terraform.iam_policy import ALARMS
from toolkit.terraform.provider_mirror import find
from toolkit.terraform.refresh_values import rule_names
from toolkit.terraform.root_module import Adoption, alarm_address, render, rule_address
from toolkit.terraform.runner import PlanFile, TerraformRunner
from toolkit.terraform.work_dir import write

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("refresh_on_aws")]

REGION = "eu-west-1"
ACCOUNT = "123456789012"
IMAGE = f'image: "{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/tools/toolkit:1.0"'
NGINX, PYTHON = "docker-hub/library/nginx:1.16", "docker-hub/library/python:3.12"

MANIFEST = f"""\
version: 1
name: acme
aws: {{region: {REGION}, resource_tags: {{team: platform}}}}
lock: s3://acme-base/images.lock.yaml
images: [nginx:1.16, python:3.12]
"""
REFRESH = """\
refresh:
  schedule: cron(0 4 * * ? *)
  time_zone: Asia/Tokyo
  bucket: acme-base
  tool: {%s}
builds:
  - {name: web, rebuild: on_update, source: {type: S3, location: acme/web.zip}, images: ["nginx:1.16"]}
  - {name: shop, rebuild: on_update, source: {type: S3, location: acme/web.zip}, images: ["nginx:1.16", "python:3.12"]}
  - {name: docs, source: {type: S3, location: acme/web.zip}, images: ["nginx:1.16"]}
"""

EVENT = {
    "version": "0",
    "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
    "detail-type": "base image moved",
    "source": "base-image-toolkit",
    "account": ACCOUNT,
    "time": "2026-11-30T04:00:12Z",
    "region": REGION,
    "resources": [],
    "detail": {
        "manifest": "acme",
        "image": NGINX,
        "repository": "docker-hub/library/nginx",
        "tag": "1.16",
        "old_digest": f"sha256:{'a' * 64}",
        "new_digest": f"sha256:{'b' * 64}",
        "registry": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com",
    },
}
"""An event as EventBridge delivers it."""


@dataclass(frozen=True)
class World:
    """A sandbox in which the manifest was applied by Terraform in `folder`."""

    aws: RunningSandbox
    terraform: TerraformRunner
    folder: Path

    def plan(self, manifest: str) -> PlanFile:
        work_dir = write(render(_desired(manifest)), self.folder)
        try:
            self.terraform.init(work_dir)
        except TerraformFailed as error:
            if error.code == "terraform.registry_unreachable":
                missing("the AWS provider cannot be had: name a mirror in TOOLKIT_PROVIDER_MIRROR")
            raise
        return self.terraform.plan(work_dir)

    def apply(self, manifest: str) -> None:
        self.terraform.apply(self.plan(manifest))


def _desired(manifest: str) -> Desired:
    return resolve(loads(manifest, "images.yaml"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    require("terraform")
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as aws:
        terraform = TerraformRunner(
            "terraform",
            lambda event: None,
            find_mirror=lambda: find(os.environ, Path.home()),
            environment=aws.environment(),
        )
        made = World(aws, terraform, tmp_path_factory.mktemp("terraform"))
        made.apply(MANIFEST + REFRESH % IMAGE)
        yield made


@pytest.fixture(scope="module")
def alarms(world: World) -> dict[str, dict[str, Any]]:
    """The alarms by the last part of their names."""
    found = world.aws.client("cloudwatch", REGION).describe_alarms()["MetricAlarms"]
    return {alarm["AlarmName"].removeprefix("acme-refresh-"): alarm for alarm in found}


def test_the_second_plan_is_empty(world: World) -> None:
    assert not world.plan(MANIFEST + REFRESH % IMAGE).changes


def test_what_aws_would_overwrite_is_known_as_ours_and_taken_back_unchanged(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in world.aws.environment().items():
        monkeypatch.setenv(name, value)
    desired = _desired(MANIFEST + REFRESH % IMAGE)
    existing = ExistingService(AwsSession(REGION))
    rules, alarms = rule_names(desired), {kind: f"acme-refresh-{kind}" for kind in ALARMS}
    owner = ownership_tags("acme").items()
    for found in (*map(existing.rule, rules.values()), *map(existing.alarm, alarms.values())):
        assert found and owner <= found.resource_tags.items()
    assert (existing.rule("acme-rebuild-no"), existing.alarm("acme-refresh-no")) == (None, None)
    adopt = [Adoption(rule_address(key), name) for key, name in rules.items()]
    adopt += [Adoption(alarm_address(kind), name) for kind, name in alarms.items()]
    work_dir = write(render(desired, adopt=adopt), tmp_path)
    world.terraform.init(work_dir)
    plan = world.terraform.detail(world.terraform.plan(work_dir))
    changes = [change for change in plan.changes if change.is_imported]
    assert {change.address for change in changes} == {one.address for one in adopt}
    # Of the topic, which is not in this state, the plan does not know the ARN.
    assert {one.path for change in changes for one in change.changes} == {"alarm_actions", "ok_actions"}


def test_a_schedule_keeps_what_it_could_not_start(world: World) -> None:
    schedule = world.aws.client("scheduler", REGION).get_schedule(Name="acme-refresh")
    assert (schedule["ScheduleExpression"], schedule["ScheduleExpressionTimezone"]) == (
        "cron(0 4 * * ? *)",
        "Asia/Tokyo",
    )
    assert schedule["Target"]["DeadLetterConfig"] == {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:acme-refresh"}
    assert schedule["Target"]["RetryPolicy"] == {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 10}


HOURS = st.lists(st.sampled_from([None, 0.0, 1.0]), max_size=120)
"""What a metric has in each hour."""


@given(HOURS, st.integers(0, 12), st.sampled_from([OK, ALARM]))
def test_silence_is_told_and_success_ends_it(
    alarms: dict[str, Any], hours: list[float | None], further: int, state: str
) -> None:
    silent = alarms["silent"]
    periods = silent["EvaluationPeriods"]
    now = evaluate(silent, hours, state, further=further)
    if 1.0 in hours[-periods:]:
        assert now == OK
    if 1.0 not in hours[-(periods + further) :]:
        assert now == ALARM


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [("behind", 6.9, 7.0), ("gone", 0.0, 1.0), ("pulls", 20.0, 19.0)],
)
@given(hours=st.lists(st.sampled_from([None, True, False]), min_size=1, max_size=60), further=st.integers(0, 12))
def test_an_alarm_stays_as_the_last_refresh_left_it(
    alarms: dict[str, Any], name: str, good: float, bad: float, hours: list[bool | None], further: int
) -> None:
    data = [None if hour is None else good if hour else bad for hour in hours]
    state = "as made"
    for number in range(1, len(data) + 1):
        state = evaluate(alarms[name], data[:number], state, further=further)
    last = next((hour for hour in reversed(hours) if hour is not None), None)
    assert state == ("as made" if last is None else OK if last else ALARM)


@pytest.mark.parametrize(("failures", "state"), [((None,) * 5, OK), ((None, 1.0), ALARM), ((1.0, 0.0), OK)])
def test_a_failure_is_told_until_a_build_succeeds(
    alarms: dict[str, Any], failures: tuple[float | None, ...], state: str
) -> None:
    failed = alarms["failed"]
    assert failed["Dimensions"] == [{"Name": "ProjectName", "Value": "acme-refresh"}]
    assert evaluate(failed, failures) == state


@pytest.mark.parametrize(
    ("name", "runs", "state"),
    [
        ("silent", [0, 1], OK),
        ("failed", [0, 1], ALARM),
        ("behind", [0, 7], ALARM),
        ("gone", [0, 1], ALARM),
        ("pulls", [100, 19], ALARM),
    ],
)
def test_one_run_of_several_in_an_hour_decides(
    alarms: dict[str, Any], name: str, runs: list[float], state: str
) -> None:
    statistic = {"Sum": sum, "Maximum": max, "Minimum": min}[alarms[name]["Statistic"]]
    assert evaluate(alarms[name], [statistic(runs)] * alarms[name]["EvaluationPeriods"]) == state


def test_every_alarm_tells_the_topic(world: World, alarms: dict[str, Any]) -> None:
    [topic] = world.aws.client("sns", REGION).list_topics()["Topics"]
    assert sorted(alarms) == ["behind", "failed", "gone", "pulls", "silent"]
    assert {tuple(alarm["AlarmActions"]) for alarm in alarms.values()} == {(topic["TopicArn"],)}
    ours = {json.dumps(alarm["Dimensions"]) for name, alarm in alarms.items() if name != "failed"}
    assert ours == {json.dumps([{"Name": "Manifest", "Value": "acme"}])}


@pytest.mark.parametrize(
    ("change", "projects"),
    [
        ({}, ["acme-shop", "acme-web"]),
        ({"detail": {**EVENT["detail"], "image": PYTHON}}, ["acme-shop"]),
        ({"detail": {**EVENT["detail"], "image": f"{NGINX}-alpine"}}, []),
        ({"detail": {**EVENT["detail"], "manifest": "other"}}, []),
        ({"detail-type": "ECR Image Action"}, []),
        ({"source": "aws.ecr"}, []),
    ],
)
def test_starts_exactly_the_builds_that_use_what_moved(
    world: World, tmp_path: Path, change: dict[str, Any], projects: list[str]
) -> None:
    assert Starter(world.aws, REGION, tmp_path).projects_for({**EVENT, **change}) == projects


def test_an_event_starts_builds_in_the_sandbox(world: World) -> None:
    builds = world.aws.client("codebuild", REGION)

    def started() -> dict[str, int]:
        return {
            name: len(builds.list_builds_for_project(projectName=f"acme-{name}")["ids"])
            for name in ("web", "shop", "docs")
        }

    before = started()
    entry = {
        "Source": EVENT["source"],
        "DetailType": EVENT["detail-type"],
        "Detail": json.dumps({**EVENT["detail"], "image": PYTHON}),
    }
    answer = world.aws.client("events", REGION).put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0
    assert started() == {**before, "shop": before["shop"] + 1}


STAND_IN = """\
#!/bin/sh
echo "ran: $*"
exit "${FAKE_STATUS:-0}"
"""


def test_the_schedule_runs_toolkit_with_the_bundle(world: World, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "toolkit"
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(0o755)
    starter = Starter(world.aws, REGION, tmp_path, program.parent)
    run = starter.fire("acme-refresh")
    assert run.succeeded, run.output
    assert run.output == "ran: refresh --bundle s3://acme-base/acme/refresh --no-progress\n"
    assert not starter.fire("acme-refresh", FAKE_STATUS="6").succeeded


@pytest.mark.parametrize(
    ("shard", "ran"),
    [("2", "apply s3://b/plan.toolkit --shard 2 --no-progress"), ("report", "report s3://b/plan.toolkit")],
)
def test_a_build_of_a_batch_does_its_part_of_the_plan(world: World, tmp_path: Path, shard: str, ran: str) -> None:
    program = tmp_path / "bin" / "toolkit"
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(0o755)
    starter = Starter(world.aws, REGION, tmp_path, program.parent)
    batch = {"TOOLKIT_PLAN": "s3://b/plan.toolkit", "TOOLKIT_SHARD": shard}
    assert starter.build("acme-refresh", **batch).output == f"ran: {ran}\n"
    assert not starter.build("acme-refresh", **batch, FAKE_STATUS="6").succeeded


AWS = f"""\
#!{sys.executable}
import boto3, sys
bucket, _, key = sys.argv[4].removeprefix("s3://").partition("/")
boto3.client("s3").download_file(bucket, key, sys.argv[5])
"""
"""`aws s3 cp --only-show-errors URL FILE`."""

WHEEL = {
    "tool.py": "import sys\n\n\ndef main():\n    print('ran from a wheel:', *sys.argv[1:])\n",
    "tool-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: tool\nVersion: 1\n",
    "tool-1.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: a-test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "tool-1.dist-info/entry_points.txt": "[console_scripts]\ntoolkit = tool:main\n",
}


def _write_wheel(path: Path) -> str:
    """A wheel with a program `toolkit`; its hash."""
    lines = []
    with zipfile.ZipFile(path, "w") as file:
        for name, text in WHEEL.items():
            file.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(text)}")
        file.writestr("tool-1.dist-info/RECORD", "\n".join([*lines, "tool-1.dist-info/RECORD,,", ""]))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_schedule_installs_a_wheel_and_no_other_file(world: World, tmp_path: Path) -> None:
    wheel = tmp_path / "tool-1-py3-none-any.whl"
    digest = _write_wheel(wheel)
    s3 = world.aws.client("s3", REGION)
    s3.create_bucket(Bucket="acme-tools", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.upload_file(str(wheel), "acme-tools", wheel.name)
    manifest = MANIFEST + REFRESH % f"wheel: s3://acme-tools/{wheel.name}, sha256: {digest}"
    world.apply(manifest)
    assert not world.plan(manifest).changes
    aws = tmp_path / "bin" / "aws"
    aws.parent.mkdir()
    aws.write_text(AWS)
    aws.chmod(0o755)
    starter = Starter(world.aws, REGION, tmp_path, aws.parent)
    run = starter.fire("acme-refresh", PIP_NO_INDEX="1")
    assert run.succeeded, run.output
    assert run.output.endswith("ran from a wheel: refresh --bundle s3://acme-base/acme/refresh --no-progress\n")

    s3.put_object(Bucket="acme-tools", Key=wheel.name, Body=b"another")
    refused = starter.fire("acme-refresh", PIP_NO_INDEX="1")
    assert [(phase.name, phase.status == 0) for phase in refused.phases] == [("install", False)]
    assert "ran from a wheel" not in refused.output


def test_a_manifest_without_refresh_ends_it(world: World) -> None:
    bare = MANIFEST + "builds:" + (REFRESH % IMAGE).partition("builds:")[2].replace("rebuild: on_update, ", "")
    removed = world.plan(bare)
    assert {change.action for change in removed.changes} == {InfraAction.DELETE}
    world.terraform.apply(removed)
    assert world.aws.client("scheduler", REGION).list_schedules()["Schedules"] == []
    assert [line for line in world.aws.accesses("aws") if line["status"] >= 500] == []
