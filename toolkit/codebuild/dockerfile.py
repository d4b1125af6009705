"""The images that a Dockerfile names, read by the official parser (through the package `dockerfile`).

The parser gives instructions; what a name means (a stage, a named context, `scratch` or an image) follows BuildKit's
frontend. Only the directives above the first instruction are read here: they are comments to the parser.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from toolkit.address_space import check_address_space
from toolkit.codebuild.coverage import Kind
from toolkit.codebuild.findings import NamedImage, Reading, Trouble
from toolkit.codebuild.stages import Stages
from toolkit.codebuild.variables import CannotExpand, Values, Word, expand

MAX_TEXT = 1024 * 1024
"""More than that is no Dockerfile."""

_DIRECTIVES = frozenset({"syntax", "escape", "check"})
_IMAGE_SCHEME = "docker-image://"
_SCRATCH = "scratch"
_SYNTAX_ARGUMENT = "BUILDKIT_SYNTAX"
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
_ESCAPE_TOKEN = re.compile(r"invalid escape token .* does", re.DOTALL)
_GO_RESERVES = 768 * 1024 * 1024
"""Bytes of address space, most of which it never uses: measured with `ulimit -v`."""
_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a build brings to a Dockerfile: `--build-arg`, `--build-context`, the platforms of result and machine.

    `target` is the stage that is built, by name or number; None for the last. Where `is_target_known` is false it may
    be any, so every stage counts.
    """

    args: Values = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None
    is_target_known: bool = True
    target_platform: str | None = None
    machine: str = "linux/amd64"


def read_dockerfile(text: str, circumstances: Circumstances | None = None) -> Reading:
    """Every image that building `text` may fetch, and what is wrong with it.

    No builder looks at a stage behind the target, whose images are `behind`; the legacy builder builds every stage
    before it.
    """
    reader = _Reader(text, circumstances or Circumstances())
    reader.read()
    return Reading(reader.images, troubles=tuple(reader.troubles), behind=reader.behind)


@dataclass(frozen=True, slots=True)
class _Directive:
    line: int
    name: str
    value: str


def _directives(lines: Iterable[str], comment: str) -> Iterator[_Directive]:
    """The directives at the top, up to the first line that is none; a second of a name ends them too."""
    pattern = re.compile(rf"{comment}\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*")
    seen: set[str] = set()
    for number, line in enumerate(lines, 1):
        if number == 1 and line.startswith("#!"):
            continue
        match = pattern.fullmatch(line)
        name = match[1].lower() if match else ""
        if match is None or name not in _DIRECTIVES - seen:
            return
        seen.add(name)
        yield _Directive(number, name, match[2])


def _syntax(text: str) -> _Directive | None:
    """The frontend that is asked for, as moby's `DetectSyntax` finds it: `#`, else `//`, else a JSON document."""
    lines = text.split("\n")
    for comment in ("#", "//"):
        for directive in _directives(lines, comment):
            if directive.name == "syntax":
                return replace(directive, value=directive.value.split(" ")[0])
    if text.lstrip().startswith("{"):
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if isinstance(document, dict) and isinstance(document.get("syntax"), str) and document["syntax"]:
            return _Directive(1, "syntax", document["syntax"])
    return None


