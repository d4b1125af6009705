"""Repositories that were made by hand are taken over with all that others have of them, and so after a lost state."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from tests.e2e.conftest import Laptop
from tests.support.toolkit_run import Toolkit

MANIFEST = """\
version: 1
name: shop
aws: {{region: eu-west-1, resource_tags: {{team: platform}}}}
repositories: {{pull_principals: ["111122223333"]}}
images:
{images}
builds:
  - name: web
    source: {{type: GITHUB, location: "https://github.com/acme/web.git"}}
    images: [app01:1]
    log_retention_days: {days}
"""
OURS = [f"docker-hub/library/app{number:02}" for number in range(1, 9)]
OTHERS = [f"made-by-hand/{number:02}" for number in range(1, 23)]
IMMUTABLE, ENCRYPTED, SHARED, TAGGED = OURS[:2], OURS[2], OURS[3], OURS[4]
KEY = "arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d-0000-0000-0000-000000000000"
PARTNER = "arn:aws:iam::210987654321:root"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Partner",
            "Effect": "Allow",
            "Principal": {"AWS": PARTNER},
            "Action": ["ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage", "ecr:DescribeImages"],
        }
    ],
}
LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 5,
            "description": "keep ten",
            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 10},
            "action": {"type": "expire"},
        }
    ]
}
ROLE, PROJECT = "shop-web-codebuild-eu-west-1", "shop-web"
RIGHTS = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]}]}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ADOPT = ("--adopt", "docker-hub/*", "--adopt", "web")


def client(toolkit: Toolkit, service: str) -> Any:
    values = toolkit.environment
    return boto3.client(
        service,  # type: ignore[call-overload]  # a name that is not a literal
        region_name="eu-west-1",
        endpoint_url=values["AWS_ENDPOINT_URL"],
        aws_access_key_id=values["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
    )


def make_by_hand(toolkit: Toolkit) -> None:
    ecr, iam = client(toolkit, "ecr"), client(toolkit, "iam")
    for name in OURS + OTHERS:
        kms = {"encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": KEY}} if name == ENCRYPTED else {}
        mutability = "IMMUTABLE" if name in IMMUTABLE else "MUTABLE"
        tags = [{"Key": "cost-centre", "Value": "4711"}] if name == TAGGED else []
        ecr.create_repository(repositoryName=name, imageTagMutability=mutability, tags=tags, **kms)
    ecr.set_repository_policy(repositoryName=SHARED, policyText=json.dumps(POLICY))
    ecr.put_lifecycle_policy(repositoryName=TAGGED, lifecyclePolicyText=json.dumps(LIFECYCLE))
    role = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName=ROLE, PolicyName="build", PolicyDocument=json.dumps(RIGHTS))
    client(toolkit, "logs").create_log_group(logGroupName=f"/aws/codebuild/{PROJECT}")
    client(toolkit, "codebuild").create_project(
        name=PROJECT,
        source={"type": "GITHUB", "location": "https://github.com/acme/web.git"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "x", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole=role,
    )


def seen(ecr: Any) -> dict[str, Any]:
    """What others have of the repositories."""
    found = {about["repositoryName"]: about for about in ecr.describe_repositories()["repositories"]}
    tags = ecr.list_tags_for_resource(resourceArn=found[TAGGED]["repositoryArn"])["tags"]
    return {
        "made": {name: about["createdAt"] for name, about in found.items()},
        "immutable": sorted(name for name, about in found.items() if about["imageTagMutability"] == "IMMUTABLE"),
        "encryption": found[ENCRYPTED]["encryptionConfiguration"],
        "partner": sorted(
            action
            for statement in json.loads(ecr.get_repository_policy(repositoryName=SHARED)["policyText"])["Statement"]
            if PARTNER in str(statement["Principal"]) or "210987654321" in str(statement["Principal"])
            for action in statement["Action"]
        ),
        "tags": {tag["Key"]: tag["Value"] for tag in tags}["cost-centre"],
        "lifecycle": json.loads(ecr.get_lifecycle_policy(repositoryName=TAGGED)["lifecyclePolicyText"]),
    }


def manifest(settings: dict[str, object], days: int = 30) -> str:
    lines = [
        f'  - {{source: "{name.rpartition("/")[2]}:1", repository_settings: {json.dumps(settings.get(name, {}))}}}'
        for name in OURS
    ]
    return MANIFEST.format(images="\n".join(lines), days=days)


@pytest.mark.slow
def test_nothing_is_lost_and_the_second_plan_is_empty(open_laptop: Callable[[str], Laptop]) -> None:
    laptop = open_laptop(manifest({}))
    toolkit, ecr = laptop.toolkit, client(laptop.toolkit, "ecr")
    make_by_hand(toolkit)
    before = seen(ecr)

    refused = toolkit.run("plan", "--format", "json").expect(7).document["plan"]
    assert {refusal["code"] for refusal in refused["refusals"]} == {"infra.not_ours"}
    hints = [refusal["hint"].rpartition("--adopt ")[2] for refusal in refused["refusals"]]
    assert hints == [f"'{name}'" for name in (*OURS, "web", "web", "web")]
    assert refused["infra_changes"] == []
    assert refused["adopted"] == []

    judged = toolkit.run("plan", *ADOPT, "--format", "json").expect(7).document["plan"]
    named = {(refusal["code"], name) for refusal in judged["refusals"] for name in OURS if name in refusal["message"]}
    assert named == {
        ("adopt.encryption_differs", ENCRYPTED),
        ("adopt.loses_principal", SHARED),
        ("adopt.loses_tag", TAGGED),
    }
    assert "adopt.loses_logs" in {refusal["code"] for refusal in judged["refusals"]}
    settings = {one["repository"]: one["settings"] for one in judged["adopted"]}
    assert list(settings) == OURS

    laptop.write(manifest(settings, days=0))
    adopted = toolkit.run("apply", *ADOPT, "--auto-approve", "--format", "json").expect(0).document["report"]
    addresses = {change["address"]: change for change in adopted["infra_changes"]}
    assert not {"delete", "replace"} & {change["action"] for change in addresses.values()}
    assert [address for address, change in addresses.items() if change["action"] == "create"] == []
    assert f'{_module(SHARED)}.aws_ecr_repository_policy.this["this"]' in addresses
    assert seen(ecr) == before
    rights = client(toolkit, "iam").get_role_policy(RoleName=ROLE, PolicyName="build")["PolicyDocument"]
    assert "s3:*" not in str(rights)
    toolkit.run("plan", "--detailed-exitcode").expect(0)

    [state] = (found for found in laptop.folder.rglob("terraform.tfstate") if found.parent.name != ".terraform")
    state.unlink()
    again = toolkit.run("apply", "--auto-approve", "--format", "json").expect(0).document["report"]
    assert {change["action"] for change in again["infra_changes"]} == {"import"}
    assert {change["address"] for change in again["infra_changes"]} == set(addresses)
    assert seen(ecr) == before
    toolkit.run("plan", "--detailed-exitcode").expect(0)


def _module(repository: str) -> str:
    return f'module.base_images.module.repositories["{repository}"]'
