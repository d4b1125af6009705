"""Every kind of build project from a manifest's text to the sandbox's AWS, by the real Terraform and AWS provider."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.real_parts import missing, require
from tests.support.sandbox import RunningSandbox, running_sandbox
from toolkit.errors import TerraformFailed
from toolkit.manifest.loader import loads
from toolkit.plan.desired import Desired
from toolkit.plan.model import InfraAction
from toolkit.plan.resolve import resolve
from toolkit.terraform.iam_policy import Place, build_policy
from toolkit.terraform.provider_mirror import find
from toolkit.terraform.root_module import (
    Adoption,
    batch_role_address,
    log_group_address,
    project_address,
    render,
    render_input,
    repository_address,
    role_address,
    webhook_address,
)
from toolkit.terraform.runner import PlanFile, TerraformRunner
from toolkit.terraform.work_dir import write

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("build_projects_on_aws")]

REGION = "eu-west-1"
ACCOUNT = "123456789012"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0a1b2c3d"
CONNECTION = f"arn:aws:codeconnections:{REGION}:{ACCOUNT}:connection/0a1b2c3d"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ci/builds"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:git-AbCdEf"

HEAD = f"""\
version: 1
name: acme
aws: {{region: {REGION}, resource_tags: {{team: platform, stage: dev}}}}
platforms: [linux/amd64, linux/arm64]
images:
  - source: nginx:1.16
    repository_settings:
      pull_principals: ["210987654321"]
      resource_tags: {{stage: prod}}
      policy_statements:
        - principals: {{services: [codebuild.amazonaws.com]}}
          actions: [ecr:BatchGetImage, ecr:GetDownloadUrlForLayer]
          conditions: {{StringEquals: {{"aws:SourceAccount": ["{ACCOUNT}"]}}}}
        - {{sid: Nobody, effect: Deny, principals: {{aws: ["*"]}}, actions: [ecr:BatchDeleteImage]}}
  - python:3.12
