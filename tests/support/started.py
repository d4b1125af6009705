"""What EventBridge would start in AWS: read back from the sandbox, and executed as CodeBuild does.

moto fires no schedule, and a build there has succeeded before anything ran.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from moto.events.models import EventPattern

from tests.proof.codebuild import BuildContainer, BuildRun
from tests.support.sandbox import RunningSandbox
from tests.support.toolkit_run import TOOLKIT, Toolkit
from toolkit.sandbox.access_control import Right, allows


class Starter:
    """Starts builds in `folder`, with the roles that they have in the sandbox. `programs` come first on their PATH."""

    def __init__(
        self, sandbox: RunningSandbox, region: str, folder: Path, programs: Path = Path(TOOLKIT).parent
    ) -> None:
        self._sandbox = sandbox
        self._region = region
        self._folder = folder
        self._programs = programs

    def fire(self, schedule: str, **settings: str) -> BuildRun:
        """Run what the schedule would start now; `settings` are added to the variables of the build."""
        found = self._client("scheduler").get_schedule(Name=schedule)
        assert found["State"] == "ENABLED"
        target = found["Target"]
        assert "Input" not in target, "overrides of StartBuild are not read here"
        # AWS tells a role the group of the schedule, not the schedule itself.
        group = found["Arn"].replace(":schedule/", ":schedule-group/").rpartition("/")[0]
        kept = Right("sqs:SendMessage", target["DeadLetterConfig"]["Arn"])
        return self.build(self._project_of(target, "scheduler.amazonaws.com", group, kept), **settings)

    def projects_for(self, event: Mapping[str, Any]) -> list[str]:
        """The projects that rules would start for `event`, sorted."""
        events = self._client("events")
        rules = events.list_rules()["Rules"]
        matching = [rule for rule in rules if EventPattern.load(rule["EventPattern"]).matches_event(event)]
        return sorted(
            self._project_of(target, "events.amazonaws.com", rule["Arn"])
            for rule in matching
            for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
            if ":codebuild:" in target["Arn"]
        )

    def build(self, project: str, **settings: str) -> BuildRun:
        """Run the buildspec of `project` as its role, in an empty folder as CodeBuild's container has."""
        [found] = self._client("codebuild").batch_get_projects(names=[project])["projects"]
        variables = {one["name"]: one["value"] for one in found["environment"]["environmentVariables"]}
        self._folder.mkdir(exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix="build-", dir=self._folder))
        source, state = place / "source", place / "state"
        for made in (source, state):
            made.mkdir()
        keys = self._client("sts").assume_role(RoleArn=found["serviceRole"], RoleSessionName="build")["Credentials"]
        session = {
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
        }
        environment = Toolkit(place, {**self._sandbox.environment(), **session}).environment
        own = {"AWS_REGION": self._region, "AWS_DEFAULT_REGION": self._region, "HOME": str(place)}
        path = {"PATH": f"{self._programs}:{environment['PATH']}"}
        container = BuildContainer(state, source, {**environment, **own, **path, **variables, **settings})
        return container.run(found["source"]["buildspec"])

    def _project_of(self, target: Mapping[str, Any], service: str, source: str, *others: Right) -> str:
        """The project of a target, which the target's role may start, for that service and on behalf of `source`."""
        iam = self._client("iam")
        name = target["RoleArn"].rpartition("/")[2]
        [trust] = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": service}
        assert fnmatchcase(source, trust["Condition"]["ArnLike"]["aws:SourceArn"])
        policies = iam.list_role_policies(RoleName=name)["PolicyNames"]
        granted = [iam.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"] for one in policies]
        documents = [json.loads(one) if isinstance(one, str) else one for one in granted]
        for right in (Right("codebuild:StartBuild", target["Arn"]), *others):
            assert allows(documents, right)
        return str(target["Arn"].rpartition(":project/")[2])

    def _client(self, service: str) -> Any:
        return self._sandbox.client(service, self._region)
