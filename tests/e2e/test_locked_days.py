"""A lock in S3, with the program, the sandbox and two roles: a tag moves upstream, cools down, and the lock is lost."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.roles import Role
from tests.support.sandbox import running_sandbox
from toolkit.manifest.loader import load
from toolkit.plan.resolve import resolve
from toolkit.terraform.iam_policy import Place, lock_policy, seed_policy

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
        locker, seeder = (Role(sandbox, "eu-west-1", name) for name in ("locker", "seeder"))
        desired, place = resolve(load(tmp_path / "images.yaml")), Place("123456789012", "eu-west-1")
        locker.may(lock_policy(desired, place))
        seeder.may(seed_policy(desired, place))
        toolkit, locking = seeder.toolkit(tmp_path), locker.toolkit(tmp_path)
        s3, ecr = sandbox.client("s3", "eu-west-1"), sandbox.client("ecr", "eu-west-1")
        s3.create_bucket(Bucket="locks", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        ecr.create_repository(repositoryName="docker-hub/library/nginx")

        def in_ecr() -> str:
            """What the filtered index in ECR was made of."""
            found = ecr.batch_get_image(repositoryName="docker-hub/library/nginx", imageIds=[{"imageTag": "1.16"}])
            annotations = json.loads(found["images"][0]["imageManifest"])["annotations"]
            return str(annotations["io.base-image-toolkit.source.digest"])

        def lock(*options: str, code: int = 0) -> dict[str, Any]:
            return dict(locking.run("lock", "--format", "json", *options).expect(code).document["lock"])

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

        document = toolkit.run("lock", "--format", "json").expect(0).document  # only a change has to be written
        assert document["lock"]["is_written"] is False
        s3.delete_object(Bucket="locks", Key="shop.yaml")
        sandbox.bump("nginx:1.16")
        refused = toolkit.run("lock", "--format", "json").expect(4).document["error"]
        assert "`s3:PutObject`" in refused["message"]
        begun = lock()["images"][0]
        assert (begun["action"], begun["new_digest"], len(begun["candidates"])) == ("begun", second, 1)
        toolkit.run("seed").expect(0)
        assert in_ecr() == second
        assert s3.get_object(Bucket="locks", Key="shop.yaml")["Body"].read().startswith(b"# Which digest")
