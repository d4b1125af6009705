"""`toolkit copy` killed at random moments: never a tag without its content, and running it again finishes the work."""

from __future__ import annotations

import json
import random
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.fault_injection import Asked, Fault
from tests.support.made_images import MadeImage, image, index, push
from tests.support.plain_http import PlainHttp, plain_http
from tests.support.registry import RunningRegistry, running_registry
from tests.support.toolkit_run import TOOLKIT, Toolkit
from tests.support.two_registries import Side, open_side, two_servers
from toolkit.oci.client import RegistryClient
from toolkit.oci.digest import Digest
from toolkit.oci.documents import ACCEPT
from toolkit.oci.reference import Reference

KILLS = 50
SHARDS = 5
BASE = [bytes([n]) * 100_000 for n in (1, 2)]


def some_image(number: int) -> MadeImage:
    """Of the same base as all others; every third is an index, every sixth one of indexes."""
    own = image([*BASE, b"%d" % number * 3_000, b""])
    if number % 3:
        return own
    found = index(("linux/amd64", own), ("linux/arm64", image([BASE[0], b"arm%d" % number], "linux/arm64")))
    return found if number % 6 else index(("", found), note=str(number))


IMAGES = {f"lib/r{number % 4}:v{number}": some_image(number) for number in range(12)}


@dataclass
class Killed:
    """`toolkit copy --list` in a folder of its own, so that nothing is cached."""

    folder: Path
    lines: list[str]
    toolkit: Toolkit = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        (self.folder / "list.txt").write_text("\n".join(self.lines) + "\n")
        self.toolkit = Toolkit(self.folder)

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [TOOLKIT, "copy", "--list", "list.txt"],
            cwd=self.folder,
            env=self.toolkit.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def finish(self) -> None:
        self.toolkit.run("copy", "--list", "list.txt", "--format", "json").expect(0)


def lines(source: str, destination: str, prefix: str = "") -> list[str]:
    return [f"{source}/{key} {destination}/{prefix}{key}" for key in IMAGES]


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_copy_killed_at_any_request_leaves_whole_tags_and_is_finished_by_the_next(tmp_path: Path, shard: int) -> None:
    wanted = {key: str(made.digest) for key, made in IMAGES.items()}
    with two_servers() as (source_server, destination_server):
        source = open_side(source_server, tmp_path / "source")
        for key, made in IMAGES.items():
            source.keep(made, *key.split(":"))
        pairs = lines(source_server.host, destination_server.host)

        whole = Killed(tmp_path / "whole", pairs)
        assert_finished(whole, open_side(destination_server, tmp_path / "whole-copy", trusts=True), wanted)
        # Which thread comes first decides whether a blob is linked or sent, so another run may make a few requests less.
        requests = (len(source_server.seen) + len(destination_server.seen)) * 9 // 10

        for moment in random.Random(shard).sample(range(1, requests), KILLS // SHARDS):
            destination = open_side(destination_server, tmp_path / f"copy-{moment}", trusts=True)
            source_server.restart()
            killed = Killed(tmp_path / str(moment), pairs)
            process: list[subprocess.Popen[bytes]] = []

            def strike(asked: Asked) -> Fault | None:
                if len(source_server.seen) + len(destination_server.seen) == moment:  # noqa: B023  the loop waits
                    process[0].kill()  # noqa: B023
                return None

            source_server.strike = destination_server.strike = strike
            process.append(killed.start())
            assert process[0].wait(timeout=60) == -9, f"not killed at request {moment} of {requests}"
            settle(source_server.seen, destination_server.seen)
            assert destination.damage() == []
            assert destination.tags().items() <= wanted.items()
            source_server.restart()
            destination_server.restart()
            assert_finished(killed, destination, wanted)


def settle(*seen: list[Asked]) -> None:
    """What was on its way when the client died has been answered or dropped when nothing more comes."""
    before = -1
    while before != (before := sum(map(len, seen))):
        time.sleep(0.05)


def assert_finished(killed: Killed, destination: Side, wanted: dict[str, str]) -> None:
    killed.finish()
    assert destination.damage() == []
    assert destination.tags() == wanted


@pytest.mark.slow
def test_a_copy_to_a_real_registry_killed_at_any_time_leaves_whole_tags(tmp_path: Path) -> None:
    with running_registry(tmp_path / "source") as source, running_registry(tmp_path / "destination") as destination:
        client = RegistryClient()
        for key, made in IMAGES.items():
            push(client, made, Reference.parse(f"{source.host}/{key}"))
        started = time.monotonic()
        Killed(tmp_path / "whole", lines(source.host, destination.host, "whole/")).finish()
        seconds = time.monotonic() - started
        kills = 0
        for number in range(10):
            killed = Killed(tmp_path / str(number), lines(source.host, destination.host, f"n{number}/"))
            process = killed.start()
            try:
                process.wait(timeout=seconds * random.Random(number).uniform(0.4, 1.0))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
            check_tags(destination, f"n{number}/", all_of_them=False)
            killed.finish()
            check_tags(destination, f"n{number}/", all_of_them=True)
        assert kills, "every run ended before it could be killed"


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
