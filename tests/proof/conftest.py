"""What was seen of the cells that are asked for, all of them run when the first is looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.proof import docker_28
from tests.proof.cells import Cell
from tests.proof.daemon import Docker
from tests.proof.rooms import Observation, observe
from tests.proof.suites import NEW, OLD
from tests.support.real_parts import missing

Seen = Callable[[Cell], Observation]


@pytest.fixture(scope="session")
def docker_20() -> Docker:
    """Debian's own Docker, which is required where real parts are."""
    docker = Docker(OLD, Path("/"))
    if reason := docker.missing():
        missing(reason)
    return docker


@pytest.fixture(scope="session")
def docker_new() -> Docker:
    """Docker 28, where it can be had: unstable changes, and nobody's tests fail for that."""
    try:
        docker = docker_28.find()
    except docker_28.NotToBeHad as reason:
        pytest.skip(str(reason))
    if reason := docker.missing():
        pytest.skip(reason)
    return docker


@pytest.fixture(scope="session")
def seen_20(request: pytest.FixtureRequest, docker_20: Docker) -> Seen:
    """What was seen with Docker 20.10."""
    return observe(_asked_for(request, OLD), docker_20).__getitem__


@pytest.fixture(scope="session")
def seen_28(request: pytest.FixtureRequest, docker_new: Docker) -> Seen:
    """What was seen with Docker 28."""
    return observe(_asked_for(request, NEW), docker_new).__getitem__


def _asked_for(request: pytest.FixtureRequest, docker: str) -> list[Cell]:
    found = (getattr(item, "callspec", None) for item in request.session.items)
    cells = (callspec.params.get("cell") for callspec in found if callspec)
    return list(dict.fromkeys(cell for cell in cells if isinstance(cell, Cell) and cell.docker == docker))
