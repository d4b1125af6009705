"""One cell of the matrix: a case of the corpus under a strategy on a builder, run in a room and judged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from tests.proof.cases import MIRRORED, Case, Needs
from tests.proof.registries import ACCOUNT, REGION, Seed
from tests.proof.room import Build, Outcome, Room
from tests.proof.trap import count
from toolkit.codebuild.buildspec import render_buildspec
from toolkit.codebuild.coverage import Builder, OnMiss, Strategy, Verdict
from toolkit.manifest.loader import loads
from toolkit.plan.resolve import resolve

_VARIABLES: Mapping[Builder, Mapping[str, str]] = {
    Builder.LEGACY: {"DOCKER_BUILDKIT": "0"},
    Builder.BUILDKIT: {"DOCKER_BUILDKIT": "1"},
    Builder.CONTAINER: {},
}
_OWN_BUILDER = (
    "docker buildx create --name own --driver docker-container --use --bootstrap --driver-opt "
    'default-load=true,image="$TOOLKIT_ECR_REGISTRY"/docker-hub/moby/buildkit:buildx-stable-1'
)
"""How a project makes a docker-container builder for itself; BuildKit's image is that of the mirror."""

_BUILDERS = {
    Needs.NOTHING: frozenset(Builder),
    Needs.BUILDKIT: frozenset({Builder.BUILDKIT, Builder.CONTAINER}),
    Needs.BUILDKIT_TODAY: frozenset({Builder.BUILDKIT, Builder.CONTAINER}),
    Needs.BUILDX: frozenset({Builder.BUILDKIT, Builder.CONTAINER}),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """What is run; `shell` is the build container's."""

    case: Case
    strategy: Strategy
    on_miss: OnMiss
    builder: Builder
    shell: str = "sh"

    def __str__(self) -> str:
        return f"{self.case.name}-{self.strategy}-{self.on_miss}-{self.builder}"

    def run(self, room: Room) -> Outcome:
        """Build it."""
        return room.run(Build(self.buildspec(), self.case.files(), _VARIABLES[self.builder], self.shell))

    def judge(self, outcome: Outcome) -> Verdict:
        """What became of it. LEAVES whatever the result; AssertionError for a result that cannot be explained."""
        if any(count(outcome.contacts).values()):
            return Verdict.LEAVES
        if not outcome.succeeded:
            return Verdict.REFUSED
        assert outcome.origins, "the image has no mark of origin"
        foreign = [mark for mark in outcome.origins.values() if not mark.startswith("ecr ")]
        assert not foreign, f"nothing was asked of Docker Hub, and yet its bytes are there: {foreign}"
        origin = outcome.origins.get("origin")
        return Verdict.WRONG if origin and not origin.endswith(f" {self.case.platform}") else Verdict.STAYS

    def buildspec(self) -> str:
        """The buildspec of its project."""
        commands = list(self.case.commands)
        if self.builder is Builder.CONTAINER and self.strategy is not Strategy.BUILDER:
            commands.insert(0, _OWN_BUILDER)
        if self.strategy is Strategy.NONE:
            login = (
                f"aws ecr get-login-password | docker login --username AWS --password-stdin {'$TOOLKIT_ECR_REGISTRY'}"
            )
            return json.dumps({"version": 0.2, "phases": {"build": {"commands": [login, *commands]}}})
        project = {
            "name": "proof",
            "source": {"type": "NO_SOURCE"},
            "images": self.case.images,
            "commands": commands,
            "strategy": self.strategy,
            "on_miss": self.on_miss,
        }
        build = resolve(loads(_manifest([project]), "images.yaml")).builds[0]
        return render_buildspec(build, region=REGION, account_id=ACCOUNT)


def cells(docker: str, strategies: Mapping[Strategy, tuple[OnMiss, ...]], cases: tuple[Case, ...]) -> Iterator[Cell]:
    """Every cell of `cases` that the Docker of this version can build."""
    is_new = not docker.startswith("20.")
    for case in cases:
        for builder in Builder:
            can = builder in _BUILDERS[case.needs] or (case.name == "onbuild-base" and builder is Builder.LEGACY)
            if builder is Builder.CONTAINER and not is_new:
                continue
            if not is_new and (
                case.needs is Needs.BUILDX or (case.needs is Needs.BUILDKIT_TODAY and builder is Builder.BUILDKIT)
            ):
                continue
            if not can:
                continue
            for strategy, misses in strategies.items():
                if strategy is Strategy.BUILDER and builder is not Builder.CONTAINER:
                    continue
                for on_miss in misses:
                    yield Cell(case, strategy, on_miss, builder)


def _manifest(builds: list[dict[str, object]]) -> str:
    return json.dumps(
        {"version": 1, "name": "proof", "aws": {"region": REGION}, "images": list(MIRRORED), "builds": builds}
    )


@cache
def seeds() -> tuple[Seed, ...]:
    """What the mirror has: every image of the manifest, in the repository that `resolve` gives it."""
    images = resolve(loads(_manifest([]), "images.yaml")).images
    return tuple(Seed(str(image.source), image.repository) for image in images)
