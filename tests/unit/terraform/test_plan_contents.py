"""Terraform's saved plan against ours. What a real one holds is shown by tests/e2e/test_saved_plan.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.saved_plans import terraform_plan
from toolkit.errors import Refused
from toolkit.plan.model import InfraAction, InfraChange
from toolkit.terraform.plan_contents import change_misfits, config_misfits, read_contents, variable_misfits
from toolkit.terraform.root_module import repository_address

FILES = {"main.tf": b"# root", "modules/m/main.tf": b"# module"}


def shown(*changes: tuple[str, list[str]], **more: Any) -> dict[str, Any]:
    """What `terraform show -json` says of resource changes."""
    return {
        "resource_changes": [
            {
                "address": address,
                "mode": "managed",
                "type": "aws_ecr_repository",
                "change": {"actions": actions, **more},
            }
            for address, actions in changes
        ]
    }


def change(address: str, action: InfraAction) -> InfraChange:
    return InfraChange(address, "aws_ecr_repository", action)


@pytest.mark.parametrize(
    ("actions", "action"),
    [
        (["create"], InfraAction.CREATE),
        (["update"], InfraAction.UPDATE),
        (["delete"], InfraAction.DELETE),
        (["delete", "create"], InfraAction.REPLACE),
        (["create", "delete"], InfraAction.REPLACE),
        (["forget"], InfraAction.FORGET),
    ],
)
def test_the_same_changes_fit_and_others_do_not(actions: list[str], action: InfraAction) -> None:
    assert list(change_misfits(shown(("a", actions)), [change("a", action)])) == []
    other = InfraAction.CREATE if action is not InfraAction.CREATE else InfraAction.DELETE
    assert list(change_misfits(shown(("a", actions)), [change("a", other)])) == [
        f"Terraform's plan does not {other} `a`",
        f"Terraform's plan would {action} `a`, which the saved plan does not mention",
    ]


@pytest.mark.parametrize("action", [InfraAction.IMPORT, InfraAction.UPDATE])
def test_an_import_may_update(action: InfraAction) -> None:
    found = shown(("a", ["update"]), importing={"id": "a"})
    assert list(change_misfits(found, [change("a", action)])) == []


def test_what_changes_nothing_is_no_change() -> None:
    assert list(change_misfits(shown(("a", ["no-op"])), [])) == []
    assert list(change_misfits(shown(("a", ["no-op"]), importing={"id": "a"}), [change("a", InfraAction.IMPORT)])) == []
    read = {"address": "data.x", "mode": "data", "change": {"actions": ["read"]}}
    assert list(change_misfits({"resource_changes": [read]}, [])) == []


def test_a_change_that_is_left_out_is_named() -> None:
    assert list(change_misfits(shown(("a", ["create"]), ("b", ["delete"])), [change("a", InfraAction.CREATE)])) == [
        "Terraform's plan would delete `b`, which the saved plan does not mention"
    ]
    assert list(change_misfits({}, [change("a", InfraAction.CREATE)])) == ["Terraform's plan does not create `a`"]


def test_two_objects_may_have_one_address() -> None:
    both = [change("a", InfraAction.DELETE), change("a", InfraAction.UPDATE)]
    assert list(change_misfits(shown(("a", ["update"]), ("a", ["delete"])), both)) == []
    assert len(list(change_misfits(shown(("a", ["update"]), ("a", ["delete"])), both[:1]))) == 1


@pytest.mark.parametrize(
    "said", [{"name": "a/b"}, {"name": "other"}, {"name": ""}, {"name": "a/b", "resource_type": "aws_iam_role"}]
)
def test_a_change_is_of_what_its_address_says(said: dict[str, str]) -> None:
    """Images of the repository by that name are deleted."""
    address = repository_address("a/b")
    made = replace(change(address, InfraAction.DELETE), **said)  # type: ignore[arg-type]
    found = list(change_misfits(shown((address, ["delete"])), [made]))
    assert len(found) == (said != {"name": "a/b"})


def test_a_change_that_is_not_known_is_refused() -> None:
    with pytest.raises(Refused, match="unknown kind of change: invent"):
        list(change_misfits(shown(("a", ["invent"])), []))


def test_the_configuration_is_the_one_of_the_file() -> None:
    contents = read_contents(terraform_plan(FILES))
    assert contents.config == FILES
    assert list(config_misfits(contents, FILES)) == []
    assert len(list(config_misfits(contents, {**FILES, "modules/m/main.tf": b"# other"}))) == 1
    assert len(list(config_misfits(contents, {"main.tf": b"# root"}))) == 1


def test_variables_of_extra_files_have_their_defaults_or_what_a_file_says() -> None:
    files = {"alarms.tf": "", "x.auto.tfvars.json": '{"b": "x", "nowhere": 1}'}
    declared = {"a": {"default": [1]}, "b": {"default": "d"}, "n": {"default": None}}
    used = {"a": {"value": [1]}, "b": {"value": "x"}, "n": {}}
    configuration = {"root_module": {"variables": declared}}
    assert list(variable_misfits({"configuration": configuration, "variables": used}, files)) == []
    other = {"a": {"value": [2]}, "b": {"value": "d"}, "c": {"value": 1}}
    assert list(variable_misfits({"configuration": configuration, "variables": other}, files)) == [
        "Terraform's plan was made with another value of the variable `a`",
        "Terraform's plan was made with another value of the variable `b`",
        "Terraform's plan was made with another value of the variable `c`",
    ]
    assert list(variable_misfits({}, {"main.tf": ""})) == []


def test_the_state_that_it_was_made_from_is_told() -> None:
    contents = read_contents(terraform_plan(FILES, {"serial": 7, "lineage": "L"}))
    assert (contents.state.serial, contents.state.lineage, contents.terraform_version) == (7, "L", "1.11.4")


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", terraform_plan(FILES)[:-30], terraform_plan(FILES, {"resources": 1})],
    ids=["empty", "beginning", "cut", "odd state"],  # an archive has the time in it, and workers must agree on names
)
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(Refused) as refused:
        read_contents(content)
    assert refused.value.code == "plan.misfit"
