from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.plan.model import Grant
from toolkit.plan.rights import PULL_ACTIONS, compare_policies

Statement = dict[str, Any]
WEB = "role of web"
BUCKET = "arn:aws:s3:::site/index.html"


def _policy(*statements: Statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _allow(action: object, resource: object = None, principal: object = None, **more: object) -> Statement:
    parts = {"Action": action, "Resource": resource, "Principal": principal, **more}
    return {"Effect": "Allow", **{key: value for key, value in parts.items() if value is not None}}


def _deny(action: object, resource: object = None, principal: object = None, **more: object) -> Statement:
    return {**_allow(action, resource, principal, **more), "Effect": "Deny"}


def _compare(before: Statement | None, after: Statement | None, of: str = WEB) -> list[Grant]:
    sides = (None if statement is None else _policy(statement) for statement in (before, after))
    return list(compare_policies(*sides, of))


def _is_widened(before: Statement | None, after: Statement | None) -> bool:
    return any(grant.is_widening for grant in _compare(before, after))


ORGANIZATION = {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}
PULL = list(PULL_ACTIONS)


@pytest.mark.parametrize(
    ("statement", "of", "phrase"),
    [
        (_allow("s3:*", "*"), WEB, "role of web: s3:* on *"),
        (_allow(["s3:Put*", "s3:Get*"], [BUCKET, "*"]), WEB, f"role of web: s3:Get*, s3:Put* on *, {BUCKET}"),
        (_deny("s3:*", "*"), WEB, "role of web: denied s3:* on *"),
        (_allow(None, "*", NotAction=["iam:*"]), WEB, "role of web: every action but iam:* on *"),
        (_allow("s3:*", None, NotResource=BUCKET), WEB, f"role of web: s3:* on everything but {BUCKET}"),
        (_allow(PULL, None, {"AWS": "210987654321"}), "", "210987654321 may pull"),
        (_allow(PULL, None, {"AWS": "arn:aws:iam::210987654321:root"}), "", "210987654321 may pull"),
        (_allow([*PULL, "ecr:PutImage"], None, {"AWS": ["2", "1"]}), "", "1, 2 may pull, ecr:PutImage"),
        (_allow(PULL, None, "*"), "", "everyone may pull"),
        (_deny("ecr:*", None, {"AWS": "*"}), "", "denied to everyone: ecr:*"),
        (_deny("ecr:*", None, None, NotPrincipal={"AWS": "1"}), "", "denied to everyone but 1: ecr:*"),
        (
            _allow(PULL, None, "*", Condition=ORGANIZATION),
            "",
            "everyone may pull if aws:PrincipalOrgID = o-1",
        ),
        (
            _allow("sts:AssumeRole", None, {"Service": "codebuild.amazonaws.com"}),
            WEB,
            "role of web: codebuild.amazonaws.com may sts:AssumeRole",
        ),
        (
            _allow("sts:AssumeRole", None, {"Federated": "x"}, Condition={"DateLessThan": {"aws:CurrentTime": "y"}}),
            WEB,
            "role of web: Federated x may sts:AssumeRole if aws:CurrentTime DateLessThan y",
        ),
        (
            _allow("s3:*", "*", Condition={"Bool": {"b": True}, "StringLike": {"a": ["y", "x"]}}),
            WEB,
            "role of web: s3:* on * if b = true and a like x or y",
        ),
    ],
)
def test_a_statement_is_said_in_words(statement: Statement, of: str, phrase: str) -> None:
    [given] = _compare(None, statement, of)
    assert (given.statement, given.is_added) == (phrase, True)
    [taken] = _compare(statement, None, of)
    assert (taken.statement, taken.is_added) == (phrase, False)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(None, _allow("s3:GetObject", BUCKET), id="a first right"),
        pytest.param(_allow("s3:Get", BUCKET), _allow("s3:Put", BUCKET), id="another action"),
        pytest.param(_allow("s3:Get", BUCKET), _allow("s3:Get*", BUCKET), id="a wildcard in the action"),
        pytest.param(_allow("s3:Get", BUCKET), _allow("s3:Get", "*"), id="a wildcard in the resource"),
        pytest.param(_allow("s3:Get", BUCKET), _allow("s3:Get", "arn:aws:s3:::secret"), id="another resource"),
        pytest.param(_allow("s3:Get?", BUCKET), _allow("s3:Get*", BUCKET), id="a wider wildcard"),
        pytest.param(_allow(PULL, "r"), _allow(PULL, "r*"), id="pull by a wildcard"),
        pytest.param(_allow(PULL, "r"), _allow(PULL, None, NotResource="r"), id="pull all but one"),
        pytest.param(_allow(PULL, None, "1"), _allow(PULL, None, "2"), id="another principal"),
        pytest.param(_allow(PULL, None, "1"), _allow(PULL, None, "*"), id="everyone"),
        pytest.param(_allow("s3:*", "*"), _allow(["s3:*", "iam:PassRole"], "*"), id="PassRole"),
        pytest.param(_allow("s3:*", "*"), _allow(["s3:*", "sts:AssumeRole"], "*"), id="AssumeRole"),
        pytest.param(_allow("s3:*", "*"), _allow(None, "*", NotAction="iam:*"), id="NotAction"),
        pytest.param(_allow("s3:*", "*", Condition=ORGANIZATION), _allow("s3:*", "*"), id="a condition is gone"),
        pytest.param(
            _allow("s3:*", "*", Condition=ORGANIZATION),
            _allow("s3:*", "*", Condition={"StringEquals": {"aws:PrincipalOrgID": ["o-1", "o-2"]}}),
            id="a condition holds for more",
        ),
        pytest.param(
            _allow("s3:*", "*", Condition={"StringNotEquals": {"a": ["x", "y"]}}),
            _allow("s3:*", "*", Condition={"StringNotEquals": {"a": "x"}}),
            id="an exclusion is gone",
        ),
        pytest.param(_deny("s3:*", "*"), None, id="a Deny is gone"),
        pytest.param(_deny("s3:*", "*"), _deny("s3:Get*", "*"), id="a Deny is narrower"),
        pytest.param(_deny("s3:*", "*"), _deny("s3:*", "*", Condition=ORGANIZATION), id="a Deny has a condition"),
    ],
)
def test_more_rights_are_marked(before: Statement | None, after: Statement | None) -> None:
    assert _is_widened(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(_allow("s3:*", "*"), None, id="a right is gone"),
        pytest.param(_allow("s3:*", "*"), _allow("s3:Get*", "*"), id="a narrower action"),
        pytest.param(_allow("s3:*", "*"), _allow("s3:*", BUCKET), id="a narrower resource"),
        pytest.param(_allow("s3:*", "*"), _allow("s3:*", "*", Condition=ORGANIZATION), id="a new condition"),
        pytest.param(_allow(PULL, None, "*"), _allow(PULL, None, "1"), id="one of everyone"),
        pytest.param(_allow(PULL, "a"), _allow(PULL, ["a", "b"]), id="one more repository to pull from"),
        pytest.param(None, _deny("s3:*", "*"), id="a new Deny"),
        pytest.param(_deny("s3:Get*", "*"), _deny("s3:*", "*"), id="a wider Deny"),
    ],
)
def test_as_many_rights_or_fewer_are_not_marked(before: Statement | None, after: Statement | None) -> None:
    assert _compare(before, after)
    assert not _is_widened(before, after)


