"""The corpus: Dockerfiles as people write them, and how each is built.

The files are in `corpus/<name>/`. `sha256:<name>` in one of them stands for the digest of that image in the mirror.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from tests.proof.base_images import make_runnable
from tests.proof.registries import Extras
from toolkit.codebuild.coverage import Builder
from toolkit.manifest.strategy import Strategy
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference

CORPUS = Path(__file__).parent / "corpus"
MIRRORED = (
    *("nginx:1.16", "nginx:latest", "node:20", "redis:7", "alpine:3.19", "acme/onbuild:1"),
    *("docker/dockerfile:1", "moby/buildkit:buildx-stable-1"),
    *("quay.io/acme/base:1", "ghcr.io/acme/base:1", "public.ecr.aws/docker/library/redis:7"),
)
PINNED = ("httpd:2.4", "quay.io/acme/pinned:1")
"""What the manifest mirrors, whichever project uses it; `PINNED` with the digest, too."""

EXTRAS = Extras(configs={"docker.io/acme/onbuild:": {"OnBuild": ["COPY --from=node:20 /origin /proof/onbuild"]}})


class Needs(StrEnum):
    """Which builders can build a Dockerfile at all."""

    NOTHING = "every builder"
    BUILDKIT = "BuildKit"
    BUILDKIT_TODAY = "BuildKit of Docker 23 or later"
    BUILDX = "compose or bake"
    TRIGGERS = "the legacy builder, or BuildKit of Docker 23 or later"
    PATTERNS = "BuildKit of Docker 26 or later"


@dataclass(frozen=True, slots=True)
class Case:
    """One Dockerfile and the commands that build it as `app`.

    `images` is what its project lists; `by_digest` what it lists besides where the strategy serves digests. `platform`
    is what the result must be of. With the builders in `warned`, an image that a scan reports is not fetched after all. With the
    strategies in `unseen` a build leaves for what no scan can read, so that only a closed door keeps it.
    """

    name: str
    images: tuple[str, ...] = ("nginx:1.16",)
    commands: tuple[str, ...] = ("docker build --tag app .",)
    needs: Needs = Needs.NOTHING
    by_digest: tuple[str, ...] = ()
    warned: frozenset[Builder] = frozenset()
    unseen: frozenset[Strategy] = frozenset()
    platform: str = "linux/amd64"

    @property
    def loads_frontend(self) -> bool:
        """Whether BuildKit is told to load its Dockerfile frontend from an image."""
        return (CORPUS / self.name / "Dockerfile").read_text().startswith("# syntax=")

    def files(self) -> dict[str, str]:
        """The source, by path."""
        folder = CORPUS / self.name
        texts = {
            str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()
        }
        return {path: with_digests(text) for path, text in texts.items()}


_DIGEST = re.compile(r"sha256:<([^>]+)>")
_BUILDKIT = frozenset({Builder.BUILDKIT, Builder.CONTAINER})
_TWO = ("nginx:1.16", "node:20")

CASES = (
    Case("tag"),
    Case("multi-stage", _TWO),
    Case("copy-from-image", _TWO),
    Case("arg-default"),
    Case("arg-in-tag"),
    # `direct` rewrites the default, which the argument replaces.
    Case(
        "build-arg",
        commands=("docker build --build-arg BASE=nginx:1.16 --tag app .",),
        unseen=frozenset({Strategy.DIRECT}),
    ),
    Case("platform-own"),
    Case("platform-other", platform="linux/arm64"),
    Case("platform-of-build", _TWO, needs=Needs.BUILDKIT),
    Case(
        "platform-argument",
        commands=("docker build --platform linux/arm64 --tag app .",),
        needs=Needs.BUILDKIT,
        platform="linux/arm64",
    ),
    Case("docker-io-library", ("docker.io/library/nginx:1.16",)),
    Case("docker-io", ("docker.io/nginx:1.16",)),
    Case("library", ("library/nginx:1.16",)),
    Case("index-docker-io", ("index.docker.io/library/nginx:1.16",)),
    Case("registry-1"),
    Case("without-tag", ("redis:7",)),
    Case("latest", ("nginx:latest",)),
    Case("digest", by_digest=("httpd@sha256:<httpd:2.4>",)),
    Case("tag-and-digest", by_digest=("httpd:2.4@sha256:<httpd:2.4>",)),
    Case("digest-elsewhere", by_digest=("quay.io/acme/pinned@sha256:<quay.io/acme/pinned:1>",)),
    Case("syntax"),
    Case("syntax-mirrored", ("nginx:1.16", "docker/dockerfile:1")),
    Case("run-mount", _TWO, needs=Needs.BUILDKIT),
    # BuildKit before Dockerfile 1.11 looks for the image of a trigger's `--from` in the build's own folder.
    Case("onbuild-base", ("acme/onbuild:1", "node:20"), needs=Needs.TRIGGERS, unseen=frozenset({Strategy.DIRECT})),
    Case("onbuild", warned=frozenset(Builder)),
    Case("onbuild-started", _TWO, needs=Needs.TRIGGERS),
    Case("pattern-cut", needs=Needs.PATTERNS),
    Case("pattern-replaced", ("library/nginx:1.16",), needs=Needs.PATTERNS),
    Case("heredoc", needs=Needs.BUILDKIT_TODAY),
    Case("scratch"),
    Case("stage-like-image", ("nginx:1.16", "alpine:3.19")),
    Case("stage-number", _TWO),
    Case("stage-unused", warned=_BUILDKIT),
    Case("quay", ("quay.io/acme/base:1",)),
    Case("ghcr", ("ghcr.io/acme/base:1",)),
    Case("public-ecr", ("public.ecr.aws/docker/library/redis:7",)),
    Case("pull", commands=("docker build --pull --tag app .",)),
    Case("cache-from", commands=("docker build --cache-from company/app:cache --tag app .",), needs=Needs.BUILDKIT),
    Case("copy-link", _TWO, needs=Needs.BUILDKIT_TODAY),
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
    ),
    Case("image-pull", commands=("docker pull nginx:1.16", "docker build --tag app .")),
    Case("not-mirrored"),
    Case("compose", commands=("docker compose build",), needs=Needs.BUILDX),
    Case("compose-pull", commands=("docker compose build",), needs=Needs.BUILDX),
    Case("compose-pull-argument", commands=("docker compose build --pull",), needs=Needs.BUILDX),
    Case("bake", commands=("docker buildx bake",), needs=Needs.BUILDX),
    Case("sbom", commands=("docker buildx build --load --sbom=true --tag app .",), needs=Needs.BUILDX),
    # `docker build` builds where it always did: `--use` is for `docker buildx build`, and nothing boots the builder.
    Case(
        "builder-unused",
        commands=("docker buildx create --name idle --driver docker-container --use", "docker build --tag app ."),
        needs=Needs.BUILDX,
        warned=frozenset({Builder.BUILDKIT}),
    ),
)


def with_digests(text: str) -> str:
    """`text` with the digests of the mirror for `sha256:<name>`."""
    return _DIGEST.sub(lambda match: mirrored_digest(match[1]), text)


@cache
def mirrored_digest(name: str) -> str:
    """The digest that `name` has in the mirror."""
    canonical = str(Reference.parse(name))
    return str(make_runnable("ecr", canonical, Digest.of, lambda _: None, **EXTRAS.of(canonical)).digest)
