from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.manifest.destinations import (
    TagNaming,
    default_repository,
    destinations_of,
    mirrors_of,
    settings_of,
    upstream_tag,
)
from toolkit.manifest.grammar import REPOSITORY_NAME, TAG
from toolkit.manifest.model import ImageSpec, RepositorySpec
from toolkit.oci.reference import Reference


@pytest.mark.parametrize(
    ("source", "repository"),
    [
        ("nginx:1.16", "docker-hub/library/nginx"),
        ("docker.io/grafana/grafana:11", "docker-hub/grafana/grafana"),
        ("index.docker.io/nginx:1.16", "docker-hub/library/nginx"),
        ("quay.io/prometheus/node-exporter:v1", "quay/prometheus/node-exporter"),
        ("ghcr.io/acme/tool:1", "github/acme/tool"),
        ("registry.k8s.io/pause:3.10", "kubernetes/pause"),
        ("public.ecr.aws/docker/library/nginx:1", "ecr-public/docker/library/nginx"),
        ("mcr.microsoft.com/dotnet/sdk:8.0", "mcr.microsoft.com/dotnet/sdk"),
        ("Registry.Acme.Example:5000/team/app:1", "registry.acme.example-5000/team/app"),
        ("localhost:5000/app:1", "localhost-5000/app"),
    ],
)
def test_repositories_are_called_as_the_pull_through_cache_calls_them(source: str, repository: str) -> None:
    assert default_repository(Reference.parse(source)) == repository


LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)
PATHS = st.lists(
    st.from_regex(r"[a-z0-9]{1,5}((\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}", fullmatch=True), min_size=1, max_size=3
)


@given(st.lists(LABELS, min_size=2, max_size=4).map(".".join), st.none() | st.integers(1, 65535), PATHS)
def test_the_default_name_of_a_dns_host_is_one_that_ecr_accepts(host: str, port: int | None, path: list[str]) -> None:
    registry = f"{host}:{port}" if port else host
    name = default_repository(Reference(registry, "/".join(path)))
    assert re.fullmatch(REPOSITORY_NAME, name)


def test_each_tag_is_a_destination_with_its_own_path() -> None:
    image = ImageSpec(source="python", tags=("3.12", "3.13"), repository="base/python")
    found = destinations_of(image, 4, "mirror")
    assert [(str(one.source), one.repository, one.tag, one.path) for one in found] == [
        ("docker.io/library/python:3.12", "mirror/base/python", "3.12", ("images", 4, "tags", 0)),
        ("docker.io/library/python:3.13", "mirror/base/python", "3.13", ("images", 4, "tags", 1)),
    ]


def test_a_pinned_source_keeps_its_digest_under_every_tag() -> None:
    digest = "sha256:" + "a" * 64
    image = ImageSpec(source=f"alpine@{digest}", tags=("3", "3.20"))
    assert [str(one.source.digest) for one in destinations_of(image, 0, "")] == [digest, digest]


@pytest.mark.parametrize("image", [ImageSpec(source="nginx"), ImageSpec(source="nginx:1", tags=("2",))])
def test_an_image_without_a_clear_tag_goes_nowhere(image: ImageSpec) -> None:
    assert destinations_of(image, 0, "") == []


def test_tags_can_have_other_names_at_the_destination() -> None:
    listed = ImageSpec(source="python", tags=("3.12", "3.13"), tag_as="base-{tag}")
    found = destinations_of(listed, 0, "")
    assert [(str(one.source.tag), one.tag) for one in found] == [("3.12", "base-3.12"), ("3.13", "base-3.13")]
    one = destinations_of(ImageSpec(source="nginx:1.27", tag_as="stable"), 0, "")[0]
    assert (str(one.source.tag), one.tag) == ("1.27", "stable")


def test_a_tag_with_another_name_is_found_by_its_upstream_name() -> None:
    images = [
        ImageSpec(source="nginx:1.27", tag_as="stable"),
        ImageSpec(source="nginx:1.26", tag_as="old"),
        ImageSpec(source="nginx:1.26"),
        ImageSpec(source="redis", tags={"glob": "7.*"}, tag_as="base-{tag}"),
    ]
    mirrors = mirrors_of(enumerate(images), "")
    names = ("nginx:1.27", "nginx:stable", "nginx:1.26", "redis:7.4", "redis:base-7.4")
    found = [mirrors.find(upstream_tag(name)) for name in names]
    assert [one and one.tag for one in found] == ["stable", None, "1.26", "base-7.4", None]


@given(st.from_regex(TAG, fullmatch=True), st.sampled_from(["{tag}", "base-{tag}", "{tag}-x", "a{tag}a"]))
def test_the_upstream_name_of_a_tag_is_found_again(tag: str, template: str) -> None:
    naming = TagNaming(template)
    assert naming.original(naming.renamed(tag)) == tag
    assert naming.original(template.replace("{tag}", "")) is None


def test_the_first_of_several_mirrors_counts() -> None:
    images = [ImageSpec(source="nginx:1", repository="aa"), ImageSpec(source="nginx:1", repository="bb")]
    found = mirrors_of(enumerate(images), "").find(upstream_tag("docker.io/library/nginx:1"))
    assert found
    assert found.repository == "aa"


def test_a_listed_tag_is_looked_for_before_what_a_selection_may_choose() -> None:
    images = [
        ImageSpec(source="nginx", tags={"glob": "1.*"}, repository="aa"),
        ImageSpec(source="nginx:1.16", repository="bb"),
    ]
    mirrors = mirrors_of(enumerate(images), "mirror")
    found = {tag: mirrors.find(upstream_tag(f"nginx:{tag}")) for tag in ("1.16", "1.17", "2.0")}
    assert {tag: one and one.repository for tag, one in found.items()} == {
        "1.16": "mirror/bb",
        "1.17": "mirror/aa",
        "2.0": None,
    }


def test_a_name_without_a_tag_means_latest() -> None:
    assert upstream_tag("nginx") == upstream_tag("docker.io/library/nginx:latest")


def test_an_image_overrides_single_settings_also_with_null() -> None:
    defaults = RepositorySpec(expire_untagged_after_days=30, scan_on_push=False, organization_id="o-a1b2c3d4e5")
    image = ImageSpec.model_validate(
        {"source": "a:1", "repository_settings": {"organization_id": None, "expire_untagged_after_days": None}}
    )
    settings = settings_of(image, defaults)
    assert (settings.scan_on_push, settings.organization_id, settings.expire_untagged_after_days) == (False, None, None)
    assert settings_of(ImageSpec(source="a:1"), defaults).expire_untagged_after_days == 30
