"""moto's builds and batches, completed: each build is a process on this machine, and its status says what became of it.

moto's own classes are changed, in the server process only. moto runs nothing, calls each build SUCCEEDED at the first
look, and has no batches. Here a build runs its buildspec in an empty folder with a session of the project's role. The
sandbox has neither sources nor a Docker daemon: a build that needs one of them is not run and ends as FAULT. Of what a
call can override, buildspec and variables are taken; artifacts and reports are not made.

AWS documents that a build of a graph waits until those that it depends on are completed. It does not say what becomes
of it when one of them failed. Here it runs if that failure is to be ignored, and never otherwise.
https://docs.aws.amazon.com/codebuild/latest/userguide/batch-build-buildspec.html
"""

from __future__ import annotations

import json
import shutil
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from moto.codebuild import exceptions, responses
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.core.utils import unix_time
from moto.logs.models import logs_backends
from moto.sts.models import sts_backends
from moto.utilities.utils import get_partition
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from toolkit.sandbox import process, record
from toolkit.sandbox.access_control import Right, World
from toolkit.sandbox.build_process import BuildProcess
from toolkit.sandbox.moto_quotas import QUOTAS

SUCCEEDED, FAILED, FAULT, TIMED_OUT, STOPPED = "SUCCEEDED", "FAILED", "FAULT", "TIMED_OUT", "STOPPED"
_IN_PROGRESS = "IN_PROGRESS"
_PLATFORMS = {"LINUX_CONTAINER": "Linux", "ARM_CONTAINER": "ARM"}
_SIZES = {"SMALL": "Small", "MEDIUM": "Medium", "LARGE": "Large", "XLARGE": "XLarge", "2XLARGE": "2XLarge"}
_STORES = {"parameter-store", "secrets-manager"}
_TOKEN_SECONDS = 300
_MOST_BUILDS = 100
"""In a batch."""


@dataclass(frozen=True, slots=True)
class Task:
    """A build of a batch, as the buildspec asks for it."""

    identifier: str
    depends_on: tuple[str, ...] = ()
    ignore_failure: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)


class Build:
    """A build: `facts` are what AWS tells of it, `first_facts` what it told when the build was asked for."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.facts = self.first_facts = facts
        self.process: BuildProcess | None = None
        self.lock = threading.Lock()

    @property
    def status(self) -> str:
        """SUCCEEDED, IN_PROGRESS …"""
        return str(self.facts["buildStatus"])

    def tell(self, **changes: Any) -> None:
        """Change facts; a build that is complete stays as it is."""
        with self.lock:
            if not self.facts["buildComplete"]:
                # A new dictionary, because another thread may be reading the old one.
                self.facts = {**self.facts, **changes}

    def end(self, status: str, phases: Sequence[Mapping[str, Any]] = ()) -> None:
        """The build is complete."""
        shown = [*self.facts["phases"], *phases, {"phaseType": "COMPLETED", "startTime": unix_time()}]
        self.tell(buildStatus=status, currentPhase="COMPLETED", endTime=unix_time(), phases=shown, buildComplete=True)

    def stop(self) -> None:
        """End it, whether it waits or runs."""
        self.end(STOPPED)
        with self.lock:
            if self.process:
                self.process.stop()

    def run(self, start: Callable[[], BuildProcess], seconds: float) -> tuple[str, Sequence[Mapping[str, Any]]]:
        """Run its process to the end, unless it was stopped before; its status, and the phases that ran."""
        with self.lock:
            if self.facts["buildComplete"]:
                return STOPPED, ()
            self.process = start()
        self.tell(currentPhase="BUILD")
        try:
            ran = self.process.wait(seconds)
        except TimeoutError:
            return TIMED_OUT, ()
        if ran is None:
            return FAULT, ()
        status = FAILED if any(phase.status for phase in ran) else SUCCEEDED
        return status, [_phase(one.name.upper(), one.status) for one in ran]


class Batch:
    """Builds of a project that belong together."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.facts = facts
        self.tasks: Sequence[Task] = ()
        self.builds: dict[str, Build] = {}
        self.is_stopped = False

    def stop_builds(self) -> None:
        """Stop those that were started."""
        for build in tuple(self.builds.values()):
            build.stop()

    def end(self, status: str, *phases: Mapping[str, Any]) -> None:
        """The batch is complete."""
        self.facts = {
            **self.facts,
            "buildBatchStatus": status,
            "currentPhase": status,
            "phases": [*self.facts["phases"], *phases, {"phaseType": status, "startTime": unix_time()}],
            "endTime": unix_time(),
            "complete": True,
        }

    def shown(self) -> dict[str, Any]:
        """What AWS tells of it. A group has no summary before its build was started."""
        builds = dict(self.builds)
        groups = [
            {
                "identifier": task.identifier,
                "dependsOn": list(task.depends_on),
                "ignoreFailure": task.ignore_failure,
                "priorBuildSummaryList": [],
            }
            | ({"currentBuildSummary": _summary(builds[task.identifier])} if task.identifier in builds else {})
            for task in self.tasks
        ]
        return {**self.facts, "buildGroups": groups}


