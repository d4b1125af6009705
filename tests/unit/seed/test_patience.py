from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from toolkit.oci.copy import CopyError
from toolkit.oci.descriptor import Descriptor
from toolkit.oci.digest import Digest
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
from toolkit.seed.blob_schedule import Need
from toolkit.seed.patience import Patience, Pauses

NEED = Need(0, Descriptor("layer", Digest.of(b"x"), 1), Repository("s.test", "a"), Repository("t.test", "a"))
BROKEN = ConnectionFailed("broke", host="h")
NO_REPOSITORY = NotFound("no", status=404, host="h", error_codes=("NAME_UNKNOWN",))
UNSEEN = RegistryError("x", status=400, host="h", error_codes=("DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN"))
LOST_SESSION = NotFound("no", status=404, host="h", error_codes=("BLOB_UPLOAD_UNKNOWN",))


def next_blob(patience: Patience, need: Need, destination: Repository, error: CopyError) -> tuple[int, float] | None:
    return patience.next_attempt(need, error)


def attempts(side: str, cause: OciError, ask: Callable[..., Any] = next_blob, limit: int = 50) -> list[float]:
    """The pauses until it is given up, by a clock that moves with them."""
    now = 0.0
    patience = Patience(Pauses(), lambda: now)
    pauses: list[float] = []
    while len(pauses) < limit:
        again = ask(patience, NEED, NEED.destination, CopyError(side, "k", cause))
        if again is None:
            return pauses
        assert again[0] == len(pauses) + 1
        pauses.append(again[1])
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
def test_what_is_tried_again_and_for_how_long(side: str, cause: OciError, count: int, seconds: float) -> None:
    pauses = attempts(side, cause)
    assert (len(pauses), sum(pauses)) == (count, seconds)


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
def test_which_small_requests_are_tried_again(side: str, cause: OciError, count: int, seconds: float) -> None:
    pauses = attempts(side, cause, Patience.next_request)
    assert (len(pauses), sum(pauses)) == (count, seconds)


def test_a_repository_that_was_found_is_looked_for_anew() -> None:
    now = 0.0
    patience = Patience(Pauses(), lambda: now)
    error = CopyError("destination", "k", NO_REPOSITORY)
    for _ in range(2):
        assert patience.next_attempt(NEED, error)
        patience.found(NEED.destination)
        now += 100
    now += 100
    assert patience.next_attempt(NEED, error)
    now += 100
    assert patience.next_attempt(NEED, error) is None
