"""What exists in AWS under a build project's names, and whether it is ours.

An interrupted `terraform apply` leaves resources that its state does not know; these look-ups find them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from toolkit.aws.explain import explained
from toolkit.aws.session import AwsSession

if TYPE_CHECKING:
    from mypy_boto3_codebuild.type_defs import ProjectTypeDef


class LeftoverService:
    """AWS tags by name, None for what is not there. Every method raises AccessDenied or Refused when AWS says no."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    def role_tags(self, name: str) -> Mapping[str, str] | None:
        """Tags of the IAM role `name`."""
        client = self._session.client("iam")
        with explained():
            try:
                tags = client.get_role(RoleName=name)["Role"].get("Tags", [])
            except client.exceptions.NoSuchEntityException:
                return None
        return {tag["Key"]: tag["Value"] for tag in tags}

    def log_group_tags(self, name: str) -> Mapping[str, str] | None:
        """Tags of the CloudWatch log group `name`."""
        client = self._session.client("logs")
        with explained():
            # The listing is by prefix and sorted, so the name itself comes first if it is there.
            groups = client.describe_log_groups(logGroupNamePrefix=name, limit=1)["logGroups"]
            if not groups or groups[0].get("logGroupName") != name:
                return None
            return client.list_tags_for_resource(resourceArn=groups[0]["arn"].removesuffix(":*"))["tags"]

    def project_tags(self, name: str) -> Mapping[str, str] | None:
        """Tags of the CodeBuild project `name`."""
        project = self._project(name)
        return None if project is None else _by_key(project)

    def webhook_tags(self, name: str) -> Mapping[str, str] | None:
        """Tags of the CodeBuild project `name` if it has a webhook, which itself has none."""
        project = self._project(name)
        return None if project is None or "webhook" not in project else _by_key(project)

    def _project(self, name: str) -> ProjectTypeDef | None:
        client = self._session.client("codebuild")
        with explained():
            projects = client.batch_get_projects(names=[name])["projects"]
        return projects[0] if projects else None


def _by_key(project: ProjectTypeDef) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in project.get("tags", [])}
