"""The shards of a plan as processes of their own: their union is the unsharded run, and together they keep the quota."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.real_parts import require
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.toolkit_run import TOOLKIT, Finished, Toolkit

# One story, told by one worker: the tests follow each other.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("shards")]

REGION = "eu-west-1"
NAMES = ("alpine", "busybox", "debian", "golang", "httpd", "nginx", "node", "postgres", "python", "redis")
REFERENCES = [f"{name}:{tag}" for name in NAMES for tag in ("1", "2")]
MANIFEST = "\n".join(
    [
        "version: 1\nname: shop\naws: {region: eu-west-1}\nimages:",
        *(f'  - {{source: {name}, tags: ["1", "2"], platforms: [linux/amd64]}}' for name in NAMES),
    ]
)
SHARDS = 4
QUOTA = 10
"""PutImage a second in a region."""


@dataclass
class Fleet:
    """A plan in shards, and machines that have nothing but its file."""

    folder: Path
    sandbox: RunningSandbox
    running: dict[int, subprocess.Popen[str]] = field(default_factory=dict)

    @property
    def plan(self) -> Path:
        return self.folder / "plan.toolkit"

    def home(self) -> Toolkit:
        return Toolkit(self.folder, self.sandbox.environment())

    def machine(self, number: int) -> Toolkit:
        folder = self.folder / f"machine-{number}"
        folder.mkdir(exist_ok=True)
        return Toolkit(folder, {**self.sandbox.environment(), "TOOLKIT_CACHE_DIR": str(folder / "cache")})

    def arguments(self, number: int) -> list[str]:
        result = self.folder / "results" / f"{number}.json"
        result.parent.mkdir(exist_ok=True)
        return ["apply", str(self.plan), "--shard", str(number), "--output", f"json={result}"]

    def start(self, number: int) -> None:
        machine = self.machine(number)
        self.running[number] = subprocess.Popen(
            [TOOLKIT, *self.arguments(number)],
            cwd=machine.folder,
            env=machine.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def report(self, *arguments: str) -> Finished:
        results = sorted(map(str, (self.folder / "results").glob("*.json")))
        return self.home().run("report", "plan.toolkit", *results, *arguments)

    def shards(self) -> list[dict[str, Any]]:
        shown = self.home().run("show", "plan.toolkit", "--format", "json").expect(0)
        return list(shown.document["plan"]["division"]["shards"])

    def puts(self) -> list[tuple[float, str]]:
        """When each image manifest came, and for which path."""
        seen = self.sandbox.accesses("ecr")
        return [
            (line["time"], line["path"]) for line in seen if line["method"] == "PUT" and "/manifests/" in line["path"]
        ]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    require("terraform")
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "images.yaml").write_text(MANIFEST)
    with running_sandbox(folder / "sandbox", REFERENCES, upstream_limit=1000) as sandbox:
        fleet = Fleet(folder, sandbox)
        fleet.home().run("plan", "--sizes", "--shards", str(SHARDS), "--out", "plan.toolkit").expect(0)
        yield fleet


def in_ecr(sandbox: RunningSandbox) -> dict[str, str]:
    """The digest of each tag, by `repository:tag`."""
    ecr = sandbox.client("ecr", REGION)
    return {
        f"{one['repositoryName']}:{image['imageTag']}": image["imageDigest"]
        for one in ecr.describe_repositories()["repositories"]
        for image in ecr.list_images(repositoryName=one["repositoryName"])["imageIds"]
        if "imageTag" in image
    }


def test_a_shard_waits_for_its_repositories(fleet: Fleet) -> None:
    done = fleet.machine(1).run(*fleet.arguments(1)).expect(7)
    assert "shard.no_repository" in done.stderr
    fleet.report().expect(6)
    fleet.home().run("apply", "plan.toolkit", "--infra-only").expect(0)
    assert in_ecr(fleet.sandbox) == {}


def test_a_shard_that_is_killed_leaves_its_images_missing_in_the_report(fleet: Fleet) -> None:
    killed = fleet.shards()[1]["repositories"]
    for number in range(1, SHARDS + 1):
        fleet.start(number)
    deadline = time.monotonic() + 60
    while not any(f"/{name}/" in path for _, path in fleet.puts() for name in killed):
        assert time.monotonic() < deadline, "nothing is copied"
        time.sleep(0.02)
    fleet.running[2].send_signal(signal.SIGKILL)
    ends = {number: process.communicate(timeout=120)[1] for number, process in fleet.running.items()}
    codes = {number: process.returncode for number, process in fleet.running.items()}
    assert codes == {1: 0, 2: -signal.SIGKILL, 3: 0, 4: 0}, ends
    report = fleet.report("--format", "json").expect(6).document
    assert report["error"]["code"] == "report.incomplete"
    missing = [one for one in report["report"]["outcomes"] if one["status"] == "skipped"]
    assert {one["key"].rpartition(":")[0] for one in missing} == set(killed)
    assert {one["hint"] for one in missing} == {"run `toolkit apply FILE --shard 2`"}


def test_run_again_it_does_the_rest_and_the_report_has_every_image_once(fleet: Fleet) -> None:
    fleet.machine(2).run(*fleet.arguments(2)).expect(0)
    outcomes = fleet.report("--format", "json").expect(0).document["report"]["outcomes"]
    assert sorted(one["key"] for one in outcomes) == sorted(f"docker-hub/library/{name}" for name in REFERENCES)
    assert "Done" in fleet.report().expect(0).stdout
    assert "in place" in fleet.report("--format", "markdown").expect(0).stdout
    assert "<html" in fleet.report("--format", "html").expect(0).stdout


def test_the_union_of_the_shards_is_what_one_run_copies(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "images.yaml").write_text(MANIFEST)
    with running_sandbox(tmp_path / "sandbox", REFERENCES, upstream_limit=1000) as sandbox:
        for name in NAMES:
            sandbox.client("ecr", REGION).create_repository(repositoryName=f"docker-hub/library/{name}")
        Toolkit(tmp_path, sandbox.environment()).run("seed").expect(0)
        assert in_ecr(fleet.sandbox) == in_ecr(sandbox) != {}


def test_the_puts_of_all_shards_stay_below_the_quota(fleet: Fleet) -> None:
    level, last = float(QUOTA), 0.0
    times = sorted(moment for moment, _ in fleet.puts())
    assert len(times) > 4 * QUOTA
    for moment in times:
        level, last = min(QUOTA, level + (moment - last) * QUOTA) - 1, moment
        assert level >= 0


def test_results_of_another_plan_are_refused(fleet: Fleet) -> None:
    fleet.home().run("plan", "--shards", "2", "--out", "other.toolkit").expect(0)
    results = sorted(map(str, (fleet.folder / "results").glob("*.json")))
    done = fleet.home().run("report", "other.toolkit", *results, "--format", "json").expect(7)
    assert json.loads(done.stdout)["error"]["code"] == "report.other_plan"
