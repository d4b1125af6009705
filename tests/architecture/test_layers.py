"""The layers of the design hold."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_imports_go_down_only() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_the_command_line_starts_without_heavy_libraries() -> None:
    code = "import sys; from toolkit.cli.app import make_app; from toolkit.cli.main import COMMANDS; make_app(COMMANDS); print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    heavy = {
        "boto3",
        "botocore",
        "jinja2",
        "pydantic",
        "ruamel.yaml",
        "rich",
        "urllib3",
        "python_terraform",
        "moto",
        "Crypto",
    }
    assert heavy & set(loaded.split()) == set()


def test_loads_urllib3_with_the_first_request() -> None:
    code = (
        "import sys; from toolkit.oci.client import RegistryClient; RegistryClient(); print('urllib3' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert found.stdout == b"False\n"


def test_threads_are_started_in_one_place() -> None:
    starts = re.compile(r"\bThread\(|\bTimer\(|ThreadPool|ProcessPool|import asyncio")
    files = {
        path.relative_to(ROOT / "toolkit").as_posix(): path.read_text() for path in (ROOT / "toolkit").rglob("*.py")
    }
    found = {name for name, text in files.items() if starts.search(text) and not name.startswith("sandbox/")}
    assert found == {"seed/worker_pool.py"}
