"""What the manifest says about a use, and what makes that use hard."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.codebuild.coverage import Kind, Trait
from toolkit.codebuild.findings import NamedImage
from toolkit.codebuild.matching import Match, Matcher
from toolkit.manifest.loader import loads

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
MANIFEST = f"""\
version: 1
name: shop
aws: {{region: eu-west-1}}
repositories: {{prefix: mirror}}
images:
  - nginx:1.16
  - {{source: python, tags: {{glob: "3.*-slim"}}, platforms: [linux/arm64]}}
  - {{source: "alpine:3.20@{DIGEST}", platforms: all}}
  - {{source: "busybox:1@{DIGEST}"}}
  - {{source: redis:7, repository: own/redis}}
  - {{source: memcached:1.6, tag_as: ours}}
  - {{source: "mariadb:11@{DIGEST}", tag_as: ours, platforms: all}}
"""


def match(name: str, kind: Kind = Kind.FROM, machine: str = "linux/amd64", **fields: object) -> Match:
    matcher = Matcher(loads(MANIFEST, "images.yaml"), machine)
    built_by = Path("buildspec.yml") if name in ("base", "docker.io/own/web:2") else None
    return matcher.match(NamedImage(1, kind, name, name, **fields), built_by)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "repository", "traits"),
    [
        ("nginx:1.16", "mirror/docker-hub/library/nginx", set()),
        ("docker.io/library/nginx:1.16", "mirror/docker-hub/library/nginx", set()),
        ("index.docker.io/nginx:1.16", "mirror/docker-hub/library/nginx", set()),
        ("registry-1.docker.io/library/nginx:1.16", "mirror/docker-hub/library/nginx", {Trait.HUB_BY_HOST}),
        ("registry.hub.docker.com/library/nginx:1.16", "mirror/docker-hub/library/nginx", {Trait.HUB_BY_HOST}),
        (f"alpine@{DIGEST}", "mirror/docker-hub/library/alpine", {Trait.DIGEST}),
        (f"alpine:3.20@{DIGEST}", "mirror/docker-hub/library/alpine", {Trait.DIGEST}),
        ("redis:7", "mirror/own/redis", {Trait.RENAMED}),
        ("memcached:1.6", "mirror/docker-hub/library/memcached", {Trait.RENAMED}),
        (f"mariadb:11@{DIGEST}", "mirror/docker-hub/library/mariadb", {Trait.DIGEST}),
        ("python:3.12-slim", "mirror/docker-hub/library/python", {Trait.PLATFORM_MISSING}),
    ],
)
def test_a_mirrored_image_is_found_by_each_of_its_names(name: str, repository: str, traits: set[Trait]) -> None:
    found = match(name)
    assert found.mirror is not None
    assert found.mirror.repository == repository
    assert found.use.traits == traits


@pytest.mark.parametrize(
    ("name", "traits", "remark"),
    [
        ("nginx", {Trait.NOT_MIRRORED}, ""),
        ("nginx:1.17", {Trait.NOT_MIRRORED}, ""),
        ("memcached:ours", {Trait.NOT_MIRRORED}, ""),
        ("quay.io/a/b:1", {Trait.NOT_MIRRORED, Trait.REGISTRY_UNKNOWN}, ""),
        (f"nginx@{DIGEST}", {Trait.NOT_MIRRORED, Trait.DIGEST}, ""),
        (f"nginx:1.16@{DIGEST}", {Trait.NOT_MIRRORED, Trait.DIGEST}, "pin it there"),
        (f"alpine:3.20@{OTHER}", {Trait.NOT_MIRRORED, Trait.DIGEST}, "pin it there"),
        (f"busybox@{DIGEST}", {Trait.NOT_MIRRORED, Trait.DIGEST}, "platforms: all"),
        ("Nginx:1.16", {Trait.NOT_MIRRORED}, "lower case"),
    ],
)
def test_what_is_not_mirrored_says_why_where_it_seems_so(name: str, traits: set[Trait], remark: str) -> None:
    found = match(name)
    assert found.mirror is None
    assert found.use.traits == traits
    assert remark in found.remark


@pytest.mark.parametrize(
    ("name", "kind", "fields", "trait"),
    [
        ("base", Kind.FROM, {}, Trait.BUILT_HERE),
        ("docker.io/own/web:2", Kind.RUN, {}, Trait.BUILT_HERE),
        ("1.dkr.ecr.eu-west-1.amazonaws.com/x:1", Kind.FROM, {}, Trait.HOME),
        ("1.dkr.ecr-fips.us-east-1.amazonaws.com/x:1", Kind.FROM, {}, Trait.HOME),
        ("1.dkr-ecr.eu-west-1.on.aws/x:1", Kind.FROM, {}, Trait.HOME),
        ("$A.dkr.ecr.$R.amazonaws.com/x:$T", Kind.PULL, {"unset": ("A",)}, Trait.HOME),
        ("$TOOLKIT_ECR_REGISTRY/x:1", Kind.PULL, {"unset": ("TOOLKIT_ECR_REGISTRY",)}, Trait.HOME),
        ("${TOOLKIT_ECR_REGISTRY}/x:1", Kind.PULL, {"unset": ("TOOLKIT_ECR_REGISTRY",)}, Trait.HOME),
        ("nginx:1.16", Kind.FROM, {"platform": "linux/arm64"}, Trait.OTHER_PLATFORM),
        ("nginx:1.16", Kind.FROM, {"pulls_always": True}, Trait.PULL_ALWAYS),
        ("nginx:1.16", Kind.FROM, {"follows_syntax": True}, Trait.CONTAINERD_SYNTAX),
        ("nginx:", Kind.FROM, {"unset": ("V",)}, Trait.NOT_MIRRORED),
    ],
)
def test_circumstances_are_traits(name: str, kind: Kind, fields: dict[str, object], trait: Trait) -> None:
    assert trait in match(name, kind, **fields).use.traits


def test_takes_the_platform_of_the_machine_by_default() -> None:
    assert match("nginx:1.16", machine="linux/arm64").use.traits == {Trait.PLATFORM_MISSING}
    assert match("python:3.12-slim", machine="linux/arm64").use.traits == set()
    assert match("python:3.12-slim", machine="linux/arm64", platform="linux/arm64/v8").use.traits == set()


def test_without_a_manifest_nothing_is_mirrored() -> None:
    found = Matcher(None, "linux/amd64").match(NamedImage(1, Kind.FROM, "nginx:1.16", "nginx:1.16"))
    assert found.use.traits == {Trait.NOT_MIRRORED, Trait.REGISTRY_UNKNOWN}
