"""What cosign's signatures and attestations say about an image. Pure; every text in them is somebody else's.

Three formats are in use. Which one a publisher has depends on the version of cosign and on its flags:

- a signature is an image at the tag `sha256-….sig`. Each of its layers is a payload which names the digest that is
  signed; the signature is an annotation of the layer.
- an attestation is an image at the tag `sha256-….att`. Each of its layers is a DSSE envelope: a statement about the
  digest, with its signatures.
- since version 3 both are documents that refer to the image, with a Sigstore bundle as their layer. A bundle has such
  an envelope too, and a signature is a statement of the type `SIGNATURE_TYPE`.

Nothing that is signed is parsed before its signature was checked. What the transparency log says is not read: to judge
it takes the log's own keys, which change and are fetched.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from toolkit.oci.companions import cosign_tags
from toolkit.oci.descriptor import Descriptor
from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document, ImageIndex, ImageManifest, parse
from toolkit.oci.errors import registry_words
from toolkit.oci.public_keys import has_signed

if TYPE_CHECKING:
    from toolkit.oci.public_keys import PublicKey

SIGNATURE_TYPE = "https://sigstore.dev/cosign/sign/v1"
MAX_LAYERS = 100
"""Of one document. cosign adds a layer with each signature."""
MAX_REFERRERS = 50
"""Each may be a counted pull."""
MAX_BYTES = 32 * 2**20
"""Of all layers together that are looked at. An SBOM of a large image has some megabytes."""

_SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
_SIGNATURE = "dev.cosignproject.cosign/signature"
_ENVELOPE = "application/vnd.dsse.envelope.v1+json"
_BUNDLE = "application/vnd.dev.sigstore.bundle"
_IN_TOTO = "application/vnd.in-toto+json"
_STATEMENTS = ("https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1")
# Annotations that repeat the type of a statement: cosign 2 on a layer, cosign 3 on the document that refers.
_TYPES = ("predicateType", "dev.sigstore.bundle.predicateType")
# The type that cosign 3.1 gives its bundles in the list which it keeps itself where the registry has no list.
_UNTYPED = (None, "application/vnd.oci.empty.v1+json")
_SIGNATURE_ARTIFACT = "application/vnd.dev.cosign.artifact.sig"
_MOST_SIGNATURES = 8


class Nearness(IntEnum):
    """How near something came to what is wanted; the nearest is what a reader wants to know about."""

    UNREADABLE = 1
    OTHER_TYPE = 2
    OTHER_KEY = 3
    OTHER_IMAGE = 4


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """Why something beside an image is not the signature that is wanted."""

    nearness: Nearness
    reason: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What must be signed by one of `keys`: the digest `image`, or a statement of the type `attestation` about it."""

    image: Digest
    keys: Sequence[PublicKey]
    attestation: str | None = None

    @property
    def _noun(self) -> str:
        return "attestation" if self.attestation else "signature"

    @property
    def nothing(self) -> str:
        """The reason where there is nothing beside the image."""
        return f"it has no {_named(self.attestation or SIGNATURE_TYPE)}"

    @property
    def tag(self) -> str | None:
        """Where cosign keeps it, apart from the referrers."""
        suffix = ".att" if self.attestation else ".sig"
        return next((tag for tag in cosign_tags(self.image) if tag.endswith(suffix)), None)

    def skips(self, found: Descriptor) -> Fault | None:
        """Why a referrer or a layer need not be read, as far as its descriptor tells; that spares a pull."""
        claimed = next((value for key in _TYPES if (value := found.annotation(key)) is not None), None)
        return None if claimed is None else self._other_type(claimed)

    def judge(self, layer: Descriptor, content: bytes) -> Fault | None:
        """Why the signature in `layer` is not the wanted one; None if it is."""
        try:
            kind, digests = self._claim(layer, content)
        except _Unreadable as error:
            return Fault(Nearness.UNREADABLE, f"its {self._noun} cannot be read: {error}")
        if digests is None:
            return Fault(Nearness.OTHER_KEY, f"its {self._noun} was made with another key")
        if fault := self._other_type(kind):
            return fault
        if str(self.image) not in digests:
            return Fault(Nearness.OTHER_IMAGE, f"its {self._noun} is for another image")
        return None

    def _other_type(self, kind: str) -> Fault | None:
        wanted = self.attestation or SIGNATURE_TYPE
        if kind == wanted:
            return None
        article = "a" if kind == SIGNATURE_TYPE else "an"
        return Fault(Nearness.OTHER_TYPE, f"it has {article} {_named(kind)}, but no {_named(wanted)}")

    def _claim(self, layer: Descriptor, content: bytes) -> tuple[str, Sequence[str] | None]:
        """The type of what is signed, and the digests that it is about; None where no key has signed it."""
        if layer.media_type == _SIMPLE_SIGNING:
            signature = _base64(layer.annotation(_SIGNATURE))
            if not has_signed(self.keys, [signature], content):
                return "", None
            critical = _mapping(_json(content).get("critical"))
            if critical.get("type") != "cosign container image signature":
                raise _Unreadable("what is signed is no image")
            return SIGNATURE_TYPE, [_text(_mapping(critical.get("image")).get("docker-manifest-digest"))]
        outer = _json(content)
        envelope = outer if layer.media_type == _ENVELOPE else _mapping(outer.get("dsseEnvelope"))
        kind, payload = _text(envelope.get("payloadType")), _base64(envelope.get("payload"))
        signatures = envelope.get("signatures")
        if not isinstance(signatures, list) or not 1 <= len(signatures) <= _MOST_SIGNATURES:
            raise _Unreadable("its envelope has no signatures, or too many")
        signed = b"DSSEv1 %d %b %d %b" % (len(kind.encode()), kind.encode(), len(payload), payload)
        if not has_signed(self.keys, [_base64(_mapping(one).get("sig")) for one in signatures], signed):
            return "", None
        statement = _json(payload)
        if kind != _IN_TOTO or statement.get("_type") not in _STATEMENTS:
            raise _Unreadable("what is signed is no in-toto statement")
        subjects = statement.get("subject")
        digests = [_mapping(_mapping(one).get("digest")) for one in (subjects if isinstance(subjects, list) else [])]
        return _text(statement.get("predicateType")), [
            f"{name}:{value}" for one in digests for name, value in one.items()
        ]


