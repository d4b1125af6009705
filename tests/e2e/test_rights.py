"""`toolkit iam-policy` enforced: real Terraform and the AWS provider under roles that have exactly these policies.

One action at a time is then taken away, and the run that needs it fails with exit 4 and names it and the role. That
takes a quarter of an hour, so a sample runs by default; TOOLKIT_RIGHTS_ALL=1 takes every action.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support.plain_http import Answer, PlainHttp, plain_http
from tests.support.real_parts import require
from tests.support.roles import Calls, Role, actions_of, reasons, without
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.toolkit_run import Finished, Toolkit
from toolkit.manifest.loader import load, loads
from toolkit.oci.media_types import DOCKER_MANIFEST, OCI_MANIFEST
from toolkit.plan.desired import Desired
from toolkit.plan.resolve import resolve
from toolkit.terraform.iam_policy import (
    Place,
    apply_policy,
    as_terraform,
    build_policy,
    documents,
    plan_policy,
    seed_policy,
)
from toolkit.terraform.provider_mirror import find
from toolkit.terraform.root_module import RootModule
from toolkit.terraform.runner import TerraformRunner
from toolkit.terraform.work_dir import write

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("rights")]

EXAMPLES = Path(__file__).parents[2] / "examples"
REGION, ACCOUNT = "eu-west-1", "123456789012"
PLACE = Place(ACCOUNT, REGION)
POLICIES = {"plan": plan_policy, "apply": apply_policy, "seed": seed_policy}
KEYS = [f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0a1b2c3d-0000-4000-8000-00000000000{n}" for n in range(4)]
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/bound"
OWN_ECR = f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com"
OTHER_ECR = "210987654321.dkr.ecr.eu-central-1.amazonaws.com"
READER = "arn:aws:iam::210987654321:role/reader"

HEAD = f"""\
version: 1
name: shop
aws: {{region: {REGION}, account_id: "{ACCOUNT}", resource_tags: TAGS}}
terraform:
  backend: {{s3: {{bucket: state, key: STATE, kms_key_id: "{KEYS[0]}", dynamodb_table: locks}}}}
registries:
  docker.io: {{credential: {{secretsmanager: "SECRET"}}}}
  {OTHER_ECR}: {{credential: {{role_arn: "{READER}"}}}}
