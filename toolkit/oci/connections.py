"""Connections straight to a host, over the standard library's HTTP client: kept open, lent to one request at a time.

urllib3 does more, of which nothing is needed here; to load it takes a fifth of a run that finds nothing to do, and each
request twice the processor time. It stays for what goes through a proxy: see `toolkit.oci.proxied_connections`.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import NamedTuple, Protocol
from urllib.parse import SplitResult, quote

from toolkit.oci.answers import Headers
from toolkit.oci.connection_faults import broke, no_connection, timed_out, tls_failed, unreachable, unresolved

Body = bytes | Iterable[bytes] | None

_PORTS = {"http": 80, "https": 443}
_SENDABLE = re.compile(r"[!-~]+")
# What `quote` leaves alone besides letters and digits: an address that is encoded already stays as it is.
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
# How zlib is told of the formats that servers send unasked.
_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class Timeouts(NamedTuple):
    """Seconds: `connect` holds for each part of a body that is sent too, `read` for each part of an answer."""

    connect: float
    read: float


class RawAnswer(Protocol):
    """An answer whose body is still to be read. What breaks meanwhile is a ConnectionFailed."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Headers:
        """Its headers; those of one name in one line."""

    @property
    def challenges(self) -> tuple[str, ...]:
        """Every `WWW-Authenticate`."""

    def read(self, size: int) -> bytes:
        """The decoded body, or `size` bytes of it."""

    def chunks(self, size: int) -> Iterator[bytes]:
        """The bytes as they were sent, `size` at a time."""

    def release(self, is_whole: bool) -> None:
        """Give the connection back; with a body left unread it is closed."""


class Connections:
    """Safe to share between threads. `kept` is how many of a host stay open."""

    def __init__(self, kept: int, tls: Callable[[], ssl.SSLContext]) -> None:
        self._kept = kept
        self._tls = tls
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, str], list[HTTPConnection]] = {}

    def request(
        self, method: str, parts: SplitResult, headers: Mapping[str, str], body: Body, timeouts: Timeouts
    ) -> RawAnswer:
        """Send one request, and wait for the head of its answer. Raises ConnectionFailed."""
        host = parts.netloc.rpartition("@")[2]
        connection = self._lend(parts.scheme, host) or self._open(parts, host, timeouts.connect)
        try:
            response = _ask(connection, method, _target(parts), headers, body, timeouts)
        except TimeoutError as error:
            connection.close()
            raise timed_out(host) from error
        except ssl.SSLError as error:
            connection.close()
            raise tls_failed(host, error) from error
        except (OSError, HTTPException) as error:
            connection.close()
            raise broke(host) from error
        except BaseException:  # the body's source, or an interrupt: what was sent is half a request
            connection.close()
            raise
        return _DirectAnswer(host, response, connection, lambda: self._take_back(parts.scheme, host, connection))

    def _lend(self, scheme: str, host: str) -> HTTPConnection | None:
        while True:
            with self._lock:
                idle = self._idle.get((scheme, host))
                if not idle:
                    return None
                connection = idle.pop()
            if not _is_dropped(connection):
                return connection
            connection.close()

    def _take_back(self, scheme: str, host: str, connection: HTTPConnection) -> None:
        with self._lock:
            idle = self._idle.setdefault((scheme, host), [])
            if len(idle) < self._kept:
                idle.append(connection)
                return
        connection.close()

    def _open(self, parts: SplitResult, host: str, timeout: float) -> HTTPConnection:
        name, port = (parts.hostname or "").rstrip("."), parts.port or _PORTS[parts.scheme]
        try:
            plain = socket.create_connection((parts.hostname or "", port), timeout)
        except UnicodeError as error:
            raise unreachable(host) from error
        except socket.gaierror as error:
            raise unresolved(host, error) from error
        except TimeoutError as error:
            raise timed_out(host) from error
        except OSError as error:
            raise no_connection(host, error) from error
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = HTTPConnection(name, port)
            connection.default_port = _PORTS[parts.scheme]
            connection.auto_open = 0  # it would be without TLS
            connection.sock = self._tls().wrap_socket(plain, server_hostname=name) if parts.scheme == "https" else plain
        except BaseException as error:
            plain.close()
            if isinstance(error, TimeoutError):
                raise timed_out(host) from error
            if isinstance(error, ssl.SSLError):
                raise tls_failed(host, error) from error
            if isinstance(error, OSError | HTTPException):
                raise broke(host) from error
            raise
        return connection


class _DirectAnswer:
    def __init__(
        self, host: str, response: HTTPResponse, connection: HTTPConnection, give_back: Callable[[], None]
    ) -> None:
        self._host = host
        self._response = response
        self._connection = connection
        self._give_back = give_back
        self._is_released = False
        self.status = response.status
        self.headers: Headers = _Folded(response)

    @property
    def challenges(self) -> tuple[str, ...]:
        return tuple(self._response.headers.get_all("WWW-Authenticate", ()))

    def read(self, size: int) -> bytes:
        body = self._read(size)
        if len(body) < size:
            self._check_end()
        bits = _WINDOW_BITS.get((self.headers.get("Content-Encoding") or "").strip().lower())
        if bits is None or not body:
            return body
        decoder = zlib.decompressobj(bits)
        try:
            decoded = decoder.decompress(body, size)
        except zlib.error as error:
            raise broke(self._host) from error
        if len(decoded) < size and not decoder.eof:
            raise broke(self._host)
        return decoded

    def chunks(self, size: int) -> Iterator[bytes]:
        while chunk := self._read(size):
            yield chunk
        self._check_end()
        self.release(is_whole=True)

    def _read(self, size: int) -> bytes:
        """`size` bytes; less where the server ended."""
        try:
            return self._response.read(size)
        except TimeoutError as error:
            raise timed_out(self._host) from error
        except ssl.SSLError as error:
            raise tls_failed(self._host, error) from error
        except (OSError, HTTPException) as error:
            raise broke(self._host) from error

    def _check_end(self) -> None:
        """A body ends where it was said to end."""
        if self._response.length:
            raise broke(self._host)

    def release(self, is_whole: bool) -> None:
        if self._is_released:
            return
        self._is_released = True
        # `sock` is gone already where the server said that it would hang up.
        if is_whole and self._response.isclosed() and self._connection.sock is not None:
            self._give_back()
        else:
            self._response.close()
            self._connection.close()


class _Folded:
    """Headers of which several of one name are one line."""

    def __init__(self, response: HTTPResponse) -> None:
        self._headers = response.headers

    def get(self, name: str, /) -> str | None:
        found = self._headers.get_all(name)
        return None if found is None else ", ".join(found)


def _ask(
    connection: HTTPConnection,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: Body,
    timeouts: Timeouts,
) -> HTTPResponse:
    connection.sock.settimeout(timeouts.connect)
    # A server may answer and hang up before it has all of a body: its answer counts.
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.request(method, target, body, headers)
    connection.sock.settimeout(timeouts.read)
    return connection.getresponse()


def _target(parts: SplitResult) -> str:
    """What the request asks for, encoded where the address is not."""
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return target if _SENDABLE.fullmatch(target) else quote(target, safe=_PRINTABLE)


def _is_dropped(connection: HTTPConnection) -> bool:
    """Whether the server has hung up: one that has nothing to say has nothing to be read."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
