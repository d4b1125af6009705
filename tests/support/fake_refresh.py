"""What refreshes share, with memory: a text that is written conditionally, and a bus that may refuse."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from toolkit.aws.inspection import Quota
from toolkit.codebuild.shard_batch import RUNNING, Batch
from toolkit.errors import Refused, ToolkitError
from toolkit.lock.stored import Stored, changed_meanwhile
from toolkit.operations.lease import taken_meanwhile
from toolkit.operations.services import RefreshServices


class FakeText:
    """A text of which each write has a number. `now` is the clock of where it is kept."""

    def __init__(
        self, name: str, now: Callable[[], datetime], *, changed: Callable[[str], Refused] = changed_meanwhile
    ) -> None:
        self.name = name
        self.texts: list[str] = []
        self._now = now
        self._changed = changed
        self._at = now()

    def read(self) -> Stored | None:
        return Stored(self.texts[-1], str(len(self.texts)), self._now() - self._at) if self.texts else None

    def write(self, text: str, read: Stored | None) -> Stored:
        now = self.read()
        if (now and now.version) != (read and read.version):
            raise self._changed(self.name)
        self.put(text)
        return Stored(text, str(len(self.texts)))

    def put(self, text: str) -> None:
        self.texts.append(text)
        self._at = self._now()


class FakeBus:
    """Keeps what it takes; `refuses` has why it does not take the event of an image, until it is asked again."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Mapping[str, str]]] = []
        self.refuses: dict[str, str] = {}

    def send(self, kind: str, details: Sequence[Mapping[str, str]]) -> Sequence[str | None]:
        errors = [self.refuses.pop(detail["image"], None) for detail in details]
        self.sent += [(kind, detail) for detail, error in zip(details, errors, strict=True) if error is None]
        return errors

    @property
    def moves(self) -> list[tuple[str, str, str]]:
        return [(detail["image"], detail["old_digest"], detail["new_digest"]) for _, detail in self.sent]


class FakeBatches:
    """The batches of a project: what was `started`, without what came again with the same token.

    Each look takes the next status of `ends`: of the batch, and of each build, by its identifier. An error in its place
    is raised. `own` is the project's buildspec.
    """

    def __init__(self) -> None:
        self.allowed: Quota | ToolkitError | None = Quota("Concurrently running builds", "L-5ED1D25B", 60)
        self.own = '{"version": 0.2, "phases": {}}'
        self.started: list[tuple[Mapping[str, Any], Mapping[str, str]]] = []
        self.ends: list[tuple[str, Mapping[str, str]] | BaseException] = []
        self.why = ""
        self.refuses: ToolkitError | None = None
        self._ids: dict[str, str] = {}

    def quota(self) -> Quota | None:
        if isinstance(self.allowed, ToolkitError):
            raise self.allowed
        return self.allowed

    def buildspec(self) -> str:
        return self.own

    def start(self, buildspec: str, variables: Mapping[str, str], token: str) -> Batch:
        if self.refuses:
            raise self.refuses
        if token not in self._ids:
            self.started.append((json.loads(buildspec), variables))
            self._ids[token] = f"shop-refresh:{len(self.started)}"
        return Batch(self._ids[token], RUNNING, {})

    def look(self, batch: str) -> Batch:
        end = self.ends.pop(0)
        if isinstance(end, BaseException):
            raise end
        return Batch(batch, *end, self.why)


class FakeShared:
    """All of it. `hours` is added to the time of the clock of where the lease is kept."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.ahead = timedelta()
        self.bus = FakeBus()
        self.bundle = FakeText("s3://base/shop/refresh/bundle.json", now)
        self.lease = FakeText("s3://base/shop/refresh/lease.json", lambda: now() + self.ahead, changed=taken_meanwhile)
        self.batches = FakeBatches()
        self.texts: dict[str, FakeText] = {}
        self.services = RefreshServices(
            "s3://base/shop/refresh",
            self.bundle,
            self.lease,
            self.bus,
            lambda name, kind: self.texts.setdefault(name, FakeText(name, now)),
            self.batches,
        )
