"""A private CA that vouches for whatever name a TLS client asks for."""

from __future__ import annotations

import datetime
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LIFE = datetime.timedelta(days=2)


class Authority:
    """Makes a certificate for each name when it is first asked for; all of them share one key."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA of the proof suite")])
        self._lock = threading.Lock()
        self._contexts: dict[str, ssl.SSLContext] = {}
        own = self._builder(self._name).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.certificate = own.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def server_context(self, told: Callable[[str], None]) -> ssl.SSLContext:
        """For a listener: `told` hears the name in every ClientHello, empty where there is none."""

        def choose(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
            told(name or "")
            connection.context = self._context_for(name or "unnamed.invalid")

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = choose
        return context

    def _context_for(self, name: str) -> ssl.SSLContext:
        with self._lock:
            if name not in self._contexts:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(self._issue(name))
                self._contexts[name] = context
            return self._contexts[name]

    def _issue(self, name: str) -> Path:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        certificate = self._builder(subject).add_extension(names, critical=False).sign(self._key, hashes.SHA256())
        key = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = self._folder / f"{len(self._contexts)}.pem"
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + key)
        return file

    def _builder(self, subject: x509.Name) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _LIFE)
            .not_valid_after(now + _LIFE)
        )