class _Reader:
    def __init__(self, text: str, circumstances: Circumstances) -> None:
        self._text = text.removeprefix("\ufeff").replace("\r\n", "\n")
        self._lines = self._text.split("\n")
        self._circumstances = circumstances
        self._syntax = _syntax(self._text)
        escapes = [one.value for one in _directives(self._lines, "#") if one.name == "escape"]
        self._escape = escapes[0] if escapes and escapes[0] in ("\\", "`") else "\\"
        self._values = _platform_values(circumstances)
        self._stages = Stages(())
        self._stage = -1
        self._found: list[tuple[int, NamedImage]] = []
        self.troubles: list[Trouble] = []

    @property
    def images(self) -> tuple[NamedImage, ...]:
        """What was found, but for stages behind the target; what the target does not need is marked."""
        target = self._stages.find_target(self._circumstances.target)
        if target is None:
            return ()
        if not self._circumstances.is_target_known:
            return tuple(one for _, one in self._found)
        reached = {-1, *self._stages.reached_from(target)}
        return tuple(replace(one, is_unused=stage not in reached) for stage, one in self._found if stage <= target)

    @property
    def behind(self) -> tuple[NamedImage, ...]:
        """What was found in stages behind the target."""
        target = self._stages.find_target(self._circumstances.target)
        if target is None or not self._circumstances.is_target_known:
            return ()
        return tuple(one for stage, one in self._found if stage > target)

    def read(self) -> None:
        """Go through the instructions."""
        if self._has_frontend:
            self._note_frontend()
        if "dockerfile" not in sys.modules:
            check_address_space(_GO_RESERVES)
        import dockerfile  # noqa: PLC0415  a Go runtime, which only a scan needs

        known = frozenset(dockerfile.all_cmds())
        commands = self._commands()
        self._stages = Stages([_stage_name(command) for command in commands if command.cmd.lower() == "from"])
        for command in commands:
            kind = command.cmd.lower()
            if kind == "from":
                self._stage += 1
                self._read_from(command)
            elif kind == "arg" and self._stage < 0:
                self._read_args(command)
            elif kind not in known:
                # Not quoted, whatever it is: a file of secrets may be called a Dockerfile.
                self._fault(command, "it is no instruction of a Dockerfile")
            elif self._stage < 0:
                self._fault(command, f"`{command.cmd.upper()}` stands before the first `FROM`")
            else:
                self._read_in_stage(command)
        if self._stage < 0 and not self.troubles:
            self.troubles.append(Trouble(1, "there is no `FROM`", is_fault=True))
        elif self._stages.find_target(self._circumstances.target) is None:
            self.troubles.append(Trouble(1, f"there is no stage `{self._circumstances.target}`", is_fault=True))

    @property
    def _has_frontend(self) -> bool:
        return self._syntax is not None or _SYNTAX_ARGUMENT in self._circumstances.args

    def _note_frontend(self) -> None:
        """BuildKit looks at the argument first, and needs no line for it."""
        line, written = (self._syntax.line, self._syntax.value) if self._syntax else (1, _SYNTAX_ARGUMENT)
        own = self._circumstances.args.get(_SYNTAX_ARGUMENT, written)
        name = (own or "").strip().partition(" ")[0]
        unset = () if own is not None else (_SYNTAX_ARGUMENT,)
        self._found.append((-1, NamedImage(line, Kind.SYNTAX, written, name, self._machine, unset)))

    def _commands(self) -> list[Any]:
        import dockerfile  # noqa: PLC0415

        unusable = _UNUSABLE.search(self._text)
        if unusable:  # the package ends the process for half a surrogate pair, and the text at a NUL
            line = self._text.count("\n", 0, unusable.start()) + 1
            message = f"the character U+{ord(unusable.group()):04X} has no place in a Dockerfile"
            self.troubles.append(Trouble(line, message, is_fault=True))
            return []
        if len(self._text) > MAX_TEXT:
            self.troubles.append(Trouble(1, f"more than {MAX_TEXT:,} characters are no Dockerfile", is_fault=True))
            return []
        try:
            # A line that is nothing but its continuation comes without a command.
            return [command for command in dockerfile.parse_string(self._text) if command.cmd]
        except dockerfile.GoParseError as error:
            message = _ESCAPE_TOKEN.sub("the escape token does", str(error))
            found = re.search(r"line (\d+)", message)
            # Of a heredoc without an end the parser does not say the line: the first may be meant.
            heredocs = [number for number, line in enumerate(self._lines, 1) if "heredoc" in message and "<<" in line]
            line = int(found[1]) if found else next(iter(heredocs), 1)
            self.troubles.append(Trouble(line, message, is_fault=True))
            return []

    @property
    def _machine(self) -> str:
        return self._circumstances.machine

    @property
    def _target(self) -> str:
        return self._circumstances.target_platform or self._machine

    def _fault(self, command: Any, message: str) -> None:
        self.troubles.append(Trouble(command.start_line, message, is_fault=True))

    def _expanded(self, command: Any, text: str) -> Word | None:
        try:
            return expand(text, self._values, escape=self._escape)
        except CannotExpand as error:
            self._fault(command, f"`{text}` cannot be read: {error}")
            return None

    def _read_args(self, command: Any) -> None:
        for assignment in command.value:
            name, has_default, default = assignment.partition("=")
            if name in self._circumstances.args:
                self._values[name] = self._circumstances.args[name]
            elif has_default and (word := self._expanded(command, default)) is not None:
                self._values[name] = None if word.unset else word.text

    def _read_from(self, command: Any) -> None:
        """Note what a stage starts from: an image, or an earlier stage."""
        name = _stage_name(command)
        if len(command.value) != 1 and not name:
            self._fault(command, "`FROM` takes an image, and `AS` with a name if the stage has one")
            return
        if name and not _STAGE_NAME.fullmatch(name):
            self._fault(command, f"`{command.value[2]}` cannot name a stage")
        word = self._expanded(command, command.value[0])
        platform = self._platform(command)
        if word is None or word.text == _SCRATCH:
            return
        base = self._stages.find(word.text, before=self._stage)
        if base is not None and not word.unset:
            self._stages.need(self._stage, base)
        elif not word.text and not word.unset:
            self._fault(command, f"`{command.value[0]}` comes to no image")
        else:
            self._note(command, Kind.FROM, command.value[0], word, platform, name)

    def _platform(self, command: Any) -> Word:
        for text in _flags(command, "platform"):
            return self._expanded(command, text) or Word("")
        return Word(self._target)

    def _read_in_stage(self, command: Any) -> None:
        if command.cmd.lower() != "onbuild":
            for kind, name in _froms(command):
                self._read_source(command, kind, name)
            return
        for trigger in self._trigger(command):
            if trigger.cmd.lower() in ("from", "onbuild", "maintainer"):
                self._fault(command, f"`ONBUILD` cannot be followed by `{trigger.cmd.upper()}`")
            for _, name in _froms(trigger):
                self._read_source(command, Kind.ONBUILD, name)

    def _trigger(self, command: Any) -> list[Any]:
        """What comes after `ONBUILD`, parsed by itself: the parser drops its flags otherwise."""
        import dockerfile  # noqa: PLC0415

        found = re.match(r"\s*onbuild\s+", command.original, re.IGNORECASE)
        rest = command.original[found.end() :] if found else ""
        try:
            commands = dockerfile.parse_string(f"# escape={self._escape}\n{rest}")
            return [command for command in commands if command.cmd]
        except dockerfile.GoParseError as error:
            self._fault(command, f"what follows `ONBUILD` cannot be read: {error}")
            return []

    def _read_source(self, command: Any, kind: Kind, name: str) -> None:
        """Note what a stage copies from or mounts: an image, or a stage by its name or, to copy from, its number."""
        is_number = kind is not Kind.MOUNT_FROM and name.isdecimal()
        stage = self._stages.numbered(name) if is_number else self._stages.find(name)
        if any(letter in name for letter in "$\"'"):
            message = f"Docker expands no variable in `{name}`: start a stage from the image and name that"
            self._fault(command, message)
        elif stage is not None:
            self._stages.need(self._stage, stage)
        elif is_number and kind is Kind.COPY_FROM:
            self._fault(command, f"there is no stage {name}: they count from 0")
        elif name and name != _SCRATCH and not is_number:
            self._note(command, kind, name, Word(name), Word(self._target))

    def _note(self, command: Any, kind: Kind, written: str, word: Word, platform: Word, own_name: str = "") -> None:
        contexts = {key.lower(): value for key, value in self._circumstances.contexts.items()}
        names = (own_name, word.text.lower(), word.text.lower().removesuffix(":latest"))
        replaced = next((contexts[name] for name in names if name in contexts), None)
        if replaced is not None and not replaced.startswith(_IMAGE_SCHEME):
            return
        image = NamedImage(
            line=self._line_of(command, written),
            kind=kind,
            written=written,
            name=replaced.removeprefix(_IMAGE_SCHEME) if replaced is not None else word.text,
            platform=platform.text or None,
            unset=word.unset if replaced is None else (),
            follows_syntax=self._has_frontend,
        )
        if platform.unset:
            names_unset = ", ".join(f"`{name}`" for name in platform.unset)
            message = f"its platform needs {names_unset}, which has no known value"
            self.troubles.append(Trouble(image.line, message, is_fault=True))
        self._found.append((self._stage, image))

    def _line_of(self, command: Any, written: str) -> int:
        for number in range(command.start_line, min(command.end_line, len(self._lines)) + 1):
            if written in self._lines[number - 1]:
                return number
        return int(command.start_line)


