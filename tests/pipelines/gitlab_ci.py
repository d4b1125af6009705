"""GitLab's part: runs the jobs of a `.gitlab-ci.yml` as its YAML says it.

What is understood is what the example uses: `rules` with comparisons, `extends`, `variables`, `id_tokens`,
`before_script` and `script` in one shell, artifacts of the jobs in `needs`, `allow_failure`, `retry` and `when: manual`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.pipelines.world import KEY, World

PROJECT = "31"
_KEYWORDS = {"workflow", "stages", "variables", "default"}
_COMPARISON = re.compile(r"\$(\w+) (==|!=) (?:\$(\w+)|\"([^\"]*)\")")


@dataclass
class Job:
    result: str
    attempts: int = 1
    role: str = ""
    log: str = ""
    artifacts: dict[str, bytes] = field(default_factory=dict)


class Pipelines:
    """The file in a world."""

    def __init__(self, path: Path, world: World) -> None:
        self.document = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        self.world = world
        self._runs = 0

    def run(
        self,
        commit: str,
        variables: Mapping[str, str],
        *,
        start: Callable[[str], bool] = lambda _: False,
        between_attempts: Callable[[], None] = lambda: None,
    ) -> dict[str, Job]:
        """Run the jobs that the rules choose. `start` is asked about manual ones."""
        self._runs += 1
        known = {
            "CI": "true",
            "GITLAB_CI": "true",
            "CI_PROJECT_ID": PROJECT,
            "CI_DEFAULT_BRANCH": "main",
            "CI_COMMIT_SHA": commit,
            "CI_API_V4_URL": self.world.host.url,
            "NOTES_TOKEN": "glpat-notes",
            **variables,
        }
        jobs: dict[str, Job] = {}
        if self._chosen(self.document["workflow"], known) is None:
            return jobs
        stages = self.document["stages"]
        named = {k: self._extended(v) for k, v in self.document.items() if k not in _KEYWORDS and k[0] != "."}
        for name, document in sorted(named.items(), key=lambda one: stages.index(one[1]["stage"])):
            rule = self._chosen(document, known)
            needs = document.get("needs", list(jobs))
            if rule is None or any(jobs[one].result == "failed" for one in needs):
                continue
            if rule.get("when") == "manual" and not start(name):
                continue
            inherited = {path: content for one in needs for path, content in jobs[one].artifacts.items()}
            jobs[name] = self._job(name, document, known, inherited, between_attempts)
        return jobs

    def _extended(self, document: dict[str, Any]) -> dict[str, Any]:
        return {**self.document.get(document.get("extends", ""), {}), **document}

    def _chosen(self, document: dict[str, Any], known: Mapping[str, str]) -> dict[str, Any] | None:
        return next((rule for rule in document["rules"] if holds(rule["if"], known)), None)

    def _job(
        self,
        name: str,
        document: dict[str, Any],
        known: Mapping[str, str],
        inherited: Mapping[str, bytes],
        between_attempts: Callable[[], None],
    ) -> Job:
        variables = {**self.document["variables"], **document.get("variables", {})}
        tokens = dict.fromkeys(document.get("id_tokens", {}), "a token of GitLab's")
        # A protected variable is there on protected branches alone.
        key = {"TOOLKIT_PLAN_KEY": KEY} if known.get("CI_COMMIT_BRANCH") == "main" else {}
        retry = document.get("retry", {"max": 0, "exit_codes": None})
        for attempt in range(1, retry["max"] + 2):
            folder = self.world.checkout(self.world.folder / f"{name}-{self._runs}-{attempt}", known["CI_COMMIT_SHA"])
            for path, content in inherited.items():
                (folder / path).write_bytes(content)
            # The container has a /tmp of its own.
            temporary = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(folder) + ".token"}
            lines = [*document.get("before_script", []), *document["script"]]
            environment = {**known, **variables, **tokens, **key, **temporary}
            ran = self.world.run("\n".join(lines), folder, environment, ("bash", "-eo", "pipefail", "-c"))
            if ran.code != retry["exit_codes"]:
                break
            between_attempts()
        allowed = document.get("allow_failure", {}).get("exit_codes", [])
        result = "success" if ran.code == 0 else "warning" if ran.code in allowed else "failed"
        job = Job(result, attempt, variables.get("AWS_ROLE_ARN", "").rpartition("/")[2], ran.output)
        kept = document.get("artifacts", {})
        if result == "success" or kept.get("when") == "always":
            paths = [folder / path for path in kept.get("paths", [])]
            job.artifacts = {path.name: path.read_bytes() for path in paths if path.exists()}
        return job


def holds(condition: str, known: Mapping[str, str]) -> bool:
    """Whether a rule's condition does; all of the example's are comparisons, joined by `&&`."""
    for part in condition.split(" && "):
        found = _COMPARISON.fullmatch(part)
        assert found, f"cannot read `{part}`"
        left, operator, name, text = found.groups()
        if (known.get(left) == (known.get(name) if name else text)) != (operator == "=="):
            return False
    return True
