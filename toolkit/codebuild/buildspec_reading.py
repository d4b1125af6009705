"""The images that a buildspec fetches and builds: its commands in the order in which CodeBuild runs them."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from toolkit.codebuild.build_fields import listed, spelled
from toolkit.codebuild.coverage import Kind
from toolkit.codebuild.docker_commands import CommandReader
from toolkit.codebuild.findings import Follow, NamedImage, Reading, Trouble
from toolkit.codebuild.variables import Values
from toolkit.manifest.document import Document, NotYaml, Path, read_document

_PHASES = ("install", "pre_build", "build", "post_build")
_BLOCK = re.compile(r"[|>][-+0-9]*\s*(#.*)?$")
_OF_CODEBUILD = "aws/codebuild/"
_IDENTIFIER = "CODEBUILD_BATCH_BUILD_IDENTIFIER"
_OF_WINDOWS = frozenset({"powershell.exe", "pwsh", "cmd.exe"})
_MOST_BUILDS = 200

_OF_TOOLKIT = "printf 'toolkit: %s\\n'"
"""How only the generated step prints its messages."""


def read_buildspec(text: str, values: Values | None = None, project: Values | None = None) -> Reading:
    """The images and builds of a buildspec.

    The variables of the `project` override its own. `values` override both, and fill in what its commands leave
    unknown. A batch follows the buildspec of each of its builds, this one among them. As in CodeBuild, a project with a
    `CODEBUILD_BATCH_BUILD_IDENTIFIER` is one of these builds.
    """
    try:
        document = read_document(text)
    except NotYaml as error:
        return Reading(troubles=(Trouble(error.line, error.message, is_fault=True),))
    root = document.data if document else None
    project = project or {}
    is_batch = isinstance(root, dict) and isinstance(root.get("batch"), dict) and _IDENTIFIER not in project
    if document is None or not isinstance(root, dict) or not (is_batch or isinstance(root.get("phases"), dict)):
        return Reading(troubles=(Trouble(1, "it has no `phases`, so it is not a buildspec", is_fault=True),))
    if is_batch:
        return _read_batch(document, root, project)
    reader = CommandReader({**_variables(root), **project, **(values or {})}, values)
    lines = text.split("\n")
    troubles = []
    for path, command in each_command(root["phases"]):
        line = document.place(path).line
        if isinstance(command, str) and _OF_TOOLKIT in command:
            continue  # it fetches from ECR what the manifest lists
        if isinstance(command, str):
            reader.read(command, first_line(document, path, lines), is_apart=spelled(root.get("version")) == "0.1")
        else:
            troubles.append(
                Trouble(line, "not understood: a command is a text, in quotes where it has a `: `", is_fault=True)
            )
    troubles = [*reader.reading.troubles, *troubles]
    if (shell := str(_mapping(root.get("env")).get("shell"))) in _OF_WINDOWS:
        line = document.place(("env", "shell")).line
        message = f"its commands are for `{shell}`, of which only plain calls of Docker are read"
        troubles = [one for one in troubles if one.is_fault] + [Trouble(line, message, hides=True)]
    return replace(reader.reading, troubles=tuple(troubles))


def _read_batch(document: Document, root: dict[str, Any], project: Values) -> Reading:
    """The images that the builds of a batch run in, and their buildspecs with the variables of each."""
    images: list[NamedImage] = []
    follows: list[Follow] = []
    troubles: list[Trouble] = []
    for path, build in _builds_of(root["batch"]):
        env = _mapping(build.get("env"))
        place = document.place((*path, "env", "image"))
        own = (image for image in map(str, listed(env.get("image"))) if not image.startswith(_OF_CODEBUILD))
        images += (NamedImage(place.line, Kind.PULL, image, image) for image in own)
        if path[1:] == ("build-matrix", "static"):
            continue  # its variables are in each build of the matrix
        axes = [[(str(name), spelled(one)) for one in listed(value)] for name, value in _variables_of(env).items()]
        if math.prod(map(len, axes)) > _MOST_BUILDS:
            message = f"the batch has more than {_MOST_BUILDS} builds, which are not all read"
            troubles.append(Trouble(document.place(path).line, message, is_fault=True))
        for variables in itertools.islice(itertools.product(*axes), _MOST_BUILDS):
            identifier = spelled(build["identifier"]) if "identifier" in build else None
            values = {**project, **dict(variables), _IDENTIFIER: identifier}
            for file in listed(build.get("buildspec")) or [""]:
                line = document.place((*path, "buildspec")).line
                follows.append(Follow(line, str(file), "buildspec", values=values))
    if isinstance(root.get("phases"), dict) and not any(follow.path == "" for follow in follows):
        line = document.place(("phases",)).line
        follows.append(Follow(line, "", "buildspec", values={**project, _IDENTIFIER: None}))
    return Reading(tuple(images), troubles=tuple(troubles), tags=tuple(follows))


def _variables(root: dict[str, object]) -> dict[str, str | None]:
    """The variables of a build; None for parameters and secrets, whose values are not known."""
    env = _mapping(root.get("env"))
    values: dict[str, str | None] = {key: spelled(value) for key, value in _mapping(env.get("variables")).items()}
    for kept in (_mapping(env.get(kind)) for kind in ("parameter-store", "secrets-manager")):
        values |= dict.fromkeys(kept)
    return values


def _builds_of(batch: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Each build of a batch with its place. The static part of a matrix comes alone, and below each dynamic build."""
    for kind in ("build-list", "build-graph"):
        for number, build in enumerate(listed(batch.get(kind))):
            yield ("batch", kind, number), _mapping(build)
    if "build-matrix" in batch:
        matrix = _mapping(batch["build-matrix"])
        static, dynamic = _mapping(matrix.get("static")), _mapping(matrix.get("dynamic"))
        yield ("batch", "build-matrix", "static"), static
        env = _mapping(dynamic.get("env"))
        variables = {**_variables_of(_mapping(static.get("env"))), **_variables_of(env)}
        yield ("batch", "build-matrix", "dynamic"), {**dynamic, "env": {**env, "variables": variables}}
    if "build-fanout" in batch:
        yield ("batch", "build-fanout"), {}


def _variables_of(env: dict[str, Any]) -> dict[str, Any]:
    return _mapping(env.get("variables"))


def each_command(phases: dict[str, object]) -> Iterator[tuple[Path, object]]:
    """Every command of `phases` with its place, in the order in which CodeBuild runs them."""
    for name in _PHASES:
        phase = phases.get(name) or {}
        if not isinstance(phase, dict):
            yield ("phases", name), None
            continue
        for part in ("commands", "finally"):
            commands = phase.get(part)
            if isinstance(commands, list):
                yield from ((("phases", name, part, number), command) for number, command in enumerate(commands))
            elif commands is not None:
                yield ("phases", name, part), commands


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def first_line(document: Document, path: Path, lines: list[str]) -> int:
    """The line where a command's text begins: its own, or the one after its `|`."""
    number = document.place(path).line
    return number + (number <= len(lines) and _BLOCK.search(lines[number - 1]) is not None)
