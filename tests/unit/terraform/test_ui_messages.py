from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.events import (
    DiagnosticReported,
    Event,
    InfraChangeFailed,
    InfraChangeFinished,
    InfraChangeProgressed,
    InfraChangeStarted,
)
from toolkit.plan.model import InfraAction, InfraChange
from toolkit.terraform.ui_messages import Message, change_of, diagnostic_in, drift_of, event_of, outputs_of, read


def _recorded() -> list[Message]:
    """Lines of the real Terraform 1.11, at least one of each kind that it wrote."""
    lines = (Path(__file__).parent / "recorded" / "lines.jsonl").read_text(encoding="utf-8").splitlines()
    messages = [read(line) for line in lines]
    assert None not in messages
    return [message for message in messages if message]


RECORDED = _recorded()


def _of_type(type_: str, action: str = "") -> Message:
    for message in RECORDED:
        body = message.body.get("hook") or message.body.get("change") or {}
        if message.type == type_ and body.get("action", "") == action:
            return message
    raise LookupError(f"no {type_} {action} was recorded")


NGINX_POLICY = (
    'module.base_images.module.repositories["docker-hub/library/nginx"].aws_ecr_lifecycle_policy.this["this"]'
)
LOG_GROUP = 'module.base_images.module.builds["web"].aws_cloudwatch_log_group.this'


@pytest.mark.parametrize(
    ("type_", "action", "event"),
    [
        (
            "apply_start",
            "create",
            InfraChangeStarted('module.base_images.module.repositories["new/one"].aws_ecr_repository.this', "create"),
        ),
        ("apply_start", "update", InfraChangeStarted(LOG_GROUP, "update")),
        ("apply_start", "delete", InfraChangeStarted(NGINX_POLICY, "delete")),
        ("apply_progress", "create", InfraChangeProgressed("terraform_data.slow", "create", 10.0)),
        ("apply_complete", "update", InfraChangeFinished(LOG_GROUP, "update", 0.0)),
        ("apply_complete", "delete", InfraChangeFinished(NGINX_POLICY, "delete", 0.0)),
        ("apply_errored", "create", InfraChangeFailed("terraform_data.slow2", "create", 0.0)),
    ],
)
def test_a_resource_under_way_is_an_event(type_: str, action: str, event: Event) -> None:
    assert event_of(_of_type(type_, action)) == event


def test_a_warning_is_an_event_in_terraforms_words() -> None:
    event = event_of(_of_type("diagnostic"))
    assert isinstance(event, DiagnosticReported)
    assert (event.severity, event.summary) == ("warning", "Some objects will no longer be managed by Terraform")
    assert "terraform_data.b" in event.detail


def test_an_error_comes_with_its_resource_and_our_cure() -> None:
    line = json.dumps(
        {
            "type": "diagnostic",
            "diagnostic": {"severity": "error", "summary": "x: RequestExpired", "detail": "", "address": "a.b"},
        }
    )
    message = read(line)
    assert message
    event = event_of(message)
    assert isinstance(event, DiagnosticReported)
    assert event.address == "a.b"
    assert event.hint and event.hint.startswith("renew the session")


SILENT = {
    "version",
    "refresh_start",
    "refresh_complete",
    "resource_drift",
    "planned_change",
    "provision_start",
    "provision_progress",
    "provision_complete",
    "provision_errored",
    "change_summary",
    "outputs",
}


def test_what_nobody_acts_on_is_no_event() -> None:
    assert {message.type for message in RECORDED if event_of(message) is None} == SILENT | {"apply_start"}
    assert event_of(_of_type("apply_start", "read")) is None


def _repository(name: str, action: InfraAction, reason: str = "") -> InfraChange:
    return InfraChange(
        f'module.base_images.module.repositories["{name}"].aws_ecr_repository.this',
        "aws_ecr_repository",
        action,
        name,
        reason,
    )


