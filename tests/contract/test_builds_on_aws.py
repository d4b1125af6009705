"""Builds and batches of the sandbox's CodeBuild, as boto3 sees them: each is a process, and its status is true."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support.plain_http import plain_http
from tests.support.roles import Role
from tests.support.sandbox import RunningSandbox, running_sandbox
from toolkit.sandbox import process
from toolkit.terraform.iam_policy import Statement

REGION = "eu-west-1"
SMALL, ONE_AT_A_TIME, NONE_AT_ALL = (f"BUILD_GENERAL1_{size}" for size in ("SMALL", "XLARGE", "2XLARGE"))
DONE = ("SUCCEEDED", "FAILED", "FAULT", "TIMED_OUT", "STOPPED")
RIGHTS = Statement(("codebuild:StartBuild", "codebuild:StopBuild", "codebuild:RetryBuild"), ("*",))

pytestmark = pytest.mark.xdist_group("builds_on_aws")


class World:
    """A sandbox with projects; `notes` is a folder for what builds leave."""

    def __init__(self, sandbox: RunningSandbox, notes: Path) -> None:
        self.sandbox = sandbox
        self.notes = notes
        self.builds = sandbox.client("codebuild", REGION)
        self.role = Role(sandbox, REGION, "build").arn
        batch = Role(sandbox, REGION, "batch")
        batch.may([RIGHTS])
        self.batch_role = batch.arn
        self._number = 0

    def project(
        self,
        *commands: str,
        size: str = SMALL,
        source: str = "NO_SOURCE",
        batch: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> str:
        self._number += 1
        name = f"p{self._number}"
        place = {} if source == "NO_SOURCE" else {"location": "https://github.com/acme/web.git"}
        environment = {
            "type": "LINUX_CONTAINER",
            "image": "i",
            "computeType": size,
            "environmentVariables": [{"name": "NOTES", "value": str(self.notes)}, {"name": "OWN", "value": "project"}],
            **more.pop("environment", {}),
        }
        self.builds.create_project(
            **{
                "name": name,
                "source": {"type": source, "buildspec": buildspec(*commands), **place},
                "artifacts": {"type": "NO_ARTIFACTS"},
                "serviceRole": self.role,
                "environment": environment,
                "buildBatchConfig": {"serviceRole": self.batch_role, **(batch or {})},
                **more,
            }
        )
        return name

    def build(self, name: str, **asked: Any) -> dict[str, Any]:
        started = self.builds.start_build(projectName=name, **asked)["build"]
        assert started["buildStatus"] == "IN_PROGRESS"
        return self.end_of_build(started["id"])

    def end_of_build(self, key: str) -> dict[str, Any]:
        return wait_for(lambda: self.builds.batch_get_builds(ids=[key])["builds"][0], "buildStatus")

    def batch(self, name: str, *tasks: Mapping[str, Any], **asked: Any) -> dict[str, Any]:
        started = self.start_batch(name, *tasks, **asked)
        return wait_for(lambda: self.seen(started), "buildBatchStatus")

    def start_batch(self, name: str, *tasks: Mapping[str, Any], commands: Sequence[str] = (), **asked: Any) -> str:
        text = buildspec(*commands, batch={"fast-fail": asked.pop("fast_fail", False), "build-graph": list(tasks)})
        started = self.builds.start_build_batch(projectName=name, buildspecOverride=text, **asked)["buildBatch"]
        assert started["buildBatchStatus"] == "IN_PROGRESS"
        return str(started["id"])

    def seen(self, key: str) -> dict[str, Any]:
        return dict(self.builds.batch_get_build_batches(ids=[key])["buildBatches"][0])

    def printed(self, build: Mapping[str, Any]) -> str:
        logs = self.sandbox.client("logs", REGION)
        place = {"logGroupName": build["logs"]["groupName"], "logStreamName": build["logs"]["streamName"]}
        return "\n".join(event["message"] for event in logs.get_log_events(**place)["events"])


def buildspec(*commands: str, **more: Any) -> str:
    return json.dumps({"version": 0.2, "phases": {"build": {"commands": list(commands) or ["true"]}}, **more})


def task(identifier: str, *depends_on: str, ignore: bool = False, **variables: str) -> dict[str, Any]:
    asked = {"identifier": identifier, "ignore-failure": ignore, "env": {"variables": variables}}
    return asked | ({"depend-on": list(depends_on)} if depends_on else {})


def wait_for(look: Any, status: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while (found := look())[status] not in DONE:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return dict(found)


def statuses(batch: Mapping[str, Any]) -> dict[str, str | None]:
    """By identifier; None for a build that was not started."""
    return {
        group["identifier"]: group["currentBuildSummary"]["buildStatus"] if "currentBuildSummary" in group else None
        for group in batch["buildGroups"]
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_sandbox(tmp_path_factory.mktemp("it's a sandbox")) as sandbox:
        yield World(sandbox, tmp_path_factory.mktemp("notes"))


def test_a_build_runs_its_commands_as_its_role(world: World) -> None:
    name = world.project(
        'echo "$OWN $FROM_CALL $AWS_REGION ${CODEBUILD_BUILD_ID%%:*}"',
        "ls -A",
        "python -c \"import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])\"",
    )
    asked = [{"name": "FROM_CALL", "value": "called"}]
    build = world.build(name, environmentVariablesOverride=asked)
    assert build["buildStatus"] == "SUCCEEDED"
    assert world.printed(build).splitlines() == [
        f"project called {REGION} {name}",
        "arn:aws:sts::123456789012:assumed-role/build/codebuild",
    ]
    assert [phase["phaseType"] for phase in build["phases"]] == ["SUBMITTED", "BUILD", "COMPLETED"]


def test_a_build_has_nothing_of_the_users_environment(world: World) -> None:
    build = world.build(world.project("env"))
    found = {line.partition("=")[0] for line in world.printed(build).splitlines()}
    assert "AWS_ENDPOINT_URL" in found
    assert not {name for name in found if name.startswith("PYTEST")}
    assert f"HOME={world.sandbox.status.folder}" in world.printed(build)


def test_a_long_log_is_kept(world: World) -> None:
    build = world.build(world.project("seq 20000; head -c 400000 /dev/zero | tr '\\0' x"))
    assert build["buildStatus"] == "SUCCEEDED"
    assert (world.sandbox.status.folder / "builds" / f"{build['id'].replace(':', '-')}.log").stat().st_size > 500_000


def test_a_failed_command_fails_the_build(world: World) -> None:
    build = world.build(world.project("echo before", "exit 3", "echo after"))
    assert (build["buildStatus"], world.printed(build)) == ("FAILED", "before")
    [phase] = [phase for phase in build["phases"] if phase["phaseType"] == "BUILD"]
    assert phase["contexts"][0]["message"].endswith("exit status 3")


@pytest.mark.parametrize(
    ("project", "status", "words"),
    [
        ({"source": "GITHUB"}, "FAULT", "no source of type GITHUB"),
        ({"environment": {"privilegedMode": True}}, "FAULT", "no Docker daemon"),
        ({"environment": {"type": "WINDOWS_CONTAINER"}}, "FAULT", "no WINDOWS_CONTAINER"),
        (
            {"environment": {"environmentVariables": [{"name": "KEY", "value": "k", "type": "SECRETS_MANAGER"}]}},
            "FAULT",
            "no secret for KEY",
        ),
        ({"asked": {"buildspecOverride": buildspec(env={"parameter-store": {"A": "/a"}})}}, "FAULT", "parameter-store"),
        ({"asked": {"buildspecOverride": "{"}}, "FAILED", "not YAML"),
        ({"serviceRole": "arn:aws:iam::123456789012:role/none"}, "FAILED", "cannot assume the role"),
    ],
)
def test_says_of_a_build_that_it_was_not_run(world: World, project: Any, status: str, words: str) -> None:
    asked = project.get("asked", {})
    changes = {name: value for name, value in project.items() if name != "asked"}
    build = world.build(world.project(f"touch {world.notes}/ran", **changes), **asked)
    assert build["buildStatus"] == status
    assert words in json.dumps(build["phases"], default=str)
    assert not (world.notes / "ran").exists()
    shown = process.status(world.sandbox.status.folder)
    assert shown is not None
    assert (shown.builds[-1].id, shown.builds[-1].status) == (build["id"], status)
    assert words in shown.builds[-1].message


def test_a_stopped_build_is_killed(world: World) -> None:
    name = world.project('echo $$ > "$NOTES/waits"; sleep 60')
    key = world.builds.start_build(projectName=name)["build"]["id"]
    pid = wait_for_pid(world.notes / "waits")
    assert world.builds.stop_build(id=key)["build"]["buildStatus"] == "STOPPED"
    wait_until_gone(pid)
    assert world.end_of_build(key)["buildStatus"] == "STOPPED"


def test_no_build_outlives_a_killed_sandbox(tmp_path: Path) -> None:
    with running_sandbox(tmp_path / "sandbox") as sandbox:
        world = World(sandbox, tmp_path)
        world.builds.start_build(projectName=world.project('echo $$ > "$NOTES/waits"; sleep 60'))
        pid = wait_for_pid(tmp_path / "waits")
        os.kill(sandbox.status.pid, 9)
        wait_until_gone(pid)


def wait_for_pid(file: Path) -> int:
    deadline = time.monotonic() + 30
    while not (file.exists() and file.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return int(file.read_text())


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_batch_runs_its_graph_in_order(world: World) -> None:
    order = world.notes / "order"
    batch = world.batch(
        world.project(),
        task("report", "shard_1", "shard_2", SHARD="report"),
        task("shard_1", SHARD="1"),
        task("shard_2", SHARD="2"),
        commands=[f'echo "$SHARD $CODEBUILD_BATCH_BUILD_IDENTIFIER $OWN" >> {order}'],
        environmentVariablesOverride=[{"name": "OWN", "value": "batch"}],
    )
    assert batch["buildBatchStatus"] == "SUCCEEDED"
    assert batch["complete"]
    assert statuses(batch) == dict.fromkeys(("report", "shard_1", "shard_2"), "SUCCEEDED")
    lines = order.read_text().splitlines()
    assert sorted(lines[:2]) == ["1 shard_1 batch", "2 shard_2 batch"]
    assert lines[2:] == ["report report batch"]
    arns = [group["currentBuildSummary"]["arn"] for group in batch["buildGroups"]]
    assert {one["buildStatus"] for one in world.builds.batch_get_builds(ids=arns)["builds"]} == {"SUCCEEDED"}


@pytest.mark.parametrize(
    ("is_ignored", "status", "report"), [(True, "SUCCEEDED", "SUCCEEDED"), (False, "FAILED", None)]
)
def test_a_build_waits_for_failures_that_are_ignored_and_ends_with_others(
    world: World, is_ignored: bool, status: str, report: str | None
) -> None:
    batch = world.batch(
        world.project(),
        task("shard_1", ignore=is_ignored, CODE="1"),
        task("shard_2", ignore=is_ignored, CODE="0"),
        task("report", "shard_1", "shard_2", CODE="0"),
        commands=["exit $CODE"],
    )
    assert batch["buildBatchStatus"] == status
    assert statuses(batch) == {"shard_1": "FAILED", "shard_2": "SUCCEEDED", "report": report}


def test_the_first_failure_of_a_fast_batch_stops_the_others(world: World) -> None:
    batch = world.batch(
        world.project(),
        task("long", COMMAND="sleep 60"),
        task("short", COMMAND="exit 1"),
        commands=["$COMMAND"],
        fast_fail=True,
    )
    assert (batch["buildBatchStatus"], statuses(batch)) == ("FAILED", {"long": "STOPPED", "short": "FAILED"})


def test_a_stopped_batch_starts_nothing_more(world: World) -> None:
    name = world.project()
    key = world.start_batch(
        name,
        task("first", ignore=True),
        task("second", "first"),
        commands=[f"echo $$ > {world.notes}/batch; sleep 60"],
    )
    pid = wait_for_pid(world.notes / "batch")
    world.builds.stop_build_batch(id=key)
    wait_until_gone(pid)
    batch = wait_for(lambda: world.seen(key), "buildBatchStatus")
    assert (batch["buildBatchStatus"], statuses(batch)) == ("STOPPED", {"first": "STOPPED", "second": None})
    assert world.builds.list_build_batches_for_project(projectName=name)["ids"] == [key]
    assert world.builds.list_build_batches_for_project(projectName=name, filter={"status": "FAILED"})["ids"] == []


def test_builds_wait_for_the_quota(world: World) -> None:
    alone = f"mkdir {world.notes}/alone && sleep 0.2 && rmdir {world.notes}/alone"
    batch = world.batch(
        world.project(size=ONE_AT_A_TIME), *(task(f"t{number}") for number in range(3)), commands=[alone]
    )
    assert set(statuses(batch).values()) == {"SUCCEEDED"}


def test_refuses_builds_of_a_kind_that_the_account_has_not(world: World) -> None:
    name = world.project(size=NONE_AT_ALL)
    with pytest.raises(world.builds.exceptions.AccountLimitExceededException):
        world.builds.start_build(projectName=name)
    batch = world.batch(name, task("t"))
    assert batch["buildBatchStatus"] == "FAILED"
    assert "Cannot have more than 0 builds" in batch["phases"][1]["contexts"][0]["message"]


@pytest.mark.parametrize(
    ("text", "batch", "words"),
    [
        (buildspec(), {}, "build-graph"),
        (buildspec(batch={"build-graph": [task("a", "b")]}), {}, "identifier b"),
        (buildspec(batch={"build-graph": [task("a"), task("a")]}), {}, "same identifier"),
        (buildspec(batch={"build-graph": [task("a", "b"), task("b", "a")]}), {}, "circle"),
        (buildspec(batch={"build-list": [{"identifier": "a", "env": {"image": "i"}}]}), {}, "image"),
        (buildspec(batch={"build-list": [task("a")]}, version="0.2"), {}, "float64"),
        ("{", {}, "flow"),
        (buildspec(batch={"build-list": [task("a"), task("b")]}), {"restrictions": {"maximumBuildsAllowed": 1}}, "1"),
        (buildspec(batch={"build-list": [task("a")]}), {"serviceRole": "ROLE"}, "codebuild:StartBuild"),
    ],
)
def test_a_batch_that_cannot_begin_fails(world: World, text: str, batch: dict[str, Any], words: str) -> None:
    if "serviceRole" in batch:
        batch = {"serviceRole": world.role}
    name = world.project(batch=batch)
    key = world.builds.start_build_batch(projectName=name, buildspecOverride=text)["buildBatch"]["id"]
    seen = wait_for(lambda: world.seen(key), "buildBatchStatus")
    assert seen["buildBatchStatus"] == "FAILED"
    assert words in seen["phases"][1]["contexts"][0]["message"]


def test_refuses_a_batch_of_a_project_without_a_batch_configuration(world: World) -> None:
    name = world.project()
    world.builds.update_project(name=name, buildBatchConfig={})
    with pytest.raises(world.builds.exceptions.InvalidInputException):
        world.builds.start_build_batch(projectName=name)
    with pytest.raises(world.builds.exceptions.ResourceNotFoundException):
        world.builds.start_build_batch(projectName="none")


@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
def test_a_web_page_cannot_call(world: World, method: str) -> None:
    page = {"Origin": "https://pages.example", "X-Amz-Target": "CodeBuild_20161006.StartBuild"}
    with plain_http(world.sandbox.status.aws_endpoint, page) as http:
        answer = http.ask(method, "/", b"{}" if method == "POST" else b"")
    assert (answer.status, answer.headers.get("access-control-allow-origin")) == (403, None)


def test_a_call_needs_the_right_to_its_project(world: World) -> None:
    mine, other = world.project(), world.project()
    keys = {name: world.start_batch(name, task("t")) for name in (mine, other)}
    role = Role(world.sandbox, REGION, "caller")
    actions = ("StartBuildBatch", "BatchGetBuildBatches", "StopBuildBatch", "ListBuildBatchesForProject")
    arn = f"arn:aws:codebuild:{REGION}:123456789012:project/{mine}"
    role.may([Statement(tuple(f"codebuild:{action}" for action in actions), (arn,))])
    session = {name.lower(): value for name, value in role.session().items()}
    client = boto3.client("codebuild", region_name=REGION, endpoint_url=world.sandbox.status.aws_endpoint, **session)
    assert client.batch_get_build_batches(ids=[keys[mine]])["buildBatches"]
    client.stop_build_batch(id=keys[mine])
    for call in (
        lambda: client.batch_get_build_batches(ids=[keys[other]]),
        lambda: client.stop_build_batch(id=keys[other]),
        lambda: client.start_build_batch(projectName=other),
        lambda: client.list_build_batches_for_project(projectName=other),
    ):
        with pytest.raises(client.exceptions.ClientError, match="not authorized"):
            call()
