"""`toolkit iam-policy` enforced: real Terraform and the AWS provider under roles that have exactly these policies.

One action at a time is then taken away, and the run that needs it fails with exit 4 and names it and the role. That
takes a quarter of an hour, so a sample runs by default; TOOLKIT_RIGHTS_ALL=1 takes every action.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.real_parts import require
from tests.support.roles import Calls, Role, actions_of, without
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.toolkit_run import Finished, Toolkit
from toolkit.manifest.loader import loads
from toolkit.plan.desired import Desired
from toolkit.plan.resolve import resolve
from toolkit.terraform.iam_policy import (
    Place,
    apply_policy,
    plan_policy,
    seed_policy,
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("rights")]

REGION, ACCOUNT = "eu-west-1", "123456789012"
KEYS = [f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0a1b2c3d-0000-4000-8000-00000000000{n}" for n in range(4)]
OTHER_ECR = f"210987654321.dkr.ecr.{REGION}.amazonaws.com"
OWN_ECR = f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com"
READER = "arn:aws:iam::210987654321:role/reader"
SECRET_NAME = "hub-login"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{SECRET_NAME}-AbCdEf"
CONNECTION = f"arn:aws:codeconnections:{REGION}:{ACCOUNT}:connection/0a1b2c3d"
GITHUB = 'type: GITHUB, location: "https://github.com/acme/web.git"'

HEAD = f"""\
version: 1
name: shop
aws: {{region: {REGION}, account_id: "{ACCOUNT}", resource_tags: {{TAGS}}}}
terraform:
  backend: {{s3: {{bucket: state, key: shop.tfstate, kms_key_id: "{KEYS[0]}", dynamodb_table: locks}}}}
images:
"""
REPOSITORY = """\
  - source: {source}
    repository_settings: {settings}
"""


@dataclass
class Manifest:
    """The text of a manifest: images by source and builds by name, with the settings of each as JSON."""

    images: dict[str, dict[str, Any]]
    builds: dict[str, dict[str, Any]]
    tags: dict[str, str] = field(default_factory=lambda: {"team": "platform"})

    def text(self) -> str:
        lines = [HEAD.replace("{TAGS}", json.dumps(self.tags))]
        lines += [
            f"  - {{source: '{source}', repository_settings: {json.dumps(settings)}}}\n"
            for source, settings in self.images.items()
        ]
        lines.append("builds:\n")
        lines += [f"  - {json.dumps({'name': name, **settings})}\n" for name, settings in self.builds.items()]
        return "".join(lines)


def build(**settings: Any) -> dict[str, Any]:
    source = {"type": "GITHUB", "location": "https://github.com/acme/web.git", "connection": CONNECTION}
    return {"source": source, "images": ["app01:1"], "webhook": {"allow_forks": True}, **settings}


def whole() -> Manifest:
    """What every test begins with."""
    return Manifest(
        images={
            "app01:1": {"pull_principals": ["210987654321"], "encryption": {"type": "KMS", "kms_key": KEYS[1]}},
            "app02:1": {"pull_principals": ["210987654321"]},
        },
        builds={
            "web": build(
                permissions_boundary=f"arn:aws:iam::{ACCOUNT}:policy/bound",
                log_kms_key=KEYS[2],
                policy_statements=[{"sid": "Own", "actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::own/*"]}],
                batch={},
                buildspec="ci.yml",
            ),
            "api": build(),
        },
    )


def desired_of(manifest: Manifest) -> Desired:
    return resolve(loads(manifest.text(), "images.yaml"))


PLACE = Place(ACCOUNT, REGION)
POLICIES = {"plan": plan_policy, "apply": apply_policy, "seed": seed_policy}


class World:
    """A sandbox with the state's bucket, a role for each command, and an administrator."""

    def __init__(self, folder: Path, sandbox: RunningSandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.admin = Toolkit(folder, sandbox.environment())
        self.calls = Calls(sandbox)
        self.roles = {name: Role(sandbox, REGION, f"toolkit-{name}") for name in (*POLICIES, "build")}
        self.toolkits = {name: self.roles[name].toolkit(folder) for name in POLICIES}
        bucket = {"LocationConstraint": REGION}
        sandbox.client("s3", REGION).create_bucket(Bucket="state", CreateBucketConfiguration=bucket)
        sandbox.client("dynamodb", REGION).create_table(
            TableName="locks",
            KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def may(self, role: str, manifest: Manifest, *, without_action: str = "") -> set[str]:
        """Give `role` its policy for `manifest`; the actions in it."""
        statements = POLICIES[role](desired_of(manifest), PLACE)
        self.roles[role].may(without(statements, without_action))
        return actions_of(statements)

    def run(self, role: str, manifest: Manifest, *arguments: str) -> Finished:
        (self.folder / "images.yaml").write_text(manifest.text())
        return self.toolkits[role].run(*arguments)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    require("terraform")
    folder = tmp_path_factory.mktemp("rights")
    with running_sandbox(folder / "sandbox", ["app01:1", "app02:1", "app03:1"]) as sandbox:
        yield World(folder, sandbox)


def test_every_command_runs_under_its_own_policy(world: World) -> None:
    manifest = whole()
    called: dict[str, set[str]] = {"plan": set(), "apply": set(), "seed": set()}
    allowed = {role: world.may(role, manifest) for role in POLICIES}

    def run(role: str, manifest: Manifest, *arguments: str) -> None:
        world.calls.since()
        world.run(role, manifest, *arguments).expect(0)
        called[role] |= set(world.calls.since())

    run("plan", manifest, "plan")
    run("apply", manifest, "apply", "--auto-approve")
    run("plan", manifest, "plan", "--detailed-exitcode")
    for role in POLICIES:
        print(role, sorted(allowed[role] - called[role]))
