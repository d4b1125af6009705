"""Terraform's state, as far as we look into it; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_ARN = re.compile(r"arn:[^:]+:[^:]+:(?P<region>[a-z0-9-]*):(?P<account>\d{12}):")


@dataclass(frozen=True, slots=True)
class State:
    """What Terraform's state holds.

    `resources` are the attributes of each managed resource by address, as the last run of Terraform wrote them; the
    `tainted` ones Terraform would replace, as their creation broke off. `lineage` names the state, `serial` counts its
    versions; an empty state has "" and 0.
    """

    resources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tainted: frozenset[str] = frozenset()
    lineage: str = ""
    serial: int = 0

    @property
    def places(self) -> Mapping[str, tuple[str, str]]:
        """By address: the region and the account in the resource's ARN; the region is "" for what is global."""
        found = {address: _ARN.match(str(values.get("arn", ""))) for address, values in self.resources.items()}
        return {address: (arn["region"], arn["account"]) for address, arn in found.items() if arn}

    @property
    def managed(self) -> frozenset[str]:
        """Addresses of the managed resources."""
        return frozenset(self.resources)


def read_state(text: str) -> State:
    """A state as `terraform state pull` prints it; no text is an empty state."""
    state = json.loads(text) if text.strip() else {}
    instances = {
        address_of(resource, instance): instance
        for resource in state.get("resources", [])
        if resource["mode"] == "managed"
        for instance in resource["instances"]
        if "deposed" not in instance
    }
    return State(
        resources={address: instance.get("attributes") or {} for address, instance in instances.items()},
        tainted=frozenset(address for address, found in instances.items() if found.get("status") == "tainted"),
        lineage=str(state.get("lineage", "")),
        serial=int(state.get("serial", 0)),
    )


def address_of(resource: Mapping[str, Any], instance: Mapping[str, Any]) -> str:
    """The address of an instance of a state's resource, as Terraform writes it."""
    module = f"{resource['module']}." if "module" in resource else ""
    key = f"[{json.dumps(instance['index_key'], ensure_ascii=False)}]" if "index_key" in instance else ""
    return f"{module}{resource['type']}.{resource['name']}{key}"


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
