"""The transport against a server that misbehaves on purpose."""

from __future__ import annotations

import gzip
import logging
import os
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.certificates import self_signed
from tests.support.clocks import FakeTime
from tests.support.faulty_registry import FaultyRegistry, Reply, Seen, faulty_registry, refused
from toolkit.oci.errors import ConnectionFailed
from toolkit.oci.transport import CHUNK_BYTES, Transport

OK = Reply(200, {}, b"fine")
BUSY = Reply(503)


@pytest.fixture(params=[False, True], ids=["direct", "proxied"])
def server(request: pytest.FixtureRequest) -> Iterator[FaultyRegistry]:
    with faulty_registry(is_proxied=request.param) as running:
        yield running


class Retries:
    def __init__(self) -> None:
        self.told: list[tuple[str, str, int, float]] = []

    def __call__(self, host: str, reason: str, attempt: int, seconds: float) -> None:
        self.told.append((host, reason, attempt, seconds))


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def retries() -> Retries:
    return Retries()


@pytest.fixture
def transport(server: FaultyRegistry, time: FakeTime, retries: Retries) -> Transport:
    return Transport(
        read_timeout=2,
        sleep=time.sleep,
        clock=time.clock,
        wall_clock=time.clock,
        random=lambda: 1.0,
        on_retry=retries,
        user_agent="tests",
        proxies=server.proxies,
    )


def test_every_request_says_who_asks(server: FaultyRegistry) -> None:
    server.on("GET", "/x", OK)

    Transport(proxies=server.proxies).send("GET", f"{server.url}/x", {})

    assert server.seen[0].headers["user-agent"].startswith("base-image-toolkit")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_refusal_is_asked_again_with_growing_pauses(
    server: FaultyRegistry, transport: Transport, time: FakeTime, retries: Retries, status: int
) -> None:
    server.on("GET", "/x", Reply(status), Reply(status), OK)

    assert transport.send("GET", f"{server.url}/x", {}).body == b"fine"

    assert len(server.seen) == 3
    assert [round(seconds) for seconds in time.slept] == [1, 2]
    assert [(host, attempt) for host, _, attempt, _ in retries.told] == [(server.host, 1), (server.host, 2)]
    assert str(status) in retries.told[0][1]


def test_pauses_are_jittered_down_to_nothing_and_never_longer_than_the_longest(server: FaultyRegistry) -> None:
    for share, expected in ((0.0, [0.0] * 3), (1.0, [1.0, 2.0, 2.5])):
        time = FakeTime()
        server.on("GET", "/x", BUSY, BUSY, BUSY, OK)
        Transport(
            sleep=time.sleep,
            clock=time.clock,
            random=lambda share=share: share,
            longest_pause=2.5,
            proxies=server.proxies,
        ).send("GET", f"{server.url}/x", {})
        assert time.slept == expected


def test_the_last_refusal_is_the_answer(server: FaultyRegistry, transport: Transport) -> None:
    server.on("GET", "/x", BUSY)

    assert transport.send("GET", f"{server.url}/x", {}).status == 503
    assert len(server.seen) == 6


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 416, 501])
def test_a_lasting_refusal_is_not_asked_again(server: FaultyRegistry, transport: Transport, status: int) -> None:
    server.on("GET", "/x", refused(status, "NO"))

    assert transport.send("GET", f"{server.url}/x", {}).status == status
    assert len(server.seen) == 1


@pytest.mark.parametrize("in_words", [False, True])
def test_retry_after_is_obeyed_in_both_of_its_forms(
    server: FaultyRegistry, transport: Transport, time: FakeTime, in_words: bool
) -> None:
    text = formatdate(time.now + 7, usegmt=True) if in_words else "7"
    server.on("GET", "/x", Reply(503, {"Retry-After": text}), OK)

    transport.send("GET", f"{server.url}/x", {})

    assert time.slept == pytest.approx([7.7])  # with a tenth of jitter on top


