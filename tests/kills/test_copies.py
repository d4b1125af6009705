"""`copy`, `seed` and `apply FILE --shard` broken off at random moments: never a tag without its content, and the next run ends it."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.kills.blows import KILLS, Victim, draw
from tests.kills.repositories import MANIFEST, Ecr, sandbox_with_sources
from tests.support.fault_injection import ON_ARRIVAL, Asked, Broken, Fault, FaultyServer
from tests.support.made_images import MadeImage, image, index, push
from tests.support.plain_http import PlainHttp, plain_http
from tests.support.real_parts import require
from tests.support.registry import RunningRegistry, running_registry
from tests.support.sandbox import RunningSandbox
from tests.support.toolkit_run import Toolkit
from tests.support.two_registries import open_side, two_servers
from toolkit.oci.client import RegistryClient
from toolkit.oci.digest import Digest
from toolkit.oci.documents import ACCEPT
from toolkit.oci.reference import Reference

pytestmark = pytest.mark.slow

SHARDS = 2
BASE = [bytes([n]) * 100_000 for n in (1, 2)]


def some_image(number: int) -> MadeImage:
    """Of the same base as all others; every third is an index, every sixth one of indexes."""
    own = image([*BASE, b"%d" % number * 3_000, b""])
    if number % 3:
        return own
    found = index(("linux/amd64", own), ("linux/arm64", image([BASE[0], b"arm%d" % number], "linux/arm64")))
    return found if number % 6 else index(("", found), note=str(number))


IMAGES = {f"lib/r{number % 4}:v{number}": some_image(number) for number in range(12)}
WANTED = {key: str(made.digest) for key, made in IMAGES.items()}


@dataclass
class Copying:
    """`toolkit copy --list` in a folder of its own, so that nothing is cached."""

    folder: Path
    lines: list[str]
    toolkit: Toolkit = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        (self.folder / "list.txt").write_text("\n".join(self.lines) + "\n")
        self.toolkit = Toolkit(self.folder)

    def start(self) -> Victim:
        return Victim(self.toolkit, "copy", "--list", "list.txt")

    def finish(self) -> None:
        self.toolkit.run("copy", "--list", "list.txt", "--format", "json").expect(0)


def lines(source: str, destination: str, prefix: str = "") -> list[str]:
    return [f"{source}/{key} {destination}/{prefix}{key}" for key in IMAGES]


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_copy_broken_off_at_any_request_leaves_whole_tags(tmp_path: Path, shard: int) -> None:
    dice = random.Random(shard)
    with two_servers() as (source_server, destination_server):
        source = open_side(source_server, tmp_path / "source")
        for key, made in IMAGES.items():
            source.keep(made, *key.split(":"))
        pairs = lines(source_server.host, destination_server.host)

        def seen() -> int:
            return len(source_server.seen) + len(destination_server.seen)

        whole = Copying(tmp_path / "whole", pairs)
        open_side(destination_server, tmp_path / "whole-copy", trusts=True)
        whole.finish()
        # Which thread comes first decides whether a blob is linked or sent, so another run may make a few requests less.
        requests = seen() * 9 // 10

        for number in range(KILLS // SHARDS):
            moment, blow = dice.randrange(1, requests), draw(dice, number)
            destination = open_side(destination_server, tmp_path / f"copy-{number}", trusts=True)
            source_server.restart()
            broken_off = Copying(tmp_path / str(number), pairs)
            victims: list[Victim] = []

            def strike(asked: Asked) -> Fault | None:
                if seen() == moment:  # noqa: B023  the loop waits
                    victims[0].strike(blow)  # noqa: B023
                return None

            source_server.strike = destination_server.strike = strike
            victims.append(broken_off.start())
            victims[0].finish()
            assert victims[0].blow is blow, f"not struck at request {moment} of {requests}"
            settle(source_server.seen, destination_server.seen)
            assert destination.damage() == []
            assert destination.tags().items() <= WANTED.items()
            source_server.restart()
            destination_server.restart()
            broken_off.finish()
            assert destination.damage() == []
            assert destination.tags() == WANTED


def test_a_network_that_is_lost_at_any_request_leaves_whole_tags(tmp_path: Path) -> None:
    """For a while, which a run survives, and every tenth time for longer than its patience."""
    dice = random.Random("network")
    with two_servers() as (source_server, destination_server):
        source = open_side(source_server, tmp_path / "source")
        for key, made in IMAGES.items():
            source.keep(made, *key.split(":"))
        for number in range(KILLS):
            destination = open_side(destination_server, tmp_path / f"copy-{number}", trusts=True)
            source_server.restart()
            away = Away((source_server, destination_server), dice.randrange(1, 150), 1e9 if number % 10 == 9 else 1.0)
            source_server.strike = destination_server.strike = away.strike
            copying = Copying(tmp_path / str(number), lines(source_server.host, destination_server.host))
            done = copying.start().finish(6)
            assert destination.damage() == []
            assert destination.tags().items() <= WANTED.items()
            assert (destination.tags() == WANTED) is (done.code == 0)
            source_server.restart()
            destination_server.restart()
            copying.finish()
            assert destination.damage() == []
            assert destination.tags() == WANTED


@dataclass
class Away:
    """A network that breaks every connection from the `lost`th request on, for so many seconds."""

    servers: tuple[FaultyServer, FaultyServer]
    lost: int
    seconds: float
    since: float | None = None

    def strike(self, asked: Asked) -> Fault | None:
        if sum(len(server.seen) for server in self.servers) < self.lost:
            return None
        self.since = self.since or time.monotonic()
        return Broken(ON_ARRIVAL) if time.monotonic() < self.since + self.seconds else None


def settle(*seen: list[Asked]) -> None:
    """What was on its way when the client died has been answered or dropped when nothing more comes."""
    before = -1
    while before != (before := sum(map(len, seen))):
        time.sleep(0.05)


def test_a_copy_to_a_layout_broken_off_at_any_time_leaves_whole_images(tmp_path: Path) -> None:
    dice = random.Random("layout")
    with two_servers() as (server, _):
        source = open_side(server, tmp_path / "source")
        for key, made in IMAGES.items():
            source.keep(made, *key.split(":"))
        pairs = [f"{server.host}/{key} oci:carried:{key.replace('/', '-').replace(':', '-')}" for key in IMAGES]
        names = {key.replace("/", "-").replace(":", "-"): digest for key, digest in WANTED.items()}
        whole = Copying(tmp_path / "whole", pairs)
        whole.finish()
        requests = len(server.seen)
        for number in range(KILLS):
            server.restart()
            moment, later, blow = dice.randrange(1, requests), dice.uniform(0, 0.03), draw(dice, number)
            broken_off = Copying(tmp_path / str(number), pairs)
            victims: list[Victim] = []

            def strike(asked: Asked) -> Fault | None:
                if len(server.seen) == moment:  # noqa: B023  the loop waits
                    time.sleep(later)  # noqa: B023  among the writes too
                    victims[0].strike(blow)  # noqa: B023
                return None

            server.strike = strike
            victims.append(broken_off.start())
            victims[0].finish()
            assert victims[0].blow is blow
            assert layout(broken_off.folder / "carried").items() <= names.items()
            server.restart()
            broken_off.finish()
            assert layout(broken_off.folder / "carried") == names
            left = {path.name for path in (broken_off.folder / "carried").rglob("*") if path.is_file()}
            assert left == {path.name for path in (whole.folder / "carried").rglob("*") if path.is_file()}


def layout(folder: Path) -> dict[str, str]:
    """The images by name, each of them whole; read from the disk."""
    if not (folder / "index.json").exists():
        return {}

    def check(digest: str, *, is_document: bool) -> None:
        content = (folder / "blobs" / digest.replace(":", "/")).read_bytes()
        assert str(Digest.of(content)) == digest
        if is_document:
            document = json.loads(content)
            for child in document.get("manifests", ()):
                check(child["digest"], is_document=True)
            for blob in (document["config"], *document["layers"]) if "layers" in document else ():
                check(blob["digest"], is_document=False)

    found = {}
    for entry in json.loads((folder / "index.json").read_text())["manifests"]:
        check(entry["digest"], is_document=True)
        found[entry["annotations"]["org.opencontainers.image.ref.name"]] = entry["digest"]
    return found


def test_a_copy_to_a_real_registry_broken_off_at_any_time_leaves_whole_tags(tmp_path: Path) -> None:
    dice = random.Random("real")
    with running_registry(tmp_path / "source") as source, running_registry(tmp_path / "destination") as destination:
        client = RegistryClient()
        for key, made in IMAGES.items():
            push(client, made, Reference.parse(f"{source.host}/{key}"))
        started = time.monotonic()
        Copying(tmp_path / "whole", lines(source.host, destination.host, "whole/")).finish()
        seconds = time.monotonic() - started
        struck = 0
        for number in range(KILLS):
            broken_off = Copying(tmp_path / str(number), lines(source.host, destination.host, f"n{number}/"))
            victim = broken_off.start()
            victim.strike_after(seconds * dice.uniform(0.4, 1.0), draw(dice, number))
            victim.finish()
            struck += victim.blow is not None
            check_tags(destination, f"n{number}/", all_of_them=False)
            broken_off.finish()
            check_tags(destination, f"n{number}/", all_of_them=True)
        assert struck, "every run ended before it could be struck"


def check_tags(registry: RunningRegistry, prefix: str, *, all_of_them: bool) -> None:
    """Every tag has the source's digest and all that is behind it, as another client sees it."""
    with plain_http(registry.url, {"Accept": ACCEPT}) as http:
        for key, made in IMAGES.items():
            path, _, tag = f"{prefix}{key}".partition(":")
            found = http.ask("GET", f"/v2/{path}/manifests/{tag}")
            if found.status == 404 and not all_of_them:
                continue
            assert Digest.of(found.body) == made.digest
            check_content(http, path, json.loads(found.body))


