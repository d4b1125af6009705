"""Putting the pre-build step into a buildspec that somebody wrote, and taking it out again.

Lines are added and taken away between two comments of ours, and nothing else of the text is touched: comments, order,
quotes and line ends stay. What comes out is read again and must mean what went in, and the step.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from toolkit.errors import Refused

_BEGIN = "# toolkit: begin"
_END = "# toolkit: end"
_REGION = re.compile(
    rf"^[ ]*{_BEGIN}\b[^\n]*\n(?:(?![ ]*{_BEGIN}\b)[^\n]*\n)*?[ ]*{_END}[ \t]*\r?(?:\n|\Z)", re.MULTILINE
)
_MARK = re.compile(rf"^[ ]*(?:{_BEGIN}|{_END})\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the step goes: before `line`, a list item at column `indent`, under the keys of `head`."""

    line: int
    indent: int
    head: tuple[str, ...] = ()


def insert_step(text: str, step: str, build_name: str, *, file: str) -> str:
    """`text` with `step` as the first command of its `pre_build`; one that is there already is replaced.

    Raises Refused, with the line, for a buildspec that has no such place.
    """
    bare = remove_step(text, file=file)
    ending = "\r\n" if "\r\n" in bare else "\n"
    lines = bare.splitlines(keepends=True)
    place = _find_place(_compose(bare, file), lines, file)
    begin = (
        f"{_BEGIN} of the step of the build `{build_name}`, by `toolkit buildspec --into`; change it in the manifest"
    )
    margin = " " * place.indent
    outer = margin[: place.indent - 2 * len(place.head)]
    region = [f"{outer}{begin}", *(f"{outer}{'  ' * depth}{key}:" for depth, key in enumerate(place.head))]
    region += [f"{margin}- |", *(f"{margin}  {line}" if line else "" for line in step.removesuffix("\n").split("\n"))]
    region.append(f"{outer}{_END}")
    lines[place.line : place.line] = [line + ending for line in region]
    made = "".join(lines)
    _prove(made, bare, step, file)
    return made


def remove_step(text: str, *, file: str) -> str:
    """`text` without the step, as it was before; `text` itself where there is none."""
    bare = _REGION.sub("", text)
    if mark := _MARK.search(bare):
        line = text.count("\n", 0, text.index(mark.group())) + 1
        raise Refused(
            "buildspec.half_a_step",
            f"{file}:{line}: one of the two comments around the step is gone",
            hint="take the rest of the step out by hand",
        )
    return bare


def commands_of(text: str, *, file: str) -> tuple[str, ...]:
    """Every command of every phase."""
    phases = _read(text, file).get("phases")
    lists = (
        [phase.get(key) for phase in phases.values() if isinstance(phase, dict) for key in ("commands", "finally")]
        if isinstance(phases, dict)
        else []
    )
    return tuple(command for found in lists if isinstance(found, list) for command in found if isinstance(command, str))


def _find_place(root: Node, lines: list[str], file: str) -> _Place:
    phases = _value(root, "phases")
    if phases is None:
        raise _refusal(root, file, "has no `phases`")
    phase = _block_mapping(phases, file, "`phases`")
    pre_build = _value(phase, "pre_build")
    if pre_build is None:
        keys = [key for key, _ in phase.value]
        key = next((key for key in keys if key.value != "install"), keys[0])
        line, column = _start(key, lines, file)
        return _Place(line, column + 4, ("pre_build", "commands"))
    mapping = _block_mapping(pre_build, file, "`pre_build`")
    commands = _value(mapping, "commands")
    if commands is None:
        line, column = _start(mapping.value[0][0], lines, file)
        return _Place(line, column + 2, ("commands",))
    key = next(key for key, value in mapping.value if value is commands)
    if not isinstance(commands, SequenceNode) or commands.flow_style or commands.start_mark.line <= key.start_mark.line:
        raise _refusal(key, file, "`commands` is no list with a line for each command")
    return _Place(*_start(commands, lines, file))


def _value(node: Node, name: str) -> Node | None:
    pairs = node.value if isinstance(node, MappingNode) else []
    return next((value for key, value in pairs if isinstance(key, ScalarNode) and key.value == name), None)


def _block_mapping(node: Node, file: str, what: str) -> MappingNode:
    if not isinstance(node, MappingNode) or node.flow_style or not node.value:
        raise _refusal(node, file, f"{what} is no mapping with a line for each key")
    return node


def _start(node: Node, lines: list[str], file: str) -> tuple[int, int]:
    """Line and column of what begins its line, or of the comment right above it."""
    line, column = node.start_mark.line, node.start_mark.column
    margin = " " * column
    if lines[line][:column] != margin:
        raise _refusal(node, file, "there is no room for lines before this")
    while line > 0 and lines[line - 1].startswith(f"{margin}#"):
        line -= 1
    return line, column


def _refusal(node: Node, file: str, what: str) -> Refused:
    message = f"{file}:{node.start_mark.line + 1}: {what}"
    return Refused("buildspec.no_place", message, hint="write `phases`, `pre_build` and `commands` out, line by line")


def _compose(text: str, file: str) -> Node:
    try:
        node: Node | None = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise Refused("buildspec.not_yaml", f"{file}:{line}: {error.problem or 'cannot be read as YAML'}") from error
    except YAMLError as error:
        raise Refused("buildspec.not_yaml", f"{file}: cannot be read as YAML") from error
    if not isinstance(node, MappingNode):
        raise Refused("buildspec.no_place", f"{file}:1: is no buildspec: it has no `phases`")
    return node


def _read(text: str, file: str) -> dict[str, Any]:
    _compose(text, file)  # for its errors
    loaded: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return loaded


def _prove(made: str, bare: str, step: str, file: str) -> None:
    """What was written means the same as before, and the step; and it can be taken out."""
    wanted = _read(bare, file)
    pre_build = wanted["phases"].setdefault("pre_build", {})
    pre_build["commands"] = [step, *pre_build.get("commands", [])]
    if _read(made, file) != wanted or remove_step(made, file=file) != bare:
        raise Refused(
            "buildspec.no_place",
            f"{file}: the step does not fit into it",
            hint="use `--fragment`, and put it in by hand",
        )
