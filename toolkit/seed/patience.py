"""When to try a blob or a document again. Single requests have been retried by the client before anything gets here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from toolkit.oci.copy import CopyError
from toolkit.oci.errors import DigestMismatch, NotAsCopied, NotFound, SizeMismatch
from toolkit.oci.reference import Repository
from toolkit.seed.blob_schedule import Need


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds. A broken upload begins again after each of `upload`, in a new session.

    A repository that is not there is asked for again each `missing` until `missing_limit`: ECR shows one some moments
    after it was created. So is a tag that was put and is not there.
    """

    upload: tuple[float, ...] = (0.5, 2.0, 5.0)
    missing: float = 0.5
    missing_limit: float = 6.0


class Patience:
    """What has been tried so far; used under the run's lock."""

    def __init__(self, pauses: Pauses, clock: Callable[[], float]) -> None:
        self._pauses = pauses
        self._clock = clock
        self._attempts: Counter[Hashable] = Counter()
        self._missing_since: dict[Repository, float] = {}

    def next_attempt(self, need: Need, error: CopyError) -> tuple[int, float] | None:
        """The number of the next attempt at `need` and the seconds until then; None when it is given up."""
        return self._next(need, need.destination, error, self._pauses.upload)

    def next_request(self, task: Hashable, destination: Repository, error: CopyError) -> tuple[int, float] | None:
        """The same for a small request, which the client can repeat by itself when no answer came."""
        return self._next(task, destination, error, ())

    def _next(
        self, what: Hashable, destination: Repository, error: CopyError, repeats: tuple[float, ...]
    ) -> tuple[int, float] | None:
        pause = self._pause(destination, error, self._attempts[what], repeats)
        if pause is None:
            return None
        self._attempts[what] += 1
        return self._attempts[what], pause

    def _pause(
        self, destination: Repository, error: CopyError, attempts: int, repeats: tuple[float, ...]
    ) -> float | None:
        if error.side == "source":
            is_damaged = isinstance(error.cause, (DigestMismatch, SizeMismatch))
            return 0.0 if is_damaged and not attempts else None
        if error.is_temporary:
            return repeats[attempts] if attempts < len(repeats) else None
        if isinstance(error.cause, NotFound) or (isinstance(error.cause, NotAsCopied) and error.cause.is_missing):
            now = self._clock()
            since = self._missing_since.setdefault(destination, now)
            return self._pauses.missing if now - since < self._pauses.missing_limit else None
        return None
