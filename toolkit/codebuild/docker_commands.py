"""The images that the commands of a shell text fetch and build, wherever they call Docker's client."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import nullcontext
from itertools import dropwhile, pairwise

from toolkit.codebuild.docker_calls import Call, DockerCalls
from toolkit.codebuild.findings import Follow, Reading, Trouble
from toolkit.codebuild.shell_state import NOWHERE, ShellState
from toolkit.codebuild.shell_words import SHELLS, Command, Script, read_commands
from toolkit.codebuild.variables import Values, Word

_FETCHING = frozenset({"pull", "buildx", "compose", "manifest", "bake"})
_MAY_FETCH = _FETCHING | {"build", "run", "create", "image", "container", "builder"}

# Commands that may have `docker` among their words without running it.
_SPEAKERS = frozenset(
    {"echo", "printf", "which", "type", "hash", "grep", "cat", "test", "[", "[[", "systemctl", "service", "mkdir", "rm"}
    | {"apt-get", "apt", "yum", "dnf", "apk", "pip", "pip3", "npm", "amazon-linux-extras", "usermod", "pkill", "chown"}
)
_WRAPPERS = frozenset({"sudo", "env", "nohup", "exec", "command", "nice", "timeout", "retry", "xargs"})
_HIDES = "`{}` runs other commands, which are not read: look there for what it fetches"
# Tools that run the tests or the tasks of a project. With words: only for one of these commands, else for any.
_PROJECT_TOOLS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(
        [
            "make",
            "gmake",
            "just",
            "task",
            "rake",
            "tox",
            "nox",
            "pytest",
            "sbt",
            "ant",
            "bazel",
            "ctest",
            "phpunit",
            "npx",
        ],
        frozenset(),
    ),
    **dict.fromkeys(("mvn", "mvnw", "gradle", "gradlew"), frozenset()),
    **dict.fromkeys(("npm", "pnpm", "yarn"), frozenset({"test", "t", "run", "run-script", "start", "exec", "dlx"})),
    **dict.fromkeys(("poetry", "uv", "pipenv", "hatch", "pdm", "deno", "bun"), frozenset({"run", "test", "task"})),
    **dict.fromkeys(("go", "cargo", "dotnet", "swift", "mix"), frozenset({"test", "run", "bench", "generate"})),
    "bundle": frozenset({"exec"}),
    "composer": frozenset({"test", "run", "run-script", "exec"}),
}
_CLIENTS = frozenset({"docker", "docker-compose", "docker-buildx"})
_DOCKER_IN_WORD = re.compile(r"\bdocker(-compose)?\s+(build|buildx|bake|pull|run|create|compose|image|container|up)\b")
_VARIABLE = re.compile(r"\$(\w*[A-Za-z]\w*|\{\w+\})")
# Commands that set only variables of their own, or none.
_SETS_ITS_OWN = re.compile(r"\$\(\s*(ssh-agent|aws ecr get-login)\b|/activate\b|/nvm\.sh\b")
_MOST_SHELLS = 20
"""How deeply nested substitutions may be."""


class CommandReader:
    """Reads commands in order: a `cd`, an `export` or a new builder affects the commands that follow.

    `given` are values for variables that the commands leave unknown.
    """

    def __init__(self, values: Values, given: Values | None = None) -> None:
        self._shell = ShellState(values, given or {})
        self._depth = 0
        self._calls = DockerCalls(self._shell)

    def read(self, text: str, first_line: int = 1, *, is_apart: bool = False) -> None:
        """Read the commands of `text`; `is_apart`: a shell of its own runs them."""
        with self._shell.apart() if is_apart else nullcontext():
            self._read_script(Script(first_line, text))
            self._shell.settle()

    @property
    def reading(self) -> Reading:
        """What was found so far."""
        return self._calls.reading

    def _read_script(self, script: Script) -> None:
        for command in read_commands(script.text, script.line):
            if command.words:
                words = self._shell.come_to(command)
                for inner in command.scripts:
                    self._read_apart(command, inner, {} if inner.is_program else None)
                self._read_simple(command, words)
            elif "docker" in command.text:
                self._calls.give_up(command, "its quotes do not close")

    def _read_apart(self, command: Command, script: Script, own: Values | None = None) -> None:
        if script.is_expanded and "docker" in script.text:
            self._calls.give_up(command, "its shell reads what other commands make of a text")
            return
        if self._depth == _MOST_SHELLS:
            self._calls.give_up(command, "it is nested too deeply")
            return
        self._depth += 1
        with self._shell.apart(own):
            self._read_script(script)
        self._depth -= 1

    def _read_simple(self, command: Command, words: list[str]) -> None:
        if words[:1] in (["export"], ["eval"]) and (unread := [one for one in words if one.startswith("$")]):
            message = f"`{words[0]} {unread[0]}` sets or runs what is not read: look there for what it changes"
            is_harmless = _SETS_ITS_OWN.search(command.text) is not None
            self._calls.troubles.append(Trouble(command.line, message, hides=words[0] == "eval" and not is_harmless))
            if not is_harmless:
                self._shell.forget()
        words, own = self._shell.take(words)
        words = self._split_variables(words, is_program=True)
        names = [word.rpartition("/")[2] for word in words]
        if tool := _project_tool(names):
            self._hide(command, tool, own)
            return
        if not names or names[0] in _SPEAKERS or (names[0] == "sudo" and not _SPEAKERS.isdisjoint(names[1:2])):
            return
        program = next((word for word in words if word not in _WRAPPERS and not word.startswith("-")), words[0])
        at = next((n for n, name in enumerate(names) if name in _CLIENTS), None)
        shell = next((n for n, name in enumerate(names[:at]) if name in SHELLS), len(names))
        texts = [text for option, text in pairwise(words[shell:]) if re.fullmatch("-[a-z]*c", option)]
        if texts:
            self._read_apart(command, Script(command.line, texts[0]), own)
        elif at is not None:
            for word in words[:at]:
                own |= self._shell.assignment(word)
            arguments = [*names[at].split("-")[1:], *self._split_variables(words[at + 1 :])]
            is_certain = at == 0 or names[0] in _WRAPPERS
            self._calls.read(Call(command, arguments, self._shell.environment(own), is_certain))
            if not is_certain and (script := _script(command, words[words.index(program) :])):
                self._hide(command, script, own)
        elif any(_DOCKER_IN_WORD.search(word) for word in words):
            self._calls.give_up(command, "a docker command is inside a word")
        elif _is_docker(program, words, command.text):
            self._calls.give_up(command, "which program it runs is not known")
        elif script := _script(command, words[words.index(program) :]):
            self._hide(command, script, own)
            if words[0] in (".", "source") and not _SETS_ITS_OWN.search(command.text):
                self._shell.forget()

    def _hide(self, command: Command, program: str, own: Values) -> None:
        """Note a program that runs what is not read; the tests below its folder are."""
        self._calls.troubles.append(Trouble(command.line, _HIDES.format(program), hides=True))
        folder = self._shell.path("")
        values = self._shell.environment(own)
        self._calls.follow(Follow(command.line, "" if folder == NOWHERE else folder, "tests", values=values))

    def _split_variables(self, words: list[str], *, is_program: bool = False) -> list[str]:
        """Replace variables that hold options by their words; `is_program`: only the one that names the program."""
        split: list[str] = []
        for number, word in enumerate(words):
            found = self._shell.expanded(word) if word.startswith("$") else Word("", (word,))
            is_several = _WRAPPERS.issuperset(words[:number]) if is_program else found.text[:1] in ("", "-")
            split += found.text.split() if is_several and not found.unset else [word]
        return split


def _is_docker(program: str, words: list[str], text: str) -> bool:
    """Whether a variable that names a program may be Docker's client, judged by the words after it."""
    behind = words[words.index(program) + 1 :][:1]
    may_be = not _MAY_FETCH.isdisjoint(behind) and "docker" in text.lower()
    return program.startswith("$") and (may_be or not _FETCHING.isdisjoint(behind))


def _project_tool(names: list[str]) -> str | None:
    """The tool, with its command, that runs what the project says; None for other programs."""
    words = list(dropwhile(_WRAPPERS.__contains__, names))
    commands = _PROJECT_TOOLS.get(words[0]) if words else None
    if not commands:
        return words[0] if commands is not None else None
    for before, word in pairwise(words):
        if word in commands:
            return f"{words[0]} {word}"
        if not word.startswith("-") and not before.startswith("-"):  # behind an option it may be its value
            return None
    return None


def _script(command: Command, words: list[str]) -> str | None:
    """The script that the command runs and the scan does not read; None if none can be seen."""
    name = words[0].rpartition("/")[2]
    if name in SHELLS - {"su"} | {"source", "."}:
        files = [word for word in words[1:] if not word.startswith(("-", "+"))]
        read = None if command.scripts else command.stdin or words[0]
        return files[0] if files else read
    is_script = words[0].startswith("./") or name.endswith(".sh") or _VARIABLE.fullmatch(words[0])
    return words[0] if is_script else None
