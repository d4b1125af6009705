from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.golden import assert_golden
from toolkit.plan.model import AttributeChange, Grant, InfraAction, InfraChange
from toolkit.terraform import ui_messages
from toolkit.terraform.plan_changes import drift_in, has_drifted, needs_attributes, with_attributes
from toolkit.terraform.state import State

RECORDED = Path(__file__).parent / "recorded"
# Of a real plan of Terraform 1.11 with AWS provider 5.100: what is created left as it is, buildspecs cut short.
DOCUMENT: dict[str, Any] = json.loads((RECORDED / "show.json").read_text(encoding="utf-8"))


def _planned() -> list[InfraChange]:
    """What the same plan's JSON lines say."""
    messages = map(ui_messages.read, (RECORDED / "plan_lines.jsonl").read_text(encoding="utf-8").splitlines())
    return [change for message in messages if message and (change := ui_messages.change_of(message))]


def _document(
    type_: str, before: object, after: object, *, actions: tuple[str, ...] = ("update",), **more: object
) -> dict[str, Any]:
    """A plan of one change, as the one resource of the build or repository `web`."""
    module = 'module.base_images.module.builds["web"]'
    change = {"actions": list(actions), "before": before, "after": after, "after_unknown": {}, **more}
    resource = {"address": f"{module}.{type_}.this", "module_address": module, "type": type_, "name": "this"}
    return {"resource_changes": [{**resource, "change": change}]}


def _described(document: dict[str, Any], action: InfraAction = InfraAction.UPDATE) -> InfraChange:
    [resource] = document["resource_changes"]
    [change] = with_attributes([InfraChange(resource["address"], resource["type"], action, "web")], document)
    return change


def _changes(before: object, after: object, **more: object) -> list[AttributeChange]:
    return list(_described(_document("aws_codebuild_project", before, after, **more)).changes)  # type: ignore[arg-type]


def _text(changes: tuple[InfraChange, ...]) -> str:
    lines = []
    for change in sorted(changes, key=lambda change: (change.address, change.reason)):
        lines.append(f"{change.action} {change.address} [{change.name}] {change.reason}".rstrip())
        lines += [f"    replace because {path}" for path in change.replace_because]
        for one in change.changes:
            after = "(unknown)" if one.is_unknown else json.dumps(one.after, ensure_ascii=False)
            lines.append(f"    {one.path}: {json.dumps(one.before, ensure_ascii=False)} -> {after}")
        lines += [
            f"    {'+' if grant.is_added else '-'} {grant.statement}{' (!)' if grant.is_widening else ''}"
            for grant in change.grants
        ]
    return "\n".join(lines) + "\n"


def test_a_recorded_plan_is_said_in_full() -> None:
    assert_golden("plan_changes/changes.txt", _text(with_attributes(_planned(), DOCUMENT)))


def test_recorded_drift_is_said_with_what_becomes_of_it() -> None:
    assert_golden("plan_changes/drift.txt", _text(drift_in(DOCUMENT)))


def test_a_nested_attribute_has_its_path() -> None:
    assert _changes(
        {"timeout": 60, "cache": [], "source": [{"depth": 1, "auth": [{"type": "A"}]}], "labels": {"a b": "1"}},
        {"timeout": 10, "cache": [{"type": "S3"}], "source": [{"depth": 1, "auth": [{"type": "B"}]}], "labels": {}},
    ) == [
        AttributeChange("timeout", 60, 10),
        AttributeChange("source[0].auth[0].type", "A", "B"),
        AttributeChange('labels["a b"]', "1", None),
        AttributeChange("cache[0].type", None, "S3"),
    ]


def test_a_list_of_plain_values_is_one_value() -> None:
    assert _changes({"subnets": ["a", "b"]}, {"subnets": ["a", "c"]}) == [
        AttributeChange("subnets", ["a", "b"], ["a", "c"])
    ]


def test_environment_variables_are_told_apart_by_their_names() -> None:
    before = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    after = [{"name": "NEW", "value": "0"}, *before]
    [change] = _changes({"environment_variable": before}, {"environment_variable": after})
    assert change == AttributeChange('environment_variable["NEW"].value', None, "0")


def test_sensitive_values_are_marked_and_never_shown() -> None:
    sensitive = {"token": True, "map": {"a": True}, "list": [False, True], "block": [{"key": True}], "whole": True}
    before = {"token": "1-hidden", "map": {"a": "2-hidden", "b": "x"}, "list": ["x", "3-hidden"], "whole": {"k": "v"}}
    after = {"token": "4-hidden", "map": {"a": "5-hidden", "b": "y"}, "list": ["x", "6-hidden"], "whole": {"k": "w"}}
    changes = _changes(
        {**before, "block": [{"key": "7-hidden"}]},
        {**after, "block": [{"key": "8-hidden"}]},
        before_sensitive=sensitive,
        after_sensitive=sensitive,
    )
    assert {change.path for change in changes if change.is_sensitive} == {
        "token",
        "map.a",
        "list",
        "block[0].key",
        "whole",
    }
    assert all((change.before, change.after) == (None, None) for change in changes if change.is_sensitive)
    assert AttributeChange("map.b", "x", "y") in changes
    assert "hidden" not in str(changes)


