from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from toolkit.lock.model import TRACKING, Bypass, Freshness, Hold, Policy, Verification
from toolkit.manifest.loader import load, loads
from toolkit.oci.alternatives import Alternative
from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.plan.desired import (
    BuildImage,
    Desired,
    DesiredRefresh,
    DesiredRegistry,
    DesiredRepository,
    ProviderNeed,
    S3Backend,
    S3Object,
)
from toolkit.plan.observed import ReplicationRule
from toolkit.plan.resolve import EXCLUSIONS_SINCE, resolve

EXAMPLES = Path(__file__).parents[3] / "examples"
KEY = """\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAbkhtHrfPkE/n9rjhHAWAveFC8eUNJH/JCaduhK0HR6I=
-----END PUBLIC KEY-----
"""
HEAD = "version: 1\nname: platform\naws: {region: eu-west-1}\n"


def desired(body: str) -> Desired:
    return resolve(loads(HEAD + body, "images.yaml"))


def test_the_least_manifest_gets_every_default() -> None:
    found = desired("images: [nginx:1.16]\n")
    assert (found.name, found.region, found.account_id, found.backend) == ("platform", "eu-west-1", None, None)
    assert found.repositories == (DesiredRepository("docker-hub/library/nginx"),)
    [image] = found.images
    assert str(image.source) == "docker.io/library/nginx:1.16"
    assert (image.key, image.path) == ("docker-hub/library/nginx:1.16", "images[0]")
    assert image.subset.platforms == (Platform("linux", "amd64"),)
    assert image.subset.keeps_attestations
    assert not image.keeps_signatures
    assert (found.builds, found.registries, found.resource_tags) == ((), {}, {})


def test_images_are_in_the_manifests_order_and_repositories_in_order_of_name() -> None:
    found = desired("images: ['zz:1', {source: aa, tags: ['2', '1']}, 'zz:0']\n")
    assert [image.key.removeprefix("docker-hub/library/") for image in found.images] == ["zz:1", "aa:2", "aa:1", "zz:0"]
    assert [image.path for image in found.images] == [
        "images[0]",
        "images[1].tags[0]",
        "images[1].tags[1]",
        "images[2]",
    ]
    assert [repository.name for repository in found.repositories] == [
        "docker-hub/library/aa",
        "docker-hub/library/zz",
    ]


def test_platforms_and_attestations_come_from_the_image_else_from_the_manifest() -> None:
    found = desired(
        "platforms: all\nattestations: drop\n"
        "images: ['a:1', {source: 'b:1', platforms: [linux/arm/v7]}, {source: 'c:1', attestations: keep}]\n"
    )
    assert [image.subset.platforms for image in found.images] == [None, (Platform("linux", "arm", "v7"),), None]
    assert [image.subset.keeps_attestations for image in found.images] == [False, False, True]


def test_signatures_come_from_the_image_else_from_the_manifest() -> None:
    found = desired("signatures: keep\nimages: ['a:1', {source: 'b:1', signatures: drop}]\n")
    assert [image.keeps_signatures for image in found.images] == [True, False]


def test_an_image_can_take_the_whole_index_where_the_manifest_chooses() -> None:
    assert desired("images: [{source: 'a:1', platforms: all}]\n").images[0].subset.platforms is None


def test_repository_settings_override_single_fields() -> None:
    found = desired(
        "repositories: {tag_mutability: immutable, expire_untagged_after_days: null, force_delete: true, prefix: p}\n"
        "images: ['a:1', {source: 'b:1', repository: bb, repository_settings: {tag_mutability: mutable}}]\n"
    )
    changed, default = found.repositories
    assert (changed.name, changed.tag_mutability, changed.force_delete) == ("p/bb", "MUTABLE", True)
    assert (default.name, default.is_immutable) == ("p/docker-hub/library/a", True)
    assert default.expire_untagged_after_days is None


def test_a_backend_is_in_the_region_of_the_manifest_unless_it_says_its_own() -> None:
    text = "images: ['a:1']\nterraform: {backend: {s3: {bucket: states, key: a/b%s}}}\n"
    assert desired(text % "").backend == S3Backend("states", "a/b", "eu-west-1")
    assert desired(text % ", region: us-east-1").backend == S3Backend("states", "a/b", "us-east-1")


