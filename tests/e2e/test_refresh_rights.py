"""The rights for what refreshes, replicates and runs shards, enforced: each is used, or has a reason, and each is missed.

Several are taken away in one run, from things that do not wait for one another. Terraform goes on with the others when
one fails, so that a run names all of them. A sample runs by default; TOOLKIT_RIGHTS_ALL=1 takes every action.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.real_parts import require
from tests.support.roles import Calls, Role, actions_of, reasons, without
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.toolkit_run import Finished, Toolkit
from toolkit.manifest.loader import loads
from toolkit.plan.resolve import resolve
from toolkit.terraform.iam_policy import Place, Statement, apply_policy, plan_policy

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("refresh_rights")]

REGION, AWAY, ACCOUNT = "eu-west-1", "us-east-1", "123456789012"
PLACE = Place(ACCOUNT, REGION)
POLICIES = {"plan": plan_policy, "apply": apply_policy}
ALONE = f"""\
version: 1
name: shop
aws: {{region: {REGION}, account_id: "{ACCOUNT}", resource_tags: {{team: platform}}}}
lock: s3://base/shop.yaml
repositories: {{prefix: mirror}}
images: [app01:1, app02:1]
builds: [{{name: web, source: {{type: S3, location: acme/web.zip}}, images: ["app01:1"]}}]
"""
REPLICATED = ALONE.replace("platform}}", f"platform}}, replicate_to: [{AWAY}]}}")
WHOLE = f"""{REPLICATED.replace("name: web,", "name: web, rebuild: on_update,")}\
refresh:
  schedule: rate(1 day)
  bucket: base
  tool: {{image: "{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/tools/base-image-toolkit:1.0"}}
