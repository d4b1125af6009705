"""What is known of an upstream image without asking for it: its HEAD, and documents that earlier runs left."""

from __future__ import annotations

from toolkit.oci.descriptor import Descriptor
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.errors import OciError
from toolkit.oci.media_types import INDEX_TYPES
from toolkit.oci.subset import Subset
from toolkit.oci.tree import TreeReader
from toolkit.plan.observed import SourceFault, SourceImage


def preview(head: Descriptor, subset: Subset, cache: DocumentCache) -> SourceImage | SourceFault:
    """The image as far as it is known; a fault when what is known shows that it cannot be copied as wanted."""
    reader = TreeReader(head.digest, subset)
    found = 0
    pending = [head.digest]
    try:
        while pending:
            digest = pending.pop()
            document = cache.get(digest)
            if document is not None:
                found += 1
                pending.extend(reader.add(digest, document))
    except OciError as error:
        return SourceFault("unusable", error.message, error.hint)
    if head.digest in reader.missing:
        is_verbatim = head.media_type not in INDEX_TYPES or subset.is_whole
        return SourceImage(head.digest, head.media_type, wanted_digest=head.digest if is_verbatim else None)
    return SourceImage(
        head.digest,
        head.media_type,
        wanted_digest=reader.digest,
        size=reader.tree().size if reader.is_complete else None,
        # An index inside an index would add to this; registries hold next to none.
        documents=found + len(reader.missing),
        cached_documents=found,
    )
