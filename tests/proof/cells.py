"""One cell of the matrix: a case of the corpus under a strategy on a builder, run in a room and judged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.proof.cases import MIRRORED, PINNED, Case, Needs, with_digests
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
# `--use` would say it to `docker buildx build` only. BuildKit's image is that of the mirror.
_OWN_BUILDER = (
    "docker buildx create --name own --driver docker-container --bootstrap --driver-opt "
    'default-load=true,image="$TOOLKIT_ECR_REGISTRY"/docker-hub/moby/buildkit:buildx-stable-1',
    "export BUILDX_BUILDER=own",
)
_LOGIN = 'aws ecr get-login-password | docker login --username AWS --password-stdin "$TOOLKIT_ECR_REGISTRY"'
_SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:docker-hub-a1b2c3"
_NAMES_DIGESTS = frozenset({Strategy.HOSTS, Strategy.BUILDER, Strategy.CONTEXTS, Strategy.DIRECT})
_REWRITES = frozenset({Strategy.CONTEXTS, Strategy.DIRECT})


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

    def commands(self) -> list[str]:
        """The project's own commands, as the strategy has its user write them."""
        commands = list(self.case.commands)
        if self.strategy is Strategy.CONTEXTS:
            commands = [text.replace("docker build ", "docker build $TOOLKIT_BUILD_CONTEXTS ") for text in commands]
        if self.strategy is Strategy.DIRECT:
            commands = [_with_rewritten_file(text) for text in commands]
        if self.builder is Builder.CONTAINER and self.strategy is not Strategy.BUILDER:
            commands = [*_OWN_BUILDER, *commands]
        return commands

    def source(self) -> dict[str, str]:
        """The project's repository with the commands in a buildspec of its own, as `toolkit scan` finds it."""
        phases = {"build": {"commands": self.commands()}}
        buildspec = {"version": 0.2, "env": {"variables": _VARIABLES[self.builder]}, "phases": phases}
        return {**self.case.files(), "buildspec.yml": json.dumps(buildspec, indent=1)}

    def manifest(self) -> str:
        """The manifest with the project that builds it."""
        by_digest = [with_digests(name) for name in self.case.by_digest]
        project: dict[str, Any] = {
            "name": "proof",
            "source": {"type": "NO_SOURCE"},
            "commands": self.commands(),
            "strategy": "retag" if self.strategy is Strategy.NONE else self.strategy,
        }
        if self.strategy is not Strategy.LOGIN:
            project |= {
                "on_miss": self.on_miss,
                "images": [*self.case.images, *(by_digest if self.strategy in _NAMES_DIGESTS else ())],
                "dockerfiles": [name for name in self.case.files() if name.endswith("Dockerfile")],
            }
        return _manifest([project])

    def buildspec(self) -> str:
        """The buildspec of the project. The control logs in to ECR, so that a builder of its own can be made."""
        if self.strategy is Strategy.NONE:
            return json.dumps({"version": 0.2, "phases": {"build": {"commands": [_LOGIN, *self.commands()]}}})
        build = resolve(loads(self.manifest(), "images.yaml")).builds[0]
        return render_buildspec(build, region=REGION, account_id=ACCOUNT)


def can_be_built(case: Case, strategy: Strategy, builder: Builder, docker: str) -> bool:
    """Whether this Docker's `builder` knows what the case asks for, and the strategy can be told to its commands."""
    is_old = docker.startswith("20.")
    if builder is Builder.CONTAINER and is_old:
        return False
    if strategy is Strategy.BUILDER and builder is not Builder.CONTAINER:
        return False
    if strategy in _REWRITES and case.needs is Needs.BUILDX:
        return False
    if strategy is Strategy.CONTEXTS and builder is Builder.LEGACY:
        return False
    match case.needs:
        case Needs.BUILDKIT:
            return builder is not Builder.LEGACY
        case Needs.BUILDKIT_TODAY | Needs.BUILDX:
            return builder is not Builder.LEGACY and not is_old
        case Needs.TRIGGERS:
            return builder is Builder.LEGACY or not is_old
        case _:
            return True


def cells(
    docker: str,
    strategies: Mapping[Strategy, tuple[OnMiss, ...]],
    cases: tuple[Case, ...],
    builders: tuple[Builder, ...],
) -> Iterator[Cell]:
    """Every cell of these that can be built."""
    for case in cases:
        for builder in builders:
            for strategy, misses in strategies.items():
                if can_be_built(case, strategy, builder, docker):
                    yield from (Cell(case, strategy, on_miss, builder) for on_miss in misses)


def _with_rewritten_file(command: str) -> str:
    if "< Dockerfile" in command:
        return command.replace("< Dockerfile", '< "$TOOLKIT_DOCKERFILE"')
    if "--file base.Dockerfile" in command:
        return command.replace("--file base.Dockerfile", '--file "$TOOLKIT_DOCKERFILES/base.Dockerfile"')
    return command.replace("docker build ", 'docker build --file "$TOOLKIT_DOCKERFILES/Dockerfile" ')


def _manifest(builds: list[dict[str, Any]]) -> str:
    pinned = [{"source": with_digests(f"{name}@sha256:<{name}>")} for name in PINNED]
    return json.dumps(
        {
            "version": 1,
            "name": "proof",
            "aws": {"region": REGION},
            "platforms": "all",
            "registries": {"docker.io": {"credential": {"secretsmanager": _SECRET}}},
            "images": [*MIRRORED, *pinned],
            "builds": builds,
        },
        indent=1,
    )


@cache
def seeds() -> tuple[Seed, ...]:
    """What the mirror has: every image of the manifest, in the repository that `resolve` gives it."""
    images = resolve(loads(_manifest([]), "images.yaml")).images
    return tuple(Seed(str(image.source).partition("@")[0], image.repository) for image in images)
