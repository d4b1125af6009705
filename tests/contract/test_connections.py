"""Connections that are kept, against servers that do on a socket what no HTTP library would."""

from __future__ import annotations

import itertools
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from time import sleep

import pytest

from tests.support.certificates import self_signed
from tests.support.clocks import FakeTime
from tests.support.scripted_server import OK, Script, Server, Visit, fine, serving, tunnel_to
from toolkit.oci.connections import Connections
from toolkit.oci.errors import ConnectionFailed
from toolkit.oci.transport import CHUNK_BYTES, Transport

CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# More than what the buffers between the two hold.
LARGE = 32 * 2**20


class Way:
    """Straight to a server, or through a proxy: a plain server is the proxy itself, to one with TLS leads a tunnel."""

    def __init__(self, is_proxied: bool) -> None:
        self.is_proxied = is_proxied
        self.proxies: dict[str, str] = {}

    @contextmanager
    def serving(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
        with ExitStack() as stack:
            server = stack.enter_context(serving(*scripts, tls=tls))
            if self.is_proxied:
                proxy = stack.enter_context(serving(tunnel_to(server))) if tls else server
                scheme = "https" if tls else "http"
                self.proxies[scheme] = proxy.url
                server.url = f"{scheme}://registry.invalid/"
            yield server


@pytest.fixture(params=[False, True], ids=["direct", "proxied"])
def way(request: pytest.FixtureRequest) -> Way:
    return Way(request.param)


def resets_on_the_second(visit: Visit) -> None:
    visit.say(OK)
    visit.sock.recv(1)
    visit.reset()


def silent_on_the_second(visit: Visit) -> None:
    visit.say(OK)
    while visit.sock.recv(1000):
        pass


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def transport(time: FakeTime, way: Way) -> Transport:
    return Transport(read_timeout=5, upload_timeout=10, sleep=time.sleep, clock=time.clock, proxies=way.proxies)


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    context, certificate = self_signed(tmp_path, "IP:127.0.0.1,DNS:registry.invalid")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return context


def keep(transport: Transport, url: str, count: int) -> None:
    """Have that many connections open, and in nobody's use."""
    with ExitStack() as stack:
        streams = [stack.enter_context(transport.open(url, {}))[1] for _ in range(count)]
        assert [b"".join(chunks) for chunks in streams] == [b"fine"] * count


def upload(transport: Transport, url: str, size: int = 4) -> int:
    whole, rest = divmod(size, CHUNK_BYTES)
    chunks = (bytes(length) for length in (*[CHUNK_BYTES] * whole, rest))
    return transport.upload(url, {"Content-Length": str(size)}, chunks).status


# what was kept, and is dead


def test_a_connection_that_was_closed_while_nobody_used_it_is_not_used_again(way: Way, transport: Transport) -> None:
    """Not even to find that out: a stream cannot be sent twice."""
    with way.serving(lambda visit: visit.say(OK), lambda visit: visit.keep_saying(CREATED)) as server:
        keep(transport, server.url, 1)
        assert server.ended[0].wait(10)
        assert upload(transport, server.url) == 201
        assert len(server.visits) == 2


@pytest.mark.parametrize(("seconds", "connections"), [(59, 1), (61, 2)])
def test_a_connection_is_used_again_within_a_minute(
    way: Way, transport: Transport, time: FakeTime, seconds: float, connections: int
) -> None:
    with way.serving(fine) as server:
        keep(transport, server.url, 1)
        time.now += seconds
        assert upload(transport, server.url) == 200
        assert len(server.visits) == connections


def test_a_request_that_meets_a_dead_connection_is_sent_at_once_on_a_new_one(
    way: Way, transport: Transport, time: FakeTime
) -> None:
    with way.serving(*[resets_on_the_second] * 8, fine) as server:
        keep(transport, server.url, 8)
        assert transport.send("GET", server.url, {}).body == b"fine"
        assert transport.send("PUT", server.url, {}, b"body").body == b"fine"
        assert len(server.visits) == 9
    assert time.slept == []


def test_a_stream_that_meets_a_dead_connection_takes_the_others_along(way: Way, transport: Transport) -> None:
    with way.serving(*[resets_on_the_second] * 3, fine) as server:
        keep(transport, server.url, 3)
        with pytest.raises(ConnectionFailed, match="broke"):
            upload(transport, server.url)
        assert upload(transport, server.url) == 200


def test_silence_on_a_kept_connection_costs_one_timeout(way: Way, time: FakeTime) -> None:
    impatient = Transport(read_timeout=0.2, attempts=2, sleep=time.sleep, clock=time.clock, proxies=way.proxies)
    with way.serving(*[silent_on_the_second] * 4, fine) as server:
        keep(impatient, server.url, 4)
        assert impatient.send("GET", server.url, {}).body == b"fine"
    assert len(time.slept) == 1


# answers of every shape


def test_a_chunked_answer_is_read_to_its_end(way: Way, transport: Transport) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n2;x=y\r\nne\r\n0\r\nTrailer: x\r\n\r\n"
    with way.serving(lambda visit: visit.keep_saying(chunked)) as server:
        assert transport.send("GET", server.url, {}).body == b"fine"
        keep(transport, server.url, 1)
        assert len(server.visits) == 1


def test_what_comes_before_an_answer_is_not_the_answer(way: Way, transport: Transport) -> None:
    before = (
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
    )
    with way.serving(lambda visit: visit.say(before + OK, OK.replace(b"fine", b"next"))) as server:
        assert transport.send("GET", server.url, {}).body == b"fine"
        assert transport.send("GET", server.url, {}).body == b"next"
        assert len(server.visits) == 1


@pytest.mark.parametrize("says", ["Transfer-Encoding: chunked", "Content-Length: 9", "X: y"])
@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_is_not_waited_for(way: Way, time: FakeTime, status: int, says: str) -> None:
    once = Transport(read_timeout=2, attempts=1, sleep=time.sleep, proxies=way.proxies)
    with way.serving(
        lambda visit: visit.say(f"HTTP/1.1 {status} Whatever\r\n{says}\r\n\r\n".encode(), OK), fine
    ) as server:
        answer = once.send("GET", server.url, {})
        assert (answer.status, answer.body) == (status, b"")
        assert once.send("GET", server.url, {}).body == b"fine"


def test_what_should_be_no_body_is_not_taken_for_the_next_answer(way: Way, transport: Transport) -> None:
    odd = b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"
    with way.serving(lambda visit: visit.say(odd, b"0\r\n\r\n" + OK), fine) as server:
        assert transport.send("DELETE", server.url, {}).status == 204
        assert upload(transport, server.url) == 200


@pytest.mark.parametrize("says", ["Transfer-Encoding: chunked", "Content-Length: 99"])
def test_the_answer_to_a_head_has_no_body(way: Way, transport: Transport, says: str) -> None:
    with way.serving(lambda visit: visit.say(f"HTTP/1.1 200 OK\r\n{says}\r\n\r\n".encode(), OK)) as server:
        assert transport.send("HEAD", server.url, {}).body == b""
        assert transport.send("GET", server.url, {}).body == b"fine"
        assert len(server.visits) == 1


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", OK),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nfine"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nfine"),
    ],
    ids=["HEAD", "204", "304"],
)
def test_a_body_where_none_belongs_is_not_taken_for_the_next_answer(
    way: Way, transport: Transport, time: FakeTime, method: str, answer: bytes
) -> None:
    with way.serving(lambda visit: visit.say(answer, OK.replace(b"fine", b"next")), fine) as server:
        assert transport.send(method, server.url, {}).body == b""
        assert transport.send("GET", server.url, {}).body in (b"next", b"fine")
    assert time.slept == []