def test_what_is_sensitive_on_one_side_is_hidden_on_both() -> None:
    [change] = _changes({"token": {"a": "hidden"}}, {"token": {"a": "public"}}, before_sensitive={"token": True})
    assert change == AttributeChange("token", is_sensitive=True)


def test_what_becomes_sensitive_without_another_change_shows_no_value() -> None:
    changes = _changes({"token": "hidden"}, {"token": "hidden"}, after_sensitive={"token": True})
    assert "hidden" not in str(changes)


def test_an_unknown_value_is_marked() -> None:
    [change] = _changes({"source": [{"key": "a"}]}, {"source": [{}]}, after_unknown={"source": [{"key": True}]})
    assert change == AttributeChange("source[0].key", "a", None, is_unknown=True)


def test_what_aws_makes_up_is_left_out_and_what_the_configuration_asks_for_is_not() -> None:
    document = _document(
        "aws_codebuild_project", {"arn": "a", "role": "r"}, {}, after_unknown={"arn": True, "role": True}
    )
    resource = {"address": "aws_codebuild_project.this", "expressions": {"role": {}}}
    for call in ("builds", "base_images"):
        document["configuration"] = {
            "root_module": {"module_calls": {call: {"module": document.get("configuration", {}).get("root_module")}}}
            if call == "base_images"
            else {"module_calls": {call: {"module": {"resources": [resource]}}}}
        }
    assert _described(document).changes == (AttributeChange("role", "r", None, is_unknown=True),)


def test_nothing_and_an_empty_value_are_the_same_unless_there_is_no_other_change() -> None:
    noise = {"a": "", "b": [], "c": {}, "d": False, "e": 0}
    assert _changes({"f": 1}, {**noise, "f": 2}) == [AttributeChange("f", 1, 2)]
    assert {change.path for change in _changes({}, noise)} == {"a", "b", "c", "d", "e"}
    assert _changes({"mode": False}, {"mode": True}) == [AttributeChange("mode", False, True)]


def test_effective_aws_tags_are_said_once() -> None:
    assert _changes(
        {"tags": None, "tags_all": {"team": "a", "x": "1"}}, {"tags": {"x": "1"}, "tags_all": {"x": "1"}}
    ) == [AttributeChange("tags.team", "a", None)]


def _policy(*actions: str, **more: object) -> str:
    return json.dumps({"Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*", **more}]})


def test_a_policy_is_said_in_rights_and_not_as_text() -> None:
    change = _described(_document("aws_iam_role_policy", {"policy": _policy("a:b")}, {"policy": _policy("a:b", "c:d")}))
    assert change.changes == ()
    assert change.grants == (Grant("role of web: c:d on *", is_added=True, is_widening=True),)


def test_a_policy_that_differs_in_words_only_is_shown() -> None:
    before, after = _policy("a:b", Sid="x"), _policy("a:b", Sid="y")
    change = _described(_document("aws_iam_role_policy", {"policy": before}, {"policy": after}))
    assert (change.changes, change.grants) == ((AttributeChange("policy", before, after),), ())


@pytest.mark.parametrize("mark", ["after_unknown", "after_sensitive"])
def test_a_policy_that_cannot_be_seen_may_give_anything(mark: str) -> None:
    change = _described(
        _document("aws_iam_role_policy", {"policy": _policy("a:b")}, {"policy": "hidden"}, **{mark: {"policy": True}})  # type: ignore[arg-type]
    )
    assert [grant.is_widening for grant in change.grants] == [True]
    assert change.changes and "hidden" not in str(change)


@pytest.mark.parametrize(
    ("type_", "before", "after", "grants"),
    [
        (
            "aws_iam_role",
            {"permissions_boundary": "arn:b"},
            {"permissions_boundary": None},
            [("role of web: no permissions boundary any more", True, True)],
        ),
        (
            "aws_iam_role",
            {"permissions_boundary": "arn:b"},
            {"permissions_boundary": "arn:c"},
            [("role of web: bounded by arn:c instead", True, True)],
        ),
        ("aws_iam_role", {"permissions_boundary": ""}, {"permissions_boundary": "arn:b"}, []),
        (
            "aws_iam_role",
            {"managed_policy_arns": ["a", "b"]},
            {"managed_policy_arns": ["b", "c"]},
            [("role of web: managed policy c", True, True), ("role of web: managed policy a", False, False)],
        ),
        (
            "aws_codebuild_project",
            {"environment": [{"privileged_mode": False}]},
            {"environment": [{"privileged_mode": True}]},
            [("builds of web: privileged mode", True, True)],
        ),
        (
            "aws_codebuild_project",
            {"environment": [{"privileged_mode": True}]},
            {"environment": [{"privileged_mode": False}]},
            [("builds of web: privileged mode", False, False)],
        ),
        ("aws_ecr_repository", {"tags_all": {"policy": "a"}}, {"tags_all": {"policy": "b"}}, []),
    ],
)
def test_rights_that_are_no_policy_are_said_too(
    type_: str, before: object, after: object, grants: list[tuple[str, bool, bool]]
) -> None:
    change = _described(_document(type_, before, after))
    assert change.changes
    assert [(grant.statement, grant.is_added, grant.is_widening) for grant in change.grants] == grants


