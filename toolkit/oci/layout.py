"""OCI image layouts as source and target of the copy engine: directories that carry images without a network.

Content that is there is not written again, so an interrupted copy continues. Images that share layers store them once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from toolkit.oci.client import ManifestHead, Upload
from toolkit.oci.descriptor import Descriptor, verify
from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document, ImageIndex, media_type_of, parse
from toolkit.oci.errors import (
    DigestMismatch,
    InvalidDocument,
    LayoutIncomplete,
    LayoutUnusable,
    NotFound,
    OciError,
    RegistryError,
)
from toolkit.oci.layout_folder import LayoutFolder
from toolkit.oci.layout_reference import LayoutRepository
from toolkit.oci.reference import Reference, Repository

# A document has some kilobytes. A layer that is read as one by mistake must not fill the memory.
_LARGEST_DOCUMENT = 16 * 2**20


class Layouts:
    """Every layout that a reference may name; safe to share between threads.

    `hides_partial`: an incomplete image counts as absent, by name and by digest, so that a copy completes it. A source
    shows it, because the platforms that a layout lacks may not be wanted.
    """

    def __init__(self, *, hides_partial: bool = False) -> None:
        self._hides_partial = hides_partial
        self._folders: dict[Repository, LayoutFolder] = {}
        self._are_prepared: set[Repository] = set()
        self._lock = threading.Lock()
        self._preparing = threading.Lock()

    def find(self, ref: Reference) -> Digest:
        """What `ref` points to; the only image if it names none. NotFound lists the images of the layout."""
        if ref.digest is not None:
            return ref.digest
        folder = self._folder(ref.name)
        if not folder.is_layout:
            raise _missing(ref.name, f"`{ref.name}` is no image layout: it has no `oci-layout`")
        found = {descriptor.digest for descriptor in folder.find(ref.tag)}
        if len(found) == 1:
            return found.pop()
        names = ", ".join(sorted(f"`{name}`" if name else "one without a name" for name in folder.names()))
        wanted = f"{len(found) or 'no'} image{'s' if found else ''}{f' called `{ref.tag}`' if ref.tag else ''}"
        raise _missing(ref.name, f"`{ref.name}` holds {wanted}; it has {names or 'nothing'}")

    def check_fillable(self, repository: Repository) -> None:
        """LayoutUnusable if images cannot be put there."""
        self._folder(repository).check_fillable()

    def head_manifest(self, ref: Reference) -> ManifestHead | None:
        """What a name or digest points to; None without it."""
        folder = self._folder(ref.name)
        if not folder.is_layout:
            folder.check_fillable()
            return None
        try:
            digest = self.find(ref)
            document = self._read(ref.name, digest)
        except NotFound:
            return None
        except (DigestMismatch, InvalidDocument):
            if not self._hides_partial:
                raise
            return None
        if self._hides_partial and not self._is_whole(ref.name, document):
            return None
        return ManifestHead(Descriptor(document.media_type, digest, len(document.raw)))

    def get_manifest(self, ref: Reference) -> Document:
        """The document, checked against its digest."""
        return self._read(ref.name, self.find(ref))

    def list_referrers(self, repository: Repository, subject: Digest) -> tuple[Descriptor, ...] | None:
        """None: a layout has no such list. What we copied there has an index of them under the referrers tag."""
        return None

    def list_tags(self, repository: Repository) -> tuple[str, ...]:
        """The names in the layout; NotFound when it has none."""
        folder = self._folder(repository)
        names = tuple(name for name in folder.names() if name) if folder.is_layout else ()
        if not names:
            raise _missing(repository, f"`{repository}` holds no image with a name")
        return names

    def put_manifest(self, ref: Reference, document: Document) -> None:
        """Store a document under its name; all that it points to must be there."""
        folder = self._folder(ref.name)
        for part in _parts(document):
            size = folder.size(part.digest)
            if size is None:
                raise RegistryError(
                    f"`{ref.name}` lacks `{part.digest}`, which `{ref}` points to",
                    status=404,
                    host=str(ref.name),
                    error_codes=("MANIFEST_BLOB_UNKNOWN",),
                )
            if size != part.size:
                raise LayoutUnusable(
                    f"`{folder.blob(part.digest)}` has {size} bytes, not {part.size}", hint="delete it and run again"
                )
        digest = ref.digest or document.digest
        content = Descriptor(document.media_type, digest, len(document.raw))
        self._write(self._prepared(ref.name), content, [document.raw])
        if ref.digest is None and ref.tag is not None:
            folder.name(ref.tag, content)

    def has_blob(self, repository: Repository, digest: Digest) -> bool:
        """Whether the layout has the blob."""
        return self._folder(repository).size(digest) is not None

    @contextmanager
    def open_blob(self, repository: Repository, descriptor: Descriptor, offset: int = 0) -> Iterator[Iterator[bytes]]:
        """The blob's bytes from `offset` on, not verified."""
        folder = self._folder(repository)
        size = folder.size(descriptor.digest)
        if size != descriptor.size:
            raise _incomplete(repository, descriptor.digest, size, descriptor.size)
        with folder.read(descriptor.digest, offset) as chunks:
            yield chunks

    def begin_upload(
        self, repository: Repository, digest: Digest, mount_from: Repository | None = None
    ) -> Upload | None:
        """A session for one blob, which leaves nothing behind; None if the file of `mount_from` is shared instead."""
        folder = self._prepared(repository)
        if mount_from is not None and folder.link(digest, self._folder(mount_from)):
            return None
        return Upload(repository, str(digest))

    def put_blob(self, upload: Upload, descriptor: Descriptor, chunks: Iterable[bytes]) -> None:
        """Write all bytes; the blob gets its name only if they are right."""
        self._write(self._folder(upload.repository), descriptor, chunks)

    def cancel_upload(self, upload: Upload) -> None:
        """Do nothing: a failed upload leaves nothing behind."""

    def _folder(self, repository: Repository) -> LayoutFolder:
        if not isinstance(repository, LayoutRepository):
            raise TypeError(f"{repository} is no layout")
        with self._lock:
            return self._folders.setdefault(repository, LayoutFolder(repository.folder))

    def _prepared(self, repository: Repository) -> LayoutFolder:
        """The folder, made a layout and cleaned once per run."""
        folder = self._folder(repository)
        with self._preparing:
            if repository not in self._are_prepared:
                folder.prepare()
                self._are_prepared.add(repository)
        return folder

    @staticmethod
    def _write(folder: LayoutFolder, descriptor: Descriptor, chunks: Iterable[bytes]) -> None:
        with folder.new_blob(descriptor.digest) as write:
            for chunk in verify(chunks, descriptor):
                write(chunk)

    def _read(self, repository: Repository, digest: Digest) -> Document:
        folder = self._folder(repository)
        size = folder.size(digest)
        if size is None:
            raise _incomplete(repository, digest, size)
        if size > _LARGEST_DOCUMENT:
            raise InvalidDocument(f"`{digest}` in `{repository}` has {size} bytes and is no document")
        with folder.read(digest) as chunks:
            raw = b"".join(chunks)
        found = Digest.of(raw, digest.algorithm)
        if found != digest:
            raise DigestMismatch(f"`{folder.blob(digest)}` has other content: its digest is `{found}`")
        return Document(media_type_of(None, raw), raw)

    def _is_whole(self, repository: Repository, document: Document) -> bool:
        folder = self._folder(repository)
        try:
            parts = _parts(document)
            if any(folder.size(part.digest) != part.size for part in parts):
                return False
            parsed = parse(document)
            return not isinstance(parsed, ImageIndex) or all(
                self._is_whole(repository, self._read(repository, child.digest)) for child in parsed.documents
            )
        except (OciError, RecursionError):  # damaged counts as absent
            return False


def _parts(document: Document) -> tuple[Descriptor, ...]:
    parsed = parse(document)
    return parsed.manifests if isinstance(parsed, ImageIndex) else parsed.blobs


def _incomplete(repository: Repository, digest: Digest, size: int | None, wanted: int = 0) -> LayoutIncomplete:
    lack = f"lacks `{digest}`" if size is None else f"has {size} bytes of `{digest}`, not {wanted}"
    return LayoutIncomplete(
        f"`{repository}` {lack}", status=404, host=str(repository), error_codes=("MANIFEST_BLOB_UNKNOWN",)
    )


def _missing(repository: Repository, message: str) -> NotFound:
    return NotFound(message, status=404, host=str(repository), error_codes=("MANIFEST_UNKNOWN",))
