"""When a blob or a document is tried again. The client has repeated single requests before anything gets here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from toolkit.oci.copy import CopyError
from toolkit.oci.errors import DigestMismatch, NotAsCopied, NotFound, OciError, RegistryError, SizeMismatch
from toolkit.oci.reference import Repository


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Delays in seconds.

    A broken upload begins again after each of `upload`, in a new session. A repository that is missing is tried again
    every `missing` until `missing_limit`, for ECR shows one some moments after it was created; so is content that was
    put and cannot be seen yet.
    """

    upload: tuple[float, ...] = (0.5, 2.0, 5.0)
    missing: float = 0.5
    missing_limit: float = 6.0


class Retries:
    """The retries of a run. All requests share how long a repository has been missing; used under the run's lock."""

    def __init__(self, policy: RetryPolicy, clock: Callable[[], float]) -> None:
        self.policy = policy
        self.clock = clock
        self.missing_since: dict[Repository, float] = {}

    def begin(self, destination: Repository, *, is_transfer: bool = False) -> Attempts:
        """The first attempt at a request, or at a transfer, which the client cannot repeat by itself."""
        return Attempts(self, destination, self.policy.upload if is_transfer else ())

    def found(self, destination: Repository) -> None:
        """The repository exists; if it is missing again, it is waited for as long as the first time."""
        self.missing_since.pop(destination, None)


class Attempts:
    """The attempts at one request or transfer; `delays` follow temporary failures."""

    __slots__ = ("_delays", "_destination", "_failures", "_retries", "_unseen_since")

    def __init__(self, retries: Retries, destination: Repository, delays: tuple[float, ...]) -> None:
        self._retries = retries
        self._destination = destination
        self._delays = delays
        self._failures = 0
        self._unseen_since: float | None = None

    def next(self, error: CopyError) -> tuple[int, float] | None:
        """The number of the next attempt after `error` and the seconds until then; None to give up."""
        delay = self._delay(error)
        if delay is None:
            return None
        self._failures += 1
        return self._failures, delay

    def _delay(self, error: CopyError) -> float | None:
        retries, now = self._retries, self._retries.clock()
        if error.side == "source":
            is_damaged = isinstance(error.cause, (DigestMismatch, SizeMismatch))
            return 0.0 if is_damaged and not self._failures else None
        if error.is_temporary:
            return self._delays[self._failures] if self._failures < len(self._delays) else None
        if _is_unseen(error.cause):
            since = self._unseen_since = now if self._unseen_since is None else self._unseen_since
        elif isinstance(error.cause, NotFound):
            since = retries.missing_since.setdefault(self._destination, now)
        else:
            return None
        return retries.policy.missing if now - since < retries.policy.missing_limit else None


def _is_unseen(cause: OciError) -> bool:
    """Whether the registry does not see yet what was put there: a tag, or what a document points to.

    docker-registry, for one, empties a link before it writes the same link anew.
    """
    if isinstance(cause, NotAsCopied):
        return cause.is_missing
    return isinstance(cause, RegistryError) and "MANIFEST_BLOB_UNKNOWN" in cause.error_codes
