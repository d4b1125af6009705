"""The pre-build step of a project: one command of POSIX `sh` that has base images come from ECR.

The step is composed of the files in `shell/`, which stay as they are. Values are separate words, quoted by
`shlex.quote`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

from toolkit.codebuild.docker_commands import CommandReader
from toolkit.codebuild.testcontainers_variables import testcontainers_variables
from toolkit.manifest.destinations import ALIASES, BUILDKIT
from toolkit.manifest.strategy import Strategy
from toolkit.oci.reference import DOCKER_HUB, HUB_HOSTS, Reference
from toolkit.plan.desired import BuildImage, DesiredBuild

_NAME = re.compile(r"[\w./:-]+")

_READERS = {Strategy.CONTEXTS: "dockerfile_syntax", Strategy.DIRECT: "dockerfile_rewrite"}
"""Strategies that read the Dockerfiles for either value of `on_miss`, and the program that handles the images."""

_ABOUT_UPSTREAMS = frozenset({"hosts", "mirrors"})
"""Pieces that need the list of upstreams."""


def render_fragment(build: DesiredBuild, *, region: str, account_id: str | None = None) -> str:
    """The step as text, ending in a newline; empty if there is nothing to do.

    `region` and `account_id` are those of ECR. The account gives the ECR host if no variable does.
    """
    if build.strategy is Strategy.LOGIN:
        secret = build.docker_hub_secret or ""
        values = _values({"region": secret.split(":")[3] if secret else region, "secret_id": secret})
        program = _program("json_program", "json_field")
        return "\n".join((_piece("begin"), values, program, _piece("docker_hub"), "log_in_to_docker_hub\n"))
    if not build.images:
        return ""
    pieces, steps = _plan(build)
    variables = testcontainers_variables(build)
    if variables:
        pieces.append("tests")
        steps.append("each_test_variable name_to_tests")
    if "door" in pieces:
        steps.append("wait_for_door")
    blocks = [_piece("begin"), _values({"region": region, "account_id": account_id or ""})]
    blocks.append(_function("each_image", [_image_arguments(image) for image in build.images]))
    if variables:
        blocks.append(_function("each_test_variable", variables))
    if not _ABOUT_UPSTREAMS.isdisjoint(pieces):
        blocks.append(_function("each_upstream", _upstream_arguments(build)))
    if "builder" in pieces:
        blocks.append(_values({"buildkit": "".join(_image_arguments(image)[1] for image in _buildkit_of(build))}))
    if "dockerfiles" in pieces:
        blocks += _about_dockerfiles(build)
    return "\n".join([*blocks, *map(_piece, pieces), "\n".join([*steps, ""])])


def _plan(build: DesiredBuild) -> tuple[list[str], list[str]]:
    """The pieces of shell that a strategy consists of, and the functions that it calls, in order."""
    closes = build.on_miss == "fail"
    pieces, steps = ["ecr"], ["find_registry"]
    if build.strategy is Strategy.AUTO:
        pieces += ["hosts", "auto"]
        steps += ["look_at_daemon"]
    if closes:
        pieces += ["door"]
        steps += ["close_docker_hub"]
    if closes or build.strategy in _READERS:
        pieces += ["dockerfiles"]
    if closes and build.strategy is not Strategy.DIRECT:  # it finds the same while it writes
        pieces += ["check"]
        steps += ["check_dockerfiles"]
    steps += ["check_daemon", "log_in"]
    hosts_file = "hosts_strict" if closes else "hosts_fallback"
    match build.strategy:
        case Strategy.RETAG:
            return [*pieces, "retag"], [*steps, "retag_all"]
        case Strategy.HOSTS:
            return [*pieces, "hosts", hosts_file, "hosts_only"], [*steps, "write_hosts"]
        case Strategy.BUILDER if closes:
            return [*pieces, "mirrors", "builder", "builder_door"], [*steps, "make_builder", "close_builder"]
        case Strategy.BUILDER:
            return [*pieces, "mirrors", "builder"], [*steps, "make_builder"]
        case Strategy.CONTEXTS:
            return [*pieces, "contexts"], [*steps, "export_contexts"]
        case Strategy.DIRECT:
            return [*pieces, "direct"], [*steps, "rewrite_dockerfiles"]
    strict = ["auto_strict"] if closes else []
    refuses = ["refuse_digests"] if closes else []
    return (
        [*pieces, hosts_file, *strict, "mirrors", "builder_defaults", "retag"],
        [*steps, "write_hosts_or_say_why", *refuses, "write_builder_defaults", "retag_all"],
    )


def _about_dockerfiles(build: DesiredBuild) -> list[str]:
    """The values and functions for the pieces that read Dockerfiles."""
    closed = sorted({*HUB_HOSTS, *ALIASES, *(upstream.host for upstream in build.upstreams)})
    values = {
        "build": build.name,
        "on_miss": build.on_miss,
        "closes_every_upstream": _yes_or_no(build.strategy.closes_every_upstream),
        "serves_own_platform_only": _yes_or_no(build.strategy is Strategy.RETAG),
        "takes_names_literally": _yes_or_no(build.strategy.takes_names_literally),
        "dockerfiles_are_listed": _yes_or_no(bool(build.dockerfiles) or build.strategy is Strategy.DIRECT),
    }
    return [
        _values(values),
        _function("each_dockerfile", [(path,) for path in build.dockerfiles or ("Dockerfile",)]),
        _function("each_built", [(name,) for name in _built_by(build)]),
        _function("each_closed", [(host,) for host in closed]),
        _program("dockerfile_program", "dockerfile", _READERS.get(build.strategy, "dockerfile_check")),
    ]


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


def _built_by(build: DesiredBuild) -> list[str]:
    """Images that the commands build for later commands, which need no mirror."""
    if not build.buildspec_commands:
        return []
    reader = CommandReader(build.environment_variables)
    for command in build.buildspec_commands:
        reader.read(command)
    names = dict.fromkeys(name for name in reader.reading.tags if isinstance(name, str))
    return [name for name in names if _NAME.fullmatch(name)]


def _buildkit_of(build: DesiredBuild) -> list[BuildImage]:
    """The image that the strategy `builder` runs; the manifest's checks guarantee one."""
    return [image for image in build.images if Reference.parse(image.original).name == BUILDKIT][:1]


