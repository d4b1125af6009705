"""What exists in AWS under a build project's names, and whose it is.

It was left by an interrupted `terraform apply` or a lost state, or somebody else made it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from toolkit.aws.explain import explained
from toolkit.aws.session import AwsSession
from toolkit.plan.existing import WEBHOOK, ExistingResource

_PROJECTS_A_CALL = 100


class LeftoverService:
    """Resources by name, None for what is not there. Every method raises AccessDenied or Refused when AWS says no."""

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
            # The listing is by prefix and sorted, so the name itself comes first if it is there.
            groups = client.describe_log_groups(logGroupNamePrefix=name, limit=1)["logGroups"]
            if not groups or groups[0].get("logGroupName") != name:
                return None
            arn = groups[0]["arn"].removesuffix(":*")
            tags = client.list_tags_for_resource(resourceArn=arn)["tags"]
        return ExistingResource(tags, retention_days=groups[0].get("retentionInDays", 0))

    def projects(self, names: Sequence[str]) -> Mapping[str, ExistingResource]:
        """Those of the CodeBuild projects `names` that are there."""
        client = self._session.client("codebuild")
        found = {}
        with explained():
            for start in range(0, len(names), _PROJECTS_A_CALL):
                answer = client.batch_get_projects(names=list(names[start : start + _PROJECTS_A_CALL]))
                for project in answer["projects"]:
                    tags = {tag["key"]: tag["value"] for tag in project.get("tags", [])}
                    parts = frozenset({WEBHOOK} & project.keys())
                    found[project["name"]] = ExistingResource(tags, parts)
        return found
