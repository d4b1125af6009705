"""Atlantis' workflow, executed: its steps in one folder, with the variables that Atlantis sets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.pipelines.world import EXAMPLES, KEY, MANIFEST, Ran, World, git, open_world

# One story, told by one worker: the tests follow each other.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("Atlantis")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("atlantis")) as world:
        yield world


@pytest.fixture(scope="module")
def server() -> Any:
    return YAML(typ="safe", pure=True).load((EXAMPLES / "atlantis-repos.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def planned(world: World, server: Any) -> Path:
    """The server's checkout of a pull request, merged with main, after `atlantis plan`."""
    branch = world.commit("more", images__yaml=MANIFEST + "# reviewed\n")
    folder = world.checkout(world.folder / "pull", world.head())
    git(folder, "merge", "--quiet", "--no-ff", "--message", "atlantis-merge", branch)
    run_stage(world, server, "plan", folder).expect(0)
    return folder


def run_stage(world: World, server: Any, name: str, folder: Path) -> Ran:
    """Run the steps of a stage of the workflow that the repository has, until one fails."""
    [repository] = server["repos"]
    environment = {
        "DIR": str(folder),
        "PLANFILE": str(folder / "default.tfplan"),
        "TOOLKIT_PLAN_KEY": KEY,
        "AWS_REGION": "ap-northeast-1",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(world.folder / "token"),
    }
    (world.folder / "token").write_text("a token of the cluster's")
    ran = Ran(0, "")
    for step in server["workflows"][repository["workflow"]][name]["steps"]:
        [(kind, given)] = step.items()
        if kind == "env":
            environment[given["name"]] = given["value"]
            continue
        assert kind == "run"
        ran = world.run(given, folder, environment, ("sh", "-c"))
        if ran.code:
            break
    return ran


def test_plans_where_atlantis_looks_for_the_plan(world: World, planned: Path) -> None:
    assert (planned / "default.tfplan").is_file()
    assert world.images() == set()


def test_refuses_a_plan_of_another_checkout(world: World, server: Any, planned: Path) -> None:
    other = world.checkout(world.folder / "other", world.head())
    (other / "default.tfplan").write_bytes((planned / "default.tfplan").read_bytes())
    assert "plan.other_commit" in run_stage(world, server, "apply", other).expect(7).output


def test_applies_what_was_reviewed_and_tries_again_after_exit_6(world: World, server: Any, planned: Path) -> None:
    world.lose_upstream()
    run_stage(world, server, "apply", planned).expect(0)
    assert world.slept() == ["60"]
    assert world.images() == {"docker-hub/library/nginx:1.16"}