"""


@dataclass
class Manifest:
    """A manifest as data: images by repository, builds by name."""

    secret: str
    images: dict[str, dict[str, Any]]
    builds: dict[str, dict[str, Any]]
    tags: dict[str, str] = field(default_factory=lambda: {"team": "platform"})
    state: str = "shop.tfstate"

    def text(self) -> str:
        head = HEAD.replace("TAGS", json.dumps(self.tags)).replace("SECRET", self.secret).replace("STATE", self.state)
        images = [{"repository": name, **image} for name, image in self.images.items()]
        builds = [{"name": name, **build} for name, build in self.builds.items()]
        return f"{head}images: {json.dumps(images)}\nbuilds: {json.dumps(builds)}\n"

    @property
    def desired(self) -> Desired:
        return resolve(loads(self.text(), "images.yaml"))

    def settings(self, repository: str) -> dict[str, Any]:
        found: dict[str, Any] = self.images[repository].setdefault("repository_settings", {})
        return found


def build(**settings: Any) -> dict[str, Any]:
    return {
        "source": {"type": "GITHUB", "location": "https://github.com/acme/web.git"},
        "images": ["app01:1"],
        "webhook": {"allow_forks": True},
        **settings,
    }


def whole(secret: str) -> Manifest:
    """What was applied before an action is taken away."""
    encrypted = {"encryption": {"type": "KMS", "kms_key": KEYS[1]}}
    return Manifest(
        secret,
        images={
            "app01": {"source": "app01:1", "repository_settings": encrypted},
            "app02": {"source": "app02:1", "repository_settings": {"pull_principals": ["210987654321"]}},
            "gone-key": {"source": "app01:1", "tag_as": "gone", "repository_settings": encrypted},
            "gone-repository": {"source": "app02:1", "tag_as": "gone"},
            "gone-images": {"source": "app02:1", "tag_as": "gone"},
            "from-own": {"source": f"{OWN_ECR}/tools", "tags": {"glob": "1*"}},
            "from-other": {"source": f"{OTHER_ECR}/tools:1"},
        },
        builds={
            "web": build(
                permissions_boundary=BOUNDARY,
                log_kms_key=KEYS[2],
                policy_statements=[{"sid": "Own", "actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::own/*"]}],
                batch={},
                buildspec="ci.yml",
            ),
            "api": build(),
            **{f"gone-{number}": build() for number in range(1, 6)},
        },
    )


class World:
    """A sandbox with the state's bucket, a role for each command, and an administrator."""

    def __init__(self, folder: Path, sandbox: RunningSandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.calls = Calls(sandbox)
        self.roles = {name: Role(sandbox, REGION, f"toolkit-{name}") for name in (*POLICIES, "build")}
        self.toolkits = {name: self.roles[name].toolkit(folder) for name in POLICIES}
        place = {"LocationConstraint": REGION}
        sandbox.client("s3", REGION).create_bucket(Bucket="state", CreateBucketConfiguration=place)
        sandbox.client("dynamodb", REGION).create_table(
            TableName="locks",
            KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        login = json.dumps({"username": "sandbox", "password": "sandbox", "hosts": ["docker.io"]})
        secrets = sandbox.client("secretsmanager", REGION)
        self.manifest = whole(secrets.create_secret(Name="docker-hub", SecretString=login)["ARN"])
        self.manifests = [self.manifest]
        self._fill_other_registries()

    def _fill_other_registries(self) -> None:
        """An image in this account's registry of another region, and in another account's."""
        own = self.sandbox.client("ecr", "eu-central-1")
        keys = self.sandbox.client("sts", REGION).assume_role(RoleArn=READER, RoleSessionName="fill")["Credentials"]
        other = boto3.client(
            "ecr",
            region_name="eu-central-1",
            endpoint_url=self.sandbox.status.aws_endpoint,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )
        for ecr, host in ((own, OWN_ECR), (other, OTHER_ECR)):
            ecr.create_repository(repositoryName="tools")
            password = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
            auth = self.folder / "fill"
            auth.mkdir(exist_ok=True)
            (auth / "config.json").write_text(json.dumps({"auths": {host: {"auth": password}}}))
            administrator = Toolkit(self.folder, {**self.sandbox.environment(), "DOCKER_CONFIG": str(auth)})
            keys_of = (
                {}
                if host == OWN_ECR
                else {
                    "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
                    "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
                    "AWS_SESSION_TOKEN": keys["SessionToken"],
                }
            )
            administrator.environment.update(keys_of)
            administrator.run("copy", "app03:1", f"{host}/tools:1").expect(0)

    def unlock(self) -> None:
        """Remove the lock of a run that had no right to release it."""
        self.sandbox.client("s3", REGION).delete_object(Bucket="state", Key="shop.tfstate.tflock")
        key = {"LockID": {"S": "state/shop.tfstate"}}
        self.sandbox.client("dynamodb", REGION).delete_item(TableName="locks", Key=key)

    def forget_checksum(self) -> None:
        """A state that is lost has no checksum in the table of locks either."""
        key = {"LockID": {"S": "state/shop.tfstate-md5"}}
        self.sandbox.client("dynamodb", REGION).delete_item(TableName="locks", Key=key)

    def run(self, role: str, manifest: Manifest, *arguments: str) -> Finished:
        (self.folder / "images.yaml").write_text(manifest.text())
        return self.toolkits[role].run(*arguments)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    require("terraform")
    folder = tmp_path_factory.mktemp("rights")
    references = ["app01:1", "app02:1", "app03:1"]
    with running_sandbox(folder / "sandbox", references) as sandbox:
        yield World(folder, sandbox)


@pytest.fixture(scope="module")
def applied(world: World) -> World:
    """The world in which everything of the manifest exists."""
    world.roles["apply"].may(apply_policy(world.manifest.desired, PLACE))
    world.run("apply", world.manifest, "apply", "--auto-approve").expect(0)
    return world


def test_every_command_runs_under_its_own_policy(world: World) -> None:
    manifest = world.manifest
    called: dict[str, set[str]] = {role: set() for role in POLICIES}
    allowed: dict[str, set[str]] = {role: set() for role in POLICIES}

    def run(role: str, manifest: Manifest, *arguments: str) -> None:
        statements = POLICIES[role](manifest.desired, PLACE)
        allowed[role] |= actions_of(statements)
        world.roles[role].may(statements)
        world.calls.since()
        world.run(role, manifest, *arguments).expect(0)
        called[role] |= set(world.calls.since())

    def edited(change: Callable[[Manifest], None]) -> Manifest:
        other = copy.deepcopy(manifest)
        change(other)
        return other

    run("plan", manifest, "plan")
    run("apply", manifest, "apply", "--auto-approve")
    run("plan", manifest, "plan", "--detailed-exitcode", "--cache-dir", "empty")
    run("apply", edited(_change_everything), "apply", "--auto-approve", "--allow-destroy")

    world.sandbox.client("s3", REGION).delete_object(Bucket="state", Key="shop.tfstate")
    world.forget_checksum()
    run("apply", manifest, "apply", "--auto-approve", "--allow-destroy")

    world.sandbox.bump("app01:1")
    run("seed", manifest, "seed", "--cache-dir", "empty-too")
    run("apply", manifest, "destroy", "--auto-approve")
    unused = {role: allowed[role] - called[role] for role in POLICIES}
    assert {role: actions - reasons() for role, actions in unused.items()} == {role: set() for role in POLICIES}
    assert unused["plan"] == {"codebuild:ListProjects", "ecr:ListImageReferrers"}
    assert unused["apply"] == {
        "codebuild:UpdateProjectVisibility",
        "ecr:BatchCheckLayerAvailability",
        "ecr:ListImageReferrers",
        "iam:DeleteRolePermissionsBoundary",
        "iam:UpdateAssumeRolePolicy",
        "iam:UpdateRole",
        "iam:UpdateRoleDescription",
    }
    # Only the image from Docker Hub had moved.
    assert unused["seed"] == {"ecr:GetDownloadUrlForLayer", "ecr:ListImageReferrers"}


def _change_everything(manifest: Manifest) -> None:
    manifest.tags = {"stage": "test"}
    manifest.settings("app01")["expire_untagged_after_days"] = None
    manifest.settings("app02").update(
        pull_principals=["310987654321"], scan_on_push=False, tag_mutability="immutable", expire_untagged_after_days=3
    )
    web, api = manifest.builds["web"], manifest.builds["api"]
    del web["log_kms_key"]
    web |= {
        "permissions_boundary": f"{BOUNDARY}2",
        "log_retention_days": 7,
        "webhook": {"build_type": "BUILD_BATCH", "allow_forks": True},
    }
    del api["webhook"]
    api |= {"log_kms_key": KEYS[2], "log_retention_days": 0}


BUILD_ACTIONS = ["ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
BUILD_ACTIONS += ["logs:CreateLogStream", "logs:PutLogEvents"]


def test_a_build_pulls_and_logs_under_its_own_policy_and_not_without_one_of_its_actions(applied: World) -> None:
    desired = applied.manifest.desired
    [api] = [build for build in desired.builds if build.name == "api"]
    statements = build_policy(desired, api, PLACE)
    role = applied.roles["build"]
    role.may(statements)
    applied.calls.since()
    _pull_and_log(applied, api.log_group_name, "first")
    called = set(applied.calls.since()) - {"sts:AssumeRole"}  # by which the test takes the role
    assert called == set(BUILD_ACTIONS)
    assert actions_of(statements) - called <= reasons()
    for action in BUILD_ACTIONS:
        role.may(without(statements, action))
        with pytest.raises(Exception, match=rf"assumed-role/toolkit-build/\S+ is not authorized to perform: {action}"):
            _pull_and_log(applied, api.log_group_name, action.replace(":", "-"))


def _pull_and_log(world: World, group: str, stream: str) -> None:
    """What CodeBuild's step does: signs in, pulls an image as Docker does, and writes a line into the log."""
    keys = world.roles["build"].session()
    clients = {
        service: boto3.client(
            service,  # type: ignore[call-overload]  # a name that is not a literal
            region_name=REGION,
            endpoint_url=world.sandbox.status.aws_endpoint,
            **{name.lower(): value for name, value in keys.items()},
        )
        for service in ("ecr", "logs")
    }
    password = clients["ecr"].get_authorization_token()["authorizationData"][0]["authorizationToken"]
    accept = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"
    headers = {"Authorization": f"Basic {password}", "Accept": f"{accept}, {DOCKER_MANIFEST}, {OCI_MANIFEST}"}
    with plain_http(world.sandbox.status.ecr_endpoint, headers) as http:
        document = _get(http, "/v2/app01/manifests/1").document
        while "manifests" in document:
            document = _get(http, f"/v2/app01/manifests/{document['manifests'][0]['digest']}").document
        for part in (document["config"], *document["layers"]):
            _get(http, f"/v2/app01/blobs/{part['digest']}")
    clients["logs"].create_log_stream(logGroupName=group, logStreamName=stream)
    line = {"timestamp": int(time.time() * 1000), "message": "built"}
    clients["logs"].put_log_events(logGroupName=group, logStreamName=stream, logEvents=[line])


def _get(http: PlainHttp, path: str) -> Answer:
    answer = http.ask("GET", path)
    if answer.status != 200:
        raise PermissionError(answer.body.decode())
    return answer


def test_terraform_makes_the_same_policies_as_the_json(world: World, tmp_path: Path) -> None:
    desired = resolve(load(EXAMPLES / "complete" / "images.yaml"))
    policies = documents(apply_policy(desired, PLACE))
    runner = TerraformRunner(
        "terraform",
        lambda event: None,
        find_mirror=lambda: find(os.environ, Path.home()),
        environment=world.sandbox.environment(),
    )
    text = f'provider "aws" {{ region = "{REGION}" }}\n' + as_terraform("platform-apply", policies)
    work_dir = write(RootModule({"main.tf": text}), tmp_path / "policies")
    runner.init(work_dir)
    runner.apply(runner.plan(work_dir))
    iam = world.sandbox.client("iam", REGION)
    for number, policy in enumerate(policies, 1):
        arn = f"arn:aws:iam::{ACCOUNT}:policy/platform-apply-{number}"
        made = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"]
        assert list(map(_normal, made["Statement"])) == list(map(_normal, policy["Statement"]))


def _normal(statement: dict[str, Any]) -> dict[str, Any]:
    """The provider writes a list of one as a text, and orders lists in its own way."""
    listed = {
        key: sorted([value] if isinstance(value, str) else value)
        for key, value in statement.items()
        if key in ("Action", "Resource")
    }
    condition = {
        operator: {key: [values] if isinstance(values, str) else values for key, values in keys.items()}
        for operator, keys in statement.get("Condition", {}).items()
    }
    return {"Effect": statement["Effect"], **listed, "Condition": condition}


@dataclass(frozen=True)
class Scene:
    """A run that needs one action: `change` edits the manifest, `drift` what is in AWS."""

    role: str
    arguments: tuple[str, ...]
    change: Callable[[Manifest], Any] = lambda manifest: None
    drift: Callable[[World], Any] = lambda world: None


PLAN = ("plan", "--cache-dir", "empty", "--lock-timeout", "0")
APPLY = ("apply", "--auto-approve", "--allow-destroy")


def _apply(change: Callable[[Manifest], Any], drift: Callable[[World], Any] = lambda world: None) -> Scene:
    return Scene("apply", APPLY, change, drift)


def _new_image(**settings: Any) -> Scene:
    return _apply(
        lambda manifest: manifest.images.update(
            {f"new-{next(_NUMBERS)}": {"source": "app03:1", "repository_settings": settings}}
        )
    )


def _new_source(**image: Any) -> Scene:
    return Scene("plan", PLAN, lambda manifest: manifest.images.update({f"new-{next(_NUMBERS)}": image}))


def _new_build(**settings: Any) -> Scene:
    return _apply(lambda manifest: manifest.builds.update({f"new-{next(_NUMBERS)}": build(**settings)}))


_NUMBERS = itertools.count()


def _setting(repository: str, **settings: Any) -> Scene:
    return _apply(lambda manifest: manifest.settings(repository).update(settings))


def _build(name: str, **settings: Any) -> Scene:
    return _apply(lambda manifest: manifest.builds[name].update(settings))


def _role(action: str, **arguments: Any) -> Scene:
    def drift(world: World) -> None:
        getattr(world.sandbox.client("iam", REGION), action)(RoleName=f"shop-api-codebuild-{REGION}", **arguments)

    return _apply(lambda manifest: None, drift)


def _gone(kind: str, name: str) -> Scene:
    return Scene("apply", (*APPLY, "--destroy-removed"), lambda manifest: getattr(manifest, kind).pop(name))


SEED = Scene("seed", ("seed", "--cache-dir", "empty"), drift=lambda world: world.sandbox.bump("app01:1"))
TRUSTS_OTHERS = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
        ],
    }
)
PUSH = {"InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage"}

