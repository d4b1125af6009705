"""Runs a composite action as GitHub's runner does: its steps in order, each with the variables that the file gives it.

Steps with `uses:` are not run, nor are those whose outputs the caller gives. A run ends with the step that fails, and
outputs are evaluated all the same, as in the runner's `CompositeActionHandler`.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_COMPARISON = re.compile(r"(?P<name>[\w.-]+)\s*(?P<operator>==|!=)\s*'(?P<text>[^']*)'")


@dataclass(frozen=True)
class Ended:
    """How a run of the action ended: the code of the failed step or 0, the log, the outputs, and which `uses:` ran."""

    code: int
    log: str
    outputs: Mapping[str, str]
    used: tuple[str, ...]


@dataclass(frozen=True)
class CompositeAction:
    """The action in `folder`, and the outputs of steps that are taken as done, by the id of the step."""

    folder: Path
    put_out: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, Any]:
        return dict(YAML(typ="safe").load(self.folder / "action.yml"))

    def run(self, workspace: Path, environment: Mapping[str, str], inputs: Mapping[str, str]) -> Ended:
        """Run it in `workspace`; `environment` has `RUNNER_TEMP`, and nothing is inherited."""
        declared = self.document["inputs"]
        unknown = set(inputs) - set(declared)
        assert not unknown, f"the action has no input {unknown}"
        lacking = [name for name, one in declared.items() if one["required"] and name not in inputs]
        assert not lacking, f"the inputs {lacking} are required"
        values = {f"inputs.{name}": inputs.get(name, one.get("default", "")) for name, one in declared.items()}
        log, used, code = "", [], 0
        for number, step in enumerate(self.document["runs"]["steps"]):
            if "if" in step and not _holds(step["if"], values):
                continue
            key = step.get("id", str(number))
            put_out = self.put_out.get(key, {})
            if "uses" in step:
                used.append(step["uses"].partition("@")[0])
            elif not put_out:
                code, said, put_out = self._run_step(step, key, workspace, environment, values)
                log += said
            values |= {f"steps.{key}.outputs.{name}": value for name, value in put_out.items()}
            if code:
                break
        outputs = {name: _filled(one["value"], values) for name, one in self.document["outputs"].items()}
        return Ended(code, log, outputs, tuple(used))

    def _run_step(
        self,
        step: Mapping[str, Any],
        key: str,
        workspace: Path,
        environment: Mapping[str, str],
        values: Mapping[str, str],
    ) -> tuple[int, str, dict[str, str]]:
        assert step["shell"] == "bash"
        temporary = Path(environment["RUNNER_TEMP"])
        output = temporary / f"output-{key}"
        output.write_text("")
        script = temporary / f"script-{key}.sh"
        script.write_text(step["run"])
        own = {name: _filled(value, values) for name, value in step.get("env", {}).items()}
        runner = {"GITHUB_ACTION_PATH": str(self.folder), "GITHUB_OUTPUT": str(output)}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=workspace / _filled(step.get("working-directory", "."), values),
            env={**environment, **runner, **own},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=500,
            check=False,
        )
        lines = output.read_text().splitlines()
        assert all("=" in line for line in lines), lines
        return done.returncode, done.stdout, dict(line.split("=", 1) for line in lines)


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _EXPRESSION.sub(lambda found: values.get(found[1], ""), text)


def _holds(condition: str, values: Mapping[str, str]) -> bool:
    terms = [_COMPARISON.fullmatch(term.strip()) for term in condition.split("&&")]
    assert all(terms), f"this runner does not know the condition `{condition}`"
    return all((values.get(t["name"], "") == t["text"]) is (t["operator"] == "==") for t in terms if t)
