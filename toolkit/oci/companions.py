"""What is kept beside an image: signatures, attestations and SBOMs under cosign's digest tags, and OCI 1.1 referrers.

cosign names its tags after the digest that they are about. Referrers are documents with a `subject`; the registry lists
them, or, where it has no such API, their publisher keeps an index of them under the *referrers tag*. A copy always gets
that index and that tag: readers of both kinds find them, and a rule that expires untagged images spares them.

An index that we make from a registry's list has the same bytes whatever the order of the list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable

from toolkit.oci.descriptor import Descriptor
from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document, media_type_of
from toolkit.oci.filtered_index import read_provenance
from toolkit.oci.media_types import INDEX_TYPES, OCI_INDEX
from toolkit.oci.subset import Subset
from toolkit.oci.tree import TreeReader, children_of

_KINDS = {".sig": "signature", ".att": "attestations", ".sbom": "SBOM"}
_LONGEST_HEX = 64  # the standard cuts what would be too long for a tag
_COMPANION_TAG = re.compile(r"(sha256|sha512)-([0-9a-f]{64})(\.[a-z]+)?")


def referrers_tag(subject: Digest) -> str:
    """The tag of the index of the documents that refer to `subject`."""
    return f"{subject.algorithm}-{subject.hex[:_LONGEST_HEX]}"


def cosign_tags(subject: Digest) -> tuple[str, ...]:
    """The tags that cosign may have made for `subject`; none for a digest that is too long for a tag."""
    if len(subject.hex) > _LONGEST_HEX:
        return ()
    return tuple(f"{referrers_tag(subject)}{suffix}" for suffix in _KINDS)


def is_companion_tag(tag: str) -> bool:
    """Whether `tag` is named after a digest, as those of signatures and referrers are."""
    return _COMPANION_TAG.fullmatch(tag) is not None


def subject_of(tag: str) -> Digest | None:
    """The digest after which `tag` is named; None for any other tag, and for one that has a part of the digest only."""
    found = _COMPANION_TAG.fullmatch(tag)
    return Digest(found[1], found[2]) if found and found[1] == "sha256" else None


def kind_of(tag: str) -> str:
    """What is under a companion's tag, in a word for readers."""
    return next((kind for suffix, kind in _KINDS.items() if tag.endswith(suffix)), "referrers")


def referrers_index(referrers: Iterable[Descriptor]) -> Document:
    """The index of `referrers`, whatever their order."""
    unique = {referrer.digest: referrer for referrer in referrers}
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [_fields(unique[digest]) for digest in sorted(unique)],
    }
    return Document(OCI_INDEX, json.dumps(document, separators=(",", ":"), ensure_ascii=True).encode("ascii"))


def find_subjects(
    source: Descriptor,
    subset: Subset,
    stored: bytes | None,
    read: Callable[[], Document],
) -> tuple[Digest, ...]:
    """The digests of a copy of `source` that upstream's signatures can be about.

    Those are the document itself, unless an index is cut down to some platforms, which gives it another digest, and the
    children that are kept. The children are always among them, so that a second plan finds the same as the first one.
    They are read from `stored`, the destination's document, if that was made of `source`, and otherwise from the
    source's index, for which `read` is called. Raises OciError as a copy does.
    """
    if source.media_type not in INDEX_TYPES:
        return (source.digest,)
    reader = TreeReader(source.digest, subset)
    if stored is not None and subset.is_whole and Digest.of(stored, source.digest.algorithm) == source.digest:
        children = reader.add(source.digest, Document(source.media_type, stored))
    elif stored is not None and not subset.is_whole and read_provenance(stored) == (source.digest, str(subset)):
        document = Document(media_type_of(None, stored), stored)
        children = children_of(document)
    else:
        children = reader.add(source.digest, read())
    return (source.digest, *children) if subset.is_whole else children


def _fields(referrer: Descriptor) -> dict[str, object]:
    fields: dict[str, object] = {
        "mediaType": referrer.media_type,
        "digest": str(referrer.digest),
        "size": referrer.size,
    }
    if referrer.annotations:
        fields["annotations"] = dict(sorted(referrer.annotations))
    if referrer.artifact_type:
        fields["artifactType"] = referrer.artifact_type
    return fields
