"""The parts of an image: its documents from the top down, and the blobs that they name.

`TreeReader` does no I/O: it says which documents it needs next and takes them in any order. So they may be read at the
same time, or one after the other by `read_tree`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from toolkit.oci.descriptor import Descriptor, Platform
from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document, ImageIndex, ImageManifest, parse, read_object
from toolkit.oci.errors import InvalidDocument, MissingPlatform
from toolkit.oci.filtered_index import filter_index, is_attestation
from toolkit.oci.media_types import CONFIG_TYPES
from toolkit.oci.subset import WHOLE, Subset

# An index of indexes is rare; deeper nesting is an attack.
_DEEPEST = 4
# Of one image. The largest that are known have some hundred, and signatures by the hundred; every one is a request.
_MOST_DOCUMENTS = 2000
_MOST_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class ImageTree:
    """A whole image. `digest` is what a tag at the destination has to point to.

    `levels` are the digests of the documents, children before what points to them; the last level is `digest` alone.
    `config` is set where only the configuration tells the platform: see `check_platform`.
    """

    digest: Digest
    documents: dict[Digest, Document] = field(repr=False)
    levels: tuple[tuple[Digest, ...], ...]
    blobs: tuple[Descriptor, ...]
    config: Descriptor | None = None

    @property
    def size(self) -> int:
        """Bytes of all blobs."""
        return sum(blob.size for blob in self.blobs)


class TreeReader:
    """Collects the documents of one image; not for use by two threads at a time."""

    def __init__(self, digest: Digest, subset: Subset) -> None:
        self._source_digest = digest
        self._digest = digest
        self._subset = subset
        self._documents: dict[Digest, Document] = {}
        self._parsed: dict[Digest, ImageManifest | ImageIndex] = {}
        self._attestations: set[Digest] = set()
        self._wanted = {digest}
        self._depths = {digest: 0}
        self._size = 0

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return not self._wanted

    @property
    def missing(self) -> frozenset[Digest]:
        """The documents that are still to be read, as far as those taken so far tell."""
        return frozenset(self._wanted)

    @property
    def taken(self) -> int:
        """How many documents were taken so far."""
        return len(self._documents)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The blobs that the documents taken so far name, each once."""
        return tuple({blob.digest: blob for parsed in self._parsed.values() for blob in parsed.blobs}.values())

    @property
    def digest(self) -> Digest:
        """What a tag at the destination has to point to; final once the top document was taken."""
        return self._digest

    def is_attestation(self, digest: Digest) -> bool:
        """Whether an index that was taken names this document as an attestation, without which the image is whole."""
        return digest in self._attestations

    def add(self, digest: Digest, document: Document) -> tuple[Digest, ...]:
        """Take a document that is missing; returns the documents to read next.

        The first one is the source's top document. Raises OciError if it cannot be copied.
        """
        self._wanted.discard(digest)
        depth = self._depths[digest]
        parsed = parse(document)
        if digest == self._source_digest and isinstance(parsed, ImageIndex) and not self._subset.is_whole:
            document = filter_index(document, self._subset, digest)
            digest = self._digest = document.digest
            parsed = parse(document)
        self._documents[digest] = document
        self._parsed[digest] = parsed
        self._size += len(document.raw)
        if self._size > _MOST_BYTES:
            raise InvalidDocument(f"the image's documents have more than {_MOST_BYTES:,} bytes together")
        if not isinstance(parsed, ImageIndex):
            return ()
        children = tuple(dict.fromkeys(child.digest for child in parsed.documents))
        self._attestations.update(child.digest for child in parsed.manifests if is_attestation(child))
        if children and depth == _DEEPEST:
            raise InvalidDocument(f"indexes point to indexes more than {_DEEPEST} deep")
        missing = tuple(d for d in children if d not in self._depths)
        if len(self._depths) + len(missing) > _MOST_DOCUMENTS:
            raise InvalidDocument(f"the image consists of more than {_MOST_DOCUMENTS:,} documents")
        self._depths.update(dict.fromkeys(missing, depth + 1))
        self._wanted.update(missing)
        return missing

    def tree(self) -> ImageTree:
        """The image; all documents must be there."""
        top = self._parsed[self._digest]
        config = top.config if isinstance(top, ImageManifest) and self._subset.platforms is not None else None
        return ImageTree(
            digest=self._digest,
            documents=self._documents,
            levels=self._levels(),
            blobs=self.blobs,
            config=config if config is not None and config.media_type in CONFIG_TYPES else None,
        )

    def _levels(self) -> tuple[tuple[Digest, ...], ...]:
        """A document's level is its longest way from the top, so a child comes before all that points to it."""
        depths: dict[Digest, int] = {}
        frontier = [self._digest]
        depth = 0
        while frontier:  # ends: content that is named by its hash cannot contain itself
            depths.update(dict.fromkeys(frontier, depth))
            frontier = list(dict.fromkeys(child for digest in frontier for child in self._children(digest)))
            depth += 1
        return tuple(tuple(d for d, at in depths.items() if at == level) for level in range(depth - 1, -1, -1))

    def _children(self, digest: Digest) -> tuple[Digest, ...]:
        parsed = self._parsed[digest]
        return tuple(child.digest for child in parsed.documents) if isinstance(parsed, ImageIndex) else ()


def children_of(document: Document) -> tuple[Digest, ...]:
    """The documents that an index lists; none for an image."""
    return TreeReader(document.digest, WHOLE).add(document.digest, document)


def read_tree(reader: TreeReader, top: Digest, read: Callable[[Digest], Document]) -> ImageTree:
    """The image, its documents read one after the other."""
    pending = [top]
    while pending:
        digest = pending.pop()
        pending.extend(reader.add(digest, read(digest)))
    return reader.tree()


def check_platform(config: bytes, platforms: Sequence[Platform]) -> None:
    """MissingPlatform unless the image with this configuration is for every wanted platform."""
    found = read_object(config)
    system, architecture, variant, version = (found.get(k) for k in ("os", "architecture", "variant", "os.version"))
    if not isinstance(system, str) or not isinstance(architecture, str):
        raise InvalidDocument("the image's configuration names no platform")
    platform = Platform(
        system,
        architecture,
        variant if isinstance(variant, str) else "",
        version if isinstance(version, str) else "",
    )
    missing = [str(wanted) for wanted in platforms if not platform.matches(wanted)]
    if missing:
        raise MissingPlatform(
            f"the image is for `{platform}` only, not for {', '.join(f'`{name}`' for name in missing)}",
            offered=(str(platform),),
        )
