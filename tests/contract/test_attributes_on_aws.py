"""What a plan says of changes by hand and by the manifest, with the real Terraform and AWS provider."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.real_parts import missing, require
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.terraform_samples import DESIRED, DOCS, NGINX, WEB
from toolkit.errors import TerraformFailed
from toolkit.manifest.build_model import StatementSpec
from toolkit.plan.desired import Desired, DesiredRepository
from toolkit.plan.model import AttributeChange, InfraAction, InfraChange
from toolkit.terraform.provider_mirror import find
from toolkit.terraform.root_module import Adoption, render, repository_address
from toolkit.terraform.runner import PlanFile, TerraformRunner
from toolkit.terraform.work_dir import WorkDir, write

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("attributes_on_aws")]

REPOSITORIES = (
    *DESIRED.repositories,
    DesiredRepository("tagged"),
    DesiredRepository("shared", pull_principals=("2" * 12,)),
)
PUBLISH = StatementSpec(actions=("s3:PutObject",), resources=("arn:aws:s3:::site/*",))
PROTECT = StatementSpec(effect="Deny", actions=("s3:*",), resources=("arn:aws:s3:::secret/*",))
FIRST = replace(
    DESIRED,
    repositories=REPOSITORIES,
    builds=(replace(WEB, settings=replace(WEB.settings, policy_statements=(PUBLISH, PROTECT))), DOCS),
)
ADOPTED = ("adopt/other", "adopt/same")
SECOND = replace(
    DESIRED,
    repositories=(
        replace(REPOSITORIES[0], encryption_type="KMS"),
        REPOSITORIES[1],
        REPOSITORIES[2],
        replace(REPOSITORIES[3], pull_principals=()),
        *(DesiredRepository(name, scan_on_push=False) for name in ADOPTED),
        DesiredRepository("new"),
    ),
    builds=(
        replace(
            WEB,
            timeout_minutes=10,
            images=(*WEB.images, replace(WEB.images[0], repository="new")),
            settings=replace(
                WEB.settings, policy_statements=(PUBLISH, StatementSpec(actions=("s3:*",), resources=("*",)))
            ),
        ),
        DOCS,
    ),
)


class CountingRunner(TerraformRunner):
    """Knows how often the provider was started to show a plan."""

    shows = 0

    def show(self, plan_file: PlanFile) -> Mapping[str, Any]:
        self.shows += 1
        return super().show(plan_file)


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    require("terraform")
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


def _plan(runner: TerraformRunner, path: Path, desired: Desired, *adopt: Adoption) -> PlanFile:
    work_dir = write(render(desired, adopt=adopt), path)
    try:
        runner.init(work_dir)
    except TerraformFailed as error:
        if error.code == "terraform.registry_unreachable":
            missing("the AWS provider cannot be had: name a mirror in TOOLKIT_PROVIDER_MIRROR")
        raise
    return runner.detail(runner.plan(work_dir))


def _summary(work_dir: WorkDir) -> dict[str, int]:
    """Terraform's own count of the last plan."""
    newest = max(work_dir.logs_path.glob("*-plan.stdout"))
    lines = map(json.loads, newest.read_text().splitlines())
    [summary] = [line["changes"] for line in lines if line["type"] == "change_summary"]
    return {key: summary[key] for key in ("add", "change", "import", "remove")}


def _count(changes: tuple[InfraChange, ...]) -> dict[str, int]:
    actions = Counter(change.action for change in changes)
    return {
        "add": actions[InfraAction.CREATE] + actions[InfraAction.REPLACE],
        "change": actions[InfraAction.UPDATE],
        "import": sum(change.is_imported for change in changes),
        "remove": actions[InfraAction.DELETE] + actions[InfraAction.REPLACE],
    }


def _of(changes: tuple[InfraChange, ...], resource: str, name: str) -> InfraChange:
    [found] = [change for change in changes if f".{resource}" in change.address and change.name == name]
    return found


def _grants(change: InfraChange) -> list[str]:
    return [f"{'+' if g.is_added else '-'} {g.statement}{' (!)' if g.is_widening else ''}" for g in change.grants]


def test_a_plan_says_what_changes_and_what_somebody_has_changed(aws: RunningSandbox, tmp_path: Path) -> None:
    runner = CountingRunner(
        "terraform",
        lambda event: None,
        find_mirror=lambda: find(os.environ, Path.home()),
        environment=aws.environment(),
    )
    runner.apply(_plan(runner, tmp_path, FIRST))
    calm = _plan(runner, tmp_path, FIRST)
    assert (calm.changes, calm.drift) == ((), ())
    assert runner.shows == 0, "what is created or unchanged needs no second start of the provider"

    _change_by_hand(aws)
    drifted = _plan(runner, tmp_path, FIRST)
    assert _count(drifted.changes) == _summary(drifted.work_dir)
    _look_at_drift(drifted)

    planned = _plan(runner, tmp_path, SECOND, *(Adoption(repository_address(name), name) for name in ADOPTED))
    counted = _count(planned.changes)
    assert counted == _summary(planned.work_dir)
    assert all(counted.values()), "every kind of change is in it"
    _look_at_changes(planned.changes)

    aws.client("iam", DESIRED.region).delete_role_policy(RoleName=WEB.role_name(DESIRED.region), PolicyName="backdoor")
    runner.apply(planned)
    assert not _plan(runner, tmp_path, SECOND).changes


