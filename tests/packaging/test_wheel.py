"""What is installed is whole: modules, templates, examples and types travel in the wheel, and it runs without the tree."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from toolkit import __version__
from toolkit.operations.examples import Example
from toolkit.terraform.modules import MODULES

ROOT = Path(__file__).parents[2]


def build(folder: Path, tree: Path = ROOT, **circumstances: Any) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=tree, check=True, capture_output=True, **circumstances)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


def test_carries_what_the_program_reads(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for module in MODULES:
        for path in (ROOT / "terraform_modules" / module).glob("*.tf"):
            assert f"toolkit/terraform_modules/{module}/{path.name}" in names
    for template in (ROOT / "toolkit" / "terraform" / "templates").iterdir():
        assert f"toolkit/terraform/templates/{template.name}" in names
    for template in (ROOT / "toolkit" / "cli" / "render" / "templates").iterdir():
        assert f"toolkit/cli/render/templates/{template.name}" in names
    for piece in (ROOT / "toolkit" / "codebuild" / "shell").iterdir():
        assert f"toolkit/codebuild/shell/{piece.name}" in names
    for example in Example:
        assert any(name.startswith(f"toolkit/examples/{example}/") for name in names)
    assert "toolkit/py.typed" in names
    assert not any(".terraform/" in name or name.endswith(".tfstate") for name in names)


def test_has_the_same_bytes_when_another_machine_builds_it_at_another_time(wheel: Path, tmp_path: Path) -> None:
    tree = tmp_path / "elsewhere" / "tree"
    tree.parent.mkdir()
    subprocess.run(["git", "clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(tree)], check=True)
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((ROOT / name).read_bytes())
        path.chmod(0o700 if os.access(ROOT / name, os.X_OK) else 0o600)
        os.utime(path, (1_000_000_000, 1_000_000_000))
    other = {**os.environ, "TZ": "Asia/Tokyo", "LC_ALL": "C", "LANG": "C", "PYTHONHASHSEED": "1"}
    assert build(tmp_path, tree, umask=0o077, env=other).read_bytes() == wheel.read_bytes()


@pytest.mark.slow
def test_runs_in_an_environment_of_its_own(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    install = [sys.executable, "-m", "pip", f"--python={python}", "install", "--no-index", "--no-deps", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    work = tmp_path / "work"
    work.mkdir()
    # The dependencies are those of this environment. A folder on PYTHONPATH reads no `.pth`: no checkout gets in.
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": sysconfig.get_path("purelib")}

    def toolkit(*arguments: str) -> str:
        command = [str(python.with_name("toolkit")), *arguments]
        return subprocess.run(command, cwd=work, env=environment, check=True, capture_output=True, text=True).stdout

    assert __version__ in toolkit("--version")
    assert "images.yaml written" in toolkit("init", "--example", "quickstart")
    assert "is valid" in toolkit("validate")
    assert "nginx:1.16" in toolkit("scan", ".")
    assert "base-images" in toolkit("render", "--out", "module")
    assert list((work / "module").rglob("*.tf"))