@pytest.mark.parametrize(
    ("text", "slept"),
    [("86400", 66.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 1.0), ("0", 1.0), ("soon", 1.0), ("-5", 1.0)],
)
def test_a_retry_after_of_no_use_is_capped_or_replaced(
    server: FaultyRegistry, transport: Transport, time: FakeTime, text: str, slept: float
) -> None:
    server.on("GET", "/x", Reply(503, {"Retry-After": text}), OK)

    transport.send("GET", f"{server.url}/x", {})

    assert time.slept == pytest.approx([slept])


@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_that_says_how_long_pauses_every_request_to_that_host_and_no_other(
    server: FaultyRegistry, transport: Transport, time: FakeTime, status: int
) -> None:
    server.on("PUT", "/upload", Reply(status, {"Retry-After": "9"}))
    server.on("GET", "/x", OK)

    transport.upload(f"{server.url}/upload", {"Content-Length": "0"}, [])
    transport.send("GET", f"{server.foreign_url}/x", {})
    assert time.slept == []
    transport.send("GET", f"{server.url}/x", {})

    assert time.slept == pytest.approx([9.9])  # with a tenth of jitter on top


def test_the_last_refusal_pauses_the_next_request_too(server: FaultyRegistry, time: FakeTime) -> None:
    once = Transport(sleep=time.sleep, clock=time.clock, attempts=1, random=lambda: 0.0, proxies=server.proxies)
    server.on("GET", "/x", Reply(503, {"Retry-After": "9"}), OK)

    assert [once.send("GET", f"{server.url}/x", {}).status for _ in range(2)] == [503, 200]
    assert time.slept == [9.0]


@pytest.mark.parametrize("status", [429, 503])
def test_a_request_that_comes_while_another_waits_waits_too(server: FaultyRegistry, status: int) -> None:
    time = FakeTime()
    waiting: list[float] = []

    def sleep(seconds: float) -> None:
        waiting.append(seconds)
        if len(waiting) == 1:
            transport.send("GET", f"{server.url}/other", {})
        time.sleep(seconds)

    transport = Transport(sleep=sleep, clock=time.clock, random=lambda: 0.0, proxies=server.proxies)
    server.on("GET", "/x", Reply(status, {"Retry-After": "9"}), OK)
    server.on("GET", "/other", OK)

    transport.send("GET", f"{server.url}/x", {})

    assert waiting == [9.0, 9.0]


def test_a_pause_that_is_made_longer_while_a_request_waits_is_waited_for_to_its_end(server: FaultyRegistry) -> None:
    time = FakeTime()
    waiting: list[float] = []

    def sleep(seconds: float) -> None:
        waiting.append(seconds)
        time.sleep(seconds)
        if len(waiting) == 1:
            transport.upload(f"{server.url}/upload", {"Content-Length": "0"}, [])

    transport = Transport(sleep=sleep, clock=time.clock, random=lambda: 0.0, proxies=server.proxies)
    server.on("GET", "/x", Reply(429, {"Retry-After": "9"}), OK)
    server.on("PUT", "/upload", Reply(429, {"Retry-After": "30"}))

    transport.send("GET", f"{server.url}/x", {})

    assert waiting == [9.0, 30.0]


def refuse_once_and_count(server: FaultyRegistry, method: str) -> Callable[[], int]:
    """A 429, and good answers that come when nobody else has asked for a while; how many were asked for at a time."""
    numbers: list[int] = []
    changed = threading.Condition()
    running = 0

    def answer(seen: Seen) -> Reply:
        nonlocal running
        with changed:
            running += 1
            numbers.append(running)
            changed.notify_all()
            changed.wait_for(lambda: running == 8, timeout=0.2)
            running -= 1
        return OK

    server.on(method, "/x", Reply(429), answer)
    return lambda: max(numbers)


@pytest.mark.parametrize("kind", ["read", "write", "stream"])
def test_after_a_429_a_host_is_asked_for_half_as_much_at_a_time(
    server: FaultyRegistry, time: FakeTime, kind: str
) -> None:
    transport = Transport(pool_size=8, sleep=time.sleep, clock=time.clock, proxies=server.proxies)
    most = refuse_once_and_count(server, "PUT" if kind == "write" else "GET")

    def ask() -> None:
        if kind == "stream":
            with transport.open(f"{server.url}/x", {}) as (_, chunks):
                assert b"".join(chunks) == b"fine"
        else:
            transport.send("PUT" if kind == "write" else "GET", f"{server.url}/x", {})

    ask()
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most() in (4, 5)  # which grows with good answers