SCENES: dict[tuple[str, str], Scene] = {
    **{
        ("plan", action): Scene("plan", PLAN)
        for action in (
            "codebuild:BatchGetProjects",
            "ecr:BatchGetImage",
            "ecr:DescribeImages",
            "ecr:DescribeRepositories",
            "ecr:GetAuthorizationToken",
            "ecr:GetLifecyclePolicy",
            "ecr:GetRepositoryPolicy",
            "ecr:ListTagsForResource",
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:ListRolePolicies",
            "logs:DescribeLogGroups",
            "logs:ListTagsForResource",
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "kms:Decrypt",
            "kms:GenerateDataKey",
            "s3:DeleteObject",
            "s3:GetObject",
            "s3:PutObject",
        )
    },
    # A state that does not exist yet looks forbidden without the right to list.
    ("plan", "s3:ListBucket"): Scene(
        "plan", (*PLAN, "--work-dir", "new"), lambda manifest: setattr(manifest, "state", "new.tfstate")
    ),
    # What is in ECR already stays there when its upstream cannot be asked. So these images are new.
    ("plan", "ecr:ListImages"): _new_source(source=f"{OWN_ECR}/tools", tags={"glob": "1*"}),
    ("plan", "secretsmanager:GetSecretValue"): _new_source(source="app03:1"),
    ("plan", "sts:AssumeRole"): _new_source(source=f"{OTHER_ECR}/tools:1"),
    ("plan", "codebuild:ListProjects"): Scene(
        "plan", ("plan", "--destroy-removed", "--allow-destroy"), lambda manifest: manifest.images.pop("app02")
    ),
    **{("seed", f"ecr:{action}"): SEED for action in PUSH},
    ("apply", "ecr:GetDownloadUrlForLayer"): _apply(
        lambda manifest: manifest.images.update({f"new-{next(_NUMBERS)}": {"source": f"{OWN_ECR}/tools:1"}})
    ),
    ("apply", "ecr:CreateRepository"): _new_image(),
    ("apply", "ecr:TagResource"): _new_image(),
    ("apply", "ecr:PutLifecyclePolicy"): _setting("app02", expire_untagged_after_days=3),
    ("apply", "ecr:SetRepositoryPolicy"): _setting("app02", pull_principals=["310987654321"]),
    ("apply", "kms:DescribeKey"): _new_image(encryption={"type": "KMS", "kms_key": KEYS[1]}),
    ("apply", "kms:CreateGrant"): _new_image(encryption={"type": "KMS", "kms_key": KEYS[1]}),
    ("apply", "ecr:PutImageScanningConfiguration"): _setting("app02", scan_on_push=False),
    ("apply", "ecr:PutImageTagMutability"): _setting("app02", tag_mutability="immutable"),
    ("apply", "ecr:UntagResource"): _apply(lambda manifest: manifest.tags.clear()),
    ("apply", "ecr:DeleteLifecyclePolicy"): _setting("app02", expire_untagged_after_days=None),
    ("apply", "ecr:DeleteRepositoryPolicy"): _setting("app02", pull_principals=[]),
    ("apply", "ecr:DeleteRepository"): _gone("images", "gone-repository"),
    ("apply", "kms:RetireGrant"): _gone("images", "gone-key"),
    ("apply", "ecr:BatchDeleteImage"): _gone("images", "gone-images"),
    ("apply", "iam:CreateRole"): _new_build(),
    ("apply", "iam:TagRole"): _new_build(),
    ("apply", "iam:PassRole"): _new_build(),
    ("apply", "iam:PutRolePolicy"): _build("web", images=["app02:1"]),
    ("apply", "iam:PutRolePermissionsBoundary"): _build("web", permissions_boundary=f"{BOUNDARY}2"),
    ("apply", "iam:DeleteRolePermissionsBoundary"): _build("web", permissions_boundary=None),
    ("apply", "iam:UntagRole"): _apply(lambda manifest: manifest.tags.clear()),
    ("apply", "iam:UpdateAssumeRolePolicy"): _role("update_assume_role_policy", PolicyDocument=TRUSTS_OTHERS),
    ("apply", "iam:UpdateRole"): _role("update_role", MaxSessionDuration=7200),
    ("apply", "iam:UpdateRoleDescription"): _role("update_role_description", Description="another"),
    ("apply", "iam:DeleteRolePolicy"): _gone("builds", "gone-1"),
    ("apply", "iam:ListInstanceProfilesForRole"): _gone("builds", "gone-2"),
    ("apply", "iam:DeleteRole"): _gone("builds", "gone-3"),
    ("apply", "logs:CreateLogGroup"): _new_build(),
    ("apply", "logs:TagResource"): _new_build(),
    ("apply", "logs:PutRetentionPolicy"): _build("api", log_retention_days=7),
    ("apply", "logs:AssociateKmsKey"): _build("api", log_kms_key=KEYS[2]),
    ("apply", "logs:DisassociateKmsKey"): _build("web", log_kms_key=None),
    ("apply", "logs:DeleteRetentionPolicy"): _build("api", log_retention_days=0),
    ("apply", "logs:UntagResource"): _apply(lambda manifest: manifest.tags.clear()),
    ("apply", "logs:DeleteLogGroup"): _gone("builds", "gone-4"),
    ("apply", "codebuild:CreateProject"): _new_build(),
    ("apply", "codebuild:CreateWebhook"): _new_build(),
    ("apply", "codebuild:UpdateProject"): _build("api", description="another"),
    ("apply", "codebuild:UpdateWebhook"): _build(
        "api", webhook={"allow_forks": True, "filter_groups": [[{"type": "EVENT", "pattern": "PUSH"}]]}
    ),
    ("apply", "codebuild:DeleteWebhook"): _build("api", webhook=None),
    ("apply", "codebuild:DeleteProject"): _gone("builds", "gone-5"),
}
SAMPLE = [
    ("plan", "ecr:DescribeImages"), ("plan", "ecr:GetLifecyclePolicy"), ("plan", "s3:GetObject"),
    ("plan", "dynamodb:PutItem"), ("plan", "sts:AssumeRole"), ("seed", "ecr:PutImage"),
    ("apply", "ecr:TagResource"), ("apply", "iam:PassRole"), ("apply", "logs:AssociateKmsKey"),
]  # fmt: skip


