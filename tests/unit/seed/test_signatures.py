from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.cosign_samples import Sample, read_samples
from tests.support.made_images import MadeImage, image, index, store
from tests.support.memory_registry import Call, Cut, Fault, Garbled, MemoryRegistry
from tests.support.signing import (
    BUNDLE,
    ENVELOPE,
    SIGNED,
    SIMPLE_SIGNING,
    SLSA,
    Layer,
    attestation,
    bundle,
    envelope,
    public,
    referring,
    sealed,
    simple_signing,
    statement,
    tagged,
)
from toolkit.lock.model import Verification
from toolkit.oci.companions import referrers_index, referrers_tag
from toolkit.oci.cosign import MAX_BYTES, MAX_LAYERS, MAX_REFERRERS
from toolkit.oci.digest import Digest
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.documents import Document
from toolkit.oci.errors import ConnectionFailed, InvalidDocument, OciError, RegistryError, TooManyRequests
from toolkit.oci.media_types import OCI_MANIFEST
from toolkit.oci.pull_limits import PullLimits
from toolkit.oci.reference import DOCKER_HUB, Repository
from toolkit.seed.signatures import SignatureCheck

KEY, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
CHILD = image([b"content"])
IMAGE = index(("linux/amd64", CHILD))
ELSEWHERE = image([b"another"]).digest
APP = Repository("registry.test", "app")
SPDX = "https://spdx.dev/Document"
MADE_WITH_ANOTHER = "its signature was made with another key"


class Upstream:
    """A registry with one image, and what is put beside it."""

    def __init__(self, repository: Repository = APP) -> None:
        self.registry = MemoryRegistry(checks_content=False, chunk_bytes=2**16)
        self.repository = repository
        self.cache = DocumentCache()
        store(self.registry, IMAGE, f"{repository}:1")

    def put(self, suffix: str, *layers: Layer) -> None:
        tag, made = tagged(IMAGE, suffix, *layers)
        store(self.registry, made, f"{self.repository}:{tag}")

    def refer(self, layer: Layer, kind: str = SIGNED, artifact_type: str = BUNDLE) -> MadeImage:
        made = referring(IMAGE, layer, kind, artifact_type)
        self.registry.blobs[self.repository].update(made.blobs)
        self.registry.documents[self.repository][made.digest] = made.document
        return made

    def verify(self, wanted: str | None = None, keys: str = public(KEY)) -> str | None:
        return self.check().verify(self.repository.with_digest(IMAGE.digest), Verification(keys, wanted))

    def check(self) -> SignatureCheck:
        return SignatureCheck(PullLimits(self.registry), self.cache)


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


SIGNATURES: dict[str, Callable[[Upstream, Any, Digest], object]] = {
    "cosign 2": lambda up, key, signed: up.put(".sig", simple_signing(key, signed)),
    "cosign 3": lambda up, key, signed: up.refer(bundle(key, signed)),
    "cosign 2 with referrers": lambda up, key, signed: up.refer(
        simple_signing(key, signed), artifact_type="application/vnd.dev.cosign.artifact.sig.v1+json"
    ),
}
ATTESTATIONS: dict[str, Callable[[Upstream, Any, Digest], object]] = {
    "cosign 2": lambda up, key, signed: up.put(".att", attestation(key, signed)),
    "cosign 3": lambda up, key, signed: up.refer(bundle(key, signed, SLSA), SLSA),
}


def test_says_that_nothing_is_signed(upstream: Upstream) -> None:
    assert upstream.verify() == "it has no signature"
    assert upstream.verify(SLSA) == f"it has no attestation of the type `{SLSA}`"


@pytest.mark.parametrize("how", SIGNATURES)
def test_takes_a_signature_by_the_key_and_no_other(upstream: Upstream, how: str) -> None:
    SIGNATURES[how](upstream, KEY, IMAGE.digest)
    assert upstream.verify() is None
    assert upstream.verify(keys=public(OTHER)) == MADE_WITH_ANOTHER
    assert upstream.verify(keys=public(OTHER) + public(KEY)) is None