def test_a_build_finds_its_images_in_ecr_under_the_names_of_its_dockerfiles() -> None:
    found = desired(
        "images: [nginx:1.16, {source: python, tags: ['3.12'], repository: base/python}, 'alpine:latest']\n"
        "builds: [{name: web, source: {type: NO_SOURCE}, commands: [make], images: "
        "[docker.io/library/nginx:1.16, 'python:3.12', alpine]}]\n"
    )
    [build] = found.builds
    assert build.project_name == "platform-web"
    assert build.images == (
        BuildImage("docker.io/library/nginx:1.16", "docker-hub/library/nginx", "1.16"),
        BuildImage("python:3.12", "base/python", "3.12"),
        BuildImage("alpine", "docker-hub/library/alpine", "latest"),
    )
    assert (build.source_type, build.source_location, build.source_version) == ("NO_SOURCE", "", None)
    assert build.buildspec_commands == ("make",)


def test_a_pinned_image_serves_a_build_that_names_its_tag() -> None:
    digest = "sha256:" + "a" * 64
    found = desired(
        f"images: ['alpine:3.20@{digest}']\n"
        "builds: [{name: web, source: {type: S3, location: bucket/key}, images: ['alpine:3.20']}]\n"
    )
    assert str(found.images[0].source.digest) == digest
    assert found.builds[0].images[0].tag == "3.20"


@pytest.mark.parametrize(
    ("machine", "image"),
    [
        ("LINUX_CONTAINER", "aws/codebuild/amazonlinux-x86_64-standard:5.0"),
        ("ARM_CONTAINER", "aws/codebuild/amazonlinux-aarch64-standard:3.0"),
        ("LINUX_EC2", "aws/codebuild/ami/amazonlinux-x86_64-base:latest"),
        ("ARM_EC2", "aws/codebuild/ami/amazonlinux-arm-base:latest"),
    ],
)
def test_the_environment_image_fits_the_machine(machine: str, image: str) -> None:
    found = desired(
        "images: ['a:1']\nplatforms: all\n"
        f"builds: [{{name: web, source: {{type: S3, location: b.b/k}}, images: ['a:1'], environment_type: {machine}}}]\n"
    )
    assert found.builds[0].environment_image == image


def test_registries_are_found_by_their_canonical_host_and_hold_no_secret() -> None:
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x"
    ecr, role = "210987654321.dkr.ecr.eu-west-1.amazonaws.com", "arn:aws:iam::210987654321:role/reader"
    found = desired(
        "images: ['a:1']\nregistries:\n"
        "  index.docker.io: {credential: {env: {username: U, password: P}}}\n"
        f"  GHCR.io: {{credential: {{secretsmanager: '{arn}'}}}}\n"
        "  quay.io: {credential: docker-config, endpoint: 'http://127.0.0.1:5000'}\n"
        f"  {ecr}: {{credential: {{role_arn: '{role}'}}}}\n"
        "  public.ecr.aws: {credential: {profile: shared}}\n"
        "  mirrored.io: {endpoint: 'http://mirror.test', insecure: true}\n"
        "  registry.k8s.io: {alternatives: [mirror.test/k8s, mirror.test]}\n"
    )
    assert found.registries == {
        "docker.io": DesiredRegistry("docker.io", username_env="U", password_env="P"),
        "ghcr.io": DesiredRegistry("ghcr.io", secret_arn=arn),
        "quay.io": DesiredRegistry("quay.io", endpoint="http://127.0.0.1:5000", is_docker_config=True),
        ecr: DesiredRegistry(ecr, role_arn=role),
        "public.ecr.aws": DesiredRegistry("public.ecr.aws", profile="shared"),
        "mirrored.io": DesiredRegistry("mirrored.io", endpoint="http://mirror.test", is_insecure=True),
        "registry.k8s.io": DesiredRegistry(
            "registry.k8s.io", alternatives=(Alternative("mirror.test", "k8s"), Alternative("mirror.test"))
        ),
    }


