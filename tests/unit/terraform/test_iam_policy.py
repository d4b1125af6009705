"""The least policies: what they allow for a manifest, how they are split, and whom a role trusts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.golden import assert_golden
from tests.support.roles import actions_of
from toolkit.errors import UsageError
from toolkit.manifest.loader import load, loads
from toolkit.plan.desired import Desired
from toolkit.plan.resolve import resolve
from toolkit.sandbox.access_control import Right, allows
from toolkit.terraform.iam_policy import (
    MANAGED_POLICY_LIMIT,
    Place,
    apply_policy,
    as_terraform,
    build_policy,
    documents,
    lock_policy,
    plan_policy,
    prune_policy,
    refresh_policy,
    seed_policy,
    status_policy,
    trust_policy,
)

COMPLETE = Path(__file__).parents[3] / "examples" / "complete" / "images.yaml"
PLACE = Place("123456789012", "ap-northeast-1")
HEAD = "version: 1\nname: shop\naws: {region: ap-northeast-1}\n"
ECR = "arn:aws:ecr:ap-northeast-1:123456789012:repository"


def desired_of(text: str) -> Desired:
    return resolve(loads(HEAD + text, "images.yaml"))


@pytest.mark.parametrize(
    "command",
    [plan_policy, apply_policy, seed_policy, lock_policy, prune_policy, status_policy],
    ids=lambda command: command.__name__,
)
def test_prints_the_policy_of_the_complete_example(command: Any) -> None:
    policies = documents(command(resolve(load(COMPLETE)), PLACE))
    assert_golden(f"iam_policy/{command.__name__}.json", json.dumps(policies, indent=2) + "\n")


@pytest.mark.parametrize("name", ["web", "release", "pipeline"])
def test_prints_the_policy_of_each_build_of_the_complete_example(name: str) -> None:
    desired = resolve(load(COMPLETE))
    [build] = [build for build in desired.builds if build.name == name]
    [policy] = documents(build_policy(desired, build, PLACE))
    assert_golden(f"iam_policy/build_{name}.tf", as_terraform(f"platform-build-{name}", [policy]))


def test_trusts_as_terraform() -> None:
    policy = trust_policy("github", "acme/web", "environment:base-images", PLACE, is_read_only=False)
    assert_golden("iam_policy/trust.tf", as_terraform("shop-apply-trust", [policy], is_trust=True))


@pytest.mark.parametrize(
    ("command", "can_write"), [(plan_policy, False), (apply_policy, False), (seed_policy, False), (lock_policy, True)]
)
def test_lets_every_command_read_a_lock_in_s3_and_only_lock_write_it(command: Any, can_write: bool) -> None:
    statements = command(desired_of("lock: s3://locks/shop.yaml\nimages: [nginx:1]\n"), PLACE)
    actions = {
        action for one in statements if "arn:aws:s3:::locks/shop.yaml" in one.resources for action in one.actions
    }
    assert actions == {"s3:GetObject", *(["s3:PutObject"] if can_write else [])}


def test_lets_a_refresh_push_and_write_its_own_objects_and_touch_nothing_of_terraform() -> None:
    text = """
lock: s3://base/lock.yaml
terraform: {backend: {s3: {bucket: state, key: shop.tfstate}}}
refresh:
  schedule: rate(1 day)
  bucket: base
  tool: {wheel: "s3://tools/base_image_toolkit-1.0-py3-none-any.whl", sha256: "SUM"}
