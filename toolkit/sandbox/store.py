"""The files of a registry stand-in: blobs by digest, links from repositories to blobs, documents, and tags.

Each blob is stored once, and a repository with a link to it has the blob. Writes are atomic: content is written to a
temporary file and moved into place.
"""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from toolkit.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """An image manifest or index, byte for byte as it was pushed."""

    media_type: str
    raw: bytes = field(repr=False)

    @property
    def digest(self) -> Digest:
        """The digest of `raw`."""
        return Digest.of(self.raw)


class WrongDigest(Exception):
    """Uploaded content does not have the announced digest."""


class Documents(Protocol):
    """Manifests, indexes and tags of a registry; `target` is a tag or a digest."""

    def find(self, repository: str, target: str) -> StoredDocument | None:
        """The document; None if it does not exist."""
        ...

    def put(self, repository: str, document: StoredDocument, tag: str | None) -> None:
        """Store `document` and point `tag` to it."""
        ...

    def all(self, repository: str) -> list[StoredDocument]:
        """Every document of the repository, in any order."""
        ...

    def delete(self, repository: str, target: str) -> bool:
        """Delete a tag, or a document with all its tags; False if it does not exist."""
        ...

    def tags(self, repository: str) -> list[str]:
        """The tags in alphabetical order."""
        ...

    def has_repository(self, repository: str) -> bool:
        """Whether the repository exists; it may be empty."""
        ...


class BlobStore:
    """Blobs and unfinished uploads in `folder`; thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._blobs = folder / "blobs"
        self._uploads = folder / "uploads"
        self._repositories = folder / "repositories"
        shutil.rmtree(self._uploads, ignore_errors=True)  # uploads of an earlier server
        for path in (self._blobs, self._uploads, self._repositories):
            path.mkdir(parents=True, exist_ok=True)

    def find(self, repository: str, digest: Digest) -> Path | None:
        """The file of a blob; None if `repository` does not have it."""
        return self._content(digest) if self._link(repository, digest).exists() else None

    def exists(self, digest: Digest) -> bool:
        """Whether any repository ever had this blob."""
        return self._content(digest).exists()

    def put(self, repository: str, content: bytes) -> Digest:
        """Store `content` as a blob of `repository`."""
        digest = Digest.of(content)
        path = self._content(digest)
        if not path.exists():
            write_atomically(path, content)
        self.link(repository, digest)
        return digest

    def link(self, repository: str, digest: Digest) -> None:
        """Add an existing blob to `repository`."""
        link = self._link(repository, digest)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.touch()

    def unlink(self, repository: str, digest: Digest) -> bool:
        """Remove a blob from `repository`; False if it did not have it."""
        try:
            self._link(repository, digest).unlink()
        except FileNotFoundError:
            return False
        return True

    def forget(self, repository: str) -> None:
        """Remove every blob from `repository`."""
        shutil.rmtree(self._repositories / repository / "_blobs", ignore_errors=True)

    def begin_upload(self) -> str:
        """Start an empty upload and return its name."""
        name = secrets.token_hex(16)
        (self._uploads / name).touch()
        return name

    def upload_size(self, name: str) -> int | None:
        """Bytes received so far; None if there is no such upload."""
        try:
            return (self._uploads / name).stat().st_size
        except FileNotFoundError:
            return None

    def append(self, name: str, chunks: Iterable[bytes]) -> None:
        """Append to an upload; chunks before a failure stay."""
        with (self._uploads / name).open("ab") as file:
            for chunk in chunks:
                file.write(chunk)

    def finish_upload(self, name: str, repository: str, digest: Digest) -> None:
        """Turn an upload into a blob. WrongDigest if the content does not match; the upload is then deleted."""
        path = self._uploads / name
        hasher = digest.hasher()
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                hasher.update(chunk)
        if hasher.hexdigest() != digest.hex:
            path.unlink()
            raise WrongDigest
        place = self._content(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)
        self.link(repository, digest)

    def cancel_upload(self, name: str) -> None:
        """Delete an upload."""
        (self._uploads / name).unlink(missing_ok=True)

    def _content(self, digest: Digest) -> Path:
        return self._blobs / digest.algorithm / digest.hex[:2] / digest.hex

    def _link(self, repository: str, digest: Digest) -> Path:
        # No component of a repository's name begins with an underscore.
        return self._repositories / repository / "_blobs" / digest.algorithm / digest.hex


class DiskDocuments:
    """Documents in `folder`, for the registries other than ECR."""

    def __init__(self, folder: Path) -> None:
        self._repositories = folder / "repositories"
        self._lock = threading.Lock()

    def find(self, repository: str, target: str) -> StoredDocument | None:
        """The document; None if it does not exist."""
        folder = self._repositories / repository
        try:
            digest = target if ":" in target else (folder / "_tags" / target).read_text()
            media_type, _, raw = (folder / "_documents" / digest).read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        return StoredDocument(media_type.decode(), raw)

    def put(self, repository: str, document: StoredDocument, tag: str | None) -> None:
        """Store `document` and point `tag` to it."""
        folder = self._repositories / repository
        digest = str(document.digest)
        with self._lock:
            write_atomically(folder / "_documents" / digest, document.media_type.encode() + b"\n" + document.raw)
            if tag is not None:
                write_atomically(folder / "_tags" / tag, digest.encode())

    def delete(self, repository: str, target: str) -> bool:
        """Delete a tag, or a document with all its tags; False if it does not exist."""
        folder = self._repositories / repository
        with self._lock:
            path = folder / ("_documents" if ":" in target else "_tags") / target
            if not path.exists():
                return False
            path.unlink()
            for tag in _tag_files(folder) if ":" in target else ():
                if tag.read_text() == target:
                    tag.unlink()
            return True

    def all(self, repository: str) -> list[StoredDocument]:
        """Every document of the repository, in any order."""
        paths = (self._repositories / repository / "_documents").glob("*:*")
        found = (self.find(repository, path.name) for path in paths if not path.name.startswith("."))
        return [document for document in found if document is not None]

    def tags(self, repository: str) -> list[str]:
        """The tags in alphabetical order."""
        return sorted(path.name for path in _tag_files(self._repositories / repository))

    def has_repository(self, repository: str) -> bool:
        """Whether a document was ever stored in the repository."""
        return (self._repositories / repository / "_documents").exists()

    def references(self) -> list[str]:
        """`<repository>:<tag>` of every tag, in alphabetical order."""
        return sorted(
            f"{tags.parent.relative_to(self._repositories)}:{path.name}"
            for tags in self._repositories.rglob("_tags")
            for path in _tag_files(tags.parent)
        )


def _tag_files(folder: Path) -> list[Path]:
    # A name with a leading dot is a temporary file of `write_atomically`.
    return [path for path in (folder / "_tags").glob("*") if not path.name.startswith(".")]


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that readers never see a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    beside.write_bytes(content)
    beside.replace(path)
