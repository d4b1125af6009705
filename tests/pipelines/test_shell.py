"""The plain shell script, executed step by step as another service or cron would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipelines.world import CREDENTIALS, EXAMPLES, KEY, REGION, Ran, World, open_world

# One story, told by one worker: the tests follow each other.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("shell")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("shell")) as world:
        yield world


@pytest.fixture(scope="module")
def review(world: World) -> Path:
    """The checkout that has the plan, after `review`."""
    folder = world.checkout(world.folder / "review", world.head())
    step(world, folder, "review", TOOLKIT_PLAN_KEY=KEY, **CREDENTIALS).expect(2)
    return folder


def step(world: World, folder: Path, name: str, **environment: str) -> Ran:
    return world.run(f"{EXAMPLES}/base-images.sh {name}", folder, environment, ("sh", "-c"))


def test_checks_without_credentials(world: World) -> None:
    folder = world.checkout(world.folder / "check", world.head())
    step(world, folder, "check").expect(0)
    assert (folder / "scan.sarif").is_file()


def test_plans_for_a_comment_and_for_the_browser(world: World) -> None:
    folder = world.checkout(world.folder / "plan", world.head())
    step(world, folder, "plan", **CREDENTIALS).expect(0)
    assert (folder / "plan.md").read_text().startswith("<!-- toolkit:plan name=base-images region=ap-northeast-1 -->")
    assert (folder / "plan.html").is_file()


def test_refuses_the_plan_when_main_has_moved_and_applies_it_when_it_has_not(world: World, review: Path) -> None:
    commit = world.commit("main", README="not about images")
    refused = step(world, review, "apply", TOOLKIT_PLAN_KEY=KEY, **CREDENTIALS).expect(7)
    assert "plan.other_commit" in refused.output
    folder = world.checkout(world.folder / "again", commit)
    step(world, folder, "review", TOOLKIT_PLAN_KEY=KEY, **CREDENTIALS).expect(2)
    world.lose_upstream()
    step(world, folder, "apply", TOOLKIT_PLAN_KEY=KEY, **CREDENTIALS).expect(0)
    assert world.slept() == ["60"]
    assert world.images() == {"docker-hub/library/nginx:1.16"}
    step(world, folder, "nightly", **CREDENTIALS).expect(0)


def test_says_at_night_that_somebody_overwrote_a_tag(world: World) -> None:
    ecr = world.sandbox.client("ecr", REGION)
    [name] = [one["repositoryName"] for one in ecr.describe_repositories()["repositories"]]
    [image] = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "1.16"}])["images"]
    ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "1.16"}])
    ecr.put_image(repositoryName=name, imageManifest=image["imageManifest"] + "\n", imageTag="1.16")
    folder = world.checkout(world.folder / "night", world.head())
    said = step(world, folder, "nightly", **CREDENTIALS).expect(8)
    assert "tag.overwritten" in said.output


def test_knows_no_other_step(world: World) -> None:
    step(world, world.folder, "deploy").expect(64)
