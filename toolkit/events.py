"""The events of a run, as plain values, in one stream with any number of sinks.

An event is a fact that a user may act on. `ephemeral` events are progress, which a sink that keeps a record leaves out.
Fields are strings, numbers, booleans and None, and never hold a secret.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol


@dataclass(frozen=True, slots=True)
class Event:
    """`name` is the event's name in a JSON line."""

    name: ClassVar[str] = ""
    ephemeral: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """The first event of every run."""

    name = "run_started"
    command: str
    toolkit_version: str


@dataclass(frozen=True, slots=True)
class RunFinished(Event):
    """The last event of every run, failed or not; the error fields are None on exit 0 and 2."""

    name = "run_finished"
    exit_code: int
    seconds: float
    error_code: str | None = None
    error_message: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class StepStarted(Event):
    """A step of the run began: `terraform plan`, `observe`, `seed`, …

    `total` is the number of its items, where that is known.
    """

    name = "step_started"
    step: str
    detail: str = ""
    total: int | None = None


@dataclass(frozen=True, slots=True)
class StepFinished(Event):
    """The step succeeded."""

    name = "step_finished"
    step: str
    seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class NoticeGiven(Event):
    """A remark that does not stop the run."""

    name = "notice_given"
    code: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class InfraChangeStarted(Event):
    """Terraform began to change a resource; `action` is `create`, `update` or `delete`."""

    name = "infra_change_started"
    address: str
    action: str


@dataclass(frozen=True, slots=True)
class InfraChangeProgressed(Event):
    """A resource change is still under way."""

    name = "infra_change_progressed"
    ephemeral = True
    address: str
    action: str
    seconds: float


@dataclass(frozen=True, slots=True)
class InfraChangeFinished(Event):
    """A resource change is done."""

    name = "infra_change_finished"
    address: str
    action: str
    seconds: float


@dataclass(frozen=True, slots=True)
class InfraChangeFailed(Event):
    """A resource change failed; a `diagnostic_reported` says why."""

    name = "infra_change_failed"
    address: str
    action: str
    seconds: float


@dataclass(frozen=True, slots=True)
class DiagnosticReported(Event):
    """A diagnostic in Terraform's own words; `severity` is `error` or `warning`, `hint` is ours, if we know a fix."""

    name = "diagnostic_reported"
    severity: str
    summary: str
    detail: str = ""
    address: str = ""
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class ImageStarted(Event):
    """An image's copy began. `image` is its key in the plan, `<repository>:<tag>`."""

    name = "image_started"
    image: str
    source: str
    destination: str


@dataclass(frozen=True, slots=True)
class ImageProgressed(Event):
    """`done_bytes` of an image's blobs are at the destination: copied, mounted or already there."""

    name = "image_progressed"
    ephemeral = True
    image: str
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class ImageFinished(Event):
    """The tag points to the image. `moved_bytes` were transferred for it in this run."""

    name = "image_finished"
    image: str
    status: str
    digest: str
    moved_bytes: int
    total_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ImageFailed(Event):
    """The copy of an image failed; the other copies continue."""

    name = "image_failed"
    image: str
    code: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class ImagePostponed(Event):
    """An image reached its upstream's pull limit.

    Its copy starts again once pulls are available, or is left for the next run.
    """

    name = "image_postponed"
    image: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class BudgetAwaited(Event):
    """`images` copies have waited `seconds` for counted pulls at `registry`; `remaining` of `limit` are left.

    The whole limit is available again after `window_seconds` at the latest.
    """

    name = "budget_awaited"
    ephemeral = True
    registry: str
    images: int
    remaining: int
    limit: int
    seconds: float
    window_seconds: float


@dataclass(frozen=True, slots=True)
class BuildChanged(Event):
    """A build of a batch has another status, in CodeBuild's words. `build` is `shard_1`, `shard_2`, … or `report`."""

    name = "build_changed"
    batch: str
    build: str
    status: str


@dataclass(frozen=True, slots=True)
class RetryScheduled(Event):
    """A request to `host` had a temporary failure and is sent again after `seconds`."""

    name = "retry_scheduled"
    host: str
    reason: str
    attempt: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Stamped:
    """An event with its position in the stream: `sequence` counts from 1, `time` is seconds since the epoch."""

    sequence: int
    time: float
    event: Event


class Sink(Protocol):
    """A receiver of events. It is called under the stream's lock, so it must return quickly and must not emit."""

    def receive(self, stamped: Stamped) -> None:
        """Handle one event."""


Emit = Callable[[Event], None]


class EventStream:
    """Numbers events and passes each to every sink; thread-safe."""

    def __init__(self, sinks: Sequence[Sink], *, clock: Callable[[], float] = time.time) -> None:
        self._sinks = tuple(sinks)
        self._clock = clock
        self._lock = threading.Lock()
        self._sequence = 0

    def emit(self, event: Event) -> None:
        """Pass `event` to every sink before returning."""
        with self._lock:
            self._sequence += 1
            stamped = Stamped(self._sequence, self._clock(), event)
            for sink in self._sinks:
                sink.receive(stamped)