images: [nginx:1]
builds: [{name: web, source: {type: GITHUB, location: "https://github.com/acme/web.git"}, images: [nginx:1]}]
""".replace("SUM", "0" * 64)
    policies = documents(refresh_policy(desired_of(text), PLACE))
    assert_golden("iam_policy/refresh_policy.json", json.dumps(policies, indent=2) + "\n")
    assert not re.search(r"iam:|codebuild:|shop\.tfstate|Delete", json.dumps(policies))


@pytest.mark.parametrize("count", [1, 60, 400])
def test_splits_what_is_too_large_and_loses_and_widens_nothing(count: int) -> None:
    desired = desired_of(f"images: [{', '.join(f'team-{number}/app:1' for number in range(count))}]")
    statements = apply_policy(desired, PLACE)
    policies = documents(statements)
    assert all(len("".join(json.dumps(policy).split())) <= MANAGED_POLICY_LIMIT for policy in policies)
    assert (len(policies) > 1) == (count > 60)
    shown = {
        (action, resource, json.dumps(statement.get("Condition", {})))
        for policy in policies
        for statement in policy["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
    }
    assert shown == {
        (action, resource, json.dumps(statement.conditions))
        for statement in statements
        for action in statement.actions
        for resource in statement.resources
    }


@pytest.mark.parametrize(
    ("action", "resource", "is_allowed"),
    [
        ("ecr:PutImage", f"{ECR}/docker-hub/library/app", True),
        ("ecr:PutImage", f"{ECR}/docker-hub/library/app2", False),
        ("ecr:PutImage", "arn:aws:ecr:eu-west-1:123456789012:repository/docker-hub/library/app", False),
        ("ecr:DescribeRepositories", f"{ECR}/*", True),
        ("ecr:DeleteRepository", f"{ECR}/*", False),
        ("ecr:PutRegistryPolicy", "*", False),
        ("iam:CreateRole", "arn:aws:iam::123456789012:role/shop-web-codebuild-ap-northeast-1", True),
        ("iam:CreateRole", "arn:aws:iam::123456789012:role/shop-api-codebuild-ap-northeast-1", False),
        ("iam:AttachRolePolicy", "arn:aws:iam::123456789012:role/shop-web-codebuild-ap-northeast-1", False),
        ("logs:DeleteLogGroup", "arn:aws:logs:ap-northeast-1:123456789012:log-group:/aws/codebuild/shop-web:log-stream:", True),
        ("logs:DeleteLogGroup", "arn:aws:logs:ap-northeast-1:123456789012:log-group:/aws/codebuild/shop-web2:log-stream:", False),
        ("s3:PutObject", "arn:aws:s3:::states/shop.tfstate", True),
        ("s3:PutObject", "arn:aws:s3:::states/shop.tfstate.tflock", True),
        ("s3:DeleteObject", "arn:aws:s3:::states/shop.tfstate", False),
        ("s3:PutObject", "arn:aws:s3:::states/other.tfstate", False),
        ("dynamodb:PutItem", "arn:aws:dynamodb:ap-northeast-1:123456789012:table/locks", False),
    ],
)  # fmt: skip
def test_is_about_the_names_of_the_manifest_and_no_others(action: str, resource: str, is_allowed: bool) -> None:
    desired = desired_of(
        "terraform: {backend: {s3: {bucket: states, key: shop.tfstate}}}\nimages: [app:1]\n"
        "builds: [{name: web, source: {type: GITHUB, location: 'https://github.com/a/b'}, images: [app:1]}]"
    )
    policies = [statement.document() for statement in apply_policy(desired, PLACE)]
    assert allows([{"Statement": policies}], Right(action, resource)) is is_allowed


@pytest.mark.parametrize("passed_to", ["codebuild.amazonaws.com", "lambda.amazonaws.com"])
def test_passes_roles_to_codebuild_alone(passed_to: str) -> None:
    desired = desired_of(
        "images: [app:1]\nbuilds: [{name: web, source: {type: NO_SOURCE}, commands: [make], images: [app:1]}]"
    )
    policy = {"Statement": [statement.document() for statement in apply_policy(desired, PLACE)]}
    role = "arn:aws:iam::123456789012:role/shop-web-codebuild-ap-northeast-1"
    right = Right("iam:PassRole", role, {"iam:PassedToService": passed_to})
    assert allows([policy], right) is (passed_to == "codebuild.amazonaws.com")


@pytest.mark.parametrize("boundary", ["arn:aws:iam::123456789012:policy/bound", None])
def test_grants_nothing_beyond_a_boundary(boundary: str | None) -> None:
    desired = desired_of(
        "images: [app:1]\nbuilds: [{name: web, source: {type: NO_SOURCE}, commands: [make], images: [app:1], "
        "permissions_boundary: 'arn:aws:iam::123456789012:policy/bound'}]"
    )
    policy = {"Statement": [statement.document() for statement in apply_policy(desired, PLACE)]}
    role = "arn:aws:iam::123456789012:role/shop-web-codebuild-ap-northeast-1"
    for action in ("iam:CreateRole", "iam:PutRolePolicy"):
        context = {"iam:PermissionsBoundary": boundary} if boundary else {}
        assert allows([policy], Right(action, role, context)) is bool(boundary)
    assert "iam:DeleteRolePermissionsBoundary" not in actions_of(apply_policy(desired, PLACE))


def test_a_plan_changes_nothing_but_its_lock_and_state() -> None:
    changing = {
        action
        for action in actions_of(plan_policy(resolve(load(COMPLETE)), PLACE))
        if not action.partition(":")[2].startswith(("BatchGet", "Describe", "Get", "List"))
    }
    assert changing == {
        "dynamodb:DeleteItem", "dynamodb:PutItem", "kms:Decrypt", "kms:GenerateDataKey", "s3:DeleteObject",
        "s3:PutObject", "sts:AssumeRole",
    }  # fmt: skip


def test_a_workspace_has_a_state_of_its_own() -> None:
    desired = desired_of(
        "terraform: {workspace: blue, backend: {s3: {bucket: states, key: shop.tfstate}}}\nimages: [app:1]\n"
    )
    policy = {"Statement": [statement.document() for statement in plan_policy(desired, PLACE)]}
    assert allows([policy], Right("s3:PutObject", "arn:aws:s3:::states/env:/blue/shop.tfstate"))
    assert not allows([policy], Right("s3:PutObject", "arn:aws:s3:::states/shop.tfstate"))


def test_another_partition_has_its_own_names() -> None:
    place = Place("123456789012", "cn-north-1", "aws-cn", "amazonaws.com.cn")
    text = json.dumps(documents(apply_policy(desired_of("images: [app:1]"), place)))
    assert "arn:aws-cn:ecr:cn-north-1" in text
    assert "arn:aws:" not in text


GITHUB = "token.actions.githubusercontent.com"


@pytest.mark.parametrize(
    ("given", "subject"),
    [
        (("github", "acme/web", "refs/heads/main"), "repo:acme/web:ref:refs/heads/main"),
        (("github", "acme/web", "refs/tags/v1"), "repo:acme/web:ref:refs/tags/v1"),
        (("github", "acme/web", "environment:base images"), "repo:acme/web:environment:base images"),
        (("github", "acme/web", "environment:prod:1"), "repo:acme/web:environment:prod%3A1"),
        (("github", "acme@12/web@34", "refs/heads/main"), "repo:acme@12/web@34:ref:refs/heads/main"),
        (("gitlab", "acme/web", "main"), "project_path:acme/web:ref_type:branch:ref:main"),
        (("gitlab", "acme/sub/web", "refs/tags/v1"), "project_path:acme/sub/web:ref_type:tag:ref:v1"),
    ],
)
def test_trusts_one_project_at_one_ref(given: tuple[str, str, str], subject: str) -> None:
    [statement] = trust_policy(*given, PLACE, is_read_only=False)["Statement"]
    issuer, audience = (GITHUB, "sts.amazonaws.com") if given[0] == "github" else ("gitlab.com", "https://gitlab.com")
    assert statement["Principal"] == {"Federated": f"arn:aws:iam::123456789012:oidc-provider/{issuer}"}
    assert statement["Condition"] == {"StringEquals": {f"{issuer}:aud": audience, f"{issuer}:sub": subject}}


def test_trusts_a_gitlab_of_one_s_own() -> None:
    policy = trust_policy("gitlab", "https://git.acme.example/a/b", "main", PLACE, is_read_only=False)
    conditions = policy["Statement"][0]["Condition"]["StringEquals"]
    assert conditions["git.acme.example:aud"] == "https://git.acme.example"


@pytest.mark.parametrize(
    "given",
    [
        ("github", "acme/*", "refs/heads/main"),
        ("github", "*/web", "refs/heads/main"),
        ("github", "acme/web", "*"),
        ("github", "acme/web", "refs/heads/*"),
        ("github", "acme/web", "refs/heads/ma?n"),
        ("github", "acme/web", "refs/pull/1/merge"),
        ("github", "acme/web", "environment:*"),
        ("github", "acme/web", "pull_request"),
        ("github", "acme/web", "refs/heads/main,pull_request"),
        ("github", "acme/web", "refs/heads/main,"),
        ("github", "acme/web", "main"),
        ("github", "acme@1/web", "refs/heads/main"),
        ("github", "acme/web:x", "refs/heads/main"),
        ("github", "acme/web/x", "refs/heads/main"),
        ("github", "acme/web\n", "refs/heads/main"),
        ("gitlab", "acme", "main"),
        ("gitlab", "acme/*", "main"),
        ("gitlab", "http://git.acme.example/a/b", "main"),
        ("gitlab", "acme/web", "feature-*"),
        ("gitlab", "acme/web", "main:x"),
        ("gitlab", "acme/web", "*"),
        ("bitbucket", "acme/web", "main"),
    ],
)
def test_trusts_nobody_whom_a_stranger_could_be(given: tuple[str, str, str]) -> None:
    with pytest.raises(UsageError) as refused:
        trust_policy(*given, PLACE, is_read_only=False)
    assert refused.value.hint


def test_a_role_that_only_reads_may_trust_pull_requests_and_other_refs_at_github() -> None:
    [statement] = trust_policy("github", "acme/web", "pull_request,refs/heads/main", PLACE, is_read_only=True)[
        "Statement"
    ]
    subjects = ["repo:acme/web:pull_request", "repo:acme/web:ref:refs/heads/main"]
    assert statement["Condition"]["StringEquals"][f"{GITHUB}:sub"] == subjects


def test_a_role_that_only_reads_may_trust_every_branch_at_gitlab() -> None:
    [statement] = trust_policy("gitlab", "acme/web", "*", PLACE, is_read_only=True)["Statement"]
    assert statement["Condition"]["StringLike"] == {"gitlab.com:sub": "project_path:acme/web:ref_type:branch:ref:*"}


def test_replicas_get_their_rights_in_their_region_and_seed_may_set_no_rule() -> None:
    text = "version: 1\nname: shop\naws: {region: eu-west-1, replicate_to: [us-east-1]}\n"
    found = resolve(loads(text + "repositories: {prefix: mirror}\nimages: [nginx:1.27]\n", "images.yaml"))
    place = Place("123456789012", "eu-west-1")
    there = "arn:aws:ecr:us-east-1:123456789012:repository/mirror/docker-hub/library/nginx"

    apply, seed, plan, status, lock = (
        {action: s.resources for s in policy(found, place) for action in s.actions}
        for policy in (apply_policy, seed_policy, plan_policy, status_policy, lock_policy)
    )
    assert there in apply["ecr:CreateRepository"]
    assert "*" in apply["ecr:PutReplicationConfiguration"]
    assert there in seed["ecr:DescribeImages"]
    assert "*" in seed["ecr:StartReplicationBackfill"]
    assert "*" in plan["ecr:DescribeRegistry"] and "*" in seed["ecr:DescribeRegistry"]
    assert there in status["ecr:DescribeImages"] and there not in lock["ecr:DescribeImages"]
    assert "ecr:DescribeRegistry" not in {*status, *lock}
    assert not {"ecr:PutReplicationConfiguration", "iam:CreateServiceLinkedRole", "ecr:CreateRepository"} & {
        *seed,
        *plan,
    }
    assert there not in apply["ecr:PutImage"]
