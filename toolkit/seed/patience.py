"""When to try a blob or a document again. Single requests have been retried by the client before anything gets here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from toolkit.oci.copy import CopyError
from toolkit.oci.errors import DigestMismatch, NotAsCopied, NotFound, OciError, RegistryError, SizeMismatch
from toolkit.oci.reference import Repository
from toolkit.seed.blob_schedule import Need


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds. A broken upload begins again after each of `upload`, in a new session.

    A repository that is not there is asked for again each `missing` until `missing_limit`: ECR shows one some moments
    after it was created. So is what was put and is not seen.
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
        self._missing_since: dict[Hashable, float] = {}

    def next_attempt(self, need: Need, error: CopyError) -> tuple[int, float] | None:
        """The number of the next attempt at `need` and the seconds until then; None when it is given up."""
        return self._next(need, need.destination, error, self._pauses.upload)

    def next_request(self, task: Hashable, destination: Repository, error: CopyError) -> tuple[int, float] | None:
        """The same for a small request, which the client can repeat by itself when no answer came."""
        return self._next(task, destination, error, ())

    def found(self, destination: Repository) -> None:
        """The repository is there; were it missing again, it would be looked for as long as the first time."""
        self._missing_since.pop(destination, None)

    def _next(
        self, what: Hashable, destination: Repository, error: CopyError, repeats: tuple[float, ...]
    ) -> tuple[int, float] | None:
        pause = self._pause(what, destination, error, repeats)
        if pause is None:
            return None
        self._attempts[what] += 1
        return self._attempts[what], pause

    def _pause(
        self, what: Hashable, destination: Repository, error: CopyError, repeats: tuple[float, ...]
    ) -> float | None:
        attempts = self._attempts[what]
        if error.side == "source":
            is_damaged = isinstance(error.cause, (DigestMismatch, SizeMismatch))
            return 0.0 if is_damaged and not attempts else None
        if error.is_temporary:
            return repeats[attempts] if attempts < len(repeats) else None
        if _is_unseen(error.cause):
            missing = what
        elif isinstance(error.cause, NotFound):
            missing = destination
        else:
            return None
        now = self._clock()
        since = self._missing_since.setdefault(missing, now)
        return self._pauses.missing if now - since < self._pauses.missing_limit else None


def _is_unseen(cause: OciError) -> bool:
    """Whether the registry does not see yet what was put there: a tag, or all that a document points to.

    docker-registry, for one, empties a link before it writes the same link anew.
    """
    if isinstance(cause, NotAsCopied):
        return cause.is_missing
    return isinstance(cause, RegistryError) and "MANIFEST_BLOB_UNKNOWN" in cause.error_codes