"""
MANIFEST = f"""\
{HEAD}
builds:
  - name: github
    description: Everything that a project at GitHub can have
    source:
      type: GITHUB
      location: https://github.com/acme/web.git
      version: main
      clone_depth: 1
      submodules: true
      report_build_status: true
      connection: {CONNECTION}
    images: [nginx:1.16]
    commands: ["echo '${{not_a_template}} %{{x}} 中'", "docker build ."]
    environment_image: mirror:python:3.12
    compute_type: BUILD_GENERAL1_XLARGE
    environment_variables:
      PLAIN: "1"
      LICENSE: {{parameter: /web/license}}
      TOKEN: {{secret: "web/token:key"}}
    cache: {{location: acme-cache/web, paths: [node_modules/**/*]}}
    timeout_minutes: 10
    queued_timeout_minutes: 20
    concurrent_build_limit: 2
    webhook:
      allow_forks: true
      filter_groups:
        - [{{type: EVENT, pattern: "PUSH, PULL_REQUEST_CREATED"}}, {{type: HEAD_REF, pattern: ^refs/heads/main$}}]
        - [{{type: EVENT, pattern: PUSH}}, {{type: FILE_PATH, pattern: ^docs/, exclude: true}}]
    badge: true
    artifacts: {{bucket: acme-out, files: [dist/**/*], name: site, namespace_type: BUILD_ID, packaging: ZIP}}
    log_retention_days: 7
    s3_logs: acme-logs/web
    log_kms_key: {KEY}
    kms_key: {KEY}
    policy_statements:
      - sid: Publish
        actions: [s3:PutObject]
        resources: ["arn:aws:s3:::acme-site/*"]
        conditions: {{StringEquals: {{"aws:RequestedRegion": [{REGION}]}}}}
    resource_tags: {{stage: prod, owner: web}}
  - name: enterprise
    source: {{type: GITHUB_ENTERPRISE, location: "https://git.acme.example/acme/web.git", secret: "{SECRET}"}}
    images: [nginx:1.16]
    vpc: {{id: vpc-0a1b2c3d, subnets: [subnet-0b1b2c3d, subnet-0a1b2c3d], security_groups: [sg-0a1b2c3d]}}
    webhook: {{allow_forks: true}}
  - name: gitlab
    source: {{type: GITLAB, location: "https://gitlab.com/acme/web.git", connection: "{CONNECTION}"}}
    images: [nginx:1.16]
    buildspec: ci/buildspec.yml
    batch: {{timeout_minutes: 60, maximum_builds: 4, compute_types: [BUILD_GENERAL1_SMALL], combine_artifacts: true}}
    webhook: {{build_type: BUILD_BATCH, allow_forks: true}}
  - name: gitlab-own
    source: {{type: GITLAB_SELF_MANAGED, location: "https://gitlab.acme.example/acme/web.git"}}
    images: [nginx:1.16]
    cache: {{modes: [LOCAL_SOURCE_CACHE, LOCAL_DOCKER_LAYER_CACHE, LOCAL_CUSTOM_CACHE], paths: [.m2]}}
  - name: bitbucket
    source: {{type: BITBUCKET, location: "https://bitbucket.org/acme/web.git", submodules: true}}
    images: [nginx:1.16]
    environment_type: ARM_CONTAINER
    environment_image: mirror:python:3.12
    compute_type: BUILD_GENERAL1_2XLARGE
  - name: codecommit
    source: {{type: CODECOMMIT, location: "https://git-codecommit.{REGION}.amazonaws.com/v1/repos/web", submodules: true}}
    images: [nginx:1.16]
    environment_type: LINUX_GPU_CONTAINER
    fleet: arn:aws:codebuild:{REGION}:{ACCOUNT}:fleet/own:0a1b2c3d
  - name: s3
    source: {{type: S3, location: acme-source/web/, version: v1}}
    images: [nginx:1.16]
    permissions_boundary: arn:aws:iam::{ACCOUNT}:policy/boundary
    artifacts: {{bucket: acme-out, files: [out]}}
  - name: pipeline
    source: {{type: CODEPIPELINE, pipeline_bucket: acme-pipeline, pipeline: web}}
    images: [nginx:1.16]
  - name: nothing
    source: {{type: NO_SOURCE}}
    images: [nginx:1.16]
    commands: [echo]
  - name: machine
    source: {{type: S3, location: acme-source/web/}}
    images: [nginx:1.16]
    environment_type: ARM_EC2
    compute_type: BUILD_GENERAL1_LARGE
  - name: plain
    source: {{type: S3, location: acme-source/web/}}
    privileged: false
    commands: [make]
    environment_image: mirror:python:3.12
  - name: foreign-role
    source: {{type: S3, location: acme-source/web/}}
    images: [nginx:1.16]
    buildspec: ci/buildspec.yml
    batch: {{}}
    service_role_arn: {ROLE}
