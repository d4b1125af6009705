"""Which cells are run: for each Docker the strategies that mean something to it, and a control without any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.proof.cases import CASES, Case
from tests.proof.cells import Cell, can_be_built
from toolkit.codebuild.coverage import Builder
from toolkit.manifest.strategy import OnMiss, Strategy

OLD, NEW = "20.10", "28.5.2"

# What no name in the daemon's own store can serve: by default such a build has to end before it leaves.
_HARD = (
    *("platform-other", "platform-argument", "registry-1", "without-tag", "digest", "tag-and-digest", "syntax", "pull"),
    *("stage-unused", "image-run-pull", "image-pull", "not-mirrored", "compose-pull", "compose-pull-argument"),
)
# For what costs most, a docker-container builder, or shows least that is new.
_FEW = (
    *("tag", "multi-stage", "copy-from-image", "platform-other", "digest", "digest-elsewhere", "syntax-mirrored"),
    *("run-mount", "quay", "pull", "registry-1", "compose", "compose-pull", "bake", "not-mirrored", "image-run"),
)

# What a strategy may say of these differs for each of them, and for both values of `on_miss`.
_SUBTLE = ("onbuild-started", "pattern-cut", "pattern-replaced")


def cells_of_docker_20() -> list[Cell]:
    """Debian's own: names in the daemon's store, and rewritten Dockerfiles."""
    both = (Builder.BUILDKIT, Builder.LEGACY)
    rows = (
        *_cells(OLD, CASES, (Strategy.RETAG,), "upstream", both),
        *_cells(OLD, CASES, (Strategy.DIRECT,), "upstream", (Builder.BUILDKIT,)),
        *_cells(OLD, _named(*_FEW, *_SUBTLE), (Strategy.DIRECT,), "upstream", (Builder.LEGACY,)),
        *_cells(OLD, _named("tag", *_HARD), (Strategy.AUTO,), "fail", (Builder.BUILDKIT,)),
        *_cells(OLD, _named("tag"), (Strategy.HOSTS, Strategy.CONTEXTS), "fail", (Builder.BUILDKIT,)),
        *_cells(OLD, _named("multi-stage"), (Strategy.AUTO,), "fail", both, shell="bash"),
        *_cells(OLD, _named(*_SUBTLE), (Strategy.AUTO,), "upstream", both),
        *_cells(OLD, _named(*_SUBTLE), (Strategy.RETAG, Strategy.DIRECT, Strategy.AUTO), "fail", both),
    )
    return [*rows, *_controls(OLD, (Builder.BUILDKIT, Builder.LEGACY))]


def cells_of_docker_28(*, has_programs: bool) -> list[Cell]:
    """CodeBuild's own. Docker-container builders need BuildKit's programs."""
    plain = (Strategy.RETAG, Strategy.HOSTS, Strategy.CONTEXTS, Strategy.DIRECT, Strategy.AUTO)
    rows = [
        *_cells(NEW, CASES, plain, "upstream", (Builder.BUILDKIT,)),
        *_cells(NEW, CASES, (Strategy.AUTO,), "fail", (Builder.BUILDKIT,)),
        *_cells(NEW, _named("tag", *_HARD), (Strategy.HOSTS,), "fail", (Builder.BUILDKIT,)),
        *_cells(NEW, _named(*_FEW), (Strategy.RETAG,), "upstream", (Builder.LEGACY,)),
        *_cells(NEW, _named(*_SUBTLE), plain[:-1], "fail", (Builder.BUILDKIT,)),
        *_cells(NEW, _named("onbuild-started"), (Strategy.RETAG, Strategy.DIRECT), "fail", (Builder.LEGACY,)),
        *_controls(NEW, (Builder.BUILDKIT, Builder.LEGACY)),
    ]
    if has_programs:
        few = _named(*_FEW)
        strategies = (Strategy.BUILDER, Strategy.RETAG, Strategy.AUTO, Strategy.DIRECT, Strategy.CONTEXTS)
        rows += _cells(NEW, few, strategies, "upstream", (Builder.CONTAINER,))
        rows += _cells(NEW, few, (Strategy.BUILDER,), "fail", (Builder.CONTAINER,))
    return rows


def _controls(docker: str, builders: tuple[Builder, ...]) -> Iterator[Cell]:
    """Each case once, on the first builder that can build it."""
    for case in CASES:
        yield from list(_cells(docker, (case,), (Strategy.NONE,), "upstream", builders))[:1]


def _cells(
    docker: str,
    cases: Iterable[Case],
    strategies: tuple[Strategy, ...],
    on_miss: OnMiss,
    builders: tuple[Builder, ...],
    shell: str = "sh",
) -> Iterator[Cell]:
    for case in cases:
        for strategy in strategies:
            for builder in builders:
                cell = Cell(case, docker, strategy, on_miss, builder, shell)
                if can_be_built(cell):
                    yield cell


def _named(*names: str) -> list[Case]:
    return [case for case in CASES if case.name in names]
