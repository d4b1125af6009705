"""`toolkit refresh` with the program and the sandbox: what moves, what waits, and what two runs or a kill do to it."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.received_events import ReceivedEvents
from tests.support.roles import Calls, Role, actions_of, reasons, without
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.toolkit_run import TOOLKIT, Finished, Toolkit
from toolkit.operations.bundle import put_bundle
from toolkit.operations.load import load_desired
from toolkit.plan.observed import Account
from toolkit.sandbox import process
from toolkit.terraform.iam_policy import Place, refresh_policy

REGION = "eu-west-1"
NGINX, ALPINE = "docker-hub/library/nginx:1.16", "docker-hub/library/alpine:3.20"
BUNDLE = "s3://base/shop/refresh"
MANIFEST = """\
version: 1
name: shop
aws: {region: eu-west-1, account_id: "123456789012"}
lock: s3://base/shop.yaml
images: [nginx:1.16, alpine:3.20]
refresh:
  schedule: rate(1 day)
  bucket: base
  tool: {image: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/tools/base-image-toolkit:1.0"}
"""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("refresh")]


class Mirror:
    """A sandbox with the repositories and the bucket, and the manifest as it was applied."""

    def __init__(self, folder: Path, sandbox: RunningSandbox, manifest: str = MANIFEST) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.toolkit = Toolkit(folder, sandbox.environment())
        self.s3, self.ecr = sandbox.client("s3", REGION), sandbox.client("ecr", REGION)
        self.s3.create_bucket(Bucket="base", CreateBucketConfiguration={"LocationConstraint": REGION})
        for name in ("nginx", "alpine"):
            self.ecr.create_repository(repositoryName=f"docker-hub/library/{name}")
        self.received = ReceivedEvents(sandbox, REGION)
        self.name = "the bundle"
        (folder / "images.yaml").write_text(manifest)
        put_bundle(load_desired(folder / "images.yaml"), Account("123456789012", REGION, ""), self)

    def read(self) -> None:
        """It was never applied before."""

    def put(self, text: str) -> None:
        """Put the bundle, as `apply` does."""
        self.s3.put_object(Bucket="base", Key="shop/refresh/bundle.json", Body=text.encode())

    def refresh(self, *options: str, code: int = 0) -> dict[str, Any]:
        return self.toolkit.run("refresh", "--format", "json", *options).expect(code).document

    def in_ecr(self, key: str) -> tuple[str, str]:
        """The digest of a tag, and that of the upstream index that it was made of."""
        repository, _, tag = key.rpartition(":")
        [found] = self.ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": tag}])["images"]
        annotations = json.loads(found["imageManifest"])["annotations"]
        return found["imageId"]["imageDigest"], annotations["io.base-image-toolkit.source.digest"]

    @property
    def lease(self) -> dict[str, Any]:
        return dict(json.loads(self.s3.get_object(Bucket="base", Key="shop/refresh/lease.json")["Body"].read()))

    def end_lease(self) -> None:
        """Wait until the lease of a run that was killed has ended, in less time."""
        text = json.dumps(self.lease | {"seconds": -1})
        self.s3.put_object(Bucket="base", Key="shop/refresh/lease.json", Body=text.encode())

    def runs(self) -> list[str]:
        found = self.s3.list_objects_v2(Bucket="base", Prefix="shop/refresh/runs/")
        return [one["Key"] for one in found.get("Contents", ())]


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    with running_sandbox(tmp_path / "sandbox", ["nginx:1.16", "alpine:3.20"]) as sandbox:
        yield Mirror(tmp_path, sandbox)


def test_tells_of_a_tag_when_it_has_cooled_down_and_keeps_one_that_vanishes(tmp_path: Path) -> None:
    with running_sandbox(tmp_path / "sandbox", ["nginx:1.16", "alpine:3.20"]) as sandbox:
        mirror = Mirror(tmp_path, sandbox, MANIFEST + "min_age: 4s\n")
        mirror.refresh()
        time.sleep(4)
        mirror.refresh()
        assert mirror.received.take() == [], "a new tag has not moved"
        first, _ = mirror.in_ecr(NGINX)

        pulls, upstream = sandbox.pulls()["used"], sandbox.bump("nginx:1.16")
        waiting = mirror.refresh()
        assert [one["key"] for one in waiting["refresh"]["behind"]] == [NGINX]
        assert (mirror.in_ecr(NGINX)[0], sandbox.pulls()["used"], mirror.received.take()) == (first, pulls, [])
        time.sleep(4)
        metrics = mirror.toolkit.run("refresh", "--bundle", BUNDLE).expect(0).document
        second, made_of = mirror.in_ecr(NGINX)
        assert made_of == upstream
        [event] = mirror.received.take()
        assert event["detail"] == {
            "manifest": "shop",
            "image": NGINX,
            "repository": "docker-hub/library/nginx",
            "tag": "1.16",
            "old_digest": first,
            "new_digest": second,
            "registry": "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        }
        assert (metrics["Manifest"], metrics["Refreshed"], metrics["Failed"], metrics["ImagesMoved"]) == (
            "shop",
            1,
            0,
            1,
        )
        assert metrics["PullsLeft"] == sandbox.pulls()["left"]

        (sandbox.status.folder / "docker-hub" / "repositories" / "library" / "nginx" / "_tags" / "1.16").unlink()
        pulls = sandbox.pulls()["used"]
        assert mirror.refresh()["refresh"]["gone"] == [NGINX]
        assert (mirror.in_ecr(NGINX)[0], sandbox.pulls()["used"], mirror.received.take()) == (second, pulls, [])
        assert len(mirror.runs()) == 2 * 5
        page = mirror.s3.get_object(Bucket="base", Key=mirror.runs()[-2])
        assert page["ContentType"] == "text/html; charset=utf-8"
        assert b"Gone upstream" in page["Body"].read()
        mirror.s3.download_file("base", mirror.runs()[-1], str(tmp_path / "run.json"))
        assert (
            "Gone upstream: `docker-hub/library/nginx:1.16`." in mirror.toolkit.run("show", "run.json").expect(0).stdout
        )


def test_leaves_to_the_next_run_what_the_pulls_do_not_suffice_for(mirror: Mirror) -> None:
    mirror.refresh()
    for name in ("nginx:1.16", "alpine:3.20"):
        mirror.sandbox.bump(name)
    process.up(mirror.sandbox.status.folder, [], upstream_limit=mirror.sandbox.pulls()["used"] + 3)
    done = mirror.refresh(code=6)
    assert done["error"]["code"] == "budget.left_for_next_run"
    assert [one["key"] for one in done["refresh"]["moves"]] == [NGINX]
    process.up(mirror.sandbox.status.folder, [], upstream_limit=100)
    assert [one["key"] for one in mirror.refresh()["refresh"]["moves"]] == [ALPINE]
    assert [event["detail"]["image"] for event in mirror.received.take()] == [NGINX, ALPINE]


def test_lets_one_of_two_runs_do_it_and_refuses_the_other(mirror: Mirror) -> None:
    mirror.refresh()
    mirror.sandbox.bump("nginx:1.16")
    slow = [TOOLKIT, "refresh", "--limit-rate", "256K", "--format", "json"]
    both = [
        subprocess.Popen(
            slow, cwd=mirror.folder, env=mirror.toolkit.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    documents = [json.loads(one.communicate(timeout=120)[0]) for one in both]
    assert sorted(one["exit_code"] for one in documents) == [0, 7]
    [refused] = [one for one in documents if one["exit_code"] == 7]
    assert refused["error"]["code"] == "refresh.under_way"
    assert [event["detail"]["image"] for event in mirror.received.take()] == [NGINX]
    assert mirror.lease["run"] is None


def test_refuses_a_manifest_that_was_not_applied_and_takes_the_one_that_was(mirror: Mirror) -> None:
    (mirror.folder / "images.yaml").write_text(MANIFEST + "# a change that nobody has applied\n")
    assert mirror.refresh(code=7)["error"]["code"] == "refresh.other_manifest"
    assert mirror.runs() == []
    mirror.refresh("--bundle", BUNDLE)
    assert len(mirror.runs()) == 2
    assert mirror.refresh("--bundle", "s3://base/other", code=7)["error"]["code"] == "refresh.not_applied"
    assert mirror.refresh("--bundle", "base", code=64)["error"]["code"] == "usage.bundle"
    copied = {"Bucket": "base", "Key": "shop/refresh/bundle.json"}
    mirror.s3.copy_object(Bucket="base", Key="other/bundle.json", CopySource=copied)
    assert mirror.refresh("--bundle", "s3://base/other", code=7)["error"]["code"] == "refresh.other_place"


def test_converges_and_tells_of_everything_after_a_run_that_was_killed(mirror: Mirror) -> None:
    mirror.refresh()
    before = {key: mirror.in_ecr(key)[0] for key in (NGINX, ALPINE)}
    upstream = {key: mirror.sandbox.bump(key.removeprefix("docker-hub/library/")) for key in before}
    mirror.toolkit.run_until(
        lambda event: event["type"] == "image_finished", (signal.SIGKILL,), "refresh", "--limit-rate", "256K", "-j", "1"
    )
    assert mirror.lease["run"], "it is as if it still ran"
    assert mirror.lease["moves"] == before
    assert mirror.received.take() == []
    assert mirror.refresh(code=7)["error"]["code"] == "refresh.under_way"
    mirror.end_lease()
    mirror.refresh()
    assert {key: mirror.in_ecr(key)[1] for key in before} == upstream
    moves = [(one["detail"]["image"], one["detail"]["old_digest"]) for one in mirror.received.take()]
    assert sorted(moves) == sorted(before.items())
    assert mirror.lease == {"run": None, "seconds": 3600, "moves": {}}
    mirror.refresh()
    assert mirror.received.take() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_frees_its_lease_when_it_is_told_to_stop(mirror: Mirror, number: int) -> None:
    mirror.refresh()
    mirror.sandbox.bump("nginx:1.16")
    done, _ = mirror.toolkit.run_until(
        lambda event: event["type"] == "image_started", (number,), "refresh", "--limit-rate", "256K"
    )
    assert done.code == 130, done
    assert mirror.lease == {"run": None, "seconds": 3600, "moves": {}}
    mirror.refresh()
    assert [event["detail"]["image"] for event in mirror.received.take()] == [NGINX]


def test_runs_under_its_own_policy_and_not_without_one_of_its_actions(mirror: Mirror) -> None:
    statements = refresh_policy(load_desired(mirror.folder / "images.yaml"), Place("123456789012", REGION))
    role, calls = Role(mirror.sandbox, REGION, "toolkit-refresh"), Calls(mirror.sandbox)

    def refresh(allowed: Any) -> Finished:
        role.may(allowed)
        return role.toolkit(mirror.folder).run("refresh", "--bundle", BUNDLE, "--cache-dir", "empty")

    mirror.ecr.create_repository(repositoryName="of-somebody-else")
    refresh(statements).expect(0)
    mirror.sandbox.bump("nginx:1.16")
    calls.since()
    refresh(statements).expect(0)
    unused = actions_of(statements) - set(calls.since())
    assert unused <= reasons()
    # A copy that may not ask whether ECR has a layer sends it.
    for action in sorted(actions_of(statements) - unused - {"ecr:BatchCheckLayerAvailability"}):
        mirror.end_lease()
        mirror.sandbox.bump("nginx:1.16")
        done = refresh(without(statements, action))
        assert done.code == (6 if action == "events:PutEvents" else 4), (action, done)
        assert action in done.stderr, (action, done)
    mirror.end_lease()
    refresh(statements).expect(0)
