"""What urllib3 raises, in our words: the one table from its errors to `ConnectionFailed`.

Its own texts are not passed on: they quote URLs, and URLs of storage carry signatures.
"""

from __future__ import annotations

import os
import socket
import ssl
from typing import TypeVar

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

from toolkit.oci.errors import ConnectionFailed

_E = TypeVar("_E", bound=Exception)

# OpenSSL's reasons when the other side does not speak TLS at all.
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})


def connection_failed(host: str, error: HTTPError) -> ConnectionFailed:
    """`error` of a request to `host` as ours."""
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
        return _tls_failed(host, _cause(error, ssl.SSLError))
    if isinstance(error, NameResolutionError):
        fault = _cause(error, socket.gaierror)
        is_temporary = fault is not None and fault.errno == socket.EAI_AGAIN
        return ConnectionFailed(
            f"the name `{host}` cannot be resolved", host=host, reason="name not resolved", is_temporary=is_temporary
        )
    if isinstance(error, LocationValueError):
        return ConnectionFailed(f"`{host}` is no host that can be reached", host=host, is_temporary=False)
    if isinstance(error, NewConnectionError):
        system = _cause(error, OSError)
        why = f": {os.strerror(system.errno)}" if system is not None and system.errno else ""
        return ConnectionFailed(f"no connection to `{host}`{why}", host=host, reason="no connection")
    if isinstance(error, ConnectTimeoutError | ReadTimeoutError):
        return ConnectionFailed(f"`{host}` did not answer in time", host=host, reason="timed out")
    return ConnectionFailed(f"the connection to `{host}` broke", host=host, reason="connection broke")


def _tls_failed(host: str, error: ssl.SSLError | None) -> ConnectionFailed:
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConnectionFailed(
            f"the certificate of `{host}` is not trusted: {error.verify_message}",
            host=host,
            is_temporary=False,
            code="oci.certificate_untrusted",
            hint="Name your organisation's CA bundle in `SSL_CERT_FILE`.",
        )
    if error is not None and error.reason in _NOT_TLS:
        return ConnectionFailed(
            f"`{host}` does not speak TLS",
            host=host,
            is_temporary=False,
            hint=f"Set its endpoint to `http://{host}` if plain HTTP is meant.",
        )
    return ConnectionFailed(f"the secure connection to `{host}` broke", host=host, reason="TLS failed")


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
