"""Events as JSON, one object a line, for programs: the first carries `schema_version`, the last is `run_finished`."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TextIO

from toolkit.cli.render.lines import LineWriter
from toolkit.events import Stamped

SCHEMA_VERSION = 1


class JsonLinesSink:
    """Writes a line for every fact and for the document that is the run's result; progress is left out.

    Lines are numbered here, from 1 without gaps, since a result is a line but not an event.
    """

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.time) -> None:
        self._writer = LineWriter(stream)
        self._clock = clock
        self._lock = threading.Lock()
        self._sequence = 0

    @property
    def failure(self) -> OSError | None:
        """Why lines are missing; None also if the reader has gone."""
        return self._writer.failure

    def receive(self, stamped: Stamped) -> None:
        """Write one event, unless it is progress."""
        if not stamped.event.ephemeral:
            self._write(stamped.event.name, stamped.time, asdict(stamped.event))

    def write_result(self, kind: str, document: Mapping[str, object]) -> None:
        """Write `document` as a `plan_made`, `report_made`, … line; to be called before `run_finished` is emitted."""
        self._write(f"{kind}_made", self._clock(), {kind: document})

    def _write(self, type_: str, seconds: float, fields: Mapping[str, object]) -> None:
        with self._lock:
            self._sequence += 1
            version = {"schema_version": SCHEMA_VERSION} if self._sequence == 1 else {}
            head = {**version, "type": type_, "sequence": self._sequence, "time": _format_time(seconds)}
            self._writer.write(json.dumps({**head, **fields}, separators=(",", ":"), allow_nan=False))


def _format_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
