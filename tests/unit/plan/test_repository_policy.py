from __future__ import annotations

import json
from typing import Any

import pytest

from toolkit.plan.desired import DesiredRepository
from toolkit.plan.repository_policy import lost_pullers, policy_settings, read_statements, wanted_statements

OWN, PARTNER = "123456789012", "210987654321"
ROOT = f"arn:aws:iam::{PARTNER}:root"
ROLE = f"arn:aws:iam::{PARTNER}:role/ci"
OWN_ROLE = f"arn:aws:iam::{OWN}:role/ci"
PULL = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
ORGANIZATION = {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}


def allow(principal: object, action: object = PULL, **more: object) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": action, **more}


def deny(principal: object, action: object = PULL, **more: object) -> dict[str, Any]:
    return allow(principal, action, **more) | {"Effect": "Deny"}


def lost(before: list[dict[str, Any]], *after: dict[str, Any]) -> tuple[str, ...]:
    texts = [json.dumps({"Statement": statements}) for statements in (before, list(after))]
    return lost_pullers(*map(read_statements, texts), OWN)


@pytest.mark.parametrize(
    "before",
    [
        allow({"AWS": ROOT}),
        allow({"AWS": [PARTNER]}, "ecr:*"),
        allow({"AWS": ROOT}, ["*"]),
        allow({"AWS": ROOT}, ["ecr:batchget*", "ECR:GetDownloadUrlForLayer"]),
        allow({"AWS": ROOT}) | {"Action": [], "NotAction": "ecr:DeleteRepository"},
    ],
    ids=["root", "account", "everything", "other letters", "all but"],
)
def test_who_can_pull_and_is_not_in_the_new_policy_is_lost(before: dict[str, Any]) -> None:
    before = {key: value for key, value in before.items() if value != []}
    assert lost([before], allow({"AWS": OWN_ROLE})) == (PARTNER,)
    assert lost([before], allow({"AWS": PARTNER})) == ()
    assert lost([before], allow("*")) == ()


def test_everybody_and_services_are_somebody_too() -> None:
    before = [allow("*"), allow({"Service": "codebuild.amazonaws.com"})]
    assert lost(before, allow({"AWS": PARTNER})) == ("*", "codebuild.amazonaws.com")


def test_who_can_only_push_or_look_is_not_asked_about() -> None:
    assert lost([allow({"AWS": ROOT}, ["ecr:PutImage", "ecr:BatchGetImage"])], allow({"AWS": OWN_ROLE})) == ()


def test_two_statements_make_a_pull_together() -> None:
    before = [allow({"AWS": ROOT}, PULL[0]), allow({"AWS": ROOT}, PULL[1])]
    assert lost(before, allow({"AWS": ROOT}, PULL[0])) == (PARTNER,)
    assert lost(before, *before) == ()


def test_a_role_has_the_rights_of_its_account_but_not_in_the_repositorys_own() -> None:
    assert lost([allow({"AWS": ROLE})], allow({"AWS": PARTNER})) == ()
    assert lost([allow({"AWS": OWN_ROLE})], allow({"AWS": OWN})) == (OWN_ROLE,)


def test_a_condition_more_or_another_one_is_a_loss_and_one_less_is_none() -> None:
    assert lost([allow("*", Condition=ORGANIZATION)], allow("*", Condition=ORGANIZATION)) == ()
    assert lost([allow("*", Condition=ORGANIZATION)], allow("*")) == ()
    assert lost([allow("*")], allow("*", Condition=ORGANIZATION)) == ("*",)
    other = {"StringEquals": {"aws:PrincipalOrgID": "o-zzzzzzzzzz"}}
    assert lost([allow("*", Condition=ORGANIZATION)], allow("*", Condition=other)) == ("*",)


def test_a_new_denial_shuts_out_whom_it_names() -> None:
    before = [allow({"AWS": [ROLE, OWN_ROLE]})]
    assert lost(before, *before, deny({"AWS": ROOT})) == (ROLE,)
    assert lost(before, *before, deny("*", "ecr:PutImage")) == ()
    assert set(lost(before, *before, deny("*"))) == {ROLE, OWN_ROLE}
    everybody_else = deny("*") | {"NotPrincipal": {"AWS": ROLE}}
    del everybody_else["Principal"]
    assert set(lost(before, *before, everybody_else)) == {ROLE, OWN_ROLE}
    assert lost([*before, deny({"AWS": ROOT})], *before, deny({"AWS": PARTNER})) == ()
    # The same denial without the name that it had.
    assert lost([*before, deny("*", Sid="PullByPrincipals")], *before, deny("*")) == ()


def test_a_deleted_role_is_nobody() -> None:
    before = [allow({"AWS": ["AROAEXAMPLEEXAMPLE1", ROLE]})]
    assert lost(before, allow({"AWS": ROLE})) == ()
    assert policy_settings(read_statements(json.dumps({"Statement": before})))["policy_statements"] == [
        {"effect": "Allow", "principals": {"aws": [ROLE]}, "actions": PULL}
    ]


def test_what_the_module_writes_is_said_in_the_fields_that_it_was_written_from() -> None:
    made = DesiredRepository("a", pull_principals=(ROOT, OWN_ROLE), organization_id="o-a1b2c3d4e5")
    assert policy_settings(wanted_statements(made)) == {
        "pull_principals": [PARTNER, OWN_ROLE],
        "organization_id": "o-a1b2c3d4e5",
        "policy_statements": [],
    }