@pytest.mark.parametrize("case", SCENES if os.environ.get("TOOLKIT_RIGHTS_ALL") else SAMPLE, ids=" ".join)
def test_without_one_action_the_run_says_which_and_who_needs_it(applied: World, case: tuple[str, str]) -> None:
    role, action = case
    scene = SCENES[case]
    manifest = copy.deepcopy(applied.manifest)
    scene.change(manifest)
    # A policy is for the names in a manifest, and those that leave it are still in the state.
    applied.manifests.append(manifest)
    statements = [found for one in applied.manifests for found in POLICIES[role](one.desired, PLACE)]
    applied.roles[role].may(without(statements, action))
    scene.drift(applied)
    applied.unlock()
    shutil.rmtree(applied.folder / "empty", ignore_errors=True)
    done = applied.run(role, manifest, *scene.arguments)
    error = done.stderr[done.stderr.rindex("error: ") :]
    done.expect(4)
    assert action in error
    # S3 answers a HEAD without a body, so nobody but CloudTrail says whom it refused.
    assert f"assumed-role/toolkit-{role}/" in error or action in ("s3:GetObject", "s3:ListBucket")


def test_every_action_is_taken_away_once() -> None:
    """Except for those that no run in the sandbox depends on; `reasons` says why they are in the table."""
    never = {"codebuild:UpdateProjectVisibility", "ecr:BatchCheckLayerAvailability", "ecr:ListImageReferrers"}
    secret = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:docker-hub-AbCdEf"
    desired = whole(secret).desired
    assert {action for _, action in SCENES} == actions_of(apply_policy(desired, PLACE)) - never
    assert never <= reasons()
