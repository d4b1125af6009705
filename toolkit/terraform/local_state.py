"""Terraform's state in a file on this machine, read as it is: starting Terraform for it costs 0.7 s of CPU."""

from __future__ import annotations

import json
from pathlib import Path

from toolkit.terraform.state import State, read_state

DEFAULT_WORKSPACE = "default"
_FORMAT = 4


def read_local_state(folder: Path, workspace: str) -> State | None:
    """The state of the working directory `folder`, after `init`.

    None where Terraform has to be asked: it keeps the state elsewhere, or the file is not one that we know to read, so
    that Terraform says what is wrong with it.
    """
    path = _path(folder, workspace)
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8")
        return read_state(text) if not text.strip() or json.loads(text)["version"] == _FORMAT else None
    except FileNotFoundError:
        return State()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _path(folder: Path, workspace: str) -> Path | None:
    """Where the local backend keeps the state; None with another backend."""
    try:
        backend = json.loads((folder / ".terraform" / "terraform.tfstate").read_text(encoding="utf-8"))["backend"]
        kind, settings = backend["type"], backend["config"]
    except FileNotFoundError:  # no backend is named, and the default one is local
        kind, settings = "local", {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if kind != "local":
        return None
    if workspace == DEFAULT_WORKSPACE:
        return folder / (settings.get("path") or "terraform.tfstate")
    return folder / (settings.get("workspace_dir") or "terraform.tfstate.d") / workspace / "terraform.tfstate"
