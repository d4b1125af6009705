from __future__ import annotations

import pytest

from toolkit.oci.copy import CopyError
from toolkit.oci.errors import (
    ConnectionFailed,
    Denied,
    DigestMismatch,
    NotAsCopied,
    NotFound,
    OciError,
    RegistryError,
    SizeMismatch,
)
from toolkit.oci.reference import Repository
from toolkit.seed.retry_policy import Retries, RetryPolicy

THERE = Repository("t.test", "a")
BROKEN = ConnectionFailed("broke", host="h")
NO_REPOSITORY = NotFound("no", status=404, host="h", error_codes=("NAME_UNKNOWN",))
UNSEEN = RegistryError("x", status=400, host="h", error_codes=("DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN"))
LOST_SESSION = NotFound("no", status=404, host="h", error_codes=("BLOB_UPLOAD_UNKNOWN",))


def delays(side: str, cause: OciError, *, is_transfer: bool, limit: int = 50) -> list[float]:
    """The delays until it is given up, by a clock that moves with them."""
    now = 0.0
    attempts = Retries(RetryPolicy(), lambda: now).begin(THERE, is_transfer=is_transfer)
    found: list[float] = []
    while len(found) < limit:
        again = attempts.next(CopyError(side, "k", cause))
        if again is None:
            return found
        assert again[0] == len(found) + 1
        found.append(again[1])
        now += again[1]
    raise AssertionError("no end")


@pytest.mark.parametrize(
    ("side", "cause", "count", "seconds"),
    [
        ("destination", BROKEN, 3, 7.5),
        ("destination", RegistryError("x", status=503, host="h"), 3, 7.5),
        ("destination", LOST_SESSION, 3, 7.5),
        ("destination", NO_REPOSITORY, 12, 6.0),
        ("destination", Denied("x", status=403, host="h"), 0, 0),
        ("source", DigestMismatch("x"), 1, 0),
        ("source", SizeMismatch("x"), 1, 0),
        ("source", BROKEN, 0, 0),
        ("source", NO_REPOSITORY, 0, 0),
    ],
)
def test_retries_transfers(side: str, cause: OciError, count: int, seconds: float) -> None:
    found = delays(side, cause, is_transfer=True)
    assert (len(found), sum(found)) == (count, seconds)


@pytest.mark.parametrize(
    ("side", "cause", "count", "seconds"),
    [
        ("destination", BROKEN, 0, 0),  # the client has repeated it
        ("destination", NO_REPOSITORY, 12, 6.0),
        ("destination", NotAsCopied("x", is_missing=True), 12, 6.0),
        ("destination", NotAsCopied("x", is_missing=False), 0, 0),
        ("destination", UNSEEN, 12, 6.0),
        ("destination", RegistryError("x", status=400, host="h", error_codes=("MANIFEST_INVALID",)), 0, 0),
        ("source", DigestMismatch("x"), 1, 0),
        ("source", NO_REPOSITORY, 0, 0),
    ],
)
def test_retries_small_requests(side: str, cause: OciError, count: int, seconds: float) -> None:
    found = delays(side, cause, is_transfer=False)
    assert (len(found), sum(found)) == (count, seconds)


def test_waits_for_a_repository_anew_after_it_was_found() -> None:
    now = 0.0
    retries = Retries(RetryPolicy(), lambda: now)
    error = CopyError("destination", "k", NO_REPOSITORY)
    for _ in range(2):
        assert retries.begin(THERE).next(error)
        retries.found(THERE)
        now += 100
    assert retries.begin(THERE).next(error)
    now += 100
    assert retries.begin(THERE).next(error) is None
