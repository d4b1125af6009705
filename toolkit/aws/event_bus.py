"""Events for EventBridge: the default bus of the account, from which rules start builds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from toolkit.aws.explain import explained
from toolkit.aws.session import AwsSession
from toolkit.errors import ToolkitError

SOURCE = "base-image-toolkit"

_MOST_ENTRIES = 10
"""Of one call of PutEvents."""
_RETRYABLE = ("InternalFailure", "ThrottlingException")
"""EventBridge's own list, API_PutEventsResultEntry; the other codes come back however often it is asked."""
_PAUSES = (0.2, 1.0, 3.0)


class EventBus:
    """The default bus in the session's region. `sleep` waits between two attempts."""

    def __init__(self, session: AwsSession, sleep: Callable[[float], None]) -> None:
        self._session = session
        self._sleep = sleep

    def send(self, kind: str, details: Sequence[Mapping[str, str]]) -> Sequence[str | None]:
        """Send an event of the `kind` for each of `details`; for each why it was not taken, None if it was.

        EventBridge answers a call with success even if it has taken none of its entries.
        """
        errors: list[str | None] = [None] * len(details)
        pending = list(range(len(details)))
        for pause in (*_PAUSES, None):
            again = []
            for start in range(0, len(pending), _MOST_ENTRIES):
                numbers = pending[start : start + _MOST_ENTRIES]
                answers = self._put(kind, [details[number] for number in numbers])
                for number, (code, message) in zip(numbers, answers, strict=True):
                    errors[number] = f"{message} [{code}]" if code else None
                    again += [number] if code in _RETRYABLE else []
            pending = again
            if pending and pause is not None:
                self._sleep(pause)
        return errors

    def _put(self, kind: str, details: Sequence[Mapping[str, str]]) -> list[tuple[str | None, str]]:
        """For each entry EventBridge's code and message, or ours where the whole call failed."""
        entries = [{"Source": SOURCE, "DetailType": kind, "Detail": json.dumps(detail)} for detail in details]
        try:
            client = self._session.client("events")
            with explained():
                answers = client.put_events(Entries=entries)["Entries"]
        except ToolkitError as error:
            return [(error.code, error.message)] * len(details)
        return [(answer.get("ErrorCode"), answer.get("ErrorMessage", "")) for answer in answers]
