"""The images that a buildspec fetches and builds: its commands in the order in which CodeBuild runs them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from toolkit.codebuild.build_fields import listed, spelled
from toolkit.codebuild.coverage import Kind
from toolkit.codebuild.docker_commands import CommandReader
from toolkit.codebuild.findings import NamedImage, Reading, Trouble
from toolkit.codebuild.variables import Values
from toolkit.manifest.document import Document, NotYaml, Path, read_document

_PHASES = ("install", "pre_build", "build", "post_build")
_BLOCK = re.compile(r"[|>][-+0-9]*\s*(#.*)?$")
_OF_CODEBUILD = "aws/codebuild/"

_OF_TOOLKIT = "printf 'toolkit: %s\\n'"
"""How only the generated step prints its messages."""


def read_buildspec(text: str, values: Values | None = None, project: Values | None = None) -> Reading:
    """The images and builds of a buildspec.

    The variables of the `project` override its own. `values` override both, and fill in what its commands leave
    unknown.
    """
    try:
        document = read_document(text)
    except NotYaml as error:
        return Reading(troubles=(Trouble(error.line, error.message, is_fault=True),))
    root = document.data if document else None
    if document is None or not isinstance(root, dict) or not isinstance(root.get("phases"), dict):
        return Reading(troubles=(Trouble(1, "it has no `phases`, so it is not a buildspec", is_fault=True),))
    environments = list(_environments(root))
    of_batch = dict.fromkeys(name for _, one in environments for name in _mapping(one.get("variables")))
    reader = CommandReader({**_variables(root), **(project or {}), **of_batch, **(values or {})}, values)
    lines = text.split("\n")
    troubles = []
    for path, command in each_command(root["phases"]):
        line = document.place(path).line
        if isinstance(command, str) and _OF_TOOLKIT in command:
            continue  # it fetches from ECR what the manifest lists
        if isinstance(command, str):
            reader.read(command, first_line(document, path, lines))
        else:
            troubles.append(
                Trouble(line, "not understood: a command is a text, in quotes where it has a `: `", is_fault=True)
            )
    # CodeBuild pulls the image of an environment for each build of the batch.
    images = tuple(
        NamedImage(document.place((*path, "image")).line, Kind.PULL, str(image), str(image))
        for path, environment in environments
        for image in listed(environment.get("image"))
        if not str(image).startswith(_OF_CODEBUILD)
    )
    found = reader.reading
    return replace(found, images=(*found.images, *images), troubles=(*found.troubles, *troubles))


def _variables(root: dict[str, object]) -> dict[str, str | None]:
    """The variables of a build; None for parameters and secrets, whose values are not known."""
    env = _mapping(root.get("env"))
    values: dict[str, str | None] = {key: spelled(value) for key, value in _mapping(env.get("variables")).items()}
    for kept in (_mapping(env.get(kind)) for kind in ("parameter-store", "secrets-manager")):
        values |= dict.fromkeys(kept)
    return values


def _environments(root: dict[str, object]) -> Iterator[tuple[Path, dict[str, object]]]:
    """Each `env` of the builds of a batch."""
    batch = _mapping(root.get("batch"))
    matrix = _mapping(batch.get("build-matrix"))
    for kind in ("build-list", "build-graph"):
        for number, build in enumerate(listed(batch.get(kind))):
            yield ("batch", kind, number, "env"), _mapping(_mapping(build).get("env"))
    for kind in ("static", "dynamic"):
        yield ("batch", "build-matrix", kind, "env"), _mapping(_mapping(matrix.get(kind)).get("env"))


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