@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("size", [4, 2 * 8192 - 42, 3 * 8192 - 42])
def test_more_than_was_promised_is_not_taken_for_the_next_answer(
    way: Way, transport: Transport, tls: ssl.SSLContext, is_secure: bool, size: int
) -> None:
    """A smuggled answer, which lies there before its request is sent: read already, or decrypted, or on the line."""
    body = b"f" * size
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %05d\r\n\r\n%s" % (size, body)
    smuggled = OK.replace(b"fine", b"evil")
    with way.serving(lambda visit: visit.say(answer + smuggled, OK), fine, tls=tls if is_secure else None) as server:
        assert transport.send("GET", server.url, {}).body == body
        sleep(0.2)  # it may be a TLS record of its own, which the proxy forwards a moment later
        assert transport.send("GET", server.url, {}).body == b"fine"
        assert transport.send("GET", server.url, {}).body == b"fine"


@pytest.mark.parametrize(
    "answer",
    [
        b"what?\r\n\r\n",
        OK.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n"),
        OK[:-2],
    ],
    ids=["no HTTP", "two lengths", "cut"],
)
def test_what_cannot_be_an_answer_is_a_broken_connection(way: Way, time: FakeTime, answer: bytes) -> None:
    once = Transport(read_timeout=2, attempts=1, sleep=time.sleep, proxies=way.proxies)
    with way.serving(lambda visit: visit.say(answer), fine) as server:
        with pytest.raises(ConnectionFailed, match="broke"):
            once.send("GET", server.url, {})
        assert once.send("GET", server.url, {}).body == b"fine"