def _change_by_hand(aws: RunningSandbox) -> None:
    ecr, iam = aws.client("ecr", DESIRED.region), aws.client("iam", DESIRED.region)
    ecr.create_repository(repositoryName="adopt/same")
    ecr.create_repository(repositoryName="adopt/other", imageTagMutability="IMMUTABLE")
    ecr.put_image_scanning_configuration(repositoryName=NGINX, imageScanningConfiguration={"scanOnPush": False})
    ecr.put_image_tag_mutability(repositoryName=NGINX, imageTagMutability="IMMUTABLE")
    policy = json.loads(ecr.get_repository_policy(repositoryName="base/python")["policyText"])
    policy["Statement"][0]["Principal"] = {"AWS": ["arn:aws:iam::210987654321:root", "9" * 12]}
    ecr.set_repository_policy(repositoryName="base/python", policyText=json.dumps(policy))
    [tagged] = ecr.describe_repositories(repositoryNames=["tagged"])["repositories"]
    ecr.tag_resource(resourceArn=tagged["repositoryArn"], tags=[{"Key": "team", "Value": "other"}])
    role = WEB.role_name(DESIRED.region)
    everything = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    iam.put_role_policy(RoleName=role, PolicyName="extra", PolicyDocument=json.dumps(everything))
    iam.put_role_policy(RoleName=role, PolicyName="backdoor", PolicyDocument=json.dumps(everything))
    logs = aws.client("logs", DESIRED.region)
    logs.put_retention_policy(logGroupName=WEB.log_group_name, retentionInDays=1)
    logs.delete_log_group(logGroupName=DOCS.log_group_name)


def _look_at_drift(planned: PlanFile) -> None:
    drift, changes = planned.drift, planned.changes
    assert {(change.action, change.name, change.resource_type, change.reason) for change in drift} == {
        (InfraAction.UPDATE, NGINX, "aws_ecr_repository", "put_back"),
        (InfraAction.UPDATE, "tagged", "aws_ecr_repository", "put_back"),
        (InfraAction.UPDATE, "base/python", "aws_ecr_repository_policy", "put_back"),
        (InfraAction.UPDATE, "web", "aws_cloudwatch_log_group", "put_back"),
        (InfraAction.UPDATE, "web", "aws_iam_role_policy", "put_back"),
        (InfraAction.UPDATE, "web", "aws_iam_role", "recorded"),
        (InfraAction.DELETE, "docs", "aws_cloudwatch_log_group", "put_back"),
    }
    assert _of(drift, "aws_ecr_repository.", NGINX).changes == (
        AttributeChange("image_scanning_configuration[0].scan_on_push", True, False),
        AttributeChange("image_tag_mutability", "MUTABLE", "IMMUTABLE"),
    )
    assert _of(changes, "aws_ecr_repository.", NGINX).changes == (
        AttributeChange("image_scanning_configuration[0].scan_on_push", False, True),
        AttributeChange("image_tag_mutability", "IMMUTABLE", "MUTABLE"),
    )
    assert _of(drift, "aws_ecr_repository.", "tagged").changes == (AttributeChange("tags.team", "platform", "other"),)
    assert _grants(_of(drift, "aws_ecr_repository_policy.", "base/python")) == ["+ 999999999999 may pull (!)"]
    assert _grants(_of(changes, "aws_ecr_repository_policy.", "base/python")) == ["- 999999999999 may pull"]
    assert _of(changes, "aws_cloudwatch_log_group.", "web").changes == (AttributeChange("retention_in_days", 1, 30),)
    assert _grants(_of(drift, "aws_iam_role.", "web")) == ["+ role of web: * on * (!)"]
    assert _grants(_of(drift, "aws_iam_role_policy.extra", "web"))[0] == "+ role of web: * on * (!)"
    assert _of(changes, "aws_cloudwatch_log_group.", "docs").action is InfraAction.CREATE


def _look_at_changes(changes: tuple[InfraChange, ...]) -> None:
    replaced = _of(changes, "aws_ecr_repository.", "base/python")
    assert replaced.action is InfraAction.REPLACE
    assert replaced.replace_because == ("encryption_configuration[0].encryption_type",)
    assert AttributeChange(replaced.replace_because[0], "AES256", "KMS") in replaced.changes
    assert "arn" not in {change.path for change in replaced.changes}

    same, other = (_of(changes, "aws_ecr_repository.", name) for name in reversed(ADOPTED))
    assert same.is_imported and other.is_imported
    assert "image_tag_mutability" not in {change.path for change in same.changes}
    assert AttributeChange("image_tag_mutability", "IMMUTABLE", "MUTABLE") in other.changes

    project = _of(changes, "aws_codebuild_project.", "web")
    assert AttributeChange("build_timeout", 60, 10) in project.changes
    extra = _of(changes, "aws_iam_role_policy.extra", "web")
    assert (extra.changes, _grants(extra)) == (
        (),
        ["+ role of web: s3:* on *", "+ role of web: s3:PutObject on arn:aws:s3:::site/*", "- role of web: * on *"],
    )
    # A repository that is new has an ARN of a known form, so that what a build may do is known before it exists.
    assert _grants(_of(changes, "aws_iam_role_policy.this", "web")) == [
        f"+ role of web: pull on arn:aws:ecr:{DESIRED.region}:{DESIRED.account_id}:repository/new"
    ]
    assert _grants(_of(changes, "aws_ecr_repository_policy.", "shared")) == ["- 222222222222 may pull"]
