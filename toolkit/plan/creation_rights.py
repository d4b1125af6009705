"""The rights that a created policy gives, computed from the manifest; pure.

Terraform's plan has them too, but reading it starts the provider once more. The rights of every build are left out: to
pull its images and to write its log.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from toolkit.plan.desired import Desired, DesiredBuild
from toolkit.plan.model import InfraAction, InfraChange
from toolkit.plan.repository_policy import wanted_statements
from toolkit.plan.rights import compare_policies

# The role policy in the module `codebuild-project` with the manifest's `policy_statements`.
_EXTRA_POLICY = ".aws_iam_role_policy.extra["


def with_creation_rights(desired: Desired, changes: Iterable[InfraChange]) -> tuple[InfraChange, ...]:
    """`changes` with the rights that each created policy gives."""
    changes = tuple(changes)
    created = {
        (change.resource_type, change.name, change.region) for change in changes if change.action is InfraAction.CREATE
    }
    repositories = {repository.name: repository for repository in desired.repositories}
    builds = {build.name: build for build in desired.builds}

    def granting(change: InfraChange) -> InfraChange:
        if change.action is not InfraAction.CREATE:
            return change
        if change.resource_type == "aws_ecr_repository_policy" and change.name in repositories:
            policy, of = json.dumps({"Statement": wanted_statements(repositories[change.name])}), ""
            is_new = ("aws_ecr_repository", change.name, change.region) in created
        elif _EXTRA_POLICY in change.address and change.name in builds:
            policy, of = _build_policy(builds[change.name]), f"role of {change.name}"
            is_new = ("aws_iam_role", change.name, "") in created
        else:
            return change
        return replace(change, grants=compare_policies(None, policy, of, is_new=is_new))

    return tuple(granting(change) for change in changes)


def _build_policy(build: DesiredBuild) -> str:
    statements = [
        {
            "Effect": statement.effect,
            "Action": statement.actions,
            "Resource": statement.resources,
            "Condition": statement.conditions,
        }
        for statement in build.settings.policy_statements
    ]
    return json.dumps({"Statement": statements})