def _stage_name(command: Any) -> str:
    """The name that a `FROM` gives its stage, in lower case; "" for none."""
    has_name = len(command.value) == 3 and command.value[1].lower() == "as"
    return str(command.value[2]).lower() if has_name else ""


def _flags(command: Any, name: str) -> Iterator[str]:
    prefix = f"--{name}="
    return (flag.removeprefix(prefix) for flag in command.flags if flag.startswith(prefix))


def _froms(command: Any) -> Iterator[tuple[Kind, str]]:
    """What an instruction in a stage reads from: images or stages."""
    match command.cmd.lower():
        case "copy":
            yield from ((Kind.COPY_FROM, name) for name in _flags(command, "from"))
        case "run":
            for mount in _flags(command, "mount"):
                for option in mount.split(","):
                    key, _, value = option.strip().partition("=")
                    if key.lower() == "from":
                        yield Kind.MOUNT_FROM, value.strip("\"'")


def _platform_values(circumstances: Circumstances) -> dict[str, str | None]:
    """The variables that every Dockerfile has without an `ARG`."""
    values: dict[str, str | None] = {}
    for prefix, platform in (
        ("BUILD", circumstances.machine),
        ("TARGET", circumstances.target_platform or circumstances.machine),
    ):
        system, _, rest = platform.partition("/")
        architecture, _, variant = rest.partition("/")
        values |= {
            f"{prefix}PLATFORM": platform,
            f"{prefix}OS": system,
            f"{prefix}ARCH": architecture,
            f"{prefix}VARIANT": variant,
            f"{prefix}OSVERSION": "",
        }
    values["TARGETSTAGE"] = "default"
    return values | {name: value for name, value in circumstances.args.items() if name in values}
