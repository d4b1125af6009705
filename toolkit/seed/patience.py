"""When to try a blob again. Single requests have been retried by the client before anything gets here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from toolkit.oci.copy import CopyError
from toolkit.oci.errors import DigestMismatch, NotFound, SizeMismatch
from toolkit.oci.reference import Repository
from toolkit.seed.blob_schedule import Need


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds. A broken upload begins again after each of `upload`, in a new session.

    A repository that is not there is asked for again each `missing` until `missing_limit`: ECR shows one some moments
    after it was created.
    """

    upload: tuple[float, ...] = (0.5, 2.0, 5.0)
    missing: float = 0.5
    missing_limit: float = 6.0


class Patience:
    """What has been tried so far; used under the run's lock."""

    def __init__(self, pauses: Pauses, clock: Callable[[], float]) -> None:
        self._pauses = pauses
        self._clock = clock
        self._attempts: Counter[Need] = Counter()
        self._missing_since: dict[Repository, float] = {}

    def next_attempt(self, need: Need, error: CopyError) -> tuple[int, float] | None:
        """The number of the next attempt at `need` and the seconds until then; None when it is given up."""
        pause = self._pause(need, error, self._attempts[need])
        if pause is None:
            return None
        self._attempts[need] += 1
        return self._attempts[need], pause

    def _pause(self, need: Need, error: CopyError, attempts: int) -> float | None:
        if error.side == "source":
            is_damaged = isinstance(error.cause, (DigestMismatch, SizeMismatch))
            return 0.0 if is_damaged and not attempts else None
        if error.is_temporary:
            return self._pauses.upload[attempts] if attempts < len(self._pauses.upload) else None
        if isinstance(error.cause, NotFound):
            now = self._clock()
            since = self._missing_since.setdefault(need.destination, now)
            return self._pauses.missing if now - since < self._pauses.missing_limit else None
        return None