"""
CHANGED = (
    WHOLE.replace("rate(1 day)", "rate(12 hours)")
    .replace("team: platform", "stage: test")
    .replace('["app01:1"]', '["app02:1"]')
)


class World:
    """A sandbox with a bucket, a role for each command, and a manifest of which everything is locked."""

    def __init__(self, folder: Path, sandbox: RunningSandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.calls = Calls(sandbox)
        self.roles = {name: Role(sandbox, REGION, f"toolkit-{name}") for name in POLICIES}
        place = {"LocationConstraint": REGION}
        sandbox.client("s3", REGION).create_bucket(Bucket="base", CreateBucketConfiguration=place)
        (folder / "images.yaml").write_text(WHOLE)
        self.admin = Toolkit(folder, sandbox.environment())
        self.admin.run("lock").expect(0)

    def statements(self, role: str, *manifests: str) -> list[Statement]:
        return [one for text in manifests for one in POLICIES[role](resolve(loads(text, "images.yaml")), PLACE)]

    def run(self, role: str, allowed: Iterable[Statement], manifest: str, *arguments: str) -> Finished:
        self.roles[role].may(list(allowed))
        (self.folder / "images.yaml").write_text(manifest)
        return self.roles[role].toolkit(self.folder).run(*arguments)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    require("terraform")
    folder = tmp_path_factory.mktemp("refresh-rights")
    with running_sandbox(folder / "sandbox", ["app01:1", "app02:1"]) as sandbox:
        yield World(folder, sandbox)


@pytest.fixture(scope="module")
def applied(world: World) -> World:
    """The world in which everything of the manifest exists."""
    world.run("apply", world.statements("apply", WHOLE), WHOLE, "apply", "--auto-approve").expect(0)
    return world


def test_every_right_is_used_or_has_a_reason(world: World) -> None:
    called: dict[str, set[str]] = {role: set() for role in POLICIES}

    def run(role: str, manifest: str, *arguments: str, code: int = 0) -> None:
        world.calls.since()
        world.run(role, world.statements(role, WHOLE), manifest, *arguments).expect(code)
        called[role] |= set(world.calls.since())

    run("plan", WHOLE, "plan", "--sizes", "--shards", "2", "--out", "plan.toolkit")
    run("apply", WHOLE, "apply", "plan.toolkit", "--batch")
    run("plan", WHOLE, "plan", "--detailed-exitcode")
    lose(world, "attributes")
    run("apply", CHANGED, "apply", "--auto-approve")
    run("apply", WHOLE, "destroy", "--auto-approve")
    unused = {role: new_actions(world, role) - called[role] for role in POLICIES}
    assert {role: actions - reasons() for role, actions in unused.items()} == {role: set() for role in POLICIES}


def new_actions(world: World, role: str) -> set[str]:
    """What a manifest without `refresh` and `replicate_to` does not want."""
    return actions_of(world.statements(role, WHOLE)) - actions_of(world.statements(role, ALONE))


@dataclass(frozen=True)
class Round:
    """A run that is refused for want of each of `actions`, after what is `lost` in AWS and a change of the manifest."""

    role: str
    actions: tuple[str, ...]
    lost: tuple[str, ...] = ()
    manifest: str = WHOLE
    arguments: tuple[str, ...] = ("apply", "--auto-approve")


def plan(*actions: str) -> Round:
    return Round("plan", actions, arguments=("plan",))


ROOTS, LEAVES = ("queue", "topic", "rule"), ("schedule", "alarms", "targets")
ROUNDS = (
    plan("sqs:GetQueueAttributes", "sns:GetTopicAttributes", "events:DescribeRule"),
    plan("sqs:ListQueueTags", "sns:ListTagsForResource", "events:ListTagsForResource"),
    plan("scheduler:GetSchedule", "cloudwatch:DescribeAlarms", "events:ListTargetsByRule"),
    plan("cloudwatch:ListTagsForResource"),
    plan("ecr:DescribeRegistry"),
    Round("apply", ("sqs:CreateQueue", "sns:CreateTopic", "events:PutRule"), lost=ROOTS),
    Round("apply", ("sqs:TagQueue", "sns:TagResource", "events:TagResource"), lost=ROOTS),
    Round("apply", ("scheduler:CreateSchedule", "cloudwatch:PutMetricAlarm", "events:PutTargets"), lost=LEAVES),
    Round("apply", ("iam:PassRole", "cloudwatch:TagResource"), lost=LEAVES),
    Round("apply", ("sqs:SetQueueAttributes", "sns:SetTopicAttributes"), lost=("attributes",)),
    Round("apply", ("sqs:UntagQueue", "sns:UntagResource", "events:UntagResource"), manifest=CHANGED),
    Round("apply", ("scheduler:UpdateSchedule", "cloudwatch:UntagResource"), manifest=CHANGED),
    Round("apply", ("s3:PutObject",), lost=("bundle",)),
    Round("apply", ("ecr:PutReplicationConfiguration",), lost=("replication",)),
    Round("apply", ("ecr:StartReplicationBackfill",), lost=("replicas",)),
    Round(
        "apply", ("scheduler:DeleteSchedule", "cloudwatch:DeleteAlarms", "events:RemoveTargets"), manifest=REPLICATED
    ),
    Round("apply", ("sqs:DeleteQueue", "sns:DeleteTopic", "events:DeleteRule"), manifest=REPLICATED),
)
SAMPLE = [ROUNDS[number] for number in (2, 8)]


@pytest.mark.parametrize(
    "tried", ROUNDS if os.environ.get("TOOLKIT_RIGHTS_ALL") else SAMPLE, ids=lambda one: " ".join(one.actions)
)
def test_without_some_actions_the_run_names_each_of_them(applied: World, tried: Round) -> None:
    statements = applied.statements(tried.role, WHOLE, CHANGED)
    for action in tried.actions:
        statements = without(statements, action)
    for thing in tried.lost:
        lose(applied, thing)
    done = applied.run(tried.role, statements, tried.manifest, *tried.arguments).expect(4)
    assert [action for action in tried.actions if action not in done.stderr] == []


def lose(world: World, thing: str) -> None:
    """Something is deleted or changed in AWS by hand."""

    def client(service: str, region: str = REGION) -> Any:
        return world.sandbox.client(service, region)

    sqs, sns, events, ecr = client("sqs"), client("sns"), client("events"), client("ecr")
    queues = sqs.list_queues().get("QueueUrls", [])
    topics = [one["TopicArn"] for one in sns.list_topics()["Topics"]]
    rules = [one["Name"] for one in events.list_rules()["Rules"]]
    match thing:
        case "queue":
            for url in queues:
                sqs.delete_queue(QueueUrl=url)
        case "topic":
            for arn in topics:
                sns.delete_topic(TopicArn=arn)
        case "rule":
            lose(world, "targets")
            for rule in rules:
                events.delete_rule(Name=rule)
        case "targets":
            for rule in rules:
                ids = [one["Id"] for one in events.list_targets_by_rule(Rule=rule)["Targets"]]
                if ids:
                    events.remove_targets(Rule=rule, Ids=ids)
        case "schedule":
            for one in client("scheduler").list_schedules()["Schedules"]:
                client("scheduler").delete_schedule(Name=one["Name"])
        case "alarms":
            found = client("cloudwatch").describe_alarms()["MetricAlarms"]
            client("cloudwatch").delete_alarms(AlarmNames=[one["AlarmName"] for one in found])
        case "attributes":
            for url in queues:
                sqs.set_queue_attributes(QueueUrl=url, Attributes={"MessageRetentionPeriod": "60"})
            for arn in topics:
                sns.set_topic_attributes(TopicArn=arn, AttributeName="DisplayName", AttributeValue="another")
        case "images":
            for one in ecr.describe_repositories()["repositories"]:
                name = one["repositoryName"]
                if ids := ecr.list_images(repositoryName=name)["imageIds"]:
                    ecr.batch_delete_image(repositoryName=name, imageIds=ids)
            (world.folder / "images.yaml").write_text(WHOLE)
            world.admin.run("plan", "--sizes", "--shards", "2", "--out", "plan.toolkit").expect(0)
        case "bundle":
            client("s3").delete_object(Bucket="base", Key="shop/refresh/bundle.json")
        case "replication":
            ecr.put_replication_configuration(replicationConfiguration={"rules": []})
        case "replicas":
            away = client("ecr", AWAY)
            for one in away.describe_repositories()["repositories"]:
                away.delete_repository(repositoryName=one["repositoryName"], force=True)


def test_every_new_action_is_taken_away_once(world: World) -> None:
    """Except for those that no run in the sandbox depends on; `reasons` says why they are in the table."""
    never = {"iam:CreateServiceLinkedRole", "servicequotas:ListServiceQuotas"}
    assert {action for one in ROUNDS for action in one.actions} - {"iam:PassRole"} == new_actions(
        world, "apply"
    ) - never
    assert never <= reasons()
