"""What a fragment promises besides keeping a Dockerfile's images home, each on a real daemon."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.proof.cases import CASES, EXTRAS
from tests.proof.cells import Cell, seeds
from tests.proof.daemon import Docker
from tests.proof.registries import HUB_ACCOUNT
from tests.proof.room import Build, Room, open_room
from tests.proof.suites import OLD
from toolkit.codebuild.coverage import Builder, Verdict
from toolkit.manifest.strategy import Strategy

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("docker promises")]

_TAG = next(case for case in CASES if case.name == "tag")
_EARLIER = """\
aws ecr get-login-password | docker login --username AWS --password-stdin "$TOOLKIT_ECR_REGISTRY"
docker pull "$TOOLKIT_ECR_REGISTRY"/docker-hub/library/node:20
"""


@pytest.fixture(scope="module")
def room(docker_20: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with open_room(docker_20, seeds(), EXTRAS, tmp_path_factory.mktemp("room")) as opened:
        yield opened


def with_commands(buildspec: str, **phases: list[str]) -> str:
    """`buildspec` with these commands at the end of its phases."""
    yaml = YAML()
    yaml.width = 2**20  # where ruamel.yaml 0.19 folds a quoted text behind a backslash, it adds a space
    document = yaml.load(buildspec)
    for name, commands in phases.items():
        document["phases"].setdefault(name, {"commands": []})["commands"].extend(commands)
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def test_closes_docker_hub_to_a_daemon_that_knew_it(room: Room) -> None:
    cell = Cell(_TAG, OLD, Strategy.AUTO, "fail", Builder.BUILDKIT)
    buildspec = with_commands(cell.buildspec(), install=[_EARLIER], build=["! docker pull ruby:3"])
    outcome = room.run(Build(buildspec, _TAG.files(), {"DOCKER_BUILDKIT": "1"}))
    assert (outcome.succeeded, outcome.outside) == (True, []), outcome.output


def test_leaves_for_docker_hub_with_a_login(room: Room) -> None:
    cell = Cell(_TAG, OLD, Strategy.LOGIN, "upstream", Builder.BUILDKIT)
    outcome = cell.run(room)
    assert cell.judge(outcome) is Verdict.LEAVES
    tokens = [contact.what for contact in outcome.contacts if contact.what.startswith("GET /token")]
    assert set(tokens) == {f"GET /token for {HUB_ACCOUNT[0]}"}, outcome.output
    assert outcome.origins["origin"].startswith("hub docker.io/library/nginx:1.16")
    assert HUB_ACCOUNT[1] not in outcome.output


def test_runs_twice_on_the_same_machine(room: Room) -> None:
    # A local build that runs twice, or a project whose phases call it again.
    cell = Cell(_TAG, OLD, Strategy.AUTO, "fail", Builder.BUILDKIT)
    document = YAML(typ="safe").load(cell.buildspec())
    again = document["phases"]["pre_build"]["commands"]
    buildspec = with_commands(cell.buildspec(), build=[*again, "docker build --no-cache --tag app ."])
    outcome = room.run(Build(buildspec, _TAG.files(), {"DOCKER_BUILDKIT": "1"}))
    assert (outcome.succeeded, outcome.outside) == (True, []), outcome.output


def test_no_password_is_in_what_a_build_prints(room: Room, tmp_path: Path) -> None:
    cell = Cell(_TAG, OLD, Strategy.AUTO, "fail", Builder.BUILDKIT)
    # The stub's password is in a file beside it; the log must not have it.
    buildspec = with_commands(cell.buildspec(), build=['echo "PASSWORD $(aws ecr get-login-password)"'])
    outcome = room.run(Build(buildspec, _TAG.files(), {"DOCKER_BUILDKIT": "1"}))
    before, _, password = outcome.output.partition("PASSWORD ")
    assert password.strip() and password.strip() not in before
