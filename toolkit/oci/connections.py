"""Connections straight to a host: kept open, lent to one request at a time.

urllib3 does more, of which nothing is needed here; to load it takes a fifth of a run that finds nothing to do, and each
request twice the processor time. It stays for what goes through a proxy: see `toolkit.oci.proxied_connections`.
"""

from __future__ import annotations

import io
import re
import select
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple, Protocol
from urllib.parse import SplitResult, quote

from toolkit.oci.answers import Headers
from toolkit.oci.connection_faults import broke, no_connection, timed_out, tls_failed, unreachable, unresolved
from toolkit.oci.errors import ConnectionFailed
from toolkit.oci.http1 import AnswerHead, Content, Malformed, pass_interim, read_head, request_head
from toolkit.oci.slow_answers import Watched

Body = bytes | Iterable[bytes] | None
_Key = tuple[str, str]  # scheme, and host with its port

_PORTS = {"http": 80, "https": 443}
_SENDABLE = re.compile(r"[!-~]+")
# What `quote` leaves alone besides letters and digits: an address that is encoded already stays as it is.
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
# Ways to a server forget a connection that says nothing for long, AWS's after 350 s and some firewalls after a minute;
# what is sent then goes nowhere, or is answered by a reset.
_IDLE_SECONDS = 60.0
# How long a body may get no further before it is looked whether the server has said something instead.
_STALL_SECONDS = 1.0
_LOOKS = 16
# How zlib is told of the formats that servers send unasked.
_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class Timeouts(NamedTuple):
    """Seconds until there is a connection, and for each part of what is sent and of what is answered."""

    connect: float
    transfer: float


