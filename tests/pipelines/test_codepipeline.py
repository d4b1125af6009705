"""The module for CodePipeline: planned by Terraform, and its builds executed as the planned projects say."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.pipelines.codepipeline import INPUTS, Pipeline, plan_module
from tests.pipelines.world import EXAMPLES, World, open_world
from tests.support.real_parts import missing

# One story, told by one worker: the tests follow each other.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("CodePipeline")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("codepipeline")) as world:
        yield world


@pytest.fixture(scope="module")
def resources(world: World) -> dict[str, Any]:
    mirror = os.environ.get("TOOLKIT_PROVIDER_MIRROR")
    return plan_module(
        EXAMPLES / "codepipeline", world.folder / "module", world, mirror or missing("there is no provider mirror")
    )


@pytest.fixture(scope="module")
def pipeline(world: World, resources: dict[str, Any]) -> Pipeline:
    return Pipeline(resources, world)


def test_gives_each_build_the_rights_of_what_it_runs(resources: dict[str, Any]) -> None:
    granted = {
        name: json.loads(resources[f'aws_iam_role_policy.toolkit["{name}"]']["policy"])
        for name in ("plan", "apply", "nightly")
    }
    assert granted == {
        "plan": json.loads(INPUTS["plan_policy"]),
        "apply": json.loads(INPUTS["apply_policy"]),
        "nightly": json.loads(INPUTS["plan_policy"]),
    }


def test_encrypts_the_artifacts_and_forgets_them(resources: dict[str, Any]) -> None:
    [rule] = resources["aws_s3_bucket_server_side_encryption_configuration.artifacts"]["rule"]
    assert rule["apply_server_side_encryption_by_default"][0]["sse_algorithm"] == "aws:kms"
    [rule] = resources["aws_s3_bucket_lifecycle_configuration.artifacts"]["rule"]
    assert rule["expiration"][0]["days"] == 5
    [store] = resources["aws_codepipeline.this"]["artifact_store"]
    assert store["encryption_key"][0]["type"] == "KMS"


def test_starts_the_nightly_build_alone_and_tells_the_reviewers_when_it_failed(resources: dict[str, Any]) -> None:
    assert resources["aws_cloudwatch_event_rule.night"]["schedule_expression"] == "cron(17 3 * * ? *)"
    pattern = json.loads(resources["aws_cloudwatch_event_rule.difference"]["event_pattern"])
    assert pattern["detail"]["project-name"] == ["base-images-nightly"]
    assert "FAILED" in pattern["detail"]["build-status"]


def test_applies_nothing_that_nobody_approved(world: World, pipeline: Pipeline) -> None:
    shown = []
    assert pipeline.run(world.head(), lambda text: bool(shown.append(text))) == "Plan"
    assert shown == ["There is something to apply: see the log of the action Plan."]
    assert world.images() == set()


def test_refuses_the_plan_when_main_has_moved(world: World, pipeline: Pipeline) -> None:
    def approve_late(_: str) -> bool:
        world.commit("main", README="not about images")
        return True

    assert pipeline.run(world.head(), approve_late) == "Approval"
    assert "plan.other_commit" in pipeline.builds["Apply"].log
    assert world.images() == set()


def test_applies_what_was_reviewed_and_tries_again_after_exit_6(world: World, pipeline: Pipeline) -> None:
    def lose_upstream(_: str) -> bool:
        world.lose_upstream()
        return True

    assert pipeline.run(world.head(), lose_upstream) == "Apply", pipeline.builds["Apply"].log
    assert world.slept() == ["60"]
    assert world.images() == {"docker-hub/library/nginx:1.16"}


def test_reports_at_night_by_failing_and_changes_nothing(world: World, pipeline: Pipeline) -> None:
    moved = world.sandbox.bump("nginx:1.16")
    build = pipeline.build("base-images-nightly", world.head(), [], {})
    assert build.result == "FAILED"
    assert moved[7:19] in build.log
