"""Put the pre-build step into a buildspec that somebody wrote, and take it out again.

Only lines between two comments of ours are added and removed: comments, order, quotes and line ends stay. A line that
would have to change, such as `commands: []`, is kept in a third comment. The result is parsed again, and must mean the
same as before plus the step.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from toolkit.codebuild.buildspec_reading import each_command
from toolkit.errors import Issue, Refused
from toolkit.manifest.document import NotYaml, compose, issues_of, lines_of, read_document
from toolkit.manifest.strategy import Strategy

_BEGIN = "# toolkit: begin"
_END = "# toolkit: end"
_INSTEAD = "# toolkit: instead of "
_REGION = re.compile(
    rf"^[ ]*{_BEGIN}\b[^\n]*\n(?:(?![ ]*{_BEGIN}\b)[^\n]*\n)*?[ ]*{_END}[ \t]*\r?(?:\n|\Z)", re.MULTILINE
)
_REPLACED = re.compile(rf"^([ ]*){_INSTEAD}([^\n]*?)\r?$", re.MULTILINE)
_MARK = re.compile(rf"^[ ]*(?:{_BEGIN}|{_END})\b", re.MULTILINE)
_BY_HAND = "correct that, or print the step by `--fragment` and put it in by hand"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the step goes: before `line`, as a list item at column `indent`, under new keys `head`.

    With `replaces` it stands instead of that line, which is a key without commands. `empty` is what the list is without
    the step, if it has no other command: nothing or an empty list.
    """

    line: int
    indent: int
    head: tuple[str, ...] = ()
    replaces: bool = False
    empty: list[str] | None = None


def insert_step(text: str, step: str, build_name: str, *, file: str) -> str:
    """`text` with `step` as the first command of its `pre_build`; an older step is replaced.

    Raises Refused, with the line, for a buildspec that has no place for it.
    """
    bare = remove_step(text, file=file)
    wanted = _read(bare, file)
    lines = lines_of(bare)
    ending = "\r\n" if lines[0].endswith("\r\n") else "\n"
    place = _find_place(compose(bare), lines, file)
    begin = (
        f"{_BEGIN} of the step of the build `{build_name}`, by `toolkit buildspec --into`; change it in the manifest"
    )
    margin = " " * place.indent
    outer = margin[: place.indent - 2 * len(place.head)]
    old = lines[place.line].rstrip("\r\n") if place.replaces else ""
    region = [f"{outer}{begin}", *([f"{outer}{_INSTEAD}{old.lstrip(' ')}"] if old else [])]
    region += [*(f"{outer}{'  ' * depth}{key}:" for depth, key in enumerate(place.head))]
    region += [f"{margin}- |", *(f"{margin}  {line}" if line else "" for line in step.removesuffix("\n").split("\n"))]
    region.append(f"{outer}{_END}")
    added = [line + ending for line in region]
    if place.replaces:
        added[-1] = region[-1] + lines[place.line][len(old) :]
    lines[place.line : place.line + place.replaces] = added
    made = "".join(lines)
    if _without_step(_read(made, file), step, place) != wanted or _REGION.sub(_put_back, made) != bare:
        message = f"{file}:{place.line + 1}: the step here would change what other lines mean"
        raise Refused("buildspec.no_place", message, hint=_BY_HAND)
    return made


def _without_step(made: dict[str, Any], step: str, place: _Place) -> dict[str, Any] | None:
    """What `made` means without the step and its new keys; None if the step is not the first command."""
    phases = made["phases"]
    pre_build = phases["pre_build"]
    first, *others = pre_build["commands"]
    pre_build["commands"] = others or place.empty
    if "commands" in place.head and not place.replaces:
        del pre_build["commands"]
    phases["pre_build"] = pre_build or None
    if "pre_build" in place.head:
        del phases["pre_build"]
    return made if first == step else None


def remove_step(text: str, *, file: str) -> str:
    """`text` without the step; unchanged if it has none."""
    others = _REGION.sub(lambda region: "\n" * region.group().count("\n"), text)
    if mark := _MARK.search(others):
        line = others.count("\n", 0, mark.start()) + 1
        raise Refused(
            "buildspec.half_a_step",
            f"{file}:{line}: one of the two comments around the step is gone",
            hint="take the rest of the step out by hand",
        )
    return _REGION.sub(_put_back, text)


def _put_back(region: re.Match[str]) -> str:
    """The line that the region stands for, if any."""
    replaced = _REPLACED.search(region.group())
    ending = region.group()[len(region.group().rstrip("\r\n")) :]
    return f"{replaced[1]}{replaced[2]}{ending}" if replaced else ""


