"""The workflow for GitHub Actions, executed: a pull request, its merge, the approval, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pipelines.github_actions import PULL_REQUEST, Job, Workflow
from tests.pipelines.world import EXAMPLES, MANIFEST, World, open_world, with_python
from tests.support.real_parts import require

# One story, told by one worker: the tests follow each other.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("GitHub Actions")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    require("gh")
    require("openssl")
    with open_world(tmp_path_factory.mktemp("github")) as world:
        yield world


@pytest.fixture(scope="module")
def workflow(world: World) -> Workflow:
    return Workflow(EXAMPLES / "github-actions.yml", world)


def results(jobs: dict[str, Job]) -> dict[str, str]:
    return {name: job.result for name, job in jobs.items() if job.result != "skipped"}


def test_scans_and_plans_a_pull_request_and_writes_one_comment(world: World, workflow: Workflow) -> None:
    world.host.say("mallory", "<!-- toolkit:plan name=base-images region=ap-northeast-1 -->")
    commit = world.commit("more", images__yaml=MANIFEST)
    jobs = workflow.run("pull_request", commit, pull_request=PULL_REQUEST)
    assert results(jobs) == {"scan": "success", "plan": "success"}, "\n".join(job.log for job in jobs.values())
    assert jobs["plan"].roles == ["base-images-plan"]
    assert workflow.sarif[0]["version"] == "2.1.0"
    assert workflow.artifacts["plan.html"].startswith(b"<!doctype html>")
    _, comment = world.host.comments
    assert comment["user"]["login"] == world.host.user
    assert "nginx" in comment["body"]
    assert world.images() == set(), "a pull request changes nothing"


def test_replaces_its_comment_at_the_next_push(world: World, workflow: Workflow) -> None:
    commit = world.commit("more", images__yaml=with_python(MANIFEST))
    jobs = workflow.run("pull_request", commit, pull_request=PULL_REQUEST)
    assert jobs["plan"].result == "success", jobs["plan"].log
    _, comment = world.host.comments
    assert "python" in comment["body"]


def test_says_in_the_comment_why_there_is_no_plan(world: World, workflow: Workflow) -> None:
    commit = world.commit("wrong", images__yaml=MANIFEST.replace("images:", "pictures:"))
    jobs = workflow.run("pull_request", commit, pull_request=PULL_REQUEST)
    assert jobs["plan"].result == "failure"
    _, comment = world.host.comments
    assert comment["body"].startswith("<!-- toolkit:plan -->")
    assert "pictures" in comment["body"]


def test_gives_the_pull_request_of_a_fork_no_role(world: World, workflow: Workflow) -> None:
    fork = {"number": 5, "head": {"repo": {"full_name": "mallory/base-images"}}}
    jobs = workflow.run("pull_request", world.head(), pull_request=fork)
    assert results(jobs) == {"scan": "success"}


def test_fails_the_pull_request_with_a_build_that_would_not_stay_home(world: World, workflow: Workflow) -> None:
    commit = world.commit("leaves", Dockerfile="FROM node:22\n")
    jobs = workflow.run("pull_request", commit, pull_request=PULL_REQUEST)
    assert jobs["scan"].result == "failure"
    [found] = workflow.sarif[-1]["runs"][0]["results"]
    assert found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "Dockerfile"


def test_applies_nothing_that_nobody_approved(world: World, workflow: Workflow) -> None:
    jobs = workflow.run("push", world.head(), approve=lambda: False)
    assert results(jobs) == {"scan": "success", "review": "success"}
    assert jobs["review"].roles == ["base-images-plan"]
    assert world.images() == set()


def test_refuses_the_plan_when_main_has_moved(world: World, workflow: Workflow) -> None:
    def approve_late() -> bool:
        world.commit("main", README="not about images")
        return True

    jobs = workflow.run("push", world.head(), approve=approve_late)
    assert results(jobs) == {"scan": "success", "review": "success", "apply": "failure"}
    assert "plan.other_commit" in jobs["apply"].log
    assert world.images() == set()


def test_keeps_the_plan_secret_on_its_way(workflow: Workflow) -> None:
    plan = workflow.artifacts["plan/plan.toolkit.enc"]
    assert plan.startswith(b"Salted__")
    assert b"base-images" not in plan


def test_applies_exactly_what_was_reviewed_and_tries_again_after_exit_6(world: World, workflow: Workflow) -> None:
    def lose_upstream() -> bool:
        world.lose_upstream()
        return True

    jobs = workflow.run("workflow_dispatch", world.head(), approve=lose_upstream)
    assert jobs["apply"].result == "success", jobs["apply"].log
    assert jobs["apply"].roles == ["base-images-apply"]
    assert world.slept() == ["60"], "one attempt ended with 6"
    assert world.images() == {"docker-hub/library/nginx:1.16"}


def test_asks_nobody_where_nothing_changes(world: World, workflow: Workflow) -> None:
    def approve() -> bool:
        raise AssertionError("somebody was asked")

    jobs = workflow.run("push", world.head(), approve=approve)
    assert results(jobs) == {"scan": "success", "review": "success"}
    assert "plan/plan.toolkit.enc" not in workflow.artifacts


def test_reports_nothing_at_night_where_nothing_differs(world: World, workflow: Workflow) -> None:
    assert results(workflow.run("schedule", world.head())) == {"nightly": "success"}
    assert world.host.issues == []


def test_reports_drift_in_one_issue_and_changes_nothing(world: World, workflow: Workflow) -> None:
    ecr = world.sandbox.client("ecr", "ap-northeast-1")
    name = "docker-hub/library/nginx"
    ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="IMMUTABLE")
    before = ecr.describe_repositories()["repositories"]
    for _ in range(2):
        jobs = workflow.run("schedule", world.head())
        assert results(jobs) == {"nightly": "success"}, jobs["nightly"].log
        assert jobs["nightly"].roles == ["base-images-plan"]
    [issue] = world.host.issues
    assert issue["state"] == "open"
    assert name in issue["body"]
    assert ecr.describe_repositories()["repositories"] == before


def test_closes_the_issue_when_the_difference_is_gone(world: World, workflow: Workflow) -> None:
    workflow.run("workflow_dispatch", world.head())
    workflow.run("schedule", world.head())
    [issue] = world.host.issues
    assert issue["state"] == "closed"


def test_gives_each_job_the_permissions_that_it_uses(workflow: Workflow) -> None:
    granted = {name: set(job["permissions"].items()) for name, job in workflow.document["jobs"].items()}
    assert workflow.used == granted
