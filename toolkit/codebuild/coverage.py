"""One table: which strategy serves which use of an image from ECR, on which builder.

A use is a `Kind` and the `Trait`s that make it harder to serve. A cell holds the verdict of each `Builder`, in this
order: legacy, BuildKit on the docker driver, a docker-container builder. `outcome` reads the row of the kind, then the
rows of the traits in their order; the first cell that is not `STAYS` decides.

Where the rows come from. Each test counted every DNS, TLS and HTTP contact of a fresh daemon:

- `retag`: tried on Docker 20.10, 26.1 and 28.5.2, with both builders and the docker-container driver.
- `hosts` on BuildKit: tried on Docker 28.5.2, which reads `certs.d/<registry>/hosts.toml` for each request; releases
  before 28 do not. The legacy builder does not read it either. This is inferred: it pulls as `docker pull` does, which
  was tried.
- `builder`: tried with buildx's docker-container driver, tags, digests and other platforms. An image that ECR lacks is
  fetched from the upstream, unless `on_miss: fail` closes the upstream for the builder of the step. A builder that a
  build makes for itself under `auto` has the mirrors of `buildkitd.default.toml`, and its upstreams stay open.
- `contexts`: tried with buildx 0.29, the key spelled as in the Dockerfile, digest included, and the frontend by
  `BUILDKIT_SYNTAX`. That Docker before 23 refuses named contexts is read in buildx's source, not tried.
- `direct`: a rewritten copy of the Dockerfile was tried on every builder.
- `docker pull` and `docker run --pull always` were tried with `retag` and `hosts`: both overwrite the retagged name.
- `NOT_LISTED` and `UNCHECKED` follow from the step, which tests run on the same Dockerfiles: a build gets names,
  contexts and copies only of the images that it lists, and with `on_miss: fail` the step ends the build.
- `RENAMED`, `REGISTRY_UNKNOWN` and `PLATFORM_MISSING` follow from how names are looked up; the last was
  not tried.
- `HUB_BY_HOST` with `hosts` and `builder`: that host is redirected like a registry of its own; inferred.
- `SBOM` on the docker driver: tried on 28.5.2, which refuses it before any request.
- `HUB_BY_HOST` with `contexts`: tried on 28.5.2; only a context with exactly that spelling would serve it.
- `STAGE_UNUSED`: read in BuildKit's source, which resolves only images of stages that the target needs.
- `CONTAINERD_SYNTAX`: read in reports about Docker 29 and its containerd image store.

`LEAVES` is what the builder does. A step with `on_miss: fail` also makes Docker Hub's names unreachable for the daemon:
a request for Docker Hub then ends the build instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from toolkit.manifest.strategy import OnMiss, Strategy


class Builder(StrEnum):
    """What runs the build; the order is that of a cell."""

    LEGACY = "legacy"
    BUILDKIT = "buildkit"
    CONTAINER = "container"


class Kind(StrEnum):
    """The kind of place that names an image."""

    FROM = "from"
    COPY_FROM = "copy_from"
    MOUNT_FROM = "mount_from"
    SYNTAX = "syntax"
    ONBUILD = "onbuild"
    CACHE_FROM = "cache_from"
    SBOM = "sbom"
    RUN = "run"
    PULL = "pull"
    COMPOSE_IMAGE = "compose_image"
    BUILDER_IMAGE = "builder_image"


class Trait(StrEnum):
    """What makes a use harder to serve, in the order in which it decides.

    `HOME`: it names ECR already. `OF_CI`: a CI system other than CodeBuild pulls it, before any command.
    `NAMED_BY_STEP`: a test takes the name in ECR from a variable that the step sets. `MISNAMED_BY_STEP`: that variable
    makes it a name that ECR lacks. `STAGE_UNUSED`: the target does not need its stage. `BUILT_HERE`: an earlier build
    gives a local image this name. `HUB_BY_HOST`: written with a host of Docker Hub. `REGISTRY_UNKNOWN`: the manifest
    mirrors nothing of this registry. `NOT_MIRRORED`: the manifest mirrors nothing with this name, tag and digest.
    `NOT_LISTED`: the build's own `images` lack it. `UNCHECKED`: the build's step does not end the build for it,
    because it does not read the Dockerfile or cannot judge the name. `STRATEGY_NOT_USED`: the build does not use the
    variable of `contexts` or `direct`. `RENAMED`: mirrored, but not as `<alias>/<canonical path>:<upstream's tag>`.
    `PLATFORM_MISSING`: mirrored, but not for this platform. `TRIGGERED`, `HUB_TRIGGERED`: an `ONBUILD` that a later
    stage of the Dockerfile runs, with an image of Docker Hub or another registry. `PATTERN`: the name needs an operator
    such as `${V%%-*}`, which a step does not know. `CONTAINERD_SYNTAX`: the Dockerfile has a `# syntax=`
    line, which matters with the containerd image store only.
    """

    HOME = "home"
    OF_CI = "of_ci"
    NAMED_BY_STEP = "named_by_step"
    MISNAMED_BY_STEP = "misnamed_by_step"
    STAGE_UNUSED = "stage_unused"
    BUILT_HERE = "built_here"
    HUB_BY_HOST = "hub_by_host"
    REGISTRY_UNKNOWN = "registry_unknown"
    NOT_MIRRORED = "not_mirrored"
    NOT_LISTED = "not_listed"
    UNCHECKED = "unchecked"
    STRATEGY_NOT_USED = "strategy_not_used"
    RENAMED = "renamed"
    PLATFORM_MISSING = "platform_missing"
    TRIGGERED = "triggered"
    HUB_TRIGGERED = "hub_triggered"
    PATTERN = "pattern"
    PULL_ALWAYS = "pull_always"
    DIGEST = "digest"
    OTHER_PLATFORM = "other_platform"
    CONTAINERD_SYNTAX = "containerd_syntax"


class Verdict(StrEnum):
    """The result of a use.

    `STAYS`: ECR serves it. `LEAVES`: the upstream is contacted. `WRONG`: nothing is contacted, and the image is for
    another platform. `REFUSED`: nothing is contacted, and the build fails. `IGNORED`: the builder does not fetch it.
    """

    STAYS = "stays"
    LEAVES = "leaves"
    WRONG = "wrong"
    REFUSED = "refused"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Daemon:
    """The Docker daemon that builds, with or without the containerd image store; CodeBuild has none."""

    version: str = "28.5.2"
    has_containerd_store: bool = False

    @property
    def reads_hosts(self) -> bool:
        """Whether `hosts.toml` redirects what it resolves."""
        return self.is_at_least(28) and not self.has_containerd_store

    def is_at_least(self, major: int) -> bool:
        """Whether its major version is this or a later one."""
        found = re.match(r"\d+", self.version)
        return found is not None and int(found.group()) >= major


CODEBUILD = Daemon()
"""The Docker of CodeBuild's current images."""