ENDLESS_HEADS = {
    "fields": (b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 60_000 + b"\r\n"),
    "interim": (b"", CONTINUE),
    "line": (b"HTTP/1.1 200 ", b"O" * 65_536),
    "trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 1000),
}


@pytest.mark.parametrize("shape", ENDLESS_HEADS)
def test_a_head_without_end_is_given_up(way: Way, time: FakeTime, shape: str) -> None:
    start, repeated = ENDLESS_HEADS[shape]

    def go_on(visit: Visit) -> None:
        visit.hear()
        visit.sock.sendall(start)
        while True:
            visit.sock.sendall(repeated)

    once = Transport(read_timeout=2, attempts=1, sleep=time.sleep, proxies=way.proxies)
    with way.serving(go_on, fine) as server:
        with pytest.raises(ConnectionFailed, match="broke"):
            once.send("GET", server.url, {})
        assert once.send("GET", server.url, {}).body == b"fine"


def test_a_chunk_of_a_negative_size_is_not_read_for_ever(way: Way, time: FakeTime) -> None:
    def go_on(visit: Visit) -> None:
        visit.hear()
        visit.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n")
        while True:
            visit.sock.sendall(bytes(65536))

    once = Transport(read_timeout=2, attempts=1, sleep=time.sleep, proxies=way.proxies)
    with way.serving(go_on, fine) as server:
        with pytest.raises(ConnectionFailed, match="broke"):
            once.send("GET", server.url, {})
        assert once.send("GET", server.url, {}).body == b"fine"


def test_a_header_that_is_too_long_is_refused_once(way: Way, transport: Transport, time: FakeTime) -> None:
    long = OK.replace(b"\r\n\r\n", b"\r\nLink: " + b" <" * 8193 + b"\r\n\r\n")
    with way.serving(lambda visit: visit.keep_saying(long), fine) as server:
        with pytest.raises(ConnectionFailed, match="a header `Link` of more than 16384 bytes") as caught:
            transport.send("GET", server.url, {})
        assert transport.send("GET", server.url, {}).body == b"fine"
    assert (caught.value.code, time.slept) == ("oci.header_too_long", [])


@pytest.mark.parametrize("part", ["head", "body", "chunk size"])
def test_a_response_that_trickles_is_given_up(way: Way, time: FakeTime, part: str) -> None:
    """The clock tells a client that each of its waits took an hour."""
    sent = {
        "head": OK,
        "body": OK,
        "chunk size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;" + b"x" * 9 + b"\r\nfine\r\n0\r\n\r\n",
    }[part]
    at_once = 0 if part == "head" else sent.index(b"\r\n\r\n") + 4

    def trickle(visit: Visit) -> None:
        visit.hear()
        visit.sock.sendall(sent[:at_once])
        for position in range(at_once, len(sent)):
            visit.sock.sendall(sent[position : position + 1])
            threading.Event().wait(0.01)

    hours = itertools.count(step=3600.0)
    once = Transport(attempts=1, sleep=time.sleep, clock=lambda: next(hours), proxies=way.proxies)
    with way.serving(trickle) as server, pytest.raises(ConnectionFailed, match="did not respond in time"):
        once.send("GET", server.url, {})