def test_the_complete_example_resolves_to_what_it_says() -> None:
    found = resolve(load(EXAMPLES / "complete" / "images.yaml"))
    assert found.account_id == "123456789012"
    assert found.backend == S3Backend(
        bucket="acme-terraform-state",
        key="base-images/platform.tfstate",
        region="ap-northeast-1",
        kms_key_id="arn:aws:kms:ap-northeast-1:123456789012:key/1f0c8a5e-2f5b-4f0e-9d3c-6a7b8c9d0e1f",
        dynamodb_table="terraform-locks",
    )
    python = found.repository("mirror/base/python")
    assert python == DesiredRepository(
        name="mirror/base/python",
        tag_mutability="IMMUTABLE",
        tag_mutability_exclusions=("latest", "nightly-*"),
        scan_on_push=False,
        encryption_type="AES256",
        expire_untagged_after_days=None,
        policy_statements=python.policy_statements,
        force_delete=True,
        resource_tags={"team": "data"},
    )
    assert [statement.sid for statement in python.policy_statements] == ["OnlyTheTeamDeletes"]
    assert found.provider_needs == (
        ProviderNeed("images[3].repository_settings.tag_mutability_exclusions", EXCLUSIONS_SINCE),
    )
    nginx = found.repository("mirror/docker-hub/library/nginx")
    assert (nginx.encryption_type, nginx.organization_id) == ("KMS", "o-a1b2c3d4e5")
    assert nginx.kms_key is not None
    assert nginx.pull_principals == ("210987654321", "arn:aws:iam::345678901234:role/deploy")
    build = found.builds[0]
    assert [one.name for one in found.builds] == ["web", "release", "pipeline"]
    assert (build.description, build.timeout_minutes, build.log_retention_days) == ("The shop's front end", 60, 30)
    assert build.environment_variables == {"DOCKER_BUILDKIT": "1", "STAGE": "prod"}
    assert build.settings.parameter_variables == {"LICENSE": "/web/license"}
    assert build.settings.secret_variables == {"TOKEN": "web/token:key"}
    assert build.source_version == "main"


def test_an_exclusion_turns_what_holds_for_a_tag() -> None:
    immutable = DesiredRepository("aa", tag_mutability="IMMUTABLE", tag_mutability_exclusions=("latest", "nightly-*"))
    assert [immutable.fixes(tag) for tag in ("1.0", "latest", "nightly-1")] == [True, False, False]
    mutable = DesiredRepository("aa", tag_mutability_exclusions=("v*",))
    assert [mutable.fixes(tag) for tag in ("v1", "1")] == [True, False]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [("", True), ("environment_type: LINUX_EC2", False), ("privileged: false, buildspec: b.yml", False)],
)
def test_a_container_is_privileged_unless_the_build_uses_no_docker(fields: str, expected: bool) -> None:
    [build] = desired(
        f"images: ['a:1']\nbuilds: [{{name: web, source: {{type: S3, location: b.b/k}}, images: ['a:1'], {fields}}}]\n"
    ).builds
    assert build.settings.is_privileged is expected


def test_a_build_without_docker_fetches_no_build_tools() -> None:
    [build] = desired(
        "images: ['a:1']\nbuild_tools: true\n"
        "builds: [{name: web, source: {type: S3, location: b.b/k}, privileged: false, commands: [make],"
        " environment_image: 'mirror:a:1'}]\n"
    ).builds
    assert build.images == ()
    assert build.settings.environment_mirror == BuildImage("a:1", "docker-hub/library/a", "1")


def test_what_provider_5_lacks_is_known_by_its_field() -> None:
    body = "repositories: {tag_mutability_exclusions: [latest]}\nimages: ['a:1']\n"
    assert desired(body).provider_needs == (ProviderNeed("repositories.tag_mutability_exclusions", (6, 8)),)
    assert desired("images: ['a:1']\n").provider_needs == ()


def test_a_build_runs_in_a_mirrored_image_by_its_name_in_ecr() -> None:
    found = desired(
        "repositories: {prefix: p}\nimages: ['a:1', {source: python, tags: ['3.12'], repository: base/python}]\n"
        "builds: [{name: web, source: {type: S3, location: b.b/k}, images: ['a:1'], environment_image: 'mirror:python:3.12'}]\n"
    )
    [build] = found.builds
    assert build.environment_image == "p/base/python:3.12"
    assert build.settings.environment_mirror == BuildImage("python:3.12", "p/base/python", "3.12")


