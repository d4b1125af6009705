from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.golden import assert_golden
from tests.support.real_parts import require
from tests.support.terraform_samples import DESIRED, NGINX, WEB
from toolkit.errors import Refused
from toolkit.manifest.loader import loads
from toolkit.plan.desired import Desired, DesiredRepository, S3Backend, ownership_tags
from toolkit.plan.resolve import resolve
from toolkit.terraform.root_module import (
    Adoption,
    Instance,
    RootModule,
    instance_of,
    log_group_address,
    project_address,
    render,
    render_input,
    replica_regions,
    repository_address,
    role_address,
)

ADOPTIONS = (
    Adoption(role_address(WEB), "platform-web-codebuild-ap-northeast-1"),
    Adoption(repository_address(NGINX), NGINX),
)
S3 = S3Backend(bucket="acme-state", key="platform/terraform.tfstate", region="eu-west-1")
KEY = "arn:aws:kms:eu-west-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab"
REPLICATED = Desired(
    name="mirror",
    region="eu-west-1",
    account_id="123456789012",
    repositories=(
        DesiredRepository("mirror/docker-hub/library/nginx", encryption_type="KMS", kms_key=KEY),
        DesiredRepository("mirror/python", tag_mutability="IMMUTABLE", pull_principals=("210987654321",)),
    ),
    replicate_to=("us-east-1", "ap-northeast-1"),
    prefix="mirror",
)
LEFT = 'module.replicas_eu_north_1.module.repositories["mirror/python"]'
EVIL = '"}\n${file("/etc/passwd")} %{ for x in y } \\'


def _values(root_module: RootModule) -> Mapping[str, object]:
    values = json.loads(root_module.files["base-images.json"])
    assert isinstance(values, dict)
    return values


@pytest.mark.parametrize(
    ("name", "root_module"),
    [
        ("local", render(DESIRED)),
        ("adopting", render(replace(DESIRED, backend=S3), adopt=ADOPTIONS)),
        ("replicas", render(REPLICATED, let_go=[LEFT], regions=replica_regions([LEFT]))),
        ("empty", render(Desired(name="empty", region="us-east-1", account_id=None))),
    ],
)
def test_the_files_are_as_reviewed(name: str, root_module: RootModule) -> None:
    text = "".join(f"==> {file} <==\n{text}" for file, text in root_module.files.items())
    # The texts of buildspecs have golden files of their own.
    assert_golden(f"root_module/{name}.txt", re.sub(r'("buildspec": ").*(",)', r"\1…\2", text))


