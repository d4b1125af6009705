"""Connections to hosts, straight or through a proxy: urllib3, and what the copies of images need beyond it.

urllib3 retries nothing here and follows no redirect; `toolkit.oci.transport` does both. Added to it:

- A kept connection that is dead is replaced at once, and one that has been idle for a minute is not used.
- A response that comes too slowly to ever be complete is given up.
- A response that comes before its request has been sent is read.
- The head of a response is bounded in size, and one that is cut off is an error.
"""

from __future__ import annotations

import base64
import ipaddress
import logging
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from io import BufferedReader, RawIOBase
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies_environment

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    HTTPError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    SSLError,
)

from toolkit.oci.endpoints import is_loopback
from toolkit.oci.errors import TEMPORARY_STATUSES, ConnectionFailed, registry_words
from toolkit.oci.masking import remember_password

Body = bytes | Iterable[bytes] | None
_E = TypeVar("_E", bound=BaseException)

# It logs addresses with their queries, which open signed addresses to whoever reads the log.
logging.getLogger("urllib3").propagate = False

# Networks forget a connection that is silent: AWS's load balancers after 350 seconds, some firewalls after a minute.
# What is sent on it then gets lost, or is refused.
_IDLE_SECONDS = 60.0
# How long a request gets no further before we look whether the response has come already.
_STALL_SECONDS = 1.0
# A response is given up when it brings less than this in five minutes of waiting. A line so slow that each of 32
# transfers gets no more than this carries 32 KiB a second in all.
_LEAST_PER_SECOND = 1024
_SLOW_SECONDS = 300.0
# All lines of a head, and of the heads of interim responses (1xx) before it.
_LONGEST_HEAD = 256 * 1024
# 4 MiB in chunks of one byte took 17 s of CPU.
_MOST_LINES = 10_000
_LEAST_PER_LINE = 32
# A signed address of storage has some kilobytes.
_LONGEST_VALUE = 16 * 1024
_INTERIM = re.compile(rb"HTTP/1\.\d 1")
_HOSTS = 1024
_PORTS = {"http": 80, "https": 443}
# OpenSSL's reasons when the other side does not speak TLS at all.
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
# OpenSSL's reasons when the other side will never accept us.
_OLD_TLS = "it speaks no TLS 1.2 or newer"
_TLS_REFUSALS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a client certificate",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it accepts none of our ciphers, or wants a client certificate",
    "TLSV1_ALERT_PROTOCOL_VERSION": _OLD_TLS,
    "UNSUPPORTED_PROTOCOL": _OLD_TLS,
}
# By OpenSSL's number (X509_V_ERR_…); what is not listed here is a CA that we do not know.
_CERTIFICATE_HINTS = {
    9: "Set this machine's clock.",
    10: "Have the certificate renewed, or set this machine's clock.",
    62: "Use the name that the certificate is for.",
    64: "Use the name that the certificate is for.",
}
_PROXY_HINT = "Check `HTTPS_PROXY` and `NO_PROXY`."


