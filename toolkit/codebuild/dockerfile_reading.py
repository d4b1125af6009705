"""The images that a Dockerfile names.

`dockerfile_parser` gives the instructions; what a name means (a stage, a named context, `scratch` or an image) follows
BuildKit's frontend.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from toolkit.codebuild.coverage import Kind
from toolkit.codebuild.dockerfile_parser import DockerfileError, Instruction, find_syntax, parse_dockerfile
from toolkit.codebuild.findings import NamedImage, Reading, Trouble
from toolkit.codebuild.variables import CannotExpand, Values, Word, expand

MAX_TEXT = 1024 * 1024
"""Longer text is refused."""

_IMAGE_SCHEME = "docker-image://"
_SCRATCH = "scratch"
_SYNTAX_ARGUMENT = "BUILDKIT_SYNTAX"
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
_PATTERN = re.compile(r"\$\{\w+(:?\?|[#%/])")
_NAME = re.compile(r"\$\{?(\w+)")
_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a build passes to a Dockerfile: `--build-arg`, `--build-context`, and the platforms of target and machine.

    `target` is the stage that is built, by name or number; None for the last. If the target is not known, every stage
    counts.
    """

    args: Values = field(default_factory=dict)
    contexts: Values = field(default_factory=dict)
    target: str | None = None
    is_target_known: bool = True
    target_platform: str | None = None
    machine: str = "linux/amd64"


def read_dockerfile(text: str, circumstances: Circumstances | None = None) -> Reading:
    """Every image that building `text` may fetch, and what is wrong with the text.

    No builder reads the stages after the target: their images are in `behind`. The legacy builder builds every stage
    before the target.
    """
    reader = _Reader(text, circumstances or Circumstances())
    reader.read()
    return Reading(reader.images, troubles=tuple(reader.troubles), behind=reader.behind)


class _Stages:
    """Stages by number and name, and which of them needs which. Names are in lower case; "" is a stage without one."""

    def __init__(self, names: Sequence[str]) -> None:
        self._count = len(names)
        self._numbers: defaultdict[str, list[int]] = defaultdict(list)
        for number, name in enumerate(names):
            self._numbers[name].append(number)
        self._needs: defaultdict[int, set[int]] = defaultdict(set)

    def find(self, name: str, *, before: int | None = None) -> int | None:
        """The last stage of this name, or the last before the stage number `before`."""
        numbers = self._numbers.get(name.lower(), []) if name else []
        end = len(numbers) if before is None else bisect_left(numbers, before)
        return numbers[end - 1] if end else None

    def find_target(self, target: str | None) -> int | None:
        """The stage that `--target` names, by name or number; the last stage without a target."""
        if target is None:
            return self._count - 1
        found = self.find(target)
        return found if found is not None else self.numbered(target)

    def numbered(self, text: str) -> int | None:
        """The stage with this number, counted from 0; None if there is none."""
        is_number = text.isascii() and text.isdecimal() and len(text) < 10
        return int(text) if is_number and int(text) < self._count else None

    def need(self, stage: int, other: int) -> None:
        """Note that `stage` starts from `other` or copies from it."""
        self._needs[stage].add(other)

    def reached_from(self, stage: int) -> set[int]:
        """The stages that are built for `stage`, itself included."""
        reached: set[int] = set()
        waiting = [stage]
        while waiting:
            number = waiting.pop()
            if number not in reached:
                reached.add(number)
                waiting += self._needs[number]
        return reached


