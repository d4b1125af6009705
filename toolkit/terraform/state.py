"""Terraform's state, as far as we look into it; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class State:
    """Addresses of the managed resources; the `tainted` ones Terraform would replace, as their creation broke off."""

    managed: frozenset[str]
    tainted: frozenset[str]


def read_state(text: str) -> State:
    """A state as `terraform state pull` prints it; no text is an empty state."""
    state = json.loads(text) if text.strip() else {}
    instances = {
        _address(resource, instance): instance
        for resource in state.get("resources", [])
        if resource["mode"] == "managed"
        for instance in resource["instances"]
        if "deposed" not in instance
    }
    return State(
        managed=frozenset(instances),
        tainted=frozenset(address for address, found in instances.items() if found.get("status") == "tainted"),
    )


def _address(resource: Mapping[str, Any], instance: Mapping[str, Any]) -> str:
    module = f"{resource['module']}." if "module" in resource else ""
    key = f"[{json.dumps(instance['index_key'], ensure_ascii=False)}]" if "index_key" in instance else ""
    return f"{module}{resource['type']}.{resource['name']}{key}"
