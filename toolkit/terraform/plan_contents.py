"""The contents of Terraform's saved plan, and checks that our own plan describes it; pure.

The file is a zip with the changes in a form that only Terraform reads, the state from which they were planned, and the
configuration for which they were planned. `terraform show -json` prints the changes. An apply evaluates the
configuration again and refuses values that do not result from it. So a plan with our configuration has our values.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.errors import PLAN_AGAIN, Refused
from toolkit.plan.model import InfraAction, InfraChange
from toolkit.terraform.plan_changes import has_drifted
from toolkit.terraform.state import State, address_of, read_state
from toolkit.terraform.ui_messages import owner_in

_CONFIG = "tfconfig/"
_MOST_BYTES = 512 * 2**20
# The exceptions that a forged zip or state can cause.
_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    EOFError,
    RuntimeError,
)

_ACTIONS = {
    ("create",): InfraAction.CREATE,
    ("update",): InfraAction.UPDATE,
    ("delete",): InfraAction.DELETE,
    ("delete", "create"): InfraAction.REPLACE,
    ("create", "delete"): InfraAction.REPLACE,
    ("forget",): InfraAction.FORGET,
}


@dataclass(frozen=True, slots=True)
class PlanContents:
    """The state from which the plan was made, and the configuration files by their path in the directory.

    `sensitive` are the attributes in that state whose values Terraform does not show.
    """

    state: State
    config: Mapping[str, bytes]
    terraform_version: str
    sensitive: tuple[str, ...]


def read_contents(content: bytes) -> PlanContents:
    """The contents of the saved plan `content`. Raises Refused if it is not a saved plan."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _read(archive)
    except _FAULTS as error:
        raise Refused(
            "plan.misfit", "the Terraform part of the saved plan is not a Terraform plan", hint=PLAN_AGAIN
        ) from error


def tells_of_drift(content: bytes) -> bool:
    """Whether the saved plan `content` has drift that matters.

    The provider reports drift after every first apply, because it does not distinguish an empty value from none. To see
    that in `show -json` costs half as much as the plan; to compare the two states in the file is cheap. Their format is
    Terraform's own (1.1 and newer). If it cannot be read, the result is True.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            last, now = (read_state(archive.read(name).decode()) for name in ("tfstate-prev", "tfstate"))
    except _FAULTS:
        return True
    return has_drifted(last, now)


def _read(archive: zipfile.ZipFile) -> PlanContents:
    entries = archive.infolist()
    if sum(entry.file_size for entry in entries) > _MOST_BYTES:
        raise ValueError("too much")
    if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in entries):
        raise ValueError("not as Terraform writes it")
    if len({entry.filename for entry in entries}) < len(entries):
        raise ValueError("Terraform would read the first of two members, and we the second")
    text = archive.read("tfstate").decode()
    folders = {one["Key"]: one["Dir"] for one in json.loads(archive.read(f"{_CONFIG}modules.json"))}
    config = {}
    for entry in entries:
        key, _, name = entry.filename.removeprefix(f"{_CONFIG}m-").rpartition("/")
        if entry.filename.startswith(f"{_CONFIG}m-"):
            folder = folders[key]
            config[name if folder == "." else f"{folder}/{name}"] = archive.read(entry)
    document = json.loads(text)
    return PlanContents(read_state(text), config, str(document["terraform_version"]), tuple(_sensitive(document)))


def _sensitive(state: Mapping[str, Any]) -> Iterator[str]:
    for resource in state["resources"]:
        for instance in resource["instances"]:
            for path in instance.get("sensitive_attributes") or ():
                if path:
                    yield f"{address_of(resource, instance)}.{path[0]['value']}"


def config_misfits(contents: PlanContents, files: Mapping[str, bytes]) -> Iterator[str]:
    """The configuration files in Terraform's plan that differ from `files`, as sentences."""
    for name, content in contents.config.items():
        if files.get(name) != content:
            what = "another content of" if name in files else "a file that the saved plan does not have:"
            yield f"Terraform's plan was made for {what} `{name}`"


def change_misfits(shown: Mapping[str, Any], changes: Iterable[InfraChange]) -> Iterator[str]:
    """The differences between `changes` and Terraform's plan, `shown` by `terraform show -json`, as sentences."""
    planned: dict[str, list[frozenset[InfraAction]]] = defaultdict(list)
    known: dict[str, tuple[str, str, str]] = {}
    for resource in shown.get("resource_changes", ()):
        actions = _actions(resource) if resource["mode"] == "managed" else frozenset()
        if actions:
            # `root_module.render` moves a resource to a new address to let go of it.
            is_left = InfraAction.FORGET in actions
            address = (is_left and resource.get("previous_address")) or resource["address"]
            planned[address].append(actions)
            known[address] = (resource["type"], *owner_in(address.rpartition(f".{resource['type']}.")[0]))
    for change in changes:
        # An object that an interrupted replacement left behind has the same address as its successor.
        fitting = [actions for actions in planned.get(change.address, ()) if change.action in actions]
        if fitting:
            planned[change.address].remove(fitting[0])
            if (change.resource_type, change.name, change.region) != known[change.address]:
                yield f"`{change.address}` is not a `{change.resource_type}` of `{change.name}`"
        else:
            yield f"Terraform's plan does not {change.action} `{change.address}`"
    for address, left in planned.items():
        for actions in left:
            yield f"Terraform's plan would {min(actions)} `{address}`, which the saved plan does not mention"


def variable_misfits(shown: Mapping[str, Any], extra_files: Mapping[str, str]) -> Iterator[str]:
    """The variables with other values in Terraform's plan than `extra_files` give them, as sentences.

    Only `extra_files` declare variables. A value is the variable's default or comes from a `*.auto.tfvars.json`.
    """
    declared = shown.get("configuration", {}).get("root_module", {}).get("variables", {})
    wanted = {name: variable.get("default") for name, variable in declared.items()}
    for name, text in sorted(extra_files.items()):
        if name.endswith(".auto.tfvars.json"):
            try:
                wanted |= dict(json.loads(text))
            except (ValueError, TypeError, RecursionError):
                yield f"`{name}` has no values of variables"
    for name, variable in sorted(shown.get("variables", {}).items()):
        if wanted.get(name) != variable.get("value"):
            yield f"Terraform's plan was made with another value of the variable `{name}`"


def _actions(resource: Mapping[str, Any]) -> frozenset[InfraAction]:
    """The names that our plan may use for the change; none if nothing changes."""
    change = resource["change"]
    actions = tuple(change["actions"])
    if actions == ("no-op",):
        if change.get("importing"):
            return frozenset({InfraAction.IMPORT})
        # Only the address in the state changes.
        return frozenset({InfraAction.UPDATE} if resource.get("previous_address") else ())
    if actions not in _ACTIONS:
        raise Refused("plan.misfit", f"Terraform's plan has an unknown kind of change: {', '.join(actions)}")
    found = {_ACTIONS[actions]}
    return frozenset(found | {InfraAction.IMPORT} if change.get("importing") else found)
