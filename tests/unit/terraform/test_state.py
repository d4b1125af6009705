from __future__ import annotations

import json
from typing import Any

import pytest

from toolkit.terraform.state import State, read_state


def _state(*resources: dict[str, Any]) -> str:
    return json.dumps({"version": 4, "resources": resources})


def _resource(*instances: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"mode": "managed", "type": "aws_ecr_repository", "name": "this", "instances": instances, **fields}


@pytest.mark.parametrize("text", ["", "\n", '{"version": 4}', _state(), _state(_resource())])
def test_an_empty_state_holds_nothing(text: str) -> None:
    assert read_state(text) == State()


def test_addresses_are_written_as_terraform_writes_them() -> None:
    text = _state(
        _resource({}),
        _resource({"index_key": 0}, {"index_key": "a/b"}, module='module.x["a/b"]'),
    )
    assert read_state(text).managed == {
        "aws_ecr_repository.this",
        'module.x["a/b"].aws_ecr_repository.this[0]',
        'module.x["a/b"].aws_ecr_repository.this["a/b"]',
    }


def test_data_sources_and_what_is_being_replaced_are_not_managed() -> None:
    assert read_state(_state(_resource({}, mode="data"), _resource({"deposed": "abc"}))).managed == frozenset()


def test_what_broke_off_is_managed_and_tainted() -> None:
    found = read_state(_state(_resource({"status": "tainted"}), _resource({}, name="well")))
    assert found.managed == {"aws_ecr_repository.this", "aws_ecr_repository.well"}
    assert found.tainted == {"aws_ecr_repository.this"}
