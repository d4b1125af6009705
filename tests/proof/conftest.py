"""A room for each version of Docker, kept for the session: a build costs a daemon, not a room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proof.cases import EXTRAS
from tests.proof.cells import seeds
from tests.proof.daemon import Docker
from tests.proof.room import Room, open_room
from tests.support.real_parts import missing


@pytest.fixture(scope="session")
def docker_20_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """A room with Debian's own Docker."""
    docker = Docker("20.10", Path("/"))
    reason = docker.missing()
    if reason:
        missing(reason)
    with open_room(docker, seeds(), EXTRAS, tmp_path_factory.mktemp("room")) as room:
        yield room