@pytest.mark.parametrize("how", ATTESTATIONS)
def test_takes_an_attestation_by_the_key_and_no_other(upstream: Upstream, how: str) -> None:
    ATTESTATIONS[how](upstream, KEY, IMAGE.digest)
    assert upstream.verify(SLSA) is None
    assert upstream.verify(SLSA, keys=public(OTHER)) == "its attestation was made with another key"


@pytest.mark.parametrize("how", SIGNATURES)
@pytest.mark.parametrize("signed", [ELSEWHERE, CHILD.digest], ids=["elsewhere", "child"])
def test_refuses_a_signature_for_another_image_under_this_tag(upstream: Upstream, how: str, signed: Digest) -> None:
    SIGNATURES[how](upstream, KEY, signed)
    assert upstream.verify() == "its signature is for another image"


@pytest.mark.parametrize("how", ATTESTATIONS)
def test_refuses_an_attestation_for_another_image(upstream: Upstream, how: str) -> None:
    ATTESTATIONS[how](upstream, KEY, ELSEWHERE)
    assert upstream.verify(SLSA) == "its attestation is for another image"


@pytest.mark.parametrize("how", ATTESTATIONS)
def test_refuses_an_attestation_of_another_type(upstream: Upstream, how: str) -> None:
    ATTESTATIONS[how](upstream, KEY, IMAGE.digest)
    assert (
        upstream.verify(SPDX) == f"it has an attestation of the type `{SLSA}`, but no attestation of the type `{SPDX}`"
    )


def test_does_not_take_an_attestation_for_a_signature(upstream: Upstream) -> None:
    upstream.refer(bundle(KEY, IMAGE.digest, SLSA), SLSA)
    assert upstream.verify() == f"it has an attestation of the type `{SLSA}`, but no signature"


def test_believes_the_signed_type_and_not_the_one_beside_it(upstream: Upstream) -> None:
    upstream.refer(bundle(KEY, IMAGE.digest, SPDX), SLSA)
    assert (
        upstream.verify(SLSA) == f"it has an attestation of the type `{SPDX}`, but no attestation of the type `{SLSA}`"
    )
    upstream.refer(bundle(KEY, IMAGE.digest, SPDX), SIGNED)
    assert upstream.verify() == f"it has an attestation of the type `{SPDX}`, but no signature"


def test_takes_one_good_signature_among_others(upstream: Upstream) -> None:
    bad = (simple_signing(OTHER, IMAGE.digest), simple_signing(KEY, ELSEWHERE), (SIMPLE_SIGNING, b"{", {}))
    upstream.put(".sig", bad[0], simple_signing(KEY, IMAGE.digest), *bad[1:])
    assert upstream.verify() is None
    upstream.put(".sig", *bad)
    assert upstream.verify() == "its signature is for another image"
    upstream.refer(bundle(KEY, IMAGE.digest))
    assert upstream.verify() is None


@pytest.mark.parametrize("sample", read_samples(), ids=lambda sample: f"{sample.way} {sample.key_name}")
def test_takes_what_cosign_itself_has_made(sample: Sample) -> None:
    registry = MemoryRegistry(lists_referrers=False)
    source = sample.store(registry, APP)
    for kind in (None, SLSA):
        check = SignatureCheck(registry, DocumentCache())
        assert check.verify(source, Verification(sample.key, kind)) is None
        assert "with another key" in str(check.verify(source, Verification(public(KEY), kind)))


def test_finds_the_referrers_where_the_registry_does_not_list_them(upstream: Upstream) -> None:
    upstream.registry.lists_referrers = False
    made = upstream.refer(bundle(KEY, IMAGE.digest))
    # As cosign 3.1 writes its own list: with the type of the configuration, without annotations.
    listed = referrers_index([replace(made.document.descriptor, artifact_type="application/vnd.oci.empty.v1+json")])
    upstream.registry.documents[APP][listed.digest] = listed
    upstream.registry.tags[APP][referrers_tag(IMAGE.digest)] = listed.digest
    assert upstream.verify() is None


