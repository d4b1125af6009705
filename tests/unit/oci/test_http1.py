"""What a client of HTTP/1.1 says and understands, held against the standard library's."""

from __future__ import annotations

import io
from collections.abc import Callable
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from toolkit.oci.http1 import Content, Malformed, read_head, request_head

TOKENS = st.text("abcXYZ019-_!~", min_size=1, max_size=8)
TEXTS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_categories=["Cc"]), max_size=12)


def incoming(text: bytes) -> io.BufferedReader[Any]:
    return io.BufferedReader(io.BytesIO(text))


def read(text: bytes, method: str = "GET") -> bytes:
    """An answer's content."""
    line = incoming(text)
    content = Content(line, read_head(line, method))
    parts = list(iter(lambda: content.read(100), b""))
    assert content.is_over
    return b"".join(parts)


class Pretended:
    """A socket for the standard library."""

    def __init__(self, answer: bytes = b"") -> None:
        self.sent = b""
        self._answer = answer

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._answer)

    def sendall(self, data: bytes) -> None:
        self.sent += data


# answers


@given(
    status=st.integers(200, 599).filter(lambda status: status not in (204, 304)),
    fields=st.lists(st.tuples(TOKENS.map("X-{}".format), TEXTS), max_size=5),
    body=st.binary(max_size=200),
    cuts=st.lists(st.integers(1, 50), max_size=6),
    is_chunked=st.booleans(),
    size=st.integers(1, 300),
    method=st.sampled_from(["GET", "HEAD", "PUT"]),
    end=st.sampled_from(["\r\n", "\n"]),
)
def test_an_answer_reads_as_the_standard_library_reads_it(
    status: int,
    fields: list[tuple[str, str]],
    body: bytes,
    cuts: list[int],
    is_chunked: bool,
    size: int,
    method: str,
    end: str,
) -> None:
    length = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {len(body)}"
    head = end.join([f"HTTP/1.1 {status} Some Reason", *(f"{n}:  {v} " for n, v in fields), length, end]).encode(
        "latin-1"
    )
    text = head + (b"" if method == "HEAD" else chunked(body, cuts) if is_chunked else body)

    line = incoming(text + b"next")
    found = read_head(line, method)
    content = Content(line, found)
    got = b"".join(iter(lambda: content.read(size), b""))
    theirs = HTTPResponse(Pretended(text), method=method)  # type: ignore[arg-type]  # no more than it needs
    theirs.begin()

    assert (found.status, got, line.read()) == (theirs.status, theirs.read(), b"next")
    for name, _ in fields:
        assert found.get(name) == ", ".join(value.strip(" \t") for value in theirs.headers.get_all(name, ()))


def chunked(body: bytes, cuts: list[int]) -> bytes:
    parts = []
    for cut in cuts:
        part, body = body[:cut], body[cut:]
        if part:
            parts.append(b"%x;a=b\r\n%s\r\n" % (len(part), part))
    if body:
        parts.append(b"%X\r\n%s\r\n" % (len(body), body))
    return b"".join(parts) + b"0\r\nTrailer: x\r\n\r\n"


@given(
    st.binary(max_size=300)
    | st.lists(
        st.sampled_from(
            [
                b"HTTP/1.1 200 OK",
                b"HTTP/1.0 404",
                b"HTTP/1.1 100 x",
                b"\r\n",
                b"\n",
                b"A: b",
                b"Content-Length: 3",
                b"abc",
                b"\r",
                b"Transfer-Encoding: chunked",
                b"3\r\nabc\r\n",
                b"0\r\n\r\n",
                b" ",
                b":",
                b"Connection: close",
                b"\0",
                b"ffffffffffff",
            ]
        ),
        max_size=14,
    ).map(b"".join),
    st.sampled_from(["GET", "HEAD"]),
)
def test_whatever_comes_is_an_answer_or_is_refused(text: bytes, method: str) -> None:
    try:
        read(text, method)
    except (Malformed, ConnectionResetError):
        return


