"""The principals that may pull by a repository policy, and the ones that another policy would shut out. Pure.

A statement is AWS's JSON object in one normal form: sorted lists where AWS also takes a single value, and an account's
id instead of the ARN of its root. Statements with the same meaning are then equal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from toolkit.plan.desired import DesiredRepository
from toolkit.plan.rights import PULL_ACTIONS

if TYPE_CHECKING:
    from toolkit.manifest.model import RepositoryStatementSpec

Statement = Mapping[str, Any]

_ORGANIZATION = "aws:PrincipalOrgID"
# AWS's words of statements and principals, with the manifest's words for them.
_WORDS = {
    "Sid": "sid",
    "Effect": "effect",
    "Principal": "principals",
    "AWS": "aws",
    "Service": "services",
    "Action": "actions",
    "Condition": "conditions",
}
# A pull needs these two; `BatchCheckLayerAvailability` is for pushes.
_NEEDED = ("ecr:batchgetimage", "ecr:getdownloadurlforlayer")
_ROOT = re.compile(r"arn:[^:]+:iam::([0-9]{12}):root")
_ARN_ACCOUNT = re.compile(r"arn:[^:]+:(?:iam|sts)::([0-9]{12}):")
# The statement ids that the manifest accepts: not those of the module's own statements.
_SID = re.compile(r"(?!(?:PullByPrincipals|PullByOrganization)$)[A-Za-z0-9]{1,64}")
# AWS replaces the ARN of a deleted user or role in a policy with its unique id, which is never used again.
_DELETED = re.compile(r"A(?:RO|ID)A[A-Z0-9]{12,}")


def read_statements(text: str | None) -> tuple[Statement, ...]:
    """The statements of a policy's JSON text; none without a policy."""
    found = json.loads(text).get("Statement", []) if text else []
    return tuple(_normal(statement) for statement in ([found] if isinstance(found, dict) else found))


def wanted_statements(repository: DesiredRepository) -> tuple[Statement, ...]:
    """The statements of the policy that the module `ecr-repository` makes; empty if it makes no policy."""
    statements: list[Statement] = []
    if repository.pull_principals:
        statements.append(principals_statement(repository.pull_principals))
    if repository.organization_id is not None:
        statements.append(organization_statement(repository.organization_id))
    statements += [_of_manifest(statement) for statement in repository.policy_statements]
    return tuple(_normal(statement) for statement in statements)


def _without_sid(statement: Statement) -> Statement:
    """What it says, whatever it is called."""
    return {key: value for key, value in statement.items() if key != "Sid"}


def principals_statement(principals: Iterable[str]) -> Statement:
    """The statement that the module makes from `pull_principals`."""
    return {
        "Sid": "PullByPrincipals",
        "Effect": "Allow",
        "Principal": {"AWS": list(principals)},
        "Action": list(PULL_ACTIONS),
    }


def organization_statement(organization_id: str) -> Statement:
    """The statement that the module makes from `organization_id`."""
    return {
        "Sid": "PullByOrganization",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": list(PULL_ACTIONS),
        "Condition": {"StringEquals": {_ORGANIZATION: organization_id}},
    }


def lost_pullers(before: Sequence[Statement], after: Sequence[Statement], account_id: str) -> tuple[str, ...]:
    """The principals that can pull by `before` and could not, or might not, by `after`; `account_id` is the owner's.

    Each is named once, as the policy names it: `*`, an account's id, an ARN, a service. Conditions are not evaluated: a
    principal that passes one may fail another. So only the same condition, or none, is known to keep access.
    """
    now, then = list(_grants(before)), set(_grants(after))
    known = [_without_sid(statement) for statement in before]
    new = (statement for statement in after if _without_sid(statement) not in known)
    shut_out = {who for statement in new for who in _denied(statement)}

    def keeps(principal: str, action: str, condition: str) -> bool:
        if not {principal, _account_of(principal), "*"}.isdisjoint(shut_out):
            return False
        covers = _who_covers(principal, account_id)
        return any((who, action, under) in then for who in covers for under in (condition, ""))

    pullers = [grant for grant in now if _can_pull(grant[0], now)]
    return tuple(dict.fromkeys(grant[0] for grant in pullers if not keeps(*grant)))