class _Asked(NamedTuple):
    method: str
    target: str
    headers: Mapping[str, str]
    body: Body
    seconds: float


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

    def __init__(
        self, kept: int, tls: Callable[[], ssl.SSLContext], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kept = kept
        self._tls = tls
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: dict[_Key, list[tuple[float, _Connection]]] = {}

    def request(
        self, method: str, parts: SplitResult, headers: Mapping[str, str], body: Body, timeouts: Timeouts
    ) -> RawAnswer:
        """Send one request, and wait for the head of its answer. Raises ConnectionFailed.

        Sent a second time if it can be, on a new connection, where one that was kept turns out to be dead.
        """
        key = parts.scheme, parts.netloc.rpartition("@")[2]
        asked = _Asked(method, _target(parts), headers, body, timeouts.transfer)
        kept = self._lend(key)
        if kept is not None:
            try:
                return self._exchange(key, kept, asked)
            except ConnectionFailed as failure:
                self._close_idle(key)  # what befell one is to be expected of the others
                if isinstance(failure.__cause__, TimeoutError) or not (body is None or isinstance(body, bytes)):
                    raise
        return self._exchange(key, self._open(parts, key[1], timeouts.connect), asked)

    def _exchange(self, key: _Key, connection: _Connection, asked: _Asked) -> RawAnswer:
        host = key[1]
        try:
            head = _ask(connection, asked)
        except TimeoutError as error:
            connection.close()
            raise timed_out(host) from error
        except ssl.SSLError as error:
            connection.close()
            raise tls_failed(host, error) from error
        except (OSError, Malformed) as error:
            connection.close()
            raise broke(host) from error
        except BaseException:  # the body's source, or an interrupt: what was sent is half a request
            connection.close()
            raise
        return _DirectAnswer(host, head, connection, lambda: self._take_back(key, connection))

    def _lend(self, key: _Key) -> _Connection | None:
        while True:
            with self._lock:
                idle = self._idle.get(key)
                if not idle:
                    return None
                since, connection = idle.pop()
            if self._clock() - since <= _IDLE_SECONDS and not _has_something_to_read(connection.sock):
                return connection
            connection.close()

    def _take_back(self, key: _Key, connection: _Connection) -> None:
        with self._lock:
            idle = self._idle.setdefault(key, [])
            if len(idle) < self._kept:
                idle.append((self._clock(), connection))
                return
        connection.close()

    def _close_idle(self, key: _Key) -> None:
        with self._lock:
            idle = self._idle.pop(key, [])
        for _, connection in idle:
            connection.close()

    def _open(self, parts: SplitResult, host: str, timeout: float) -> _Connection:
        name, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        try:
            # The name as bytes: text is looked at by the codec for international names, which takes 2 ms to load.
            address = name.encode() if name.isascii() else name
            plain = socket.create_connection((address, port), timeout)  # type: ignore[arg-type]  # typeshed wants text
            says = _name(name.rstrip("."), port, parts.scheme)
        except UnicodeError as error:
            raise unreachable(host) from error
        except socket.gaierror as error:
            raise unresolved(host, error) from error
        except TimeoutError as error:
            raise timed_out(host) from error
        except OSError as error:
            raise no_connection(host, error) from error
        sock = plain
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if parts.scheme == "https":
                sock = self._tls().wrap_socket(plain, server_hostname=name.rstrip("."))
        except BaseException as error:
            plain.close()
            if isinstance(error, TimeoutError):
                raise timed_out(host) from error
            if isinstance(error, ssl.SSLError):
                raise tls_failed(host, error) from error
            if isinstance(error, OSError):
                raise broke(host) from error
            raise
        return _Connection(sock, says, self._clock)


class _Connection:
    """`host` is what its requests name. What has been read of it and is nobody's is in `incoming`."""

    def __init__(self, sock: socket.socket, host: str, clock: Callable[[], float]) -> None:
        self.sock = sock
        self.host = host
        self.watched = Watched(sock.makefile("rb", buffering=0), clock)
        self.incoming: io.BufferedReader[Any] = io.BufferedReader(self.watched)

    def has_more(self) -> bool:
        """Whether more has come already than the answer, which is over."""
        self.watched.end()
        is_decrypted = isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0
        return is_decrypted or bool(self.incoming.peek(1))

    def close(self) -> None:
        self.incoming.close()
        self.sock.close()


class _DirectAnswer:
    def __init__(self, host: str, head: AnswerHead, connection: _Connection, give_back: Callable[[], None]) -> None:
        self._host = host
        self._connection = connection
        self._content = Content(connection.incoming, head)
        self._keeps_open = head.keeps_open
        self._give_back = give_back
        self._is_released = False
        self.status = head.status
        self.headers: Headers = head
        self.challenges = tuple(head.fields.get("www-authenticate", ()))

    def read(self, size: int) -> bytes:
        body = self._read(size)
        while len(body) < size and (more := self._read(size - len(body))):
            body += more
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
        self.release(is_whole=True)

    def _read(self, size: int) -> bytes:
        """`size` bytes; none at the end."""
        try:
            return self._content.read(size)
        except TimeoutError as error:
            raise timed_out(self._host) from error
        except ssl.SSLError as error:
            raise tls_failed(self._host, error) from error
        except (OSError, Malformed) as error:
            raise broke(self._host) from error

    def release(self, is_whole: bool) -> None:
        if self._is_released:
            return
        self._is_released = True
        if is_whole and self._content.is_over and self._keeps_open and not self._connection.has_more():
            self._give_back()
        else:
            self._connection.close()


def _ask(connection: _Connection, asked: _Asked) -> AnswerHead:
    sock, body = connection.sock, asked.body
    sock.settimeout(asked.seconds)
    is_sent = False
    # A server may answer and hang up before it has all of a body: its answer counts.
    with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
        if body is None or isinstance(body, bytes):
            length = None if body is None else len(body)
            head = request_head(asked.method, asked.target, connection.host, asked.headers, length)
            sock.sendall(head + body if body else head)
            is_sent = True
        else:
            sock.sendall(request_head(asked.method, asked.target, connection.host, asked.headers, None))
            is_sent = _stream(connection, body, asked.seconds)
    sock.settimeout(asked.seconds)
    connection.watched.begin()
    answer = read_head(connection.incoming, asked.method)
    # A server that has not all of a body would take another request for the rest of it.
    return answer if is_sent else replace(answer, keeps_open=False)


def _stream(connection: _Connection, body: Iterable[bytes], seconds: float) -> bool:
    """Send a body; False where the server has answered and reads no further."""
    sock, stall = connection.sock, min(seconds, _STALL_SECONDS)
    sock.settimeout(stall)
    for chunk in body:
        rest, stalled = memoryview(chunk), 0.0
        while rest:
            try:
                rest, stalled = rest[sock.send(rest) :], 0.0
            except TimeoutError:
                stalled += stall
                if _is_answered(connection, seconds):
                    return False
                if stalled >= seconds:
                    raise
                sock.settimeout(stall)
    return True


def _is_answered(connection: _Connection, seconds: float) -> bool:
    """Whether an answer has begun, or the connection has ended; what comes before an answer (1xx) is passed over."""
    sock = connection.sock
    for _ in range(_LOOKS):  # not without end, whatever a server goes on saying
        if not (connection.has_more() or _has_something_to_read(sock)):
            return False
        connection.watched.begin()
        sock.settimeout(0)
        try:
            connection.incoming.peek(1)
        except ssl.SSLWantReadError:  # it was no more than a TLS session's ticket
            return False
        sock.settimeout(seconds)
        if not pass_interim(connection.incoming):
            return True
    return False


def _target(parts: SplitResult) -> str:
    """What the request asks for, encoded where the address is not."""
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return target if _SENDABLE.fullmatch(target) else quote(target, safe=_PRINTABLE)


def _name(host: str, port: int, scheme: str) -> str:
    """What a request says that it is for."""
    name = host if host.isascii() else host.encode("idna").decode()
    name = f"[{name}]" if ":" in name else name
    return name if port == _PORTS[scheme] else f"{name}:{port}"


def _has_something_to_read(sock: socket.socket) -> bool:
    """Also the server's end of the connection; one that is idle has nothing else."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
