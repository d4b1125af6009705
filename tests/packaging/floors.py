"""The unit tests on the oldest dependencies that `pyproject.toml` allows: `make test-floors`. Needs a package index."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def floors() -> list[str]:
    """Each runtime dependency at its oldest version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = map(Requirement, project["dependencies"])
    return [f"{one.name}=={next(iter(one.specifier)).version}" for one in wanted]


def main() -> int:
    """Install them beside the tests' own tools, and run the unit tests with them."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder, "bin", "python"))
        constraints = Path(folder, "floors.txt")
        constraints.write_text("\n".join(floors()), encoding="utf-8")
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # What is left out of `dev` are types, linters and the site.
        tools = ["pytest", "pytest-xdist", "hypothesis", "jsonschema", "cryptography", "dockerfile"]
        subprocess.run([*install, "-c", str(constraints), "-e", f"{ROOT}[sandbox]", *tools], check=True)
        subprocess.run([python, "-m", "pip", "list", "--disable-pip-version-check"], check=True)
        return subprocess.run(
            [python, "-m", "pytest", "-q", "-n", "auto", "-m", "not slow", "tests/unit"], cwd=ROOT, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
