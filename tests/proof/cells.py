"""One cell of the matrix: a case of the corpus under a strategy on a builder, run in a room and judged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.proof.cases import MIRRORED, PINNED, Case, Needs, with_digests
from tests.proof.registries import ACCOUNT, REGION, Seed
from tests.proof.room import Build, Outcome, Room
from tests.proof.trap import count
from toolkit.codebuild.buildspec import render_buildspec
from toolkit.codebuild.coverage import Builder, Verdict
from toolkit.manifest.loader import loads
from toolkit.manifest.strategy import OnMiss, Strategy
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
_NAMES_DIGESTS = frozenset({Strategy.AUTO, Strategy.HOSTS, Strategy.BUILDER, Strategy.CONTEXTS, Strategy.DIRECT})
_REWRITES = frozenset({Strategy.CONTEXTS, Strategy.DIRECT})


@dataclass(frozen=True, slots=True)
class Cell:
    """What is run: `docker` is the version, `shell` the build container's."""

    case: Case
    docker: str
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
        """The project's own commands."""
        makes_builder = self.builder is Builder.CONTAINER and self.strategy is not Strategy.BUILDER
        return [*(_OWN_BUILDER if makes_builder else ()), *self.case.commands]

    def source(self) -> dict[str, str]:
        """The project's repository with the commands in a buildspec of its own, as `toolkit scan` finds it."""
        phases = {"build": {"commands": [self._as_strategy_wants(command) for command in self.commands()]}}
        buildspec = {"version": 0.2, "env": {"variables": _VARIABLES[self.builder]}, "phases": phases}
        return {**self.case.files(), "buildspec.yml": json.dumps(buildspec, indent=1)}

    def manifest(self) -> str:
        """The manifest with the project that builds it."""
        images = [*self.case.images]
        if self.strategy in _NAMES_DIGESTS:
            images += [with_digests(name) for name in self.case.by_digest]
        if self.strategy is Strategy.BUILDER:
            images.append("moby/buildkit:buildx-stable-1")
        project: dict[str, Any] = {
            "name": "proof",
            "source": {"type": "NO_SOURCE"},
            "commands": [self._as_strategy_wants(command) for command in self.commands()],
            "strategy": "retag" if self.strategy is Strategy.NONE else self.strategy,
        }
        if self.strategy is not Strategy.LOGIN:
            project |= {
                "on_miss": self.on_miss,
                "images": images,
                "dockerfiles": [name for name in self.case.files() if name.endswith("Dockerfile")],
            }
        return _manifest([project])

    def _as_strategy_wants(self, command: str) -> str:
        match self.strategy:
            case Strategy.CONTEXTS:
                return command.replace("docker build ", "docker build $TOOLKIT_BUILD_CONTEXTS ")
            case Strategy.DIRECT:
                return _with_rewritten_file(command)
            case _:
                return command

    def buildspec(self) -> str:
        """The buildspec of the project. The control logs in to ECR, so that a builder of its own can be made."""
        if self.strategy is Strategy.NONE:
            return json.dumps({"version": 0.2, "phases": {"build": {"commands": [_LOGIN, *self.commands()]}}})
        build = resolve(loads(self.manifest(), "images.yaml")).builds[0]
        return render_buildspec(build, region=REGION, account_id=ACCOUNT)


def can_be_built(cell: Cell) -> bool:
    """Whether this Docker's builder knows what the case asks for, and the strategy can be told to its commands."""
    is_old, is_legacy = cell.docker.startswith("20."), cell.builder is Builder.LEGACY
    if cell.builder is Builder.CONTAINER and is_old:
        return False
    if cell.strategy is Strategy.BUILDER and cell.builder is not Builder.CONTAINER:
        return False
    if cell.strategy in _REWRITES and cell.case.needs is Needs.BUILDX:
        return False
    if cell.strategy is Strategy.CONTEXTS and is_legacy:
        return False
    match cell.case.needs:
        case Needs.BUILDKIT:
            return not is_legacy
        case Needs.BUILDKIT_TODAY | Needs.BUILDX:
            return not is_legacy and not is_old
        case Needs.TRIGGERS:
            return is_legacy or not is_old
        case Needs.PATTERNS:
            # The step of `direct` ends every build that has one.
            return cell.strategy is Strategy.DIRECT or not (is_legacy or is_old)
        case _:
            return True


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