@pytest.mark.parametrize(
    ("answer", "keeps_open"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\n\r\n", False),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n", False),
    ],
)
def test_a_connection_is_kept_where_the_next_answer_is_sure_to_be_found(answer: bytes, keeps_open: bool) -> None:
    assert read_head(incoming(answer), "GET").keeps_open is keeps_open


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.10 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 +20 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nLocation : x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: at once\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\rLocation: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\xa0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 4301 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2**16 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"x" * 60_000 + b"\r\n") * 5 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 99,
    ],
    ids=lambda head: head[:60].decode("latin-1"),
)
def test_a_head_that_may_mean_two_things_is_refused(head: bytes) -> None:
    with pytest.raises(Malformed):
        read_head(incoming(head), "GET")


def test_a_value_on_several_lines_is_one() -> None:
    found = read_head(incoming(b"HTTP/1.1 200 OK\r\nX: a\r\n\t b\r\n  c\r\nY: d\r\n\r\n"), "GET")
    assert (found.get("x"), found.get("y"), found.get("z")) == ("a b c", "d", None)


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
@pytest.mark.parametrize(
    "content",
    [
        b"Content-Length: 9\r\n\r\nabcde",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n9\r\ncde",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n1",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n",
    ],
    ids=["length", "in a chunk", "at its end", "between chunks", "in a chunk's size", "before the last line"],
)
def test_what_came_before_a_cut_is_not_lost(content: bytes, size: int) -> None:
    """A download goes on from there."""
    line = incoming(b"HTTP/1.1 200 OK\r\n" + content)
    cut = Content(line, read_head(line, "GET"))
    got = b""
    with pytest.raises(ConnectionResetError):
        while True:
            part = cut.read(size)
            assert part
            got += part
    assert got == b"abcde"
    assert not cut.is_over


@pytest.mark.parametrize(
    "chunks",
    [
        b"zz\r\n",
        b"-1\r\n",
        b"0x1\r\na\r\n",
        b"1\r\nabc\r\n",
        b"f" * 16 + b"\r\n",
        b"\r\n",
        b"0\r\n" + (b"X: " + b"x" * 60_000 + b"\r\n") * 5 + b"\r\n",
    ],
    ids=lambda chunks: chunks[:20].decode(),
)
def test_chunks_that_are_none_are_refused(chunks: bytes) -> None:
    with pytest.raises(Malformed):
        read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)


# requests


@given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"]),
    headers=st.dictionaries(TOKENS.map("X-{}".format), TEXTS, max_size=4),
    body=st.none() | st.binary(max_size=20),
)
@example(method="PUT", headers={"Content-Length": "7"}, body=None)
@example(method="GET", headers={"Accept-Encoding": "gzip"}, body=None)
def test_a_request_begins_as_the_standard_library_has_it(
    method: str, headers: dict[str, str], body: bytes | None
) -> None:
    theirs = HTTPConnection("registry.test", 5000)
    theirs.sock = Pretended()
    theirs.request(method, "/v2/?a=b", body, headers)
    ours = request_head(method, "/v2/?a=b", "registry.test:5000", headers, None if body is None else len(body))

    assert lines(ours) == lines(theirs.sock.sent.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")


def lines(head: bytes) -> tuple[bytes, list[bytes]]:
    assert head.endswith(b"\r\n\r\n")
    first, *fields = head.lower().split(b"\r\n")
    return first, sorted(fields)


@pytest.mark.parametrize("value", ["a\r\nX: b", "a\nb", "a\rb", "a\0b"])
@pytest.mark.parametrize(
    "make",
    [
        lambda value: request_head("GET", "/", "h", {"X": value}, None),
        lambda value: request_head("GET", "/", "h", {value: "x"}, None),
        lambda value: request_head("GET", f"/{value}", "h", {}, None),
        lambda value: request_head("GET", "/", f"h{value}", {}, None),
    ],
    ids=["value", "name", "target", "host"],
)
def test_nothing_in_a_request_begins_another_line(make: Callable[[str], bytes], value: str) -> None:
    with pytest.raises(ValueError, match="ends its line"):
        make(value)
