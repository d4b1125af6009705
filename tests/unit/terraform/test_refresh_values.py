"""What the module `image-refresh` is given: the rights of a run, and the builds that a moved image starts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from toolkit.errors import Refused
from toolkit.manifest.loader import loads
from toolkit.plan.resolve import resolve
from toolkit.sandbox.access_control import Right, allows
from toolkit.terraform.iam_policy import ALARMS, STARTERS
from toolkit.terraform.refresh_values import refresh_values

MODULES = Path(__file__).parents[3] / "terraform_modules"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/tools/toolkit:1.0"
MANIFEST = """\
version: 1
name: acme
aws: {region: eu-west-1}
lock: s3://acme-locks/acme.yaml
refresh: {schedule: rate(12 hours), bucket: acme-base, tool: {%s}, alarms: {silent_for: 1d, behind: 36h}}
registries:
  docker.io: {credential: {secretsmanager: "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub-AbCdEf"}}
images: [nginx:1.27, python:3.12, %s]
builds:
  - name: web
    rebuild: on_update
    source: {type: S3, location: acme/web.zip}
    images: [nginx:1.27]
    environment_image: mirror:python:3.12
  - {name: docs, source: {type: S3, location: acme/web.zip}, images: [nginx:1.27]}
  - {name: many, rebuild: on_update, source: {type: S3, location: acme/web.zip}, images: [nginx:1.27, %s]}
