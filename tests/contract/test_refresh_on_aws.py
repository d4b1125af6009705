"""What refreshes, from a manifest's text to the sandbox's AWS, by the real Terraform and AWS provider."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.real_parts import missing, require
from tests.support.sandbox import RunningSandbox, running_sandbox
from toolkit.errors import TerraformFailed
from toolkit.manifest.loader import loads
from toolkit.plan.desired import Desired
from toolkit.plan.model import InfraAction
from toolkit.plan.resolve import resolve
from toolkit.terraform.provider_mirror import find
from toolkit.terraform.root_module import Adoption, render
from toolkit.terraform.runner import PlanFile, TerraformRunner
from toolkit.terraform.work_dir import write

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("refresh_on_aws")]

REGION = "eu-west-1"
ACCOUNT = "123456789012"

MANIFEST = f"""\
version: 1
name: acme
aws: {{region: {REGION}, resource_tags: {{team: platform}}}}
lock: s3://acme-base/images.lock.yaml
images: [nginx:1.16, python:3.12]
"""
REFRESH = """\
refresh:
  schedule: cron(0 4 * * ? *)
  time_zone: Asia/Tokyo
  bucket: acme-base
  tool: {image: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/tool:1"}
builds:
  - {name: web, rebuild: on_update, source: {type: S3, location: acme/web.zip}, images: ["nginx:1.16"]}
  - {name: shop, rebuild: on_update, source: {type: S3, location: acme/web.zip}, images: ["nginx:1.16", "python:3.12"]}
  - {name: docs, source: {type: S3, location: acme/web.zip}, images: ["nginx:1.16"]}
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


def test_a_schedule_is_made_once_and_destroyed(aws: RunningSandbox, tmp_path: Path) -> None:
    runner = TerraformRunner(
        "terraform",
        lambda event: None,
        find_mirror=lambda: find(os.environ, Path.home()),
        environment=aws.environment(),
    )
    desired = _desired(MANIFEST + REFRESH)
    runner.apply(_plan(runner, tmp_path, desired))
    again = _plan(runner, tmp_path, desired)
    assert not again.changes, "the second plan must be empty"
    removed = _plan(runner, tmp_path, _desired(MANIFEST))
    assert {change.action for change in removed.changes} == {InfraAction.DELETE}
    runner.apply(removed)