def signed_layers(document: Document) -> tuple[Descriptor, ...]:
    """The layers of `document` with something signed, newest first. Raises OciError if it cannot be read."""
    parsed = parse(document)
    layers = parsed.layers if isinstance(parsed, ImageManifest) else ()
    found = [one for one in layers if one.media_type.startswith((_SIMPLE_SIGNING, _ENVELOPE, _BUNDLE))]
    return tuple(found[: -MAX_LAYERS - 1 : -1])


def signed_referrers(listed: Document | Sequence[Descriptor]) -> tuple[Descriptor, ...]:
    """Those of an image's referrers that may be signatures. Raises OciError if an index of them cannot be read."""
    if isinstance(listed, Document):
        parsed = parse(listed)
        listed = parsed.documents if isinstance(parsed, ImageIndex) else ()
    return tuple(one for one in listed if _may_be_signed(one.artifact_type))


def _named(kind: str) -> str:
    return "signature" if kind == SIGNATURE_TYPE else f"attestation of the type `{registry_words([kind])}`"


def _may_be_signed(artifact_type: str | None) -> bool:
    return artifact_type in _UNTYPED or str(artifact_type).startswith((_BUNDLE, _SIGNATURE_ARTIFACT))


class _Unreadable(Exception):
    """What is beside the image breaks its format."""


def _json(content: bytes) -> Mapping[str, Any]:
    """The object in `content`. A key that is in it twice is refused: two readers could understand it differently."""
    try:
        return _mapping(json.loads(content.decode("utf-8"), object_pairs_hook=_unique))
    except (ValueError, RecursionError):
        raise _Unreadable("it is no JSON") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _Unreadable("a part of it is no JSON object")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise _Unreadable("a part of it is no text")
    return value


def _base64(value: object) -> bytes:
    """The bytes in `value`; the two alphabets are both in use, with and without padding."""
    try:
        text = _text(value).translate({ord("-"): "+", ord("_"): "/"}).rstrip("=")
        return base64.b64decode(f"{text}{'=' * (-len(text) % 4)}", validate=True)
    except ValueError:
        raise _Unreadable("a part of it is no base64") from None