"""
ECR = "arn:aws:ecr:eu-west-1:123456789012:repository"
S3 = "arn:aws:s3:::acme-base/acme/refresh"


def values(tool: str = f"image: '{IMAGE}'", images: int = 1) -> dict[str, Any]:
    more = [f"team-{number}/application:1.27.{number}" for number in range(images)]
    text = MANIFEST % (tool, ", ".join(more), ", ".join(more[:100]))  # a build has room for the rights to so many
    found = refresh_values(resolve(loads(text, "images.yaml")))["refresh"]
    assert isinstance(found, dict)
    return found


def policy(**fields: Any) -> dict[str, Any]:
    text = values(**fields)["policy"].replace("{account}", "123456789012").replace("{partition}", "aws")
    found = json.loads(text.replace("{dns_suffix}", "amazonaws.com"))
    assert isinstance(found, dict)
    return found


def test_base_images_uses_every_value_and_the_module_knows_every_argument() -> None:
    call = (MODULES / "base-images" / "main.tf").read_text(encoding="utf-8").partition('module "refresh" {')[2]
    assert set(re.findall(r"each\.value\.(\w+)", call)) == set(values())
    arguments = set(re.findall(r"^  (\w+) += ", call, re.M)) - {"source", "for_each"}
    variables = (MODULES / "image-refresh" / "variables.tf").read_text(encoding="utf-8")
    assert arguments == set(re.findall(r'^variable "(\w+)"', variables, re.M)) - {"log_retention_days"}


def test_the_names_in_the_table_of_rights_are_those_of_the_module() -> None:
    module = MODULES / "image-refresh"
    alarms = (module / "alarms.tf").read_text(encoding="utf-8")
    assert re.findall(r"^    (\w+) = \{$", alarms, re.M) == sorted(ALARMS, key=alarms.index)
    assert re.findall(r"^ +(\w+) = \{\n +service ", (module / "iam.tf").read_text(encoding="utf-8"), re.M) == list(
        STARTERS
    )


def test_says_when_the_alarms_are_on() -> None:
    assert values()["alarms"] == {"silent_for_hours": 24, "behind_days": 1.5, "pulls_left": 20}


def test_starts_the_builds_that_ask_for_it_with_the_images_that_they_use() -> None:
    nginx, python = "docker-hub/library/nginx:1.27", "docker-hub/library/python:3.12"
    rebuilds = values()["rebuilds"]
    assert rebuilds["web"] == {"project_name": "acme-web", "images": [[nginx, python]]}
    assert set(rebuilds) == {"web", "many"}


def test_splits_the_images_that_one_pattern_has_no_room_for() -> None:
    lists = values(images=100)["rebuilds"]["many"]["images"]
    found = [key for one in lists for key in one]
    assert len(found) == len(set(found)) == 101
    assert len(lists) == 3
    assert all(len(json.dumps(one, separators=(",", ":"))) <= 1_900 for one in lists)


@pytest.mark.parametrize(
    ("action", "resource", "is_allowed"),
    [
        ("ecr:PutImage", f"{ECR}/docker-hub/library/nginx", True),
        ("ecr:PutImage", f"{ECR}/docker-hub/library/nginx2", False),
        ("ecr:BatchDeleteImage", f"{ECR}/docker-hub/library/nginx", False),
        ("ecr:CreateRepository", f"{ECR}/docker-hub/library/nginx", False),
        ("s3:GetObject", f"{S3}/bundle.json", True),
        ("s3:PutObject", f"{S3}/bundle.json", False),
        ("s3:PutObject", f"{S3}/lease.json", True),
        ("s3:PutObject", f"{S3}/runs/now.json", True),
        ("s3:PutObject", "arn:aws:s3:::acme-locks/acme.yaml", True),
        ("s3:GetObject", "arn:aws:s3:::acme-base/acme.tfstate", False),
        ("s3:GetObject", "arn:aws:s3:::acme-tools/toolkit-1-py3-none-any.whl", True),
        ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub-AbCdEf", True),
        ("iam:PassRole", "arn:aws:iam::123456789012:role/acme-refresh-codebuild-eu-west-1", False),
        ("codebuild:StartBuild", "arn:aws:codebuild:eu-west-1:123456789012:project/acme-web", False),
    ],
)
def test_a_run_may_do_what_a_refresh_does_and_no_more(action: str, resource: str, is_allowed: bool) -> None:
    granted = policy(tool=f"wheel: s3://acme-tools/toolkit-1-py3-none-any.whl, sha256: {'a' * 64}")
    assert allows([granted], Right(action, resource)) == is_allowed


def test_a_run_sends_events_of_ours_alone() -> None:
    bus = "arn:aws:events:eu-west-1:123456789012:event-bus/default"
    for source, is_allowed in (("base-image-toolkit", True), ("aws.codebuild", False)):
        assert allows([policy()], Right("events:PutEvents", bus, {"events:source": source})) == is_allowed


def test_many_replicas_are_known_by_their_tags_in_each_region() -> None:
    text = MANIFEST % (f"image: '{IMAGE}'", ", ".join(f"team-{number}/app:1" for number in range(100)), "python:3.12")
    text = text.replace("{region: eu-west-1}", "{region: eu-west-1, replicate_to: [us-east-1, ap-south-1]}")
    text += "repositories: {prefix: mirror}\n"
    [refresh] = refresh_values(resolve(loads(text, "images.yaml"))).values()
    granted = json.loads(refresh["policy"].replace("{account}", "123456789012").replace("{partition}", "aws"))  # type: ignore[index]
    assert len("".join(json.dumps(granted).split())) < 9_000
    ours = {"aws:ResourceTag/toolkit:manifest": "acme", "aws:ResourceTag/toolkit:managed-by": "base-image-toolkit"}
    for region in ("us-east-1", "ap-south-1"):
        replica = f"arn:aws:ecr:{region}:123456789012:repository/mirror/docker-hub/library/nginx"
        assert allows([granted], Right("ecr:DescribeImages", replica, ours))
        assert not allows([granted], Right("ecr:DescribeImages", replica, {}))
        assert not allows([granted], Right("ecr:PutImage", replica, ours))


def test_rights_that_no_role_has_room_for_are_refused_before_terraform_runs() -> None:
    sources = ", ".join(f"'210987654321.dkr.ecr.eu-west-1.amazonaws.com/team-{n}/application:1'" for n in range(150))
    text = MANIFEST % (f"image: '{IMAGE}'", sources, "python:3.12")
    with pytest.raises(Refused) as caught:
        refresh_values(resolve(loads(text, "images.yaml")))
    assert caught.value.code == "refresh.policy_too_long"


def test_many_repositories_are_known_by_their_tags() -> None:
    granted = policy(images=300)
    ours = {"aws:ResourceTag/toolkit:manifest": "acme", "aws:ResourceTag/toolkit:managed-by": "base-image-toolkit"}
    for tags, is_allowed in ((ours, True), ({**ours, "aws:ResourceTag/toolkit:manifest": "other"}, False), ({}, False)):
        assert allows([granted], Right("ecr:PutImage", f"{ECR}/docker-hub/library/nginx", tags)) == is_allowed
    assert len("".join(json.dumps(granted).split())) < 9_000
