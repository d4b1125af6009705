"""Events for EventBridge: against the sandbox's AWS, where a rule passes them on, and against one that refuses some."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from tests.support.received_events import ReceivedEvents
from tests.support.sandbox import running_sandbox, served
from toolkit.aws.event_bus import EventBus
from toolkit.aws.session import AwsSession

REGION = "eu-west-1"
DETAILS = [{"image": f"app:{number}"} for number in range(23)]


def use(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AwsSession:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return AwsSession(REGION)


def test_reaches_the_target_of_a_rule_once_for_each_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_sandbox(tmp_path / "sandbox") as sandbox:
        received = ReceivedEvents(sandbox, REGION)
        assert EventBus(use(sandbox.environment(), monkeypatch), sleep).send("base image moved", DETAILS) == [None] * 23
        events = received.take()
    assert [event["detail"] for event in events] == DETAILS
    assert {(event["source"], event["detail-type"]) for event in events} == {("base-image-toolkit", "base image moved")}


slept: list[float] = []


def sleep(seconds: float) -> None:
    slept.append(seconds)


class Moody:
    """EventBridge that refuses the first `times` attempts of each image in `codes`, with that code."""

    def __init__(self, codes: dict[str, str], times: int) -> None:
        self.calls: list[list[str]] = []
        self._codes = codes
        self._times = times

    def __call__(self, environ: Any, start_response: Any) -> Any:
        entries = [json.loads(entry["Detail"])["image"] for entry in Request(environ).get_json(force=True)["Entries"]]
        before = [name for call in self.calls for name in call]
        self.calls.append(entries)
        answers = [
            {"ErrorCode": self._codes[name], "ErrorMessage": "not now"}
            if name in self._codes and before.count(name) < self._times
            else {"EventId": name}
            for name in entries
        ]
        document = {"FailedEntryCount": len([one for one in answers if "ErrorCode" in one]), "Entries": answers}
        return Response(json.dumps(document), content_type="application/x-amz-json-1.1")(environ, start_response)


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    slept.clear()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "sandbox")
    yield


def test_sends_only_the_entries_again_that_were_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    moody = Moody({"app:3": "ThrottlingException", "app:12": "InternalFailure"}, 2)
    with served(moody) as url:
        assert EventBus(use({"AWS_ENDPOINT_URL": url}, monkeypatch), sleep).send("moved", DETAILS) == [None] * 23
    assert [len(call) for call in moody.calls] == [10, 10, 3, 2, 2]
    assert moody.calls[-1] == ["app:3", "app:12"]
    assert slept == [0.2, 1.0]


@pytest.mark.parametrize(
    ("code", "times", "calls"),
    [("ThrottlingException", 99, 4), ("NotAuthorizedForSourceException", 99, 1)],
    ids=["gives up", "is final"],
)
def test_says_which_entry_was_not_taken_and_why(
    code: str, times: int, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    moody = Moody({"app:1": code}, times)
    with served(moody) as url:
        errors = EventBus(use({"AWS_ENDPOINT_URL": url}, monkeypatch), sleep).send("moved", DETAILS[:3])
    assert errors == [None, f"not now [{code}]", None]
    assert len(moody.calls) == calls


def test_says_of_every_entry_why_the_call_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(environ: Any, start_response: Any) -> Any:
        body = json.dumps({"__type": "AccessDeniedException", "message": "no"})
        return Response(body, 400, content_type="application/x-amz-json-1.1")(environ, start_response)

    with served(refuse) as url:
        errors = EventBus(use({"AWS_ENDPOINT_URL": url}, monkeypatch), sleep).send("moved", DETAILS[:2])
    assert errors == ["AWS refused `PutEvents`: no [aws.access_denied]"] * 2