@dataclass(frozen=True, slots=True)
class ImageUse:
    """One use of an image by a build."""

    kind: Kind
    traits: frozenset[Trait] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict on a use. `by` is the row that decided; `why` is a clause, empty if the image stays."""

    verdict: Verdict
    by: Kind | Trait
    why: str = ""


_Cell = tuple[Verdict, Verdict, Verdict]
_S, _L, _W, _R, _I = Verdict.STAYS, Verdict.LEAVES, Verdict.WRONG, Verdict.REFUSED, Verdict.IGNORED
_COLUMNS = (Strategy.RETAG, Strategy.HOSTS, Strategy.BUILDER, Strategy.CONTEXTS, Strategy.DIRECT, Strategy.NONE)
_BUILDERS = tuple(Builder)
_EVERYWHERE: _Cell = (_S, _S, _S)
_NOWHERE: _Cell = (_L, _L, _L)

# fmt: off
# Each cell: legacy, BuildKit on the docker driver, docker-container.
_ROWS: Mapping[Kind | Trait, tuple[_Cell, ...]] = {
    #                    retag         hosts         builder       contexts      direct        none
    Kind.FROM:          ((_S, _S, _L), (_L, _S, _L), (_L, _L, _S), (_R, _S, _S), (_S, _S, _S), (_L, _L, _L)),
    Kind.COPY_FROM:     ((_S, _S, _L), (_L, _S, _L), (_L, _L, _S), (_R, _S, _S), (_S, _S, _S), (_L, _L, _L)),
    Kind.MOUNT_FROM:    ((_R, _S, _L), (_R, _S, _L), (_R, _L, _S), (_R, _S, _S), (_R, _S, _S), (_R, _L, _L)),
    Kind.ONBUILD:       ((_S, _S, _L), (_L, _S, _L), (_L, _L, _S), (_R, _S, _S), (_S, _S, _S), (_L, _L, _L)),
    Kind.SYNTAX:        ((_I, _S, _L), (_I, _S, _L), (_I, _L, _S), (_R, _S, _S), (_I, _S, _S), (_I, _L, _L)),
    Kind.CACHE_FROM:    ((_I, _S, _L), (_I, _S, _L), (_I, _L, _S), (_R, _L, _L), (_I, _L, _L), (_I, _L, _L)),
    Kind.SBOM:          ((_R, _L, _L), (_R, _S, _L), (_R, _L, _S), (_R, _L, _L), (_R, _L, _L), (_R, _L, _L)),
    # The daemon itself fetches these with every builder; BuildKit's cell of their traits counts.
    Kind.RUN:           (_EVERYWHERE,  _NOWHERE,     _NOWHERE,     _NOWHERE,     _NOWHERE,     _NOWHERE),
    Kind.COMPOSE_IMAGE: (_EVERYWHERE,  _NOWHERE,     _NOWHERE,     _NOWHERE,     _NOWHERE,     _NOWHERE),
    Kind.PULL:          (_NOWHERE,     _NOWHERE,     _NOWHERE,     _NOWHERE,     _NOWHERE,     _NOWHERE),
    Kind.BUILDER_IMAGE: (_NOWHERE,     _NOWHERE,     _NOWHERE,     _NOWHERE,     _NOWHERE,     _NOWHERE),

    Trait.HUB_BY_HOST:        (_NOWHERE,     (_L, _S, _L), (_L, _L, _S), (_R, _L, _L), _EVERYWHERE,  _NOWHERE),
    Trait.REGISTRY_UNKNOWN:   (_NOWHERE,     _NOWHERE,     _NOWHERE,     (_R, _L, _L), _NOWHERE,     _NOWHERE),
    Trait.NOT_MIRRORED:       (_NOWHERE,     (_L, _R, _L), (_L, _L, _R), (_R, _L, _L), _NOWHERE,     _NOWHERE),
    Trait.NOT_LISTED:         (_NOWHERE,     _EVERYWHERE,  _EVERYWHERE,  (_R, _L, _L), _NOWHERE,     _NOWHERE),
    Trait.UNCHECKED:          (_EVERYWHERE,  _EVERYWHERE,  _EVERYWHERE,  (_R, _L, _L), _NOWHERE,     _NOWHERE),
    Trait.STRATEGY_NOT_USED:  (_EVERYWHERE,  _EVERYWHERE,  _EVERYWHERE,  _NOWHERE,     _NOWHERE,     _NOWHERE),
    Trait.RENAMED:            ((_S, _S, _L), (_L, _R, _L), (_L, _L, _R), (_R, _S, _S), _EVERYWHERE,  _NOWHERE),
    Trait.PLATFORM_MISSING:   ((_W, _L, _L), (_L, _R, _L), (_L, _L, _R), (_R, _R, _R), (_R, _R, _R), _NOWHERE),
    Trait.TRIGGERED:          (_EVERYWHERE,  _EVERYWHERE,  _EVERYWHERE,  (_R, _S, _S), _NOWHERE,     _NOWHERE),
    Trait.HUB_TRIGGERED:      (_EVERYWHERE,  _EVERYWHERE,  _EVERYWHERE,  (_R, _S, _S), (_R, _R, _L), _NOWHERE),
    Trait.PULL_ALWAYS:        (_NOWHERE,     (_L, _S, _L), (_L, _L, _S), (_R, _S, _S), _EVERYWHERE,  _NOWHERE),
    Trait.DIGEST:             (_NOWHERE,     (_L, _S, _L), (_L, _L, _S), (_R, _S, _S), _EVERYWHERE,  _NOWHERE),
    Trait.OTHER_PLATFORM:     ((_W, _L, _L), (_L, _S, _L), (_L, _L, _S), (_R, _S, _S), _EVERYWHERE,  _NOWHERE),
    Trait.CONTAINERD_SYNTAX:  ((_S, _L, _L), (_L, _S, _L), (_L, _L, _S), (_R, _S, _S), _EVERYWHERE,  _NOWHERE),
}
# fmt: on

_READ_BY_STEP = frozenset({Kind.FROM, Kind.COPY_FROM, Kind.MOUNT_FROM, Kind.SYNTAX})
_BY_DAEMON = frozenset({Kind.RUN, Kind.COMPOSE_IMAGE, Kind.PULL, Kind.BUILDER_IMAGE})

_MISSES = (Trait.NOT_MIRRORED, Trait.RENAMED, Trait.HUB_TRIGGERED)
_FALLS_BACK: Mapping[Strategy, Verdict] = {
    Strategy.HOSTS: _L,
    Strategy.BUILDER: _L,
    Strategy.CONTEXTS: _R,
    Strategy.DIRECT: _L,
}
"""The verdict on a missing image with `on_miss: upstream`."""

_WHY: Mapping[Kind | Trait, str] = {
    Kind.MOUNT_FROM: "the legacy builder has no `RUN --mount`",
    Kind.SYNTAX: "the legacy builder does not load a frontend",
    Kind.CACHE_FROM: "a cache that is not a local image is requested from its registry; the build goes on without it",
    Kind.SBOM: "the SBOM scanner is an image that BuildKit fetches by itself",
    Kind.PULL: "`docker pull` always contacts the registry, and overwrites the name that was given to ECR's image",
    Kind.BUILDER_IMAGE: "`docker buildx create` pulls BuildKit's own image",
    Trait.STAGE_UNUSED: "BuildKit does not build a stage that nothing needs",
    Trait.OF_CI: "the CI system pulls it before any command, and no step of a build can change that",
    Trait.MISNAMED_BY_STEP: "the step has Testcontainers ask ECR for all names, and ECR lacks this one",
    Trait.HUB_BY_HOST: "its host is Docker Hub's, which Docker treats as a registry other than `docker.io`",
    Trait.REGISTRY_UNKNOWN: "the manifest mirrors nothing of this registry",
    Trait.NOT_MIRRORED: "the manifest does not mirror it",
    Trait.NOT_LISTED: "its build does not list it",
    Trait.UNCHECKED: "the step of its build does not look at its Dockerfile",
    Trait.STRATEGY_NOT_USED: "its build does not use `$TOOLKIT_DOCKERFILE` or `$TOOLKIT_BUILD_CONTEXTS`, as `direct` "
    "and `contexts` want it",
    Trait.RENAMED: "its repository or tag is not named as a pull-through cache would name it",
    Trait.PLATFORM_MISSING: "it is not mirrored for this platform",
    Trait.TRIGGERED: "an `ONBUILD` trigger is not rewritten, and a later stage runs it",
    Trait.HUB_TRIGGERED: "an `ONBUILD` trigger is not rewritten, and a later stage runs it",
    Trait.PATTERN: "the step does not know the operator in its variable, and ends the build",
    Trait.PULL_ALWAYS: "a pull was requested, which contacts the registry even if the name is there",
    Trait.DIGEST: "Docker cannot give a local image a name with a digest",
    Trait.OTHER_PLATFORM: "it is built for a platform other than the machine's, whose image was pulled",
    Trait.CONTAINERD_SYNTAX: "with the containerd image store a `# syntax=` line has images looked up remotely",
}
_WHY_STRATEGY: Mapping[Strategy, str] = {
    Strategy.RETAG: "a docker-container builder does not see the daemon's images",
    Strategy.HOSTS: "only BuildKit on the docker driver reads `hosts.toml`",
    Strategy.BUILDER: "only the docker-container builder has the mirrors, and another builder builds",
    Strategy.CONTEXTS: "the legacy builder has no `--build-context`",
    Strategy.LOGIN: "a login changes the account of a pull, not its registry",
    Strategy.NONE: "nothing serves it from ECR",
}
_WHY_BY_DAEMON: Mapping[Strategy, str] = {
    Strategy.HOSTS: "`docker run` and `docker pull` do not read `hosts.toml`",
    Strategy.BUILDER: "the daemon fetches it, not the builder",
    Strategy.CONTEXTS: "the daemon fetches it, not the builder",
    Strategy.DIRECT: "only the Dockerfile is redirected",
}


def builder_of(strategy: Strategy, daemon: Daemon = CODEBUILD, *, asks_buildkit: bool = False) -> Builder:
    """The builder under `strategy` if the command names none; before Docker 23 BuildKit has to be requested."""
    if strategy is Strategy.BUILDER:
        return Builder.CONTAINER
    return Builder.BUILDKIT if asks_buildkit or daemon.is_at_least(23) else Builder.LEGACY


def outcome(
    use: ImageUse, strategy: Strategy, builder: Builder, daemon: Daemon = CODEBUILD, on_miss: OnMiss = "fail"
) -> Outcome:
    """The outcome of `use`. `hosts` ends the build on a daemon that does not read `hosts.toml`; `auto` then retags."""
    settled = _settle(use, strategy, builder, on_miss)
    if settled is not None or strategy is not Strategy.AUTO:
        return settled or _look_up(use, strategy, builder, daemon, on_miss)
    retagged = _look_up(use, Strategy.RETAG, builder, daemon, on_miss)
    if retagged.verdict is Verdict.STAYS or use.kind in _BY_DAEMON:
        return retagged
    if builder is Builder.BUILDKIT and daemon.reads_hosts:
        return _look_up(use, Strategy.HOSTS, builder, daemon, on_miss)
    if builder is Builder.CONTAINER and daemon.is_at_least(28):
        # A builder that the build makes has the mirrors too, but its upstreams stay reachable.
        return _look_up(use, Strategy.BUILDER, builder, daemon, "upstream")
    return retagged


def _settle(use: ImageUse, strategy: Strategy, builder: Builder, on_miss: OnMiss) -> Outcome | None:
    """The outcome, if it is settled before any strategy."""
    is_rewritten = use.kind is Kind.FROM and not use.traits & {Trait.UNCHECKED, Trait.STRATEGY_NOT_USED}
    if Trait.PATTERN in use.traits and strategy is Strategy.DIRECT and is_rewritten:
        return Outcome(Verdict.REFUSED, Trait.PATTERN, _WHY[Trait.PATTERN])
    if Trait.HOME in use.traits:
        return Outcome(Verdict.STAYS, Trait.HOME)
    if Trait.OF_CI in use.traits:
        return Outcome(Verdict.LEAVES, Trait.OF_CI, _WHY[Trait.OF_CI])
    if strategy.serves and Trait.NAMED_BY_STEP in use.traits:
        return Outcome(Verdict.STAYS, Trait.NAMED_BY_STEP)
    if strategy.serves and Trait.MISNAMED_BY_STEP in use.traits:
        return Outcome(Verdict.REFUSED, Trait.MISNAMED_BY_STEP, _WHY[Trait.MISNAMED_BY_STEP])
    is_judged = use.kind in _READ_BY_STEP and Trait.UNCHECKED not in use.traits
    has_step = on_miss == "fail" and strategy.serves
    if Trait.NOT_LISTED in use.traits and is_judged and has_step:
        return Outcome(Verdict.REFUSED, Trait.NOT_LISTED, f"{_WHY[Trait.NOT_LISTED]}, so its step ends the build")
    if Trait.STAGE_UNUSED in use.traits and builder is not Builder.LEGACY:
        return Outcome(Verdict.IGNORED, Trait.STAGE_UNUSED, _WHY[Trait.STAGE_UNUSED])
    if Trait.BUILT_HERE in use.traits and _sees_local_images(use, builder):
        return Outcome(Verdict.STAYS, Trait.BUILT_HERE)
    return None


def _look_up(use: ImageUse, strategy: Strategy, builder: Builder, daemon: Daemon, on_miss: OnMiss) -> Outcome:
    is_buildkit = builder is Builder.BUILDKIT and use.kind not in _BY_DAEMON
    if strategy is Strategy.CONTEXTS and is_buildkit and not daemon.is_at_least(23):
        return Outcome(Verdict.REFUSED, use.kind, "Docker before 23 does not know named contexts")
    if use.kind is Kind.SBOM and is_buildkit and not daemon.has_containerd_store:
        return Outcome(Verdict.REFUSED, use.kind, "the docker driver makes SBOMs only with the containerd image store")
    if strategy is Strategy.HOSTS and not daemon.reads_hosts:
        return Outcome(Verdict.REFUSED, use.kind, _why_no_hosts(daemon))
    column = strategy if strategy in _COLUMNS else Strategy.NONE
    position = _BUILDERS.index(Builder.BUILDKIT if use.kind in _BY_DAEMON else builder)
    rows: list[Kind | Trait] = [use.kind, *(trait for trait in Trait if trait in use.traits and trait in _ROWS)]
    for row in rows:
        if row is Trait.CONTAINERD_SYNTAX and not daemon.has_containerd_store:
            continue
        if row is Trait.UNCHECKED and strategy is Strategy.CONTEXTS and use.kind is not Kind.SYNTAX:
            continue  # the contexts exist anyway; only a frontend has to be found by the step
        verdict = _ROWS[row][_COLUMNS.index(column)][position]
        if verdict is Verdict.REFUSED and row in _MISSES and on_miss == "upstream":
            verdict = _FALLS_BACK[column]
        if verdict is Verdict.REFUSED and row is not use.kind and use.kind is Kind.CACHE_FROM:
            verdict = Verdict.IGNORED  # a build goes on without a cache
        if verdict is not Verdict.STAYS:
            return Outcome(verdict, row, _reason(row, use.kind, strategy, verdict))
    return Outcome(Verdict.STAYS, use.kind)


def _why_no_hosts(daemon: Daemon) -> str:
    if daemon.has_containerd_store:
        return f"the images of Docker {daemon.version} are in containerd, where `hosts.toml` is not relied on"
    return f"Docker {daemon.version} does not read `hosts.toml`"


def _sees_local_images(use: ImageUse, builder: Builder) -> bool:
    if use.kind is Kind.PULL or Trait.PULL_ALWAYS in use.traits:
        return False
    return use.kind in _BY_DAEMON or builder is not Builder.CONTAINER


def _reason(row: Kind | Trait, kind: Kind, strategy: Strategy, verdict: Verdict) -> str:
    if strategy is Strategy.CONTEXTS and verdict is Verdict.REFUSED and row is not Trait.PLATFORM_MISSING:
        return _WHY_STRATEGY[strategy]
    if isinstance(row, Trait) or kind in (Kind.PULL, Kind.BUILDER_IMAGE) or verdict is not Verdict.LEAVES:
        return _WHY[row]
    if kind in _BY_DAEMON:
        return _WHY_BY_DAEMON.get(strategy) or _WHY_STRATEGY[strategy]
    if kind in (Kind.CACHE_FROM, Kind.SBOM):
        return _WHY[kind]
    return _WHY_STRATEGY[strategy]
