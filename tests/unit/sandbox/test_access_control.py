"""What a role may do in the sandbox: the evaluation of policies, and the rights that AWS wants for a call."""

from __future__ import annotations

from typing import Any

import pytest

from toolkit.sandbox.access_control import Call, Principal, Right, World, allows, registry_rights, rights_of

ACCOUNT = "123456789012"
ECR = f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/"


def policy(*statements: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"Statement": [{"Effect": "Allow", "Resource": "*", **statement} for statement in statements]}]


@pytest.mark.parametrize(
    ("policies", "is_allowed"),
    [
        ([], False),
        (policy({"Action": "ecr:PutImage"}), True),
        (policy({"Action": ["ecr:Put*"]}), True),
        (policy({"Action": "ECR:putimage"}), True),
        (policy({"Action": "*"}), True),
        (policy({"Action": "ecr:PutImag"}), False),
        (policy({"Action": "ecr:PutImage", "Resource": [f"{ECR}app"]}), True),
        (policy({"Action": "ecr:PutImage", "Resource": f"{ECR}ap?"}), True),
        (policy({"Action": "ecr:PutImage", "Resource": f"{ECR}app2"}), False),
        (policy({"Action": "ecr:PutImage", "Resource": f"{ECR}[a]pp"}), False),
        (policy({"Action": "*"}, {"Action": "ecr:PutImage", "Effect": "Deny"}), False),
        (policy({"Action": "*"}, {"Action": "ecr:PutImage", "Effect": "Deny", "Resource": f"{ECR}other"}), True),
        (policy({"Action": "*", "Condition": {"StringEquals": {"aws:x": ["b", "a"]}}}), True),
        (policy({"Action": "*", "Condition": {"StringEquals": {"aws:x": "A"}}}), False),
        (policy({"Action": "*", "Condition": {"StringLike": {"aws:x": "?"}}}), True),
        (policy({"Action": "*", "Condition": {"StringEquals": {"aws:y": "a"}}}), False),
        (policy({"Action": "*", "Condition": {"StringEqualsIfExists": {"aws:y": "a"}}}), True),
        (policy({"Action": "*", "Condition": {"StringEquals": {"aws:x": "a", "aws:y": "a"}}}), False),
    ],
)
def test_a_right_needs_an_allow_and_no_deny(policies: list[dict[str, Any]], is_allowed: bool) -> None:
    assert allows(policies, Right("ecr:PutImage", f"{ECR}app", {"aws:x": "a"})) is is_allowed


def test_a_refusal_is_aws_s_sentence() -> None:
    role = Principal("arn:aws:sts::1:assumed-role/plan/x", policy({"Action": "ecr:Get*"}))
    assert role.lacks([Right("ecr:GetLifecyclePolicy", "r")]) is None
    assert role.lacks([Right("ecr:GetLifecyclePolicy", "r"), Right("ecr:PutImage", "r")]) == (
        "User: arn:aws:sts::1:assumed-role/plan/x is not authorized to perform: ecr:PutImage on resource: r because no "
        "identity-based policy allows the ecr:PutImage action"
    )


@pytest.mark.parametrize(
    ("method", "path", "actions"),
    [
        ("HEAD", "/v2/a/b/manifests/1", ["ecr:BatchGetImage"]),
        ("PUT", "/v2/a/b/manifests/1", ["ecr:PutImage"]),
        ("GET", "/v2/a/b/blobs/sha256:00", ["ecr:GetDownloadUrlForLayer"]),
        ("POST", "/v2/a/b/blobs/uploads/", ["ecr:InitiateLayerUpload"]),
        ("PUT", "/v2/a/b/blobs/uploads/1", ["ecr:UploadLayerPart", "ecr:CompleteLayerUpload"]),
        ("GET", "/v2/a/b/tags/list", ["ecr:ListImages"]),
        ("GET", "/v2/", []),
    ],
)
def test_a_request_to_the_registry_needs_the_action_of_ecr(method: str, path: str, actions: list[str]) -> None:
    rights = list(registry_rights(method, path, ECR))
    assert [right.action for right in rights] == actions
    assert all(right.resource == f"{ECR}a/b" for right in rights)


KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/k"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/builds"
LOGS = f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:"


