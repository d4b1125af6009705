"""What a publisher puts beside an image, made with cryptography; the product checks it with another library."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from tests.support.made_images import MadeImage, descriptor
from toolkit.oci.companions import cosign_tags
from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document
from toolkit.oci.media_types import OCI_CONFIG, OCI_MANIFEST

SIGNED = "https://sigstore.dev/cosign/sign/v1"
SLSA = "https://slsa.dev/provenance/v1"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
ENVELOPE = "application/vnd.dsse.envelope.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
Layer = tuple[str, bytes, Mapping[str, str]]
"""Media type, content, annotations."""


def public(key: Key) -> str:
    """The text of `cosign.pub`."""
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(encoding, form).decode()


def sign(key: Key, data: bytes, algorithm: hashes.HashAlgorithm | None = None) -> bytes:
    """A signature as cosign makes it; with SHA-256 unless another hash is given."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), algorithm or hashes.SHA256())
    return key.sign(data, ec.ECDSA(algorithm or hashes.SHA256()))


def simple_signing(key: Key, signed: Digest, **changes: Any) -> Layer:
    """A signature of cosign 2; `changes` are other fields of `critical`."""
    critical = {
        "identity": {"docker-reference": "registry.test/app"},
        "image": {"docker-manifest-digest": str(signed)},
        "type": "cosign container image signature",
    }
    content = json.dumps({"critical": critical | changes, "optional": None}).encode()
    return SIMPLE_SIGNING, content, {"dev.cosignproject.cosign/signature": encoded(sign(key, content))}


def envelope(key: Key, signed: Digest, kind: str = SLSA, **changes: Any) -> dict[str, Any]:
    """A signed statement; `changes` are other fields of the statement."""
    return sealed(key, statement(signed, kind, **changes))


def statement(signed: Digest, kind: str, **changes: Any) -> bytes:
    """What an attestation says."""
    found = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "registry.test/app", "digest": {signed.algorithm: signed.hex}}],
        "predicateType": kind,
        "predicate": {},
    }
    return json.dumps(found | changes).encode()


def sealed(key: Key, payload: bytes, payload_type: str = "application/vnd.in-toto+json") -> dict[str, Any]:
    """An envelope for `payload`."""
    data = f"DSSEv1 {len(payload_type)} {payload_type} {len(payload)} ".encode() + payload
    return {
        "payloadType": payload_type,
        "payload": encoded(payload),
        "signatures": [{"keyid": "", "sig": encoded(sign(key, data))}],
    }


def attestation(key: Key, signed: Digest, kind: str = SLSA, **changes: Any) -> Layer:
    """An attestation of cosign 2."""
    return ENVELOPE, json.dumps(envelope(key, signed, kind, **changes)).encode(), {"predicateType": kind}


def bundle(key: Key, signed: Digest, kind: str = SIGNED, **changes: Any) -> Layer:
    """A signature or attestation of cosign 3."""
    material = {"publicKey": {"hint": "a key"}}
    found = {
        "mediaType": BUNDLE,
        "verificationMaterial": material,
        "dsseEnvelope": envelope(key, signed, kind, **changes),
    }
    return BUNDLE, json.dumps(found).encode(), {}


def tagged(image: MadeImage, suffix: str, *layers: Layer) -> tuple[str, MadeImage]:
    """What cosign 2 puts beside `image`, and its tag; `suffix` is `.sig` or `.att`."""
    tag = next(tag for tag in cosign_tags(image.digest) if tag.endswith(suffix))
    return tag, document(layers, {"config": descriptor(OCI_CONFIG, b"{}")})


def referring(image: MadeImage, layer: Layer, kind: str = SIGNED, artifact_type: str = BUNDLE) -> MadeImage:
    """What cosign 3 puts beside `image`."""
    fields = {
        "artifactType": artifact_type,
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "subject": descriptor(image.document.media_type, image.document.raw),
        "annotations": {"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": kind},
    }
    return document([layer], fields)


def document(layers: Sequence[Layer], fields: Mapping[str, object]) -> MadeImage:
    """An image of `layers`."""
    listed = [descriptor(kind, content) | {"annotations": dict(notes)} for kind, content, notes in layers]
    made = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, **fields, "layers": listed}
    contents = {Digest.of(content): content for content in (b"{}", *(content for _, content, _ in layers))}
    return MadeImage(Document(OCI_MANIFEST, json.dumps(made).encode()), contents)


def encoded(data: bytes) -> str:
    """In base64."""
    return base64.b64encode(data).decode()
