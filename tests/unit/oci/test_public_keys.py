from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa

from tests.support.signing import Key, public, sign
from toolkit.oci.public_keys import LONGEST_TEXT, has_signed, read_public_keys

P256 = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
KEYS: dict[str, Key] = {
    "P-256": P256,
    "P-384": ec.generate_private_key(ec.SECP384R1()),
    "P-521": ec.generate_private_key(ec.SECP521R1()),
    "RSA": RSA,
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
}
DATA = b"what is signed"
HASHES = (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())


@pytest.mark.parametrize("name", KEYS)
def test_knows_whose_signature_it_is(name: str) -> None:
    key, others = KEYS[name], [public(other) for kind, other in KEYS.items() if kind != name]
    for signature in {sign(key, DATA, algorithm) for algorithm in HASHES}:
        mine = read_public_keys(public(key))
        assert has_signed(mine, [signature], DATA)
        assert has_signed(read_public_keys("".join([*others, public(key)])), [b"", signature], DATA)
        assert not has_signed(read_public_keys("".join(others)), [signature], DATA)
        assert not has_signed(mine, [signature], DATA + b".")
        assert not has_signed(mine, [bytes([signature[0] ^ 1]) + signature[1:], signature[:-1], b""], DATA)
        assert not has_signed(mine, [], DATA)


def test_takes_no_padding_and_no_hash_but_those_of_cosign() -> None:
    keys = read_public_keys(public(RSA))
    pss = RSA.sign(DATA, padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH), hashes.SHA256())
    assert not has_signed(keys, [pss, sign(RSA, DATA, hashes.SHA1())], DATA)


def test_takes_a_key_as_people_paste_it() -> None:
    text = public(P256)
    assert len(read_public_keys(text + "\n\n" + public(RSA))) == 2
    assert read_public_keys(text.replace("\n", "\r\n  "))
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.PKCS1
    assert read_public_keys(RSA.public_key().public_bytes(encoding, form).decode())


def private(key: Any, form: Any = serialization.PrivateFormat.PKCS8, password: bytes | None = None) -> str:
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, how).decode()


def block(label: str, content: str = "c2VjcmV0IHNlY3JldA==") -> str:
    return f"-----BEGIN {label}-----\n{content}\n-----END {label}-----\n"


PRIVATE = "holds a private key"
NONE = "is no public key"
KIND = "of another kind or damaged"
BAD = {
    "private": (private(P256), PRIVATE),
    "private, as OpenSSL had it": (private(P256, serialization.PrivateFormat.TraditionalOpenSSL), PRIVATE),
    "private, as OpenSSH has it": (private(P256, serialization.PrivateFormat.OpenSSH), PRIVATE),
    "private with a password": (private(P256, password=b"secret"), PRIVATE),
    "cosign's private": (block("ENCRYPTED SIGSTORE PRIVATE KEY"), PRIVATE),
    "cosign's private, older": (block("ENCRYPTED COSIGN PRIVATE KEY"), PRIVATE),
    "a private one below": (public(P256) + private(P256), PRIVATE),
    "a private one, cut": (private(P256)[:60], PRIVATE),
    "certificate": (block("CERTIFICATE"), "is a certificate"),
    "path": ("cosign.pub", NONE),
    "address": ("awskms:///alias/cosign", NONE),
    "empty": (" \n", NONE),
    "OpenSSH's": ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIsecret me@host", NONE),
    "cut": (public(P256)[:-10], NONE),
    "two in one": (public(P256).replace("-----END PUBLIC KEY-----\n", "") + public(P256), NONE),
    "text around it": ("secret\n" + public(P256), NONE),
    "garbage": (block("PUBLIC KEY"), KIND),
    "no base64": (block("PUBLIC KEY", "*" * 40), KIND),
    "another kind of block": (block("PGP PUBLIC KEY BLOCK"), KIND),
    "the second": (public(P256) + block("PUBLIC KEY"), "key 2 is of another kind"),
    "DSA": (public(dsa.generate_private_key(1024)), KIND),  # type: ignore[arg-type]
    "Ed448": (public(ed448.Ed448PrivateKey.generate()), "must be on the curve"),  # type: ignore[arg-type]
    "P-224": (public(ec.generate_private_key(ec.SECP224R1())), "must be on the curve"),
    "secp256k1": (public(ec.generate_private_key(ec.SECP256K1())), "must be "),
    "RSA of 1024": (public(rsa.generate_private_key(65537, 1024)), "must have 2048 bits or more"),
    "long": (public(P256) + " " * LONGEST_TEXT, "more than 16,384 characters"),
}


@pytest.mark.parametrize("what", BAD)
def test_says_what_is_wrong_with_a_key_and_never_repeats_it(what: str) -> None:
    text, sentence = BAD[what]
    with pytest.raises(ValueError, match=sentence) as caught:
        read_public_keys(text)
    said = str(caught.value)
    assert len(said) < 200
    assert not any(line in said for line in text.split() if len(line) > 12 and not line.startswith("-----"))
