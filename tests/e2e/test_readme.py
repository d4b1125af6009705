"""Every command in README runs as written, in the order of the page."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.real_parts import require
from tests.support.toolkit_run import TOOLKIT, Toolkit

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
COMMANDS = "".join(BLOCKS)


def lines_with(word: str) -> list[str]:
    return [line for line in COMMANDS.splitlines() if line.startswith(word)]


def test_the_make_targets_exist() -> None:
    targets = [line.split()[1] for line in lines_with("make ")]
    assert targets == ["demo", "test"]
    for target in targets:
        done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_pip_installs_what_the_project_is_called() -> None:
    (line,) = lines_with("pip ")
    assert "base-image-toolkit[sandbox]" in line
    assert 'name = "base-image-toolkit"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.slow
def test_the_days_work_runs_as_written(tmp_path: Path) -> None:
    require("terraform")
    folder = tmp_path / "quickstart"
    shutil.copytree(ROOT / "examples" / "quickstart", folder)
    script = "\n".join(line for line in COMMANDS.splitlines() if not line.startswith(("make ", "pip ")))
    toolkit = Toolkit(folder)
    environment = {**toolkit.environment, "PATH": f"{Path(TOOLKIT).parent}:{toolkit.environment['PATH']}"}
    try:
        done = subprocess.run(
            ["sh", "-e", "-x", "-c", script],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
    finally:
        toolkit.run("sandbox", "down")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    shown = re.search(r"^\$ toolkit plan\n(Plan: .*?\n\nPlan: .*?)$", README, re.DOTALL | re.MULTILINE)
    assert shown
    assert shown[1] in done.stdout, "README shows another plan than the program"


@pytest.mark.parametrize("script", ["examples/quickstart/demo.sh", ".ci/run"])
def test_the_scripts_parse(script: str) -> None:
    assert subprocess.run(["bash", "-n", ROOT / script], check=False).returncode == 0
