"""Reads manifests and indexes as far as a registry needs: their links, and the document that a client can read.

It is separate from `toolkit.oci.documents` on purpose: with the product's reader, a stand-in would share its faults.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from werkzeug.datastructures import MIMEAccept
from werkzeug.wrappers import Response

from toolkit.oci.media_types import (
    INDEX_TYPES,
    MANIFEST_TYPES,
)
from toolkit.sandbox.store import StoredDocument


class RegistryFault(Exception):
    """A refusal: the status, one error of the distribution API, and headers such as a challenge."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        detail: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.detail = detail
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The response, with the JSON body that the distribution API prescribes."""
        error = {"code": self.code, "message": self.message}
        body = {"errors": [error if self.detail is None else error | {"detail": self.detail}]}
        return Response(json.dumps(body), self.status, self.headers, content_type="application/json")


def read_links(document: StoredDocument) -> list[str]:
    """Digests of the children of an index, or of the blobs of a manifest; RegistryFault if it is neither."""
    found = _read(document)
    try:
        if document.media_type in INDEX_TYPES:
            return [child["digest"] for child in found["manifests"]]
        # Layers with `urls` stay at their owner's server.
        return [found["config"]["digest"], *(layer["digest"] for layer in found["layers"] if not layer.get("urls"))]
    except (KeyError, TypeError):
        raise RegistryFault(400, "MANIFEST_INVALID", "manifest invalid") from None


def read_subject(document: StoredDocument) -> str | None:
    """The digest of the document that this one refers to; None if there is none."""
    subject = _read(document).get("subject")
    return subject.get("digest") if isinstance(subject, dict) else None


def describe_referrer(document: StoredDocument) -> dict[str, object]:
    """The entry for a document in a list of referrers."""
    found = _read(document)
    kind = found.get("artifactType") or found.get("config", {}).get("mediaType")
    return {
        "mediaType": document.media_type,
        "digest": str(document.digest),
        "size": len(document.raw),
        **({"artifactType": kind} if kind else {}),
        **({"annotations": found["annotations"]} if found.get("annotations") else {}),
    }


def choose(
    document: StoredDocument, accept: MIMEAccept, find: Callable[[str], StoredDocument | None]
) -> StoredDocument | None:
    """The document that a client which accepts `accept` gets for a tag.

    For an index that the client cannot read, it is the image for linux/amd64, as registries do for old clients. The
    same tag then has another digest.
    """
    if not accept or accept.best_match([document.media_type]) is not None:
        return document
    if document.media_type in INDEX_TYPES:
        for child in _read(document)["manifests"]:
            platform = child.get("platform", {})
            if (platform.get("os"), platform.get("architecture")) == ("linux", "amd64"):
                return choose(found, accept, find) if (found := find(child["digest"])) else None
    return None


def _read(document: StoredDocument) -> dict[str, Any]:
    if document.media_type not in INDEX_TYPES | MANIFEST_TYPES:
        raise RegistryFault(400, "MANIFEST_INVALID", f"manifests of type `{document.media_type}` are not accepted")
    try:
        found = json.loads(document.raw)
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("mediaType", document.media_type) != document.media_type:
        raise RegistryFault(400, "MANIFEST_INVALID", "manifest invalid")
    return found
