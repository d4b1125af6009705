"""What a CodeBuild project of the manifest cannot do: build from images that nobody mirrors, or that cannot be used.

A base image that is missing here would be pulled from its upstream in the middle of a build, and often quietly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from toolkit.manifest.build_grammar import MIRROR
from toolkit.manifest.build_model import BuildProjectSpec
from toolkit.manifest.build_settings_checks import check_settings
from toolkit.manifest.destinations import Destination, Mirrors, mirrors_of, upstream_tag
from toolkit.manifest.document import Finding, Path
from toolkit.manifest.grammar import listed, quoted
from toolkit.manifest.readable import Readable
from toolkit.manifest.strategy_checks import check_served, check_strategy, missing_sentence
from toolkit.oci.descriptor import Platform
from toolkit.oci.reference import HUB_HOSTS, Reference

_LONGEST_POLICY = 10_240
"""Characters that are no white space, all policies of a role together."""


def check_builds(readable: Readable) -> Iterator[Finding]:
    """Every fault of the builds that their fields alone do not show."""
    mirrors = mirrors_of(readable.images.items(), readable.repositories.prefix)
    names: dict[str, int] = {}
    for number, build in readable.builds.items():
        path: Path = ("builds", number)
        first = names.setdefault(build.name, number)
        if first != number:
            message = f"`{build.name}` is the name of {readable.where(('builds', first))} already"
            yield Finding((*path, "name"), message)
        yield from check_settings(build, path, readable)
        yield from check_strategy(build, path, readable)
        yield from _check_environment(build, path, readable, mirrors)
        yield from _check_images(build, path, readable, mirrors)
        yield from _check_policy_size(build, path, readable, mirrors)


def _check_images(build: BuildProjectSpec, path: Path, readable: Readable, mirrors: Mirrors) -> Iterator[Finding]:
    seen: dict[object, str] = {}
    for position, original in enumerate(build.images):
        here = (*path, "images", position)
        reference = Reference.parse(original)
        mirror = mirrors.find_named(reference)
        # To `docker tag` that is another name.
        host = original.partition("/")[0]
        key = (reference.digest or upstream_tag(original), reference.name, host if host in HUB_HOSTS else "")
        if key in seen:
            yield Finding(here, f"{quoted(original)} is listed already, as {quoted(seen[key])}")
        elif mirror:
            yield from _check_machine(build, mirror, here, readable)
            yield from check_served(build, original, mirror, here, readable)
        elif reference.name not in readable.doubtful:
            yield Finding(here, missing_sentence(original))
        seen.setdefault(key, original)


def _check_environment(build: BuildProjectSpec, path: Path, readable: Readable, mirrors: Mirrors) -> Iterator[Finding]:
    if build.environment_image is None or not build.environment_image.startswith(MIRROR):
        return
    original = build.environment_image.removeprefix(MIRROR)
    if mirror := mirrors.find(upstream_tag(original)):
        yield from _check_machine(build, mirror, (*path, "environment_image"), readable)
    elif Reference.parse(original).name not in readable.doubtful:
        yield Finding((*path, "environment_image"), missing_sentence(original))


def _check_policy_size(build: BuildProjectSpec, path: Path, readable: Readable, mirrors: Mirrors) -> Iterator[Finding]:
    """What is longer for certain than a role's own policies may be, which AWS says when the role exists already."""
    if build.service_role_arn is not None:
        return
    found = (mirrors.find(upstream_tag(original)) for original in build.images)
    repositories = {mirror.repository for mirror in found if mirror}
    arn = f'"arn:aws:ecr:{readable.region}:123456789012:repository/",'
    own = sum(len(arn) + len(name) for name in repositories)
    extra = sum(
        len(re.sub(r"\s", "", statement.model_dump_json(exclude_defaults=True)))
        for statement in build.policy_statements
    )
    if own + extra > _LONGEST_POLICY:
        rights = f"rights for {len(repositories)} repositories" + (" and `policy_statements`" if extra else "")
        message = f"needs {rights}, {own + extra:,} characters of policy, and IAM takes {_LONGEST_POLICY:,} in a role"
        yield Finding(path, f"{message}: split the build")


def _check_machine(
    build: BuildProjectSpec, destination: Destination, path: Path, readable: Readable
) -> Iterator[Finding]:
    """An image for another architecture than the machine's would be pulled elsewhere, or build the wrong thing."""
    machine = Platform("linux", "arm64" if build.environment_type.startswith("ARM_") else "amd64")
    own = readable.images[destination.number].platforms
    platforms = readable.platforms if own is None else own
    if platforms == "all" or any(machine.matches(Platform.parse(text)) for text in platforms):
        return
    message = f"is mirrored for {listed(platforms)} only, but the build runs on `{machine}`: add it to `platforms`"
    yield Finding(path, f"`{destination.source.familiar}` {message}")