def test_another_account_s_mirror_leaves_only_the_builds_to_make() -> None:
    found = desired(
        "repositories: {prefix: p, account_id: '210987654321'}\nimages: ['a:1', {source: b, tags: {glob: '1.*'}}]\n"
        "builds: [{name: web, source: {type: S3, location: b.b/k}, images: ['a:1', 'b:1.2']}]\n"
    )
    assert (found.repositories, found.images, found.selections) == ((), (), ())
    assert found.mirror_account_id == "210987654321"
    assert [image.repository for image in found.builds[0].images] == [
        "p/docker-hub/library/a",
        "p/docker-hub/library/b",
    ]


def test_the_build_tools_are_mirrored_and_every_build_has_them() -> None:
    found = desired(
        "build_tools: true\n"
        "images: [nginx:1.16, {source: 'moby/buildkit:buildx-stable-1', platforms: all}]\n"
        "builds: [{name: web, source: {type: NO_SOURCE}, commands: [make], images: [nginx:1.16, docker/dockerfile:1]}]\n"
    )
    assert [(image.key, image.path, image.subset.platforms is None) for image in found.images] == [
        ("docker-hub/library/nginx:1.16", "images[0]", False),
        ("docker-hub/moby/buildkit:buildx-stable-1", "images[1]", True),
        ("docker-hub/docker/dockerfile:1", "build_tools", False),
        ("docker-hub/docker/buildkit-syft-scanner:stable-1", "build_tools", False),
        ("docker-hub/tonistiigi/binfmt:latest", "build_tools", False),
    ]
    assert [image.original for image in found.builds[0].images] == [
        *("nginx:1.16", "docker/dockerfile:1", "moby/buildkit:buildx-stable-1"),
        *("docker/buildkit-syft-scanner:stable-1", "tonistiigi/binfmt:latest"),
    ]


def test_a_build_tool_is_as_the_image_that_shares_its_repository() -> None:
    found = desired(
        "build_tools: true\n"
        "images: [{source: 'docker/dockerfile:1.7', repository_settings: {tag_mutability: immutable}}]\n"
    )
    assert found.repository("docker-hub/docker/dockerfile").is_immutable


def test_a_build_may_name_a_digest_that_an_image_is_pinned_to() -> None:
    digest = "sha256:" + "a" * 64
    found = desired(
        f"images: [{{source: 'alpine:3.20@{digest}', platforms: all}}]\n"
        f"builds: [{{name: web, source: {{type: NO_SOURCE}}, commands: [make], images: ['alpine@{digest}']}}]\n"
    )
    [image] = found.builds[0].images
    assert (image.repository, image.tag, str(image.digest)) == ("docker-hub/library/alpine", "3.20", digest)


def test_a_build_knows_every_upstream_of_the_manifest_and_docker_hub() -> None:
    build = "builds: [{name: web, source: {type: NO_SOURCE}, commands: [make], images: ['quay.io/a/b:1']}]\n"
    found = desired(f"repositories: {{prefix: mirror}}\nimages: ['quay.io/a/b:1', 'localhost:5000/c:1']\n{build}")
    assert [(upstream.host, upstream.prefix) for upstream in found.builds[0].upstreams] == [
        ("docker.io", "mirror/docker-hub"),
        ("localhost:5000", "mirror/localhost-5000"),
        ("quay.io", "mirror/quay"),
    ]


def test_login_takes_docker_hubs_secret_and_no_images() -> None:
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub-AbCdEf"
    found = desired(
        f"images: ['a:1']\nregistries: {{index.docker.io: {{credential: {{secretsmanager: '{arn}'}}}}}}\n"
        "builds: [{name: web, source: {type: NO_SOURCE}, commands: [make], strategy: login}]\n"
    )
    [build] = found.builds
    assert (build.docker_hub_secret, build.images) == (arn, ())