def test_of_a_new_owner_only_what_has_no_bounds_is_marked() -> None:
    bounded, unbounded = _allow("s3:Get", BUCKET), _allow("iam:PassRole", "arn:aws:iam::1:role/x")
    grants = compare_policies(None, _policy(bounded, unbounded, _allow("s3:Put", "*")), WEB, is_new=True)
    assert [(grant.statement, grant.is_widening) for grant in grants] == [
        ("role of web: iam:PassRole on arn:aws:iam::1:role/x", True),
        ("role of web: s3:Put on *", True),
        (f"role of web: s3:Get on {BUCKET}", False),
    ]


@pytest.mark.parametrize("text", ["{", "[]", '{"Statement": [1]}', '{"Statement": {"Condition": 1}}'])
def test_what_cannot_be_read_is_marked(text: str) -> None:
    [grant] = compare_policies(None, text, WEB)
    assert grant == Grant("role of web: a policy that cannot be read", is_added=True, is_widening=True)


def test_a_huge_statement_is_compared_as_a_whole() -> None:
    huge = _allow([f"s3:{n}" for n in range(300)], [f"arn:{n}" for n in range(300)])
    [grant] = _compare(None, huge)
    assert grant.is_widening
    assert not _compare(huge, {**huge, "Action": list(reversed(huge["Action"]))})