def check_content(http: PlainHttp, path: str, document: dict[str, Any]) -> None:
    for child in document.get("manifests", ()):
        found = http.ask("GET", f"/v2/{path}/manifests/{child['digest']}")
        assert str(Digest.of(found.body)) == child["digest"]
        check_content(http, path, json.loads(found.body))
    for blob in (document["config"], *document["layers"]) if "layers" in document else ():
        found = http.ask("GET", f"/v2/{path}/blobs/{blob['digest']}")
        assert str(Digest.of(found.body)) == blob["digest"]


# -- what writes into the sandbox's ECR


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[RunningSandbox]:
    with sandbox_with_sources(tmp_path / "sandbox") as running:
        yield running


def test_a_seed_broken_off_at_any_time_leaves_whole_tags(sandbox: RunningSandbox, tmp_path: Path) -> None:
    dice = random.Random("seed")
    ecr = Ecr(sandbox)

    def folder(number: int) -> Toolkit:
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "images.yaml").write_text(MANIFEST)
        return Toolkit(tmp_path / str(number), sandbox.environment())

    ecr.empty()
    folder(-1).run("seed").expect(0)
    wanted = ecr.tags()
    assert len(wanted) == 4
    number, struck, seconds = 0, 0, 3.0
    while struck < KILLS:
        ecr.empty()
        toolkit, blow = folder(number), draw(dice, number)
        victim = Victim(toolkit, "seed")
        victim.strike_after(dice.uniform(0.2, seconds), blow)
        victim.finish(6)
        struck += victim.blow is not None
        assert ecr.tags().items() <= wanted.items()
        started = time.monotonic()
        toolkit.run("seed").expect(0)
        seconds = 0.8 * seconds + 0.2 * (time.monotonic() - started)
        assert ecr.tags() == wanted
        number += 1


