"""One cell of the matrix: a case of the corpus under a strategy on a builder, run in a room and judged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from tests.proof.cases import EXTRAS, MIRRORED, Case, Verdict
from tests.proof.registries import REGION, Seed
from tests.proof.room import Build, Outcome, Room
from tests.proof.trap import count
from toolkit.codebuild.buildspec import render_buildspec
from toolkit.manifest.loader import loads
from toolkit.plan.desired import DesiredBuild
from toolkit.plan.resolve import resolve

NO_STRATEGY = "none"
"""The control: the project's own commands, and no fragment before them."""

BUILDERS: Mapping[str, Mapping[str, str]] = {
    "legacy": {"DOCKER_BUILDKIT": "0"},
    "buildkit": {"DOCKER_BUILDKIT": "1"},
    "buildx": {},
}
"""The variables of a project by which its `docker build` is done so."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What is run; `shell` is the build container's."""

    case: Case
    strategy: str
    builder: str
    shell: str = "sh"

    def __str__(self) -> str:
        return f"{self.case.name}-{self.strategy}-{self.builder}"

    def run(self, room: Room) -> Outcome:
        """Build it."""
        build = Build(self._buildspec(), self.case.files(), BUILDERS[self.builder], self.shell)
        return room.run(build)

    def judge(self, outcome: Outcome) -> Verdict:
        """What became of it. LEAVES whatever the result; AssertionError for a result that cannot be explained."""
        if any(count(outcome.contacts).values()):
            return Verdict.LEAVES
        if not outcome.succeeded:
            return Verdict.FAILS
        assert outcome.origins, "the image has no mark of origin"
        foreign = [mark for mark in outcome.origins.values() if not mark.startswith("ecr ")]
        assert not foreign, f"nothing was asked of Docker Hub, and yet its bytes are there: {foreign}"
        origin = outcome.origins.get("origin")
        return Verdict.WRONG if origin and not origin.endswith(f" {self.case.platform}") else Verdict.HOME

    def _buildspec(self) -> str:
        if self.strategy == NO_STRATEGY:
            return json.dumps({"version": 0.2, "phases": {"build": {"commands": list(self.case.commands)}}})
        return render_buildspec(_resolve(self.case.images, self.case.commands, self.strategy))


def _resolve(images: tuple[str, ...], commands: tuple[str, ...], strategy: str) -> DesiredBuild:
    project = {"name": "proof", "source": {"type": "NO_SOURCE"}, "images": images, "commands": commands}
    return resolve(loads(_manifest([project]), "images.yaml")).builds[0]


def _manifest(builds: list[dict[str, object]]) -> str:
    return json.dumps(
        {"version": 1, "name": "proof", "aws": {"region": REGION}, "images": list(MIRRORED), "builds": builds}
    )


@cache
def seeds() -> tuple[Seed, ...]:
    """What the mirror has: every image of the manifest, in the repository that `resolve` gives it."""
    images = resolve(loads(_manifest([]), "images.yaml")).images
    return tuple(Seed(str(image.source), image.repository) for image in images)


__all__ = ["BUILDERS", "EXTRAS", "NO_STRATEGY", "Cell", "seeds"]
