"""HTTP to registries: retries, rate limits, redirects, and one set of connections for a process.

Knows statuses and hosts, nothing of images. A request is sent again when its response says that it may succeed
later, or when no response came; a streamed body is sent once. Redirects are followed here, so that a credential stays
with the host that it was meant for.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit

from toolkit.oci.endpoints import may_send_to, origin
from toolkit.oci.errors import TEMPORARY_STATUSES, ConnectionFailed, TooManyRequests
from toolkit.oci.host_limits import HostLimits
from toolkit.oci.lost_hosts import LostHosts
from toolkit.oci.masking import cleaned
from toolkit.oci.responses import Response, refusal

if TYPE_CHECKING:
    from toolkit.oci.connections import Body, Connections, OpenResponse

CHUNK_BYTES = 256 * 1024

# Registries keep manifests below 4 MiB; responses with tokens and pages of tags are far smaller.
_LONGEST_BODY = 8 * 1024 * 1024
_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# These say that the same method is meant at the other address; the others turn a POST into a GET.
_REDIRECTS_OF_WRITES = frozenset({307, 308})
_FIRST_PAUSE = 0.5
ATTEMPTS = 6
"""How often a request is sent, unless said otherwise."""
_SECONDS = re.compile(r"\d+(\.\d+)?")

OnRetry = Callable[[str, str, int, float], None]


class Transport:
    """Sends requests; safe to share between threads, starts none.

    `on_retry` is called with host, reason, attempt and seconds of each pause. `pool_size` is how many reads, writes and
    streams each a host gets at a time unless it wants fewer: at least the number of threads.
    """

    def __init__(
        self,
        *,
        pool_size: int = 64,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
        upload_timeout: float = 300.0,
        attempts: int = ATTEMPTS,
        longest_pause: float = 60.0,
        on_retry: OnRetry | None = None,
        user_agent: str = "base-image-toolkit",
        proxies: Mapping[str, str] | None = None,
        ca_file: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        # A registry may take minutes to store a large blob before it responds.
        self._upload_timeout = upload_timeout
        self._attempts = attempts
        self._longest_pause = longest_pause
        self._on_retry = on_retry
        self._user_agent = user_agent
        self._proxies = proxies
        self._ca_file = ca_file
        self._sleep = sleep
        self._clock = clock
        self._wall_clock = wall_clock
        self._random = random
        self._pool_size = pool_size
        self._limits = HostLimits(pool_size)
        self._lost = LostHosts(clock)
        self._lock = threading.Lock()
        self._connections: Connections | None = None
        self._pauses: dict[str, float] = {}

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, *, follows: bool = True
    ) -> Response:
        """The response, whatever its status. A temporary refusal is returned after the last attempt only.

        With `follows` the body goes along with a redirect: it must hold no secret.
        """
        return self._with_retries(
            url, lambda: self._attempt(method, url, headers, body, self._read_timeout, follows=follows)
        )

    @contextmanager
    def open(self, url: str, headers: Mapping[str, str]) -> Iterator[tuple[Response, Iterator[bytes]]]:
        """GET `url`: on a 2xx the chunks of its body, otherwise the response with its body and no chunks.

        Retried until the first byte only.
        """
        with ExitStack() as stack:
            opened: list[OpenResponse] = []

            def attempt() -> Response:
                with ExitStack() as turn:
                    report = turn.enter_context(self._limits.turn(_host(url), "stream"))
                    response = self._request("GET", url, headers, None, self._read_timeout)
                    report(response.status)
                    if not 200 <= response.status < 300:
                        return _read("GET", response)
                    opened.append(response)
                    stack.push(turn.pop_all())
                    stack.callback(response.close)
                return Response("GET", response.host, response.status, response.headers)

            response = self._with_retries(url, attempt)
            yield response, opened[-1].chunks(CHUNK_BYTES) if opened else iter(())

    def upload(self, url: str, headers: Mapping[str, str], body: Iterable[bytes], method: str = "PUT") -> Response:
        """Send a body that cannot be sent twice: one attempt. If the body fails, its connection is closed."""
        response = self._attempt(method, url, headers, body, self._upload_timeout)
        if _is_worth_repeating(response):
            self._note_pause(response, 1)
        return response

    def send_once(self, method: str, url: str, headers: Mapping[str, str]) -> Response:
        """The response of a single attempt."""
        return self._attempt(method, url, headers, None, self._read_timeout)

    def probe(self, url: str) -> tuple[Response, str]:
        """The response to a single GET, and who signed the certificate of its host; "" for plain HTTP."""
        response = self._request("GET", url, {}, None, self._read_timeout, follows=False)
        issuer = response.issuer
        return _read("GET", response), issuer

    def _with_retries(self, url: str, attempt: Callable[[], Response]) -> Response:
        number = 1
        while True:
            try:
                response = attempt()
            except ConnectionFailed as failure:
                if not failure.is_temporary or number >= self._attempts or self._lost.is_lost(failure.host):
                    raise
                seconds = self._back_off(number)
                self._report_retry(failure.host, failure.reason, number, seconds)
                self._sleep(seconds)
            else:
                if not _is_worth_repeating(response):
                    return response
                seconds, is_for_all = self._note_pause(response, number)
                if number >= self._attempts:
                    return response
                self._report_retry(response.host, _status_text(response.status), number, seconds)
                if not is_for_all:
                    self._sleep(seconds)
            number += 1

    def _attempt(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body,
        timeout: float,
        *,
        follows: bool = True,
    ) -> Response:
        """Send a request once, as soon as its host takes another one."""
        with self._limits.turn(_host(url), "read" if method in ("GET", "HEAD") else "write") as report:
            response = _read(method, self._request(method, url, headers, body, timeout, follows=follows))
            report(response.status)
            return response

    def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body,
        timeout: float,
        *,
        follows: bool = True,
    ) -> OpenResponse:
        """Send a request, and those to which its response redirects, unless the body is a stream, which is gone."""
        followed = _REDIRECTS if method in ("GET", "HEAD") else _REDIRECTS_OF_WRITES
        if not follows or not (body is None or isinstance(body, bytes)):
            followed = frozenset()
        sent = {"User-Agent": self._user_agent, **headers}
        for _ in range(_MOST_REDIRECTS + 1):
            host = _host(url)
            self._await_pause(host)
            with self._lost.asking(host):
                response = self._opened().request(method, url, sent, body, timeout)
            location = response.headers.get("Location")
            if response.status not in followed or not location:
                return response
            _read(method, response)
            following = _follow(_split(url), location)
            if origin(following) != origin(url):
                sent = {name: value for name, value in sent.items() if name.lower() != "authorization"}
            url = following
        raise ConnectionFailed(f"`{host}` redirects without end", host=host, is_temporary=False)

    def _opened(self) -> Connections:
        from toolkit.oci.connections import Connections  # noqa: PLC0415  urllib3 takes 40 ms to load

        with self._lock:
            if self._connections is None:
                self._connections = Connections(
                    # A thread has a stream, a write and a read open at the same time, maybe all at one host.
                    most=3 * self._pool_size,
                    connect_timeout=self._connect_timeout,
                    upload_timeout=self._upload_timeout,
                    proxies=self._proxies,
                    ca_file=self._ca_file,
                    clock=self._clock,
                )
            return self._connections

    def _await_pause(self, host: str) -> None:
        # Again after each pause: another response may have made it longer meanwhile.
        while (seconds := self._seconds_left(host)) > 0:
            # A little apart, so that the threads do not come back in the same instant.
            self._sleep(seconds * (1 + 0.1 * self._random()))

    def _seconds_left(self, host: str) -> float:
        with self._lock:
            return self._pauses.get(host, 0.0) - self._clock()

    def _note_pause(self, response: Response, attempt: int) -> tuple[float, bool]:
        """How long to wait after a temporary refusal, and whether every thread has to.

        If so, each request to that host waits by itself from now on.
        """
        asked = read_retry_after(response.headers.get("Retry-After"), self._wall_clock())
        seconds = min(asked, self._longest_pause) if asked else self._back_off(attempt)
        is_for_all = response.status == 429 or asked > 0
        if is_for_all:
            with self._lock:
                self._pauses[response.host] = max(self._pauses.get(response.host, 0.0), self._clock() + seconds)
        return seconds, is_for_all

    def _report_retry(self, host: str, reason: str, attempt: int, seconds: float) -> None:
        if self._on_retry is not None:
            self._on_retry(cleaned(host), reason, attempt, seconds)

    def _back_off(self, attempt: int) -> float:
        return self._random() * float(min(self._longest_pause, _FIRST_PAUSE * 2**attempt))


def _read(method: str, response: OpenResponse) -> Response:
    """The response with its whole body; its connection is free for the next request, or closed if that cannot be."""
    try:
        body = response.read(_LONGEST_BODY + 1)
    finally:
        response.close()
    if len(body) > _LONGEST_BODY:
        raise ConnectionFailed(
            f"`{response.host}` sent more than {_LONGEST_BODY} bytes where a document was asked for",
            host=response.host,
            is_temporary=False,
            code="oci.document_too_large",
        )
    return Response(method, response.host, response.status, response.headers, body, response.challenges, response.url)


def _is_worth_repeating(response: Response) -> bool:
    """Whether this very request may succeed later; Docker Hub's pull limit takes hours."""
    if response.status < 400:
        return False
    error = refusal(response, "")
    if isinstance(error, TooManyRequests):
        return error.is_temporary
    return response.status in TEMPORARY_STATUSES or "UNAVAILABLE" in error.error_codes