"""


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    require("terraform")
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


def _desired(manifest: str) -> Desired:
    return resolve(loads(manifest, "images.yaml"))


def _plan(runner: TerraformRunner, path: Path, desired: Desired, *adopt: Adoption) -> PlanFile:
    work_dir = write(render(desired, adopt=adopt), path)
    try:
        runner.init(work_dir)
    except TerraformFailed as error:
        if error.code == "terraform.registry_unreachable":
            missing("the AWS provider cannot be had: name a mirror in TOOLKIT_PROVIDER_MIRROR")
        raise
    return runner.plan(work_dir)


def _projects(aws: RunningSandbox) -> dict[str, Any]:
    client = aws.client("codebuild", REGION)
    names = client.list_projects()["projects"]
    found = client.batch_get_projects(names=names)["projects"] if names else []
    return {project["name"].removeprefix("acme-"): project for project in found}


def _statements(aws: RunningSandbox, project: dict[str, Any], policy: str = "build") -> list[dict[str, Any]]:
    role = project["serviceRole"].rpartition("/")[2]
    document = aws.client("iam", REGION).get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    return list(document["Statement"])


def test_every_kind_of_project_is_made_once_changed_adopted_and_destroyed(aws: RunningSandbox, tmp_path: Path) -> None:
    runner = TerraformRunner(
        "terraform",
        lambda event: None,
        find_mirror=lambda: find(os.environ, Path.home()),
        environment=aws.environment(),
    )
    desired = _desired(MANIFEST)
    runner.apply(_plan(runner, tmp_path / "first", desired))
    _look_at(aws, desired)
    _roles_have_the_rights_of_the_table(aws, desired)
    assert not _plan(runner, tmp_path / "first", desired).changes, "the second plan must be empty"

    # Another folder is a state that was lost.
    made = [
        *(Adoption(repository_address(repository.name), repository.name) for repository in desired.repositories),
        *(
            Adoption(role_address(build), build.role_name(REGION))
            for build in desired.builds
            if not build.settings.service_role_arn
        ),
        *(Adoption(log_group_address(build), build.log_group_name) for build in desired.builds),
        *(Adoption(project_address(build), build.project_name) for build in desired.builds),
        *(
            Adoption(batch_role_address(build), build.role_name(REGION, "batch"))
            for build in desired.builds
            if build.settings.batch and not build.settings.service_role_arn
        ),
        *(Adoption(webhook_address(build), build.project_name) for build in desired.builds if build.settings.webhook),
    ]
    adopted = _plan(runner, tmp_path / "second", desired, *made)
    assert not any(change.destroys for change in adopted.changes)
    runner.apply(adopted)
    assert not _plan(runner, tmp_path / "second", desired).changes

    _take_everything_back(aws, runner, tmp_path / "second")
    removed = _plan(runner, tmp_path / "second", _desired(HEAD))
    assert {change.action for change in removed.changes} == {InfraAction.DELETE}
    runner.apply(removed)
    assert _projects(aws) == {}
    assert aws.client("iam", REGION).list_roles()["Roles"] == []
    assert [line for line in aws.accesses("aws") if line["status"] >= 500] == []


def _roles_have_the_rights_of_the_table(aws: RunningSandbox, desired: Desired) -> None:
    """What `toolkit iam-policy build` prints is what the module's roles have, statement by statement."""
    projects = _projects(aws)
    for build in desired.builds:
        if build.settings.service_role_arn:
            continue
        made = _statements(aws, projects[build.name])
        if build.settings.policy_statements:
            made += _statements(aws, projects[build.name], "extra")
        if build.settings.batch:
            batch = {"serviceRole": projects[build.name]["buildBatchConfig"]["serviceRole"]}
            made += _statements(aws, batch, "batch")
        printed = [statement.document() for statement in build_policy(desired, build, Place(ACCOUNT, REGION))]
        assert list(map(_normal, printed)) == list(map(_normal, made)), build.name


def _normal(statement: dict[str, Any]) -> dict[str, Any]:
    """A text and a list of that one text mean the same, and so does another order of resources."""
    condition = {
        operator: {key: [values] if isinstance(values, str) else values for key, values in keys.items()}
        for operator, keys in statement.get("Condition", {}).items()
    }
    return {**statement, "Resource": sorted(statement["Resource"]), "Condition": condition}


def _take_everything_back(aws: RunningSandbox, runner: TerraformRunner, path: Path) -> None:
    """A project that loses its settings has none of them, after one apply."""
    bare = f"""\
{HEAD}
builds:
  - {{name: github, source: {{type: GITHUB, location: "https://github.com/acme/web.git"}}, images: [nginx:1.16]}}
  - {{name: enterprise, source: {{type: GITHUB, location: "https://github.com/acme/web.git"}}, images: [nginx:1.16]}}
  - {{name: gitlab, source: {{type: GITLAB, location: "https://gitlab.com/acme/web.git"}}, images: [nginx:1.16]}}
"""
    runner.apply(_plan(runner, path, _desired(bare)))
    assert not _plan(runner, path, _desired(bare)).changes
    projects = _projects(aws)
    assert set(projects) == {"github", "enterprise", "gitlab"}
    for project in projects.values():
        assert not {"webhook", "vpcConfig", "buildBatchConfig", "concurrentBuildLimit"} & project.keys()
        assert project["cache"]["type"] == "NO_CACHE"
        assert project["artifacts"]["type"] == "NO_ARTIFACTS"
        assert not project["badge"]["badgeEnabled"]
        assert {statement["Sid"] for statement in _statements(aws, project)} == {
            "WriteOwnLogs",
            "LogInToRegistry",
            "PullImages",
        }


