"""What the strategy of a build cannot do: names that it does not serve, fields that mean nothing to it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from toolkit.manifest.build_model import BuildProjectSpec
from toolkit.manifest.destinations import BUILDKIT, Destination, default_repository, prefixed, upstream_tag
from toolkit.manifest.document import Finding, Path
from toolkit.manifest.grammar import quoted
from toolkit.manifest.new_image import NewImage
from toolkit.manifest.readable import Readable
from toolkit.oci.reference import DOCKER_HUB, Reference

_BY_PATH = ("hosts", "builder")
"""Strategies that send the daemon to ECR with the upstream's own path."""

_EXPORTED = {"contexts": "$TOOLKIT_BUILD_CONTEXTS", "direct": "$TOOLKIT_DOCKERFILE"}
"""What a command has to use for a strategy that changes nothing else."""

_DOCKER_BUILD = re.compile(r"(?m)(?:^|[;&|(])[ \t]*(?:sudo +|\w+=\S* +)*docker +(?:(?:buildx|builder|image) +)?build\s")


def check_strategy(build: BuildProjectSpec, path: Path, readable: Readable) -> Iterator[Finding]:
    """The fields of `build` beside its images."""
    if build.strategy != "login":
        if not build.images and build.has_docker:
            yield Finding((*path, "images"), "is missing: list what the Dockerfiles start from")
        elif build.strategy == "builder" and not _has_buildkit(build, readable):
            message = "`builder` runs `moby/buildkit:buildx-stable-1`: say `build_tools: true`, or list it in `images`"
            yield Finding((*path, "strategy"), message)
        if len(build.dockerfiles) > 1 and not build.commands and build.buildspec is None:
            message = "lists several, of which the build would make the first alone: say by `commands` what it makes"
            yield Finding((*path, "dockerfiles"), message)
        yield from _check_commands(build, path)
        return
    for field in ("images", "on_miss", "dockerfiles"):
        if field in build.model_fields_set:
            message = "means nothing with `strategy: login`, which pulls from Docker Hub: leave it out"
            yield Finding((*path, field), message)
    if DOCKER_HUB not in readable.secrets:
        message = (
            "`login` needs an account: set `registries.docker.io.credential.secretsmanager` to the ARN of a secret"
        )
        yield Finding((*path, "strategy"), message)


def _check_commands(build: BuildProjectSpec, path: Path) -> Iterator[Finding]:
    """A build that does not use what its strategy exports asks the upstreams, and quietly with `on_miss: upstream`."""
    variable = _EXPORTED.get(build.strategy, "")
    for position, command in enumerate(build.commands):
        if variable[1:] not in command and _DOCKER_BUILD.search(command):
            option = f'--file "{variable}"' if build.strategy == "direct" else variable
            message = f"builds without what `{build.strategy}` exports: write `docker build {option}`"
            yield Finding((*path, "commands", position), message)


def _has_buildkit(build: BuildProjectSpec, readable: Readable) -> bool:
    return readable.build_tools or any(Reference.parse(original).name == BUILDKIT for original in build.images)


def check_served(
    build: BuildProjectSpec, original: str, mirror: Destination, path: Path, readable: Readable
) -> Iterator[Finding]:
    """One of its images, mirrored at `mirror`."""
    source = mirror.source
    digest = Reference.parse(original).digest
    if digest is not None:
        name = original.partition("@")[0]
        if build.strategy == "retag":
            message = (
                f"`docker tag` cannot give a local image a name with a digest: name {quoted(name)}, or choose another "
                "`strategy`, such as `auto`"
            )
            yield Finding(path, message)
        own = readable.images[mirror.number].platforms
        if (readable.platforms if own is None else own) != "all":
            message = "the digest may be that of an index, which is copied as it is with `platforms: all` only"
            yield Finding(path, f"{message}: say that for {quoted(source.familiar)}")
    wanted = prefixed(readable.repositories.prefix, default_repository(source))
    needs_path = build.strategy in _BY_PATH or (build.strategy == "auto" and digest is not None)
    if needs_path and source.name != BUILDKIT and mirror.repository != wanted:
        message = f"`{build.strategy}` looks for {quoted(original)} in `{wanted}`, but it is mirrored to"
        yield Finding(
            path, f"{message} `{mirror.repository}`: leave `repository` out there, or use `contexts` or `direct`"
        )


def missing_sentence(original: str) -> str:
    """What is said of an image that nothing mirrors."""
    reference = Reference.parse(original)
    if reference.digest is not None:
        entry = NewImage(f"{reference.name.with_tag(reference.tag or 'TAG').familiar}@{reference.digest}", "all")
        return f"nothing mirrors what {quoted(original)} is pinned to: add `- {entry.text}` to `images`"
    repository, tag = upstream_tag(original)
    wanted = repository.with_tag(tag).familiar
    meaning = "" if reference.tag else f" (it means {quoted(wanted)})"
    return f"nothing mirrors {quoted(original)}{meaning}: add `- {NewImage(wanted).text}` to `images`"
