"""The images that calls of Docker's client fetch and build.

The tables say which options take a value. A call that does not fit them is reported as not understood, because the
scan cannot see what it fetches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from toolkit.codebuild.build_fields import attested_scanner, cache_image, is_elsewhere, sbom_scanner
from toolkit.codebuild.coverage import Builder, Kind
from toolkit.codebuild.findings import UNUSED, Build, Follow, NamedImage, Reading, Removal, Trouble
from toolkit.codebuild.shell_state import NOWHERE, ShellState
from toolkit.codebuild.shell_words import Command
from toolkit.codebuild.variables import Values, Word
from toolkit.manifest.strategy import Strategy

BUILDKIT_IMAGE = "moby/buildkit:buildx-stable-1"

_SET_KNOWN = re.compile(
    r"((args|contexts|labels)\..+|annotations|attest|cache-from|cache-to|context|dockerfile|load|no-cache|output|platform"
    r"|pull|push|tags|target)\+?"
)

_COPY_OF_FRAGMENT = re.compile(
    r"\$(?:TOOLKIT_DOCKERFILE|\{TOOLKIT_DOCKERFILE\}|\{?TOOLKIT_DOCKERFILES\}?/(?P<name>.+))"
)
"""The variables that the strategy `direct` exports: paths of copies of the Dockerfiles."""
_CONTEXTS_OF_FRAGMENT = ("$TOOLKIT_BUILD_CONTEXTS", "${TOOLKIT_BUILD_CONTEXTS}")


# The options of each command that take no value, and the commands that fetch nothing.
Options = list[tuple[str, str]]
"""Names and values in the order of the command; a flag has the value `true`."""

DEBUG_FLAGS = frozenset({"-D", "--debug"})
GLOBAL_FLAGS = frozenset({"-D", "--debug", "--tls", "--tlsverify", "-v", "--version"})
BUILD_FLAGS = frozenset(
    {"--pull", "--no-cache", "-q", "--quiet", "--load", "--push", "--rm", "--force-rm", "--compress", "--squash"}
    | {"--disable-content-trust", "--stream", "-D", "--debug", "--check"}
    | {"--print"}
)
RUN_FLAGS = frozenset(
    {"-d", "--detach", "-i", "--interactive", "-t", "--tty", "--rm", "--privileged", "--init", "--read-only", "-P"}
    | {"--publish-all", "--no-healthcheck", "--oom-kill-disable", "--sig-proxy", "--disable-content-trust", "-q"}
    | {"--quiet", "--use-api-socket"}
)
PULL_FLAGS = frozenset({"-a", "--all-tags", "-q", "--quiet", "--disable-content-trust"})
REMOVE_IMAGE_FLAGS = frozenset({"-f", "--force", "--no-prune"})
COMMIT_FLAGS = frozenset({"-p", "--pause", "--no-pause"})
CREATE_FLAGS = frozenset({"--bootstrap", "--use", "--append", "--leave", "-D", "--debug"})
USE_FLAGS = frozenset({"--default", "--global"} | DEBUG_FLAGS)
REMOVE_FLAGS = frozenset({"--all-inactive", "-f", "--force", "--keep-daemon", "--keep-state"} | DEBUG_FLAGS)
LOOK_FLAGS = frozenset(
    {"--raw", "--insecure", "-v", "--verbose", "-a", "--amend", "--append", "--dry-run", "--prefer-index"} | DEBUG_FLAGS
)
"""Of `manifest` and `imagetools`, which read manifests in the registry."""
COMPOSE_FLAGS = frozenset({"--all-resources", "--compatibility", "--dry-run", "--verbose"})
COMPOSE_BUILD_FLAGS = frozenset(
    {"--check", "--compress", "--force-rm", "--no-cache", "--no-rm", "--parallel", "--print", "--pull", "--push"}
    | {"-q", "--quiet", "--with-dependencies"}
)
COMPOSE_START_FLAGS = frozenset(
    {"--abort-on-container-exit", "--abort-on-container-failure", "--always-recreate-deps", "--attach-dependencies"}
    | {"--build", "-d", "--detach", "--force-recreate", "--menu", "--no-build", "--no-color", "--no-deps", "--no-TTY"}
    | {"--no-log-prefix", "--no-recreate", "--no-start", "--no-up", "--no-parallel", "--parallel", "--prune", "--quiet"}
    | {"--quiet-build", "--quiet-pull", "--remove-orphans", "-V", "--renew-anon-volumes", "--timestamps", "--wait"}
    | {"--watch", "-y", "--yes", "-i", "--interactive", "-T", "-q", "--rm", "-P", "--service-ports", "--use-aliases"}
    | {"--ignore-buildable", "--ignore-pull-failures", "--include-deps"}
)
"""Of all commands that start services or pull images for them."""

COMPOSE_STARTS = frozenset({"up", "run", "create", "pull", "watch", "scale"})
COMPOSE_LOCAL = frozenset(
    {"down", "stop", "start", "restart", "kill", "rm", "ps", "logs", "exec", "config", "convert", "ls", "images"}
    | {"port", "top", "events", "pause", "unpause", "version", "push", "cp", "wait", "attach", "stats", "volumes"}
    | {"help"}
)
LOCAL = frozenset(
    {"login", "logout", "ps", "images", "info", "version", "tag", "push", "rmi", "rm", "stop", "start", "kill", "logs"}
    | {"exec", "cp", "save", "load", "import", "export", "inspect", "network", "volume", "system", "history", "commit"}
    | {"attach", "diff", "events", "pause", "unpause", "port", "rename", "restart", "stats", "top", "update", "wait"}
    | {"context", "container", "help", "swarm", "node", "secret", "config"}
)
"""Commands that fetch no image, alone and in the groups below."""
GROUPS = ("image", "buildx", "builder", "manifest")
LOCAL_IN_GROUP = LOCAL | {"ls", "list", "prune", "annotate", "du", "install", "uninstall", "dial-stdio"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the client; `values` are the variables that it sees.

    `is_certain`: the command runs the client, rather than having a word that looks like it.
    """

    command: Command
    words: list[str]
    values: Values
    is_certain: bool = True


