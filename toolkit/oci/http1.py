"""HTTP/1.1 as a client of registries needs it: what a request begins with, and an answer's head and content (RFC 9112).

The standard library's client reads each head with its mail parser: a HEAD of ours took 420 us of processor time with it
and takes 280 without. It is lenient where this is not: a field without a colon, two lengths, a bare CR.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# A signed address of storage has some kilobytes.
_LONGEST_LINE = 64 * 1024
_MOST_FIELDS = 256
_MOST_BYTES = 256 * 1024  # of all fields: as many lines of the longest kind would be 16 MiB for each connection
_MOST_INTERIM = 16
_TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r]*)?")
_INTERIM = re.compile(rb"HTTP/1\.\d 1")
_HAS_NO_CONTENT = (204, 304)
_TELLS_ITS_LENGTH = ("PUT", "POST", "PATCH")


class Malformed(Exception):
    """What came is no answer of HTTP/1.1."""


def request_head(method: str, target: str, host: str, headers: Mapping[str, str], length: int | None) -> bytes:
    """The lines before the content of a request, which has `length` bytes if that is known here.

    Raises ValueError where a header would end its line early.
    """
    fields = {"Host": host, "Accept-Encoding": "identity", **headers}
    if length is not None or (method in _TELLS_ITS_LENGTH and "content-length" not in map(str.lower, headers)):
        fields["Content-Length"] = str(length or 0)
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    head = "\r\n".join(lines).encode("latin-1")
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1 or b"\0" in head:
        raise ValueError("a header holds what ends its line")
    return head + b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """`fields` by their names in lower case; `keeps_open` is whether another request may follow."""

    status: int
    fields: Mapping[str, list[str]]
    keeps_open: bool
    length: int | None
    is_chunked: bool

    def get(self, name: str, /) -> str | None:
        """All values of a field, in one line."""
        found = self.fields.get(name.lower())
        return None if found is None else ", ".join(found)


def read_head(incoming: io.BufferedReader[Any], method: str) -> AnswerHead:
    """The next answer's head, to a request with `method`; what comes before the answer (1xx) is passed over.

    Raises Malformed, and ConnectionResetError where nothing more comes.
    """
    for _ in range(_MOST_INTERIM):
        version, status = _read_status(_read_line(incoming))
        fields = _read_fields(incoming)
        if status >= 200:
            return _head(method, version, status, fields)
    raise Malformed


def pass_interim(incoming: io.BufferedReader[Any]) -> bool:
    """Read what comes before an answer (1xx) if that is next; whether it was."""
    if not _INTERIM.match(incoming.peek(1)):
        return False
    _read_status(_read_line(incoming))
    _read_fields(incoming)
    return True


def _read_status(line: bytes) -> tuple[int, int]:
    name, _, rest = line.partition(b" ")
    status = rest[:3]
    if name[:7] != b"HTTP/1." or not name[7:].isdigit() or len(name) > 8 or rest[3:4] not in (b" ", b""):
        raise Malformed
    if len(status) != 3 or not status.isdigit() or status < b"100":
        raise Malformed
    return int(name[7:]), int(status)


def _read_fields(incoming: io.BufferedReader[Any]) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    last: list[str] | None = None
    size = 0
    for _ in range(_MOST_FIELDS):
        line = _read_line(incoming)
        size += len(line)
        if not line:
            return fields
        if b"\r" in line or b"\0" in line or size > _MOST_BYTES:
            raise Malformed
        if line[0] in b" \t" and last:  # a value on several lines, as long ago
            last[-1] += " " + line.strip(b" \t").decode("latin-1")
            continue
        name, colon, value = line.partition(b":")
        if not colon or not name or name.translate(None, _TOKEN):
            raise Malformed
        last = fields.setdefault(name.decode().lower(), [])
        last.append(value.strip(b" \t").decode("latin-1"))
    raise Malformed


def _head(method: str, version: int, status: int, fields: dict[str, list[str]]) -> AnswerHead:
    connection = _words(fields, "connection")
    keeps_open = "close" not in connection and (version > 0 or "keep-alive" in connection)
    codings, lengths = _words(fields, "transfer-encoding"), set(_words(fields, "content-length"))
    has_codings = "transfer-encoding" in fields
    if has_codings:  # who names a length too, or knows no chunks, may be understood in two ways
        keeps_open = keeps_open and version > 0 and not lengths and status not in _HAS_NO_CONTENT
    if method == "HEAD" or status in _HAS_NO_CONTENT:
        return AnswerHead(status, fields, keeps_open, 0, is_chunked=False)
    if has_codings:
        if codings != ["chunked"]:
            raise Malformed
        return AnswerHead(status, fields, keeps_open, None, is_chunked=True)
    if "content-length" not in fields:
        return AnswerHead(status, fields, keeps_open=False, length=None, is_chunked=False)
    length = lengths.pop() if len(lengths) == 1 else ""
    if not (length.isascii() and length.isdigit() and len(length) <= 18):  # Python refuses to read thousands of digits
        raise Malformed
    return AnswerHead(status, fields, keeps_open, int(length), is_chunked=False)


def _words(fields: Mapping[str, list[str]], name: str) -> list[str]:
    words = (word.strip(" \t") for value in fields.get(name, ()) for word in value.lower().split(","))
    return [word for word in words if word]


def _read_line(incoming: io.BufferedReader[Any]) -> bytes:
    """Without its end, which may be a bare LF (RFC 9112, 2.2)."""
    line = incoming.readline(_LONGEST_LINE)
    if line[-1:] != b"\n":
        if len(line) == _LONGEST_LINE:
            raise Malformed
        raise ConnectionResetError
    return line[:-2] if line[-2:-1] == b"\r" else line[:-1]


class Content:
    """An answer's content, to be read once; `is_over` when all of it has been."""

    def __init__(self, incoming: io.BufferedReader[Any], head: AnswerHead) -> None:
        self._incoming = incoming
        self._is_chunked = head.is_chunked
        # Of the content, or of its chunk; None where it ends with the connection.
        self._left = 0 if head.is_chunked else head.length
        self.is_over = head.length == 0

    def read(self, size: int) -> bytes:
        """`size` bytes; fewer where it ends, or where the connection does before: only the next call raises then.

        Raises ConnectionResetError, and Malformed.
        """
        if self.is_over or not size:
            return b""
        if self._is_chunked:
            return self._read_chunks(size)
        data = self._incoming.read(size if self._left is None else min(size, self._left))
        if self._left is not None:
            self._count(data)
        self.is_over = not data if self._left is None else not self._left
        return data

    def _read_chunks(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size and not self.is_over:
            try:
                if not self._left and not self._begin_chunk():
                    break
                part = self._incoming.read(min(size, self._left or 0))
                self._count(part)
                parts.append(part)
                size -= len(part)
                if not self._left and _read_line(self._incoming):
                    raise Malformed
            except ConnectionResetError:
                if not parts:
                    raise
                break
        return b"".join(parts)

    def _begin_chunk(self) -> bool:
        """False at the last one, after which there may be more fields."""
        found = _CHUNK_SIZE.fullmatch(_read_line(self._incoming))
        if found is None:
            raise Malformed
        self._left = int(found[1], 16)
        if not self._left:
            _read_fields(self._incoming)
            self.is_over = True
        return not self.is_over

    def _count(self, data: bytes) -> None:
        if not data:
            raise ConnectionResetError
        self._left = (self._left or 0) - len(data)
