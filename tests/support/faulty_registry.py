"""An HTTP server on loopback that answers as a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True)
class Seen:
    """A request; header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def authorization(self) -> str | None:
        return self.headers.get("authorization")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `sends` cuts the body off after so many bytes; `drops` hangs up without a word."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    sends: int | None = None
    drops: bool = False


Answering = Reply | Callable[[Seen], Reply]


def refused(status: int, code: str, message: str = "", headers: Mapping[str, str] | None = None) -> Reply:
    """A registry's error with its JSON body."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return Reply(status, {"Content-Type": "application/json", **(headers or {})}, body)


def as_json(value: object) -> Reply:
    return Reply(200, {"Content-Type": "application/json"}, json.dumps(value).encode())


class FaultyRegistry:
    """Answers per method and path are given out in turn, and the last one again and again.

    With `is_proxied` its addresses are reached by `proxies` only, which name the server itself.
    """

    def __init__(self, port: int, is_proxied: bool) -> None:
        self.host = f"registry.invalid:{port}" if is_proxied else f"127.0.0.1:{port}"
        self.url = f"http://{self.host}"
        # The same server under a name that is another host.
        self.foreign_url = f"http://{'elsewhere.invalid' if is_proxied else 'localhost'}:{port}"
        self.proxies = {"http": f"http://127.0.0.1:{port}"} if is_proxied else {}
        self.seen: list[Seen] = []
        self._lock = threading.Lock()
        self._replies: dict[tuple[str, str], list[Answering]] = {}

    def on(self, method: str, path: str, *replies: Answering) -> None:
        """From now on answer `method` on `path` (without its query) with `replies`."""
        with self._lock:
            self._replies[method, path] = list(replies)

    def asked(self, method: str, path: str) -> list[Seen]:
        return [seen for seen in self.seen if (seen.method, seen.path) == (method, path)]

    def answer(self, seen: Seen) -> Reply:
        with self._lock:
            self.seen.append(seen)
            replies = self._replies.get((seen.method, seen.path)) or [refused(404, "NOT_SCRIPTED", seen.path)]
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
        return reply(seen) if callable(reply) else reply


@contextmanager
def faulty_registry(*, is_proxied: bool = False) -> Iterator[FaultyRegistry]:
    """Serve until the end of the block."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    registry = FaultyRegistry(server.server_address[1], is_proxied)
    server.registry = registry  # type: ignore[attr-defined]  # the way to hand it to the handlers
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the play; anything else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # the base class's own types


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 10

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.registry.answer(Seen(self.command, parts.path, parse_qs(parts.query), headers, body))
        if reply.drops:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body if reply.sends is None else reply.body[: reply.sends])
            self.close_connection = reply.sends is not None

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

    def log_message(self, *args: object) -> None:
        """The log is `seen`."""
