"""The Git checkout that a manifest lies in: its commit, and what differs from it.

Somebody else may have set up the repository, so nothing that its configuration names is started: no file system
monitor, no hook, no filter, no submodule's Git, no fetch. The user's own configuration counts.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.oci.programs import find_program

_SECONDS = 30.0
_INERT = ("--no-optional-locks", "--no-replace-objects", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
_FILTERS = r"^filter\..*\.(clean|process|required)$"
_STATUS = ("status", "--porcelain", "-z", "--untracked-files=all", "--ignore-submodules=all", "--no-renames")
_MOST_NAMES = 5


@dataclass(frozen=True, slots=True)
class Checkout:
    """`changed` are files that are not as in `commit`, new ones too; the first few of them."""

    commit: str
    changed: tuple[str, ...] = ()


def find_checkout(file: Path, text: str, *, ignored: Iterable[Path] = ()) -> Checkout | None:
    """The checkout that `file`, whose text is `text`, lies in.

    None without one, without Git, and if Git does not trust it. Files in `ignored` do not count as changed.
    """
    file = file.resolve()
    commit = _git(file.parent, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    top = _git(file.parent, "rev-parse", "--show-toplevel")
    filters = _git(file.parent, "config", "--null", "--name-only", "--get-regexp", _FILTERS)
    if not commit or not top or filters is None or "=" in filters:  # `-c` would set another key for a name with `=`
        return None
    options = []
    for name in filters.split("\0")[:-1]:
        options += ["-c", f"{name}={'false' if name.endswith('.required') else ''}"]
    root = Path(top.rstrip("\n"))
    ours = [path.resolve() for path in ignored]
    excluded = [f":(exclude,top,literal){p.relative_to(root)}" for p in ours if p != root and p.is_relative_to(root)]
    changes = _git(file.parent, *options, *_STATUS, "--", ":(top)", *excluded)
    if changes is None:
        return None
    changed = {line[3:] for line in changes.split("\0")[:-1]}
    # The list lacks files that Git ignores or was told to take for unchanged.
    if _git(file.parent, "cat-file", "blob", f"HEAD:./{file.name}") != text:
        changed.add(file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name)
    return Checkout(commit.strip(), tuple(sorted(changed)[:_MOST_NAMES]))


def _git(folder: Path, *arguments: str) -> str | None:
    """What Git prints; None where it fails."""
    program = find_program("git", os.environ)
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *_INERT, *arguments],
            cwd=folder,
            env=_environment(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode in (0, 1) else None


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """Variables by which Git and the user's configuration are found, and none that changes what Git does."""
    kept = {name: given[name] for name in ("PATH", "HOME", "XDG_CONFIG_HOME") if name in given}
    return {**kept, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "none"}