def test_says_nothing_about_a_lock_where_the_manifest_says_nothing() -> None:
    found = desired("images: [nginx:1.16]\nrepositories: {keep_previous: 2}\n")
    assert (found.needs_lock, found.lock, found.keep_previous) == (False, None, 2)
    assert found.policy_of(found.images[0]) == TRACKING


def test_admission_is_asked_for_by_the_image_else_by_the_manifest() -> None:
    digest = Digest.of(b"urgent")
    found = desired(
        f"""\
lock: s3://acme/base/images.lock.yaml
min_age: 3d
verify: {{key: {json.dumps(KEY)}}}
suspend: {{reason: freeze, until: 2026-12-31}}
images:
  - nginx:1.16
  - source: redis
    tags: {{glob: "7*"}}
    freshness: pin
    min_age: 12h
    verify: none
    suspend: {{reason: slow, until: 2026-12-01}}
    bypass: {{digest: "{digest}", reason: CVE}}
"""
    )
    assert found.needs_lock and found.lock == S3Object("acme", "base/images.lock.yaml")
    first = Policy(
        min_age=timedelta(days=3),
        verify=Verification(KEY),
        suspend=Hold("freeze", datetime(2027, 1, 1, tzinfo=UTC)),
    )
    assert found.images[0].policy == first
    assert found.selections[0].policy == Policy(
        Freshness.PIN,
        timedelta(hours=12),
        suspend=Hold("slow", datetime(2026, 12, 2, tzinfo=UTC)),
        bypass=Bypass(digest, "CVE"),
    )
    assert found.selections[0].image("7.2").policy == found.selections[0].policy


def test_an_immutable_tag_is_admitted_once() -> None:
    settings = "repositories: {tag_mutability: immutable, tag_mutability_exclusions: [latest]}\n"
    found = desired(f"{settings}images: [nginx:1.16, nginx:latest]\n")
    assert [found.policy_of(image).freshness for image in found.images] == [Freshness.ONCE, Freshness.TRACK]


REFRESH = """
lock: s3://acme/images.lock.yaml
refresh: {schedule: rate(1 day), bucket: acme, tool: {%s}}
builds:
  - {name: web, rebuild: on_update, source: {type: S3, location: acme/web.zip}, images: ["nginx:1.16"]}
  - {name: shop, source: {type: S3, location: acme/web.zip}, images: ["nginx:1.16"]}
images: [nginx:1.16]
"""


def test_a_refresh_has_its_defaults_and_its_tool() -> None:
    image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/tool:1"
    found = desired(REFRESH % f"image: '{image}'")
    assert found.refresh is not None
    project = found.refresh.project
    assert found.refresh == DesiredRefresh(project, "rate(1 day)", "UTC", "acme", "platform/refresh", tool_image=image)
    assert (project.project_name, project.environment_image) == ("platform-refresh", image)
    assert [one.name for one in found.projects] == ["web", "shop", "refresh"]
    assert [build.rebuilds for build in found.builds] == [True, False]
    assert found.emptied().refresh is None
    wheel = desired(REFRESH % f"wheel: s3://tools/a/b-1-py3-none-any.whl, sha256: {'a' * 64}").refresh
    assert wheel is not None
    assert wheel.project.environment_image == "aws/codebuild/amazonlinux-aarch64-standard:3.0"
    assert (wheel.tool_wheel, wheel.wheel_sha256) == (S3Object("tools", "a/b-1-py3-none-any.whl"), "a" * 64)


def test_the_rule_of_the_registry_is_about_the_repositories_of_the_manifest_alone() -> None:
    text = "version: 1\nname: platform\naws: {region: eu-west-1, replicate_to: [us-east-1, ap-south-1]}\n"
    found = resolve(loads(text + "repositories: {prefix: mirror}\nimages: [nginx:1.16]\n", "images.yaml"))
    assert found.replication == ReplicationRule(("ap-south-1", "us-east-1"), ("mirror/",))
    assert all(found.replication.covers(repository.name, "us-east-1") for repository in found.repositories)
    assert not found.replication.covers("mirrors/nginx", "us-east-1")
    assert not found.replication.covers("mirror/nginx", "eu-west-1")
    assert desired("images: [nginx:1.16]\n").replication is None
