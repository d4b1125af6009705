"""Existing AWS resources with the names that a build project or a schedule needs, and their owner.

An interrupted `terraform apply` or a lost state orphaned them, or somebody else made them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from toolkit.aws.explain import explained
from toolkit.aws.session import AwsSession
from toolkit.plan.observed import WEBHOOK, ExistingResource

if TYPE_CHECKING:
    from mypy_boto3_codebuild import CodeBuildClient
    from mypy_boto3_codebuild.type_defs import ProjectTypeDef
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import LogGroupTypeDef

_PROJECTS_A_CALL = 100


class ExistingService:
    """Resources by name; None if there is none. Methods raise AccessDenied or Refused when AWS returns an error."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    def role(self, name: str) -> ExistingResource | None:
        """The IAM role `name` with its policies."""
        client = self._session.client("iam")
        with explained():
            try:
                tags = client.get_role(RoleName=name)["Role"].get("Tags", [])
                inline = client.get_paginator("list_role_policies").paginate(RoleName=name)
                policies = {policy for page in inline for policy in page["PolicyNames"]}
                attached = client.get_paginator("list_attached_role_policies").paginate(RoleName=name)
                policies |= {policy["PolicyArn"] for page in attached for policy in page["AttachedPolicies"]}
            except client.exceptions.NoSuchEntityException:
                return None
        return ExistingResource({tag["Key"]: tag["Value"] for tag in tags}, frozenset(policies))

    def log_group(self, name: str) -> ExistingResource | None:
        """The CloudWatch log group `name`."""
        client = self._session.client("logs")
        with explained():
            group = describe_log_group(client, name)
            if group is None:
                return None
            tags = client.list_tags_for_resource(resourceArn=group["arn"].removesuffix(":*"))["tags"]
        return ExistingResource(tags, retention_days=group.get("retentionInDays", 0))

    def schedule(self, name: str) -> ExistingResource | None:
        """The schedule `name`, which is `<group>/<name>`. It has no tags: it is whose the project is that it starts."""
        client = self._session.client("scheduler")
        group, _, own = name.partition("/")
        with explained():
            try:
                target = client.get_schedule(GroupName=group, Name=own)["Target"]["Arn"]
            except client.exceptions.ResourceNotFoundException:
                return None
        project = target.rpartition(":project/")[2]
        found = self.projects([project]).get(project) if ":codebuild:" in target else None
        return ExistingResource(found.resource_tags if found else {})

    def rule(self, name: str) -> ExistingResource | None:
        """The rule `name` of the default event bus."""
        client = self._session.client("events")
        with explained():
            try:
                arn = client.describe_rule(Name=name)["Arn"]
            except client.exceptions.ResourceNotFoundException:
                return None
            tags = client.list_tags_for_resource(ResourceARN=arn)["Tags"]
        return ExistingResource({tag["Key"]: tag["Value"] for tag in tags})

    def alarm(self, name: str) -> ExistingResource | None:
        """The alarm `name` on a metric. To see one on other alarms, AWS wants the right to see all alarms."""
        client = self._session.client("cloudwatch")
        with explained():
            alarms = client.describe_alarms(AlarmNames=[name])["MetricAlarms"]
            if not alarms:
                return None
            tags = client.list_tags_for_resource(ResourceARN=alarms[0]["AlarmArn"])["Tags"]
        return ExistingResource({tag["Key"]: tag["Value"] for tag in tags})

    def projects(self, names: Sequence[str]) -> Mapping[str, ExistingResource]:
        """The CodeBuild projects among `names` that exist."""
        with explained():
            return {
                project["name"]: ExistingResource(tags_of(project), frozenset({WEBHOOK} & project.keys()))
                for project in describe_projects(self._session.client("codebuild"), names)
            }


def describe_log_group(client: CloudWatchLogsClient, name: str) -> LogGroupTypeDef | None:
    """The log group `name`, as CloudWatch returns it."""
    # The listing is by prefix and sorted, so the exact name comes first if it exists.
    groups = client.describe_log_groups(logGroupNamePrefix=name, limit=1)["logGroups"]
    return groups[0] if groups and groups[0].get("logGroupName") == name else None


def describe_projects(client: CodeBuildClient, names: Sequence[str]) -> Iterator[ProjectTypeDef]:
    """The projects among `names` that exist, as CodeBuild returns them."""
    for start in range(0, len(names), _PROJECTS_A_CALL):
        yield from client.batch_get_projects(names=names[start : start + _PROJECTS_A_CALL])["projects"]


def tags_of(project: ProjectTypeDef) -> dict[str, str]:
    """The AWS tags of a project."""
    return {tag["key"]: tag["value"] for tag in project.get("tags", [])}
