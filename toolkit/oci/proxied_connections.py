"""Connections through a proxy, over urllib3, which knows how to tunnel, also with TLS inside TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

import urllib3
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ProxySchemeUnknown,
    ReadTimeoutError,
    SSLError,
)

from toolkit.oci.answers import Headers
from toolkit.oci.connection_faults import broke, no_connection, timed_out, tls_failed, unreachable, unresolved
from toolkit.oci.connections import Body, RawAnswer, Timeouts
from toolkit.oci.errors import ConnectionFailed

_E = TypeVar("_E", bound=Exception)


class ProxiedConnections:
    """As `Connections`, by way of the proxy at `proxy`, whose URL may hold a credential for it."""

    def __init__(self, proxy: str, kept: int, tls: Callable[[], ssl.SSLContext]) -> None:
        self._proxy = proxy
        self._kept = kept
        self._tls = tls
        self._lock = threading.Lock()
        self._managers: dict[str, urllib3.ProxyManager] = {}

    def request(
        self, method: str, parts: SplitResult, headers: Mapping[str, str], body: Body, timeouts: Timeouts
    ) -> RawAnswer:
        """Send one request, and wait for the head of its answer. Raises ConnectionFailed."""
        host = parts.netloc.rpartition("@")[2]
        try:
            raw = self._manager(parts.scheme).request(
                method,
                parts.geturl(),
                body=body,
                headers=headers,
                # While a body is sent urllib3 holds each write to the *connect* timeout.
                timeout=urllib3.Timeout(
                    connect=timeouts.connect if body is None else timeouts.transfer, read=timeouts.transfer
                ),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except HTTPError as error:
            raise connection_failed(host, error) from error
        return _ProxiedAnswer(host, raw)

    def _manager(self, scheme: str) -> urllib3.ProxyManager:
        with self._lock:
            if scheme not in self._managers:
                self._managers[scheme] = self._new_manager(scheme)
            return self._managers[scheme]

    def _new_manager(self, scheme: str) -> urllib3.ProxyManager:
        proxy = urlsplit(self._proxy)
        userinfo, at, address = proxy.netloc.rpartition("@")
        headers = urllib3.make_headers(proxy_basic_auth=unquote(userinfo)) if at else None
        settings: dict[str, Any] = {"ssl_context": self._tls()} if "https" in (scheme, proxy.scheme) else {}
        manager = urllib3.ProxyManager(
            f"{proxy.scheme}://{address}", num_pools=64, proxy_headers=headers, maxsize=self._kept, **settings
        )
        manager.pool_classes_by_scheme = {"http": urllib3.HTTPConnectionPool, "https": _SecurePool}
        return manager


class _SecureConnection(HTTPSConnection):
    def send(self, data: Any) -> None:
        """A server that has answered and hung up is a broken pipe to urllib3, which then reads the answer."""
        try:
            super().send(data)
        except ssl.SSLEOFError as error:
            raise BrokenPipeError from error


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _ProxiedAnswer:
    def __init__(self, host: str, raw: urllib3.BaseHTTPResponse) -> None:
        self._host = host
        self._raw = raw
        self.status = raw.status
        self.headers: Headers = raw.headers

    @property
    def challenges(self) -> tuple[str, ...]:
        return tuple(self._raw.headers.getlist("WWW-Authenticate"))

    def read(self, size: int) -> bytes:
        try:
            return self._raw.read(size, decode_content=True)
        except HTTPError as error:
            raise connection_failed(self._host, error) from error

    def chunks(self, size: int) -> Iterator[bytes]:
        try:
            while chunk := self._raw.read(size, decode_content=False):
                yield chunk
        except HTTPError as error:
            raise connection_failed(self._host, error) from error

    def release(self, is_whole: bool) -> None:
        if not is_whole:
            self._raw.close()
        self._raw.release_conn()


def connection_failed(host: str, error: HTTPError) -> ConnectionFailed:
    """What urllib3 raised for a request to `host`, in our words."""
    if isinstance(error, ProxySchemeUnknown):
        return ConnectionFailed(
            f"the proxy between here and `{host}` is of a kind that is not supported",
            host=host,
            is_temporary=False,
            hint="Name an HTTP proxy in `HTTPS_PROXY`, or exempt the host in `NO_PROXY`.",
        )
    if isinstance(error, ProxyError):
        return ConnectionFailed(
            f"no connection to `{host}` through the proxy",
            host=host,
            reason="proxy failed",
            hint="Check `HTTPS_PROXY` and `NO_PROXY`.",
        )
    if isinstance(error, SSLError):
        return tls_failed(host, _cause(error, ssl.SSLError))
    if isinstance(error, NameResolutionError):
        return unresolved(host, _cause(error, socket.gaierror))
    if isinstance(error, LocationValueError):
        return unreachable(host)
    if isinstance(error, NewConnectionError):
        return no_connection(host, _cause(error, OSError))
    if isinstance(error, ConnectTimeoutError | ReadTimeoutError):
        return timed_out(host)
    return broke(host)


def _cause(error: BaseException, kind: type[_E]) -> _E | None:
    """The first error of `kind` that `error` came from."""
    seen: list[BaseException | None] = [error]
    while seen:
        found = seen.pop(0)
        if isinstance(found, kind):
            return found
        if found is not None:
            seen += [a for a in found.args if isinstance(a, BaseException)]
            seen += [found.__cause__, found.__context__]
    return None
