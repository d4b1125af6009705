from __future__ import annotations

from dataclasses import replace

from tests.support.terraform_samples import DESIRED, WEB
from toolkit.manifest.build_model import StatementSpec
from toolkit.manifest.model import PrincipalsSpec, RepositoryStatementSpec
from toolkit.plan.creation_rights import with_creation_rights
from toolkit.plan.desired import BuildSettings, Desired, DesiredRepository
from toolkit.plan.model import InfraAction, InfraChange
from toolkit.plan.rights import PULL_ACTIONS

STATEMENTS = (
    StatementSpec(actions=("s3:*", "iam:PassRole"), resources=("*",)),
    StatementSpec(
        effect="Deny", actions=("s3:Get",), resources=("arn:aws:s3:::a",), conditions={"Bool": {"x": ("y",)}}
    ),
)
GRANTING = replace(DESIRED, builds=(replace(WEB, settings=BuildSettings(policy_statements=STATEMENTS)),))


def _create(resource: str, name: str) -> InfraChange:
    address = f'module.base_images.module.x["{name}"].{resource}'
    return InfraChange(address, resource.partition(".")[0], InfraAction.CREATE, name)


REPOSITORY = _create("aws_ecr_repository.this", "base/python")
PULL_POLICY = _create('aws_ecr_repository_policy.this["this"]', "base/python")
ROLE = _create("aws_iam_role.this", "web")
BUILD_POLICY = _create("aws_iam_role_policy.this", "web")
EXTRA_POLICY = _create('aws_iam_role_policy.extra["this"]', "web")


def _grants(desired: Desired, *changes: InfraChange) -> list[tuple[str, bool]]:
    found = [grant for change in with_creation_rights(desired, changes) for grant in change.grants]
    assert all(grant.is_added for grant in found)
    return [(grant.statement, grant.is_widening) for grant in found]


def test_a_new_repository_says_who_may_pull() -> None:
    assert _grants(DESIRED, REPOSITORY, PULL_POLICY) == [
        ("everyone may pull if aws:PrincipalOrgID = o-a1b2c3d4e5", True),
        ("210987654321 may pull", False),
    ]


def test_a_new_repository_says_what_its_own_statements_allow() -> None:
    statements = (
        RepositoryStatementSpec(
            principals=PrincipalsSpec(services=("codebuild.amazonaws.com",)),
            actions=PULL_ACTIONS,
            conditions={"StringEquals": {"aws:SourceAccount": ("123456789012",)}},
        ),
        RepositoryStatementSpec(principals=PrincipalsSpec(aws=("210987654321",)), actions=("ecr:*",)),
    )
    repository = DesiredRepository("base/python", policy_statements=statements)
    assert _grants(replace(DESIRED, repositories=(repository,)), REPOSITORY, PULL_POLICY) == [
        ("210987654321 may ecr:*", True),
        ("codebuild.amazonaws.com may pull if aws:SourceAccount = 123456789012", False),
    ]


def test_the_first_policy_of_a_repository_that_stands_widens_its_rights() -> None:
    assert ("210987654321 may pull", True) in _grants(DESIRED, PULL_POLICY)


def test_a_new_build_says_what_it_may_beyond_every_other() -> None:
    assert _grants(GRANTING, ROLE, BUILD_POLICY, EXTRA_POLICY) == [
        ("role of web: iam:PassRole, s3:* on *", True),
        ("role of web: denied s3:Get on arn:aws:s3:::a if x = y", False),
    ]


def test_only_creations_of_the_manifest_are_filled_in() -> None:
    other = _create('aws_iam_role_policy.extra["this"]', "unknown")
    deleted = replace(EXTRA_POLICY, action=InfraAction.DELETE)
    assert _grants(GRANTING, ROLE, other, deleted, _create("aws_ecr_repository_policy.this", "unknown")) == []
