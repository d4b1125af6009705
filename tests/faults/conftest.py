"""Two registries for every test here; servers and transport serve all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clocks import FakeTime
from tests.support.fault_injection import FaultyServer
from tests.support.two_registries import Play, open_side, quick_transport, two_servers
from toolkit.oci.transport import Transport


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[FaultyServer, FaultyServer]]:
    with two_servers() as both:
        yield both


@pytest.fixture(scope="module")
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture(scope="module")
def transport(time: FakeTime) -> Transport:
    return quick_transport(time)


@pytest.fixture
def play(servers: tuple[FaultyServer, FaultyServer], tmp_path: Path, time: FakeTime, transport: Transport) -> Play:
    """Empty registries; the destination takes documents whatever they point to."""
    time.now = FakeTime().now
    source = open_side(servers[0], tmp_path / "source")
    return Play(source, open_side(servers[1], tmp_path / "destination", trusts=True), time, transport)
