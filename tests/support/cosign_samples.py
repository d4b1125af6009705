"""What cosign itself puts beside an image: `python -m tests.support.cosign_samples COSIGN_2 COSIGN_3` records it.

Debian has cosign 2.5 in trixie, cosign 3.1 in sid and none in bookworm, so that the tests read a record. The keys
are made for it and thrown away.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.support.made_images import image, index, push
from tests.support.memory_registry import MemoryRegistry
from tests.support.registry import running_registry
from tests.support.signing import SLSA
from toolkit.oci.client import RegistryClient
from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document, ImageManifest, parse
from toolkit.oci.endpoints import Endpoints
from toolkit.oci.media_types import INDEX_TYPES
from toolkit.oci.reference import Reference, Repository

RECORD = Path(__file__).parents[1] / "golden" / "cosign.json"
KEYS = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}
_OFFLINE = ("--tlog-upload=false", "--yes")
_VERSION_3 = (*_OFFLINE, "--use-signing-config=false")
WAYS = {"cosign2": _OFFLINE, "cosign3": _VERSION_3, "cosign3-tags": (*_VERSION_3, "--new-bundle-format=false")}


@dataclass(frozen=True, slots=True)
class Sample:
    """An image and what is beside it; `way` made the signature and the attestation with `key`."""

    way: str
    key_name: str
    key: str
    digest: Digest
    tags: Mapping[str, Document]
    documents: tuple[Document, ...]
    blobs: tuple[bytes, ...]

    def store(self, registry: MemoryRegistry, repository: Repository) -> Reference:
        """Put it into `registry`; the image's reference."""
        for document in (*self.tags.values(), *self.documents):
            registry.documents[repository][document.digest] = document
        registry.tags[repository].update({tag: document.digest for tag, document in self.tags.items()})
        registry.blobs[repository].update({Digest.of(blob): blob for blob in self.blobs})
        return repository.with_digest(self.digest)


def read_samples() -> list[Sample]:
    """What is recorded."""

    def document(found: Mapping[str, str]) -> Document:
        return Document(found["type"], found["raw"].encode())

    return [
        Sample(
            one["way"],
            one["key_name"],
            one["key"],
            Digest.parse(one["digest"]),
            {tag: document(found) for tag, found in one["tags"].items()},
            tuple(map(document, one["documents"])),
            tuple(base64.b64decode(blob) for blob in one["blobs"]),
        )
        for one in json.loads(RECORD.read_text())
    ]


def main() -> None:
    """Sign images with each key and each way, and write the record."""
    programs = {"2": sys.argv[1], "3": sys.argv[2]}
    samples = []
    with tempfile.TemporaryDirectory() as name, running_registry(Path(name) / "registry") as registry:
        folder = Path(name)
        client = RegistryClient(endpoints=Endpoints(((registry.host, registry.url),)))

        def run(program: str, *arguments: str) -> None:
            environment = {**os.environ, "HOME": name, "COSIGN_PASSWORD": ""}
            subprocess.run([program, *arguments], cwd=folder, env=environment, check=True, capture_output=True)

        (folder / "predicate").write_text('{"buildDefinition": {}, "runDetails": {}}')
        for key_name, make in KEYS.items():
            encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
            (folder / "pem").write_bytes(make().private_bytes(encoding, form, serialization.NoEncryption()))
            run(programs["3"], "import-key-pair", "--key", "pem", "--output-key-prefix", key_name)
            for way, flags in WAYS.items():
                repository = Repository(registry.host, f"{way}/{key_name}")
                made = index(("linux/amd64", image([f"{way} {key_name}".encode()])))
                push(client, made, repository.with_tag("1"))
                signed = str(repository.with_digest(made.digest))
                program = programs[way[6]]
                run(program, "sign", "--key", f"{key_name}.key", *flags, signed)
                kind = ("--predicate", "predicate", "--type", SLSA)
                run(program, "attest", "--key", f"{key_name}.key", *flags, *kind, signed)
                key = (folder / f"{key_name}.pub").read_text()
                samples.append({"way": way, "key_name": key_name, "key": key, "digest": str(made.digest)})
                samples[-1] |= _beside(client, repository)
    RECORD.write_text(json.dumps(samples, indent=1) + "\n")


def _beside(client: RegistryClient, repository: Repository) -> dict[str, object]:
    """Everything at the tags of `repository` that cosign made."""
    tags = {tag: client.get_manifest(repository.with_tag(tag)) for tag in client.list_tags(repository) if tag != "1"}
    documents = []
    for document in tags.values():
        if document.media_type in INDEX_TYPES:
            children = json.loads(document.raw)["manifests"]
            documents += [client.get_manifest(repository.with_digest(Digest.parse(c["digest"]))) for c in children]
    blobs = []
    for document in (*tags.values(), *documents):
        parsed = parse(document)
        for layer in parsed.layers if isinstance(parsed, ImageManifest) else ():
            with client.open_blob(repository, layer) as chunks:
                blobs.append(base64.b64encode(b"".join(chunks)).decode())
    return {
        "tags": {tag: {"type": one.media_type, "raw": one.raw.decode()} for tag, one in tags.items()},
        "documents": [{"type": one.media_type, "raw": one.raw.decode()} for one in documents],
        "blobs": blobs,
    }


if __name__ == "__main__":
    main()
