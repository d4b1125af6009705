"""`plan --out`, `apply`, `apply FILE` and `destroy` broken off at random moments, by turns, with everything real.

One world goes through all of it, as a team's does: what a broken run left is where the next begins. With the state in
S3 the next run comes from another folder.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.kills.blows import KILLS, Blow, Process, Victim, draw, power_cut, sigint_twice
from tests.support.real_parts import require
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.toolkit_run import Finished, Toolkit

pytestmark = pytest.mark.slow

S3 = "terraform: {backend: {s3: {bucket: states, key: kills.tfstate}}}\n"
MANIFEST = """\
version: 1
name: kills
aws: {region: eu-west-1}
images: ["nginx:1.16", "redis:7"]
"""
REPOSITORIES = {"docker-hub/library/nginx", "docker-hub/library/redis"}
# Each round strikes apply once with a plan and once without, destroy twice, plan once.
ROUNDS = max(1, KILLS // 6)


@dataclass
class World:
    """The sandbox with the folders that share what is in it."""

    sandbox: RunningSandbox
    folders: list[Toolkit]
    dice: random.Random
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(lambda: 12.0))
    struck: Counter[str] = field(default_factory=Counter)
    turn: int = 0
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def is_remote(self) -> bool:
        return len(self.folders) > 1

    def next(self) -> Toolkit:
        """The folder whose turn it is."""
        self.turn += 1
        return self.folders[self.turn % len(self.folders)]

    def break_off(self, command: str, *arguments: str, ends: tuple[int, ...] = ()) -> tuple[Toolkit, Victim]:
        """Strike it at a random moment of the time that it takes."""
        toolkit, blow = self.next(), self.blow()
        victim = Victim(toolkit, *arguments)
        moment = self.dice.uniform(0.1, self.seconds[command])
        victim.strike_after(moment, blow)
        done = victim.finish(*ends)
        told = f"{command} by {blow.__name__} after {moment:.1f} of {self.seconds[command]:.1f} s: {done.code}"
        sys.stdout.write(f"{told}\n{done.stderr}\n")  # pytest shows it with a failure
        if victim.blow is not None:
            self.struck[command] += 1
        if blow in (power_cut, sigint_twice):
            self.unlock(toolkit)
        self.check()
        return toolkit, victim

    def blow(self) -> Blow:
        """One of all of them; every seventh is AWS that does not answer for some seconds."""
        number = self.struck.total()
        return self.silence if number % 7 == 6 else draw(self.dice, number)

    def silence(self, process: Process) -> None:
        """The network is lost without a word, and comes back."""
        os.kill(self.sandbox.status.pid, signal.SIGSTOP)
        threading.Timer(3.0, os.kill, (self.sandbox.status.pid, signal.SIGCONT)).start()

    def run(self, command: str, *arguments: str, code: int = 0) -> Finished:
        """To its end, from the folder whose turn it is."""
        started = time.monotonic()
        done = self.next().run(*arguments).expect(code)
        self.seconds[command] = 0.7 * self.seconds[command] + 0.3 * (time.monotonic() - started)
        return done

    def unlock(self, toolkit: Toolkit) -> None:
        """A Terraform that was aborted leaves its lock in S3; the next run says so, and what to do."""
        if not self.is_remote or not self.objects(".tflock"):
            return
        refused = toolkit.run("plan", "--lock-timeout", "0").expect(7)
        assert "state.locked" in refused.stderr
        assert "terraform force-unlock" in refused.stderr
        self.sandbox.client("s3", "eu-west-1").delete_object(Bucket="states", Key="kills.tfstate.tflock")

    def objects(self, ending: str) -> list[str]:
        """The keys in the bucket."""
        found = self.sandbox.client("s3", "eu-west-1").list_objects_v2(Bucket="states").get("Contents", [])
        return [one["Key"] for one in found if one["Key"].endswith(ending)]

    def state(self) -> Any:
        """The state, whole; None without one."""
        if self.is_remote:
            if not self.objects(".tfstate"):
                return None
            body = self.sandbox.client("s3", "eu-west-1").get_object(Bucket="states", Key="kills.tfstate")["Body"]
            return json.loads(body.read())
        [folder] = self.folders
        path = folder.folder / ".toolkit" / "kills" / "eu-west-1" / "terraform.tfstate"
        return json.loads(path.read_text()) if path.exists() and path.stat().st_size else None

    def check(self) -> None:
        """No tag is wrong, whatever has happened."""
        ecr = self.sandbox.client("ecr", "eu-west-1")
        for one in ecr.describe_repositories()["repositories"]:
            assert one["repositoryName"] in REPOSITORIES
            for found in ecr.describe_images(repositoryName=one["repositoryName"])["imageDetails"]:
                for tag in found.get("imageTags", ()):
                    wanted = self.digests.setdefault(f"{one['repositoryName']}:{tag}", found["imageDigest"])
                    assert found["imageDigest"] == wanted

    def check_converged(self) -> None:
        """All is in place, the state whole, nothing locked, and a plan finds nothing to do."""
        self.run("plan", "plan", "--detailed-exitcode")
        self.check()
        assert len(self.digests) == 2
        state = self.state()
        managed = [one for one in state["resources"] if one["type"] == "aws_ecr_repository"]
        assert sum(len(one["instances"]) for one in managed) == len(REPOSITORIES)
        self.check_unlocked()

    def check_unlocked(self) -> None:
        if self.is_remote:
            assert self.objects(".tflock") == []
        else:
            assert list(self.folders[0].folder.rglob("*.lock.info")) == []


@pytest.fixture(params=["s3", "local"] if KILLS > 6 else ["s3"])  # a sample takes the harder one
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    require("terraform")
    is_remote = request.param == "s3"
    with running_sandbox(tmp_path / "sandbox", ["nginx:1.16", "redis:7"], upstream_limit=1_000_000) as sandbox:
        if is_remote:
            place = {"LocationConstraint": "eu-west-1"}
            sandbox.client("s3", "eu-west-1").create_bucket(Bucket="states", CreateBucketConfiguration=place)
        folders = []
        for name in ("one", "two") if is_remote else ("one",):
            (tmp_path / name).mkdir()
            (tmp_path / name / "images.yaml").write_text(MANIFEST + (S3 if is_remote else ""))
            folders.append(Toolkit(tmp_path / name, sandbox.environment()))
        yield World(sandbox, folders, random.Random(request.param))


def test_broken_off_by_turns_the_next_run_ends_where_the_first_should_have(world: World) -> None:
    for number in range(ROUNDS):
        # A plan, and the apply of exactly that one.
        saved = world.folders[0].folder.parent / f"{number}.toolkit"
        world.break_off("plan --out", "plan", "--out", str(saved))
        if saved.exists():
            world.next().run("show", str(saved)).expect(0)
        world.run("plan --out", "plan", "--out", str(saved))
        world.break_off("apply FILE", "apply", str(saved), ends=(6,))
        # What has begun is finished by the same plan, or refused because the world is no longer the one it was made for.
        again = world.next().run("apply", str(saved))
        assert again.code in (0, 7), again
        if again.code == 7:
            world.run("apply", "apply", "--auto-approve")
        world.check_converged()

        world.break_off("destroy", "destroy", "--auto-approve", ends=(7,))
        world.run("destroy", "destroy", "--auto-approve")
        check_destroyed(world)

        world.break_off("apply", "apply", "--auto-approve", ends=(6,))
        world.run("apply", "apply", "--auto-approve")
        world.check_converged()

        world.break_off("destroy", "destroy", "--auto-approve", ends=(7,))
        world.run("destroy", "destroy", "--auto-approve")
        check_destroyed(world)
    assert world.struck.total() > ROUNDS, "nearly every run ended before it could be struck"


def check_destroyed(world: World) -> None:
    assert world.sandbox.client("ecr", "eu-west-1").describe_repositories()["repositories"] == []
    state = world.state()
    assert not state or [one for one in state["resources"] if one["mode"] == "managed"] == []
    world.check_unlocked()