def test_a_shard_broken_off_at_any_time_is_ended_by_the_same_shard(sandbox: RunningSandbox, tmp_path: Path) -> None:
    require("terraform")
    dice = random.Random("shard")
    (tmp_path / "images.yaml").write_text(MANIFEST)
    home = Toolkit(tmp_path, sandbox.environment())
    home.run("plan", "--sizes", "--shards", "2", "--out", "plan.toolkit").expect(0)
    home.run("apply", "plan.toolkit", "--infra-only").expect(0)
    ecr, plan = Ecr(sandbox), str(tmp_path / "plan.toolkit")

    def shard(number: int, name: str) -> tuple[Toolkit, list[str]]:
        """A machine that has nothing but the file."""
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        machine = Toolkit(folder, {**sandbox.environment(), "TOOLKIT_CACHE_DIR": str(folder / "cache")})
        return machine, ["apply", plan, "--shard", str(number), "--output", f"json={tmp_path}/{number}.json"]

    def finish(number: int, name: str) -> float:
        started = time.monotonic()
        machine, arguments = shard(number, name)
        machine.run(*arguments).expect(0)
        return time.monotonic() - started

    finish(2, "other")
    seconds = finish(1, "whole")
    wanted = ecr.tags()
    assert len(wanted) == 4
    struck, number = 0, 0
    while struck < KILLS:
        ecr.empty()
        (tmp_path / "1.json").unlink(missing_ok=True)
        finish(2, f"other-{number}")
        machine, arguments = shard(1, str(number))
        victim = Victim(machine, *arguments)
        victim.strike_after(dice.uniform(0.2, seconds), draw(dice, number))
        victim.finish(6)
        struck += victim.blow is not None
        assert ecr.tags().items() <= wanted.items()
        seconds = 0.8 * seconds + 0.2 * finish(1, str(number))
        assert ecr.tags() == wanted
        home.run("report", plan, str(tmp_path / "1.json"), str(tmp_path / "2.json")).expect(0)
        number += 1
