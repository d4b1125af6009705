"""The corpus: Dockerfiles as people write them, how each is built, and what becomes of it under which strategy.

The files are in `corpus/<name>/`. `sha256:<name>` in one of them stands for the digest of that image in the mirror.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path

from tests.proof.base_images import make_runnable
from tests.proof.registries import Extras
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference

CORPUS = Path(__file__).parent / "corpus"
MIRRORED = (
    *("nginx:1.16", "nginx:latest", "node:20", "alpine:3.19", "acme/onbuild:1"),
    *("docker/dockerfile:1", "moby/buildkit:buildx-stable-1", "docker/buildkit-syft-scanner:stable-1"),
    *("quay.io/acme/base:1", "ghcr.io/acme/base:1", "public.ecr.aws/docker/library/redis:7"),
)
"""What the manifest mirrors, whichever project uses it."""

EXTRAS = Extras(configs={"docker.io/acme/onbuild:": {"OnBuild": ["COPY --from=node:20 /origin /proof/onbuild"]}})


class Verdict(StrEnum):
    """What becomes of a build."""

    HOME = "stays home"
    LEAVES = "leaves"
    FAILS = "fails at home"
    WRONG = "wrong platform"


@dataclass(frozen=True, slots=True)
class Case:
    """One Dockerfile and the command that builds it.

    `images` is what its project lists. `builders` are those that can build it at all, and `expected` has the verdicts
    by strategy and builder wherever it is not HOME. `platform` is what the result must be of.
    """

    name: str
    images: tuple[str, ...] = ("nginx:1.16",)
    commands: tuple[str, ...] = ("docker build --tag app .",)
    builders: frozenset[str] = frozenset({"legacy", "buildkit", "buildx"})
    expected: Mapping[tuple[str, str], Verdict] = field(default_factory=dict)
    platform: str = "linux/amd64"

    def files(self) -> dict[str, str]:
        """The source, by path."""
        folder = CORPUS / self.name
        texts = {
            str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()
        }
        return {path: _DIGEST.sub(lambda match: mirrored_digest(match[1]), text) for path, text in texts.items()}

    def verdict(self, strategy: str, builder: str) -> Verdict:
        """What is expected to become of it."""
        return self.expected.get((strategy, builder), Verdict.HOME)


_DIGEST = re.compile(r"sha256:<([^>]+)>")
_BUILDKIT = frozenset({"buildkit", "buildx"})
_BUILDX = frozenset({"buildx"})


def _retag(**by_builder: Verdict) -> dict[tuple[str, str], Verdict]:
    return {("retag", builder): verdict for builder, verdict in by_builder.items()}


_NOWHERE = _retag(legacy=Verdict.LEAVES, buildkit=Verdict.LEAVES, buildx=Verdict.LEAVES)

CASES = (
    Case("tag"),
    Case("multi-stage", ("nginx:1.16", "node:20")),
    Case("copy-from-image", ("nginx:1.16", "node:20")),
    Case("arg-default"),
    Case("arg-in-tag"),
    Case("build-arg", commands=("docker build --build-arg BASE=nginx:1.16 --tag app .",)),
    Case("platform-own"),
    Case(
        "platform-other",
        platform="linux/arm64",
        expected=_retag(legacy=Verdict.WRONG, buildkit=Verdict.LEAVES, buildx=Verdict.LEAVES),
    ),
    Case("platform-of-build", ("nginx:1.16", "node:20"), builders=_BUILDKIT),
    Case(
        "platform-argument",
        commands=("docker build --platform linux/arm64 --tag app .",),
        builders=_BUILDKIT,
        platform="linux/arm64",
        expected=_retag(buildkit=Verdict.LEAVES, buildx=Verdict.LEAVES),
    ),
    Case("docker-io-library", ("docker.io/library/nginx:1.16",)),
    Case("docker-io", ("docker.io/nginx:1.16",)),
    Case("library", ("library/nginx:1.16",)),
    Case("index-docker-io", ("index.docker.io/library/nginx:1.16",)),
    Case("registry-1", expected=_NOWHERE),
    Case("without-tag", expected=_NOWHERE),
    Case("latest", ("nginx:latest",)),
    Case("digest", expected=_NOWHERE),
    Case("tag-and-digest", expected=_NOWHERE),
    Case("digest-elsewhere", ("quay.io/acme/base:1",), expected=_NOWHERE),
    Case("syntax", expected=_retag(buildkit=Verdict.LEAVES, buildx=Verdict.LEAVES)),
    Case(
        # The frontend of the trap's registries is no program.
        "syntax-mirrored",
        ("nginx:1.16", "docker/dockerfile:1"),
        expected=_retag(buildkit=Verdict.FAILS, buildx=Verdict.FAILS),
    ),
    Case("run-mount", ("nginx:1.16", "node:20"), builders=_BUILDKIT),
    # BuildKit before Dockerfile 1.11 looks for `--from=node:20` of a trigger in the build's own folder.
    Case("onbuild-base", ("acme/onbuild:1", "node:20"), builders=frozenset({"legacy", "buildx"})),
    Case("onbuild"),
    Case("heredoc", builders=_BUILDX),
    Case("scratch"),
    Case("stage-like-image", ("nginx:1.16", "alpine:3.19")),
    Case("stage-number", ("nginx:1.16", "node:20")),
    Case("stage-unused", expected=_retag(legacy=Verdict.LEAVES)),
    Case("quay", ("quay.io/acme/base:1",)),
    Case("ghcr", ("ghcr.io/acme/base:1",)),
    Case("public-ecr", ("public.ecr.aws/docker/library/redis:7",)),
    Case("pull", commands=("docker build --pull --tag app .",), expected=_NOWHERE),
    Case(
        "cache-from",
        commands=("docker build --cache-from company/app:cache --tag app .",),
        builders=_BUILDKIT,
        expected=_retag(buildkit=Verdict.LEAVES, buildx=Verdict.LEAVES),
    ),
    Case("copy-link", ("nginx:1.16", "node:20"), builders=_BUILDX),
    Case("spelling"),
    Case("standard-input", commands=("docker build --tag app - < Dockerfile",)),
    Case(
        "built-before",
        commands=("docker build --tag company/base:dev --file base.Dockerfile .", "docker build --tag app ."),
    ),
    Case("image-run", commands=("docker run --rm nginx:1.16 cat /origin", "docker build --tag app .")),
    Case(
        "image-run-pull",
        commands=("docker run --rm --pull always nginx:1.16 cat /origin", "docker build --tag app ."),
        expected=_NOWHERE,
    ),
    Case("image-pull", commands=("docker pull nginx:1.16", "docker build --tag app ."), expected=_NOWHERE),
    Case("not-mirrored", expected=_NOWHERE),
    Case("compose", commands=("docker compose build",), builders=_BUILDX),
    Case("compose-pull", commands=("docker compose build",), builders=_BUILDX, expected=_NOWHERE),
    Case("compose-pull-argument", commands=("docker compose build --pull",), builders=_BUILDX, expected=_NOWHERE),
    Case("bake", commands=("docker buildx bake",), builders=_BUILDX),
)


@cache
def mirrored_digest(name: str) -> str:
    """The digest that `name` has in the mirror."""
    canonical = str(Reference.parse(name))
    return str(make_runnable("ecr", canonical, Digest.of, lambda _: None, **EXTRAS.of(canonical)).digest)