def _look_at(aws: RunningSandbox, desired: Desired) -> None:
    """What AWS has is what the manifest says, read back."""
    projects = _projects(aws)
    assert {name: project["source"]["type"] for name, project in projects.items()} == {
        "github": "GITHUB",
        "enterprise": "GITHUB_ENTERPRISE",
        "gitlab": "GITLAB",
        "gitlab-own": "GITLAB_SELF_MANAGED",
        "bitbucket": "BITBUCKET",
        "codecommit": "CODECOMMIT",
        "s3": "S3",
        "pipeline": "CODEPIPELINE",
        "nothing": "NO_SOURCE",
        "machine": "S3",
        "plain": "S3",
        "foreign-role": "S3",
    }
    builds = json.loads(render_input(desired))["builds"]
    for name, project in projects.items():
        if name not in ("gitlab", "foreign-role"):
            assert project["source"]["buildspec"] == builds[name]["buildspec"], "byte for byte"
    _look_at_github(aws, projects["github"])
    _look_at_the_others(aws, projects)
    _look_at_the_repositories(aws)


def _look_at_github(aws: RunningSandbox, project: dict[str, Any]) -> None:
    host = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
    source = project["source"]
    assert (project["sourceVersion"], source["gitCloneDepth"], source["reportBuildStatus"]) == ("main", 1, True)
    assert source["gitSubmodulesConfig"] == {"fetchSubmodules": True}
    assert source["auth"] == {"type": "CODECONNECTIONS", "resource": CONNECTION}
    environment = project["environment"]
    assert environment["image"] == f"{host}/docker-hub/library/python:3.12"
    assert (environment["imagePullCredentialsType"], environment["privilegedMode"]) == ("SERVICE_ROLE", True)
    assert {(v["name"], v["type"], v["value"]) for v in environment["environmentVariables"]} == {
        ("PLAIN", "PLAINTEXT", "1"),
        ("TOOLKIT_ECR_REGISTRY", "PLAINTEXT", host),
        ("LICENSE", "PARAMETER_STORE", "/web/license"),
        ("TOKEN", "SECRETS_MANAGER", "web/token:key"),
    }
    assert (project["timeoutInMinutes"], project["queuedTimeoutInMinutes"]) == (10, 20)
    assert project["concurrentBuildLimit"] == 2
    groups = project["webhook"]["filterGroups"]
    assert {tuple((f["type"], f["excludeMatchedPattern"]) for f in group) for group in groups} == {
        (("EVENT", False), ("HEAD_REF", False)),
        (("EVENT", False), ("FILE_PATH", True)),
    }
    assert project["badge"]["badgeEnabled"]
    assert project["encryptionKey"] == KEY
    artifacts = {"type": "S3", "location": "acme-out", "path": "acme-github", "name": "site"}
    assert artifacts.items() <= project["artifacts"].items()
    assert project["logsConfig"]["s3Logs"]["location"] == "acme-logs/web"
    tags = {tag["key"]: tag["value"] for tag in project["tags"]}
    assert (tags["team"], tags["stage"], tags["owner"]) == ("platform", "prod", "web")
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/docker-hub/library"
    by_id = {statement["Sid"]: statement for statement in _statements(aws, project)}
    assert by_id["PullImages"]["Resource"] == [f"{arn}/nginx", f"{arn}/python"]
    assert [sid for sid, statement in by_id.items() if "*" in statement["Resource"]] == ["LogInToRegistry"]
    [extra] = _statements(aws, project, "extra")
    assert (extra["Sid"], extra["Condition"]) == ("Publish", {"StringEquals": {"aws:RequestedRegion": [REGION]}})