def test_a_small_read_does_not_wait_for_a_stream(server: FaultyRegistry) -> None:
    transport = Transport(pool_size=1, proxies=server.proxies)
    server.on("GET", "/blob", OK)
    server.on("GET", "/x", OK)

    with transport.open(f"{server.url}/blob", {}) as (_, chunks):
        reading = threading.Thread(target=transport.send, args=("GET", f"{server.url}/x", {}), daemon=True)
        reading.start()
        reading.join(10)
        assert not reading.is_alive()
        assert b"".join(chunks) == b"fine"


def test_the_pull_limit_is_answered_at_once(server: FaultyRegistry, transport: Transport, time: FakeTime) -> None:
    server.on("GET", "/x", refused(429, "TOOMANYREQUESTS", "You have reached your pull rate limit."), OK)

    assert transport.send("GET", f"{server.url}/x", {}).status == 429
    assert time.slept == []


def test_a_hang_up_is_asked_again(server: FaultyRegistry, transport: Transport, retries: Retries) -> None:
    server.on("POST", "/x", Reply(drops=True), Reply(200, {}, b"0123456789", sends=3), OK)

    assert transport.send("POST", f"{server.url}/x", {}, b"again").body == b"fine"
    assert [seen.body for seen in server.seen] == [b"again"] * 3
    assert [reason for _, reason, _, _ in retries.told] == ["connection broke"] * 2


def test_silence_is_given_up_after_the_timeout(time: FakeTime) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        host = f"127.0.0.1:{mute.getsockname()[1]}"
        impatient = Transport(read_timeout=0.1, attempts=2, sleep=time.sleep, proxies={})
        with pytest.raises(ConnectionFailed, match="did not respond in time") as caught:
            impatient.send("GET", f"http://{host}/x?token=hunter2", {})

    assert caught.value.is_temporary
    assert "hunter2" not in str(caught.value)
    assert len(time.slept) == 1


def test_a_closed_port_is_named(time: FakeTime) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        host = f"127.0.0.1:{closing.getsockname()[1]}"

    with pytest.raises(ConnectionFailed, match=f"no connection to `{host}`: Connection refused"):
        Transport(attempts=1, sleep=time.sleep, proxies={}).send("GET", f"http://{host}/", {})


def test_a_long_list_does_not_wait_for_a_lost_host_again_and_again(time: FakeTime) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        host = f"127.0.0.1:{closing.getsockname()[1]}"
    transport = Transport(sleep=time.sleep, clock=time.clock, random=lambda: 1.0, proxies={})
    began, messages = time.now, []
    for _ in range(2500):
        with pytest.raises(ConnectionFailed) as caught:
            transport.send("HEAD", f"http://{host}/", {})
        messages.append(str(caught.value))

    assert 120 < time.now - began < 150
    assert sum("Connection refused" in message for message in messages) < 10
    assert f"`{host}` has not answered for" in messages[-1]


def test_a_lost_host_that_comes_back_is_asked_as_before(server: FaultyRegistry, time: FakeTime) -> None:
    server.on("GET", "/x", *[Reply(drops=True)] * 6, OK)
    slow = Transport(attempts=5, sleep=time.sleep, clock=time.clock, random=lambda: 1.0, proxies=server.proxies)
    with pytest.raises(ConnectionFailed):
        slow.send("GET", f"{server.url}/x", {})
    time.now += 121
    for _ in range(3):  # one of them is sent
        with pytest.raises(ConnectionFailed):
            slow.send("GET", f"{server.url}/x", {})
    assert len(server.seen) == 6
    time.now += 11

    assert slow.send("GET", f"{server.url}/x", {}).body == b"fine"
    assert slow.send("GET", f"{server.url}/x", {}).body == b"fine"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_credentials_do_not_follow_to_another_host(server: FaultyRegistry, transport: Transport, status: int) -> None:
    server.on("GET", "/x", Reply(status, {"Location": f"{server.foreign_url}/y?sig=1"}))
    server.on("GET", "/y", OK)

    answer = transport.send("GET", f"{server.url}/x", {"Authorization": "Bearer hunter2", "Accept": "a/b"})

    first, second = server.seen
    assert (first.authorization, second.authorization) == ("Bearer hunter2", None)
    assert second.headers["accept"] == "a/b"
    assert answer.body == b"fine"


