"""Jenkins' part: runs the stages of a declarative Jenkinsfile whose `when` holds.

Groovy is read as statements and blocks. What is understood is what the example uses: the conditions of `holds`,
`environment` with credentials, `input`, `sh`, `stash` and `unstash`, `fileExists`, and the files that `post` keeps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.pipelines.world import KEY, World

CREDENTIALS = {"toolkit-plan-key": KEY, "github-comments": "ghp_secret-of-jenkins"}
_TOKEN = re.compile(
    r"'''(?P<long>.*?)'''|'(?P<single>(?:[^'\\\n]|\\.)*)'|\"(?P<double>(?:[^\"\\\n]|\\.)*)\"|//[^\n]*"
    r"|(?P<open>\{)|(?P<close>\})|(?P<end>[\n;])|(?P<code>.)",
    re.DOTALL,
)


@dataclass
class Statement:
    """`code` has `''` for each of `strings`; `body` are the statements of its block, if it has one."""

    code: str = ""
    strings: list[str] = field(default_factory=list)
    body: list[Statement] = field(default_factory=list)

    @property
    def word(self) -> str:
        found = re.match(r"\w*", self.code)
        return found[0] if found else ""

    def all(self, word: str) -> Iterator[Statement]:
        """Every statement below that begins with `word`."""
        for one in self.body:
            if one.word == word:
                yield one
            yield from one.all(word)


def read(text: str) -> Statement:
    """The whole file, as the body of a statement."""
    root = Statement()
    blocks, now = [root], Statement()
    for found in _TOKEN.finditer(text):
        kind = found.lastgroup
        if kind in ("long", "single", "double"):
            now.strings.append(re.sub(r"\\(.)", lambda one: one[1].strip("\n"), found[kind], flags=re.DOTALL))
            now.code += "''"
        elif kind == "code":
            now.code = (now.code + found[0]).lstrip()
        elif kind is not None:
            if now.code:
                blocks[-1].body.append(now)
            if kind == "open":
                blocks.append(now)
            if kind == "close":
                blocks.pop()
            now = Statement()
    assert blocks == [root], "a brace is missing"
    return root


def holds(condition: Statement, environment: Mapping[str, str], *, is_timer: bool) -> bool:
    """Whether all of `when { … }` does."""

    def one(statement: Statement) -> bool:
        match statement.word:
            case "beforeAgent" | "beforeInput":
                return True
            case "not":
                return not any(one(inner) for inner in statement.body)
            case "triggeredBy":
                return is_timer
            case "changeRequest":
                return "CHANGE_ID" in environment
            case "branch":
                return environment["BRANCH_NAME"] == statement.strings[0]
            case "environment":
                return environment.get(statement.strings[0]) == statement.strings[1]
            case "expression":
                [inner] = statement.body
                found = re.fullmatch(r"env\.(\w+) == null\s*", inner.code)
                assert found, inner.code
                return found[1] not in environment
        raise AssertionError(f"cannot read `{statement.code}`")

    return all(one(statement) for statement in condition.body)


@dataclass
class Stage:
    result: str
    role: str = ""
    log: str = ""
    kept: set[str] = field(default_factory=set)


class Jenkins:
    """The file in a world."""

    def __init__(self, path: Path, world: World) -> None:
        [self.pipeline] = read(path.read_text(encoding="utf-8")).body
        self.world = world
        self._builds = 0

    def build(
        self,
        commit: str,
        variables: Mapping[str, str],
        *,
        is_timer: bool = False,
        approve: Callable[[], bool] = lambda: True,
    ) -> dict[str, Stage]:
        """Run the stages in order, until one fails. `approve` is asked where a stage has `input`."""
        self._builds += 1
        token = self.world.folder / "jenkins.token"
        token.write_text("a token of Jenkins'")
        credentials = {**CREDENTIALS, "aws-token": str(token)}
        [common] = [one for one in self.pipeline.body if one.word == "environment"]
        environment = dict(variables)
        environment |= read_environment(common, environment, credentials)
        environment["GITHUB_API"] = self.world.host.url
        stashes: dict[str, dict[str, bytes]] = {}
        stages: dict[str, Stage] = {}
        [listed] = [one for one in self.pipeline.body if one.word == "stages"]
        for document in listed.body:
            parts = {one.word: one for one in document.body}
            if not holds(parts["when"], environment, is_timer=is_timer) or ("input" in parts and not approve()):
                continue
            given = {**environment}
            if "environment" in parts:
                given |= read_environment(parts["environment"], environment, credentials)
            stage = stages[document.strings[0]] = Stage("success", given.get("AWS_ROLE_ARN", "").rpartition("/")[2])
            folder = self.world.checkout(self.world.folder / f"build-{self._builds}-{len(stages)}", commit)
            self._steps(parts["steps"], folder, given, environment, stashes, stage)
            stage.kept = {name.strings[0] for name in document.all("archiveArtifacts")}
            if stage.result != "success":
                break
        return stages

    def _steps(
        self,
        steps: Statement,
        folder: Path,
        given: Mapping[str, str],
        environment: dict[str, str],
        stashes: dict[str, dict[str, bytes]],
        stage: Stage,
    ) -> None:
        for step in steps.body:
            if stage.result != "success":
                return
            match step.word:
                case "sh":
                    ran = self.world.run(step.strings[0], folder, given, ("sh", "-xe", "-c"))
                    stage.log += ran.output
                    stage.result = "success" if ran.code == 0 else "failure"
                case "stash":
                    name, pattern = step.strings
                    stashes[name] = {path.name: path.read_bytes() for path in folder.glob(pattern)}
                case "unstash":
                    for name, content in stashes[step.strings[0]].items():
                        (folder / name).write_bytes(content)
                case "env":
                    found = re.fullmatch(r"env\.(\w+) = fileExists\(''\)\s*", step.code)
                    assert found, step.code
                    environment[found[1]] = str((folder / step.strings[0]).exists()).lower()
                case "archiveArtifacts":
                    pass
                case "script" | "lock" | "withCredentials":
                    self._steps(step, folder, given, environment, stashes, stage)
                case _:
                    raise AssertionError(f"cannot run `{step.code}`")


def read_environment(block: Statement, known: Mapping[str, str], credentials: Mapping[str, str]) -> dict[str, str]:
    """The variables of `environment { … }`."""
    values = {}
    for one in block.body:
        name, _, value = one.code.partition(" = ")
        text = one.strings[0]
        values[name] = credentials[text] if value.startswith("credentials(") else text
        values[name] = re.sub(r"\$\{env\.(\w+)\}", lambda found: known[found[1]], values[name])
    return values
