"""What a buildspec fetches and builds: its commands in the order in which CodeBuild runs them, with its variables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from toolkit.codebuild.docker_commands import CommandReader
from toolkit.codebuild.findings import Reading, Trouble
from toolkit.manifest.document import Document, NotYaml, Path, read_document

_PHASES = ("install", "pre_build", "build", "post_build")
_BLOCK = re.compile(r"[|>][-+0-9]*\s*(#.*)?$")


_OF_TOOLKIT = "printf 'toolkit: %s\\n'"
"""What the generated step says its messages with, and nobody else."""


def read_buildspec(text: str, values: Mapping[str, str] | None = None) -> Reading:
    """The images and builds of a buildspec; `values` go before its own plain variables."""
    try:
        document = read_document(text)
    except NotYaml as error:
        return Reading(troubles=(Trouble(error.line, error.message, is_fault=True),))
    root = document.data if document else None
    if document is None or not isinstance(root, dict) or not isinstance(root.get("phases"), dict):
        return Reading(troubles=(Trouble(1, "it has no `phases`, so it is no buildspec", is_fault=True),))
    reader = CommandReader({**_variables(root), **(values or {})})
    lines = text.split("\n")
    troubles = []
    for path, command in each_command(root["phases"]):
        line = document.place(path).line
        if isinstance(command, str) and _OF_TOOLKIT in command:
            continue  # it fetches from ECR what the manifest says
        if isinstance(command, str):
            reader.read(command, first_line(document, path, lines))
        else:
            troubles.append(
                Trouble(line, "not understood: a command is a text, in quotes where it has a `: `", is_fault=True)
            )
    return replace(reader.reading, troubles=(*reader.reading.troubles, *troubles))


def _variables(root: dict[str, object]) -> dict[str, str]:
    env = root.get("env")
    variables = env.get("variables") if isinstance(env, dict) else None
    pairs = variables.items() if isinstance(variables, dict) else ()
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in pairs}


def each_command(phases: dict[str, object]) -> Iterator[tuple[Path, object]]:
    """Every command of `phases` with its place, in the order in which CodeBuild runs them."""
    for name in _PHASES:
        phase = phases.get(name)
        for part in ("commands", "finally"):
            commands = phase.get(part) if isinstance(phase, dict) else None
            for number, command in enumerate(commands if isinstance(commands, list) else []):
                yield ("phases", name, part, number), command


def first_line(document: Document, path: Path, lines: list[str]) -> int:
    """Where the text of a command begins: on its own line, or on that after its `|`."""
    number = document.place(path).line
    return number + (number <= len(lines) and _BLOCK.search(lines[number - 1]) is not None)
