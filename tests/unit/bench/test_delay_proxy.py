"""The benchmark's proxy delays requests, not bytes, and leaves both as they are."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.bench.delay_proxy import delay_proxy


class Echo(BaseHTTPRequestHandler):
    """Answers with the body that it gets, on a connection that stays open."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        if self.headers["Transfer-Encoding"]:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing to anybody."""


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_every_request_waits_once_however_big_and_however_it_is_framed(port: int) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    bodies = [b"", b"small", b"x" * 3_000_000, [b"in ", b"chunks"]]
    with delay_proxy(port, 0.04, sleep) as host:
        connection = http.client.HTTPConnection(host, timeout=10)
        for count, body in enumerate(bodies, 1):
            connection.request("PUT", "/", body, encode_chunked=isinstance(body, list))
            assert connection.getresponse().read() == (body if isinstance(body, bytes) else b"".join(body))
            assert waits == [0.04] * count
        connection.close()


def test_an_attempt_at_tls_is_refused_by_the_server_at_once(port: int) -> None:
    async def sleep(seconds: float) -> None:
        """Not here."""

    with (
        delay_proxy(port, 0.04, sleep) as host,
        socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2])), 10) as client,
    ):
        client.sendall(b"\x16\x03\x01 no HTTP \r\n")
        assert b"400" in client.recv(1000)
