"""The variables by which tests take their images from ECR."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.build_container import REGISTRY, BuildContainer
from tests.support.builds import EXPORTER, NGINX, PINNED, REGION, WEB
from toolkit.codebuild.buildspec_edit import check_exports
from toolkit.codebuild.fragment import render_fragment
from toolkit.codebuild.testcontainers_variables import PREFIX, hub_prefix
from toolkit.errors import Refused
from toolkit.manifest.strategy import Strategy
from toolkit.plan.desired import BuildImage, DesiredBuild

RYUK = BuildImage("testcontainers/ryuk:0.14.0", "docker-hub/testcontainers/ryuk", "0.14.0")
KAFKA = BuildImage("confluentinc/cp-kafka:7", "docker-hub/confluentinc/cp-kafka", "7")
SPELLED = BuildImage("library/postgres:16", "docker-hub/library/postgres", "16")
OWN = BuildImage("postgres:16", "docker-hub/postgres", "16")


def build(*images: BuildImage, **fields: object) -> DesiredBuild:
    return replace(WEB, images=images, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("images", "fields", "prefix"),
    [
        ((RYUK, KAFKA), {}, "docker-hub/"),
        ((RYUK, SPELLED), {}, "docker-hub/"),
        ((RYUK, OWN), {}, "docker-hub/"),
        ((RYUK, KAFKA), {"strategy": Strategy.HOSTS}, "docker-hub/"),
        ((RYUK, KAFKA, NGINX), {}, None),
        ((RYUK, KAFKA, EXPORTER), {}, None),
        ((RYUK, PINNED), {}, None),
        ((KAFKA,), {}, None),
        ((RYUK, KAFKA), {"on_miss": "upstream"}, None),
        ((RYUK, replace(KAFKA, tag="stable")), {}, None),
        ((RYUK, replace(KAFKA, original="docker.io/confluentinc/cp-kafka:7")), {}, None),
    ],
)
def test_a_prefix_has_to_lead_to_every_image(
    images: tuple[BuildImage, ...], fields: dict[str, object], prefix: str | None
) -> None:
    assert hub_prefix(build(*images, **fields)) == prefix


@pytest.fixture(params=["dash", "bash", "busybox"])
def container(request: pytest.FixtureRequest, tmp_path: Path) -> BuildContainer:
    return BuildContainer(tmp_path / "container", request.param)


def exported(container: BuildContainer, asked: DesiredBuild, **environment: str) -> dict[str, str]:
    """The variables that a command after the step sees."""
    show = 'printf "= %s %s\\n" PREFIX "${TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX:-}" '
    show += 'JAVA "${TESTCONTAINERS_RYUK_CONTAINER_IMAGE:-}" NODE "${RYUK_CONTAINER_IMAGE:-}"\n'
    run = container.run(f"{render_fragment(asked, region=REGION)}\n{show}", **environment)
    assert run.status == 0, run.output
    lines = [line.split(" ") for line in run.output.splitlines() if line.startswith("= ")]
    return {name: value for _, name, value in lines}


def test_names_ryuk_in_ecr(container: BuildContainer) -> None:
    there = f"{REGISTRY}/docker-hub/testcontainers/ryuk:0.14.0"
    asked = build(RYUK, NGINX, strategy=Strategy.RETAG)
    assert exported(container, asked) == {"PREFIX": "", "JAVA": there, "NODE": there}


def test_sets_a_prefix_that_fits_and_leaves_the_registry_to_it(container: BuildContainer) -> None:
    name = "testcontainers/ryuk:0.14.0"
    asked = build(RYUK, KAFKA, strategy=Strategy.RETAG)
    assert exported(container, asked) == {"PREFIX": f"{REGISTRY}/docker-hub/", "JAVA": name, "NODE": name}


def test_keeps_what_the_build_has_set(container: BuildContainer) -> None:
    asked = build(RYUK, KAFKA, strategy=Strategy.RETAG)
    assert exported(container, asked, **{PREFIX: "mine/"})["PREFIX"] == "mine/"


def test_a_build_without_tests_has_no_such_step() -> None:
    assert "TESTCONTAINERS" not in render_fragment(WEB, region=REGION)


def test_a_buildspec_whose_commands_do_not_share_variables_is_refused() -> None:
    text = "version: 0.1\nphases: {build: {commands: [x]}}\n"
    check_exports(text, Strategy.AUTO, file="b.yml")
    with pytest.raises(Refused):
        check_exports(text, Strategy.AUTO, names_to_tests=True, file="b.yml")