class TooManyBuilds(JsonRESTError):  # type: ignore[misc]
    """The account has no room for a build, and never will."""

    code = 400

    def __init__(self) -> None:
        super().__init__("AccountLimitExceededException", "Cannot have more than 0 builds in queue for the account")


class Builds:
    """The builds of a sandbox in `folder`: `builds/` has a log of each."""

    def __init__(self, folder: Path) -> None:
        self._sandbox = folder
        self._folder = folder / "builds"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(exist_ok=True)
        self._builds: dict[str, Build] = {}
        self._batches: dict[str, Batch] = {}
        self._tokens: dict[str, tuple[Mapping[str, Any], Batch | None]] = {}
        self._rooms: dict[tuple[str, str, str], threading.Semaphore] = {}
        self._lock = threading.Lock()

    def complete(self) -> None:
        """Change moto's classes."""
        for name, operation in {
            "start_build": self._start_build,
            "stop_build": self._stop_build,
            "batch_get_builds": self._batch_get_builds,
            "start_build_batch": self._start_build_batch,
            "stop_build_batch": self._stop_build_batch,
            "batch_get_build_batches": self._batch_get_build_batches,
            "list_build_batches_for_project": self._list_build_batches_for_project,
        }.items():
            setattr(responses.CodeBuildResponse, name, _answered_by(operation))

    def listed(self) -> list[dict[str, str]]:
        """Every build, the first one first."""
        return [
            {
                "id": facts["id"],
                "status": facts["buildStatus"],
                "initiator": facts["initiator"],
                "message": next(
                    (about["message"] for phase in facts["phases"] for about in phase.get("contexts", ())), ""
                ),
            }
            for facts in (build.facts for build in tuple(self._builds.values()))
        ]

    def start(
        self,
        backend: Any,
        name: str,
        asked: Mapping[str, Any],
        initiator: str = "user",
        task: Task | None = None,
        when_done: Callable[[], None] = lambda: None,
    ) -> Build:
        """Start a build of a project of moto's `backend`; `asked` has the overrides of the call."""
        project = backend.codebuild_projects[name].project_metadata
        room = self._room(backend, project["environment"])
        key = f"{name}:{uuid.uuid4()}"
        source = {
            **project["source"],
            "buildspec": asked.get("buildspecOverride") or project["source"].get("buildspec"),
        }
        variables = {one["name"]: one for one in project["environment"].get("environmentVariables", ())}
        variables |= {one["name"]: one for one in asked.get("environmentVariablesOverride", ())}
        build = Build(
            {
                "id": key,
                "arn": f"{_arn(backend)}:build/{key}",
                "buildNumber": len(backend.build_history[name]) + 1,
                "projectName": name,
                "startTime": unix_time(),
                "currentPhase": "QUEUED",
                "buildStatus": _IN_PROGRESS,
                "buildComplete": False,
                "phases": [{"phaseType": "SUBMITTED", "phaseStatus": SUCCEEDED, "startTime": unix_time()}],
                "initiator": initiator,
                "source": source,
                "environment": {**project["environment"], "environmentVariables": list(variables.values())},
                "serviceRole": project["serviceRole"],
                "timeoutInMinutes": project["timeoutInMinutes"],
                "logs": {"groupName": f"/aws/codebuild/{name}", "streamName": key.partition(":")[2]},
            }
        )
        self._builds[build.facts["arn"]] = build
        backend.build_history[name].append(key)

        def run() -> None:
            try:
                self._run(backend, build, task, room)
            finally:
                build.end(FAULT)  # the log of the sandbox says why; without effect on a build that is complete
                when_done()

        threading.Thread(target=run, daemon=True).start()
        return build

    def _run(self, backend: Any, build: Build, task: Task | None, room: threading.Semaphore) -> None:
        facts = build.facts
        try:
            flaw = _not_runnable(facts)
        except YAMLError as error:
            build.end(FAILED, [_phase("DOWNLOAD_SOURCE", 1, f"the buildspec is not YAML: {error}")])
            return
        if flaw:
            build.end(FAULT, [_phase("PROVISIONING", 1, flaw)])
            return
        session = _session(backend, facts["serviceRole"])
        if session is None:
            flaw = f"CodeBuild cannot assume the role {facts['serviceRole']}"
            build.end(FAILED, [_phase("PROVISIONING", 1, flaw)])
            return
        variables = {one["name"]: one["value"] for one in facts["environment"]["environmentVariables"]}
        folder, log = (self._folder / f"{facts['id'].replace(':', '-')}{end}" for end in ("", ".log"))
        inside = {**self._place(backend), **session, **_own_variables(facts), **variables}
        if task:
            inside |= {"CODEBUILD_BATCH_BUILD_IDENTIFIER": task.identifier, **task.variables}
        with room:
            status, phases = build.run(
                lambda: BuildProcess(folder, log, facts["source"]["buildspec"], inside),
                facts["timeoutInMinutes"] * 60,
            )
        shutil.rmtree(folder, ignore_errors=True)
        if log.exists():
            _put_log(backend, facts["logs"], log)
        build.end(status, phases)

    def _place(self, backend: Any) -> dict[str, str]:
        """The variables by which everything in a build uses the sandbox, in the project's region."""
        running = record.read_record(self._sandbox)
        assert running is not None  # noqa: S101  this process has written it
        status = process.SandboxStatus(folder=self._sandbox, **asdict(running))
        set_there = {name: value for name, value in process.environment(status, {}).items() if value is not None}
        return {**set_there, "AWS_REGION": backend.region_name, "AWS_DEFAULT_REGION": backend.region_name}

    def _room(self, backend: Any, environment: Mapping[str, Any]) -> threading.Semaphore:
        """Where a build waits until the account may run one more of its kind; TooManyBuilds if it may run none."""
        platform = _PLATFORMS.get(environment["type"], environment["type"])
        size = environment["computeType"].removeprefix("BUILD_GENERAL1_")
        name = f"Concurrently running builds for {platform}/{_SIZES.get(size, size)} environment"
        # Of what the table does not have, AWS lets a new account run one.
        most = next((int(value) for title, _, value in QUOTAS["codebuild"] if title == name), 1)
        if most == 0:
            raise TooManyBuilds
        with self._lock:
            key = (backend.account_id, backend.region_name, name)
            return self._rooms.setdefault(key, threading.Semaphore(most))

    def _start_build(self, backend: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
        return {"build": self.start(backend, _known(backend, asked["projectName"]), asked).first_facts}

    def _stop_build(self, backend: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
        build = self._builds.get(_full(backend, "build", asked["id"]))
        if build is None:
            raise exceptions.ResourceNotFoundException(f"Build {asked['id']} does not exist")
        build.stop()
        return {"build": build.facts}

    def _batch_get_builds(self, backend: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
        found = {key: self._builds.get(_full(backend, "build", key)) for key in asked["ids"]}
        return {
            "builds": [build.facts for build in found.values() if build],
            "buildsNotFound": [key for key, build in found.items() if not build],
        }

    def _start_build_batch(self, backend: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
        name = _known(backend, asked["projectName"])
        project = backend.codebuild_projects[name].project_metadata
        if "buildBatchConfig" not in project:
            raise exceptions.InvalidInputException(f"Project {name} has no batch configuration")
        now = unix_time()
        token = asked.get("idempotencyToken", "")
        call, before = self._tokens.get(token, ({}, None))
        if before and now - before.facts["startTime"] < _TOKEN_SECONDS:
            if call != asked:
                raise exceptions.InvalidInputException("The parameters do not match those of the idempotency token")
            return {"buildBatch": before.shown()}
        key = f"{name}:{uuid.uuid4()}"
        batch = Batch(
            {
                "id": key,
                "arn": f"{_arn(backend)}:build-batch/{key}",
                "buildBatchNumber": len(self._batches_of(backend, name)) + 1,
                "projectName": name,
                "startTime": now,
                "currentPhase": "SUBMITTED",
                "buildBatchStatus": _IN_PROGRESS,
                "complete": False,
                "phases": [{"phaseType": "SUBMITTED", "phaseStatus": SUCCEEDED, "startTime": now, "endTime": now}],
                "source": project["source"],
                "environment": project["environment"],
                "serviceRole": project["serviceRole"],
                "buildBatchConfig": project["buildBatchConfig"],
            }
        )
        self._batches[batch.facts["arn"]] = batch
        if token:
            self._tokens[token] = (asked, batch)
        answer = batch.shown()

        def run() -> None:
            try:
                self._run_batch(batch, backend, name, asked)
            finally:
                if not batch.facts["complete"]:  # the log of the sandbox says why
                    batch.end(FAULT)

        threading.Thread(target=run, daemon=True).start()
        return {"buildBatch": answer}

    def _run_batch(self, batch: Batch, backend: Any, name: str, asked: Mapping[str, Any]) -> None:
        """Start each build when those that it depends on are complete, until none is left."""
        text = asked.get("buildspecOverride") or batch.facts["source"]["buildspec"]
        try:
            tasks, fails_fast = read_batch(text)
            _check_batch(backend, batch.facts, tasks)
            self._room(backend, batch.facts["environment"])
        except (BatchFlaw, TooManyBuilds, YAMLError) as flaw:
            batch.end(FAILED, _phase("DOWNLOAD_BATCHSPEC", 1, str(flaw)))
            return
        batch.tasks = tasks
        batch.facts = {**batch.facts, "currentPhase": _IN_PROGRESS}
        named = {task.identifier: task for task in tasks}
        order = TopologicalSorter({task.identifier: task.depends_on for task in tasks})
        order.prepare()
        completed: SimpleQueue[str] = SimpleQueue()
        passed: set[str] = set()
        is_failing = False
        while order.is_active():
            for task in (named[identifier] for identifier in order.get_ready()):
                if batch.is_stopped or (fails_fast and is_failing) or not passed.issuperset(task.depends_on):
                    completed.put(task.identifier)
                    continue

                def when_done(identifier: str = task.identifier) -> None:
                    completed.put(identifier)

                build = self.start(backend, name, asked, f"build-batch/{batch.facts['id']}", task, when_done)
                batch.builds[task.identifier] = build
                if batch.is_stopped:  # meanwhile
                    build.stop()
            identifier = completed.get()
            ran = batch.builds.get(identifier)
            if ran and (ran.status == SUCCEEDED or named[identifier].ignore_failure):
                passed.add(identifier)
            else:
                is_failing = True
                if fails_fast:
                    batch.stop_builds()
            order.done(identifier)
        batch.end(STOPPED if batch.is_stopped else FAILED if is_failing else SUCCEEDED)

    def _stop_build_batch(self, backend: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
        batch = self._batches.get(_full(backend, "build-batch", asked["id"]))
        if batch is None:
            raise exceptions.ResourceNotFoundException(f"Build batch {asked['id']} does not exist")
        batch.is_stopped = True
        batch.stop_builds()
        return {"buildBatch": batch.shown()}

    def _batch_get_build_batches(self, backend: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
        found = {key: self._batches.get(_full(backend, "build-batch", key)) for key in asked["ids"]}
        return {
            "buildBatches": [batch.shown() for batch in found.values() if batch],
            "buildBatchesNotFound": [key for key, batch in found.items() if not batch],
        }

    def _list_build_batches_for_project(self, backend: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The newest first, unless the caller wants another order."""
        found = self._batches_of(backend, _known(backend, asked["projectName"]))
        wanted = asked.get("filter", {}).get("status")
        ids = [one.facts["id"] for one in found if wanted in (None, one.facts["buildBatchStatus"])]
        return {"ids": ids if asked.get("sortOrder") == "ASCENDING" else ids[::-1]}

    def _batches_of(self, backend: Any, name: str) -> list[Batch]:
        start = f"{_arn(backend)}:build-batch/{name}:"
        return [batch for arn, batch in tuple(self._batches.items()) if arn.startswith(start)]


class BatchFlaw(Exception):
    """Why a batch cannot begin."""


def read_batch(buildspec: str) -> tuple[tuple[Task, ...], bool]:
    """The builds that a buildspec asks for, and whether the first failure stops the others. Raises BatchFlaw."""
    document = YAML(typ="safe").load(buildspec)
    batch = document.get("batch", {})
    # CodeBuild reads the version of a batch as a number only: https://github.com/aws/aws-cdk/issues/29592
    if not isinstance(document.get("version"), float):
        raise BatchFlaw("cannot unmarshal the version into float64")
    kinds = [kind for kind in ("build-graph", "build-list") if kind in batch]
    if len(kinds) != 1:
        raise BatchFlaw("the sandbox runs a build-graph or a build-list")
    for one in batch[kinds[0]]:
        others = {*one, *one.get("env", {})} - {"identifier", "depend-on", "ignore-failure", "env", "variables"}
        if others:
            raise BatchFlaw(f"the sandbox knows no {', '.join(sorted(others))} of a build in a batch")
    tasks = tuple(
        Task(
            one["identifier"],
            tuple(one.get("depend-on", ())),
            bool(one.get("ignore-failure", False)),
            {name: str(value) for name, value in one.get("env", {}).get("variables", {}).items()},
        )
        for one in batch[kinds[0]]
    )
    names = {task.identifier for task in tasks}
    if len(names) != len(tasks):
        raise BatchFlaw("two builds have the same identifier")
    if unknown := {name for task in tasks for name in task.depends_on} - names:
        raise BatchFlaw(f"no build has the identifier {min(unknown)}")
    try:
        TopologicalSorter({task.identifier: task.depends_on for task in tasks}).prepare()
    except CycleError:
        raise BatchFlaw("builds depend on each other in a circle") from None
    return tasks, bool(batch.get("fast-fail", False))


def _check_batch(backend: Any, facts: Mapping[str, Any], tasks: Sequence[Task]) -> None:
    """Raises BatchFlaw for what the project's batch configuration does not let the batch do."""
    asked = facts["buildBatchConfig"]
    most = asked.get("restrictions", {}).get("maximumBuildsAllowed", _MOST_BUILDS)
    if len(tasks) > most:
        raise BatchFlaw(f"the batch has {len(tasks)} builds, and at most {most} are allowed")
    session = _session(backend, asked.get("serviceRole", ""))
    principal = World().principal(session["AWS_ACCESS_KEY_ID"]) if session else None
    project = f"{_arn(backend)}:project/{facts['projectName']}"
    if principal is None:
        raise BatchFlaw("CodeBuild cannot assume the service role of the batch")
    rights = [Right(f"codebuild:{action}", project) for action in ("StartBuild", "StopBuild", "RetryBuild")]
    if lacking := principal.lacks(rights):
        raise BatchFlaw(lacking)


def _answered_by(operation: Callable[[Any, Mapping[str, Any]], dict[str, Any]]) -> Callable[[Any], ActionResult]:
    return lambda response: ActionResult(operation(response.codebuild_backend, json.loads(response.body)))


def _not_runnable(facts: Mapping[str, Any]) -> str | None:
    """What a build needs and the sandbox does not have."""
    environment = facts["environment"]
    if facts["source"]["type"] != "NO_SOURCE":
        return f"the sandbox did not run this build: it has no source of type {facts['source']['type']}"
    if environment.get("privilegedMode"):
        return "the sandbox did not run this build: it has no Docker daemon"
    if environment["type"] not in _PLATFORMS:
        return f"the sandbox did not run this build: it has no {environment['type']}"
    if secret := [
        one["name"] for one in environment["environmentVariables"] if one.get("type", "PLAINTEXT") != "PLAINTEXT"
    ]:
        return f"the sandbox did not run this build: it reads no secret for {secret[0]}"
    if kinds := YAML(typ="safe").load(facts["source"]["buildspec"]).get("env", {}).keys() & _STORES:
        return f"the sandbox did not run this build: it reads no {min(kinds)}"
    return None


def _session(backend: Any, role: str) -> dict[str, str] | None:
    """The credentials of a session of a role; None if there is no such role."""
    sts = sts_backends[backend.account_id][get_partition(backend.region_name)]
    given = sts.assume_role(backend.region_name, "codebuild", role, "", 3600, "") if role else None
    if given is None or World().principal(given.access_key_id) is None:
        return None
    return {
        "AWS_ACCESS_KEY_ID": given.access_key_id,
        "AWS_SECRET_ACCESS_KEY": given.secret_access_key,
        "AWS_SESSION_TOKEN": given.session_token,
    }


def _own_variables(facts: Mapping[str, Any]) -> dict[str, str]:
    return {
        "CI": "true",
        "CODEBUILD_CI": "true",
        "CODEBUILD_BUILD_ARN": facts["arn"],
        "CODEBUILD_BUILD_ID": facts["id"],
        "CODEBUILD_BUILD_IMAGE": facts["environment"]["image"],
        "CODEBUILD_BUILD_NUMBER": str(facts["buildNumber"]),
        "CODEBUILD_INITIATOR": facts["initiator"],
        "CODEBUILD_LOG_PATH": facts["logs"]["streamName"],
    }


def _put_log(backend: Any, place: Mapping[str, str], log: Path) -> None:
    """Where AWS puts what a build prints."""
    logs = logs_backends[backend.account_id][backend.region_name]
    if place["groupName"] not in logs.groups:
        logs.create_log_group(place["groupName"], {})
    logs.create_log_stream(place["groupName"], place["streamName"])
    lines = log.read_text(errors="replace").splitlines()
    events = [{"timestamp": int(unix_time() * 1000), "message": line} for line in lines]
    logs.put_log_events(place["groupName"], place["streamName"], events)


def _phase(name: str, status: int, flaw: str = "") -> dict[str, Any]:
    """A phase as AWS tells it, which failed unless `status` is 0."""
    contexts = [{"statusCode": "CLIENT_ERROR", "message": flaw}] if flaw else []
    if status and not flaw:
        message = f"Error while executing command. Reason: exit status {status}"
        contexts = [{"statusCode": "COMMAND_EXECUTION_ERROR", "message": message}]
    return {"phaseType": name, "phaseStatus": FAILED if status else SUCCEEDED, "contexts": contexts}


def _summary(build: Build) -> dict[str, Any]:
    return {"arn": build.facts["arn"], "requestedOn": build.facts["startTime"], "buildStatus": build.status}


def _known(backend: Any, name: str) -> str:
    """The name of a project that exists, also given by its ARN."""
    bare = name.rpartition(":project/")[2]
    if bare not in backend.codebuild_projects:
        raise exceptions.ResourceNotFoundException(f"Project cannot be found: {_arn(backend)}:project/{bare}")
    return bare


def _full(backend: Any, kind: str, key: str) -> str:
    """The ARN of a build or batch, also given by its ARN."""
    return f"{_arn(backend)}:{kind}/{key.rpartition('/')[2]}"


def _arn(backend: Any) -> str:
    region = backend.region_name
    return f"arn:{get_partition(region)}:codebuild:{region}:{backend.account_id}"
