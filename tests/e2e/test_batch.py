"""The shards of a plan as a batch of CodeBuild, with nothing but what `apply` has made: rights, project and buildspec."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.real_parts import require
from tests.support.roles import Role
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.toolkit_run import TOOLKIT, Finished, Toolkit
from toolkit.operations.load import load_desired
from toolkit.terraform.iam_policy import Place, apply_policy, plan_policy

REGION = "eu-west-1"
NAMES = ("alpine", "busybox", "debian", "golang", "httpd", "nginx")
MANIFEST = f"""\
version: 1
name: shop
aws: {{region: {REGION}, account_id: "123456789012"}}
lock: s3://base/shop.yaml
images: [{", ".join(f"{name}:1" for name in NAMES)}]
refresh:
  schedule: rate(1 day)
  bucket: base
  tool: {{image: "123456789012.dkr.ecr.{REGION}.amazonaws.com/tools/base-image-toolkit:1.0"}}
"""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("batch")]


def kill_shard(number: int) -> None:
    """Kill the program that copies the shard, as soon as it runs."""
    words = ["apply", "--shard", str(number)]
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                line = (process / "cmdline").read_text().split("\0")
            except OSError:
                continue
            if any(part.startswith("s3://base/shop/refresh/shards/") for part in line) and {*words} <= {*line}:
                os.kill(int(process.name), signal.SIGKILL)
                return
        time.sleep(0.01)
    raise AssertionError("the shard was not started")


def puts_by_image(sandbox: RunningSandbox) -> Counter[str]:
    """How often each tag was put."""
    tags = [one["path"] for one in sandbox.accesses("ecr") if one["method"] == "PUT" and "/manifests/" in one["path"]]
    return Counter(path.split("/")[-3] for path in tags if "sha256:" not in path)


def test_a_killed_shard_is_missing_and_the_same_command_does_the_rest(tmp_path: Path) -> None:
    require("terraform")
    (tmp_path / "images.yaml").write_text(MANIFEST)
    with running_sandbox(tmp_path / "sandbox", [f"{name}:1" for name in NAMES]) as sandbox:
        s3, builds = sandbox.client("s3", REGION), sandbox.client("codebuild", REGION)
        s3.create_bucket(Bucket="base", CreateBucketConfiguration={"LocationConstraint": REGION})
        desired, place = load_desired(tmp_path / "images.yaml"), Place("123456789012", REGION)
        policies = {"plan": plan_policy(desired, place), "apply": apply_policy(desired, place)}
        machines: dict[str, Toolkit] = {}
        for name, policy in policies.items():
            role = Role(sandbox, REGION, f"toolkit-{name}")
            role.may(policy)
            machines[name] = role.toolkit(tmp_path)
        Toolkit(tmp_path, sandbox.environment()).run("lock").expect(0)
        machines["plan"].run("plan", "--sizes", "--shards", "3", "--out", "plan.toolkit").expect(0)

        def apply() -> subprocess.Popen[str]:
            return subprocess.Popen(
                [TOOLKIT, "apply", "plan.toolkit", "--batch", "--format", "json"],
                cwd=tmp_path,
                env=machines["apply"].environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

        first = apply()
        kill_shard(2)
        ended = Finished(first.wait(300), *first.communicate()).expect(6)
        assert "shard_2: FAILED" in ended.stderr
        assert "shard_3: SUCCEEDED" in ended.stderr
        report = ended.document["report"]
        assert report["totals"]["images"] == {"copied": 4, "failed": 0, "skipped": 2, "unchanged": 0}
        assert report["infra_changes"]

        second = apply()
        again = Finished(second.wait(300), *second.communicate()).expect(0)
        outcomes = again.document["report"]["outcomes"]
        assert sorted(one["key"] for one in outcomes) == [f"docker-hub/library/{name}:1" for name in NAMES]
        assert puts_by_image(sandbox) == dict.fromkeys(NAMES, 1)

        batches = builds.list_build_batches_for_project(projectName="shop-refresh")["ids"]
        found = builds.batch_get_build_batches(ids=batches)["buildBatches"]
        ends = {group["identifier"]: group["currentBuildSummary"]["buildStatus"] for group in found[-1]["buildGroups"]}
        assert ends == {"shard_1": "SUCCEEDED", "shard_2": "FAILED", "shard_3": "SUCCEEDED", "report": "FAILED"}
        assert found[0]["buildBatchStatus"] == "SUCCEEDED"
        [folder] = {
            one["Key"].split("/")[3]
            for one in s3.list_objects_v2(Bucket="base", Prefix="shop/refresh/shards/")["Contents"]
        }
        plan = f"s3://base/shop/refresh/shards/{folder}/plan.toolkit"
        machines["apply"].run("report", plan).expect(0)
        assert "plan.without_terraform" in machines["apply"].run("apply", plan, "--infra-only").expect(7).stderr
