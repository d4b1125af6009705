"""What `toolkit.oci.connections` decides without a connection: which proxy a host has, and what is too slow."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from toolkit.oci.connections import Watched, proxy_for

PROXIES = {
    "https": "http://secure:3128",
    "http": "plain:3128",
    "no": "example.com, .internal *.corp,10.0.0.5,q.io:8443,r.io:443,s.io:80,10.1.0.0/16,fd00::1,[fd00::2],[fd00::3]:5000,"
    "fd01::/16,fe80::/99999999,:443",
}


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://quay.io/v2/", "http://secure:3128"),
        ("http://quay.io/v2/", "http://plain:3128"),
        ("https://127.0.0.1:5000/", ""),
        ("http://localhost:5000/", ""),
        ("http://[::1]:5000/", ""),
        ("https://example.com/", ""),
        ("https://registry.example.com/", ""),
        ("https://notexample.com/", "http://secure:3128"),
        ("https://a.internal/", ""),
        ("https://a.corp/", ""),
        ("https://10.0.0.5/", ""),
        ("https://q.io:8443/", ""),
        ("https://q.io/", "http://secure:3128"),
        ("https://r.io/", ""),
        ("https://a.r.io/", ""),
        ("http://r.io/", "http://plain:3128"),
        ("http://s.io/", ""),
        ("https://s.io/", "http://secure:3128"),
        ("https://10.1.2.3/", ""),
        ("https://10.2.2.3/", "http://secure:3128"),
        ("https://10.1.2.3.example.org/", "http://secure:3128"),
        ("https://[fd00::1]/", ""),
        ("https://[fd00:0::1]:8443/", ""),
        ("https://[fd00::2]/", ""),
        ("https://[fd00::3]:5000/", ""),
        ("https://[fd00::3]/", "http://secure:3128"),
        ("https://[fd01:2::3]/", ""),
        ("https://[fd02::1]/", "http://secure:3128"),
    ],
)
def test_a_host_is_reached_through_its_proxy_or_directly(url: str, proxy: str) -> None:
    assert proxy_for(urlsplit(url), PROXIES) == proxy


def test_one_proxy_for_all_and_none_for_a_star() -> None:
    assert proxy_for(urlsplit("https://quay.io"), {"all": "http://p:1"}) == "http://p:1"
    assert proxy_for(urlsplit("https://quay.io"), {"all": "http://p:1", "no": "*"}) == ""
    assert proxy_for(urlsplit("https://quay.io"), {}) == ""


Piece = tuple[float, int]


class Line(io.RawIOBase):
    """Brings so many bytes after so many seconds."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.now = 0.0
        self._pieces: Iterator[Piece] = iter(pieces)

    def readinto(self, buffer: Any) -> int:
        seconds, count = next(self._pieces, (0.0, 0))
        self.now += seconds
        buffer[:count] = bytes(count)
        return count


def received(*pieces: Piece, pause: float = 0.0) -> int:
    """How many bytes come through to somebody who takes a pause after each piece."""
    line = Line(pieces)
    watched = Watched(line, lambda: line.now)
    count = 0
    while piece := watched.read(1 << 20):
        count += len(piece)
        line.now += pause
    return count


def test_a_drip_is_given_up_after_five_minutes_of_waiting() -> None:
    with pytest.raises(TimeoutError):
        received(*[(59.0, 1)] * 7)
    assert received(*[(59.0, 1)] * 6) == 6


def test_a_drip_after_a_good_beginning_is_given_up_too() -> None:
    with pytest.raises(TimeoutError):
        received(*[(1.0, 100_000)] * 900, *[(59.0, 1)] * 12)


def test_a_slow_line_that_brings_something_is_not() -> None:
    assert received(*[(50.0, 60_000)] * 100) == 6_000_000


def test_a_slow_reader_is_not_the_lines_fault() -> None:
    assert received(*[(0.01, 1_000)] * 100, pause=50.0) == 100_000


def test_the_first_bytes_may_take_their_time() -> None:
    assert received((299.0, 100), (10.0, 10)) == 110