# A registry behind a proxy is elsewhere, and must not name a port of this machine.
@pytest.mark.parametrize("server", [False], indirect=True, ids=["direct"])
def test_credentials_do_not_follow_to_another_port(server: FaultyRegistry, transport: Transport) -> None:
    with faulty_registry() as other:
        server.on("HEAD", "/x", Reply(307, {"Location": f"{other.url}/y"}))
        other.on("HEAD", "/y", Reply(200))
        transport.send("HEAD", f"{server.url}/x", {"authorization": "Basic hunter2"})

        assert other.seen[0].authorization is None


def test_credentials_stay_on_the_same_host_and_never_come_back(server: FaultyRegistry, transport: Transport) -> None:
    server.on("GET", "/a", Reply(307, {"Location": "/b"}))
    server.on("GET", "/b", Reply(307, {"Location": f"{server.foreign_url}/c"}))
    server.on("GET", "/c", Reply(307, {"Location": f"{server.url}/d"}))
    server.on("GET", "/d", OK)

    transport.send("GET", f"{server.url}/a", {"Authorization": "x"})

    assert [seen.authorization for seen in server.seen] == ["x", "x", None, None]


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/x", "file:///etc/passwd", "http://["])
def test_a_redirect_to_nowhere_is_refused(server: FaultyRegistry, transport: Transport, location: str) -> None:
    server.on("GET", "/x", Reply(302, {"Location": location}))

    with pytest.raises(ConnectionFailed) as caught:
        transport.send("GET", f"{server.url}/x", {})

    assert not caught.value.is_temporary


def test_redirects_end(server: FaultyRegistry, transport: Transport) -> None:
    server.on("GET", "/x", Reply(302, {"Location": "/x"}))

    with pytest.raises(ConnectionFailed, match="without end"):
        transport.send("GET", f"{server.url}/x", {})

    assert len(server.seen) == 6


@pytest.mark.parametrize("status", [307, 308])
def test_a_write_follows_a_redirect_with_its_body_and_without_its_credential(
    server: FaultyRegistry, transport: Transport, status: int
) -> None:
    server.on("PUT", "/x", Reply(status, {"Location": f"{server.foreign_url}/y"}))
    server.on("PUT", "/y", Reply(201))

    response = transport.send("PUT", f"{server.url}/x", {"Authorization": "Bearer hunter2"}, b"body")

    assert (response.status, response.url) == (201, f"{server.foreign_url}/y")
    assert [(seen.body, seen.authorization) for seen in server.seen] == [(b"body", "Bearer hunter2"), (b"body", None)]


def test_what_is_secret_or_a_stream_is_not_redirected(server: FaultyRegistry, transport: Transport) -> None:
    server.on("PUT", "/x", Reply(307, {"Location": "/y"}))

    assert transport.send("PUT", f"{server.url}/x", {}, b"refresh_token=hunter2", follows=False).status == 307
    assert transport.upload(f"{server.url}/x", {"Content-Length": "4"}, [b"body"]).status == 307
    assert len(server.seen) == 2


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_would_make_a_get_of_a_write_is_not_followed(
    server: FaultyRegistry, transport: Transport, status: int
) -> None:
    server.on("POST", "/x", Reply(status, {"Location": "/y"}))

    assert transport.send("POST", f"{server.url}/x", {}).status == status
    assert len(server.seen) == 1


