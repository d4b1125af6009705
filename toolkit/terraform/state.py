"""The parts of Terraform's state that we read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.plan.observed import ReplicationRule, replication_rule

_ARN = re.compile(r"arn:[^:]+:[^:]+:(?P<region>[a-z0-9-]*):(?P<account>\d{12}):")


@dataclass(frozen=True, slots=True)
class State:
    """The content of Terraform's state.

    `resources` are the attributes of each managed resource by address, as Terraform's last run wrote them. Terraform
    would replace the `tainted` ones, because their creation was interrupted. `lineage` identifies the state and
    `serial` counts its versions; an empty state has "" and 0.
    """

    resources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tainted: frozenset[str] = frozenset()
    lineage: str = ""
    serial: int = 0

    @property
    def places(self) -> Mapping[str, tuple[str, str]]:
        """By address, the region and the account in the resource's ARN; the region of a global resource is ""."""
        found = {address: _ARN.match(str(values.get("arn", ""))) for address, values in self.resources.items()}
        return {address: (arn["region"], arn["account"]) for address, arn in found.items() if arn}

    def replication(self, address: str, account_id: str) -> tuple[ReplicationRule, ...]:
        """The rules of the replication configuration at `address`."""
        configurations = self.resources.get(address, {}).get("replication_configuration") or ()
        return tuple(
            replication_rule(
                [(one["region"], one["registry_id"]) for one in rule["destination"]],
                [one["filter"] for one in rule.get("repository_filter") or ()],
                account_id,
            )
            for configuration in configurations
            for rule in configuration["rule"]
        )

    @property
    def managed(self) -> frozenset[str]:
        """The addresses of the managed resources."""
        return frozenset(self.resources)


def read_state(text: str) -> State:
    """The state in the output of `terraform state pull`; empty text is an empty state."""
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
    """The address of a resource instance in Terraform's notation."""
    module = f"{resource['module']}." if "module" in resource else ""
    key = f"[{json.dumps(instance['index_key'], ensure_ascii=False)}]" if "index_key" in instance else ""
    return f"{module}{resource['type']}.{resource['name']}{key}"


DEFAULT_WORKSPACE = "default"
_FORMAT = 4


def read_local_state(folder: Path, workspace: str) -> State | None:
    """The local state of the working directory `folder`, after `init`.

    None if only Terraform can read the state: it is kept elsewhere, or we do not know the file's format. Terraform then
    also reports a damaged file.
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
    """The state file of the local backend; None for another backend."""
    try:
        backend = json.loads((folder / ".terraform" / "terraform.tfstate").read_text(encoding="utf-8"))["backend"]
        kind, settings = backend["type"], backend["config"]
    except FileNotFoundError:  # without a `backend` block the backend is local
        kind, settings = "local", {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if kind != "local":
        return None
    if workspace == DEFAULT_WORKSPACE:
        return folder / (settings.get("path") or "terraform.tfstate")
    return folder / (settings.get("workspace_dir") or "terraform.tfstate.d") / workspace / "terraform.tfstate"
