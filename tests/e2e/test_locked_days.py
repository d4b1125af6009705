"""A lock in S3, with the program and the sandbox: a tag moves upstream, cools down, and the lock is lost."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.sandbox import running_sandbox
from tests.support.toolkit_run import Toolkit

MANIFEST = """\
version: 1
name: shop
aws: {region: eu-west-1}
lock: s3://locks/shop.yaml
min_age: 2s
images: [nginx:1.16]
"""
KEY = "docker-hub/library/nginx:1.16"


@pytest.mark.slow
def test_copies_a_moved_tag_when_it_is_old_enough_and_nothing_when_the_lock_is_lost(tmp_path: Path) -> None:
    (tmp_path / "images.yaml").write_text(MANIFEST)
    with running_sandbox(tmp_path / "sandbox", ["nginx:1.16"]) as sandbox:
        toolkit = Toolkit(tmp_path, dict(sandbox.environment()))
        s3, ecr = sandbox.client("s3", "eu-west-1"), sandbox.client("ecr", "eu-west-1")
        s3.create_bucket(Bucket="locks", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        ecr.create_repository(repositoryName="docker-hub/library/nginx")

        def in_ecr() -> str:
            """What the filtered index in ECR was made of."""
            found = ecr.batch_get_image(repositoryName="docker-hub/library/nginx", imageIds=[{"imageTag": "1.16"}])
            annotations = json.loads(found["images"][0]["imageManifest"])["annotations"]
            return str(annotations["io.base-image-toolkit.source.digest"])

        def lock(*options: str, code: int = 0) -> dict[str, Any]:
            return dict(toolkit.run("lock", "--format", "json", *options).expect(code).document["lock"])

        assert toolkit.run("seed", "--format", "json").expect(7).document["error"]["code"] == "lock.missing"
        assert [one["action"] for one in lock()["images"]] == ["seen"]
        time.sleep(2.1)
        first = lock("--check", code=2)["images"][0]["new_digest"]
        assert lock()["images"][0]["new_digest"] == first
        toolkit.run("seed").expect(0)
        assert in_ecr() == first

        pulls = sandbox.pulls()["used"]
        second = sandbox.bump("nginx:1.16")
        seen = lock()
        assert (seen["images"][0]["action"], seen["images"][0]["candidates"][0]["digest"]) == ("seen", second)
        toolkit.run("seed").expect(0)
        assert (in_ecr(), sandbox.pulls()["used"]) == (first, pulls)
        time.sleep(2.1)
        moved = lock()["images"][0]
        assert (moved["action"], moved["old_digest"], moved["new_digest"]) == ("admitted", first, second)
        toolkit.run("seed").expect(0)
        assert in_ecr() == second

        s3.delete_object(Bucket="locks", Key="shop.yaml")
        sandbox.bump("nginx:1.16")
        begun = lock()["images"][0]
        assert (begun["action"], begun["new_digest"], len(begun["candidates"])) == ("begun", second, 1)
        toolkit.run("seed").expect(0)
        assert in_ecr() == second
        assert s3.get_object(Bucket="locks", Key="shop.yaml")["Body"].read().startswith(b"# Which digest")
