"""A reader who follows README, the tutorial or a how-to guide, command by command, in the sandbox."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.docs.pages import FOLLOWED, ROOT, blocks, example_of, name_of, script
from tests.support.real_parts import require
from tests.support.toolkit_run import TOOLKIT, Toolkit
from toolkit.terraform import provider_mirror

SCHEMAS = ROOT / "docs" / "reference" / "schemas"
RUNS_TERRAFORM = re.compile(r"^(terraform|toolkit (plan|apply|destroy|lock-provider))\b", re.MULTILINE)
LONG = ("docs/how-to/roles.md",)  # 9 s of CPU: a policy for each role
PAGES = [
    pytest.param(
        page,
        id=name_of(page),
        marks=pytest.mark.slow if RUNS_TERRAFORM.search(script(page)) or name_of(page) in LONG else (),
    )
    for page in FOLLOWED
    if "toolkit " in script(page)
]


def follow(page: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run what a reader of `page` would type."""
    shutil.copytree(ROOT / "terraform_modules", folder / "terraform_modules")  # as beside the examples
    home = folder / "examples" / "here"
    example = example_of(page)
    shutil.copytree(example, home) if example else home.mkdir(parents=True)
    toolkit = Toolkit(home, {"TOOLKIT_SANDBOX": str(folder / "sandbox"), **terraform_settings(folder)})
    toolkit.environment["PATH"] = f"{Path(TOOLKIT).parent}:{toolkit.environment['PATH']}"
    commands = "\n".join(line for line in script(page).splitlines() if not line.startswith(("make ", "pip ")))
    try:
        return subprocess.run(
            ["sh", "-e", "-x", "-c", commands],
            cwd=home,
            env=toolkit.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
    finally:
        toolkit.run("sandbox", "down")


def terraform_settings(folder: Path) -> dict[str, str | None]:
    """Where `terraform`, typed by the reader, finds the AWS provider."""
    toolkit = Toolkit(folder)
    mirror = provider_mirror.find(toolkit.environment, Path.home())
    if mirror is None:
        return {}
    settings = folder / "terraform.rc"
    settings.write_text(f'provider_installation {{\n  filesystem_mirror {{ path = "{mirror}" }}\n}}\n')
    return {"TF_CLI_CONFIG_FILE": str(settings), "TOOLKIT_PROVIDER_MIRROR": str(mirror)}


def check_formats(folder: Path) -> None:
    """What the reader wrote as JSON is as the schemas of the reference say."""
    for path in folder.glob("plan.json"):
        validator("result").validate(json.loads(path.read_text(encoding="utf-8")))
    for path in folder.glob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            validator("events").validate(json.loads(line))


@cache
def validator(kind: str) -> Draft202012Validator:
    """By a schema of the reference."""
    return Draft202012Validator(json.loads((SCHEMAS / f"{kind}.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES)
def test_runs_every_command_of_a_page(page: Path, tmp_path: Path) -> None:
    if RUNS_TERRAFORM.search(script(page)):
        require("terraform")
    done = follow(page, tmp_path)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    check_formats(tmp_path / "examples" / "here")
    for shown in re.findall(r"<!-- plan -->\n```text\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        assert shown in done.stdout, "the page shows another plan than the program"


def test_says_why_a_block_is_not_run() -> None:
    skipped = {name_of(page): sum(not block.is_run for block in blocks(page)) for page in FOLLOWED}
    assert {name: count for name, count in skipped.items() if count} == {
        "docs/tutorial.md": 1,
        "docs/how-to/container-image.md": 1,
        "docs/how-to/pipelines.md": 2,
        "docs/how-to/private-ca-and-proxy.md": 3,
        "docs/how-to/review-a-plan.md": 2,
        "docs/how-to/roles.md": 1,
        "docs/how-to/state-in-s3.md": 1,
        "docs/how-to/watch-a-mirror.md": 1,
    }


def test_names_make_targets_that_exist() -> None:
    lines = [line for line in script(ROOT / "README.md").splitlines() if line.startswith("make ")]
    targets = [line.split()[1] for line in lines]
    assert targets == ["demo", "test"]
    for target in targets:
        done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_installs_what_the_project_is_called() -> None:
    lines = [line for line in script(ROOT / "README.md").splitlines() if line.startswith("pip ")]
    assert len(lines) == 1
    assert "base-image-toolkit[sandbox]" in lines[0]
    assert 'name = "base-image-toolkit"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", ["examples/quickstart/demo.sh", ".ci/run"])
def test_has_scripts_that_parse(path: str) -> None:
    assert subprocess.run(["bash", "-n", ROOT / path], check=False).returncode == 0
