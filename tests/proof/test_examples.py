"""The examples that have a Dockerfile: built as their own manifests say, from nothing but the mirror."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.proof.cases import EXTRAS
from tests.proof.daemon import Docker
from tests.proof.registries import ACCOUNT, Seed
from tests.proof.room import Build, Outcome, open_room
from toolkit.codebuild.buildspec import render_buildspec
from toolkit.manifest.loader import load
from toolkit.oci.reference import Reference
from toolkit.plan.desired import DesiredBuild
from toolkit.plan.resolve import resolve

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("docker examples")]

_EXAMPLES = Path(__file__).parents[2] / "examples"
_MANIFESTS = sorted(path for path in _EXAMPLES.rglob("images.yaml") if list(path.parent.rglob("Dockerfile")))


@dataclass(frozen=True, slots=True)
class Project:
    """A build of an example, with the folder that is its source."""

    build: DesiredBuild
    region: str
    seeds: tuple[Seed, ...]
    source: Path

    def run(self, docker: Docker, folder: Path) -> Outcome:
        """Build it in a room of its own, with BuildKit."""
        files = {
            str(path.relative_to(self.source)): path.read_text() for path in self.source.rglob("*") if path.is_file()
        }
        tag = re.search(r"docker build --tag (\S+)", " ".join(self.build.buildspec_commands))
        image = tag[1] if tag else f"{self.build.project_name}:latest"
        buildspec = render_buildspec(self.build, region=self.region, account_id=ACCOUNT)
        with open_room(docker, self.seeds, EXTRAS, folder) as room:
            return room.run(Build(buildspec, files, {"DOCKER_BUILDKIT": "1"}, image=image))


def projects_of(manifest: Path) -> list[Project]:
    desired = resolve(load(manifest))
    return [Project(build, desired.region, _seeds_of(build), manifest.parent) for build in desired.builds]


def _seeds_of(build: DesiredBuild) -> tuple[Seed, ...]:
    """Its own images only, wherever the manifest says that they are."""
    names = (Reference.parse(image.original) for image in build.images)
    return tuple(Seed(str(name), image.repository) for name, image in zip(names, build.images, strict=True))


@pytest.mark.parametrize("manifest", _MANIFESTS, ids=lambda path: str(path.parent.relative_to(_EXAMPLES)))
def test_an_example_builds_from_the_mirror_alone(manifest: Path, docker_20: Docker, tmp_path: Path) -> None:
    projects = projects_of(manifest)
    assert projects
    # A room each, at once: a build with a closed door waits more than it works.
    with ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(lambda one: one.run(docker_20, tmp_path / one.build.name), projects))
    for project, outcome in zip(projects, outcomes, strict=True):
        assert (outcome.phases, outcome.outside) == ({"pre_build": 0, "build": 0}, []), (
            project.build.name,
            outcome.output,
        )
        assert all(mark.startswith("ecr ") for mark in outcome.origins.values()), (project.build.name, outcome.origins)