@pytest.mark.parametrize(
    "desired",
    [
        DESIRED,
        Desired(name="empty", region="us-east-1", account_id=None),
        replace(DESIRED, backend=S3),
        REPLICATED,
        replace(DESIRED, backend=replace(S3, kms_key_id="alias/x", dynamodb_table="locks")),
        replace(DESIRED, region=EVIL, account_id=EVIL, backend=S3Backend(EVIL, EVIL, EVIL, EVIL)),
    ],
)
def test_terraform_fmt_has_nothing_to_change(desired: Desired, tmp_path: Path) -> None:
    adopt = [*ADOPTIONS, Adoption(repository_address(EVIL), EVIL)]
    for file, text in render(desired, adopt=adopt, let_go=[LEFT], regions=["eu-north-1"]).files.items():
        if file.endswith(".tf"):
            (tmp_path / file).write_text(text, encoding="utf-8")
    result = subprocess.run(
        [require("terraform"), "fmt", "-check", "-diff"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (0, "")


def test_equal_values_give_equal_text_in_any_order() -> None:
    turned = replace(
        DESIRED,
        repositories=DESIRED.repositories[::-1],
        builds=DESIRED.builds[::-1],
        resource_tags=dict(reversed(DESIRED.resource_tags.items())),
    )
    assert render(turned, adopt=ADOPTIONS[::-1]) == render(DESIRED, adopt=ADOPTIONS)
    assert list(render(DESIRED).files) == sorted(render(DESIRED).files)


def test_everything_made_is_tagged_as_this_manifests_whatever_the_manifest_says() -> None:
    tags = _values(render(replace(DESIRED, resource_tags={"toolkit:manifest": "another", "team": "a"})))[
        "resource_tags"
    ]
    assert tags == {"team": "a", "toolkit:managed-by": "base-image-toolkit", "toolkit:manifest": "platform"}


def test_the_account_guard_is_in_the_provider_and_nowhere_without_one() -> None:
    assert 'allowed_account_ids = ["123456789012"]' in render(DESIRED).files["main.tf"]
    assert "allowed_account_ids" not in render(replace(DESIRED, account_id=None)).files["main.tf"]


def test_state_in_s3_is_locked_there_and_needs_a_terraform_that_can() -> None:
    main = render(replace(DESIRED, backend=S3)).files["main.tf"]
    assert "use_lockfile = true" in main
    assert 'required_version = ">= 1.10"' in main


def test_a_build_may_pull_from_its_own_repositories_only() -> None:
    builds = _values(render(DESIRED))["builds"]
    assert isinstance(builds, dict)
    assert builds["web"]["repositories"] == ["base/python", NGINX]


def test_every_build_has_its_buildspec_with_it() -> None:
    builds = _values(render(DESIRED))["builds"]
    assert isinstance(builds, dict)
    assert "docker pull" in builds["web"]["buildspec"]
    assert "make docs" in builds["docs"]["buildspec"]


def test_the_root_module_is_a_call_with_the_input_that_another_root_module_takes() -> None:
    assert render(DESIRED).files["base-images.json"] == render_input(DESIRED)
    assert sorted(render(DESIRED).files) == ["base-images.json", "main.tf", "outputs.tf"]


def test_the_tests_of_base_images_have_an_input_that_we_write() -> None:
    manifest = """\
version: 1
name: platform
aws: {region: eu-west-1, resource_tags: {team: platform}}
images: [nginx:1.16]
builds:
  - name: web
    source: {type: GITHUB, location: "https://github.com/acme/web.git"}
    images: [nginx:1.16]
    buildspec: ci/buildspec.yml
    environment_image: mirror:nginx:1.16
    rebuild: on_update
lock: s3://acme-base-images/images.lock.yaml
refresh:
  schedule: cron(0 4 * * ? *)
  bucket: acme-base-images
  tool: {image: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/tools/toolkit:1.0"}
"""
    text = render_input(resolve(loads(manifest, "images.yaml")))
    assert_golden("../../terraform_modules/base-images/tests/input.json", text)


def test_a_source_without_location_is_null_as_the_module_wants_it() -> None:
    nowhere = replace(WEB, source_type="NO_SOURCE", source_location="")
    builds = _values(render(replace(DESIRED, builds=(nowhere,))))["builds"]
    assert isinstance(builds, dict)
    assert builds["web"]["source_code"] == {"type": "NO_SOURCE", "location": None, "version": None}


def test_addresses_are_those_of_the_modules() -> None:
    assert repository_address("a/b") == 'module.base_images.module.repositories["a/b"].aws_ecr_repository.this'
    assert role_address(WEB) == 'module.base_images.module.builds["web"].aws_iam_role.this["this"]'
    assert (
        log_group_address(WEB)
        == 'module.base_images.module.builds["web"].aws_cloudwatch_log_group.this["/aws/codebuild/platform-web"]'
    )
    assert project_address(WEB) == 'module.base_images.module.builds["web"].aws_codebuild_project.this'


@pytest.mark.parametrize(
    "desired",
    [
        replace(DESIRED, region="\ud800"),
        replace(DESIRED, resource_tags={"team": "\udfff"}),
        replace(DESIRED, builds=(replace(WEB, environment_variables={"A": "\ud800"}),)),
    ],
)
def test_text_that_terraform_cannot_hold_is_refused(desired: Desired) -> None:
    with pytest.raises(Refused, match="surrogate"):
        render(desired)


@settings(max_examples=30)
@given(st.dictionaries(st.text(), st.text(), max_size=4))
def test_tags_of_any_text_are_data_and_leave_the_hcl_alone(tags: dict[str, str]) -> None:
    root_module = render(replace(DESIRED, resource_tags=tags))
    assert root_module.files["main.tf"] == render(DESIRED).files["main.tf"]
    assert _values(root_module)["resource_tags"] == {**tags, **ownership_tags("platform")}


def test_a_replica_has_the_settings_of_its_repository_and_the_key_of_its_region() -> None:
    files = render(REPLICATED).files
    home = json.loads(files["base-images.json"])["repositories"]
    there = json.loads(files["replicas-us-east-1.json"])["repositories"]
    key = KEY.replace("eu-west-1", "us-east-1")
    nginx = "mirror/docker-hub/library/nginx"
    assert there[nginx] == {**home[nginx], "kms_key": key, "force_delete": True}
    assert there["mirror/python"] == {**home["mirror/python"], "force_delete": True}


def test_a_manifest_without_repositories_replicates_nothing() -> None:
    assert "replicas.tf" not in render(REPLICATED.emptied()).files


def test_a_replica_in_the_state_is_known_by_its_region() -> None:
    for region in ("", "us-east-1"):
        address = repository_address(NGINX, region)
        assert instance_of(address) == Instance(
            address.removesuffix(".aws_ecr_repository.this"), "repositories", NGINX, region
        )