def check_exports(text: str, strategy: Strategy, *, names_to_tests: bool = False, file: str) -> None:
    """Raise Refused if later commands would not see what the step of `strategy`, or for tests, exports."""
    if (strategy.variable or names_to_tests) and str(_read(text, file).get("version")) == "0.1":
        document = read_document(text)
        line = document.place(("version",)).line if document else 1
        raise Refused(
            "buildspec.old_version",
            f"{file}:{line}: version 0.1 runs each command in a shell of its own, without what `{strategy}` exports",
            hint="write `version: 0.2`" if names_to_tests else "write `version: 0.2`, or choose another strategy",
        )


def commands_of(text: str, *, file: str) -> tuple[str, ...]:
    """Every command that is text, of every phase."""
    commands = (command for _, command in each_command(_read(text, file)["phases"]))
    return tuple(command for command in commands if isinstance(command, str))


def _find_place(root: Node | None, lines: list[str], file: str) -> _Place:
    phases = _block_mapping(_find(root, "phases"), file, "`phases`")
    pre_build = _find(phases, "pre_build")
    if pre_build is None:
        keys = [key for key, _ in phases.value]
        key = next((key for key in keys if key.value != "install"), keys[0])
        line, column = _start(key, lines, file)
        return _Place(line, column + 4, ("pre_build", "commands"))
    if _is_empty(pre_build[1]):
        line, column = _start(pre_build[0], lines, file, with_comments=False)
        return _Place(line + 1, column + 4, ("commands",))
    phase = _block_mapping(pre_build, file, "`pre_build`")
    commands = _find(phase, "commands")
    if commands is None:
        line, column = _start(phase.value[0][0], lines, file)
        return _Place(line, column + 2, ("commands",))
    key, listed = commands
    is_list = isinstance(listed, SequenceNode) and not listed.value and not listed.anchor
    if _is_empty(listed) or (is_list and listed.end_mark.line == key.start_mark.line):
        line, column = _start(key, lines, file, with_comments=False)
        if is_list:
            return _Place(line, column + 2, ("commands",), replaces=True, empty=[])
        is_last = not lines[line].endswith("\n")
        return _Place(line, column + 2, ("commands",), replaces=True) if is_last else _Place(line + 1, column + 2)
    if not isinstance(listed, SequenceNode) or listed.flow_style or listed.start_mark.line <= key.start_mark.line:
        raise _refusal(key, file, "`commands` is not a plain list with a line for each command")
    return _Place(*_start(listed, lines, file))


def _find(node: Node | None, name: str) -> tuple[Node, Node] | None:
    """The key `name` of a mapping, and its value."""
    pairs = node.value if isinstance(node, MappingNode) else []
    return next((pair for pair in pairs if isinstance(pair[0], ScalarNode) and pair[0].value == name), None)


def _block_mapping(pair: tuple[Node, Node] | None, file: str, what: str) -> MappingNode:
    key, node = pair or (None, None)
    if not isinstance(node, MappingNode) or node.flow_style or not node.value:
        raise _refusal(key, file, f"{what} is not a mapping with a line for each key")
    return node


def _is_empty(node: Node) -> bool:
    """Whether a key has no value, as after the removal of a step that was all it held."""
    return isinstance(node, ScalarNode) and not node.value and not node.style


def _start(node: Node, lines: list[str], file: str, *, with_comments: bool = True) -> tuple[int, int]:
    """Line and column of a node that begins its line, or of the comment right above it."""
    line, column = node.start_mark.line, node.start_mark.column
    margin = " " * column
    if lines[line][:column] != margin:
        raise _refusal(node, file, "there is no room for lines before this")
    while with_comments and line > 0 and lines[line - 1].startswith(f"{margin}#"):
        line -= 1
    return line, column


def _refusal(node: Node | None, file: str, what: str) -> Refused:
    message = f"{file}:{node.start_mark.line + 1 if node else 1}: {what}"
    return Refused("buildspec.no_place", message, hint="write `phases`, `pre_build` and `commands` out, line by line")


def _read(text: str, file: str) -> dict[str, Any]:
    """The buildspec as data. Raises Refused with every problem that makes it unreadable, also for CodeBuild."""
    try:
        document = read_document(text)
        issues = issues_of(document, document.findings, file) if document else []
    except NotYaml as error:
        document, issues = None, [Issue(file, error.line, "", error.message)]
    if issues:
        raise Refused("buildspec.not_yaml", "; ".join(map(str, issues)), hint=_BY_HAND)
    if document is None or not isinstance(document.data, dict) or not isinstance(document.data.get("phases"), dict):
        message = (
            f"{file}:{document.place(('phases',)).line if document else 1}: is not a buildspec: it has no `phases`"
        )
        raise Refused("buildspec.no_place", message, hint="name the file that the build runs")
    return document.data
