"""The Jenkinsfile, executed: a pull request, main, an approval, and the timer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pipelines.jenkins import CREDENTIALS, Jenkins, Stage
from tests.pipelines.world import EXAMPLES, MANIFEST, World, open_world, with_python
from tests.support.real_parts import require

# One story, told by one worker: the tests follow each other.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("Jenkins")]

PULL_REQUEST = {"BRANCH_NAME": "PR-5", "CHANGE_ID": "5"}
MAIN = {"BRANCH_NAME": "main"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    require("curl")
    require("jq")
    with open_world(tmp_path_factory.mktemp("jenkins"), "acme-jenkins") as world:
        yield world


@pytest.fixture(scope="module")
def jenkins(world: World) -> Jenkins:
    return Jenkins(EXAMPLES / "Jenkinsfile", world)


def results(stages: dict[str, Stage]) -> dict[str, str]:
    return {name: stage.result for name, stage in stages.items()}


def test_writes_one_comment_and_replaces_it(world: World, jenkins: Jenkins) -> None:
    world.host.say("mallory", "<!-- toolkit:plan name=base-images region=ap-northeast-1 -->")
    for manifest in (MANIFEST, with_python(MANIFEST)):
        stages = jenkins.build(world.commit("more", images__yaml=manifest), PULL_REQUEST)
        assert results(stages) == {"Scan": "success", "Plan of a pull request": "success"}
    _, comment = world.host.comments
    assert "python" in comment["body"]
    plan = stages["Plan of a pull request"]
    assert plan.role == "base-images-plan"
    assert plan.kept == {"plan.html"}
    assert CREDENTIALS["github-comments"] not in plan.log
    assert world.images() == set()


def test_gives_the_pull_request_of_a_fork_no_role(world: World, jenkins: Jenkins) -> None:
    stages = jenkins.build(world.head(), {**PULL_REQUEST, "CHANGE_FORK": "mallory"})
    assert results(stages) == {"Scan": "success"}


def test_refuses_the_plan_when_main_has_moved(world: World, jenkins: Jenkins) -> None:
    def approve_late() -> bool:
        world.commit("main", README="not about images")
        return True

    stages = jenkins.build(world.head(), MAIN, approve=approve_late)
    assert results(stages) == {"Scan": "success", "Plan of main": "success", "Apply": "failure"}
    assert "plan.other_commit" in stages["Apply"].log
    assert world.images() == set()


def test_applies_what_was_reviewed_and_tries_again_after_exit_6(world: World, jenkins: Jenkins) -> None:
    def lose_upstream() -> bool:
        world.lose_upstream()
        return True

    stages = jenkins.build(world.head(), MAIN, approve=lose_upstream)
    assert results(stages)["Apply"] == "success", stages["Apply"].log
    assert stages["Plan of main"].role == "base-images-plan"
    assert stages["Apply"].role == "base-images-apply"
    assert stages["Plan of main"].kept == {"plan.html"}, "nobody can download the plan"
    assert world.slept() == ["60"]
    assert world.images() == {"docker-hub/library/nginx:1.16"}


def test_asks_nobody_where_nothing_changes(world: World, jenkins: Jenkins) -> None:
    assert results(jenkins.build(world.head(), MAIN)) == {"Scan": "success", "Plan of main": "success"}


def test_reports_at_night_by_failing_and_changes_nothing(world: World, jenkins: Jenkins) -> None:
    moved = world.sandbox.bump("nginx:1.16")
    stages = jenkins.build(world.head(), MAIN, is_timer=True)
    assert results(stages) == {"Nightly report": "failure"}
    assert moved[7:19] in stages["Nightly report"].log
    assert stages["Nightly report"].role == "base-images-plan"
