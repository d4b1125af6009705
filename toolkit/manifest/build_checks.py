"""What a CodeBuild project of the manifest cannot do: build from images that nobody mirrors, or that cannot be used.

A base image that is missing here would be pulled from its upstream in the middle of a build, and often quietly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from toolkit.manifest.build_model import BuildProjectSpec, SourceSpec
from toolkit.manifest.destinations import Destination, Mirrors, mirrors_of, upstream_tag
from toolkit.manifest.document import Finding, Path
from toolkit.manifest.grammar import listed, quoted
from toolkit.manifest.readable import Readable
from toolkit.manifest.strategy_checks import check_served, check_strategy, missing_sentence
from toolkit.oci.descriptor import Platform
from toolkit.oci.reference import Reference

_BUCKET_AND_KEY = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.+")
_CODECOMMIT = re.compile(r"https://git-codecommit(-fips)?\.[a-z0-9-]+\.[a-z0-9.]+/v1/repos/[A-Za-z0-9._-]+")


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
        yield from _check_source(build.source, (*path, "source"))
        if build.source.type == "NO_SOURCE" and not build.commands:
            yield Finding(path, "without a source there is nothing for `docker build`: give `commands`")
        yield from check_strategy(build, path, readable)
        yield from _check_images(build, path, readable, mirrors)


def _check_images(build: BuildProjectSpec, path: Path, readable: Readable, mirrors: Mirrors) -> Iterator[Finding]:
    seen: dict[object, str] = {}
    for position, original in enumerate(build.images):
        here = (*path, "images", position)
        reference = Reference.parse(original)
        pinned = reference.digest and mirrors.find_pinned(reference.name, reference.digest)
        mirror = pinned if reference.digest else mirrors.find(upstream_tag(original))
        # To `docker tag` that is another name.
        key = (reference.digest or upstream_tag(original), reference.name, original.startswith("registry-1."))
        if key in seen:
            yield Finding(here, f"{quoted(original)} is listed already, as {quoted(seen[key])}")
        elif mirror:
            yield from _check_machine(build, mirror, here, readable)
            yield from check_served(build, original, mirror, here, readable)
        elif reference.name not in readable.doubtful:
            yield Finding(here, missing_sentence(original))
        seen.setdefault(key, original)


def _check_machine(
    build: BuildProjectSpec, destination: Destination, path: Path, readable: Readable
) -> Iterator[Finding]:
    """An image for another architecture than the machine's would be pulled elsewhere, or build the wrong thing."""
    machine = Platform("linux", "arm64" if build.environment_type == "ARM_CONTAINER" else "amd64")
    own = readable.images[destination.number].platforms
    platforms = readable.platforms if own is None else own
    if platforms == "all" or any(machine.matches(Platform.parse(text)) for text in platforms):
        return
    message = f"is mirrored for {listed(platforms)} only, but the build runs on `{machine}`: add it to `platforms`"
    yield Finding(path, f"`{destination.source.familiar}` {message}")


def _check_source(source: SourceSpec, path: Path) -> Iterator[Finding]:
    here = (*path, "location")
    location = source.location
    if source.type == "NO_SOURCE":
        if location is not None or source.version is not None:
            yield Finding(path, "`NO_SOURCE` has no `location` and no `version`")
    elif location is None:
        yield Finding(here, f"is missing: `{source.type}` needs one")
    elif source.type == "S3":
        if not _BUCKET_AND_KEY.fullmatch(location):
            yield Finding(here, f"{quoted(location)} is not `bucket/key`, with a `/` at the end for a folder")
    elif not _is_clean_url(location):
        yield Finding(here, "is not the `https://` address of a Git repository, without user or password")
    elif source.type == "CODECOMMIT" and not _CODECOMMIT.fullmatch(location):
        form = "https://git-codecommit.<region>.amazonaws.com/v1/repos/<name>"
        yield Finding(here, f"{quoted(location)} is not the address of a CodeCommit repository: `{form}`")


def _is_clean_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        host = url.hostname
    except ValueError:
        return False
    return url.scheme == "https" and bool(host) and "@" not in url.netloc and url.path not in ("", "/")
