"""GitHub's part: runs the jobs of a workflow step by step, as its YAML says it, with stand-ins for the actions.

What is understood is what the examples use: conditions and `${{ }}` with comparisons, `&&`, `||`, `!` and the functions
below, `env`, `defaults`, outputs, artifacts between jobs, environments that somebody approves, and permissions: a job's
token may do at the code host what its `permissions` say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.pipelines.world import CREDENTIALS, KEY, World

REPOSITORY = "acme/base-images"
PULL_REQUEST = {"number": 5, "head": {"repo": {"full_name": REPOSITORY}}}
_TOKEN = re.compile(r"'[^']*'|&&|\|\||==|!=|!|[(),]|[\w.-]+|\s+")
_WORDS = {"&&": " and ", "||": " or ", "!": " not ", "true": "True", "false": "False"}


@dataclass
class Job:
    """`rights` are the permissions that its steps made use of."""

    name: str
    result: str = "success"
    outputs: dict[str, str] = field(default_factory=dict)
    roles: list[str] = field(default_factory=list)
    rights: set[tuple[str, str]] = field(default_factory=set)
    log: str = ""


class Workflow:
    """A workflow file in a world. `jobs` are those of all runs, the last of each name."""

    def __init__(self, path: Path, world: World) -> None:
        self.document = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        self.world = world
        self.artifacts: dict[str, bytes] = {}
        self.sarif: list[dict[str, Any]] = []
        self.used: dict[str, set[tuple[str, str]]] = {}
        self._runs = 0

    def run(
        self,
        event: str,
        commit: str,
        *,
        pull_request: Mapping[str, Any] | None = None,
        approve: Callable[[], bool] = lambda: True,
    ) -> dict[str, Job]:
        """Run the jobs whose conditions hold. `approve` is asked before a job with an environment."""
        self._runs += 1
        self.artifacts = {}
        jobs: dict[str, Job] = {}
        github = {
            "event_name": event,
            "ref": "refs/pull/5/merge" if pull_request else "refs/heads/main",
            "repository": REPOSITORY,
            "server_url": "https://github.com",
            "run_id": str(self._runs),
            "event": {"pull_request": pull_request} if pull_request else {},
        }
        for name, document in self.document["jobs"].items():
            needs = document.get("needs", [])
            needed = {one: jobs[one] for one in ([needs] if isinstance(needs, str) else needs)}
            job = jobs[name] = Job(name, "skipped")
            context = {"github": github, "needs": {k: {"outputs": v.outputs} for k, v in needed.items()}}
            if any(one.result != "success" for one in needed.values()):
                continue
            if not evaluate(document.get("if", "true"), context):
                continue
            if "environment" in document and not approve():
                continue
            job.result = "success"
            _JobRun(self, document, job, commit, github, context).run()
            self.used.setdefault(name, set()).update(job.rights)
        return jobs


class _JobRun:
    """One job on a machine of its own."""

    def __init__(
        self, flow: Workflow, document: dict[str, Any], job: Job, commit: str, github: dict[str, Any], context: Any
    ) -> None:
        self.flow, self.document, self.job, self.commit = flow, document, job, commit
        self.machine = flow.world.folder / f"run-{github['run_id']}-{job.name}"
        self.workspace, self.temp = self.machine / "work", self.machine / "temp"
        self.temp.mkdir(parents=True)
        self.workspace.mkdir()
        self.environment: dict[str, str] = {}
        token = f"ghs_{job.name}"
        flow.world.host.rights[token] = document["permissions"]
        self.context = {
            **context,
            "github": {**github, "token": token},
            "runner": {"temp": str(self.temp), "os": "Linux", "arch": "X64"},
            "secrets": {"TOOLKIT_PLAN_KEY": KEY},
            "steps": {},
            "env": {**flow.document.get("env", {}), **document.get("env", {})},
        }
        self.token = token

    def run(self) -> None:
        for step in self.document["steps"]:
            if not self._holds(step.get("if", "success()")):
                continue
            try:
                self._step(step)
            except AssertionError as error:
                self.job.result = "failure"
                self.job.log += f"{error}\n"
        for name, value in self.document.get("outputs", {}).items():
            self.job.outputs[name] = self._fill(value)
        self.job.rights |= {("id-token", "write")} if self.job.roles else set()
        self.job.rights |= self.flow.world.host.used.pop(self.token, set())

    def _holds(self, condition: str) -> bool:
        functions = {
            "success": lambda: self.job.result == "success",
            "failure": lambda: self.job.result == "failure",
            "always": lambda: True,
            "cancelled": lambda: False,
            "hashFiles": lambda pattern: ",".join(str(path) for path in sorted(self.workspace.glob(pattern))),
        }
        if not re.search(r"\b(success|failure|always|cancelled)\(", condition):
            condition = f"success() && ({condition})"
        return bool(evaluate(condition, self.context, functions))

    def _fill(self, text: object) -> str:
        return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(self._value(found[1])), str(text))

    def _value(self, expression: str) -> object:
        return evaluate(expression, self.context, {"hashFiles": lambda pattern: pattern})

    def _step(self, step: dict[str, Any]) -> None:
        if "uses" in step:
            action, given = step["uses"].partition("@")[0], step.get("with", {})
            self._action(action, {name: self._fill(value) for name, value in given.items()})
            return
        output, script = self.machine / "output", self.machine / "script.sh"
        output.write_text("")
        script.write_text(step["run"])
        assert "${{" not in step["run"], "what a stranger can write would be part of a script"
        assert self.flow.document["defaults"]["run"]["shell"] == "bash"
        values = {**self.context["env"], **self.environment, **step.get("env", {})}
        environment = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_SHA": self.commit,
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(self.machine / "summary.md"),
            "RUNNER_TEMP": str(self.temp),
            **{name: self._fill(value) for name, value in values.items()},
        }
        shell = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
        ran = self.flow.world.run(str(script), self.workspace, environment, shell)
        self.job.log += ran.output
        if "id" in step:
            lines = output.read_text().splitlines()
            self.context["steps"][step["id"]] = {"outputs": dict(line.split("=", 1) for line in lines)}
        assert ran.code == 0, f"Process completed with exit code {ran.code}."

    def _action(self, action: str, given: dict[str, str]) -> None:
        granted = self.document["permissions"]
        match action:
            case "actions/checkout":
                assert given["persist-credentials"] == "False"
                self._use("contents", "read")
                self.flow.world.checkout(self.workspace, self.commit)
            case "actions/setup-python":
                assert (self.workspace / given["cache-dependency-path"]).is_file()
            case "hashicorp/setup-terraform" | "actions/cache":
                pass
            case "aws-actions/configure-aws-credentials":
                assert granted["id-token"] == "write", "no OIDC token without this permission"
                self.job.roles.append(given["role-to-assume"].rpartition("/")[2])
                self.environment |= {**CREDENTIALS, "AWS_REGION": given["aws-region"]}
            case "actions/upload-artifact":
                path = self.workspace / given["path"]
                assert not any(part.startswith(".") for part in Path(given["path"]).parts), "hidden files are left out"
                assert path.is_file()
                assert 0 < int(given["retention-days"]) <= 90
                # A file that is not archived is an artifact of its own name.
                name = path.name if given.get("archive") == "False" else given["name"]
                assert name not in self.flow.artifacts, "an artifact cannot be overwritten"
                self.flow.artifacts[name] = path.read_bytes()
                self.flow.artifacts[f"{name}/{path.name}"] = path.read_bytes()
            case "actions/download-artifact":
                prefix = f"{given['name']}/"
                for name, content in self.flow.artifacts.items():
                    if name.startswith(prefix):
                        (Path(given["path"]) / name.removeprefix(prefix)).write_bytes(content)
            case "github/codeql-action/upload-sarif":
                self._use("security-events", "write")
                self.flow.sarif.append(json.loads((self.workspace / given["sarif_file"]).read_text()))
            case _:
                raise AssertionError(f"no stand-in for {action}")

    def _use(self, what: str, how: str) -> None:
        assert self.document["permissions"].get(what) == how
        self.job.rights.add((what, how))


def evaluate(
    expression: str, context: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]] | None = None
) -> Any:
    """The value of an expression of GitHub's, which is made one of Python's."""
    words, end = [], 0
    for found in _TOKEN.finditer(expression):
        assert found.start() == end, f"cannot read `{expression}`"
        end, word = found.end(), found[0]
        if word in _WORDS:
            word = _WORDS[word]
        elif re.match(r"[A-Za-z]", word) and word not in (functions or {}):
            word = f"value({word!r})"
        words.append(word)
    assert end == len(expression), f"cannot read `{expression}`"

    def value(path: str) -> Any:
        found: Any = context
        for name in path.split("."):
            found = found.get(name, "") if isinstance(found, Mapping) else ""
        return found

    return eval("".join(words).strip(), {"value": value, **(functions or {})})