def _rule(number: int, **selection: object) -> dict[str, object]:
    return {"rulePriority": number, "selection": selection, "action": {"type": "expire"}}


def test_a_lifecycle_policy_is_said_rule_by_rule() -> None:
    old = [_rule(1, tagStatus="untagged", countType="sinceImagePushed", countUnit="days", countNumber=14)]
    new = [
        _rule(1, tagStatus="untagged", countType="sinceImagePushed", countUnit="days", countNumber=7),
        _rule(2, tagStatus="tagged", tagPrefixList=["dev"], countType="imageCountMoreThan", countNumber=5),
    ]
    before, after = (json.dumps({"rules": rules}) for rules in (old, new))
    assert _described(_document("aws_ecr_lifecycle_policy", {"policy": before}, {"policy": after})).changes == (
        AttributeChange(
            "policy.rules[1]",
            "expire untagged images 14 days after their push",
            "expire untagged images 7 days after their push",
        ),
        AttributeChange("policy.rules[2]", None, "expire tagged dev images beyond the newest 5"),
    )


def test_a_deleted_policy_takes_rights_unless_its_owner_goes_too() -> None:
    document = _document("aws_iam_role_policy", {"role": "r", "policy": _policy("a:b")}, None, actions=("delete",))
    assert _described(document, InfraAction.DELETE).grants == (Grant("role of web: a:b on *", is_added=False),)
    [policy] = document["resource_changes"]
    role = {"address": "x", "type": "aws_iam_role", "change": {"actions": ["delete"], "before": {"name": "r"}}}
    document["resource_changes"].append(role)
    [change] = with_attributes([InfraChange(policy["address"], policy["type"], InfraAction.DELETE, "web")], document)
    assert change.grants == ()


def test_a_role_that_a_file_of_the_users_creates_says_who_may_take_it() -> None:
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
    created = {"address": "aws_iam_role.extra", "type": "aws_iam_role", "name": "extra"}
    values = {"actions": ["create"], "before": None, "after": {"assume_role_policy": json.dumps(trust)}}
    other = {"actions": ["delete"], "before": {"name": "other"}, "after": None}
    document = {
        "resource_changes": [
            {**created, "change": {**values, "after_unknown": {"arn": True}}},
            {**created, "address": "aws_iam_role.other", "change": other},
        ]
    }
    [change] = with_attributes([InfraChange("aws_iam_role.extra", "aws_iam_role", InfraAction.CREATE)], document)
    assert change.changes == ()
    assert change.grants == (
        Grant("role aws_iam_role.extra: everyone may sts:AssumeRole", is_added=True, is_widening=True),
    )


@pytest.mark.parametrize(
    ("address", "who"),
    [
        ('aws_iam_role_policy.this["schedule"]', "schedule role of refresh"),
        ('module.project.aws_iam_role_policy.extra["this"]', "role of refresh"),
    ],
)
def test_what_a_schedule_may_do_is_said_when_it_is_made(address: str, who: str) -> None:
    module = 'module.base_images.module.refresh["refresh"]'
    rights = {"Statement": [{"Effect": "Allow", "Action": "ecr:PutImage", "Resource": ["arn:nginx"]}]}
    resource = {
        "address": f"{module}.{address}",
        "module_address": f"{module}.{address}".rpartition(".aws_iam")[0],
        "type": "aws_iam_role_policy",
        "name": "this",
        "index": address.split('"')[1],
        "change": {"actions": ["create"], "before": None, "after": {"policy": json.dumps(rights)}},
    }
    creation = InfraChange(f"{module}.{address}", "aws_iam_role_policy", InfraAction.CREATE, "refresh")
    [change] = with_attributes([creation], {"resource_changes": [resource]})
    assert change.grants == (Grant(f"{who}: ecr:PutImage on arn:nginx", is_added=True),)