def test_a_streamed_body_comes_in_chunks_as_it_was_sent(server: FaultyRegistry, transport: Transport) -> None:
    packed = gzip.compress(os.urandom(3 * CHUNK_BYTES))
    server.on("GET", "/x", BUSY, Reply(200, {"Content-Encoding": "gzip"}, packed))

    with transport.open(f"{server.url}/x", {}) as (answer, chunks):
        received = list(chunks)

    assert answer.status == 200
    assert b"".join(received) == packed
    assert max(map(len, received)) <= CHUNK_BYTES


def test_a_stream_that_is_cut_is_an_error_of_the_source_host(server: FaultyRegistry, transport: Transport) -> None:
    server.on("GET", "/x", Reply(200, {}, b"x" * 1000, sends=600))

    received = []
    with pytest.raises(ConnectionFailed, match="broke") as caught, transport.open(f"{server.url}/x", {}) as (_, chunks):
        received.extend(chunks)

    assert received == [b"x" * 600]
    assert caught.value.host == server.host
    assert caught.value.is_temporary
    assert len(server.seen) == 1


def test_headers_of_one_name_are_one_line(transport: Transport) -> None:
    class Repeating(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            for value in ("Basic", "Bearer"):
                self.send_header("WWW-Authenticate", value)
                self.send_header("x-say", value)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Repeating) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        answer = transport.send("GET", f"http://127.0.0.1:{server.server_address[1]}/", {})

    assert (answer.headers.get("X-Say"), answer.headers.get("None")) == ("Basic, Bearer", None)
    assert answer.challenges == ("Basic", "Bearer")


