"""`action.yml`: its steps run as GitHub's runner runs them, against the sandbox."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.composite_action import CompositeAction, Ended
from tests.support.real_parts import require
from tests.support.sandbox import running_sandbox

ROOT = Path(__file__).parents[2]
MANIFEST = """\
version: 1
name: shop
aws: {region: eu-west-1}
images: [nginx:1.16]
"""
STAND_IN = """\
#!/bin/sh
for argument in "$@"; do printf '%s\\0' "$argument"; done > "$SEEN"
for argument in "$@"; do
  case "$argument" in
    --output=json=*) printf '%s' "$RESULT" > "${argument#--output=json=}" ;;
    --output=markdown=*) echo '# A plan' > "${argument#--output=markdown=}" ;;
  esac
done
exit "$CODE"
"""
PLAN = {"schema_version": 1, "plan": {"has_changes": True, "totals": {"resources": {"destroy": 2}}}}

Start = Callable[..., tuple[Ended, list[str]]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Runs the action with a stand-in for the toolkit; how it ended, and the arguments that the stand-in was given."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "toolkit").write_text(STAND_IN)
    (programs / "toolkit").chmod(0o755)
    (programs / "python").symlink_to(sys.executable)
    action = CompositeAction(ROOT, {"install": {"programs": str(programs)}})

    def start_it(code: int = 0, result: object = PLAN, **inputs: str) -> tuple[Ended, list[str]]:
        seen = tmp_path / "seen"
        seen.write_text("")
        environment = {"PATH": os.environ["PATH"], "RUNNER_TEMP": str(tmp_path), "SEEN": str(seen), "CODE": str(code)}
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        ended = action.run(tmp_path, environment | {"RESULT": json.dumps(result) if result else ""}, given)
        arguments = seen.read_text().split("\0")[:-1]
        return ended, [one for one in arguments if not one.startswith("--output=")]

    return start_it


@pytest.mark.parametrize(
    ("inputs", "arguments"),
    [
        ({"command": "plan"}, ["plan", "--detailed-exitcode"]),
        (
            {"command": "plan", "manifest": "infra/images.yaml", "plan_file": "plan.toolkit"},
            ["plan", "--file=infra/images.yaml", "--detailed-exitcode", "--out=plan.toolkit"],
        ),
        ({"command": "apply", "plan_file": "plan.toolkit"}, ["apply", "--", "plan.toolkit"]),
        ({"command": "apply", "arguments": "--auto-approve\n"}, ["apply", "--auto-approve"]),
        (
            {"command": "scan", "arguments": "--strict\n\n--build=web"},
            ["scan", "--strict", "--build=web", "--check", "--", "."],
        ),
    ],
)
def test_starts_the_command_with_its_inputs(start: Start, inputs: dict[str, str], arguments: list[str]) -> None:
    ended, seen = start(**inputs)
    assert seen == arguments
    assert ended.code == 0


HOSTILE = [
    "$(touch hit)",
    "`touch hit`",
    "'; touch hit; '",
    '"; touch hit; "',
    "a\ntouch hit",
    "--out=x\nhit=1",
    "* ${HOME}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_takes_hostile_inputs_as_they_are(start: Start, tmp_path: Path, text: str) -> None:
    ended, seen = start(command="plan", manifest=text, plan_file=text, arguments=text, terraform_bin=text)
    assert seen == ["plan", f"--file={text}", *text.split("\n"), "--detailed-exitcode", f"--out={text}"]
    assert set(ended.outputs) == {"changed", "destroys", "comment", "exit-code"}
    assert not (tmp_path / "hit").exists()


def test_starts_nothing_for_another_command(start: Start, tmp_path: Path) -> None:
    for text in ("destroy", "$(touch hit)", "plan\ntouch hit"):
        ended, seen = start(command=text)
        assert (ended.code, seen) == (64, [])
    assert not (tmp_path / "hit").exists()


@pytest.mark.parametrize("text", HOSTILE)
def test_hands_a_hostile_version_to_pip_as_one_word(tmp_path: Path, text: str) -> None:
    programs = tmp_path / "base-image-toolkit" / "bin"
    programs.mkdir(parents=True)
    for python in (tmp_path / "python", programs / "python"):
        python.write_text('#!/bin/sh\nfor argument in "$@"; do printf \'%s\\0\' "$argument"; done > "$SEEN"\nexit 1\n')
        python.chmod(0o755)
    (tmp_path / "python").write_text("#!/bin/sh\n")
    action = CompositeAction(ROOT, {"python": {"python-path": str(tmp_path / "python")}})
    environment = {"PATH": os.environ["PATH"], "RUNNER_TEMP": str(tmp_path), "SEEN": str(tmp_path / "seen")}
    assert action.run(tmp_path, environment, {"command": "scan", "version": text}).code == 1
    assert (tmp_path / "seen").read_text().split("\0")[-2] == f"base-image-toolkit=={text}"
    assert not (tmp_path / "hit").exists()


@pytest.mark.parametrize(
    ("command", "code", "result", "ends", "outputs"),
    [
        ("plan", 2, PLAN, 0, ("true", "2")),
        ("plan", 0, {"plan": {"has_changes": False, "totals": {"resources": {"destroy": 0}}}}, 0, ("false", "0")),
        ("plan", 8, PLAN, 8, ("true", "2")),
        ("plan", 3, {"error": {"code": "manifest.invalid"}}, 3, ("", "")),
        ("plan", 1, None, 1, ("", "")),
        ("apply", 6, PLAN, 6, ("true", "2")),
        ("apply", 2, PLAN, 2, ("true", "2")),
        ("scan", 7, {"scan": {}}, 7, ("", "")),
    ],
)
def test_puts_out_what_the_result_says(
    start: Start, command: str, code: int, result: object, ends: int, outputs: tuple[str, str]
) -> None:
    ended, _ = start(code, result, command=command)
    assert ended.code == ends
    assert (ended.outputs["changed"], ended.outputs["destroys"]) == outputs
    assert ended.outputs["exit-code"] == str(code)
    assert Path(ended.outputs["comment"]).read_text() == "# A plan\n"


def test_installs_terraform_where_it_is_needed_and_not_there(start: Start) -> None:
    assert "hashicorp/setup-terraform" in start(command="plan")[0].used
    assert "hashicorp/setup-terraform" not in start(command="plan", terraform_bin="tofu")[0].used
    assert "hashicorp/setup-terraform" not in start(command="scan")[0].used


def test_keeps_expressions_out_of_scripts_and_actions_pinned() -> None:
    pinned = (ROOT / "examples/pipelines/github-actions.yml").read_text()
    for step in CompositeAction(ROOT).document["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])
            assert step["uses"] in pinned, "the pipelines pin another commit"


def test_installs_the_terraform_that_the_image_has() -> None:
    default = CompositeAction(ROOT).document["inputs"]["terraform-version"]["default"]
    assert f"/terraform_{default}_linux_amd64.zip" in (ROOT / "Dockerfile").read_text()


def test_is_an_action_for_the_schema_store() -> None:
    command = ["check_jsonschema", "--builtin-schema", "vendor.github-actions", str(ROOT / "action.yml")]
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_installs_itself_then_scans_plans_and_applies(tmp_path: Path) -> None:
    terraform = require("terraform")
    action = CompositeAction(ROOT, {"python": {"python-path": sys.executable}})
    work = tmp_path / "work"
    (work / "infra").mkdir(parents=True)
    (work / "infra/images.yaml").write_text(MANIFEST)
    (work / "infra/Dockerfile").write_text("FROM nginx:1.16\n")
    runner = {"RUNNER_TEMP": str(tmp_path), "HOME": str(tmp_path), "TOOLKIT_CACHE_DIR": str(tmp_path / "cache")}
    usual = {"terraform-bin": terraform, "working-directory": "infra", "manifest": "images.yaml"}
    with running_sandbox(tmp_path / "sandbox", ["nginx:1.16"]) as sandbox:
        environment = {**sandbox.environment(), **runner}
        for name in ("PYTHONPATH", "GITHUB_ACTIONS", "CI"):
            environment.pop(name, None)

        def run(command: str, **inputs: str) -> Ended:
            return action.run(work, environment, {**usual, "command": command, **inputs})

        scanned = run("scan")
        assert (scanned.code, scanned.outputs["changed"]) == (0, ""), scanned.log
        (work / "infra/Dockerfile").write_text("FROM nginx:1.17\n")
        scanned = run("scan")
        assert scanned.outputs["exit-code"] == "7", scanned.log
        assert "nginx:1.17" in Path(scanned.outputs["comment"]).read_text()

        planned = run("plan", **{"plan-file": "plan.toolkit"})
        assert planned.code == 0, planned.log
        assert {**planned.outputs, "comment": ""} == {
            "changed": "true",
            "destroys": "0",
            "comment": "",
            "exit-code": "2",
        }
        assert "nginx" in Path(planned.outputs["comment"]).read_text()
        applied = run("apply", **{"plan-file": "plan.toolkit", "manifest": ""})
        assert applied.code == 0, applied.log
        assert applied.outputs["changed"] == "true"
        assert sandbox.client("ecr", "eu-west-1").describe_images(repositoryName="docker-hub/library/nginx")[
            "imageDetails"
        ]
        again = run("plan", arguments="--show-unchanged\n--no-progress")
        assert {**again.outputs, "comment": ""} == {
            "changed": "false",
            "destroys": "0",
            "comment": "",
            "exit-code": "0",
        }
