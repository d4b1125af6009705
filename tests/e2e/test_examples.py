"""The examples as they are, planned and applied on a laptop's sandbox, and planned again with nothing left to do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.e2e.conftest import Laptop
from tests.support.toolkit_run import Toolkit

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("examples")]

EXAMPLES = Path(__file__).parents[2] / "examples"
MIRROR, SHOP, REGION = "111111111111", "222222222222", "eu-west-1"


def settle(toolkit: Toolkit, *arguments: str) -> dict[str, Any]:
    """Plan, apply what was planned, and find nothing to do; the report."""
    toolkit.run("plan", *arguments, "--detailed-exitcode").expect(2)
    report = toolkit.run("apply", *arguments, "--auto-approve", "--format", "json").expect(0).document["report"]
    toolkit.run("plan", *arguments, "--detailed-exitcode").expect(0)
    return dict(report)


@pytest.mark.parametrize(("example", "builds", "images"), [("service", 1, 2), ("monorepo", 5, 6)])
def test_an_example_is_applied_once(
    open_laptop: Callable[[str], Laptop], example: str, builds: int, images: int
) -> None:
    laptop = open_laptop((EXAMPLES / example / "images.yaml").read_text())
    report = settle(laptop.toolkit)
    assert [outcome["status"] for outcome in report["outcomes"]] == ["copied"] * images
    made = [change["resource_type"] for change in report["infra_changes"]]
    assert made.count("aws_codebuild_project") == made.count("aws_codebuild_webhook") == builds


class Accounts:
    """The two accounts of the organisation, in one sandbox."""

    def __init__(self, laptop: Laptop) -> None:
        self._laptop = laptop

    def toolkit(self, account: str) -> Toolkit:
        """The program with credentials of `account`, as a pipeline that takes a role there."""
        return Toolkit(self._laptop.folder, {**self._laptop.toolkit.environment, **self._credentials(account)})

    def client(self, account: str, service: str) -> Any:
        credentials = self._credentials(account)
        return boto3.client(
            service,  # type: ignore[call-overload]  # a name that is not a literal
            region_name=REGION,
            endpoint_url=self._laptop.toolkit.environment["AWS_ENDPOINT_URL"],
            aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=credentials["AWS_SESSION_TOKEN"],
        )

    def _credentials(self, account: str) -> dict[str, str]:
        sts = boto3.client(
            "sts",
            region_name=REGION,
            endpoint_url=self._laptop.toolkit.environment["AWS_ENDPOINT_URL"],
            aws_access_key_id="sandbox",
            aws_secret_access_key="sandbox",
        )
        role = f"arn:aws:iam::{account}:role/deploy"
        given = sts.assume_role(RoleArn=role, RoleSessionName="pipeline")["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
        }


@pytest.fixture(scope="module")
def organisation(open_laptop: Callable[[str], Laptop]) -> Iterator[Accounts]:
    """Both manifests applied, each in its account."""
    laptop = open_laptop((EXAMPLES / "organisation" / "mirror" / "images.yaml").read_text())
    (laptop.folder / "shop.yaml").write_text((EXAMPLES / "organisation" / "shop" / "images.yaml").read_text())
    accounts = Accounts(laptop)
    report = settle(accounts.toolkit(MIRROR))
    assert [outcome["status"] for outcome in report["outcomes"]] == ["copied"] * 4
    report = settle(accounts.toolkit(SHOP), "-f", "shop.yaml")
    assert report["outcomes"] == []
    yield accounts


def test_the_team_s_account_has_builds_and_no_repositories(organisation: Accounts) -> None:
    assert organisation.client(SHOP, "ecr").describe_repositories()["repositories"] == []
    assert organisation.client(MIRROR, "codebuild").list_projects()["projects"] == []
    assert organisation.client(SHOP, "codebuild").list_projects()["projects"] == ["shop-web"]


def test_both_sides_of_a_pull_agree(organisation: Accounts) -> None:
    """Across accounts the role's policy must allow it, and the repository's must too."""
    [project] = organisation.client(SHOP, "codebuild").batch_get_projects(names=["shop-web"])["projects"]
    role = project["serviceRole"].rpartition("/")[2]
    policy = organisation.client(SHOP, "iam").get_role_policy(RoleName=role, PolicyName="build")["PolicyDocument"]
    [pull] = [statement for statement in policy["Statement"] if statement["Sid"] == "PullImages"]
    ecr = organisation.client(MIRROR, "ecr")
    repositories = {r["repositoryArn"]: r for r in ecr.describe_repositories()["repositories"]}
    assert set(pull["Resource"]) < set(repositories), "each of its images is in a repository that there is"
    for arn in pull["Resource"]:
        text = ecr.get_repository_policy(repositoryName=repositories[arn]["repositoryName"])["policyText"]
        statements = {statement["Sid"]: statement for statement in json.loads(text)["Statement"]}
        everybody = statements["PullByOrganization"]
        assert everybody["Principal"] == {"AWS": "*"}
        assert everybody["Condition"] == {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}
        assert sorted(everybody["Action"]) == sorted(pull["Action"]), "as much on either side, and no pushing"
        assert statements["PullByPrincipals"]["Principal"] == {"AWS": ["333333333333"]}


def test_the_build_is_told_the_mirror_s_registry_and_pulls_what_is_there(organisation: Accounts) -> None:
    [project] = organisation.client(SHOP, "codebuild").batch_get_projects(names=["shop-web"])["projects"]
    variables = {v["name"]: v["value"] for v in project["environment"]["environmentVariables"]}
    assert variables["TOOLKIT_ECR_REGISTRY"] == f"{MIRROR}.dkr.ecr.{REGION}.amazonaws.com"
    ecr = organisation.client(MIRROR, "ecr")
    buildspec = project["source"]["buildspec"]
    for name, tag in (("nginx", "1.27.3-alpine"), ("python", "3.12.8-slim")):
        repository = f"mirror/docker-hub/library/{name}"
        assert f"{repository}:{tag}" in buildspec
        found = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": tag}])
        assert found["failures"] == []
