"""Documents by digest, kept so that none is read twice: a read may be a counted pull.

They are kept in memory for the run and, if there is a directory, on disk for the next run. Each file is checked when it
is read: its bytes against its name, its type against its bytes. It is written under another name first. A file that is
deleted or damaged, or a disk that is full, costs no more than another read.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document, parse, read_object
from toolkit.oci.errors import DigestMismatch, InvalidDocument, OciError
from toolkit.oci.local_files import make_own_folder, read_regular, refuse_links
from toolkit.oci.media_types import OCI_INDEX, OCI_MANIFEST

_IN_MEMORY = 8 * 2**20
_ON_DISK = 64 * 2**20
# A full directory is emptied to this share, so that not every write has to look at all files.
_KEPT_SHARE = 0.75


@dataclass(slots=True)
class _Reading:
    """A document that `readers` threads want at the moment; one of them reads it."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    readers: int = 0


class DocumentCache:
    """Safe to share between threads, and its directory between processes. Limits are in bytes.

    `on_unusable` is called once, when nothing can be written to the directory.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        limit: int = _ON_DISK,
        memory_limit: int = _IN_MEMORY,
        on_unusable: Callable[[Path, OSError], None] | None = None,
    ) -> None:
        self._directory = directory
        self._on_unusable = on_unusable
        self._limit = limit
        self._memory_limit = memory_limit
        self._memory: OrderedDict[Digest, Document] = OrderedDict()
        self._memory_size = 0
        self._disk_size: int | None = None
        self._lock = threading.Lock()
        self._reading: dict[Digest, _Reading] = {}

    def get(self, digest: Digest) -> Document | None:
        """The document, if it is kept."""
        with self._lock:
            document = self._memory.get(digest)
            if document is not None:
                self._memory.move_to_end(digest)
                return document
        document = self._read_file(digest)
        if document is not None:
            self._remember(digest, document)
        return document

    def put(self, digest: Digest, document: Document) -> None:
        """Keep `document`; DigestMismatch if it is not what `digest` says, and OciError if it cannot be read.

        A registry may serve the right bytes under a wrong type once; every later run would get that type from here.
        """
        _check(digest, document.raw)
        parse(document)
        self._remember(digest, document)
        self._write_file(digest, document)

    def get_or_read(self, digest: Digest, read: Callable[[], Document]) -> tuple[Document, bool]:
        """The document, and whether `read` was called for it.

        One thread reads a document, and the others that want it wait for that one. An error is raised in that one only.
        """
        with self._lock:
            reading = self._reading.setdefault(digest, _Reading())
            reading.readers += 1
        try:
            with reading.turn:
                document = self.get(digest)
                if document is not None:
                    return document, False
                document = read()
                self.put(digest, document)
                return document, True
        finally:
            with self._lock:
                reading.readers -= 1
                if not reading.readers:
                    del self._reading[digest]

    def _remember(self, digest: Digest, document: Document) -> None:
        with self._lock:
            before = self._memory.pop(digest, None)
            self._memory[digest] = document
            self._memory_size += len(document.raw) - (len(before.raw) if before else 0)
            while self._memory_size > self._memory_limit and len(self._memory) > 1:
                self._memory_size -= len(self._memory.popitem(last=False)[1].raw)

    def _read_file(self, digest: Digest) -> Document | None:
        path = self._path(digest)
        if path is None:
            return None
        try:
            refuse_links(path.parent)
            media_type, _, raw = read_regular(path, _ON_DISK, follows_link=False).partition(b"\n")
            _check(digest, raw)
            document = Document(media_type.decode("ascii"), raw)
            _check_type(document)
            os.utime(path, follow_symlinks=False)  # the longest unused goes first
            return document
        except (OciError, UnicodeDecodeError):
            with suppress(OSError):
                path.unlink()
            return None
        except OSError:
            return None  # not there, or not readable: the same as never kept

    def _write_file(self, digest: Digest, document: Document) -> None:
        path = self._path(digest)
        if path is None:
            return
        content = document.media_type.encode("ascii", "replace") + b"\n" + document.raw
        try:
            make_own_folder(path.parent)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
            temporary = Path(name)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:  # a full or read-only disk costs the next run a read, and this one nothing
            with self._lock:
                tell, self._on_unusable = self._on_unusable, None
            if tell is not None:
                tell(path.parent, error)
            return
        with suppress(OSError):  # another run may make room at the same time
            self._make_room(path.parent, len(content))

    def _path(self, digest: Digest) -> Path | None:
        return None if self._directory is None else self._directory / f"{digest.algorithm}-{digest.hex}"

    def _make_room(self, directory: Path, added: int) -> None:
        with self._lock:
            if self._disk_size is not None:
                self._disk_size += added
                if self._disk_size <= self._limit:
                    return
            found = [(entry.stat(follow_symlinks=False), entry.path) for entry in os.scandir(directory)]
            files = [(about.st_mtime_ns, about.st_size, path) for about, path in found]
            total = sum(size for _, size, _ in files)
            if total > self._limit:
                for _, size, name in sorted(files):
                    if total <= self._limit * _KEPT_SHARE:
                        break
                    Path(name).unlink(missing_ok=True)
                    total -= size
            self._disk_size = total


def _check_type(document: Document) -> None:
    """Raise OciError where the type, which no digest covers, is not that of the bytes.

    A document that does not name its type can only be OCI's: the other formats require it.
    """
    parse(document)
    if document.media_type not in (OCI_INDEX, OCI_MANIFEST) and "mediaType" not in read_object(document.raw):
        raise InvalidDocument(f"a document does not say itself that it is `{document.media_type}`")


def _check(digest: Digest, raw: bytes) -> None:
    found = Digest.of(raw, digest.algorithm)
    if found != digest:
        raise DigestMismatch(f"the document `{digest}` has other content: its digest is `{found}`")