# as many connections as there is work for


def test_no_more_connections_are_opened_than_requests_run_at_a_time(way: Way, transport: Transport) -> None:
    together = threading.Barrier(8)

    def ask() -> None:
        for _ in range(5):
            together.wait(10)
            with transport.open(server.url, {}) as (_, chunks):
                together.wait(10)
                assert b"".join(chunks) == b"fine"

    with way.serving(fine) as server:
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.visits) == 8


def test_a_request_waits_for_a_connection_while_the_host_has_enough(way: Way) -> None:
    connections = Connections(most=2, connect_timeout=5, upload_timeout=5, proxies=way.proxies)
    bodies: list[bytes] = []

    def ask() -> None:
        response = connections.request("GET", server.url, {}, None, 5)
        bodies.append(response.read(99))
        response.close()

    with way.serving(fine) as server:
        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.visits) <= 2
    assert bodies == [b"fine"] * 12


# answers that come too early


REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"


@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("hangs_up", [False, True], ids=["stays", "hangs up"])
def test_an_answer_is_heard_though_the_server_reads_no_further(
    way: Way, transport: Transport, time: FakeTime, tls: ssl.SSLContext, is_secure: bool, hangs_up: bool
) -> None:
    over = threading.Event()

    def refuse(visit: Visit) -> None:
        visit.say(OK)
        visit.hear(body=False)
        visit.sock.sendall(REFUSED)
        if not hangs_up:
            over.wait(60)

    with way.serving(refuse, fine, tls=tls if is_secure else None) as server:
        keep(transport, server.url, 1)
        try:
            assert upload(transport, server.url, LARGE) == 401
            assert transport.send("GET", server.url, {}).body == b"fine"
        finally:
            over.set()
    assert time.slept == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("hangs_up", [False, True], ids=["stays", "hangs up"])
def test_an_early_answer_on_a_new_secure_connection_is_heard(
    way: Way, transport: Transport, tls: ssl.SSLContext, version: ssl.TLSVersion, hangs_up: bool
) -> None:
    tls.maximum_version = version
    over = threading.Event()

    def refuse(visit: Visit) -> None:
        visit.hear(body=False)
        visit.sock.sendall(REFUSED)
        if not hangs_up:
            over.wait(60)

    with way.serving(refuse, tls=tls) as server:
        try:
            assert upload(transport, server.url, LARGE) == 401
        finally:
            over.set()


@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("says", [b"", CONTINUE, CONTINUE * 2], ids=["silent", "100", "100 twice"])
def test_a_server_that_reads_slowly_gets_all_of_a_body(
    way: Way, transport: Transport, tls: ssl.SSLContext, is_secure: bool, says: bytes
) -> None:
    """Longer than a stall lasts; a session's ticket, which lies there unread, is no answer, and no more is a 1xx."""

    def read_late(visit: Visit) -> None:
        visit.hear(body=False)
        visit.sock.sendall(says)
        threading.Event().wait(1.5)
        visit.file.read(LARGE)
        visit.sock.sendall(CREATED)

    with way.serving(read_late, tls=tls if is_secure else None) as server:
        assert upload(transport, server.url, LARGE) == 201


@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "TLS"])
def test_an_early_answer_is_heard_after_what_came_before_it(
    way: Way, transport: Transport, tls: ssl.SSLContext, is_secure: bool
) -> None:
    over = threading.Event()

    def refuse(visit: Visit) -> None:
        visit.hear(body=False)
        visit.sock.sendall(CONTINUE + REFUSED)
        over.wait(60)

    with way.serving(refuse, tls=tls if is_secure else None) as server:
        try:
            assert upload(transport, server.url, LARGE) == 401
        finally:
            over.set()


