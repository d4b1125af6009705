"""The attributes, rights and drift of each change of a plan, from `terraform show -json`; pure.

Changes that nobody can act on are left out: an attribute that AWS sets (`arn`) is unknown while its resource is
replaced. `attributes` compares the two sides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from toolkit.manifest.grammar import REFRESH
from toolkit.plan.model import AttributeChange, Grant, InfraAction, InfraChange
from toolkit.plan.rights import compare_policies
from toolkit.terraform.attributes import differences, is_same, path_of, whole_differences
from toolkit.terraform.iam_policy import STARTERS
from toolkit.terraform.state import State
from toolkit.terraform.ui_messages import owner_in

# Resources that only give rights, with the argument that names the owner.
_OWNERS = {
    "aws_ecr_repository_policy": "repository",
    "aws_iam_role_policy": "role",
    "aws_iam_role_policy_attachment": "role",
}
# Resources whose creation gives rights, if they are in the user's own files instead of our modules.
_RIGHTS = frozenset({*_OWNERS, "aws_iam_role", "aws_iam_policy"})
_WHOLES = ("aws_ecr_repository", "aws_codebuild_project")
_INSTANCE_KEY = re.compile(r'\[(?:\d+|"(?:[^"\\]|\\.)*")\]')
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")

Document = Mapping[str, Any]


def needs_attributes(changes: Sequence[InfraChange]) -> bool:
    """Whether `show -json` adds something to `changes`: a whole creation or deletion is known without it.

    A policy that is deleted alone removes rights. The manifest does not describe a created policy or role without a
    name, which is not in a module of ours, and the policies of `refresh`, which come from the table of rights.
    """
    gone = {
        change.name for change in changes if change.action is InfraAction.DELETE and change.resource_type in _WHOLES
    }

    def is_needed(change: InfraChange) -> bool:
        if change.action is InfraAction.CREATE:
            return change.resource_type in _RIGHTS and not _is_described(change)
        if change.action is InfraAction.DELETE:
            return change.resource_type in _OWNERS and (not change.name or change.name not in gone)
        return change.action is not InfraAction.FORGET

    return any(map(is_needed, changes))


def with_attributes(changes: Iterable[InfraChange], document: Document) -> tuple[InfraChange, ...]:
    """`changes` with the attributes and rights in `document`, the JSON of their plan."""
    reader = _Reader(document)
    found = _planned(document)
    return tuple(
        reader.described(change, found[change.address]) if change.address in found else change for change in changes
    )


def drift_in(document: Document, changes: Iterable[InfraChange] = ()) -> tuple[InfraChange, ...]:
    """The changes outside of Terraform. `changes`, of the same plan, have the names of resources that are let go of.

    `reason` says what the plan does about a change: `put_back`, `changed` to yet another value, or only `recorded` in
    the state. The result may have one resource once for each reason.
    """
    reader = _Reader(document)
    planned = _planned(document)
    names = {change.address: change.name for change in changes}
    return tuple(
        replace(drift, name=names.get(drift.address) or drift.name)
        for change in document.get("resource_drift", ())
        for drift in reader.drift(change, planned.get(change["address"]))
    )


def _planned(document: Document) -> dict[str, Document]:
    """The changes by address, without objects that an interrupted replacement left behind at the same address."""
    return {change["address"]: change for change in document.get("resource_changes", ()) if "deposed" not in change}


def has_drifted(before: State, after: State) -> bool:
    """Whether `drift_in` would find anything between the state of the last run and the refreshed state."""
    owned = frozenset(
        (resource.get("role"), resource.get("name"))
        for address, resource in before.resources.items()
        if _type_of(address) == "aws_iam_role_policy"
    )
    return any(
        address not in after.resources
        or (
            after.resources[address] != last and differences({"before": last, "after": after.resources[address]}, owned)
        )
        for address, last in before.resources.items()
    )


class _Reader:
    """One document, with the facts that concern several of its changes."""

    def __init__(self, document: Document) -> None:
        self._configured = dict(_configured(document.get("configuration", {}).get("root_module", {})))
        changes = document.get("resource_changes", [])
        sides = [(c, c["change"].get(side) or {}) for c in changes for side in ("before", "after")]
        self._owned = frozenset(
            (values.get("role"), values.get("name")) for c, values in sides if c["type"] == "aws_iam_role_policy"
        )
        self._gone = frozenset(
            values["name"]
            for c, values in sides
            if c["type"] in ("aws_ecr_repository", "aws_iam_role") and c["change"]["actions"] == ["delete"] and values
        )

    def described(self, planned: InfraChange, resource: Document) -> InfraChange:
        change = resource["change"]
        if planned.action in (InfraAction.CREATE, InfraAction.DELETE):
            owner = (change.get("before") or change.get("after") or {}).get(_OWNERS.get(resource["type"], ""))
            is_new = planned.action is InfraAction.CREATE
            rights = _RIGHTS if is_new else _OWNERS
            if resource["type"] not in rights or (is_new and _is_described(planned)) or owner in self._gone:
                return planned
            grants = _told(resource, self._differences(resource), is_new=planned.name == REFRESH)[1]
            return replace(planned, grants=grants)
        if planned.action is InfraAction.FORGET:
            return planned
        changes, grants = _told(resource, self._differences(resource))
        because = tuple(path_of(steps) for steps in change.get("replace_paths", ()))
        return replace(planned, changes=changes, grants=grants, replace_because=because)

    def drift(self, drifted: Document, planned: Document | None) -> Iterator[InfraChange]:
        actions = planned["change"]["actions"] if planned else []
        name, region = owner_in(drifted.get("module_address", ""))
        drift = InfraChange(
            address=drifted["address"],
            resource_type=drifted["type"],
            action=InfraAction.DELETE if drifted["change"]["actions"] == ["delete"] else InfraAction.UPDATE,
            name=name,
            region=region,
        )
        if drift.action is InfraAction.DELETE:
            grants = _told(drifted, self._differences(drifted))[1] if drifted["type"] in _OWNERS else ()
            yield replace(drift, reason="put_back" if "create" in actions else "recorded", grants=grants)
            return
        ahead = {change.path: change for change in self._differences(planned)} if planned else {}
        by_reason: dict[str, list[AttributeChange]] = {}
        for change in self._differences(drifted, is_drift=True):
            by_reason.setdefault(_reason(change, ahead.get(change.path), actions), []).append(change)
        for reason, found in by_reason.items():
            changes, grants = _told(drifted, found)
            yield replace(drift, reason=reason, changes=changes, grants=grants)

    def _differences(self, resource: Document, *, is_drift: bool = False) -> list[AttributeChange]:
        change = resource["change"]
        configured = self._configured.get(_INSTANCE_KEY.sub("", resource["address"]))
        found = [
            difference
            for difference in differences(change, self._owned)
            if not difference.is_unknown or _is_argument(difference.path, configured)
        ]
        # Terraform counts it as a change, so every difference is shown, however small.
        return found if found or is_drift else whole_differences(change)


def _is_described(creation: InfraChange) -> bool:
    """Whether `toolkit.plan.creation_rights` tells what a created policy or role of ours allows."""
    is_from_table = creation.name == REFRESH and creation.resource_type in _OWNERS
    return bool(creation.name) and not is_from_table


def _is_argument(path: str, configured: frozenset[str] | None) -> bool:
    """Whether the configuration may have set the attribute, instead of AWS."""
    return configured is None or path in configured or not _WORD.fullmatch(path)


def _reason(drifted: AttributeChange, ahead: AttributeChange | None, actions: Sequence[str]) -> str:
    if ahead is None:
        return "changed" if "delete" in actions else "recorded"
    return "put_back" if is_same(ahead.after, drifted.before) and not ahead.is_unknown else "changed"


def _told(
    resource: Document, found: Iterable[AttributeChange], *, is_new: bool = False
) -> tuple[tuple[AttributeChange, ...], tuple[Grant, ...]]:
    """The changes in `found`, with policies as added and removed rights; a policy without any keeps its text."""
    changes: list[AttributeChange] = []
    grants: list[Grant] = []
    who = _who(resource)
    for change in found:
        is_policy = change.path in ("policy", "assume_role_policy") or change.path.startswith("inline_policy[")
        if is_policy and resource["type"] == "aws_ecr_lifecycle_policy":
            changes += _rules(change)
        elif is_policy:
            rights = _policy_grants(change, who, is_new)
            grants += rights
            if not rights or change.is_unknown or change.is_sensitive:
                changes.append(replace(change, before=None) if change.is_unknown else change)
        else:
            changes.append(change)
            grants += _other_grants(resource, change, who)
    return tuple(changes), tuple(grants)


def _policy_grants(change: AttributeChange, who: str, is_new: bool) -> tuple[Grant, ...]:
    if change.is_unknown or change.is_sensitive:
        when = "known only after the apply" if change.is_unknown else "not shown, as the policy is sensitive"
        return (Grant(f"{who or 'everyone'}: rights {when}", is_added=True, is_widening=True),)
    before, after = (text if isinstance(text, str) else None for text in (change.before, change.after))
    return compare_policies(before, after, who, is_new=is_new)


def _other_grants(resource: Document, change: AttributeChange, who: str) -> Iterator[Grant]:
    """The rights in a changed argument that is not a policy."""
    before, after = change.before, change.after
    if change.path == "permissions_boundary" and (before or change.is_sensitive):
        if change.is_unknown or change.is_sensitive:
            limit = "another permissions boundary"
        else:
            limit = f"bounded by {after} instead" if after else "no permissions boundary any more"
        yield Grant(f"{who}: {limit}", is_added=True, is_widening=True)
    elif change.path == "environment[0].privileged_mode":
        yield Grant(f"builds of {_owner(resource)}: privileged mode", is_added=bool(after), is_widening=bool(after))
    elif change.path in ("managed_policy_arns", "policy_arn"):
        old, new = (
            set(map(str, side if isinstance(side, list) else [side] if side else [])) for side in (before, after)
        )
        for arn in sorted(new - old):
            yield Grant(f"{who}: managed policy {arn}", is_added=True, is_widening=True)
        for arn in sorted(old - new):
            yield Grant(f"{who}: managed policy {arn}", is_added=False)


def _rules(change: AttributeChange) -> Iterator[AttributeChange]:
    """A lifecycle policy rule by rule, in words."""
    try:
        before, after = _rule_texts(change.before), _rule_texts(change.after)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        yield change
        return
    if change.is_unknown or change.is_sensitive or before == after:
        yield change
        return
    for priority in sorted({**before, **after}):
        if before.get(priority) != after.get(priority):
            yield AttributeChange(f"{change.path}.rules[{priority}]", before.get(priority), after.get(priority))


def _rule_texts(policy: object) -> dict[int, str]:
    rules = json.loads(policy)["rules"] if isinstance(policy, str) and policy else []
    return {int(rule["rulePriority"]): _rule_text(rule) for rule in rules}


def _rule_text(rule: Mapping[str, Any]) -> str:
    selection = rule["selection"]
    tags = [*selection.get("tagPrefixList", ()), *selection.get("tagPatternList", ())]
    which = {"any": "all"}.get(selection["tagStatus"], selection["tagStatus"]) + (f" {', '.join(tags)}" if tags else "")
    number = selection["countNumber"]
    if selection["countType"] == "imageCountMoreThan":
        return f"{rule['action']['type']} {which} images beyond the newest {number}"
    if selection["countType"] == "sinceImagePushed":
        return f"{rule['action']['type']} {which} images {number} {selection.get('countUnit', 'days')} after their push"
    return json.dumps(rule, sort_keys=True)


def _who(resource: Document) -> str:
    """The owner of the policy; "" if the policy names principals itself, as a repository's does."""
    if not resource["type"].startswith("aws_iam_"):
        return ""
    kind = "batch role" if resource.get("name") == "batch" else "role" if "role" in resource["type"] else "policy"
    kind = f"{resource['index']} {kind}" if resource.get("index") in STARTERS else kind
    return f"{kind} of {_owner(resource)}" if resource.get("module_address") else f"{kind} {resource['address']}"


def _owner(resource: Document) -> str:
    return owner_in(resource.get("module_address", ""))[0] or str(resource["address"])


def _configured(module: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, frozenset[str]]]:
    """The arguments that the configuration gives each resource, by its address without instance keys."""
    for resource in module.get("resources", ()):
        yield f"{prefix}{resource['address']}", frozenset(resource.get("expressions", ()))
    for name, call in module.get("module_calls", {}).items():
        yield from _configured(call.get("module", {}), f"{prefix}module.{name}.")


def _type_of(address: str) -> str:
    return _INSTANCE_KEY.sub("", address).split(".")[-2]
