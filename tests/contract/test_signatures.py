"""Signatures beside an image in a registry over HTTP: in the sandbox's and in a real one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.made_images import image, index, push
from tests.support.registry import running_registry
from tests.support.sandbox import stand_in_registry
from tests.support.signing import SLSA, attestation, bundle, public, referring, simple_signing, tagged
from toolkit.lock.model import Verification
from toolkit.oci.client import RegistryClient
from toolkit.oci.companions import referrers_index, referrers_tag
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.endpoints import Endpoints
from toolkit.oci.pull_limits import PullLimits
from toolkit.oci.reference import Reference, Repository
from toolkit.seed.signatures import SignatureCheck

HOST = "registry.test"
KEY, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
MINE, OTHERS = Verification(public(KEY)), Verification(public(OTHER))
IMAGE = index(("linux/amd64", image([b"content"])))


@pytest.fixture(scope="module", params=["stand-in", "docker-registry"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryClient]:
    with ExitStack() as stack:
        folder: Path = tmp_path_factory.mktemp("registry")
        started = stand_in_registry(folder) if request.param == "stand-in" else running_registry(folder)
        found = stack.enter_context(started)
        url = found if isinstance(found, str) else found.url
        yield RegistryClient(endpoints=Endpoints(((HOST, url),)))


def verify(client: RegistryClient, source: Reference, wanted: Verification) -> tuple[str | None, int]:
    check = SignatureCheck(PullLimits(client), DocumentCache())
    return check.verify(source, wanted), check.reads


def test_finds_the_signature_at_its_tag(served: RegistryClient) -> None:
    repository = Repository(HOST, "tagged")
    push(served, IMAGE, repository.with_tag("1"))
    source = repository.with_digest(IMAGE.digest)
    assert verify(served, source, MINE) == ("it has no signature", 0)
    tag, signature = tagged(IMAGE, ".sig", simple_signing(OTHER, IMAGE.digest), simple_signing(KEY, IMAGE.digest))
    push(served, signature, repository.with_tag(tag))
    assert verify(served, source, MINE) == verify(served, source, OTHERS) == (None, 1)
    assert verify(served, source, Verification(public(KEY), SLSA)) == (f"it has no attestation of the type `{SLSA}`", 0)
    tag, attested = tagged(IMAGE, ".att", attestation(KEY, IMAGE.digest))
    push(served, attested, repository.with_tag(tag))
    assert verify(served, source, Verification(public(KEY), SLSA)) == (None, 1)


def test_finds_the_signature_among_the_referrers(served: RegistryClient) -> None:
    repository = Repository(HOST, "referring")
    push(served, IMAGE, repository.with_tag("1"))
    source = repository.with_digest(IMAGE.digest)
    made = referring(IMAGE, bundle(KEY, IMAGE.digest))
    push(served, made, repository.with_digest(made.digest))
    reads = 1
    if served.list_referrers(repository, IMAGE.digest) is None:
        listed = referrers_index([made.document.descriptor])
        served.put_manifest(repository.with_tag(referrers_tag(IMAGE.digest)), listed)
        reads = 2
    assert verify(served, source, MINE) == (None, reads)
    assert verify(served, source, OTHERS) == ("its signature was made with another key", reads)
