"""What is installed is whole: the modules, the templates and the types travel in the wheel."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from toolkit.terraform.root_module import MODULES

ROOT = Path(__file__).parents[2]


def test_the_wheel_carries_what_the_program_reads(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for module in MODULES:
        for path in (ROOT / "terraform_modules" / module).glob("*.tf"):
            assert f"toolkit/terraform_modules/{module}/{path.name}" in names
    for template in (ROOT / "toolkit" / "terraform" / "templates").iterdir():
        assert f"toolkit/terraform/templates/{template.name}" in names
    for piece in (ROOT / "toolkit" / "codebuild" / "shell").iterdir():
        assert f"toolkit/codebuild/shell/{piece.name}" in names
    assert "toolkit/py.typed" in names
    assert not any(".terraform/" in name or name.endswith(".tfstate") for name in names)