def test_reads_one_counted_document_once(upstream: Upstream) -> None:
    upstream = Upstream(Repository(DOCKER_HUB, "acme/app"))
    upstream.put(".sig", simple_signing(KEY, IMAGE.digest))
    for reads in (1, 0):
        check = upstream.check()
        assert check.verify(upstream.repository.with_digest(IMAGE.digest), Verification(public(KEY))) is None
        assert check.reads == reads
    assert upstream.registry.count("get_manifest") == 1
    assert upstream.registry.count("head_manifest") == 2


def test_reads_no_referrer_that_cannot_be_what_is_wanted(upstream: Upstream) -> None:
    upstream.refer(bundle(KEY, IMAGE.digest, SPDX), SPDX)
    upstream.refer(bundle(KEY, IMAGE.digest, "other"), "other", "application/spdx+json")
    upstream.put(".att", attestation(KEY, IMAGE.digest, SPDX))
    assert (
        upstream.verify(SLSA) == f"it has an attestation of the type `{SPDX}`, but no attestation of the type `{SLSA}`"
    )
    assert upstream.registry.count("get_manifest") == 1
    assert upstream.registry.count("open_blob") == 0


def test_reads_a_payload_once_however_many_have_signed_it(upstream: Upstream) -> None:
    upstream.put(".sig", *(simple_signing(OTHER, IMAGE.digest) for _ in range(20)))
    assert upstream.verify() == MADE_WITH_ANOTHER
    assert upstream.registry.count("open_blob") == 1


DOWN = ConnectionFailed("no", host="registry.test")


@pytest.mark.parametrize(
    ("operation", "fault"),
    [(one, DOWN) for one in ("head_manifest", "get_manifest", "list_referrers", "open_blob")]
    + [
        ("open_blob", Cut(3)),
        ("list_referrers", RegistryError("no", status=500, host="registry.test")),
        ("head_manifest", RegistryError("no", status=403, host="registry.test")),
        ("get_manifest", TooManyRequests("no", host="registry.test", is_pull_limit=True)),
    ],
)
def test_knows_nothing_where_upstream_does_not_answer(upstream: Upstream, operation: str, fault: Fault) -> None:
    upstream.put(".sig", simple_signing(OTHER, IMAGE.digest))
    upstream.registry.faults = lambda call: fault if call.operation == operation else None
    with pytest.raises(OciError):
        upstream.verify()


def test_does_not_take_wrong_bytes(upstream: Upstream) -> None:
    upstream.put(".sig", simple_signing(KEY, IMAGE.digest))

    def garbled(call: Call) -> Fault | None:
        return Garbled() if call.operation == "open_blob" else None

    upstream.registry.faults = garbled
    assert "has other content" in str(upstream.verify())