def policy_settings(statements: Iterable[Statement]) -> dict[str, object]:
    """The `repository_settings` that make the module write these statements, each field in its simplest form.

    Deleted principals are left out, because AWS rejects them in a new policy. A statement that the manifest cannot
    express makes `policy_statements` a value that the manifest rejects.
    """
    principals: list[str] = []
    organization_id = None
    others: list[Statement] = []
    for statement in statements:
        named = list(_principals(statement))
        organization = statement.get("Condition", {}).get("StringEquals", {}).get(_ORGANIZATION, [None])[0]
        if named and "*" not in named and statement == _normal(principals_statement(named)):
            principals = named
        elif organization and statement == _normal(organization_statement(organization)):
            organization_id = organization
        elif named:
            others.append(_words(statement, named))
    return {"pull_principals": principals, "organization_id": organization_id, "policy_statements": others}


def _words(statement: Statement, principals: list[str]) -> dict[str, object]:
    """The statement in the manifest's words. A field without such a word keeps AWS's name, and is refused later."""
    words = {_WORDS.get(name, name): value for name, value in statement.items()}
    if not _SID.fullmatch(str(words.get("sid", ""))):
        words.pop("sid", None)  # it has no effect on rights
    if "Principal" in statement:
        alive = {kind: [name for name in names if name in principals] for kind, names in statement["Principal"].items()}
        words["principals"] = {_WORDS.get(kind, kind): names for kind, names in alive.items() if names}
    return words


def _grants(statements: Iterable[Statement]) -> Iterator[tuple[str, str, str]]:
    """The principal, the needed action and the condition (as text, "" for none) of everything that is allowed."""
    for statement in statements:
        if statement.get("Effect") == "Allow":
            condition = json.dumps(statement["Condition"], sort_keys=True) if statement.get("Condition") else ""
            for principal in _principals(statement):
                for action in _NEEDED:
                    if _covers(statement, action):
                        yield principal, action, condition


def _denied(statement: Statement) -> Iterator[str]:
    if statement.get("Effect") == "Deny" and any(_covers(statement, action) for action in _NEEDED):
        yield from _principals(statement)


def _covers(statement: Statement, action: str) -> bool:
    if "NotAction" in statement:
        return not any(fnmatchcase(action, pattern.lower()) for pattern in statement["NotAction"])
    return any(fnmatchcase(action, pattern.lower()) for pattern in statement.get("Action", ()))


def _principals(statement: Statement) -> Iterator[str]:
    """The names of the principals; for a `NotPrincipal`, a name for everybody else."""
    if "NotPrincipal" in statement:
        yield "*" if statement["Effect"] == "Deny" else f"everybody but {json.dumps(statement['NotPrincipal'])}"
        return
    for names in statement.get("Principal", {}).values():
        yield from (name for name in names if not _DELETED.fullmatch(name))


def _can_pull(principal: str, grants: Sequence[tuple[str, str, str]]) -> bool:
    return all(any(who in (principal, "*") and what == action for who, what, _ in grants) for action in _NEEDED)


def _who_covers(principal: str, account_id: str) -> Iterator[str]:
    """The principals whose rights `principal` has: itself, everybody, and its account.

    The repository's own account is left out: there IAM decides who may use the account's rights.
    """
    yield from (principal, "*")
    account = _account_of(principal)
    if account not in (None, account_id):
        yield account


def _account_of(principal: str) -> str | None:
    found = _ARN_ACCOUNT.match(principal)
    return found[1] if found else None


def _of_manifest(statement: RepositoryStatementSpec) -> Statement:
    """As the module `ecr-repository` writes it."""
    given = statement.model_dump(mode="json", exclude_defaults=True)
    fields = {name: given[word] for name, word in _WORDS.items() if given.get(word)}
    principals = {name: given["principals"][word] for name, word in _WORDS.items() if given["principals"].get(word)}
    return {"Effect": statement.effect, **fields, "Principal": principals}


def _normal(statement: Statement) -> Statement:
    fields = dict(statement)
    for key in ("Action", "NotAction", "Resource", "NotResource"):
        if key in fields:
            fields[key] = _texts(fields[key])
    for key in ("Principal", "NotPrincipal"):
        if key in fields:
            named = {"AWS": "*"} if fields[key] == "*" else fields[key]
            fields[key] = {
                kind: _texts(_account_or_self(name) for name in _list(names)) for kind, names in named.items()
            }
    if "Condition" in fields:
        fields["Condition"] = {
            operator: {key: _texts(values) for key, values in keys.items()}
            for operator, keys in fields["Condition"].items()
        }
    return fields


def _account_or_self(name: str) -> str:
    return _ROOT.sub(r"\1", name)


def _texts(value: Any) -> list[str]:
    return sorted({str(item).lower() if isinstance(item, bool) else str(item) for item in _list(value)})


def _list(value: Any) -> list[Any]:
    return [value] if isinstance(value, str | bool | int | float) else list(value)
