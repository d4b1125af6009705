"""The rights that a change of an IAM or repository policy adds and removes, in words; pure.

A policy is split into rights of one principal, one action and one resource. The order and grouping of statements then
make no difference, nor does a list instead of a single text. Rights on both sides are left out; the rest is merged into
phrases.

A right *widens* when no statement before allowed as much: a new principal, action or resource, a wildcard in place of
names, `iam:PassRole`, `NotAction`, a removed condition, a removed Deny. There is one exception: a principal that may
already pull may now pull from one more repository. Each new base image of a build does that.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import prod
from typing import Any

from toolkit.plan.model import Grant

PULL_ACTIONS = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
"""The actions that a pull from ECR needs. The module `ecr-repository` grants them to each principal that may pull."""

_PULL = frozenset(action.lower() for action in PULL_ACTIONS)
# A statement with more rights than this is not split: nobody reads thousands of phrases.
_SPLIT_AT_MOST = 4000
_INVERTED = "!"
_HANDS_OVER = ("iam:passrole", "sts:assumerole")
_ACCOUNT_ROOT = re.compile(r"arn:[^:]+:iam::(\d{12}):root")
_COMPARISONS = {
    "StringEquals": "=",
    "ArnEquals": "=",
    "Bool": "=",
    "StringLike": "like",
    "ArnLike": "like",
    "StringNotEquals": "is not",
    "IpAddress": "in",
}

# Names or patterns; after `!`, all except these. Empty if the policy has no such part, as a role's has no principal.
_Part = tuple[str, ...]
_Condition = tuple[str, str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class _Right:
    is_allowed: bool
    principal: _Part
    action: _Part
    resource: _Part
    conditions: frozenset[_Condition]

    def covers(self, other: _Right) -> bool:
        """Whether this right allows (or denies) everything that `other` allows (or denies)."""
        return (
            self.is_allowed is other.is_allowed
            and _covers(self.action, other.action)
            and _covers(self.resource, other.resource)
            and _covers(self.principal, other.principal)
            and all(any(_is_narrower(theirs, ours) for theirs in other.conditions) for ours in self.conditions)
        )


def compare_policies(before: str | None, after: str | None, of: str, *, is_new: bool = False) -> tuple[Grant, ...]:
    """The rights that are added and removed when the policy `after` replaces `before`.

    `of` names the policy's owner (`role of web`); it is empty for a policy that names principals itself. If the owner
    `is_new`, every right is new, and only unbounded ones are marked: wildcards, `iam:PassRole`, `sts:AssumeRole`.
    """
    try:
        old, new = _rights(before), _rights(after)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return (Grant(f"{of or 'everyone'}: a policy that cannot be read", is_added=True, is_widening=True),)
    phrases = _Phrases(of)
    for right in new.keys() - old.keys():
        is_marked = _is_unbounded(right) if is_new else not _was_known(right, old)
        phrases.add(right, is_added=True, is_widening=right.is_allowed and is_marked)
    for right in old.keys() - new.keys():
        is_exposed = not right.is_allowed and not any(other.covers(right) for other in new)
        phrases.add(right, is_added=False, is_widening=is_exposed)
    return phrases.grants({**new, **old})


def _was_known(right: _Right, old: Iterable[_Right]) -> bool:
    return any(other.covers(right) or _is_one_more_repository(right, other) for other in old)


def _is_unbounded(right: _Right) -> bool:
    parts = (right.principal, right.action, right.resource)
    return any(part[:1] == (_INVERTED,) or any(map(_has_wildcard, part)) for part in parts) or any(
        action.startswith(_HANDS_OVER) for action in right.action
    )


def _is_one_more_repository(right: _Right, other: _Right) -> bool:
    return (
        other.is_allowed
        and set(right.action) <= _PULL
        and not any(_has_wildcard(name) for name in right.resource)
        and right.resource[:1] not in ((), (_INVERTED,))
        and (right.principal, right.action, right.conditions) == (other.principal, other.action, other.conditions)
    )


def _rights(policy: str | None) -> dict[_Right, Mapping[str, str]]:
    """The rights in `policy`, each with the spelling of its actions: they are compared in lower case, as AWS does."""
    if not policy:
        return {}
    statements = json.loads(policy).get("Statement", [])
    rights: dict[_Right, Mapping[str, str]] = {}
    for statement in [statements] if isinstance(statements, Mapping) else statements:
        spelling = {action.lower(): action for action in _texts(statement.get("Action", statement.get("NotAction")))}
        names = {
            "Principal": _principals(statement.get("Principal", statement.get("NotPrincipal"))),
            "Action": list(spelling),
            "Resource": _texts(statement.get("Resource", statement.get("NotResource"))),
        }
        is_large = prod(len(found) or 1 for found in names.values()) > _SPLIT_AT_MOST
        parts = [_parts(statement, key, sorted(set(found)), is_large) for key, found in names.items()]
        for principal, action, resource in product(*parts):
            is_allowed = statement.get("Effect") != "Deny"
            right = _Right(is_allowed, principal, action, resource, _conditions(statement.get("Condition") or {}))
            rights[right] = spelling
    return rights


def _parts(statement: Mapping[str, Any], key: str, names: list[str], is_whole: bool) -> list[_Part]:
    if f"Not{key}" in statement:
        return [(_INVERTED, *names)]
    if key not in statement:
        return [()]
    return [tuple(names)] if is_whole else [(name,) for name in names]


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [str(item).lower() if isinstance(item, bool) else str(item) for item in values]


def _principals(value: object) -> list[str]:
    if not isinstance(value, Mapping):
        return _texts(value)
    found = []
    for kind, names in value.items():
        for name in _texts(names):
            root = _ACCOUNT_ROOT.fullmatch(name)
            plain = name if kind in ("AWS", "Service") else f"{kind} {name}"
            found.append(root[1] if root else plain)
    return found


def _conditions(document: Mapping[str, Any]) -> frozenset[_Condition]:
    return frozenset(
        (operator, key, frozenset(_texts(values)))
        for operator, keys in document.items()
        for key, values in keys.items()
    )


def _covers(part: _Part, other: _Part) -> bool:
    if part in (other, ("*",)):
        return True
    if _INVERTED in (*part[:1], *other[:1]) or not part or not other:
        return False
    return all(any(_pattern(name).fullmatch(text) for name in part) for text in other)


@cache
def _pattern(name: str) -> re.Pattern[str]:
    # The other name may itself be a pattern, and its `*` can stand for more than the one character that `?` matches.
    # Each `*` but the last keeps the least that it can take (`(?>…)`): to try every way would take for ever.
    first, *rest = ("[^*]".join(map(re.escape, part.split("?"))) for part in name.split("*"))
    middle = "".join(f"(?>.*?{part})" for part in rest[:-1])
    return re.compile(first + middle + (f".*{rest[-1]}" if rest else ""), re.DOTALL)


def _has_wildcard(name: str) -> bool:
    return "*" in name or "?" in name


def _is_narrower(condition: _Condition, other: _Condition) -> bool:
    if condition[:2] != other[:2]:
        return False
    return condition[2] >= other[2] if "Not" in condition[0] else condition[2] <= other[2]


class _Phrases:
    """Merges rights into phrases: rights that differ in one part only become one phrase."""

    def __init__(self, of: str) -> None:
        self._of = of
        self._marked: list[tuple[_Right, bool, bool]] = []

    def add(self, right: _Right, *, is_added: bool, is_widening: bool) -> None:
        self._marked.append((right, is_added, is_widening))

    def grants(self, spellings: Mapping[_Right, Mapping[str, str]]) -> tuple[Grant, ...]:
        spelling = {lower: action for found in spellings.values() for lower, action in found.items()}
        rows = [
            ((is_added, is_widening, right.is_allowed, right.conditions), right.principal, right.resource, right.action)
            for right, is_added, is_widening in self._marked
        ]
        by_resource = _merge(((kind, principal, resource), action) for kind, principal, resource, action in rows)
        by_principal = _merge(
            ((kind, principal, actions), resource) for (kind, principal, resource), actions in by_resource
        )
        merged = _merge(((kind, actions, resources), who) for (kind, who, actions), resources in by_principal)
        found = []
        for ((is_added, is_widening, is_allowed, conditions), actions, resources), principals in merged:
            what = _what(actions, spelling)
            where = f" on {_some(resources, 'everything')}" if any(resources) else ""
            statement = f"{self._who(principals, is_allowed)}{what}{where}{_if(conditions)}"
            found.append(Grant(statement, is_added, is_widening))
        return tuple(sorted(found, key=lambda grant: (not grant.is_added, not grant.is_widening, grant.statement)))

    def _who(self, principals: Collection[_Part], is_allowed: bool) -> str:
        of = f"{self._of}: " if self._of else ""
        if not any(principals):
            return of if is_allowed else f"{of}denied "
        who = _some([("everyone",) if part == ("*",) else part for part in principals], "everyone")
        return f"{of}{who} may " if is_allowed else f"{of}denied to {who}: "


def _merge(rows: Iterable[tuple[Any, Hashable]]) -> Iterator[tuple[Any, frozenset[Any]]]:
    """For each key, the values of all its rows."""
    groups: dict[Any, set[Hashable]] = defaultdict(set)
    for key, value in rows:
        groups[key].add(value)
    return ((key, frozenset(values)) for key, values in groups.items())


def _what(actions: frozenset[_Part], spelling: Mapping[str, str]) -> str:
    names = {name for part in actions if part[:1] != (_INVERTED,) for name in part}
    words = ["pull"] if names >= _PULL else []
    words += sorted(spelling[name] for name in (names - _PULL if words else names))
    spelled = [tuple(spelling.get(name, name) for name in part) for part in actions if part[:1] == (_INVERTED,)]
    return ", ".join([*words, *([_some(spelled, "every action")] if spelled else [])])


def _some(parts: Collection[_Part], everything: str) -> str:
    """All names, the ones with a wildcard first."""
    names = {name for part in parts if part[:1] != (_INVERTED,) for name in part}
    inverted = sorted(f"{everything} but {', '.join(part[1:])}" for part in parts if part[:1] == (_INVERTED,))
    return ", ".join([*sorted(names, key=lambda name: (not _has_wildcard(name), name)), *inverted])


def _if(conditions: frozenset[_Condition]) -> str:
    if not conditions:
        return ""
    return " if " + " and ".join(
        f"{key} {_COMPARISONS.get(operator, operator)} {' or '.join(sorted(values))}"
        for operator, key, values in sorted(conditions, key=lambda condition: condition[:2])
    )
