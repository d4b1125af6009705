"""HTTP to registries: one pool of connections for a process, retries, pauses, redirects, proxies and TLS.

Knows statuses and hosts, nothing of images. A request is sent again when its answer says that it may succeed later, or
when no answer came; a streamed body is never replayed here. Redirects are followed by hand, so that credentials stay
with the host that they were meant for.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit

from toolkit.oci.answers import Answer, refusal
from toolkit.oci.endpoints import origin
from toolkit.oci.errors import TEMPORARY_STATUSES, ConnectionFailed, TooManyRequests
from toolkit.oci.host_limits import HostLimits
from toolkit.oci.masking import cleaned

if TYPE_CHECKING:
    from toolkit.oci.connections import Body, Connections, OpenResponse

CHUNK_BYTES = 256 * 1024

# Registries keep manifests below 4 MiB; token answers and tag pages are far smaller.
_LONGEST_BODY = 8 * 1024 * 1024
_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FIRST_PAUSE = 0.5
_SECONDS = re.compile(r"\d+(\.\d+)?")

OnRetry = Callable[[str, str, int, float], None]


@dataclass(frozen=True, slots=True)
class _Response:
    """A response whose body is still to be read."""

    raw: OpenResponse
    method: str
    host: str

    def read(self) -> Answer:
        """The whole of it; the connection is free for the next request, or closed if that cannot be."""
        try:
            body = self.raw.read(_LONGEST_BODY + 1)
        finally:
            self.raw.close()
        if len(body) > _LONGEST_BODY:
            raise ConnectionFailed(
                f"`{self.host}` sent more than {_LONGEST_BODY} bytes where a document was asked for",
                host=self.host,
                is_temporary=False,
            )
        return Answer(self.method, self.host, self.raw.status, self.raw.headers, body, self.raw.challenges)


class Transport:
    """Sends requests; safe to share between threads, starts none.

    `on_retry` is told host, reason, attempt and seconds of each pause. `pool_size` is how many connections a host keeps
    open, and how many reads, writes and streams it gets at a time unless it wants fewer: no fewer than threads.
    """

    def __init__(
        self,
        *,
        pool_size: int = 64,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
        upload_timeout: float = 300.0,
        attempts: int = 6,
        longest_pause: float = 60.0,
        on_retry: OnRetry | None = None,
        user_agent: str = "base-image-toolkit",
        proxies: Mapping[str, str] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._connect_timeout = connect_timeout
        self._timeout = read_timeout
        # A registry may take minutes to store a large blob before it answers.
        self._upload_timeout = upload_timeout
        self._attempts = attempts
        self._longest_pause = longest_pause
        self._on_retry = on_retry
        self._user_agent = user_agent
        self._proxies = proxies
        self._sleep = sleep
        self._clock = clock
        self._wall_clock = wall_clock
        self._random = random
        self._pool_size = pool_size
        self._limits = HostLimits(pool_size)
        self._lock = threading.Lock()
        self._connections: Connections | None = None
        self._pauses: dict[str, float] = {}

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """The answer, whatever its status; one that asks to come again is returned after the last attempt only."""
        return self._persist(url, lambda: self._ask(method, url, headers, body, self._timeout))

    @contextmanager
    def open(self, url: str, headers: Mapping[str, str]) -> Iterator[tuple[Answer, Iterator[bytes]]]:
        """GET `url`: on a 2xx the chunks of its body, on anything else the answer with its body and no chunks.

        Retried until the first byte only.
        """
        with ExitStack() as stack:
            found: list[_Response] = []

            def ask() -> Answer:
                with ExitStack() as turn:
                    tell = turn.enter_context(self._limits.turn(_host(url), "stream"))
                    response = self._exchange("GET", url, headers, None, self._timeout)
                    tell(response.raw.status)
                    if not 200 <= response.raw.status < 300:
                        return response.read()
                    found.append(response)
                    stack.push(turn.pop_all())
                    # A body read to its end will have given its connection back already.
                    stack.callback(response.raw.close)
                return Answer("GET", response.host, response.raw.status, response.raw.headers)

            answer = self._persist(url, ask)
            yield answer, found[-1].raw.chunks(CHUNK_BYTES) if found else iter(())

    def upload(self, url: str, headers: Mapping[str, str], body: Iterable[bytes]) -> Answer:
        """PUT a body that cannot be sent twice: one attempt. A body that fails takes its connection with it."""
        answer = self._ask("PUT", url, headers, body, self._upload_timeout)
        if _is_worth_repeating(answer):
            self._heed(answer, 1)
        return answer

    def send_once(self, method: str, url: str, headers: Mapping[str, str]) -> Answer:
        """One attempt, whatever comes of it."""
        return self._ask(method, url, headers, None, self._timeout)

    def _ask(self, method: str, url: str, headers: Mapping[str, str], body: Body, timeout: float) -> Answer:
        """One attempt, as soon as its host takes it."""
        with self._limits.turn(_host(url), "read" if method in ("GET", "HEAD") else "write") as tell:
            answer = self._exchange(method, url, headers, body, timeout).read()
            tell(answer.status)
            return answer

    def _persist(self, url: str, ask: Callable[[], Answer]) -> Answer:
        attempt = 1
        while True:
            try:
                answer = ask()
            except ConnectionFailed as failure:
                if not failure.is_temporary or attempt >= self._attempts:
                    raise
                seconds = self._back_off(attempt)
                self._tell(failure.host, failure.reason, attempt, seconds)
                self._sleep(seconds)
            else:
                if not _is_worth_repeating(answer):
                    return answer
                seconds, is_for_all = self._heed(answer, attempt)
                if attempt >= self._attempts:
                    return answer
                self._tell(answer.host, _status_text(answer.status), attempt, seconds)
                if not is_for_all:
                    self._sleep(seconds)
            attempt += 1

    def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: Body, timeout: float) -> _Response:
        """One request and the redirects that follow from it."""
        sent = {"User-Agent": self._user_agent, **headers}
        for _ in range(_MOST_REDIRECTS + 1):
            parts = _split(url)
            host = _host(url)
            self._await_pause(host)
            raw = self._opened().request(method, url, sent, body, timeout)
            location = raw.headers.get("Location")
            if method not in ("GET", "HEAD") or raw.status not in _REDIRECTS or not location:
                return _Response(raw, method, host)
            _Response(raw, method, host).read()
            url = _follow(parts, location)
            if origin(_split(url).geturl()) != origin(parts.geturl()):
                sent = {name: value for name, value in sent.items() if name.lower() != "authorization"}
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
                    clock=self._clock,
                )
            return self._connections

    def _await_pause(self, host: str) -> None:
        # Again after each pause: another answer may have made it longer meanwhile.
        while (seconds := self._seconds_left(host)) > 0:
            # A little apart, so that the threads do not come back in the same instant.
            self._sleep(seconds * (1 + 0.1 * self._random()))

    def _seconds_left(self, host: str) -> float:
        with self._lock:
            return self._pauses.get(host, 0.0) - self._clock()

    def _heed(self, answer: Answer, attempt: int) -> tuple[float, bool]:
        """How long a temporary refusal asks to wait, and whether it asks that of every thread.

        If so, each request to that host waits by itself from now on.
        """
        asked = read_retry_after(answer.headers.get("Retry-After"), self._wall_clock())
        seconds = min(asked, self._longest_pause) if asked else self._back_off(attempt)
        is_for_all = answer.status == 429 or asked > 0
        if is_for_all:
            with self._lock:
                self._pauses[answer.host] = max(self._pauses.get(answer.host, 0.0), self._clock() + seconds)
        return seconds, is_for_all

    def _tell(self, host: str, reason: str, attempt: int, seconds: float) -> None:
        if self._on_retry is not None:
            self._on_retry(cleaned(host), reason, attempt, seconds)

    def _back_off(self, attempt: int) -> float:
        return self._random() * float(min(self._longest_pause, _FIRST_PAUSE * 2**attempt))


def _is_worth_repeating(answer: Answer) -> bool:
    """Whether this very request may succeed later; Docker Hub's pull limit takes hours."""
    if answer.status < 400:
        return False
    error = refusal(answer, "")
    if isinstance(error, TooManyRequests):
        return error.is_temporary
    return answer.status in TEMPORARY_STATUSES or "UNAVAILABLE" in error.error_codes


def read_retry_after(text: str | None, now: float) -> float:
    """Seconds from a `Retry-After` in either of its forms; 0 where it asks for none that are still to come."""
    if not text:
        return 0.0
    if _SECONDS.fullmatch(text.strip()):
        return float(text)
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  takes 4 ms to load, for what hardly a server sends

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
    except ValueError:
        scheme = ""
    if scheme not in ("http", "https") or (parts.scheme == "https" and scheme == "http"):
        host = parts.netloc.rpartition("@")[2]
        raise ConnectionFailed(
            f"`{host}` redirects to where a secure connection is not possible", host=host, is_temporary=False
        )
    return url


def _status_text(status: int) -> str:
    from http import HTTPStatus  # noqa: PLC0415  a millisecond, for a retry

    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
