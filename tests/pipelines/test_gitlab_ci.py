"""The pipeline for GitLab, executed: a merge request, its merge, a manual apply, and a schedule."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pipelines.gitlab_ci import PROJECT, Job, Pipelines
from tests.pipelines.world import EXAMPLES, MANIFEST, World, open_world, with_python
from tests.support.real_parts import require

# One story, told by one worker: the tests follow each other.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("GitLab CI")]

REQUEST = {
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_MERGE_REQUEST_IID": "5",
    "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": PROJECT,
}
PUSH = {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "main"}
NIGHT = {"CI_PIPELINE_SOURCE": "schedule", "CI_COMMIT_BRANCH": "main"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    require("curl")
    require("jq")
    with open_world(tmp_path_factory.mktemp("gitlab"), "project_31_bot") as world:
        yield world


@pytest.fixture(scope="module")
def pipelines(world: World) -> Pipelines:
    return Pipelines(EXAMPLES / "gitlab-ci.yml", world)


def results(jobs: dict[str, Job]) -> dict[str, str]:
    return {name: job.result for name, job in jobs.items()}


def test_writes_one_note_and_replaces_it(world: World, pipelines: Pipelines) -> None:
    world.host.say("mallory", "<!-- toolkit:plan name=base-images region=ap-northeast-1 -->")
    for manifest in (MANIFEST, with_python(MANIFEST)):
        jobs = pipelines.run(world.commit("more", images__yaml=manifest), REQUEST)
        assert results(jobs) == {"scan": "success", "plan": "success"}, jobs["plan"].log
    _, note = world.host.comments
    assert "python" in note["body"]
    assert jobs["plan"].role == "base-images-plan"
    assert "plan.html" in jobs["plan"].artifacts
    assert "scan.sarif" in jobs["scan"].artifacts
    assert world.images() == set()


def test_says_in_the_note_why_there_is_no_plan(world: World, pipelines: Pipelines) -> None:
    commit = world.commit("wrong", images__yaml=MANIFEST.replace("images:", "pictures:"))
    assert pipelines.run(commit, REQUEST)["plan"].result == "failed"
    _, note = world.host.comments
    assert note["body"].startswith("<!-- toolkit:plan -->")
    assert "pictures" in note["body"]


def test_gives_the_merge_request_of_a_fork_no_role(world: World, pipelines: Pipelines) -> None:
    jobs = pipelines.run(world.head(), {**REQUEST, "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "32"})
    assert results(jobs) == {"scan": "success"}


def test_refuses_the_plan_when_main_has_moved(world: World, pipelines: Pipelines) -> None:
    def start_late(_: str) -> bool:
        world.commit("main", README="not about images")
        return True

    jobs = pipelines.run(world.head(), PUSH, start=start_late)
    assert results(jobs) == {"scan": "success", "review": "warning", "apply": "failed"}
    assert "plan.other_commit" in jobs["apply"].log
    assert world.images() == set()


def test_applies_what_was_reviewed_when_somebody_starts_it_and_retries_exit_6(
    world: World, pipelines: Pipelines
) -> None:
    def lose_upstream(_: str) -> bool:
        world.lose_upstream()
        return True

    jobs = pipelines.run(world.head(), PUSH, start=lose_upstream, between_attempts=world.restore_upstream)
    assert results(jobs) == {"scan": "success", "review": "warning", "apply": "success"}, jobs["apply"].log
    assert jobs["review"].role == "base-images-plan"
    assert jobs["apply"].role == "base-images-apply"
    assert jobs["apply"].attempts == 2
    assert world.images() == {"docker-hub/library/nginx:1.16"}


def test_reports_at_night_by_failing_and_changes_nothing(world: World, pipelines: Pipelines) -> None:
    assert results(pipelines.run(world.head(), NIGHT)) == {"nightly": "success"}
    moved = world.sandbox.bump("nginx:1.16")
    jobs = pipelines.run(world.head(), NIGHT)
    assert results(jobs) == {"nightly": "failed"}
    assert moved[7:19] in jobs["nightly"].log
    assert jobs["nightly"].role == "base-images-plan"
