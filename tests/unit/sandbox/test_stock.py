"""What comes with the images that are made up: signatures where cosign has them, and referrers."""

from __future__ import annotations

from pathlib import Path

from toolkit.oci.companions import cosign_tags
from toolkit.oci.cosign import Wanted, signed_layers
from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document, ImageManifest, parse
from toolkit.oci.public_keys import read_public_keys
from toolkit.oci.reference import Reference
from toolkit.sandbox.documents import read_subject
from toolkit.sandbox.images import Shape, shape_of
from toolkit.sandbox.stock import Stock
from toolkit.sandbox.store import StoredDocument

NAMES = [Reference.parse(f"image-{number}:1") for number in range(20)]
SIGNED = next(name for name in NAMES if shape_of(name) is Shape.OCI_WITH_ATTESTATIONS)
PUBLISHER = """\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAbkhtHrfPkE/n9rjhHAWAveFC8eUNJH/JCaduhK0HR6I=
-----END PUBLIC KEY-----
"""
UNSIGNED = next(name for name in NAMES if shape_of(name) is Shape.DOCKER_LIST)


def parsed(document: StoredDocument) -> ImageManifest:
    found = parse(Document(document.media_type, document.raw))
    assert isinstance(found, ImageManifest)
    return found


def test_every_document_of_a_signed_image_has_a_signature_and_a_referrer(tmp_path: Path) -> None:
    stock, repository = Stock(tmp_path), SIGNED.repository
    stock.provide(SIGNED)
    top = stock.documents.find(repository, "1")
    assert top is not None
    signatures = [tag for tag in stock.documents.tags(repository) if tag.endswith(".sig")]
    referrers = {read_subject(document): document for document in stock.documents.all(repository)}
    assert cosign_tags(top.digest)[0] in signatures
    assert len(signatures) == len(set(referrers) - {None}) == 7  # three platforms, their attestations, the index
    for tag in signatures:
        signature = stock.documents.find(repository, tag)
        assert signature is not None
        assert all(stock.blobs.find(repository, blob.digest) for blob in parsed(signature).blobs)
        (layer,) = signed_layers(Document(signature.media_type, signature.raw))
        content = stock.blobs.find(repository, layer.digest)
        signed = Digest.parse(tag.removesuffix(".sig").replace("-", ":"))
        assert content is not None
        assert Wanted(signed, read_public_keys(PUBLISHER)).judge(layer, content.read_bytes()) is None
    assert all(stock.blobs.find(repository, blob.digest) for blob in parsed(referrers[str(top.digest)]).blobs)


def test_an_image_in_dockers_format_is_not_signed(tmp_path: Path) -> None:
    stock = Stock(tmp_path)
    stock.provide(UNSIGNED)
    assert stock.documents.tags(UNSIGNED.repository) == ["1"]