def test_planned_changes_have_their_action_their_name_and_the_reason() -> None:
    changes = [change_of(message) for message in RECORDED if message.type == "planned_change"]
    assert None not in changes
    for expected in (
        _repository("new/one", InfraAction.CREATE),
        _repository("docker-hub/library/nginx", InfraAction.DELETE, "delete_because_no_module"),
        _repository("base/python", InfraAction.REPLACE, "cannot_update"),
        replace(_repository("adopt/same", InfraAction.IMPORT), is_imported=True),
        replace(_repository("adopt/me", InfraAction.UPDATE), is_imported=True),
        InfraChange(LOG_GROUP, "aws_cloudwatch_log_group", InfraAction.UPDATE, "web"),
        InfraChange("terraform_data.b", "terraform_data", InfraAction.FORGET, "", "delete_because_no_resource_config"),
        InfraChange("terraform_data.c", "terraform_data", InfraAction.UPDATE),
    ):
        assert expected in changes


def test_drift_has_its_own_reading() -> None:
    drift = [found for message in RECORDED if (found := drift_of(message))]
    assert drift
    assert all(found.action in (InfraAction.UPDATE, InfraAction.DELETE) for found in drift)


def test_drift_and_reads_are_no_planned_changes() -> None:
    assert [change_of(message) for message in RECORDED if message.type != "planned_change"] == [None] * sum(
        message.type != "planned_change" for message in RECORDED
    )


@pytest.mark.parametrize("action", ["noop", "read", "something-new", ""])
def test_an_action_that_changes_nothing_is_no_change(action: str) -> None:
    assert change_of(Message("planned_change", {"change": {"action": action, "resource": {"addr": "a.b"}}})) is None


def test_outputs_are_values_without_the_sensitive_ones() -> None:
    applied = [outputs_of(message) for message in RECORDED if message.type == "outputs" and outputs_of(message)]
    assert {"builds", "repositories"} in [set(outputs) for outputs in applied]
    assert outputs_of(Message("outputs", {"outputs": {"secret": {"sensitive": True, "value": "x"}}})) == {}
    assert outputs_of(Message("outputs", {"outputs": {"secret": {"value": "unmarked"}}})) == {}


_anything = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["hook", "change", "resource", "diagnostic", "outputs", "addr", "action", "elapsed_seconds", "module"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    type_=st.sampled_from(["apply_start", "apply_complete", "planned_change", "diagnostic", "outputs", "new"]),
    body=st.dictionaries(st.sampled_from(["hook", "change", "diagnostic", "outputs"]), _anything),
)
def test_a_message_of_any_shape_is_taken(type_: str, body: dict[str, Any]) -> None:
    message = read(json.dumps({**body, "type": type_}))
    assert message
    event_of(message)
    change_of(message)
    outputs_of(message)


@pytest.mark.parametrize(
    "line", ["", "use this backend unless…", "null", "[]", '"x"', "{}", '{"type": 1}', "{", "\ud800"]
)
def test_a_line_that_is_no_message_is_text(line: str) -> None:
    assert read(line) is None


@pytest.mark.parametrize(
    ("text", "summary", "detail"),
    [
        ("\nError: Bad thing\n\nIt is\nbad.\n", "Bad thing", "It is\nbad."),
        (
            "\x1b[31m╷\x1b[0m\x1b[0m\n\x1b[31m│\x1b[0m \x1b[0m\x1b[1m\x1b[31mError: \x1b[0m\x1b[0m\x1b[1mBad thing\x1b[0m\n"
            "\x1b[31m│\x1b[0m \x1b[0m\n\x1b[31m│\x1b[0m \x1b[0mIt is bad.\n\x1b[31m╵\x1b[0m\x1b[0m\n",
            "Bad thing",
            "It is bad.",
        ),
        ("Killed\nby somebody", "Killed", "by somebody"),
    ],
)
def test_an_error_written_as_text_is_understood(text: str, summary: str, detail: str) -> None:
    diagnostic = diagnostic_in(text)
    assert diagnostic
    assert (diagnostic.severity, diagnostic.summary, diagnostic.detail) == ("error", summary, detail)


def test_silence_is_no_error() -> None:
    assert diagnostic_in("\n \n") is None
