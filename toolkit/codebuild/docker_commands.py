"""What the `docker` commands of a shell text fetch and build.

Options are known by what they take, as Docker's client has them; a command that does not fit is said to be not
understood, because what it fetches cannot be seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from toolkit.codebuild.build_fields import attested_scanner, cache_image, is_elsewhere, sbom_scanner
from toolkit.codebuild.coverage import Builder, Kind, Strategy
from toolkit.codebuild.docker_options import (
    BUILD_FLAGS,
    COMPOSE_FLAGS,
    CREATE_FLAGS,
    GLOBAL_FLAGS,
    PULL_FLAGS,
    RUN_FLAGS,
    Options,
    is_on,
    read_options,
)
from toolkit.codebuild.findings import Build, Follow, NamedImage, Reading, Trouble
from toolkit.codebuild.shell_words import Command, read_commands
from toolkit.codebuild.variables import CannotExpand, Values, Word, interpolate

BUILDKIT_IMAGE = "moby/buildkit:buildx-stable-1"

_COMPOSE_STARTS = frozenset({"build", "up", "run", "create", "pull", "watch"})
_COPY_OF_FRAGMENT = re.compile(
    r"\$(?:TOOLKIT_DOCKERFILE|\{TOOLKIT_DOCKERFILE\}|\{?TOOLKIT_DOCKERFILES\}?/(?P<name>.+))"
)
"""What the strategy `direct` exports: copies of the Dockerfiles at the root of the source."""
_CONTEXTS_OF_FRAGMENT = ("$TOOLKIT_BUILD_CONTEXTS", "${TOOLKIT_BUILD_CONTEXTS}")

# Commands to which `docker` is a word like any other.
_SPEAKERS = frozenset(
    {"echo", "printf", "which", "type", "hash", "grep", "cat", "test", "[", "systemctl", "service"}
    | {"apt-get", "apt", "yum", "dnf", "apk", "pip", "pip3", "npm", "amazon-linux-extras", "usermod", "pkill"}
)
_SHELLS = frozenset({"sh", "bash", "ash", "dash"})
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_DOCKER_IN_WORD = re.compile(r"\bdocker(-compose)?\s+(build|buildx|pull|run|create|compose|image|container|up)\b")


@dataclass(slots=True)
class _State:
    """What earlier commands have set."""

    values: dict[str, str | None]
    folder: str = "."
    folders: list[str] = field(default_factory=list)
    builder: Builder | None = None
    images: list[NamedImage] = field(default_factory=list)
    builds: list[Build] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    follows: list[Follow] = field(default_factory=list)


class CommandReader:
    """Reads one command after another: what a `cd`, an `export` or a builder made holds for those that follow."""

    def __init__(self, values: Values) -> None:
        self._state = _State(dict(values))

    def read(self, text: str, first_line: int = 1) -> None:
        """Take in the commands of `text`."""
        for command in read_commands(text, first_line):
            if command.words:
                self._read_simple(command)
            elif "docker" in command.text:
                self._give_up(command, "its quotes do not close")

    @property
    def reading(self) -> Reading:
        """What was found so far."""
        state = self._state
        return Reading(
            tuple(state.images), tuple(state.builds), tuple(state.troubles), tuple(state.tags), tuple(state.follows)
        )

    def _give_up(self, command: Command, why: str) -> None:
        text = " ".join(command.text.split())
        shown = text if len(text) <= 80 else f"{text[:77]}..."
        self._state.troubles.append(Trouble(command.line, f"not understood, {why}: `{shown}`", is_fault=True))

    def _read_simple(self, command: Command) -> None:
        words = list(command.words)
        own = dict(self._state.values)
        while words and (words[0] in ("export", "env") or _ASSIGNMENT.fullmatch(words[0])):
            match = _ASSIGNMENT.fullmatch(words.pop(0))
            if match:
                word = self._expanded(match[2])
                own[match[1]] = None if word.unset else word.text
        if not words:
            self._state.values = own
            return
        if words[0] in ("cd", "pushd", "popd", "(", ")"):
            self._move(words)
            return
        names = [word.rpartition("/")[2] for word in words]
        if names[0] in _SPEAKERS or (names[0] == "sudo" and len(names) > 1 and names[1] in _SPEAKERS):
            return
        if names[0] in _SHELLS and "-c" in words[:-1]:
            self.read(words[words.index("-c") + 1], command.line)
        elif "docker" in names or "docker-compose" in names:
            at = next(n for n, name in enumerate(names) if name in ("docker", "docker-compose"))
            arguments = words[at + 1 :]
            if names[at] == "docker-compose":
                arguments = ["compose", *arguments]
            self._read_docker(_Call(command, arguments, own))
        elif any(_DOCKER_IN_WORD.search(word) for word in words):
            self._give_up(command, "a docker command is inside a word")
        elif script := _script(words, names):
            message = f"`{script}` runs other commands, which are not read: look there for what it fetches"
            self._state.troubles.append(Trouble(command.line, message))

    def _move(self, words: list[str]) -> None:
        match words:
            case ["(", *_]:
                self._state.folders.append(self._state.folder)
            case [")" | "popd", *_]:
                self._state.folder = self._state.folders.pop() if self._state.folders else self._state.folder
            case [command, target]:
                if command == "pushd":
                    self._state.folders.append(self._state.folder)
                self._change_folder(target)

    def _change_folder(self, target: str) -> None:
        found = self._expanded(target)
        if target in ("$CODEBUILD_SRC_DIR", "${CODEBUILD_SRC_DIR}"):
            self._state.folder = "."
        elif target == "-" or found.unset or found.text.startswith(("/", "~")):
            self._state.folder = "?"  # nobody knows; builds from here say so
        else:
            self._state.folder = f"{self._state.folder}/{found.text}"

    def _expanded(self, text: str) -> Word:
        try:
            word = interpolate(text, self._state.values)
        except CannotExpand:
            return Word(text, (text,))
        is_left = "$" in word.text or "`" in word.text
        return Word(word.text, (*word.unset, *([text] if is_left and not word.unset else [])))

    def _read_docker(self, call: _Call) -> None:
        _, rest = read_options(call.words, GLOBAL_FLAGS, stops=True)
        match rest:
            case ["build", *words] | ["buildx" | "builder" | "image", "build" | "b", *words]:
                known = len(self._state.builds)
                self._read_build(call, words, is_buildx=rest[0] != "build")
                if len(self._state.builds) == known:  # not understood, and yet it makes what it says
                    self._state.tags += self._tags(words)
            case ["pull", *words] | ["image", "pull", *words]:
                self._read_images(call, words, PULL_FLAGS, Kind.PULL)
            case ["run" | "create", *words] | ["container", "run" | "create", *words]:
                self._read_images(call, words, RUN_FLAGS, Kind.RUN)
            case ["buildx", "create", *words]:
                self._read_create(call, words)
            case ["buildx", "use", name, *_]:
                self._state.builder = None if name == "default" else Builder.CONTAINER
            case ["buildx", "bake", *words]:
                options, _ = read_options(words, BUILD_FLAGS)
                files = [value for name, value in options if name in ("-f", "--file")] or ["docker-bake.hcl"]
                self._follow(call, files, options, "bake", pulls_always=is_on(options, "--pull"))
                if any(name == "--set" for name, _ in options):
                    self._state.troubles.append(Trouble(call.command.line, "what `--set` changes is not read"))
            case ["tag", _, name] | ["image", "tag", _, name]:
                word = self._expanded(name)
                self._state.tags += [] if word.unset else [word.text]
            case ["compose", *words]:
                self._read_compose(call, words)

    def _follow(self, call: _Call, files: list[str], options: Options, kind: str, *, pulls_always: bool) -> None:
        for file in files:
            found = self._expanded(file)
            if found.unset or file == "-":
                self._give_up(call.command, f"the file `{file}` is not known")
            else:
                path = f"{self._state.folder}/{found.text}"
                builder = self._builder(call, options, is_buildx=True)
                self._state.follows.append(Follow(call.command.line, path, kind, pulls_always, builder))

    def _read_compose(self, call: _Call, words: list[str]) -> None:
        options, rest = read_options(words, COMPOSE_FLAGS, stops=True)
        if not rest or rest[0] not in _COMPOSE_STARTS:
            return
        files = [value for name, value in options if name in ("-f", "--file")]
        asked = " ".join(rest[1:])
        pulls = "--pull=always" in asked or "--pull always" in asked or (rest[0] == "build" and "--pull" in rest)
        pulls = pulls or rest[0] == "pull"
        own, _ = read_options([one for one in rest[1:] if "=" in one], COMPOSE_FLAGS)
        self._follow(call, files or ["compose.yaml"], [*options, *own], "compose", pulls_always=pulls)

    def _read_images(self, call: _Call, words: list[str], flags: frozenset[str], kind: Kind) -> None:
        options, rest = read_options(words, flags, stops=True)
        if not rest:
            self._give_up(call.command, "it names no image")
            return
        platform = next(iter(self._platforms(call, options)), None)
        pulls = any(name == "--pull" and value == "always" for name, value in options)
        self._note(call, kind, rest[0], platform=platform, pulls_always=pulls)

    def _note(
        self, call: _Call, kind: Kind, written: str, *, platform: str | None = None, pulls_always: bool = False
    ) -> None:
        word = self._expanded(written)
        self._state.images.append(
            NamedImage(call.command.line, kind, written, word.text, platform, word.unset, pulls_always)
        )

    def _read_create(self, call: _Call, words: list[str]) -> None:
        options, _ = read_options(words, CREATE_FLAGS)
        driver = next((value for name, value in options if name == "--driver"), "docker-container")
        if driver != "docker-container":
            self._give_up(call.command, f"the builder's driver is `{driver}`")
            return
        details = [part for name, value in options if name == "--driver-opt" for part in value.split(",")]
        own = [part.removeprefix("image=") for part in details if part.startswith("image=")]
        self._note(call, Kind.BUILDER_IMAGE, own[-1] if own else BUILDKIT_IMAGE)
        if any(name == "--use" for name, _ in options):
            self._state.builder = Builder.CONTAINER

    def _read_build(self, call: _Call, words: list[str], *, is_buildx: bool) -> None:
        options, rest = read_options([one for one in words if one not in _CONTEXTS_OF_FRAGMENT], BUILD_FLAGS)
        if len(rest) != 1:
            self._give_up(call.command, "it has to name one folder")
            return
        written = next((value for name, value in options if name in ("-f", "--file")), None)
        if "-" in (rest[0], written):
            if call.command.stdin is None:
                self._give_up(call.command, "its Dockerfile comes from another command")
                return
            written = call.command.stdin
        context = self._expanded(rest[0] if rest[0] != "-" else ".")
        file = self._dockerfile(written) if written is not None else None
        if context.unset or (file and file.unset) or "?" in self._state.folder or is_elsewhere(context.text):
            self._give_up(call.command, "its Dockerfile is somewhere else")
            return
        used = {Strategy.DIRECT} if written and _COPY_OF_FRAGMENT.fullmatch(written) else set()
        used |= {Strategy.CONTEXTS for one in words if one in _CONTEXTS_OF_FRAGMENT}
        builder = self._builder(call, options, is_buildx=is_buildx)
        for name, value in options:
            scanner = {"--sbom": sbom_scanner, "--attest": attested_scanner}.get(name, lambda _: None)(value)
            if scanner:
                self._note(call, Kind.SBOM, scanner)
        for name, value in options:
            if name == "--cache-from" and (cache := cache_image(value)):
                self._note(call, Kind.CACHE_FROM, cache)
        contexts = self._pairs(call, options, "--build-context")
        if None in contexts.values():
            self._give_up(call.command, "a build context has no known value")
        targets = [self._expanded(value) for name, value in options if name == "--target"] or [Word("")]
        self._state.builds.append(
            Build(
                line=call.command.line,
                context=f"{self._state.folder}/{context.text}",
                dockerfile=file.text if file else None,
                args=self._pairs(call, options, "--build-arg"),
                contexts={name: value for name, value in contexts.items() if value is not None},
                platforms=self._platforms(call, options),
                target=targets[-1].text or None,
                is_target_known=not targets[-1].unset,
                pulls_always=is_on(options, "--pull"),
                builder=builder,
                asks_buildkit=is_buildx or call.values.get("DOCKER_BUILDKIT") == "1",
                tags=self._tags(words),
                unused=frozenset({Strategy.CONTEXTS, Strategy.DIRECT} - used),
            )
        )

    def _tags(self, words: list[str]) -> tuple[str, ...]:
        options, _ = read_options(words, BUILD_FLAGS)
        found = [self._expanded(value) for name, value in options if name in ("-t", "--tag")]
        return tuple(word.text for word in found if not word.unset)

    def _dockerfile(self, written: str) -> Word:
        """The file that is built, by its path from the root."""
        if copy := _COPY_OF_FRAGMENT.fullmatch(written):
            return Word(copy["name"] or "Dockerfile")
        word = self._expanded(written)
        return Word(f"{self._state.folder}/{word.text}", word.unset)

    def _builder(self, call: _Call, options: Options, *, is_buildx: bool) -> Builder | None:
        named = next((value for name, value in options if name == "--builder"), call.values.get("BUILDX_BUILDER"))
        if named is not None:
            return Builder.BUILDKIT if named == "default" else Builder.CONTAINER
        if call.values.get("DOCKER_BUILDKIT") == "0" and not is_buildx:
            return Builder.LEGACY
        # `docker build` knows `BUILDX_BUILDER`, not what `buildx use` chose.
        return self._state.builder if is_buildx else None

    def _pairs(self, call: _Call, options: Options, option: str) -> dict[str, str | None]:
        """`KEY=VALUE`, None where it is not known; a key alone has the value of the variable that the client sees."""
        pairs: dict[str, str | None] = {}
        for name, value in options:
            if name == option:
                key, has_value, text = value.partition("=")
                word = self._expanded(text)
                known = None if word.unset else word.text
                pairs[key] = known if has_value else call.values.get(key)
        return pairs

    def _platforms(self, call: _Call, options: Options) -> tuple[str, ...]:
        words = [self._expanded(value) for name, value in options if name == "--platform"]
        if any(word.unset for word in words):
            self._give_up(call.command, "its platform is not known")
        return tuple(part for word in words for part in word.text.split(",") if part and not word.unset)


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of the client; `values` are the variables that it sees."""

    command: Command
    words: list[str]
    values: Values


def _script(words: list[str], names: list[str]) -> str | None:
    """The file or Makefile whose commands are run, where that can be seen."""
    if names[0] in _SHELLS | {"source", "."} and len(words) > 1 and not words[1].startswith("-"):
        return words[1]
    return words[0] if names[0] == "make" or words[0].startswith("./") or names[0].endswith(".sh") else None