def _image_arguments(image: BuildImage) -> tuple[str, str]:
    return image.original, f"{image.repository}@{image.digest}" if image.digest else f"{image.repository}:{image.tag}"


def _upstream_arguments(build: DesiredBuild) -> list[tuple[str, str, str]]:
    """For each registry: the name of its folder, the host that serves it, and the prefix of its paths in ECR."""
    found = []
    for upstream in build.upstreams:
        is_hub = upstream.host == DOCKER_HUB
        names = (upstream.host, *HUB_HOSTS) if is_hub else (upstream.host,)
        server = HUB_HOSTS[0] if is_hub else upstream.host
        found += [(name, server, upstream.prefix) for name in names]
    return found


def _function(name: str, calls: Iterable[tuple[str, ...]]) -> str:
    """A function that runs its arguments once for each of `calls`, with that added."""
    lines = [f' "$@" {" ".join(map(shlex.quote, values))}\n' for values in calls] or [" :\n"]
    return f"{name}() {{\n{''.join(lines)}}}\n"


def _values(values: Mapping[str, str]) -> str:
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def _program(variable: str, *names: str) -> str:
    """A variable that holds an awk program."""
    text = "\n".join(piece_text(f"{name}.awk") for name in names)
    return f"{variable}={shlex.quote(text)}\n"


def _piece(name: str) -> str:
    return piece_text(f"{name}.sh")


@cache
def piece_text(name: str) -> str:
    """A file of `shell/` without comments and with half the indentation: a buildspec may have 25,600 characters."""
    lines = files("toolkit.codebuild").joinpath("shell", name).read_text(encoding="utf-8").split("\n")
    codes = [line for line in lines if not line.lstrip().startswith("#")]
    return "\n".join(" " * ((len(code) - len(code.lstrip())) // 2) + code.lstrip() for code in codes)
