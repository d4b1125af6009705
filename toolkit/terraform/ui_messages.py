"""Terraform's `-json` lines as values and events; pure.

These lines say what is planned and why, imports and drift included. They do not say which attributes change:
`plan_changes` reads that from `terraform show -json`, which starts the provider again (3.5 s of CPU). Unknown types and
fields are ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.events import (
    DiagnosticReported,
    Event,
    InfraChangeFailed,
    InfraChangeFinished,
    InfraChangeProgressed,
    InfraChangeStarted,
)
from toolkit.plan.model import InfraAction, InfraChange
from toolkit.terraform.explain import Diagnostic, hint_for
from toolkit.terraform.root_module import instance_of

_ACTIONS = {
    "create": InfraAction.CREATE,
    "update": InfraAction.UPDATE,
    "move": InfraAction.UPDATE,  # changes only the address in the state
    "replace": InfraAction.REPLACE,
    "delete": InfraAction.DELETE,
    "remove": InfraAction.FORGET,
    "import": InfraAction.IMPORT,
}
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_FRAME = re.compile(r"^[╷│╵]\s?")


@dataclass(frozen=True, slots=True)
class Message:
    """One line: its type (`planned_change`, `apply_complete`, …) and its fields."""

    type: str
    body: Mapping[str, Any]


def read(line: str) -> Message | None:
    """The message in `line`; None for plain text, which Terraform sometimes mixes in."""
    try:
        body = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or not isinstance(body.get("type"), str):
        return None
    return Message(body["type"], body)


def event_of(message: Message) -> Event | None:
    """The event for a user; None if nobody would act on the message, as when a data source was read."""
    if message.type == "diagnostic":
        diagnostic = diagnostic_of(message)
        return DiagnosticReported(
            severity=diagnostic.severity,
            summary=diagnostic.summary,
            detail=diagnostic.detail,
            address=diagnostic.address,
            hint=hint_for(diagnostic),
        )
    hook = _mapping(message.body, "hook")
    address = _text(_mapping(hook, "resource"), "addr")
    action = _text(hook, "action")
    if action == "read" and message.type != "apply_errored":
        return None
    seconds = hook.get("elapsed_seconds")
    elapsed = float(seconds) if isinstance(seconds, (int, float)) else 0.0
    match message.type:
        case "apply_start":
            return InfraChangeStarted(address, action)
        case "apply_progress":
            return InfraChangeProgressed(address, action, elapsed)
        case "apply_complete":
            return InfraChangeFinished(address, action, elapsed)
        case "apply_errored":
            return InfraChangeFailed(address, action, elapsed)
    return None


def change_of(message: Message) -> InfraChange | None:
    """The change in a `planned_change`; None for other messages and for one that changes nothing."""
    return _change(message) if message.type == "planned_change" else None


def drift_of(message: Message) -> InfraChange | None:
    """The change outside of Terraform in a `resource_drift`; None for other messages."""
    return _change(message) if message.type == "resource_drift" else None


def owner_in(module: str) -> tuple[str, str]:
    """The manifest's name of the repository or build at the address `module`, and the region of a replica.

    Both are "" if the module is not ours.
    """
    instance = instance_of(module)
    return (instance.name, instance.region) if instance else ("", "")


def _change(message: Message) -> InfraChange | None:
    change = _mapping(message.body, "change")
    action = _ACTIONS.get(_text(change, "action"))
    if action is None:
        return None
    resource = _mapping(change, "resource")
    if action is InfraAction.FORGET:  # `root_module.render` moved it to a new address to let go of it
        resource = _mapping(change, "previous_resource") or resource
    name, region = owner_in(_text(resource, "module"))
    return InfraChange(
        address=_text(resource, "addr"),
        resource_type=_text(resource, "resource_type"),
        action=action,
        name=name,
        reason=_text(change, "reason"),
        is_imported=action is InfraAction.IMPORT or "importing" in change,
        region=region,
    )


def diagnostic_of(message: Message) -> Diagnostic:
    """The content of a `diagnostic` message."""
    body = _mapping(message.body, "diagnostic")
    return Diagnostic(
        severity=_text(body, "severity"),
        summary=_text(body, "summary"),
        detail=_text(body, "detail"),
        address=_text(body, "address"),
    )


def outputs_of(message: Message) -> Mapping[str, object]:
    """The values of an `outputs` message, without sensitive ones."""
    outputs = _mapping(message.body, "outputs")
    return {
        name: output["value"]
        for name, output in outputs.items()
        if isinstance(output, dict) and "value" in output and output.get("sensitive") is False
    }


def diagnostic_in(text: str) -> Diagnostic | None:
    """The first error in Terraform's plain text, from a command without `-json`; if there is none, the first line."""
    plain = [_FRAME.sub("", _COLOURS.sub("", line)).rstrip() for line in text.splitlines()]
    lines = [line for line in plain if line]
    for index, line in enumerate(lines):
        if line.startswith("Error: "):
            return Diagnostic("error", line.removeprefix("Error: "), "\n".join(lines[index + 1 :]))
    return Diagnostic("error", lines[0], "\n".join(lines[1:])) if lines else None


def _mapping(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = body.get(key)
    return value if isinstance(value, dict) else {}


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""
