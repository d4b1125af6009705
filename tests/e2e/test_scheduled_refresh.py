"""From `toolkit apply` to the build that a moved image starts, with nothing in between but what was made in AWS.

The schedule, the project, its buildspec and its role are read back from the sandbox. The build has the rights of that
role alone, which the sandbox enforces.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.alarms import ALARM, OK, evaluate
from tests.support.received_events import ReceivedEvents
from tests.support.roles import Role
from tests.support.sandbox import running_sandbox
from tests.support.started import Starter
from tests.support.toolkit_run import Toolkit
from toolkit.operations.load import load_desired
from toolkit.terraform.iam_policy import Place, apply_policy, plan_policy

REGION = "eu-west-1"
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
builds:
  - {name: web, rebuild: on_update, source: {type: S3, location: acme/web.zip}, images: ["nginx:1.16"]}
  - {name: api, rebuild: on_update, source: {type: S3, location: acme/web.zip}, images: ["alpine:3.20"]}
  - {name: docs, source: {type: S3, location: acme/web.zip}, images: ["nginx:1.16"]}
"""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("scheduled_refresh")]


def test_a_tag_that_moves_upstream_starts_the_build_that_uses_it(tmp_path: Path) -> None:
    (tmp_path / "images.yaml").write_text(MANIFEST)
    with running_sandbox(tmp_path / "sandbox", ["nginx:1.16", "alpine:3.20"]) as sandbox:
        admin = Toolkit(tmp_path, sandbox.environment())
        s3, builds = sandbox.client("s3", REGION), sandbox.client("codebuild", REGION)
        s3.create_bucket(Bucket="base", CreateBucketConfiguration={"LocationConstraint": REGION})
        desired, place = load_desired(tmp_path / "images.yaml"), Place("123456789012", REGION)
        roles = {name: Role(sandbox, REGION, f"toolkit-{name}") for name in ("plan", "apply")}
        roles["plan"].may(plan_policy(desired, place))
        roles["apply"].may(apply_policy(desired, place))
        planner, applier = (roles[name].toolkit(tmp_path) for name in ("plan", "apply"))
        admin.run("lock").expect(0)
        applier.run("apply", "--auto-approve").expect(0)
        planner.run("plan", "--detailed-exitcode").expect(0)
        starter = Starter(sandbox, REGION, tmp_path / "started")
        received = ReceivedEvents(sandbox, REGION)

        def fire() -> dict[str, Any]:
            """What the schedule's build prints as metrics."""
            run = starter.fire("shop-refresh")
            assert run.succeeded, run.output
            [line] = [line for line in run.output.splitlines() if line.startswith('{"_aws"')]
            return dict(json.loads(line))

        def started() -> dict[str, int]:
            return {
                name: len(builds.list_builds_for_project(projectName=f"shop-{name}")["ids"])
                for name in ("web", "api", "docs")
            }

        quiet = fire()
        assert (quiet["Refreshed"], quiet["ImagesMoved"]) == (1, 0)
        assert (received.take(), started()) == ([], {"web": 0, "api": 0, "docs": 0})

        sandbox.bump("nginx:1.16")
        admin.run("lock").expect(0)
        beforehand = planner.run("plan", "--detailed-exitcode").expect(2).stdout
        assert "moving `docker-hub/library/nginx:1.16` rebuilds `web` [image.rebuilds]" in " ".join(beforehand.split())
        moved = fire()
        assert (moved["Refreshed"], moved["ImagesMoved"]) == (1, 1)
        assert started() == {"web": 1, "api": 0, "docs": 0}
        [event] = received.take()
        assert starter.projects_for(event) == ["shop-web"]
        planner.run("plan", "--detailed-exitcode").expect(0)

        found = sandbox.client("cloudwatch", REGION).describe_alarms()["MetricAlarms"]
        for alarm in (one for one in found if one["Namespace"] == "BaseImageToolkit"):
            assert {one["Name"]: one["Value"] for one in alarm["Dimensions"]} == {"Manifest": moved["Manifest"]}
            assert alarm["MetricName"] in moved or alarm["MetricName"] == "PullsLeft"
            assert (
                evaluate(alarm, [moved.get(alarm["MetricName"], 100)]) == OK or alarm["TreatMissingData"] == "breaching"
            )
        [silent] = [one for one in found if one["TreatMissingData"] == "breaching"]
        assert evaluate(silent, [moved["Refreshed"], *[None] * 47]) == OK
        assert evaluate(silent, [moved["Refreshed"], *[None] * 50]) == ALARM

        (sandbox.status.folder / "docker-hub" / "repositories" / "library" / "nginx" / "_tags" / "1.16").unlink()
        [gone] = [one for one in found if one["MetricName"] == "GoneUpstream"]
        assert evaluate(gone, [fire()["GoneUpstream"]]) == ALARM

        # A state that was lost is found again.
        shutil.rmtree(tmp_path / ".toolkit")
        applier.run("apply", "--auto-approve").expect(0)
        planner.run("plan", "--detailed-exitcode").expect(0)

        # What is taken out of the manifest goes, with the rights of the manifest that has it no more.
        (tmp_path / "images.yaml").write_text(MANIFEST.replace("rebuild: on_update, ", ""))
        applier.run("apply", "--auto-approve").expect(0)
        assert [one["Name"] for one in sandbox.client("events", REGION).list_rules()["Rules"]] == ["moved"]
