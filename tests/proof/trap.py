"""The trap: every name and every address leads to it, and it writes down who was looked for, greeted and asked.

It listens on all addresses of a network namespace that has no other way out.
"""

from __future__ import annotations

import ssl
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werkzeug.serving import ThreadedWSGIServer
from werkzeug.wrappers import Request

from tests.proof.certificates import Authority
from tests.proof.dns import answer_every_name
from tests.proof.programs import BUILDKIT
from tests.proof.registries import ECR_HOST, Ecr, Extras, Outside, Seed
from toolkit.sandbox.serving import KeepAliveHandler, serve

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# Not of 127.0.0.0/8: Docker takes the certificates and the scheme of a registry there less seriously.
ADDRESS = "198.51.100.1"


@dataclass(frozen=True, slots=True)
class Contact:
    """One question: `kind` is `dns`, `tls` or `http`; `what` is the request's line and account, for `http` only."""

    kind: str
    host: str
    what: str = ""

    @property
    def is_outside(self) -> bool:
        """Whether it went anywhere but to ECR."""
        return self.host != ECR_HOST

    def __str__(self) -> str:
        return f"{self.kind} {self.host} {self.what}".rstrip()


class Trap:
    """Name server, TLS and HTTP on their usual ports; `ca` has the certificate to trust."""

    def __init__(self, folder: Path, seeds: Iterable[Seed], extras: Extras) -> None:
        self._lock = threading.Lock()
        self._contacts: list[Contact] = []
        authority = Authority(folder / "certificates")
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(authority.certificate)
        # A builder of its own trusts what its image says.
        extras = extras.with_file(BUILDKIT, "etc/ssl/certs/ca-certificates.crt", self.ca)
        self.ecr = Ecr(folder / "ecr", seeds, extras)
        self._outside = Outside(folder / "outside", self.ecr, extras)
        answer_every_name(ADDRESS, lambda name: self._note(Contact("dns", name)))
        context = authority.server_context(lambda name: self._note(Contact("tls", name)))
        for server in (_Server(443, self, context), _Server(80, self, None)):
            serve(server)

    def take(self) -> list[Contact]:
        """Every contact since the last call."""
        with self._lock:
            taken, self._contacts = self._contacts, []
        return taken

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, whatever host it is for."""
        request = Request(environ)
        host = request.host.removesuffix(":443").removesuffix(":80")
        given = request.authorization
        account = f" for {given.username}" if given is not None and given.type == "basic" else ""
        self._note(Contact("http", host, f"{request.method} {request.path}{account}"))
        app = self.ecr.app if host == ECR_HOST else self._outside
        return app(environ, start_response)

    def _note(self, contact: Contact) -> None:
        with self._lock:
            self._contacts.append(contact)


class _Server(ThreadedWSGIServer):
    """A server on all addresses whose TLS handshake happens in the connection's own thread."""

    def __init__(self, port: int, app: Trap, context: ssl.SSLContext | None) -> None:
        super().__init__("0.0.0.0", port, app, KeepAliveHandler)
        self.ssl_context = context  # the handler reads the scheme from it

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.ssl_context is not None:
            try:
                request = self.ssl_context.wrap_socket(request, server_side=True)
            except OSError:
                return  # a client that does not trust us, or was only looking
        try:
            super().finish_request(request, client_address)
        finally:
            self.shutdown_request(request)


def count(contacts: Iterable[Contact]) -> dict[str, int]:
    """How many contacts of each kind went anywhere but to ECR."""
    counted = Counter(contact.kind for contact in contacts if contact.is_outside)
    return {kind: counted[kind] for kind in ("dns", "tls", "http")}