class Connections:
    """Sends requests over connections that are kept; safe to share between threads.

    `most` is the number of connections to one host. A request waits while all of them are in use. `proxies` are those
    of the environment unless given: by scheme or as `all`, and the exemptions as `no`. With a `ca_file` its CAs alone
    are trusted.
    """

    def __init__(
        self,
        *,
        most: int,
        connect_timeout: float,
        upload_timeout: float,
        proxies: Mapping[str, str] | None = None,
        ca_file: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._ca_file = ca_file
        self._connect_timeout = connect_timeout
        self._settings: Any = {"clock": clock, "send_timeout": upload_timeout}
        self._proxies = getproxies_environment() if proxies is None else proxies
        self._lock = threading.RLock()
        self._tls: ssl.SSLContext | None = None
        self._managers: dict[str, urllib3.PoolManager] = {}

    def request(self, method: str, url: str, headers: Mapping[str, str], body: Body, timeout: float) -> OpenResponse:
        """Send one request and wait for the head of its response, at most `timeout` seconds between two parts of it.

        Raises ConnectionFailed.
        """
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        if "@" in parts.netloc or "\\" in parts.netloc:  # urllib3 would end the host at a `\`, and our checks do not
            raise ConnectionFailed(f"`{host}` is no host that can be reached", host=host, is_temporary=False)
        proxy = proxy_for(parts, self._proxies)
        try:
            raw = self._send(self._manager(host, proxy), method, url, headers, body, timeout)
        except HTTPError as error:
            raise _failure(host, error, is_proxied=bool(proxy)) from error
        response = OpenResponse(host, url, raw)
        if raw.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and proxy:
            response.close()
            raise _refused_by_proxy(host, raw.status)
        for name, value in raw.headers.iteritems():
            if len(value) > _LONGEST_VALUE:
                response.close()
                raise ConnectionFailed(
                    f"`{host}` sent a header `{registry_words([name])}` of more than {_LONGEST_VALUE} bytes",
                    host=host,
                    is_temporary=False,
                    code="oci.header_too_long",
                )
        return response

    def _send(
        self,
        manager: urllib3.PoolManager,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body,
        timeout: float,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request; once more if it met a dead connection and its body can be sent again."""
        urlopen = partial(
            manager.urlopen,
            method,
            url,
            headers=dict(headers),
            body=body,
            timeout=urllib3.Timeout(connect=self._connect_timeout, read=timeout),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            return urlopen()
        except HTTPError as error:
            _close_idle(manager, url)  # the other connections to the host are likely to fail in the same way
            if _cause(error, _DeadConnection) is None or not (body is None or isinstance(body, bytes)):
                raise
        return urlopen()

    def _manager(self, host: str, proxy: str) -> urllib3.PoolManager:
        with self._lock:
            if proxy not in self._managers:
                try:
                    self._managers[proxy] = self._new_manager(proxy)
                except ValueError:  # its text quotes the address, in which there may be a password
                    raise ConnectionFailed(
                        f"the address of the proxy between here and `{host}` is not that of an HTTP proxy",
                        host=host,
                        is_temporary=False,
                        hint="Write `http://USER:PASSWORD@HOST:PORT` into `HTTPS_PROXY`, with an `@` in it as `%40`.",
                        code="oci.proxy_unusable",
                    ) from None
            return self._managers[proxy]

    def _new_manager(self, proxy: str) -> urllib3.PoolManager:
        # A host's connections are opened without Nagle's algorithm through a proxy too.
        settings: Any = {"maxsize": self._most, "block": True, "socket_options": HTTPConnection.default_socket_options}
        if proxy:
            parts = urlsplit(proxy)
            user, at, address = parts.netloc.rpartition("@")
            if not parts.hostname or parts.port == 0:
                raise ValueError("no host")
            manager: urllib3.PoolManager = urllib3.ProxyManager(
                f"{parts.scheme}://{address}",
                _HOSTS,
                proxy_headers={"proxy-authorization": _basic(user)} if at else None,
                proxy_ssl_context=self._tls_context() if parts.scheme == "https" else None,
                **settings,
            )
        else:
            manager = urllib3.PoolManager(_HOSTS, **settings)
        pools: Any = {"http": self._new_pool, "https": self._new_secure_pool}  # urllib3 calls them, and wants no more
        manager.pool_classes_by_scheme = pools
        return manager

    def _new_pool(self, *host: Any, **settings: Any) -> _Pool:
        return _Pool(*host, **{**settings, **self._settings})

    def _new_secure_pool(self, *host: Any, **settings: Any) -> _SecurePool:
        return _SecurePool(*host, **{**settings, **self._settings, "ssl_context": self._tls_context()})

    def _tls_context(self) -> ssl.SSLContext:
        """Made when it is needed: to read the system's certificates takes longer than some runs."""
        with self._lock:
            if self._tls is None:
                self._tls = ssl.create_default_context(cafile=self._ca_file)
                self._tls.set_alpn_protocols(["http/1.1"])
            return self._tls


def _basic(user: str) -> str:
    """What a proxy gets for the `user:password` in its address. From now on no message shows it."""
    name, _, password = unquote(user).partition(":")
    for spelled in (password, user.partition(":")[2]):
        remember_password(spelled, name)
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode('ascii')}"


class OpenResponse:
    """A response whose body is still to be read. Whatever breaks meanwhile is a ConnectionFailed."""

    def __init__(self, host: str, url: str, raw: urllib3.BaseHTTPResponse) -> None:
        self.host = host
        self.url = url
        self._raw = raw
        self.status = raw.status
        self.headers = raw.headers

    @property
    def challenges(self) -> tuple[str, ...]:
        """Every `WWW-Authenticate`."""
        return tuple(self._raw.headers.getlist("WWW-Authenticate"))

    @property
    def issuer(self) -> str:
        """Who signed the certificate of the host; "" for plain HTTP. Known until the response has been read."""
        certificate = getattr(self._raw.connection, "certificate", {})
        names = dict(pair for part in certificate.get("issuer", ()) for pair in part)
        return registry_words([names.get("commonName") or names.get("organizationName") or ""])

    def read(self, size: int) -> bytes:
        """The decoded body, or `size` bytes of it."""
        try:
            return self._raw.read(size, decode_content=True)
        except HTTPError as error:
            raise _failure(self.host, error) from error

    def chunks(self, size: int) -> Iterator[bytes]:
        """The bytes as they were sent, `size` at a time."""
        try:
            while chunk := self._raw.read(size, decode_content=False):
                yield chunk
        except HTTPError as error:
            raise _failure(self.host, error) from error

    def close(self) -> None:
        """Give the connection back if the body has been read to its end, else close it."""
        if not self._raw.closed:
            self._raw.close()
        self._raw.release_conn()


class _DeadConnection(ConnectionResetError):
    """A kept connection fails before the response to another request begins."""


class _TunnelRefused(OSError):
    """A proxy opens no tunnel; `status` is its own."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Connection(HTTPConnection):
    """`send_timeout` is how long a request may get no further."""

    def __init__(self, *args: Any, clock: Callable[[], float], send_timeout: float, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._clock = clock
        self._send_timeout = send_timeout
        self._incoming: _Incoming | None = None  # of the last response
        self._early: _Incoming | None = None  # of one that may have begun while its request is being sent
        self._is_kept = False
        self._is_whole = True
        self._is_open = False

    @property
    def is_connected(self) -> bool:
        """Whether the pool may use it for another request."""
        if not self._is_whole or self._incoming is None or _has_decrypted(self.sock):
            return False
        is_fresh = self._clock() - self._incoming.last_received <= _IDLE_SECONDS
        return is_fresh and super().is_connected

    def connect(self) -> None:
        """Open it."""
        self._is_kept, self._is_whole, self._is_open = False, True, False
        super().connect()
        self._is_open = True

    def close(self) -> None:
        """Close it; a response that is being read keeps the socket until it is closed too."""
        if self._early is not None:
            self._early.close()
            self._early = None
        super().close()

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as in its own base class
        """Wait for the head of the response."""
        try:
            response = super().getresponse()
        except TimeoutError:
            raise
        except (OSError, HTTPException) as error:
            if self._is_kept:
                raise _DeadConnection from error
            raise
        self._is_kept = True
        return response

    def response_class(self, sock: Any, *, method: str | None = None) -> HTTPResponse:  # type: ignore[override]
        """What http.client reads a response with, also a proxy's when a tunnel begins."""
        self._incoming, self._early = self._early or _Incoming(sock, self._clock), None
        kind = _Response if self._is_open else _TunnelResponse
        return kind(self._incoming, method=method)  # type: ignore[arg-type]  # it asks for `makefile` only

    def send(self, data: Any) -> None:
        """Send all of `data`; BrokenPipeError, after which urllib3 reads the response, where that has come already."""
        if self.sock is None:
            self.connect()
        sock = self.sock
        if not isinstance(sock, socket.socket):  # TLS within TLS loses what it was sending at a timeout
            super().send(data)
            return
        self._is_whole = False  # a server that has not all of a request would take the next one for the rest
        rest, stalled = memoryview(data), 0.0
        while rest:
            sock.settimeout(_STALL_SECONDS)
            try:
                rest, stalled = rest[sock.send(rest) :], 0.0
            except ssl.SSLEOFError:
                raise BrokenPipeError from None
            except TimeoutError:
                stalled += _STALL_SECONDS
                if self._has_begun_to_respond(sock):
                    raise BrokenPipeError from None
                if stalled >= self._send_timeout:
                    raise
        sock.settimeout(self.timeout)
        self._is_whole = True

    def _has_begun_to_respond(self, sock: socket.socket) -> bool:
        """Whether the response has begun or the connection has ended; interim responses (1xx) are passed over."""
        self._early = incoming = self._early or _Incoming(sock, self._clock)
        while True:
            sock.settimeout(0)
            try:
                begun = incoming.peek()
            except ssl.SSLWantReadError:  # no more than a TLS session's ticket has come
                return False
            if not begun or not _INTERIM.match(begun):
                return bool(begun) or incoming.has_ended
            sock.settimeout(self._send_timeout)
            while incoming.readline().strip():
                pass


class _SecureConnection(_Connection, HTTPSConnection):
    certificate: Mapping[str, Any] = MappingProxyType({})

    def connect(self) -> None:
        """Open it; the certificate is kept, because the socket may be closed before the response is read."""
        super().connect()
        if isinstance(self.sock, ssl.SSLSocket):
            self.certificate = self.sock.getpeercert() or {}


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Response(HTTPResponse):
    def begin(self) -> None:
        """Pass over interim responses, all of them and not 100 only; wait for no chunks where there is no body."""
        super().begin()
        while self.status < 200:
            self.headers = None  # type: ignore[assignment]  # to http.client: the head is still to be read
            super().begin()
        if self.chunked and self.status in (204, 304):
            self.chunked, self.will_close = False, True


class _TunnelResponse(_Response):
    def _read_status(self) -> tuple[str, int, str]:
        """Of a proxy; http.client would put its status into a text."""
        version, status, reason = super()._read_status()  # type: ignore[misc]  # a part that http.client calls too
        if status != HTTPStatus.OK:
            raise _TunnelRefused(status)
        return version, status, reason


class _Incoming(BufferedReader):
    """The bytes of one response, for http.client. Stricter than what that makes of a socket itself."""

    def __init__(self, sock: Any, clock: Callable[[], float]) -> None:
        self._watched = Watched(sock.makefile("rb", buffering=0), clock)
        self._head = 0
        self._lines = 0
        self._body = 0
        super().__init__(self._watched)

    @property
    def last_received(self) -> float:
        """When the last bytes came."""
        return self._watched.last_received

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come."""
        return self._watched.has_ended

    def makefile(self, mode: str) -> _Incoming:
        """Itself; http.client asks a socket for this."""
        return self

    def readline(self, size: int | None = -1, /) -> bytes:
        """A line of a head, a chunk's length, or a trailer."""
        line = super().readline(size)
        self._head += len(line)
        self._lines += 1
        if not line:
            raise ConnectionResetError("the connection ended within a head")
        if self._head > _LONGEST_HEAD:
            raise HTTPException("a head without end")
        if self._lines > _MOST_LINES and self._body < _LEAST_PER_LINE * self._lines:
            raise HTTPException("a body in too small parts")
        return line

    def read(self, size: int | None = -1, /) -> bytes:
        """A part of the body."""
        if size is None or size < 0:  # of a chunk with a negative length http.client would read what comes, for ever
            raise HTTPException("a body of no size")
        self._head = 0
        part = super().read(size)
        self._body += len(part)
        return part


class Watched(RawIOBase):
    """Reads `raw`; raises TimeoutError when that has brought next to nothing in five minutes of waiting.

    Only the time in which nothing had come yet counts: bytes wait for a reader who is slow because of a rate limit or a
    slow destination. The wait for the first bytes is not counted: a registry may take minutes to store a large blob.
    """

    def __init__(self, raw: RawIOBase, clock: Callable[[], float]) -> None:
        self._raw = raw
        self._clock = clock
        self._waited = 0.0
        self._received = 0
        self._has_begun = False
        self.last_received = clock()
        self.has_ended = False

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """What comes next, as soon as it does."""
        began = self._clock()
        count = self._raw.readinto(buffer)
        self.last_received = self._clock()
        self.has_ended = count == 0
        if self._has_begun:
            self._waited += self.last_received - began
            self._received += count or 0
        self._has_begun = self._has_begun or bool(count)
        if self._waited >= _SLOW_SECONDS:
            if self._received < _LEAST_PER_SECOND * self._waited:
                raise TimeoutError
            self._waited, self._received = 0.0, 0
        return count

    def close(self) -> None:
        """Let go of the socket."""
        self._raw.close()
        super().close()


def _has_decrypted(sock: Any) -> bool:
    """Whether TLS holds bytes that nobody asked for, which a look at the socket does not show."""
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0


def _close_idle(manager: urllib3.PoolManager, url: str) -> None:
    """Close the connections to the host of `url` that no request uses."""
    try:
        idle = manager.connection_from_url(url).pool
    except HTTPError:
        return
    if idle is not None:
        with idle.mutex:
            for connection in filter(None, idle.queue):
                connection.close()


def _failure(host: str, error: HTTPError, *, is_proxied: bool = False) -> ConnectionFailed:
    """What urllib3 raised for a request to `host`, in our words.

    Its own are not passed on: they quote addresses, and those of storage carry signatures.
    """

    def failed(message: str, **details: Any) -> ConnectionFailed:
        return ConnectionFailed(message, host=host, **details)

    tls = _cause(error, ssl.SSLError)
    if refused := _cause(error, _TunnelRefused):
        return _refused_by_proxy(host, refused.status)
    if isinstance(tls, ssl.SSLCertVerificationError):
        whose = "the proxy" if isinstance(error, ProxyError) else f"`{host}`"
        return failed(
            f"the certificate of {whose} is not trusted: {tls.verify_message.removesuffix('.')}",
            is_temporary=False,
            code="oci.certificate_untrusted",
            hint=_CERTIFICATE_HINTS.get(tls.verify_code, "Name your organisation's CA bundle in `SSL_CERT_FILE`."),
        )
    if isinstance(error, ProxyError) and not isinstance(
        error.original_error, ConnectionError | HTTPException | TimeoutError
    ):
        return failed(f"no connection to `{host}` through the proxy", reason="proxy failed", hint=_PROXY_HINT)
    if isinstance(error, SSLError) and tls is not None and tls.reason in _TLS_REFUSALS:
        return failed(
            f"`{host}` refuses a secure connection: {_TLS_REFUSALS[tls.reason]}",
            is_temporary=False,
            code="oci.tls_refused",
            hint="Run a proxy on this machine that can do that, and make it the registry's endpoint.",
        )
    if isinstance(error, SSLError) and tls is not None and tls.reason in _NOT_TLS and is_proxied:
        return failed(
            f"the proxy responds itself instead of `{host}`",
            is_temporary=False,
            hint=_PROXY_HINT,
            code="oci.proxy_unusable",
        )
    if isinstance(error, SSLError) and tls is not None and tls.reason in _NOT_TLS:
        return failed(
            f"`{host}` does not speak TLS",
            is_temporary=False,
            hint=f"Set its endpoint to `http://{host}` if plain HTTP is meant.",
        )
    if isinstance(error, SSLError):
        return failed(f"the secure connection to `{host}` broke", reason="TLS failed")
    if isinstance(error, LocationValueError):
        return failed(f"`{host}` is no host that can be reached", is_temporary=False)
    if isinstance(error, NameResolutionError):
        resolver = _cause(error, socket.gaierror)
        return failed(
            f"the name `{host}` cannot be resolved",
            reason="name not resolved",
            is_temporary=resolver is not None and resolver.errno == socket.EAI_AGAIN,
        )
    if isinstance(error, NewConnectionError):
        cause = _cause(error, OSError)
        why = f": {os.strerror(cause.errno)}" if cause is not None and cause.errno else ""
        return failed(f"no connection to `{host}`{why}", reason="no connection")
    if _cause(error, TimeoutError):
        return failed(f"`{host}` did not respond in time", reason="timed out")
    return failed(f"the connection to `{host}` broke", reason="connection broke")


def _refused_by_proxy(host: str, status: int) -> ConnectionFailed:
    wants_password = status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
    return ConnectionFailed(
        f"no connection to `{host}`: the proxy responded with {status}",
        host=host,
        reason="proxy failed",
        is_temporary=status in TEMPORARY_STATUSES,
        hint="Put the proxy's user and password into `HTTPS_PROXY`." if wants_password else _PROXY_HINT,
        code="oci.proxy_refused",
    )


def _cause(error: BaseException, kind: type[_E]) -> _E | None:
    """The first error of `kind` that `error` came from."""
    seen: list[BaseException | None] = [error]
    while seen:
        found = seen.pop(0)
        if isinstance(found, kind):
            return found
        if found is not None:
            seen += [argument for argument in found.args if isinstance(argument, BaseException)]
            seen += [found.__cause__, found.__context__]
    return None


def proxy_for(parts: SplitResult, proxies: Mapping[str, str]) -> str:
    """The proxy's URL for a request to `parts`, empty for none; never one for loopback."""
    host = (parts.hostname or "").lower()
    if is_loopback(host) or _is_exempt(host, parts.port or _PORTS.get(parts.scheme), proxies.get("no", "")):
        return ""
    proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
    return proxy if "://" in proxy or not proxy else f"http://{proxy}"


def _is_exempt(host: str, port: int | None, exemptions: str) -> bool:
    """Whether a comma-separated list has the host, a domain or a network above it, or `*`.

    An entry may carry a port, and an IPv6 address brackets.
    """
    for entry in exemptions.lower().replace(",", " ").split():
        name, colon, end = entry.rpartition(":")
        if not colon or not end.isdecimal() or (":" in name and not name.endswith("]")):
            name, end = entry, str(port)
        name = name.removeprefix("[").removesuffix("]").removeprefix("*").removeprefix(".")
        if entry == "*" or (name and end == str(port) and (f".{host}".endswith(f".{name}") or _has(name, host))):
            return True
    return False


def _has(network: str, host: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