# the way there


def test_an_ipv6_address_is_named_in_brackets(transport: Transport) -> None:
    try:
        server = Server((fine,), socket.AF_INET6)
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with closing(server):
        assert transport.send("GET", server.url, {}).body == b"fine"
        assert f"Host: {server.host}\r\n" in server.heads[0]


def test_a_tunnel_carries_every_request_and_no_credential_for_the_registry(tls: ssl.SSLContext) -> None:
    with serving(fine, tls=tls) as registry, serving(tunnel_to(registry)) as proxy:
        through = Transport(proxies={"https": f"http://me:secret@{proxy.host}"})
        for _ in range(3):
            answer = through.send("GET", "https://registry.invalid/v2/", {"Authorization": "Bearer hunter2"})
            assert answer.body == b"fine"

        (head,) = proxy.heads
        assert head.startswith("CONNECT registry.invalid:443 ")
        assert "hunter2" not in head
        assert "proxy-authorization: Basic" in head
        assert [("hunter2" in head, "secret" in head) for head in registry.heads] == [(True, False)] * 3


def test_a_proxy_may_be_reached_over_tls(tls: ssl.SSLContext) -> None:
    def store(visit: Visit) -> None:
        visit.keep_saying(CREATED)

    with serving(store, tls=tls) as registry, serving(tunnel_to(registry), tls=tls) as proxy:
        through = Transport(proxies={"https": f"https://{proxy.host}", "http": f"https://{proxy.host}"})
        for _ in range(2):
            assert upload(through, "https://registry.invalid/", LARGE) == 201
            assert through.send("HEAD", "https://registry.invalid/", {}).status == 201
        assert len(registry.visits) == 1


def test_dead_connections_to_a_proxy_cost_no_attempt(time: FakeTime) -> None:
    with serving(*[resets_on_the_second] * 3, fine) as proxy:
        through = Transport(proxies={"http": f"http://{proxy.host}"}, sleep=time.sleep)
        keep(through, "http://registry.invalid/", 3)
        assert through.send("GET", "http://registry.invalid/", {}).body == b"fine"
    assert time.slept == []


def test_a_host_that_is_not_there_is_given_up_soon_by_an_upload_too() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as stack:
        for _ in range(2):  # nobody accepts them, and there is no place for more
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        failures: list[ConnectionFailed] = []

        def try_it() -> None:
            try:
                upload(Transport(connect_timeout=0.1, proxies={}), f"http://127.0.0.1:{full.getsockname()[1]}/")
            except ConnectionFailed as failure:
                failures.append(failure)

        trying = threading.Thread(target=try_it, daemon=True)
        trying.start()
        trying.join(10)
        assert [failure.reason for failure in failures] == ["timed out"]


def test_failures_leave_no_file_open(way: Way, time: FakeTime) -> None:
    def cut(visit: Visit) -> None:
        visit.hear()
        visit.sock.sendall(OK[:-2])

    def reset(visit: Visit) -> None:
        visit.sock.recv(1)
        visit.reset()

    impatient = Transport(
        connect_timeout=0.1, read_timeout=0.1, upload_timeout=0.1, attempts=2, sleep=time.sleep, proxies=way.proxies
    )
    before = open_files()
    for script in (cut, reset, silent_on_the_second, resets_on_the_second, lambda visit: visit.say(b"what?\r\n\r\n")):
        with way.serving(script) as server:
            for _ in range(2):
                with suppress(ConnectionFailed, AssertionError):
                    keep(impatient, server.url, 2)
                with suppress(ConnectionFailed):
                    impatient.send("GET", server.url, {})
                with suppress(ConnectionFailed):
                    upload(impatient, server.url, LARGE)
                with suppress(ConnectionFailed):
                    impatient.send("GET", server.url.replace("http", "https"), {})
    assert open_files() <= before  # some of which may be left of other tests, and close only now


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
