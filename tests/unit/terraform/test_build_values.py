from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.support.terraform_samples import DOCS, WEB
from toolkit.codebuild.buildspec import REGISTRY_VARIABLE
from toolkit.manifest.loader import loads
from toolkit.plan.desired import Desired
from toolkit.plan.resolve import resolve
from toolkit.terraform.build_values import build_values
from toolkit.terraform.root_module import INPUT_FORMAT, render_input

MODULES = Path(__file__).parents[3] / "terraform_modules"
HEAD = "version: 1\nname: acme\naws: {region: eu-west-1}\n"
IMAGES = "images: [nginx:1.16, 'python:3.12']\n"
SOURCE = "source: {type: GITHUB, location: 'https://github.com/acme/web.git'}, images: [nginx:1.16]"


def desired(fields: str, head: str = IMAGES) -> Desired:
    return resolve(loads(f"{HEAD}{head}builds: [{{name: web, {SOURCE}, {fields}}}]\n", "images.yaml"))


def values(fields: str) -> dict[str, Any]:
    return build_values(desired(fields).builds[0], region="eu-west-1")


def inputs(fields: str, head: str = IMAGES) -> dict[str, Any]:
    found = json.loads(render_input(desired(fields, head)))
    assert isinstance(found, dict)
    return found


def test_base_images_uses_every_value_and_the_module_of_a_build_knows_every_argument() -> None:
    text = (MODULES / "base-images" / "main.tf").read_text(encoding="utf-8")
    call = text.partition('module "builds" {')[2].partition("\nmodule ")[0]
    used = set(re.findall(r"each\.value\.(\w+)", call))
    assert used == set(build_values(WEB, region="eu-west-1")) == set(build_values(DOCS, region="eu-west-1"))
    arguments = set(re.findall(r"^  (\w+) += ", call, re.M)) - {"source", "for_each"}
    variables = "".join(
        path.read_text(encoding="utf-8") for path in (MODULES / "codebuild-project").glob("variables*.tf")
    )
    known = set(re.findall(r'^variable "(\w+)"', variables, re.M))
    assert arguments == known


def test_base_images_knows_the_variable_of_the_buildspec_and_the_format() -> None:
    texts = "".join(path.read_text(encoding="utf-8") for path in (MODULES / "base-images").glob("*.tf"))
    assert f"{{ {REGISTRY_VARIABLE} = " in texts
    assert f"var.input.format == {INPUT_FORMAT}\n" in texts


def test_a_mirrored_environment_image_is_pulled_from_its_repository() -> None:
    found = values("environment_image: 'mirror:python:3.12'")
    assert found["environment_image"] == "docker-hub/library/python:3.12"
    assert found["environment_repository"] == "docker-hub/library/python"
    assert found["repositories"] == ["docker-hub/library/nginx", "docker-hub/library/python"]


def test_another_environment_image_is_as_it_was_given() -> None:
    found = values("environment_image: ghcr.io/acme/builder:1")
    assert (found["environment_image"], found["environment_repository"]) == ("ghcr.io/acme/builder:1", None)


def test_a_buildspec_of_the_source_is_named_and_none_is_generated() -> None:
    assert values("buildspec: ci/buildspec.yml")["buildspec"] == "ci/buildspec.yml"


def test_artifacts_have_the_project_s_own_folder_unless_another_is_named() -> None:
    assert values("artifacts: {bucket: acme-out, files: [dist]}")["artifacts"]["path"] == "acme-web"
    assert values("artifacts: {bucket: acme-out, files: [dist], path: a/b}")["artifacts"]["path"] == "a/b"


def test_statements_are_a_policy_and_none_are_none() -> None:
    assert values("timeout_minutes: 5")["extra_policy"] is None
    policy = values(
        "policy_statements: [{actions: ['s3:Get*'], resources: ['arn:aws:s3:::a/*']}, "
        "{sid: No, effect: Deny, actions: ['s3:*'], resources: ['*'], conditions: {Bool: {'aws:SecureTransport': ['false']}}}]"
    )["extra_policy"]
    assert json.loads(policy) == {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:Get*"], "Resource": ["arn:aws:s3:::a/*"]},
            {
                "Sid": "No",
                "Effect": "Deny",
                "Action": ["s3:*"],
                "Resource": ["*"],
                "Condition": {"Bool": {"aws:SecureTransport": ["false"]}},
            },
        ],
    }


def test_variables_go_by_where_their_values_are() -> None:
    found = values("environment_variables: {A: a, B: {value: b}, P: {parameter: /p}, S: {secret: s}}")
    assert found["environment_variables"] == {"A": "a", "B": "b"}
    assert (found["parameter_variables"], found["secret_variables"]) == ({"P": "/p"}, {"S": "s"})


def test_a_mirror_elsewhere_is_an_account_and_a_region() -> None:
    assert inputs("timeout_minutes: 5")["mirror"] is None
    theirs = inputs("timeout_minutes: 5", f"repositories: {{account_id: '210987654321', prefix: p}}\n{IMAGES}")
    assert theirs["mirror"] == {"account_id": "210987654321", "region": "eu-west-1"}
    assert theirs["repositories"] == {}
    assert theirs["builds"]["web"]["repositories"] == ["p/docker-hub/library/nginx"]


def test_the_step_asks_the_mirror_s_account_for_its_registry() -> None:
    head = f"repositories: {{account_id: '210987654321'}}\n{IMAGES}"
    assert "210987654321" in inputs("timeout_minutes: 5", head)["builds"]["web"]["buildspec"]
    assert "210987654321" not in inputs("timeout_minutes: 5")["builds"]["web"]["buildspec"]
