from __future__ import annotations

from contextlib import suppress

import pytest

from toolkit.oci.digest import Digest
from toolkit.oci.errors import OciError
from toolkit.oci.reference import Repository
from toolkit.seed.claims import Claims

PLACE = (Repository("t.test", "a"), Digest.of(b"document"))
FIRST, SECOND = 1, 2


def never() -> None:
    raise AssertionError("nobody waits for it")


@pytest.mark.parametrize("is_well", [True, False])
def test_what_is_under_way_when_its_image_ends_is_left_to_the_next_one_only_then(is_well: bool) -> None:
    claims = Claims()
    gone_on: list[bool] = []
    assert claims.claim(PLACE, FIRST, never)
    assert not claims.claim(PLACE, SECOND, lambda: gone_on.append(claims.was_put(PLACE)))
    with suppress(OciError), claims.putting(PLACE, FIRST) as is_mine:
        claims.end_all(FIRST)
        assert (is_mine, gone_on) == (True, [])
        if not is_well:
            raise OciError("no")
    assert gone_on == [is_well]


def test_what_an_image_has_claimed_and_not_begun_is_free_when_it_ends() -> None:
    claims = Claims()
    gone_on: list[bool] = []
    assert claims.claim(PLACE, FIRST, never)
    assert not claims.claim(PLACE, SECOND, lambda: gone_on.append(claims.was_put(PLACE)))
    claims.end_all(FIRST)
    assert gone_on == [False]
    assert not claims.claim(PLACE, FIRST, never)
    assert claims.claim(PLACE, SECOND, never)
    with claims.putting(PLACE, FIRST) as is_mine:
        assert not is_mine
