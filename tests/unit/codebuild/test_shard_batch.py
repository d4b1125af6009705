"""The batch of a plan's shards: the project's buildspec, with a build for each shard and one that joins."""

from __future__ import annotations

import json
from typing import Any

import pytest

from toolkit.codebuild.buildspec import LONGEST_BUILDSPEC
from toolkit.codebuild.shard_batch import render_shard_batch
from toolkit.errors import Refused

OWN = json.dumps({"version": 0.2, "phases": {"build": {"commands": ["x" * 2_000]}}})


def rendered(shards: int) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(render_shard_batch(OWN, shards))
    return document


def test_the_joining_build_waits_for_every_shard_and_no_failure_stops_another() -> None:
    batch = rendered(3)["batch"]
    assert batch["fast-fail"] is False
    *shards, report = batch["build-graph"]
    assert [one["identifier"] for one in shards] == report["depend-on"] == ["shard_1", "shard_2", "shard_3"]
    assert [one["env"]["variables"]["TOOLKIT_SHARD"] for one in shards] == ["1", "2", "3"]
    assert all(one["ignore-failure"] for one in shards)
    assert report["env"]["variables"] == {"TOOLKIT_SHARD": "report"}
    assert "ignore-failure" not in report


def test_every_build_does_what_the_project_says() -> None:
    document = rendered(2)
    document.pop("batch")
    assert document == json.loads(OWN)


def test_a_batch_has_no_more_builds_than_codebuild_takes() -> None:
    assert len(rendered(99)["batch"]["build-graph"]) == 100
    assert len(render_shard_batch(OWN, 99)) < LONGEST_BUILDSPEC
    with pytest.raises(Refused, match="at most 100 builds"):
        render_shard_batch(OWN, 100)


@pytest.mark.parametrize("text", ["", "version: 0.2\nphases: {}\n", "arn:aws:s3:::b/buildspec.yml"])
def test_another_buildspec_is_no_ground_for_a_batch(text: str) -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        render_shard_batch(text, 2)
