"""The attributes that differ between the two sides of a change in `terraform show -json`; pure.

A difference between an empty value and none is left out: the provider reports it after each first apply. `tags` are the
effective AWS tags, which Terraform calls `tags_all`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolkit.plan.model import AttributeChange

Change = Mapping[str, Any]
"""`before`, `after` and their masks `after_unknown`, `before_sensitive` and `after_sensitive`."""
Owned = frozenset[tuple[object, object]]
"""Role and name of the inline policies that are resources of their own; the attributes of a role list them too."""

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_ZERO: tuple[object, ...] = (None, "", False, 0, [], {})  # the provider's library does not distinguish them


def differences(change: Change, owned: Owned) -> list[AttributeChange]:
    """The attributes that differ, without the `owned` inline policies and without differences of empty values."""
    before = dict(_leaves(*_effective(change, "before")))
    after = dict(_leaves(*_effective(change, "after")))
    for one, other in ((before, after), (after, before)):
        for path, leaf in list(one.items()):
            if leaf.is_closed:
                for inner in [inner for inner in other if inner.startswith((f"{path}.", f"{path}["))]:
                    del other[inner]
    role = (change.get("after") or change.get("before") or {}).get("name")
    found = []
    for path in dict.fromkeys((*before, *after)):
        old, new = before.get(path, _NOTHING), after.get(path, _NOTHING)
        if (is_same(old.value, new.value) and not new.is_unknown) or _is_own_policy(path, role, owned):
            continue
        is_sensitive = old.is_sensitive or new.is_sensitive
        found.append(
            AttributeChange(
                path,
                None if is_sensitive else old.value,
                None if is_sensitive or new.is_unknown else new.value,
                is_unknown=new.is_unknown,
                is_sensitive=is_sensitive,
            )
        )
    return found


def is_same(value: object, other: object) -> bool:
    """Whether the values are equal, or both are empty."""
    return value == other or (value in _ZERO and other in _ZERO)


@dataclass(frozen=True, slots=True)
class _Leaf:
    value: object = None
    is_unknown: bool = False
    is_sensitive: bool = False

    @property
    def is_closed(self) -> bool:
        return self.is_unknown or self.is_sensitive


_NOTHING = _Leaf()


def _effective(change: Change, side: str) -> tuple[Any, Any, Any]:
    """The values of one side with their unknown and sensitive masks, and with the effective AWS tags as `tags`."""
    parts = [
        change.get(side),
        change.get("after_unknown") if side == "after" else None,
        change.get(f"{side}_sensitive"),
    ]
    if any("tags_all" in (change.get(values) or {}) for values in ("before", "after")):
        parts = [_with_effective_tags(part) if isinstance(part, Mapping) else part for part in parts]
    return parts[0], parts[1], parts[2]


def _with_effective_tags(part: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**{key: value for key, value in part.items() if key != "tags_all"}, "tags": part.get("tags_all")}


def _leaves(value: Any, unknown: Any, sensitive: Any, path: str = "") -> Iterator[tuple[str, _Leaf]]:
    if unknown is True or sensitive is True:
        yield path, _Leaf(value, unknown is True, sensitive is True)
    elif isinstance(value, Mapping) or (value is None and isinstance(unknown, Mapping)):
        values = value or {}
        for key in dict.fromkeys((*values, *(unknown if isinstance(unknown, Mapping) else ()))):
            step = f".{key}" if _WORD.fullmatch(key) else f"[{json.dumps(key, ensure_ascii=False)}]"
            inner = f"{path}{step}" if path else key
            yield from _leaves(values.get(key), _part(unknown, key), _part(sensitive, key), inner)
    elif isinstance(value, Sequence) and any(isinstance(item, Mapping) for item in value):
        names = _names(value)
        for index, item in enumerate(value):
            step = f"[{index}]" if names is None else f"[{json.dumps(names[index], ensure_ascii=False)}]"
            content = item if names is None else {key: inner for key, inner in item.items() if key != "name"}
            yield from _leaves(content, _part(unknown, index), _part(sensitive, index), f"{path}{step}")
    else:
        # A list of plain values is one value: if one item is unknown or sensitive, all of it is.
        yield path, _Leaf(value, _holds_true(unknown), _holds_true(sensitive))


def _names(items: Sequence[Any]) -> list[str] | None:
    """The names of blocks that have them, such as environment variables: better keys than positions."""
    names = [item.get("name") if isinstance(item, Mapping) else None for item in items]
    known = [name for name in names if isinstance(name, str) and name]
    return known if len(set(known)) == len(items) else None


def _part(mask: Any, key: str | int) -> Any:
    if isinstance(mask, Mapping):
        return mask.get(str(key))
    if isinstance(mask, Sequence) and isinstance(key, int) and key < len(mask):
        return mask[key]
    return mask is True


def _holds_true(mask: Any) -> bool:
    if isinstance(mask, Mapping):
        return any(_holds_true(inner) for inner in mask.values())
    if isinstance(mask, list):
        return any(_holds_true(inner) for inner in mask)
    return mask is True


def whole_differences(change: Change) -> list[AttributeChange]:
    """The whole arguments that differ in any way, without unknown and sensitive ones."""
    before, after = change.get("before") or {}, change.get("after") or {}
    return [
        AttributeChange(key, before.get(key), after.get(key))
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key)
        and not any(
            _holds_true(_part(change.get(mask), key))
            for mask in ("after_unknown", "before_sensitive", "after_sensitive")
        )
    ]


def path_of(steps: Sequence[str | int]) -> str:
    """A path of `replace_paths` in Terraform's notation."""
    first, *rest = steps
    return str(first) + "".join(
        f"[{json.dumps(step, ensure_ascii=False)}]"
        if isinstance(step, int) or not _WORD.fullmatch(step)
        else f".{step}"
        for step in rest
    )


def _is_own_policy(path: str, role: object, owned: Owned) -> bool:
    return path.startswith("inline_policy[") and any(
        owner == role and path.startswith(f"inline_policy[{json.dumps(name, ensure_ascii=False)}]")
        for owner, name in owned
    )