def test_a_document_that_is_cut_is_asked_for_again(server: FaultyRegistry, transport: Transport) -> None:
    server.on("GET", "/x", Reply(200, {}, b"fine", sends=2), OK)

    assert transport.send("GET", f"{server.url}/x", {}).body == b"fine"


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("", bytes)])
def test_a_document_that_comes_packed_unasked_is_unpacked(
    server: FaultyRegistry, transport: Transport, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    server.on("GET", "/x", Reply(200, {"Content-Encoding": encoding}, pack(b"fine" * 99)))

    assert transport.send("GET", f"{server.url}/x", {}).body == b"fine" * 99
    assert server.seen[0].headers["accept-encoding"] == "identity"


def test_a_packed_document_is_not_too_long(server: FaultyRegistry, transport: Transport) -> None:
    packed = {"Content-Encoding": "gzip"}
    server.on("GET", "/bomb", Reply(200, packed, gzip.compress(bytes(8 * 1024 * 1024 + 1))))

    with pytest.raises(ConnectionFailed, match="more than"):
        transport.send("GET", f"{server.url}/bomb", {})


def test_an_address_is_encoded_where_it_is_not(server: FaultyRegistry, transport: Transport) -> None:
    for asked in ("/a b/ü", "/a%20b/%C3%BC", "/?x=a b"):
        transport.send("GET", f"{server.url}{asked}", {})

    assert [(seen.path, dict(seen.query)) for seen in server.seen] == [
        ("/a%20b/%C3%BC", {}),
        ("/a%20b/%C3%BC", {}),
        ("/", {"x": ["a b"]}),
    ]


@pytest.mark.parametrize("name", ["a" * 64, "ü" * 64, "a..b"])
def test_a_name_that_can_be_no_host_is_not_asked_again(time: FakeTime, name: str) -> None:
    with pytest.raises(ConnectionFailed, match="no host that can be reached"):
        Transport(sleep=time.sleep, proxies={}).send("GET", f"http://{name}.test/", {})
    assert time.slept == []


def test_a_stream_left_early_spoils_nothing(server: FaultyRegistry, transport: Transport) -> None:
    server.on("GET", "/big", Reply(200, {}, b"x" * (8 * CHUNK_BYTES)))
    server.on("GET", "/x", OK)

    for _ in range(3):
        with transport.open(f"{server.url}/big", {}) as (_, chunks):
            next(chunks)
        assert transport.send("GET", f"{server.url}/x", {}).body == b"fine"


def test_a_refused_stream_has_the_registrys_words(server: FaultyRegistry, transport: Transport) -> None:
    server.on("GET", "/x", refused(404, "BLOB_UNKNOWN"))

    with transport.open(f"{server.url}/x", {}) as (answer, chunks):
        assert (answer.status, list(chunks)) == (404, [])
        assert b"BLOB_UNKNOWN" in answer.body


def test_a_document_without_end_is_refused(server: FaultyRegistry, transport: Transport) -> None:
    server.on("GET", "/x", Reply(200, {}, b"x" * (8 * 1024 * 1024 + 1)))

    with pytest.raises(ConnectionFailed, match="more than") as caught:
        transport.send("GET", f"{server.url}/x", {})

    assert not caught.value.is_temporary


def test_connections_are_kept_and_shared_between_threads(transport: Transport) -> None:
    class Counting(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            ports.add(self.client_address)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *args: object) -> None:
            """Quiet."""

    ports: set[object] = set()
    with ThreadingHTTPServer(("127.0.0.1", 0), Counting) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        for _ in range(5):
            assert transport.send("GET", url, {}).body == b"ok"
        with transport.open(url, {}) as (_, chunks):
            assert b"".join(chunks) == b"ok"
        transport.send("GET", url, {})
        server.shutdown()

    assert len(ports) == 1


def test_a_body_whose_source_fails_is_sent_once_and_takes_its_connection_along(
    server: FaultyRegistry, transport: Transport
) -> None:
    server.on("GET", "/x", OK)

    def failing() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionFailed("the source broke", host="source")

    with pytest.raises(ConnectionFailed, match="the source broke"):
        transport.upload(f"{server.url}/upload", {"Content-Length": "8"}, failing())

    assert transport.send("GET", f"{server.url}/x", {}).body == b"fine"


def test_a_proxy_is_used_with_its_own_credentials_which_are_never_shown(time: FakeTime) -> None:
    seen = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers["Proxy-Authorization"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"proxied")

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        address = f"127.0.0.1:{proxy.server_address[1]}"
        through = Transport(proxies={"http": f"http://me:p%40ss@{address}"}, attempts=1, sleep=time.sleep)
        assert through.send("GET", "http://registry.invalid/v2/", {}).body == b"proxied"
        with faulty_registry() as server:
            server.on("GET", "/x", OK)
            assert through.send("GET", f"{server.url}/x", {}).body == b"fine"  # loopback goes straight
        proxy.shutdown()
    with pytest.raises(ConnectionFailed, match="through the proxy") as caught:
        through.send("GET", "http://registry.invalid/v2/", {})

    assert seen == [("http://registry.invalid/v2/", "Basic bWU6cEBzcw==")]
    assert "p@ss" not in caught.value.message
    assert "p%40ss" not in caught.value.message


def test_tls_connections_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, time: FakeTime) -> None:
    context, certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    seen = []

    class Secure(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            seen.append(
                (self.client_address, self.headers["Host"], self.rfile.read(int(self.headers["Content-Length"])))
            )
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Secure) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        host = f"localhost:{server.server_address[1]}"
        transport = Transport(sleep=time.sleep, proxies={})
        for body in ([b"one"], iter([b"on", b"e"])):
            assert transport.upload(f"https://{host}/x", {"Content-Length": "3"}, body).status == 201
        server.shutdown()

    assert [(name, body) for _, name, body in seen] == [(host, b"one"), (host, b"one")]
    assert seen[0][0] == seen[1][0]


def test_plain_http_where_tls_is_expected_is_named_with_the_cure(time: FakeTime) -> None:
    with faulty_registry() as server, pytest.raises(ConnectionFailed, match="does not speak TLS") as caught:
        Transport(sleep=time.sleep, proxies={}).send("GET", f"https://{server.host}/", {})

    assert caught.value.hint
    assert time.slept == []


class Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def test_no_log_tells_what_was_asked(
    server: FaultyRegistry, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    monkeypatch.setattr(logging.getLogger(), "handlers", [log])
    monkeypatch.setattr(logging.getLogger(), "level", logging.DEBUG)
    server.on("GET", "/x", Reply(drops=True), BUSY, Reply(200, {"no colon": "\r\nbroken"}, b"fine"))

    transport.send("GET", f"{server.url}/x?token=hunter2", {})

    assert log.said == []
