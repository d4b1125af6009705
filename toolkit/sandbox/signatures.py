"""What a publisher puts beside an image: a signature where cosign has it, and an SBOM that refers to the image.

Real in form and made up in content: nothing verifies them.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from toolkit.oci.digest import Digest
from toolkit.oci.media_types import OCI_CONFIG, OCI_MANIFEST
from toolkit.oci.reference import Reference
from toolkit.sandbox.store import StoredDocument


def make_signature(
    reference: Reference, signed: StoredDocument, keep_blob: Callable[[bytes], Digest]
) -> tuple[str, StoredDocument]:
    """cosign's signature of `signed` and the tag that it belongs under; its blobs are handed out."""
    payload = {
        "critical": {
            "identity": {"docker-reference": f"{reference.registry}/{reference.repository}"},
            "image": {"docker-manifest-digest": str(signed.digest)},
            "type": "cosign container image signature",
        },
        "optional": None,
    }
    layer = _pointer("application/vnd.dev.cosign.simplesigning.v1+json", json.dumps(payload).encode(), keep_blob)
    layer["annotations"] = {"dev.cosignproject.cosign/signature": "bWFkZSB1cA=="}
    config = _pointer(OCI_CONFIG, b'{"architecture":"","os":""}', keep_blob)
    return f"{str(signed.digest).replace(':', '-')}.sig", _document({"config": config, "layers": [layer]})


def make_sbom(signed: StoredDocument, keep_blob: Callable[[bytes], Digest]) -> StoredDocument:
    """An SBOM of `signed` as an OCI 1.1 artifact; its blobs are handed out."""
    kind = "application/spdx+json"
    content = json.dumps({"spdxVersion": "SPDX-2.3", "name": str(signed.digest)}).encode()
    fields: dict[str, object] = {
        "artifactType": kind,
        "config": _pointer("application/vnd.oci.empty.v1+json", b"{}", keep_blob),
        "layers": [_pointer(kind, content, keep_blob)],
        "subject": {"mediaType": signed.media_type, "digest": str(signed.digest), "size": len(signed.raw)},
        "annotations": {"org.opencontainers.image.created": "2024-05-01T00:00:00Z"},
    }
    return _document(fields)


def _pointer(media_type: str, content: bytes, keep_blob: Callable[[bytes], Digest]) -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(keep_blob(content)), "size": len(content)}


def _document(fields: dict[str, object]) -> StoredDocument:
    content = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, **fields}
    return StoredDocument(OCI_MANIFEST, json.dumps(content, indent=2).encode())