@pytest.mark.parametrize(
    ("service", "action", "asked", "rights"),
    [
        ("ecr", "GetAuthorizationToken", {}, {"ecr:GetAuthorizationToken": "*"}),
        ("ecr", "DescribeRepositories", {}, {"ecr:DescribeRepositories": f"{ECR}*"}),
        ("ecr", "DescribeRepositories", {"repositoryNames": ["a/b"]}, {"ecr:DescribeRepositories": f"{ECR}a/b"}),
        ("ecr", "ListTagsForResource", {"resourceArn": f"{ECR}a/b"}, {"ecr:ListTagsForResource": f"{ECR}a/b"}),
        (
            "ecr",
            "CreateRepository",
            {"repositoryName": "a", "tags": [{}], "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": KEY}},
            {
                "ecr:CreateRepository": f"{ECR}a",
                "ecr:TagResource": f"{ECR}a",
                "kms:DescribeKey": KEY,
                "kms:CreateGrant": KEY,
            },
        ),
        ("iam", "GetRole", {"RoleName": "builds"}, {"iam:GetRole": ROLE}),
        (
            "iam",
            "CreateRole",
            {"RoleName": "builds", "Tags.member.1.Key": "x"},
            {"iam:CreateRole": ROLE, "iam:TagRole": ROLE},
        ),
        ("logs", "DescribeLogGroups", {"logGroupNamePrefix": "/x"}, {"logs:DescribeLogGroups": f"{LOGS}:log-stream:"}),
        (
            "logs",
            "CreateLogGroup",
            {"logGroupName": "/x", "tags": {"a": "b"}},
            {"logs:CreateLogGroup": f"{LOGS}/x:log-stream:", "logs:TagResource": f"{LOGS}/x"},
        ),
        ("logs", "TagResource", {"resourceArn": f"{LOGS}/x"}, {"logs:TagResource": f"{LOGS}/x"}),
        ("codebuild", "ListProjects", {}, {"codebuild:ListProjects": "*"}),
        (
            "codebuild",
            "CreateProject",
            {"name": "web", "serviceRole": ROLE},
            {
                "codebuild:CreateProject": f"arn:aws:codebuild:eu-west-1:{ACCOUNT}:project/web",
                "iam:PassRole": ROLE,
            },
        ),
        (
            "events",
            "PutTargets",
            {"Rule": "web", "Targets": [{"RoleArn": ROLE}]},
            {"events:PutTargets": f"arn:aws:events:eu-west-1:{ACCOUNT}:rule/web", "iam:PassRole": ROLE},
        ),
        (
            "sqs",
            "CreateQueue",
            {"QueueName": "lost", "tags": {"a": "b"}},
            dict.fromkeys(("sqs:CreateQueue", "sqs:TagQueue"), f"arn:aws:sqs:eu-west-1:{ACCOUNT}:lost"),
        ),
        (
            "monitoring",
            "PutMetricAlarm",
            {"AlarmName": "silent", "Tags.member.1.Key": "x"},
            dict.fromkeys(
                ("cloudwatch:PutMetricAlarm", "cloudwatch:TagResource"),
                f"arn:aws:cloudwatch:eu-west-1:{ACCOUNT}:alarm:silent",
            ),
        ),
        *(
            (
                "monitoring",
                "DescribeAlarms",
                asked,
                {"cloudwatch:DescribeAlarms": f"arn:aws:cloudwatch:eu-west-1:{ACCOUNT}:alarm:silent"},
            )
            for asked in ({"AlarmNames": ["silent"]}, {"AlarmNames.member.1": "silent"})
        ),
        ("sns", "CreateTopic", {"Name": "ops"}, {"sns:CreateTopic": f"arn:aws:sns:eu-west-1:{ACCOUNT}:ops"}),
        ("sts", "AssumeRole", {"RoleArn": ROLE}, {"sts:AssumeRole": ROLE}),
        ("sts", "GetCallerIdentity", {}, {}),
        (
            "ecr-public",
            "GetAuthorizationToken",
            {},
            {"ecr-public:GetAuthorizationToken": "*", "sts:GetServiceBearerToken": "*"},
        ),
    ],
)
def test_a_call_needs_what_aws_checks(service: str, action: str, asked: dict[str, Any], rights: dict[str, str]) -> None:
    call = Call("", "eu-west-1", service, action, asked)
    assert {right.action: right.resource for right in rights_of(call, ACCOUNT, World())} == rights
