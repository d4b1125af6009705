"""What a hostile header may cost: time in proportion to its length."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from toolkit.oci.auth import parse_challenges
from toolkit.oci.errors import InvalidDocument
from toolkit.oci.masking import cleaned
from toolkit.oci.responses import read_next_page, read_pull_limit
from toolkit.oci.transport import read_retry_after

# The longest value that a response may have. What is quadratic takes more than a second for it, what is linear 20 ms.
LONGEST = 16 * 1024
MOST_SECONDS = 0.2

PIECES = [
    " ",
    "\t",
    ",",
    ";",
    "=",
    '"',
    "\\",
    "<",
    ">",
    "a",
    "0",
    "rel",
    "Bearer",
    "bytes",
    "w=",
    "-",
    "?",
    "&sig=",
    ":",
]
VALUES = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)
READERS: dict[str, Callable[[str], object]] = {
    "challenges": lambda value: parse_challenges([value]),
    "next page": lambda value: read_next_page({"Link": value}),
    "pull limit": lambda value: read_pull_limit({"ratelimit-limit": value, "ratelimit-remaining": value}),
    "retry after": lambda value: read_retry_after(value, 0.0),
    "message": cleaned,
}


@pytest.mark.parametrize("reader", READERS)
@given(VALUES, VALUES.filter(bool), VALUES)
@example("Bearer a", " ", "")
@example("Bearer", " ,", "a")
@example("", "<", "")
@example("<a>", "; ", "")
@settings(deadline=None, max_examples=200)
def test_a_header_costs_time_in_proportion_to_its_length(reader: str, start: str, repeated: str, end: str) -> None:
    value = start + repeated * (LONGEST // len(repeated)) + end
    began = time.thread_time()
    with suppress(InvalidDocument):
        READERS[reader](value)
    assert time.thread_time() - began < MOST_SECONDS
