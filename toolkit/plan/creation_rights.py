"""The rights that a creation gives, as the manifest says them; pure.

Terraform's plan has them too, but reading it starts the provider once more. What every build is given, to pull its
images and write its log, is no news and left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from toolkit.plan.desired import Desired, DesiredBuild, DesiredRepository
from toolkit.plan.model import InfraAction, InfraChange
from toolkit.plan.rights import PULL_ACTIONS, compare_policies

if TYPE_CHECKING:
    from toolkit.manifest.build_parts import StatementSpec
    from toolkit.manifest.repository_statement import RepositoryStatementSpec

# The role policy of the module `codebuild-project` that has the manifest's `policy_statements`.
_EXTRA_POLICY = ".aws_iam_role_policy.extra["


def with_creation_rights(desired: Desired, changes: Iterable[InfraChange]) -> tuple[InfraChange, ...]:
    """`changes` with the rights that each created policy gives."""
    changes = tuple(changes)
    created = {(change.resource_type, change.name) for change in changes if change.action is InfraAction.CREATE}
    repositories = {repository.name: repository for repository in desired.repositories}
    builds = {build.name: build for build in desired.builds}

    def granting(change: InfraChange) -> InfraChange:
        if change.action is not InfraAction.CREATE:
            return change
        if change.resource_type == "aws_ecr_repository_policy" and change.name in repositories:
            policy, of = _repository_policy(repositories[change.name]), ""
            is_new = ("aws_ecr_repository", change.name) in created
        elif _EXTRA_POLICY in change.address and change.name in builds:
            policy, of = _build_policy(builds[change.name]), f"role of {change.name}"
            is_new = ("aws_iam_role", change.name) in created
        else:
            return change
        return replace(change, grants=compare_policies(None, policy, of, is_new=is_new))

    return tuple(granting(change) for change in changes)


def _repository_policy(repository: DesiredRepository) -> str:
    may_pull = {"Effect": "Allow", "Action": list(PULL_ACTIONS)}
    statements: list[Mapping[str, object]] = []
    if repository.pull_principals:
        statements.append({**may_pull, "Principal": {"AWS": list(repository.pull_principals)}})
    if repository.organization_id is not None:
        condition = {"StringEquals": {"aws:PrincipalOrgID": repository.organization_id}}
        statements.append({**may_pull, "Principal": "*", "Condition": condition})
    for statement in repository.policy_statements:
        names = {"AWS": list(statement.principals.aws), "Service": list(statement.principals.services)}
        statements.append({**_statement(statement), "Principal": names})
    return json.dumps({"Statement": statements})


def _build_policy(build: DesiredBuild) -> str:
    statements = [
        {**_statement(statement), "Resource": list(statement.resources)}
        for statement in build.settings.policy_statements
    ]
    return json.dumps({"Statement": statements})


def _statement(statement: StatementSpec | RepositoryStatementSpec) -> dict[str, object]:
    return {
        "Effect": statement.effect,
        "Action": list(statement.actions),
        "Condition": {operator: dict(keys) for operator, keys in statement.conditions.items()},
    }