DAMAGED: dict[str, Layer] = {
    "no JSON": (ENVELOPE, b"\xff{", {}),
    "a list": (ENVELOPE, b"[]", {}),
    "deep": (ENVELOPE, b'{"a":' * 100_000, {}),
    "a long number": (ENVELOPE, b'{"a":' + b"9" * 100_000 + b"}", {}),
    "a key twice": (ENVELOPE, json.dumps(envelope(KEY, IMAGE.digest)).encode()[:-1] + b', "payload": "e30="}', {}),
    "no text": (ENVELOPE, b'{"payloadType": "\\ud800", "payload": "", "signatures": [{"sig": ""}]}', {}),
    "no signatures": (ENVELOPE, json.dumps(envelope(KEY, IMAGE.digest) | {"signatures": []}).encode(), {}),
    "signatures": (ENVELOPE, json.dumps(envelope(KEY, IMAGE.digest) | {"signatures": [{}] * 1000}).encode(), {}),
    "no base64": (ENVELOPE, json.dumps(envelope(KEY, IMAGE.digest) | {"payload": "*"}).encode(), {}),
    "no bundle": (BUNDLE, b'{"dsseEnvelope": []}', {}),
    "a signature of a blob": (BUNDLE, b'{"messageSignature": {}}', {}),
    "no annotation": (SIMPLE_SIGNING, b"{}", {}),
    "another payload": (ENVELOPE, json.dumps(sealed(KEY, statement(IMAGE.digest, SLSA), "text/plain")).encode(), {}),
    "no statement": bundle(KEY, IMAGE.digest, _type="https://in-toto.io/Statement/v9"),
    "no subject": bundle(KEY, IMAGE.digest, SLSA, subject=[3]),
    "no image": simple_signing(KEY, IMAGE.digest, type="cosign blob"),
    "no digest": simple_signing(KEY, IMAGE.digest, image="sha256"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_says_what_cannot_be_read(upstream: Upstream, what: str) -> None:
    upstream.put(".att", DAMAGED[what])
    upstream.put(".sig", DAMAGED[what])
    assert "cannot be read: " in str(upstream.verify(SLSA))
    assert "cannot be read: " in str(upstream.verify())


def test_refuses_what_is_signed_as_something_else(upstream: Upstream) -> None:
    found = envelope(KEY, IMAGE.digest)
    upstream.put(".att", (ENVELOPE, json.dumps(found | {"payloadType": "text/plain"}).encode(), {}))
    assert upstream.verify(SLSA) == "its attestation was made with another key"


def test_reads_no_more_than_is_bounded(upstream: Upstream) -> None:
    many = [(SIMPLE_SIGNING, str(number).encode(), {}) for number in range(MAX_LAYERS + 50)]
    upstream.put(".sig", simple_signing(KEY, IMAGE.digest), *many)
    assert upstream.verify() != "it has no signature"
    assert upstream.registry.count("open_blob") == MAX_LAYERS
    for number in range(MAX_REFERRERS + 20):
        upstream.refer((BUNDLE, str(number).encode(), {}))
    upstream.registry.calls.clear()
    assert upstream.verify() is not None
    assert upstream.registry.count("get_manifest") == MAX_REFERRERS


def test_reads_the_wanted_type_first_among_many_referrers(upstream: Upstream) -> None:
    for number in range(MAX_REFERRERS + 20):
        upstream.refer((BUNDLE, str(number).encode(), {}), SPDX)
    upstream.refer(bundle(KEY, IMAGE.digest))
    assert upstream.verify() is None
    assert upstream.registry.count("get_manifest") == 1


def test_counts_a_large_layer_each_time_it_is_named(upstream: Upstream) -> None:
    large = b"x" * (MAX_BYTES // 2)
    layers = [(SIMPLE_SIGNING, large, {"dev.cosignproject.cosign/signature": text}) for text in ("AAAA", "BBBB")]
    upstream.put(".sig", simple_signing(KEY, IMAGE.digest), *layers[:1])
    assert upstream.verify() is None
    upstream.put(".sig", simple_signing(KEY, IMAGE.digest), *layers)
    assert upstream.verify() == MADE_WITH_ANOTHER


def test_reads_no_blob_that_is_too_large(upstream: Upstream) -> None:
    tag, made = tagged(IMAGE, ".sig", simple_signing(KEY, IMAGE.digest))
    content = json.loads(made.document.raw)
    content["layers"][0]["size"] = MAX_BYTES + 1
    large = replace(made, document=Document(OCI_MANIFEST, json.dumps(content).encode()))
    store(upstream.registry, large, f"{APP}:{tag}")
    assert upstream.verify() == f"its signatures have more than {MAX_BYTES:,} bytes"
    assert upstream.registry.count("open_blob") == 0


def test_goes_on_after_a_document_that_cannot_be_read(upstream: Upstream) -> None:
    upstream.put(".sig", simple_signing(KEY, IMAGE.digest))
    tag, _ = tagged(IMAGE, ".sig")
    broken = str(upstream.registry.tags[APP][tag])
    upstream.registry.faults = lambda call: InvalidDocument("it is no document") if call.subject == broken else None
    assert upstream.verify() == "it is no document"
    upstream.refer(bundle(KEY, IMAGE.digest))
    assert upstream.verify() is None
