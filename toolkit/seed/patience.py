"""When to try a blob again. Single requests have been retried by the client before anything gets here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from toolkit.oci.copy import CopyError
from toolkit.oci.errors import DigestMismatch, NotFound, SizeMismatch
from toolkit.oci.reference import Repository
from toolkit.seed.blob_schedule import Need

# A broken upload begins again in a new session.
_UPLOAD_PAUSES = (0.5, 2.0, 5.0)
# ECR shows a repository some moments after it was created.
_MISSING_PATIENCE = 6.0
_MISSING_PAUSE = 0.5


class Patience:
    """What has been tried so far; used under the run's lock."""

    def __init__(self, clock: Callable[[], float]) -> None:
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
            return _UPLOAD_PAUSES[attempts] if attempts < len(_UPLOAD_PAUSES) else None
        if isinstance(error.cause, NotFound):
            now = self._clock()
            since = self._missing_since.setdefault(need.destination, now)
            return _MISSING_PAUSE if now - since < _MISSING_PATIENCE else None
        return None
