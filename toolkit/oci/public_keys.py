"""Public keys as PEM text, and whether one of them has signed some bytes.

pycryptodome is loaded on first use, which takes 60 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from Crypto.PublicKey.ECC import EccKey
    from Crypto.PublicKey.RSA import RsaKey
    from Crypto.Signature.pkcs1_15 import Hash

    PublicKey = EccKey | RsaKey

LONGEST_TEXT = 16 * 1024
_BEGIN, _END, _DASHES = "-----BEGIN ", "-----END ", "-----"
_ED25519 = "Ed25519"
_CURVES = ("NIST P-256", "NIST P-384", "NIST P-521", _ED25519)
_SHORTEST_RSA = 2048


def read_public_keys(text: str) -> tuple[PublicKey, ...]:
    """The keys in `text`, one below the other.

    ValueError says in a sentence what is wrong with them, and never repeats the text: it may be a secret.
    """
    if "PRIVATE KEY" in text.upper():
        raise ValueError(
            "holds a private key, which every reader of this file now has: make a new pair, and put its public key, "
            "the text of `cosign.pub`, here"
        )
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"has more than {LONGEST_TEXT:,} characters, which is too much for public keys")
    blocks = _blocks(text)
    many = len(blocks) > 1
    return tuple(_key(label, pem, f"key {n}" if many else "this") for n, (label, pem) in enumerate(blocks, 1))


def has_signed(keys: Sequence[PublicKey], signatures: Iterable[bytes], data: bytes) -> bool:
    """Whether one of `keys` has made one of `signatures` over `data`.

    cosign 2 hashes with SHA-256, cosign 3 with the hash that fits the curve. For RSA both pad as PKCS #1 v1.5. With
    Ed25519 cosign 2 signs the data, cosign 3 their hash (Ed25519ph).
    """
    from Crypto.Hash import SHA256, SHA384, SHA512  # noqa: PLC0415
    from Crypto.PublicKey.RSA import RsaKey  # noqa: PLC0415
    from Crypto.Signature import DSS, eddsa, pkcs1_15  # noqa: PLC0415

    hashes: list[Hash] = [SHA256.new(data), SHA384.new(data), SHA512.new(data)]
    checks: Sequence[Callable[[bytes], object]]
    for key in keys:
        if isinstance(key, RsaKey):
            checks = [partial(pkcs1_15.new(key).verify, one) for one in hashes]
        elif key.curve == _ED25519:
            checks = [partial(eddsa.new(key, "rfc8032").verify, one) for one in (data, hashes[-1])]
        else:
            verifier = DSS.new(key, "fips-186-3", encoding="der")
            checks = [partial(verifier.verify, one) for one in hashes]
        for signature in signatures:
            for check in checks:
                try:
                    check(signature)  # says no by an exception only: one of them returns False for yes
                    return True
                except ValueError:
                    continue
    return False


def _blocks(text: str) -> list[tuple[str, str]]:
    """The label and the text of each PEM block. ValueError where anything else is in `text`."""
    blocks: list[tuple[str, str]] = []
    label, lines = "", []
    for line in (one.strip() for one in text.splitlines()):
        if not label and line.startswith(_BEGIN) and line.endswith(_DASHES):
            label, lines = line.removeprefix(_BEGIN).removesuffix(_DASHES), [line]
        elif label and not line.startswith(_BEGIN):
            lines.append(line)
            if line == f"{_END}{label}{_DASHES}":
                blocks.append((label, "\n".join(lines)))
                label = ""
        elif line:
            break
    else:
        if blocks and not label:
            return blocks
    raise ValueError(
        "is no public key: the whole text of `cosign.pub` is expected, from `-----BEGIN PUBLIC KEY-----` to "
        "`-----END PUBLIC KEY-----`"
    )


def _key(label: str, pem: str, name: str) -> PublicKey:
    from Crypto.PublicKey import ECC, RSA  # noqa: PLC0415

    if label == "CERTIFICATE":
        raise ValueError(
            f"must be a public key, and {name} is a certificate: `openssl x509 -in FILE -noout -pubkey` prints its key"
        )
    try:
        try:
            key: PublicKey = ECC.import_key(pem)
        except ValueError:
            key = RSA.import_key(pem)
    except (ValueError, IndexError, TypeError):
        raise ValueError(
            f"must be a public key for ECDSA, RSA or Ed25519, and {name} is of another kind or damaged"
        ) from None
    if isinstance(key, RSA.RsaKey):
        if key.size_in_bits() < _SHORTEST_RSA:
            raise ValueError(f"must have {_SHORTEST_RSA} bits or more for RSA, and {name} has {key.size_in_bits()}")
    elif key.curve not in _CURVES:
        raise ValueError(f"must be on the curve P-256, P-384 or P-521, or for Ed25519, and {name} is not")
    return key