@pytest.mark.parametrize(
    ("type_", "action", "name", "is_needed"),
    [
        ("aws_ecr_repository", InfraAction.CREATE, "web", False),
        ("aws_ecr_repository", InfraAction.DELETE, "web", False),
        ("aws_iam_role_policy", InfraAction.FORGET, "web", False),
        ("aws_iam_role_policy", InfraAction.CREATE, "web", False),
        ("aws_iam_role_policy", InfraAction.CREATE, "", True),  # a file of somebody else's
        ("aws_iam_role_policy", InfraAction.CREATE, "refresh", True),  # of the table of rights
        ("aws_iam_role", InfraAction.CREATE, "web", False),
        ("aws_iam_role", InfraAction.CREATE, "", True),
        ("aws_iam_role_policy", InfraAction.DELETE, "web", True),
        ("aws_ecr_repository", InfraAction.UPDATE, "web", True),
        ("aws_ecr_repository", InfraAction.REPLACE, "web", True),
        ("aws_ecr_repository", InfraAction.IMPORT, "web", True),
    ],
)
def test_the_provider_is_started_again_only_where_that_says_more(
    type_: str, action: InfraAction, name: str, is_needed: bool
) -> None:
    creation = InfraChange("x.y", "x", InfraAction.CREATE, "web")
    assert needs_attributes([creation, InfraChange("a.b", type_, action, name)]) is is_needed


def test_policies_that_go_with_all_of_a_build_are_known_without() -> None:
    whole = [
        InfraChange("a", type_, InfraAction.DELETE, "web")
        for type_ in ("aws_codebuild_project", "aws_iam_role", "aws_iam_role_policy")
    ]
    assert not needs_attributes(whole)
    assert needs_attributes([*whole, InfraChange("b", "aws_iam_role_policy", InfraAction.DELETE, "docs")])


def _drift(before: object, after: object, ahead: object, actions: tuple[str, ...] = ("update",)) -> list[str]:
    drifted = _document("aws_codebuild_project", before, after)
    planned = _document("aws_codebuild_project", after, ahead, actions=actions)
    return [change.reason for change in drift_in({**planned, "resource_drift": drifted["resource_changes"]})]


def test_drift_says_what_becomes_of_it() -> None:
    assert _drift({"a": 1}, {"a": 2}, {"a": 1}) == ["put_back"]
    assert _drift({"a": ""}, {"a": "x"}, {"a": None}) == ["put_back"]
    assert _drift({"a": 1}, {"a": 2}, {"a": 3}) == ["changed"]
    assert _drift({"a": 1}, {"a": 2}, {"a": 2}, ("no-op",)) == ["recorded"]
    assert _drift({"a": 1, "b": 1}, {"a": 2, "b": 2}, {"a": 1, "b": 2}) == ["put_back", "recorded"]
    assert _drift({"a": 1}, {"a": 2}, None, ("delete",)) == ["changed"]


def test_drift_in_being_empty_is_none() -> None:
    assert _drift({"tags": None}, {"tags": {}}, {"tags": {}}, ("no-op",)) == []


ROLE, ROLE_POLICY = "module.x.aws_iam_role.this", 'module.x["a.b"].aws_iam_role_policy.this'


@pytest.mark.parametrize(
    ("policies", "is_news"),
    [([], False), (["build"], False), (["build", "evil"], True)],
)
def test_only_a_foreign_inline_policy_is_drift_of_a_role(policies: list[str], is_news: bool) -> None:
    last = State({ROLE: {"name": "r", "inline_policy": []}, ROLE_POLICY: {"role": "r", "name": "build", "policy": "p"}})
    found = [{"name": name, "policy": "p"} for name in policies]
    now = State({**last.resources, ROLE: {"name": "r", "inline_policy": found}})
    assert has_drifted(last, now) is is_news


def test_a_resource_that_is_gone_has_drifted() -> None:
    assert has_drifted(State({"a.b": {}}), State({}))
    assert not has_drifted(State({}), State({"a.b": {}}))  # an import


_values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a", '{"Statement": []}']),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "policy", "a b", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
_attributes = st.dictionaries(st.sampled_from(["policy", "tags", "tags_all", "x", "y"]), _values, max_size=4)
_masks = st.recursive(
    st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["policy", "tags_all", "x", "y"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(
    type_=st.sampled_from(["aws_iam_role", "aws_ecr_lifecycle_policy", "x"]),
    before=st.none() | _attributes,
    after=st.none() | _attributes,
    unknown=_masks,
    sensitive=_masks,
)
def test_a_change_of_any_shape_is_taken(
    type_: str, before: object, after: object, unknown: object, sensitive: object
) -> None:
    document = _document(type_, before, after, after_unknown=unknown, after_sensitive=sensitive)
    _described(document)
    drift_in({**document, "resource_drift": document["resource_changes"]})


@given(values=_attributes)
def test_no_difference_is_no_change(values: dict[str, object]) -> None:
    assert not has_drifted(State({"a.b": values}), State({"a.b": values}))
