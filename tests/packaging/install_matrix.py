"""Which machines install the tool without a compiler: `make install-matrix`. Needs a package index.

For each system and Python, pip looks for wheels of everything that the tool depends on. python-terraform is left out:
it is published as source only, and that source is pure Python.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# pip takes a platform by name: newer releases of a C library take wheels for the older ones too.
PLATFORMS = {
    f"{system} {processor}": tuple(f"{tag}_{processor}" for tag in tags)
    for system, processors, tags in (
        ("manylinux", ("x86_64", "aarch64"), ("manylinux2014", "manylinux_2_17", "manylinux_2_26", "manylinux_2_28")),
        ("musllinux", ("x86_64", "aarch64"), ("musllinux_1_1", "musllinux_1_2")),
        ("macOS", ("x86_64", "arm64"), ("macosx_13_0",)),
    )
    for processor in processors
}
SOURCE_ONLY = "python-terraform"


def requirements(extra: str | None) -> list[str]:
    """What `pyproject.toml` asks for, alone or with an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(project["optional-dependencies"][extra] if extra else ())]
    return [one for one in wanted if not one.startswith(SOURCE_ONLY)]


def missing(python: str, tags: tuple[str, ...], wanted: list[str]) -> str:
    """Why pip cannot install from wheels; "" where it can."""
    platforms = [argument for tag in tags for argument in ("--platform", tag)]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--dest", folder]
        command += ["--python-version", python, "--implementation", "cp", *platforms, *wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return "" if done.returncode == 0 else "; ".join(errors)[:300] or f"pip ends with {done.returncode}"


def main() -> int:
    """Print the matrix as a table; 1 where a cell is empty."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--extra", help="with this extra, such as sandbox")
    wanted = requirements(parser.parse_args().extra)
    say = sys.stdout.write
    say(f"| | {' | '.join(PYTHONS)} |\n{'|---' * (len(PYTHONS) + 1)}|\n")
    reasons = []
    for name, tags in PLATFORMS.items():
        found = {python: missing(python, tags, wanted) for python in PYTHONS}
        say(f"| {name} | {' | '.join('no' if reason else 'yes' for reason in found.values())} |\n")
        sys.stdout.flush()
        reasons += [f"{name}, Python {python}: {reason}\n" for python, reason in found.items() if reason]
    say("".join(reasons))
    return 1 if reasons else 0


if __name__ == "__main__":
    sys.exit(main())
