"""Faults between a client and a stand-in registry: on the connection, instead of the answer, or in it.

`tests/faults` says where they strike; the registry behind them knows nothing of it.
"""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from werkzeug.exceptions import ClientDisconnected

from toolkit.sandbox.serving import KeepAliveHandler, address_of, open_server, serve

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

ON_ARRIVAL, IN_REQUEST, BEFORE_ANSWER, IN_ANSWER = "on arrival", "in the request", "before the answer", "in the answer"
STAGES = (ON_ARRIVAL, IN_REQUEST, BEFORE_ANSWER, IN_ANSWER)

_MOST_PIECES = 2000

_NOUNS = (
    (re.compile(r".*/manifests/[^/]+:[^/]+"), "manifest"),
    (re.compile(r".*/manifests/[^/]+"), "tag"),
    (re.compile(r".*/blobs/uploads(/.*)?"), "upload"),
    (re.compile(r".*/blobs/[^/]+"), "blob"),
    (re.compile(r"/token"), "token"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request. `kind` is such as `PUT tag`, `GET blob`, `POST mount`; `number` its place among those of its kind."""

    kind: str
    number: int
    path: str
    query: Mapping[str, list[str]]
    authorization: str | None
    length: int


@dataclass(frozen=True, slots=True)
class Answered:
    """What the registry says."""

    status: int
    headers: dict[str, str]
    content: bytes

    def with_headers(self, **headers: str) -> Answered:
        """With these headers instead of its own; `_` stands for `-`."""
        return replace(self, headers=self.headers | {name.replace("_", "-"): text for name, text in headers.items()})

    def with_content(self, content: bytes) -> Answered:
        """With another body, whose length is told."""
        return replace(self, content=content).with_headers(Content_Length=str(len(content)))


@dataclass(frozen=True, slots=True)
class Broken:
    """The connection ends at this stage: by a reset, or `halfway`: no more is sent, while reading goes on."""

    stage: str
    halfway: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The registry is not asked. `early`: it is answered, and hung up, before the body of the request has come."""

    status: int
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    early: bool = False

    @property
    def content(self) -> bytes:
        """A registry's error body; a proxy's page where there is no code."""
        return json.dumps({"errors": [{"code": self.code}]}).encode() if self.code else b"<html>no</html>"


@dataclass(frozen=True, slots=True)
class Changed:
    """The registry has done as asked, and another answer arrives."""

    change: Callable[[Answered], Answered]


@dataclass(frozen=True, slots=True)
class Dripped:
    """The answer comes in pieces of so many bytes, or in `_MOST_PIECES` where those would take too long."""

    piece: int = 1


Fault = Broken | Refused | Changed | Dripped
Strike = Callable[[Asked], Fault | None]


def nothing(asked: Asked) -> Fault | None:
    """All is well."""
    return None


class FaultyServer:
    """Serves `app`, which may be exchanged between runs; `strike` is asked at each request what goes wrong with it."""

    def __init__(
        self, app: WSGIApplication, *, receive_buffer: int | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        handler = type("Handler", (_Handler,), {"faulty": self})
        self.server = open_server(app, handler)
        if receive_buffer is not None:
            self.server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.host = address_of(self.server).removeprefix("http://")
        self.url = f"{'https' if tls else 'http'}://{self.host}"
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.strike: Strike = nothing
        self.seen: list[Asked] = []
        self.struck: list[Asked] = []
        self._numbers: Counter[str] = Counter()
        self._lock = threading.Lock()

    def restart(self, app: WSGIApplication | None = None, strike: Strike = nothing) -> None:
        """Forget what was seen, count anew; serve `app` from now on if it is given."""
        with self._lock:
            self.strike = strike
            self.seen, self.struck = [], []
            self._numbers.clear()
            if app is not None:
                self.server.app = app

    def count(self, kind: str) -> int:
        """How many requests of this kind came."""
        return sum(asked.kind == kind for asked in self.seen)

    def fault_for(self, method: str, environ: Mapping[str, Any]) -> Fault | None:
        """What goes wrong with this request."""
        path, query = environ["PATH_INFO"], parse_qs(environ.get("QUERY_STRING", ""))
        noun = next((noun for pattern, noun in _NOUNS if pattern.fullmatch(path)), "other")
        if noun == "upload" and "from" in query and query["from"][0] not in path:
            noun = "mount"
        kind = f"{method} {noun}"
        with self._lock:
            self._numbers[kind] += 1
            length = int(environ.get("CONTENT_LENGTH") or 0)
            asked = Asked(kind, self._numbers[kind], path, query, environ.get("HTTP_AUTHORIZATION"), length)
            self.seen.append(asked)
            fault = self.strike(asked)
            if fault is not None:
                self.struck.append(asked)
            return fault


@contextmanager
def faulty_server(
    app: WSGIApplication, *, receive_buffer: int | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[FaultyServer]:
    """Serve until the end of the block."""
    faulty = FaultyServer(app, receive_buffer=receive_buffer, tls=tls)
    thread = serve(faulty.server)
    try:
        yield faulty
    finally:
        faulty.server.shutdown()
        faulty.server.server_close()
        thread.join()


class _Handler(KeepAliveHandler):
    faulty: FaultyServer
    timeout = 10  # of a connection that a client has forgotten
    _fault: Fault | None = None

    def run_wsgi(self) -> None:
        environ = self.make_environ()
        fault = self._fault = self.faulty.fault_for(self.command, environ)
        if isinstance(fault, Broken) and fault.stage in (ON_ARRIVAL, IN_REQUEST):
            if fault.stage == IN_REQUEST:
                self.rfile.read(int(self.headers.get("Content-Length") or 0) // 2)
            self._hang_up(fault)
        elif isinstance(fault, Refused):
            if not fault.early:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.close_connection = fault.early or self.close_connection
            headers = {"Content-Length": str(len(fault.content)), "Content-Type": "application/json", **fault.headers}
            content = b"" if self.command == "HEAD" else fault.content
            self.wfile.write(_head(Answered(fault.status, headers, b""), self.close_connection) + content)
        else:
            super().run_wsgi()

    def _send(self, status: str, headers: list[tuple[str, str]], answer: Iterable[bytes], body: Any) -> None:
        fault = self._fault
        try:
            while body.read(65536):
                pass
        except (ClientDisconnected, OSError):
            self.close_connection = True
        answered = Answered(int(status.split(" ")[0]), dict(headers), b"".join(answer))
        if isinstance(fault, Changed):
            answered = fault.change(answered)
        if isinstance(fault, Broken) and fault.stage == BEFORE_ANSWER:
            self._hang_up(fault)
            return
        head = _head(answered, self.close_connection)
        if isinstance(fault, Broken):
            content = answered.content
            self.wfile.write(head + content[: len(content) // 2] if len(content) > 1 else head[: len(head) // 2])
            self._hang_up(fault)
        elif isinstance(fault, Dripped):
            content = head + answered.content
            piece = max(fault.piece, len(content) // _MOST_PIECES)
            for start in range(0, len(content), piece):
                self.wfile.write(content[start : start + piece])
        else:
            self.wfile.write(head + answered.content)

    def _hang_up(self, fault: Broken) -> None:
        self.close_connection = True
        if fault.halfway:
            with suppress(OSError):  # the client has gone already
                self.connection.shutdown(socket.SHUT_WR)
                while self.rfile.read(65536):  # until it has had enough
                    pass
        else:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())  # a `close` would wait for the files that were made of the socket


def _head(answered: Answered, closes: bool) -> bytes:
    lines = [f"HTTP/1.1 {answered.status} Whatever", *(f"{name}: {text}" for name, text in answered.headers.items())]
    if closes:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
