"""What EventBridge passes on of our events, in the sandbox."""

from __future__ import annotations

import json
from typing import Any

from tests.support.sandbox import RunningSandbox


class ReceivedEvents:
    """A rule for the events, and the queue that is its target."""

    def __init__(self, sandbox: RunningSandbox, region: str) -> None:
        self._sqs = sandbox.client("sqs", region)
        self._queue = self._sqs.create_queue(QueueName="moved")["QueueUrl"]
        found = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        bus = sandbox.client("events", region)
        pattern = {"source": ["base-image-toolkit"], "detail-type": ["base image moved"]}
        bus.put_rule(Name="moved", EventPattern=json.dumps(pattern))
        bus.put_targets(Rule="moved", Targets=[{"Id": "queue", "Arn": found["Attributes"]["QueueArn"]}])

    def take(self) -> list[dict[str, Any]]:
        """The events since the last look."""
        found: list[dict[str, Any]] = []
        while messages := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages"):
            found += [json.loads(message["Body"]) for message in messages]
            for message in messages:
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return found