names = st.sampled_from(["*", "a", "a*", "a?", "b", "arn:aws:s3:::x/*"])
actions = st.sampled_from(["*", "s3:*", "s3:Get*", "s3:Get", "iam:PassRole", *PULL_ACTIONS])
conditions = st.dictionaries(
    st.sampled_from(["StringEquals", "StringNotEquals"]),
    st.dictionaries(st.sampled_from(["k", "l"]), st.lists(names, min_size=1, max_size=2), min_size=1, max_size=2),
    max_size=2,
)
statements = st.builds(
    lambda effect, principal, inverted, what, where, when: {
        "Effect": effect,
        ("NotPrincipal" if "p" in inverted else "Principal"): {"AWS": principal},
        ("NotAction" if "a" in inverted else "Action"): what,
        ("NotResource" if "r" in inverted else "Resource"): where,
        "Condition": when,
    },
    st.sampled_from(["Allow", "Deny"]),
    st.lists(names, min_size=1, max_size=2),
    st.sampled_from(["", "", "", "p", "a", "r"]),
    st.lists(actions, min_size=1, max_size=3),
    st.lists(names, min_size=1, max_size=2),
    conditions,
)
policies = st.lists(statements, max_size=3)


@given(policy=policies, seed=st.integers(0, 1000))
def test_how_a_policy_is_written_makes_no_difference(policy: list[Statement], seed: int) -> None:
    chance = random.Random(seed)
    rewritten = []
    for statement in policy:
        lists = {key: value[:] if isinstance(value, list) else value for key, value in statement.items()}
        for value in lists.values():
            if isinstance(value, list):
                chance.shuffle(value)
        # A list of one is the same as the text alone; one statement the same as one for each of its actions.
        plain = {k: v[0] if isinstance(v, list) and len(v) == 1 else v for k, v in lists.items()}
        split = [{**plain, "Action": action} for action in lists.get("Action", [])]
        rewritten += split if split and chance.random() < 0.5 else [plain]
    chance.shuffle(rewritten)
    assert compare_policies(_policy(*policy), _policy(*rewritten), WEB) == ()


@given(before=policies, after=policies)
def test_a_new_action_is_always_marked(before: list[Statement], after: list[Statement]) -> None:
    """Of any two policies: what is allowed by name afterwards and was by no statement before."""
    known = {action for statement in before for action in statement.get("Action", ["*"])}
    grants = compare_policies(_policy(*before), _policy(*after), WEB)
    for statement in after:
        for action in statement.get("Action", []):
            is_new = action not in known and not any(pattern in known for pattern in ("*", "s3:*", "s3:Get*"))
            if statement["Effect"] == "Allow" and is_new:
                shown = "pull" if action in PULL_ACTIONS else action
                assert any(
                    grant.is_widening and (shown in grant.statement or action in grant.statement) for grant in grants
                )


@given(before=policies, after=policies)
def test_what_one_way_adds_the_other_way_takes(before: list[Statement], after: list[Statement]) -> None:
    there = compare_policies(_policy(*before), _policy(*after), WEB)
    back = compare_policies(_policy(*after), _policy(*before), WEB)
    assert any(grant.is_added for grant in there) == any(not grant.is_added for grant in back)
    assert bool(there) == bool(back)
