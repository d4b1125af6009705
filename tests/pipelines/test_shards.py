"""The examples for many machines, executed: what their YAML says, one machine after the other, with a folder each."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.pipelines.world import CREDENTIALS, EXAMPLES, KEY, MANIFEST, REGION, Ran, World, open_world, with_python

# One story, told by one worker: the tests follow each other.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("shards in pipelines")]

BASH = ("bash", "-eo", "pipefail", "-c")
ALL = {"docker-hub/library/nginx:1.16", "docker-hub/library/python:3.12-slim"}


class Machines:
    """Machines of one run, and the files that they hand on."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.files: dict[str, bytes] = {}
        self._numbers = itertools.count()

    def run(self, script: str, *kept: str, checkout: bool = False, shell: tuple[str, ...] = BASH, **given: str) -> Ran:
        """A script with what was kept before; then the files that fit `kept` are kept too."""
        folder = self.world.folder / f"{self.name}-{next(self._numbers)}"
        if checkout:
            self.world.checkout(folder, self.world.head())
        folder.mkdir(exist_ok=True)
        for name, content in self.files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        environment = {**CREDENTIALS, "AWS_REGION": REGION, "TOOLKIT_PLAN_KEY": KEY, **given}
        ran = self.world.run(script, folder, environment, shell)
        found = [path for pattern in kept for path in sorted(folder.glob(pattern))]
        self.files |= {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
        return ran


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("shards")) as world:
        world.commit("main", images__yaml=with_python(MANIFEST))
        yield world


def document(name: str) -> Any:
    return YAML(typ="safe", pure=True).load((EXAMPLES / name).read_text(encoding="utf-8"))


def shell_of(job: Mapping[str, Any]) -> str:
    (script,) = [step["run"] for step in job["steps"] if "run" in step]
    return str(script)


def test_github_divides_and_a_machine_that_is_lost_fails_the_report(world: World) -> None:
    jobs = document("github-shards.yml")["jobs"]
    machines = Machines(world, "github")
    output = world.folder / "output"
    given = {"GITHUB_SHA": world.head(), "GITHUB_OUTPUT": str(output)}
    machines.run(shell_of(jobs["infrastructure"]), "plan.toolkit", checkout=True, **given).expect(0)
    assert world.images() == set()
    shards = json.loads(output.read_text().partition("=")[2])
    assert shards == [1, 2, 3, 4]
    assert jobs["shard"]["strategy"]["matrix"] == {"shard": "${{ fromJSON(needs.infrastructure.outputs.shards) }}"}
    for shard in shards[1:]:
        machines.run(shell_of(jobs["shard"]), "result-*.json", SHARD=str(shard)).expect(0)
    assert "there is no result of the shard 1" in machines.run(shell_of(jobs["report"])).expect(6).output
    assert "success()" not in jobs["report"]["if"]
    machines.run(shell_of(jobs["shard"]), "result-*.json", SHARD="1").expect(0)
    machines.run(shell_of(jobs["report"])).expect(0)
    assert world.images() == ALL


def test_gitlab_says_which_shard_to_retry(world: World) -> None:
    jobs = document("gitlab-shards.yml")
    machines = Machines(world, "gitlab")
    for name in ("nginx:1.16", "python:3.12-slim"):
        world.sandbox.bump(name)
    script = {name: "\n".join(jobs[name]["script"]) for name in ("infrastructure", "shard", "report")}
    machines.run(script["infrastructure"], "plan.toolkit", checkout=True, CI_COMMIT_SHA=world.head()).expect(0)
    assert jobs["shard"]["artifacts"]["when"] == jobs["report"]["rules"][0]["when"] == "always"
    world.lose_upstream()
    codes = [
        machines.run(script["shard"], *jobs["shard"]["artifacts"]["paths"], CI_NODE_INDEX=str(index)).code
        for index in range(1, jobs["shard"]["parallel"] + 1)
    ]
    assert sorted(codes) == [0, 0, 6, 6]
    failed = machines.run(script["report"]).expect(6)
    assert sum(f"{name}: " in failed.output for name in ALL) == 2
    world.restore_upstream()
    assert jobs["shard"]["retry"]["exit_codes"] == 6
    for index in [number + 1 for number, code in enumerate(codes) if code]:
        machines.run(script["shard"], "result-*.json", CI_NODE_INDEX=str(index)).expect(0)
    machines.run(script["report"]).expect(0)


def test_kubernetes_numbers_from_0(world: World, tmp_path: Path) -> None:
    job = document("kubernetes-shards.yaml")["spec"]
    (container,) = job["template"]["spec"]["containers"]
    machines = Machines(world, "kubernetes")
    world.sandbox.bump("nginx:1.16")
    world.sandbox.bump("python:3.12-slim")
    before = f"toolkit plan --sizes --shards {job['completions']} --out plan.toolkit && toolkit apply plan.toolkit --infra-only"
    machines.run(before, "plan.toolkit", checkout=True).expect(0)
    assert (job["completionMode"], job["parallelism"]) == ("Indexed", job["completions"])
    for index in range(job["completions"]):
        shell = tuple(container["command"])
        machines.run(container["args"][0], "results/*.json", shell=shell, JOB_COMPLETION_INDEX=str(index)).expect(0)
    assert sorted(machines.files) == ["plan.toolkit", *(f"results/{number}.json" for number in range(1, 5))]
    machines.run("toolkit report plan.toolkit results/*.json").expect(0)