class _Reader:
    def __init__(self, text: str, circumstances: Circumstances) -> None:
        self._text = text.removeprefix("\ufeff").replace("\r\n", "\n")
        self._lines = self._text.split("\n")
        self._circumstances = circumstances
        self._syntax = find_syntax(self._text)
        self._escape = "\\"
        self._contexts = {name.lower(): value for name, value in circumstances.contexts.items()}
        self._values = _platform_values(circumstances)
        self._stages = _Stages(())
        self._stage = -1
        self._line = 0
        self._starts: list[tuple[int, int]] = []
        self._with_pattern: set[str] = set()
        self._found: list[tuple[int, NamedImage]] = []
        self.troubles: list[Trouble] = []

    @property
    def images(self) -> tuple[NamedImage, ...]:
        """The images up to the target; those that the target does not need are marked."""
        target = self._stages.find_target(self._circumstances.target)
        if target is None:
            return ()
        if not self._circumstances.is_target_known:
            return tuple(self._triggered(stage, one, None) for stage, one in self._found)
        reached = {-1, *self._stages.reached_from(target)}
        return tuple(
            replace(self._triggered(stage, one, reached), is_unused=stage not in reached)
            for stage, one in self._found
            if stage <= target
        )

    def _triggered(self, stage: int, image: NamedImage, reached: set[int] | None) -> NamedImage:
        """The image, marked if a stage among `reached` runs its trigger; None stands for every stage."""
        started = (base for later, base in self._starts if reached is None or later in reached)
        return replace(image, is_triggered=True) if image.kind is Kind.ONBUILD and stage in started else image

    @property
    def behind(self) -> tuple[NamedImage, ...]:
        """The images of stages after the target."""
        target = self._stages.find_target(self._circumstances.target)
        if target is None or not self._circumstances.is_target_known:
            return ()
        return tuple(one for stage, one in self._found if stage > target)

    def read(self) -> None:
        """Go through the instructions."""
        if self._has_frontend:
            self._note_frontend()
        instructions = self._instructions()
        self._stages = _Stages([_stage_name(one) for one in instructions if one.name == "from"])
        for instruction in instructions:
            if instruction.name == "from":
                self._stage += 1
                self._read_from(instruction)
            elif instruction.name == "arg" and self._stage < 0:
                self._read_args(instruction)
            elif not instruction.is_known:
                # The name is not quoted: a file of secrets may be called a Dockerfile.
                self._fault(instruction, "it is not an instruction of a Dockerfile")
            elif self._stage < 0:
                self._fault(instruction, f"`{instruction.name.upper()}` stands before the first `FROM`")
            else:
                self._read_in_stage(instruction)
        if self._stage < 0 and not self.troubles:
            self.troubles.append(Trouble(1, "there is no `FROM`", is_fault=True))
        elif self._stages.find_target(self._circumstances.target) is None:
            self.troubles.append(Trouble(1, f"there is no stage `{self._circumstances.target}`", is_fault=True))

    @property
    def _has_frontend(self) -> bool:
        return self._syntax is not None or _SYNTAX_ARGUMENT in self._circumstances.args

    def _note_frontend(self) -> None:
        """BuildKit reads the build argument first, and does so without a `# syntax=` line too."""
        line, written = (self._syntax.line, self._syntax.value) if self._syntax else (1, _SYNTAX_ARGUMENT)
        own = self._circumstances.args.get(_SYNTAX_ARGUMENT, written)
        name = (own or "").strip().partition(" ")[0]
        unset = () if own is not None else (_SYNTAX_ARGUMENT,)
        self._found.append((-1, NamedImage(line, Kind.SYNTAX, written, name, self._machine, unset)))

    def _instructions(self) -> tuple[Instruction, ...]:
        unusable = _UNUSABLE.search(self._text)
        if unusable:
            line = self._text.count("\n", 0, unusable.start()) + 1
            message = f"the character U+{ord(unusable.group()):04X} has no place in a Dockerfile"
            self.troubles.append(Trouble(line, message, is_fault=True))
            return ()
        if len(self._text) > MAX_TEXT:
            self.troubles.append(Trouble(1, f"it has more than {MAX_TEXT:,} characters", is_fault=True))
            return ()
        try:
            dockerfile = parse_dockerfile(self._text)
        except DockerfileError as error:
            self.troubles.append(Trouble(error.line, error.message, is_fault=True))
            return ()
        self._escape = dockerfile.escape
        return dockerfile.instructions

    @property
    def _machine(self) -> str:
        return self._circumstances.machine

    @property
    def _target(self) -> str:
        return self._circumstances.target_platform or self._machine

    def _fault(self, instruction: Instruction, message: str) -> None:
        self.troubles.append(Trouble(instruction.start_line, message, is_fault=True))

    def _expanded(self, instruction: Instruction, text: str) -> Word | None:
        try:
            return expand(text, self._values, escape=self._escape)
        except CannotExpand as error:
            self._fault(instruction, f"`{text}` cannot be read: {error}")
            return None

    def _read_args(self, instruction: Instruction) -> None:
        for assignment in instruction.value:
            name, has_default, default = assignment.partition("=")
            if self._has_pattern(default):
                self._with_pattern.add(name)
            if name in self._circumstances.args:
                self._values[name] = self._circumstances.args[name]
            elif has_default and (word := self._expanded(instruction, default)) is not None:
                self._values[name] = None if word.unset else word.text

    def _has_pattern(self, text: str) -> bool:
        return _PATTERN.search(text) is not None or not self._with_pattern.isdisjoint(_NAME.findall(text))

    def _read_from(self, instruction: Instruction) -> None:
        """Note what a stage starts from: an image or an earlier stage."""
        name = _stage_name(instruction)
        if len(instruction.value) != 1 and not name:
            self._fault(instruction, "`FROM` takes an image, and `AS` with a name if the stage has one")
            return
        if name and not _STAGE_NAME.fullmatch(name):
            self._fault(instruction, f"`{instruction.value[2]}` cannot name a stage")
        word = self._expanded(instruction, instruction.value[0])
        platform = self._platform(instruction)
        if word is None or word.text == _SCRATCH:
            return
        base = self._stages.find(word.text, before=self._stage)
        if base is not None and not word.unset:
            self._stages.need(self._stage, base)
            self._starts.append((self._stage, base))
        elif not word.text and not word.unset:
            self._fault(instruction, f"`{instruction.value[0]}` comes to no image")
        else:
            self._note(instruction, Kind.FROM, instruction.value[0], word, platform, name)

    def _platform(self, instruction: Instruction) -> Word:
        for text in instruction.flag_values("platform"):
            return self._expanded(instruction, text) or Word("")
        return Word(self._target)

    def _read_in_stage(self, instruction: Instruction) -> None:
        if instruction.name != "onbuild":
            for kind, name in _froms(instruction):
                self._read_source(instruction, kind, name)
            return
        trigger = instruction.trigger
        if trigger is None:
            self._fault(instruction, "`ONBUILD` needs an instruction")
            return
        if trigger.name in ("from", "onbuild", "maintainer"):
            self._fault(instruction, f"`ONBUILD` cannot be followed by `{trigger.name.upper()}`")
        for _, name in _froms(trigger):
            self._read_source(instruction, Kind.ONBUILD, name)

    def _read_source(self, instruction: Instruction, kind: Kind, name: str) -> None:
        """Note what a stage copies from or mounts: an image or a stage. `COPY` may give a stage by its number."""
        is_number = kind is not Kind.MOUNT_FROM and name.isdecimal()
        stage = self._stages.numbered(name) if is_number else self._stages.find(name)
        if any(letter in name for letter in "$\"'"):
            message = f"Docker expands no variable in `{name}`: start a stage from the image and name that"
            self._fault(instruction, message)
        elif stage is not None:
            self._stages.need(self._stage, stage)
        elif is_number and kind is Kind.COPY_FROM:
            self._fault(instruction, f"there is no stage {name}: they count from 0")
        elif name and name != _SCRATCH and not is_number:
            self._note(instruction, kind, name, Word(name), Word(self._target))

    def _note(
        self, instruction: Instruction, kind: Kind, written: str, word: Word, platform: Word, own_name: str = ""
    ) -> None:
        names = (own_name, word.text.lower(), word.text.lower().removesuffix(":latest"))
        context = next((name for name in names if name in self._contexts), None)
        replaced = self._contexts[context] if context is not None else None
        if context is not None and (replaced is None or not replaced.startswith(_IMAGE_SCHEME)):
            return  # a folder, another build, or what its build is said not to know
        image = NamedImage(
            line=self._line_of(instruction, written),
            kind=kind,
            written=written,
            name=replaced.removeprefix(_IMAGE_SCHEME) if replaced is not None else word.text,
            platform=platform.text or None,
            unset=word.unset if replaced is None else (),
            follows_syntax=self._has_frontend,
            has_pattern=kind is Kind.FROM and self._has_pattern(written),
        )
        if platform.unset:
            names_unset = ", ".join(f"`{name}`" for name in platform.unset)
            message = f"its platform needs {names_unset}, which has no known value"
            self.troubles.append(Trouble(image.line, message, is_fault=True))
        self._found.append((self._stage, image))

    def _line_of(self, instruction: Instruction, written: str) -> int:
        """The line of an instruction that has `written`. Names come in their order, so each line is read once."""
        for number in range(max(self._line, instruction.start_line), instruction.end_line + 1):
            if written in self._lines[number - 1]:
                self._line = number
                return number
        self._line = instruction.end_line + 1
        return instruction.start_line


def _stage_name(instruction: Instruction) -> str:
    """The name of the stage that a `FROM` begins, in lower case; "" for none."""
    has_name = len(instruction.value) == 3 and instruction.value[1].lower() == "as"
    return instruction.value[2].lower() if has_name else ""


def _froms(instruction: Instruction) -> Iterator[tuple[Kind, str]]:
    """The images and stages that an instruction in a stage reads from."""
    match instruction.name:
        case "copy":
            yield from ((Kind.COPY_FROM, name) for name in instruction.flag_values("from"))
        case "run":
            for mount in instruction.flag_values("mount"):
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
