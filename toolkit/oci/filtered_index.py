"""An index cut down to some platforms, with the same bytes every time, and the origin that such an index names.

It is an OCI index, also when made from a Docker manifest list, because only OCI's has annotations. The kept children
are the source's own JSON objects in the source's order. Two annotations of ours name the source's digest and the
selection, so that a later run learns from the destination alone, without a counted pull, what the index was made from.

Readers outside of `toolkit.oci` take `Document` from here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from toolkit.oci.descriptor import Descriptor, Platform
from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document, ImageIndex, parse, read_object
from toolkit.oci.errors import InvalidDigest, InvalidDocument, MissingPlatform, UnsupportedDocument
from toolkit.oci.media_types import OCI_INDEX
from toolkit.oci.subset import Subset

__all__ = [
    "SELECTION",
    "SOURCE_DIGEST",
    "Document",
    "filter_index",
    "is_attestation",
    "platforms_of",
    "read_provenance",
    "select_children",
]

SOURCE_DIGEST = "io.base-image-toolkit.source.digest"
SELECTION = "io.base-image-toolkit.selection"

_REFERENCE_TYPE = "vnd.docker.reference.type"
_REFERENCE_DIGEST = "vnd.docker.reference.digest"


def filter_index(document: Document, subset: Subset, source_digest: Digest) -> Document:
    """The index in `document` with the wanted children only.

    Raises MissingPlatform when the source lacks a wanted one. A `subject` is left out: it is the old index's.
    """
    index = parse(document)
    if not isinstance(index, ImageIndex):
        raise UnsupportedDocument("an image for a single platform has no platforms to choose from")
    kept = select_children(index, subset)
    found = read_object(document.raw)
    children = found.get("manifests") or []
    if not isinstance(children, list):  # `parse` has checked it
        raise InvalidDocument("`manifests` is no list")
    own = {SOURCE_DIGEST: str(source_digest), SELECTION: str(subset)}
    filtered: dict[str, object] = {"schemaVersion": 2, "mediaType": OCI_INDEX}
    if index.artifact_type:
        filtered["artifactType"] = index.artifact_type
    filtered["manifests"] = [children[position] for position in kept]
    filtered["annotations"] = {key: value for key, value in index.annotations if key not in own} | own
    try:
        # ASCII only: JSON can spell a lone surrogate, which UTF-8 cannot.
        raw = json.dumps(filtered, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except ValueError:
        raise InvalidDocument("an index has a number that JSON cannot spell") from None
    return Document(OCI_INDEX, raw.encode("ascii"))


def select_children(index: ImageIndex, subset: Subset) -> tuple[int, ...]:
    """The positions of the wanted children in `index.manifests`."""
    if subset.platforms is not None:
        _check_offer(index, subset.platforms)
    images = {
        child.digest for child in index.manifests if not is_attestation(child) and subset.includes(child.platform)
    }

    def is_kept(child: Descriptor) -> bool:
        if not is_attestation(child):
            return subset.includes(child.platform)
        return subset.keeps_attestations and child.annotation(_REFERENCE_DIGEST) in {str(digest) for digest in images}

    return tuple(position for position, child in enumerate(index.manifests) if is_kept(child))


def read_provenance(raw: bytes) -> tuple[Digest, str] | None:
    """The source digest and the selection that a filtered index of ours names; None for anything else."""
    try:
        annotations = read_object(raw).get("annotations")
        if not isinstance(annotations, dict):
            return None
        selection = annotations.get(SELECTION)
        digest = annotations.get(SOURCE_DIGEST)
        if not isinstance(selection, str) or not isinstance(digest, str):
            return None
        return Digest.parse(digest), selection
    except (InvalidDocument, InvalidDigest):
        return None


def platforms_of(document: Document) -> Mapping[Digest, Platform | None]:
    """The platform of each child of an index, in its order; None for an attestation and where none is named."""
    index = parse(document)
    children = index.manifests if isinstance(index, ImageIndex) else ()
    return {child.digest: None if is_attestation(child) else child.platform for child in children}


def is_attestation(child: Descriptor) -> bool:
    """Whether a child of an index is BuildKit's attestation of another child."""
    return child.annotation(_REFERENCE_TYPE) == "attestation-manifest"


def _check_offer(index: ImageIndex, platforms: Sequence[Platform]) -> None:
    offered = [c.platform for c in index.manifests if c.platform is not None and not is_attestation(c)]
    missing = [str(wanted) for wanted in platforms if not any(platform.matches(wanted) for platform in offered)]
    if not missing:
        return
    names = tuple(dict.fromkeys(str(platform) for platform in offered))
    raise MissingPlatform(
        f"the index has no image for {_list(missing)}; it offers {_list(names) if names else 'none'}", offered=names
    )


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
