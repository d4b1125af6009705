"""Certificates that are good, or wrong in one way, and the servers that show them."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


class Authority:
    """A CA of its own; `path` is its certificate, which clients have to trust."""

    def __init__(self, folder: Path, name: str = "CA of the tests") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._count = 0
        basic = x509.BasicConstraints(ca=True, path_length=0)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        key_id = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        own = self._builder(self._name, self._key, -1, 2).add_extension(basic, critical=True)
        signed = own.add_extension(usage, critical=True).add_extension(key_id, critical=False)
        self.path = self._write(signed.sign(self._key, hashes.SHA256()))

    def issue(self, *names: str, begins: int = -1, ends: int = 1, signs_itself: bool = False) -> ssl.SSLContext:
        """A server's context for `names`, valid from and to so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        alternative = x509.SubjectAlternativeName([_general_name(name) for name in names])
        builder = self._builder(subject, key, begins, ends, issuer=subject if signs_itself else None)
        certificate = builder.add_extension(alternative, critical=False).sign(
            key if signs_itself else self._key, hashes.SHA256()
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._write(certificate, key))
        return context

    def _builder(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        begins: int,
        ends: int,
        issuer: x509.Name | None = None,
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins * DAY)
            .not_valid_after(now + ends * DAY)
        )

    def _write(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey | None = None) -> Path:
        self._count += 1
        file = self._folder / f"{id(self)}-{self._count}.pem"
        content = certificate.public_bytes(serialization.Encoding.PEM)
        if key is not None:
            content += key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        file.write_bytes(content)
        return file


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
