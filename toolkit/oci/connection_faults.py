"""How a connection can fail, in our words.

The texts of libraries are not passed on: they quote URLs, and URLs of storage carry signatures.
"""

from __future__ import annotations

import os
import socket
import ssl

from toolkit.oci.errors import ConnectionFailed

# OpenSSL's reasons when the other side does not speak TLS at all.
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})


def unreachable(host: str) -> ConnectionFailed:
    """No name that could be resolved."""
    return ConnectionFailed(f"`{host}` is no host that can be reached", host=host, is_temporary=False)


def unresolved(host: str, error: socket.gaierror | None) -> ConnectionFailed:
    """Only a resolver that says so will know more later."""
    is_temporary = error is not None and error.errno == socket.EAI_AGAIN
    return ConnectionFailed(
        f"the name `{host}` cannot be resolved", host=host, reason="name not resolved", is_temporary=is_temporary
    )


def no_connection(host: str, error: OSError | None) -> ConnectionFailed:
    """Nobody listens, or there is no way."""
    why = f": {os.strerror(error.errno)}" if error is not None and error.errno else ""
    return ConnectionFailed(f"no connection to `{host}`{why}", host=host, reason="no connection")


def timed_out(host: str) -> ConnectionFailed:
    """While connecting, sending or waiting."""
    return ConnectionFailed(f"`{host}` did not answer in time", host=host, reason="timed out")


def broke(host: str) -> ConnectionFailed:
    """Within a request or its answer, or the answer is no HTTP."""
    return ConnectionFailed(f"the connection to `{host}` broke", host=host, reason="connection broke")


def tls_failed(host: str, error: ssl.SSLError | None) -> ConnectionFailed:
    """Of the certificate, of a server without TLS, or of the stream."""
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
