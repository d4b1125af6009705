"""HTTP for the stand-ins: werkzeug's threaded server on loopback, with persistent connections.

Werkzeug closes the connection after every response, because it would take an unread request body for the next request.
This server reads the whole body before it sends the response, so the connection can stay open.
"""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import ClientDisconnected
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from toolkit.sandbox.access_control import Right


LOOPBACK = "127.0.0.1"
_CHUNK = 1 << 20


class SizedBody(io.RawIOBase):
    """A request body of a known length; a read raises ClientDisconnected if the client closed the connection early."""

    def __init__(self, stream: io.BufferedIOBase, length: int) -> None:
        self._stream = stream
        self._left = length

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer`, but read no further than the end of the body."""
        data = self._stream.read(min(len(buffer), self._left))
        if not data and self._left and len(buffer):
            raise ClientDisconnected
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)


class KeepAliveHandler(WSGIRequestHandler):
    """Handles any number of requests on a connection. Applications must set Content-Length with every body."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        """Run the application on one request."""
        self.environ = environ = self.make_environ()
        chunked = bool(environ.get("wsgi.input_terminated"))
        length = environ.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal():
            self.close_connection = True
            self.send_error(400)
            return
        body: io.RawIOBase = environ["wsgi.input"] if chunked else SizedBody(self.rfile, int(length))
        environ["wsgi.input"] = body
        environ["wsgi.input_terminated"] = True
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
            started[:] = [(status, headers)]

        response = self.server.app(environ, start_response)
        try:
            self._send(*started[0], response, body)
        finally:
            close = getattr(response, "close", None)
            if close is not None:
                close()

    def _send(self, status: str, headers: list[tuple[str, str]], response: Iterable[bytes], body: io.RawIOBase) -> None:
        try:
            while body.read(_CHUNK):
                pass
        except (ClientDisconnected, OSError):
            self.close_connection = True
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        for data in response:
            self.wfile.write(data)
        self.wfile.flush()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: the registries have their own access log."""


def open_server(app: WSGIApplication, handler: type[WSGIRequestHandler] = KeepAliveHandler) -> BaseWSGIServer:
    """A server for `app` that is bound to a free port on loopback and does not handle requests yet."""
    return make_server(LOOPBACK, 0, app, threaded=True, request_handler=handler)


def serve(server: BaseWSGIServer) -> threading.Thread:
    """Handle requests from now on, in a thread of its own."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    return thread


def address_of(server: BaseWSGIServer) -> str:
    """The URL of the server's root, without a trailing slash."""
    return f"http://{LOOPBACK}:{server.port}"


class AccessLog:
    """Appends to `file`; thread-safe."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("a", buffering=1)
        self._lock = threading.Lock()

    def registry_request(self, request: Request, response: Response, rights: Iterable[Right] = ()) -> None:
        """Log a request to a registry with the status of its response, and the rights that it needs in AWS."""
        self._write(
            method=request.method,
            path=request.path,
            status=response.status_code,
            bytes=request.content_length or 0,
            agent=request.headers.get("User-Agent", ""),
            **_logged(rights),
        )

    def aws_call(self, action: str, path: str, status: int, rights: Iterable[Right] = ()) -> None:
        """Log a call to AWS with the rights that it needs."""
        self._write(action=action, path=path, status=status, **_logged(rights))

    def _write(self, **fields: object) -> None:
        line = json.dumps({"time": round(time.time(), 3)} | fields)
        with self._lock:
            self._file.write(line + "\n")


def _logged(rights: Iterable[Right]) -> dict[str, object]:
    """`rights` as fields of a line: each is its action, its resource and its condition keys."""
    listed = [[right.action, right.resource, dict(right.context)] for right in rights]
    return {"rights": listed} if listed else {}