class DockerCalls:
    """Reads calls in order, each with the current state of `shell`. A builder that one chooses holds for the next."""

    def __init__(self, shell: ShellState) -> None:
        self._shell = shell
        self._builder_name: str | None = None
        self._images: list[NamedImage] = []
        self._builds: list[Build] = []
        self._tags: list[str | Follow | Removal] = []
        self.troubles: list[Trouble] = []

    @property
    def reading(self) -> Reading:
        """What was found so far."""
        return Reading(tuple(self._images), tuple(self._builds), tuple(self.troubles), tuple(self._tags))

    def give_up(self, command: Command, why: str) -> None:
        """Note a command that was not understood."""
        text = " ".join(command.text.split())
        shown = text if len(text) <= 80 else f"{text[:77]}..."
        self.troubles.append(Trouble(command.line, f"not understood, {why}: `{shown}`", is_fault=True))

    def follow(self, follow: Follow) -> None:
        """Note what a command other than Docker's client runs."""
        self._tags.append(follow)

    def read(self, call: Call) -> None:
        """Read one call."""
        _, rest = read_options(call.words, GLOBAL_FLAGS, stops=True)
        if rest[:1] in (["buildx"], ["builder"]):  # their options may come before the command
            _, behind = read_options(rest[1:], DEBUG_FLAGS, stops=True)
            rest = [rest[0], *behind[:1], *rest[1 : len(rest) - len(behind)], *behind[1:]]
        match rest:
            case ["build", *words] | ["buildx" | "builder" | "image", "build" | "b", *words]:
                is_buildx = rest[0] != "build"
                self._read_build(call, words, is_buildx=is_buildx)
                if self._loads(call, words, is_buildx=is_buildx):
                    self._tags += self._names(words)  # also for a build that was not understood
            case ["pull", *words] | ["image", "pull", *words]:
                self._read_images(call, words, PULL_FLAGS, Kind.PULL)
            case ["run" | "create", *words] | ["container", "run" | "create", *words]:
                self._read_images(call, words, RUN_FLAGS, Kind.RUN)
            case ["buildx", "create", *words]:
                self._read_create(call, words)
            case ["buildx", "use", *words]:
                names = read_options(words, USE_FLAGS)[1]
                self._builder_name = names[0] if names and names[0] != "default" else None
            case ["buildx", "rm", *words]:
                names = read_options(words, REMOVE_FLAGS)[1]
                self._builder_name = self._builder_name if names and self._builder_name not in names else None
            case ["bake", *words] | ["buildx", "bake" | "f", *words]:
                self._read_bake(call, words)
            case ["tag", _, name] | ["image", "tag", _, name]:
                word = self._shell.expanded(name)
                self._tags += [] if word.unset else [word.text]
            case ["import" | "commit", *words] | ["image", "import", *words] | ["container", "commit", *words]:
                named = [self._shell.expanded(name) for name in read_options(words, COMMIT_FLAGS)[1][1:2]]
                self._tags += [word.text for word in named if not word.unset]
            case ["rmi", *words] | ["image", "rm" | "remove", *words]:
                gone = [self._shell.expanded(name) for name in read_options(words, REMOVE_IMAGE_FLAGS)[1]]
                is_known = not any(word.unset for word in gone)
                self._tags.append(Removal(tuple(word.text for word in gone) if is_known else ()))
            case ["image" | "system", "prune", *words]:
                if any(word == "--all" or re.fullmatch("-[af]*a[af]*", word) for word in words):
                    self._tags.append(Removal())
            case ["compose", *words]:
                self._read_compose(call, words)
            case ["manifest", "inspect", *words] | ["buildx", "imagetools", "inspect" | "create", *words]:
                self._read_looks(call, words)
            case ["manifest", "create", *words]:
                self._read_looks(call, words, is_list=True)
            case ["buildx", "imagetools"] | []:
                pass
            case [group, *behind] if group in GROUPS and (not behind or behind[0] in LOCAL_IN_GROUP):
                pass
            case [name, *_] if name not in LOCAL and call.is_certain:
                self.give_up(call.command, "what it fetches is not known")

    def _read_images(self, call: Call, words: list[str], flags: frozenset[str], kind: Kind) -> None:
        options, rest = read_options(words, flags, stops=True)
        if not rest:
            self.give_up(call.command, "it names no image")
            return
        platform = next(iter(self._platforms(call, options)), None)
        pulls = any(value == "always" or "$" in value for value in values_of(options, "--pull"))
        self._note(call, kind, rest[0], platform=platform, pulls_always=pulls)

    def _read_looks(self, call: Call, words: list[str], *, is_list: bool = False) -> None:
        """The client requests the manifests itself, as a pull does. With `is_list` the first name is a new list."""
        options, rest = read_options(words, LOOK_FLAGS)
        names = rest[1:] if is_list else rest
        if not names or values_of(options, "-f", "--file"):
            self.give_up(call.command, "it names no image")
        for name in names:
            self._note(call, Kind.PULL, name)

    def _note(
        self, call: Call, kind: Kind, written: str, *, platform: str | None = None, pulls_always: bool = False
    ) -> None:
        word = self._shell.expanded(written)
        image = NamedImage(call.command.line, kind, written, word.text, platform, word.unset, pulls_always)
        self._images.append(replace(image, made=len(self._tags)))

    def _note_cache(self, call: Call, value: str) -> None:
        if cache := cache_image(value):
            self._note(call, Kind.CACHE_FROM, cache)

    def _note_scanners(self, call: Call, options: Options) -> None:
        found = [
            *map(sbom_scanner, values_of(options, "--sbom")),
            *map(attested_scanner, values_of(options, "--attest")),
        ]
        for scanner in found:
            if scanner:
                self._note(call, Kind.SBOM, scanner)

    def _read_create(self, call: Call, words: list[str]) -> None:
        options, _ = read_options(words, CREATE_FLAGS)
        driver = ["docker-container", *values_of(options, "--driver")][-1]
        if driver != "docker-container":
            self.give_up(call.command, f"the builder's driver is `{driver}`")
            return
        details = [part for value in values_of(options, "--driver-opt") for part in value.split(",")]
        own = [part.removeprefix("image=") for part in details if part.startswith("image=")]
        self._note(call, Kind.BUILDER_IMAGE, own[-1] if own else BUILDKIT_IMAGE)
        if is_on(options, "--use"):
            self._builder_name = [NOWHERE, *values_of(options, "--name")][-1]

    def _read_build(self, call: Call, words: list[str], *, is_buildx: bool) -> None:
        options, rest = read_options([one for one in words if one not in _CONTEXTS_OF_FRAGMENT], BUILD_FLAGS)
        if len(rest) != 1:
            self.give_up(call.command, "it has to name one folder")
            return
        written = [None, *values_of(options, "-f", "--file")][-1]
        if "-" in (rest[0], written):
            if call.command.stdin is None:
                self.give_up(call.command, "its Dockerfile comes from another command")
                return
            written = call.command.stdin
        context = self._shell.expanded(rest[0] if rest[0] != "-" else ".")
        file = self._dockerfile(written) if written is not None else None
        folder = NOWHERE if is_elsewhere(context.text) else self._shell.path(context.text)
        if context.unset or folder == NOWHERE or (file and (file.unset or file.text == NOWHERE)):
            self.give_up(call.command, "its Dockerfile is somewhere else")
            return
        self._note_scanners(call, options)
        for value in values_of(options, "--cache-from"):
            self._note_cache(call, value)
        contexts = self._pairs(call, values_of(options, "--build-context"))
        if None in contexts.values():
            self.give_up(call.command, "a build context has no known value")
        target = [self._shell.expanded(value) for value in ("", *values_of(options, "--target"))][-1]
        used = {Strategy.DIRECT} if written and _COPY_OF_FRAGMENT.fullmatch(written) else set()
        used |= {Strategy.CONTEXTS for one in words if one in _CONTEXTS_OF_FRAGMENT}
        self._builds.append(
            Build(
                line=call.command.line,
                context=folder,
                dockerfile=file.text if file else None,
                args=self._pairs(call, values_of(options, "--build-arg")),
                contexts=contexts,
                platforms=self._platforms(call, options),
                target=target.text or None,
                is_target_known=not target.unset,
                pulls_always=is_on(options, "--pull"),
                builder=self._builder(call, options, is_buildx=is_buildx),
                asks_buildkit=is_buildx or call.values.get("DOCKER_BUILDKIT") in ("1", "true"),
                tags=self._names(words),
                made=len(self._tags),
                unused=UNUSED - used,
            )
        )

    def _loads(self, call: Call, words: list[str], *, is_buildx: bool) -> bool:
        """Whether the daemon has the result: a builder of its own keeps it, unless it is to be loaded."""
        options, _ = read_options(words, BUILD_FLAGS)
        named = ["", *values_of(options, "--builder")][-1] or call.values.get("BUILDX_BUILDER", "")
        is_own = named != "default" if named != "" else bool(self._builder_name and is_buildx)
        outputs = values_of(options, "-o", "--output")
        return not is_own or is_on(options, "--load") or any("type=docker" in one for one in outputs)

    def _names(self, words: list[str]) -> tuple[str, ...]:
        options, _ = read_options(words, BUILD_FLAGS)
        found = map(self._shell.expanded, values_of(options, "-t", "--tag"))
        return tuple(word.text for word in found if not word.unset)

    def _dockerfile(self, written: str) -> Word:
        """The path of the Dockerfile from the root of the source."""
        if copy := _COPY_OF_FRAGMENT.fullmatch(written):
            return Word(copy["name"] or "Dockerfile")
        word = self._shell.expanded(written)
        return Word(self._shell.path(word.text), word.unset)

    def _builder(self, call: Call, options: Options, *, is_buildx: bool) -> Builder | None:
        named = ["", *values_of(options, "--builder")][-1] or call.values.get("BUILDX_BUILDER", "")
        if named != "":
            return Builder.BUILDKIT if named == "default" else Builder.CONTAINER
        asked = call.values.get("DOCKER_BUILDKIT", "")
        if asked is None and not is_buildx:
            self.give_up(call.command, "whether BuildKit builds is not known")
        if asked in ("0", "false") and not is_buildx:
            return Builder.LEGACY
        # `docker build` reads `BUILDX_BUILDER` and ignores the choice of `buildx use`.
        return Builder.CONTAINER if self._builder_name and is_buildx else None

    def _pairs(self, call: Call, values: Iterable[str]) -> dict[str, str | None]:
        """`KEY=VALUE` pairs, None for an unknown value. A key alone takes the value of that variable."""
        pairs: dict[str, str | None] = {}
        for value in values:
            key, has_value, text = value.partition("=")
            word = self._shell.expanded(text)
            known = None if word.unset else word.text
            pairs[key] = known if has_value else call.values.get(key)
        return pairs

    def _platforms(self, call: Call, options: Options) -> tuple[str, ...]:
        words = [self._shell.expanded(value) for value in values_of(options, "--platform")]
        if not words and (default := call.values.get("DOCKER_DEFAULT_PLATFORM", "")) != "":
            words = [Word(default or "", () if default else ("DOCKER_DEFAULT_PLATFORM",))]
        if any(word.unset for word in words):
            self.give_up(call.command, "its platform is not known")
        return tuple(part for word in words for part in word.text.split(",") if part and not word.unset)

    def _read_bake(self, call: Call, words: list[str]) -> None:
        options, targets = read_options(words, BUILD_FLAGS)
        if any(map(is_elsewhere, targets)):
            self.give_up(call.command, "its file is somewhere else")
            return
        changes: list[tuple[str, str | None]] = []
        for value in values_of(options, "--set"):
            key, _, text = value.partition("=")
            word = self._shell.expanded(text)
            changes.append((key, None if word.unset else word.text))
            if not _SET_KNOWN.fullmatch(key.partition(".")[2]):
                self.give_up(call.command, "what `--set` changes is not read")
        self._note_scanners(call, options)
        names = [self._shell.expanded(one) for one in targets or ["default"]]
        asked = Follow(
            call.command.line,
            "",
            "bake",
            is_on(options, "--pull"),
            values={**call.values, **self._pairs(call, values_of(options, "--var"))},
            folder="".join(self._paths(call, ["."])),
            targets=tuple(word.text for word in names if not word.unset),
            changes=tuple(changes),
        )
        self._follow(call, values_of(options, "-f", "--file") or [""], options, asked)

    def _follow(self, call: Call, files: list[str], options: Options, asked: Follow) -> None:
        """Note that the command uses the files, the later ones laid over the first, as `asked` says."""
        paths = self._paths(call, files)
        if paths:
            builder = self._builder(call, options, is_buildx=True)
            self._tags.append(replace(asked, path=paths[0], above=tuple(paths[1:]), builder=builder))

    def _paths(self, call: Call, files: Iterable[str]) -> list[str]:
        paths = []
        for file in files:
            word = self._shell.expanded(file)
            path_from_root = self._shell.path(word.text)
            if word.unset or file == "-" or path_from_root == NOWHERE:
                self.give_up(call.command, f"the file `{file}` is not known" if file else "its file is somewhere else")
            else:
                paths.append(path_from_root)
        return paths

    def _read_compose(self, call: Call, words: list[str]) -> None:
        options, rest = read_options(words, COMPOSE_FLAGS, stops=True)
        if not rest or rest[0] in COMPOSE_LOCAL:
            return
        command = rest[0]
        if command not in COMPOSE_STARTS | {"build"}:
            self.give_up(call.command, "what it fetches is not known")
            return
        flags = COMPOSE_BUILD_FLAGS if command == "build" else COMPOSE_START_FLAGS
        own, _ = read_options(rest[1:], flags, stops=command == "run")
        named = call.values.get("COMPOSE_FILE", "")
        separator = call.values.get("COMPOSE_PATH_SEPARATOR") or ":"
        folder = values_of(options, "--project-directory")[-1:]
        usual = [f"{one.rstrip('/')}/" for one in folder] or [""]
        files = values_of(options, "-f", "--file") or (
            ["$COMPOSE_FILE"] if named is None else named.split(separator) if named else usual
        )
        variables = call.values.get("COMPOSE_ENV_FILES", "")
        env_files = values_of(options, "--env-file") or (
            ["$COMPOSE_ENV_FILES"] if variables is None else variables.split(",") if variables else []
        )
        pulls = command == "pull" or any(
            value in ("true", "always") or "$" in value for value in values_of(own, "--pull")
        )
        self._note_scanners(call, own)
        asked = Follow(
            call.command.line,
            "",
            "compose",
            pulls,
            values=call.values,
            args=self._pairs(call, values_of(own, "--build-arg")),
            env_files=tuple(self._paths(call, env_files)),
            folder="".join(self._paths(call, folder)),
        )
        self._follow(call, files, [*options, *own], asked)


