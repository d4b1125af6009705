"""Alternatives over HTTP: real servers, the real client, and one upstream whose every request is on record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.faulty_registry import Reply, Seen, faulty_registry, refused
from tests.support.made_images import image, index, push
from tests.support.registry import RunningRegistry, running_registry
from tests.support.sandbox import stand_in_registry
from toolkit.oci.alternatives import Alternative, AlternativeSources
from toolkit.oci.client import RegistryClient
from toolkit.oci.copy import CopyRequest
from toolkit.oci.endpoints import Endpoints
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.transport import Transport
from toolkit.report import SeedStatus
from toolkit.seed.seeder import Seeder

MADE = index(
    ("linux/amd64", image([b"base" * 1000, b"amd" * 1000])),
    ("linux/arm64", image([b"base" * 1000, b"arm" * 1000], "linux/arm64")),
)
SOURCE = Reference.parse("docker.io/library/nginx:1").with_digest(MADE.digest)


class Stage:
    """A real registry as Docker Hub, a stand-in as the destination, and an alternative that each test chooses."""

    def __init__(self, hub: RunningRegistry, target: str) -> None:
        self.hub = hub
        self.target = Repository(target.removeprefix("http://"), "nginx")
        self.client = RegistryClient(
            endpoints=Endpoints((("docker.io", hub.url),)), transport=Transport(sleep=lambda seconds: None)
        )
        push(self.client, MADE, Reference.parse("docker.io/library/nginx:1"))

    def copy(self, alternative: str) -> list[str]:
        """Copy by way of `alternative`; the paths that were then read at Docker Hub."""
        before = len(self.hub.accesses())
        sources = AlternativeSources(self.client, {"docker.io": [Alternative.parse(alternative)]})
        request = CopyRequest("nginx", SOURCE, self.target.with_tag("1"))
        [outcome] = Seeder(sources, self.client, [].append, jobs=4).seed([request])
        assert outcome.status is SeedStatus.COPIED, outcome.error_message
        assert self.client.get_manifest(self.target.with_tag("1")) == MADE.document
        return [access.path for access in self.hub.accesses()[before:] if access.method == "GET"]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with ExitStack() as stack:
        hub = stack.enter_context(running_registry(tmp_path / "hub"))
        yield Stage(hub, stack.enter_context(stand_in_registry(tmp_path / "target")))


@pytest.mark.parametrize(
    ("prefix", "path"), [("docker/library", "docker/library/nginx"), ("docker-hub", "docker-hub/library/nginx")]
)
def test_an_alternative_that_has_it_all_delivers_it_all(stage: Stage, tmp_path: Path, prefix: str, path: str) -> None:
    with running_registry(tmp_path / "other") as other:
        push(stage.client, MADE, Repository(other.host, path).with_tag("another-tag"))
        assert stage.copy(f"{other.host}/{prefix}") == []
        assert len(other.manifest_gets()) == 3


def test_an_empty_alternative_changes_nothing(stage: Stage, tmp_path: Path) -> None:
    with running_registry(tmp_path / "other") as other:
        assert len(stage.copy(f"{other.host}/docker-hub")) == 3 + 5


def denies(seen: Seen) -> Reply:
    return refused(403, "DENIED")


def wants_another_login(seen: Seen) -> Reply:
    return refused(401, "UNAUTHORIZED", headers={"WWW-Authenticate": 'Basic realm="elsewhere"'})


def hangs_up(seen: Seen) -> Reply:
    return Reply(drops=True)


def lies(seen: Seen) -> Reply:
    return Reply(200, {"Content-Type": MADE.document.media_type}, b'{"schemaVersion": 2}')


@pytest.mark.parametrize("answer", [denies, wants_another_login, hangs_up, lies])
def test_one_that_is_closed_down_or_wrong_changes_nothing(stage: Stage, answer: Callable[[Seen], Reply]) -> None:
    with faulty_registry() as other:
        other.answer = answer  # type: ignore[method-assign]
        assert len(stage.copy(f"{other.host}/docker-hub")) == 3 + 5


def test_one_that_does_not_exist_changes_nothing(stage: Stage) -> None:
    assert len(stage.copy("127.0.0.1:1/docker-hub")) == 3 + 5
