"""Programs and their settings are taken from where a pull request cannot put them.

With `.`, `node_modules/.bin` or a virtual environment of the checkout on PATH, a file of the tree would be started in
place of `terraform`, with all secrets of the pipeline.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path


def find_program(name: str, environment: Mapping[str, str]) -> str | None:
    """The program `name` on the PATH of `environment`; a path, which somebody chose, is taken as it is."""
    return shutil.which(name, path=safe_search_path(environment.get("PATH", os.defpath)))


def safe_search_path(path: str) -> str:
    """`path`, a value of PATH, without relative folders and without those in the tree under review."""
    return os.pathsep.join(folder for folder in path.split(os.pathsep) if not is_in_tree(folder))


def is_in_tree(path: str) -> bool:
    """Whether a pull request can change what is at `path`. A relative path depends on where it is used, so it can."""
    if not Path(path).is_absolute():
        return True
    tree = _tree_under_review()
    places = (Path(os.path.normpath(path)), Path(os.path.realpath(path)))
    return tree is not None and any(place.is_relative_to(tree) for place in places)


def _tree_under_review() -> Path | None:
    """The Git checkout around the current directory, else that directory; None at home and above it."""
    here = Path.cwd()
    home = Path(os.path.expanduser("~"))  # noqa: PTH111  pathlib raises where there is no home
    checkout = next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), None)
    if checkout is not None and checkout != home:
        return checkout
    return None if home.is_relative_to(here) else here