def read_retry_after(text: str | None, now: float) -> float:
    """Seconds from a `Retry-After` in either of its forms; 0 where it asks for none that are still to come."""
    if not text:
        return 0.0
    if _SECONDS.fullmatch(text.strip()):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for what is no port
    except ValueError:
        raise ConnectionFailed("a registry's URL cannot be read", host="", is_temporary=False) from None
    return parts


def _host(url: str) -> str:
    """With its port, and without a user."""
    return _split(url).netloc.rpartition("@")[2]


def _follow(parts: SplitResult, location: str) -> str:
    try:
        url = urljoin(parts.geturl(), location)
        scheme = urlsplit(url).scheme
        origin(url)  # raises for what is no port
    except ValueError:
        scheme = ""
    host = parts.netloc.rpartition("@")[2]
    if scheme and not may_send_to(parts.hostname or "", url):
        raise ConnectionFailed(
            f"`{host}` redirects to an address that only this machine reaches",
            host=host,
            is_temporary=False,
            code="oci.unsafe_address",
        )
    if scheme not in ("http", "https") or (parts.scheme == "https" and scheme == "http"):
        raise ConnectionFailed(
            f"`{host}` redirects to where a secure connection is not possible", host=host, is_temporary=False
        )
    return url


def _status_text(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
