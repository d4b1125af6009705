"""Public keys as PEM text, and whether one of them has signed some bytes.

cryptography is loaded on first use, which takes 30 ms.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    PublicKey = EllipticCurvePublicKey | RSAPublicKey | Ed25519PublicKey

LONGEST_TEXT = 16 * 1024
_BEGIN, _END, _DASHES = "-----BEGIN ", "-----END ", "-----"
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_SHORTEST_RSA = 2048
_HASHES = ("sha256", "sha384", "sha512")


def read_public_keys(text: str) -> tuple[PublicKey, ...]:
    """The keys in `text`, one below the other. ValueError says in a sentence what is wrong, and never repeats the text."""
    if "PRIVATE KEY" in text.upper():
        raise ValueError(
            "holds a private key, which every reader of this file now has: make a new pair, and put its public key, "
            "the text of `cosign.pub`, here"
        )
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"has more than {LONGEST_TEXT:,} characters, which is too much for public keys")
    blocks = _blocks(text)
    many = len(blocks) > 1
    return tuple(_key(label, pem, f"key {n} in it" if many else "it") for n, (label, pem) in enumerate(blocks, 1))


def has_signed(keys: Sequence[PublicKey], signatures: Iterable[bytes], data: bytes) -> bool:
    """Whether one of `keys` has made one of `signatures` over `data`.

    cosign hashes with SHA-256 or, since version 3, with the hash that fits the curve. For RSA it pads as PKCS #1 v1.5.
    """
    hashed = {name: hashlib.new(name, data).digest() for name in _HASHES}
    return any(_is_made_by(key, signature, data, hashed) for signature in signatures for key in keys)


def _is_made_by(key: PublicKey, signature: bytes, data: bytes, hashed: dict[str, bytes]) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed  # noqa: PLC0415

    known = [(hashed[one.name], Prehashed(one)) for one in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())]
    if isinstance(key, ec.EllipticCurvePublicKey):
        attempts = [partial(key.verify, signature, digest, ec.ECDSA(one)) for digest, one in known]
    elif isinstance(key, rsa.RSAPublicKey):
        attempts = [partial(key.verify, signature, digest, padding.PKCS1v15(), one) for digest, one in known]
    else:
        attempts = [partial(key.verify, signature, data)]
    for attempt in attempts:
        try:
            attempt()
            return True
        except InvalidSignature:
            continue
    return False


def _blocks(text: str) -> list[tuple[str, str]]:
    """The label and the text of each PEM block. ValueError where anything else is in `text`."""
    blocks: list[tuple[str, str]] = []
    label, lines = "", []
    for line in (one.strip() for one in text.splitlines()):
        if not label and line.startswith(_BEGIN) and line.endswith(_DASHES):
            label, lines = line.removeprefix(_BEGIN).removesuffix(_DASHES), [line]
        elif label:
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


def _key(label: str, pem: str, it: str) -> PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    if label == "CERTIFICATE":
        raise ValueError(
            f"must be a public key, and {it} is a certificate: `openssl x509 -in FILE -noout -pubkey` prints its key"
        )
    if label not in ("PUBLIC KEY", "RSA PUBLIC KEY"):
        raise ValueError(f"must be a public key as `cosign.pub` has it, and {it} is of another kind")
    try:
        key = load_pem_public_key(pem.encode())
    except UnsupportedAlgorithm:
        raise ValueError(f"must be a key of a kind that cosign signs with, and {it} is of another kind") from None
    except ValueError:
        raise ValueError(f"must be a public key, and {it} is damaged: copy the whole text of `cosign.pub`") from None
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in _CURVES:
            raise ValueError(f"must be on the curve P-256, P-384 or P-521, and {it} is on `{key.curve.name}`")
        return key
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _SHORTEST_RSA:
            raise ValueError(f"must have {_SHORTEST_RSA} bits or more for RSA, and {it} has {key.key_size}")
        return key
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    raise ValueError(f"must be a key for ECDSA, RSA or Ed25519, and {it} is of another kind")