def _look_at_the_others(aws: RunningSandbox, projects: dict[str, Any]) -> None:
    assert projects["enterprise"]["source"]["auth"] == {"type": "SECRETS_MANAGER", "resource": SECRET}
    assert set(projects["enterprise"]["vpcConfig"]["subnets"]) == {"subnet-0a1b2c3d", "subnet-0b1b2c3d"}
    gitlab = projects["gitlab"]
    assert (gitlab["source"]["buildspec"], gitlab["webhook"]["buildType"]) == ("ci/buildspec.yml", "BUILD_BATCH")
    assert gitlab["buildBatchConfig"] == {
        "serviceRole": f"arn:aws:iam::{ACCOUNT}:role/acme-gitlab-batch-{REGION}",
        "combineArtifacts": True,
        "restrictions": {"maximumBuildsAllowed": 4, "computeTypesAllowed": ["BUILD_GENERAL1_SMALL"]},
        "timeoutInMins": 60,
    }
    assert len(projects["gitlab-own"]["cache"]["modes"]) == 3
    assert projects["bitbucket"]["environment"]["computeType"] == "BUILD_GENERAL1_2XLARGE"
    assert projects["codecommit"]["environment"]["fleet"]["fleetArn"].endswith("fleet/own:0a1b2c3d")
    assert projects["pipeline"]["artifacts"]["type"] == "CODEPIPELINE"
    machine, plain, foreign = (projects[name] for name in ("machine", "plain", "foreign-role"))
    assert machine["environment"]["type"] == "ARM_EC2"
    assert machine["environment"]["image"] == "aws/codebuild/ami/amazonlinux-arm-base:latest"
    assert not machine["environment"]["privilegedMode"]
    assert not plain["environment"]["privilegedMode"]
    assert "docker" not in plain["source"]["buildspec"]
    assert {statement["Sid"] for statement in _statements(aws, plain)} == {
        "WriteOwnLogs",
        "LogInToRegistry",
        "PullImages",
        "ReadSourceObjects",
        "FindSourceBucket",
    }
    assert (foreign["serviceRole"], foreign["buildBatchConfig"]["serviceRole"]) == (ROLE, ROLE)
    for project in projects.values():
        if project is foreign:
            continue
        role = aws.client("iam", REGION).get_role(RoleName=project["serviceRole"].rpartition("/")[2])["Role"]
        condition = role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]["StringEquals"]
        assert condition == {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": project["arn"]}


def _look_at_the_repositories(aws: RunningSandbox) -> None:
    ecr = aws.client("ecr", REGION)
    [nginx] = ecr.describe_repositories(repositoryNames=["docker-hub/library/nginx"])["repositories"]
    tags = {tag["Key"]: tag["Value"] for tag in ecr.list_tags_for_resource(resourceArn=nginx["repositoryArn"])["tags"]}
    assert (tags["team"], tags["stage"]) == ("platform", "prod")
    policy = json.loads(ecr.get_repository_policy(repositoryName=nginx["repositoryName"])["policyText"])
    ours, service, deny = policy["Statement"]
    assert ours["Sid"] == "PullByPrincipals"
    assert service["Principal"] == {"Service": ["codebuild.amazonaws.com"]}
    assert service["Condition"] == {"StringEquals": {"aws:SourceAccount": [ACCOUNT]}}
    assert (deny["Sid"], deny["Effect"], deny["Principal"]) == ("Nobody", "Deny", {"AWS": ["*"]})
    [group] = aws.client("logs", REGION).describe_log_groups(logGroupNamePrefix="/aws/codebuild/acme-github")[
        "logGroups"
    ]
    assert group["kmsKeyId"] == KEY
