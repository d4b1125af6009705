"""The pre-build step of a project: one command of POSIX `sh` that makes its base images those of ECR.

Put together from the pieces in `shell/`, plain files, so that each can be read as what it is. A value gets in as a word
of its own, quoted by `shlex.quote`, and never into a piece.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from toolkit.plan.desired import BuildImage, DesiredBuild

_HOSTS_OF_DOCKER_HUB = ("docker.io", "registry-1.docker.io", "registry.hub.docker.com")
"""Names in a Dockerfile that Docker does not take for `docker.io` each need a file of their own."""

_DOCKER_HUB = "registry-1.docker.io"
"""Where `docker.io` is served."""


def render_fragment(build: DesiredBuild, *, region: str, account_id: str | None = None) -> str:
    """The step as text, ending in a newline; empty where nothing is to be done.

    `region` is ECR's, and so is `account_id`, which is asked for the host when no variable names it.
    """
    if not build.images:
        return ""
    pieces, steps = _plan(build)
    values = [f"region={shlex.quote(region)}", f"account_id={shlex.quote(account_id or '')}"]
    lists = [
        _function("each_image", [_image_arguments(image) for image in build.images]),
        _function("each_upstream", _upstream_arguments(build)) if "hosts" in pieces else "",
    ]
    blocks = [_piece("begin"), "\n".join(values) + "\n", *filter(None, lists), *map(_piece, pieces)]
    return "\n".join(blocks) + "\n" + "\n".join(steps) + "\n"


def _plan(build: DesiredBuild) -> tuple[list[str], list[str]]:
    """The pieces of shell that a strategy is made of, and what it calls, in order."""
    is_closed = build.on_miss == "fail"
    pieces = ["ecr", *(["door"] if is_closed else [])]
    steps = ["find_registry", *(["close_docker_hub"] if is_closed else []), "log_in"]
    hosts = ["hosts", "hosts_strict" if is_closed else "hosts_fallback"]
    match build.strategy:
        case "retag":
            return [*pieces, "retag"], [*steps, "retag_all"]
        case "hosts":
            return [*pieces, *hosts, "hosts_only"], [*steps, "write_hosts"]
        case _:
            return [*pieces, *hosts, "auto", "retag"], [*steps, "write_hosts_or_say_why", "retag_all"]


def _image_arguments(image: BuildImage) -> tuple[str, str]:
    return image.original, f"{image.repository}@{image.digest}" if image.digest else f"{image.repository}:{image.tag}"


def _upstream_arguments(build: DesiredBuild) -> list[tuple[str, str, str]]:
    """Of each registry: the name of its folder, the host that serves it, and what stands before a path in ECR."""
    found = []
    for upstream in build.upstreams:
        names = _HOSTS_OF_DOCKER_HUB if upstream.host == "docker.io" else (upstream.host,)
        server = _DOCKER_HUB if upstream.host == "docker.io" else upstream.host
        found += [(name, server, upstream.prefix) for name in names]
    return found


def _function(name: str, calls: Iterable[tuple[str, ...]]) -> str:
    """A function that calls its arguments, once with each of `calls` added."""
    lines = [f'  "$@" {" ".join(map(shlex.quote, values))}\n' for values in calls]
    return f"{name}() {{\n{''.join(lines)}}}\n"


@cache
def _piece(name: str) -> str:
    return files("toolkit.codebuild").joinpath("shell", f"{name}.sh").read_text(encoding="utf-8")