def read_options(words: list[str], flags: frozenset[str], *, stops: bool = False) -> tuple[Options, list[str]]:
    """The options with their values, and the other words; `flags` take no value.

    With `stops`, reading ends at the first other word: the words after it belong to another command.
    """
    options: Options = []
    others: list[str] = []
    remaining = iter(words)
    for word in remaining:
        if not word.startswith("-") or word == "-":
            others.append(word)
            if stops:
                return options, others + list(remaining)
        elif word == "--":
            return options, others + list(remaining)
        elif word in flags or _is_cluster(word, flags):
            options.append((word, "true"))
        elif "=" in word:
            name, _, value = word.partition("=")
            options.append((name, value))
        elif not word.startswith("--") and len(word) > 2:
            options.append((word[:2], word[2:]))
        else:
            options.append((word, next(remaining, "")))
    return options, others


def values_of(options: Options, *names: str) -> list[str]:
    """The values of the options with any of these names."""
    return [value for name, value in options if name in names]


def is_on(options: Options, name: str) -> bool:
    """Whether the flag `name` is given with a value other than `false` or `0`."""
    return any(option == name and value not in ("false", "0") for option, value in options)


def _is_cluster(word: str, flags: frozenset[str]) -> bool:
    """`-it` is `-i -t`."""
    return not word.startswith("--") and all(f"-{letter}" in flags for letter in word[1:])
