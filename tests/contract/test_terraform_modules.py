"""The Terraform modules under the real Terraform: formatted, as their READMEs say, and passing their own tests."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import real_parts

MODULES = Path(__file__).parents[2] / "terraform_modules"
STANDARD_FILES = {"main.tf", "variables.tf", "outputs.tf", "versions.tf", "README.md"}

module_names = pytest.mark.parametrize("module", sorted(path.name for path in MODULES.iterdir() if path.is_dir()))


def _terraform(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))}
    if Path(os.environ.get("TF_CLI_CONFIG_FILE", "")).is_file():  # a file that is not there only makes it complain
        kept["TF_CLI_CONFIG_FILE"] = os.environ["TF_CLI_CONFIG_FILE"]
    return subprocess.run(
        [real_parts.require("terraform"), *arguments],
        cwd=cwd,
        env=kept | {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )


def _init(folder: Path) -> None:
    mirror = os.environ.get("TOOLKIT_PROVIDER_MIRROR")
    init = _terraform("init", "-no-color", "-backend=false", *([f"-plugin-dir={mirror}"] if mirror else []), cwd=folder)
    if init.returncode != 0 and not mirror:
        real_parts.missing(f"the AWS provider is not to be had, set TOOLKIT_PROVIDER_MIRROR: {init.stdout}")
    assert init.returncode == 0, init.stdout


def _table(readme: str, title: str) -> list[list[str]]:
    """The rows of README's table whose first column is `title`, each cell without its back-quotes."""
    body = re.search(rf"^\| {title} \|.*\n\|[-|]+\n((?:\|.*\n)+)", readme, re.MULTILINE)
    assert body, f"README has no table of {title}s"
    return [[cell.strip().strip("`") for cell in row.split("|")[1:-1]] for row in body[1].splitlines()]


def _variables(folder: Path) -> str:
    """Both files where there are too many for one: in order of name, `variables.tf` first."""
    return "".join(
        path.read_text(encoding="utf-8") for path in sorted(folder.glob("variables*.tf"), key=lambda p: p.stem)
    )


def _block_names(text: str, kind: str) -> list[str]:
    return re.findall(rf'^{kind} "(\w+)"', text, re.MULTILINE)


def test_the_modules_are_formatted() -> None:
    run = _terraform("fmt", "-check", "-recursive", "-diff", cwd=MODULES)
    assert run.returncode == 0, run.stdout


@module_names
def test_a_module_has_the_standard_files_and_tests(module: str) -> None:
    folder = MODULES / module
    files = {path.name for path in folder.iterdir() if path.is_file() and path.name[0] != "."}
    assert files >= STANDARD_FILES
    assert {Path(name).suffix for name in files - STANDARD_FILES} <= {".tf"}
    assert list((folder / "tests").glob("*.tftest.hcl"))


@module_names
def test_the_readme_names_every_variable_and_output_in_order(module: str) -> None:
    folder = MODULES / module
    readme = (folder / "README.md").read_text(encoding="utf-8")
    outputs = (folder / "outputs.tf").read_text(encoding="utf-8")
    assert [row[0] for row in _table(readme, "variable")] == _block_names(_variables(folder), "variable")
    assert [row[0] for row in _table(readme, "output")] == _block_names(outputs, "output")


@module_names
def test_the_readme_states_the_types_and_defaults_that_the_variables_have(module: str) -> None:
    folder = MODULES / module
    readme = (folder / "README.md").read_text(encoding="utf-8")
    variables = _variables(folder)
    for name, stated_type, stated_default, _ in _table(readme, "variable"):
        block = re.search(rf'^variable "{name}" {{\n(.*?)^}}', variables, re.MULTILINE | re.DOTALL)
        assert block
        kind = re.search(r"^  type += (\w+(?:\(\w+\))?)", block[1], re.MULTILINE)
        default = re.search(r"^  default += (.+)$", block[1], re.MULTILINE)
        assert kind and kind[1].removesuffix("({") == stated_type, name
        if stated_default == "a sentence":
            assert default and " " in default[1], name
        else:
            assert (default[1].strip('"') if default else "required") == stated_default, name


@pytest.mark.slow
def test_the_file_for_provider_6_is_merged_into_the_repository(tmp_path: Path) -> None:
    folder = shutil.copytree(
        MODULES / "ecr-repository", tmp_path / "module", ignore=shutil.ignore_patterns(".terraform*")
    )
    shutil.copy(folder / "provider-6.8" / "exclusions_override.tf", folder)
    _init(folder)
    found = json.loads(_terraform("validate", "-json", cwd=folder).stdout)
    # Provider 5 knows all but the block, which is why it is in a file of its own.
    faults = {(fault["range"]["filename"], fault["detail"].partition(" are not")[0]) for fault in found["diagnostics"]}
    block = ("exclusions_override.tf", 'Blocks of type "image_tag_mutability_exclusion_filter"')
    assert faults <= {block}
    assert found["valid"] is not bool(faults)


@pytest.mark.slow
@module_names
def test_a_module_passes_its_own_tests(module: str, tmp_path: Path) -> None:
    # All of them, because one calls the others.
    modules = shutil.copytree(MODULES, tmp_path / "modules", ignore=shutil.ignore_patterns(".terraform*"))
    folder = modules / module
    _init(folder)
    run = _terraform("test", "-no-color", cwd=folder)
    assert run.returncode == 0, run.stdout
    # A folder without tests passes too.
    passed = re.search(r"^Success! (\d+) passed, 0 failed\.", run.stdout, re.MULTILINE)
    written = sum(
        len(_block_names(path.read_text(encoding="utf-8"), "run")) for path in folder.glob("tests/*.tftest.hcl")
    )
    assert passed and int(passed[1]) == written > 0, run.stdout
