"""What a registry stand-in keeps, on disk: blobs by digest, links that say which repository has them, tags.

A blob is stored once whoever pushes it; a repository has it when it has a link. Nothing is ever half there: content is
written beside its place and moved into it.
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
        """Computed from the bytes."""
        return Digest.of(self.raw)


class WrongDigest(Exception):
    """Uploaded content that is not what its digest says."""


class Documents(Protocol):
    """Manifests, indexes and tags of a registry; `target` is a tag or a digest."""

    def find(self, repository: str, target: str) -> StoredDocument | None:
        """The document, None if there is none."""
        ...

    def put(self, repository: str, document: StoredDocument, tag: str | None) -> None:
        """Keep `document`, and let `tag` point to it."""
        ...

    def all(self, repository: str) -> list[StoredDocument]:
        """Every document of the repository, in any order."""
        ...

    def delete(self, repository: str, target: str) -> bool:
        """Forget a tag, or a document with all of its tags; False if it is not there."""
        ...

    def tags(self, repository: str) -> list[str]:
        """In alphabetical order."""
        ...

    def has_repository(self, repository: str) -> bool:
        """Whether the repository exists; without tags it may be empty."""
        ...


class BlobStore:
    """Blobs and unfinished uploads in `folder`; safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        self._blobs = folder / "blobs"
        self._uploads = folder / "uploads"
        self._repositories = folder / "repositories"
        shutil.rmtree(self._uploads, ignore_errors=True)  # of a server that is gone
        for path in (self._blobs, self._uploads, self._repositories):
            path.mkdir(parents=True, exist_ok=True)

    def find(self, repository: str, digest: Digest) -> Path | None:
        """The file of a blob that `repository` has."""
        return self._content(digest) if self._link(repository, digest).exists() else None

    def exists(self, digest: Digest) -> bool:
        """Whether any repository ever had this blob."""
        return self._content(digest).exists()

    def put(self, repository: str, content: bytes) -> Digest:
        """Keep `content` as a blob of `repository`."""
        digest = Digest.of(content)
        path = self._content(digest)
        if not path.exists():
            write_atomically(path, content)
        self.link(repository, digest)
        return digest

    def link(self, repository: str, digest: Digest) -> None:
        """Let `repository` have a blob that exists."""
        link = self._link(repository, digest)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.touch()

    def unlink(self, repository: str, digest: Digest) -> bool:
        """Take a blob from `repository`; False if it had none."""
        try:
            self._link(repository, digest).unlink()
        except FileNotFoundError:
            return False
        return True

    def forget(self, repository: str) -> None:
        """Take every blob from `repository`."""
        shutil.rmtree(self._repositories / repository / "_blobs", ignore_errors=True)

    def begin_upload(self) -> str:
        """The name of a new, empty upload."""
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
        """Add to an upload; what came before a failure stays."""
        with (self._uploads / name).open("ab") as file:
            for chunk in chunks:
                file.write(chunk)

    def finish_upload(self, name: str, repository: str, digest: Digest) -> None:
        """Make a blob of an upload; WrongDigest, and the upload is gone, if it is something else."""
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
        """Forget an upload."""
        (self._uploads / name).unlink(missing_ok=True)

    def _content(self, digest: Digest) -> Path:
        return self._blobs / digest.algorithm / digest.hex[:2] / digest.hex

    def _link(self, repository: str, digest: Digest) -> Path:
        # No component of a repository's name begins with an underscore.
        return self._repositories / repository / "_blobs" / digest.algorithm / digest.hex


class DiskDocuments:
    """Documents in `folder`, for registries that have no other place for them."""

    def __init__(self, folder: Path) -> None:
        self._repositories = folder / "repositories"
        self._lock = threading.Lock()

    def find(self, repository: str, target: str) -> StoredDocument | None:
        """The document, None if there is none."""
        folder = self._repositories / repository
        try:
            digest = target if ":" in target else (folder / "_tags" / target).read_text()
            media_type, _, raw = (folder / "_documents" / digest).read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        return StoredDocument(media_type.decode(), raw)

    def put(self, repository: str, document: StoredDocument, tag: str | None) -> None:
        """Keep `document`, and let `tag` point to it."""
        folder = self._repositories / repository
        digest = str(document.digest)
        with self._lock:
            write_atomically(folder / "_documents" / digest, document.media_type.encode() + b"\n" + document.raw)
            if tag is not None:
                write_atomically(folder / "_tags" / tag, digest.encode())

    def delete(self, repository: str, target: str) -> bool:
        """Forget a tag, or a document with all of its tags; False if it is not there."""
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
        """In alphabetical order."""
        return sorted(path.name for path in _tag_files(self._repositories / repository))

    def has_repository(self, repository: str) -> bool:
        """Whether anything was ever put there."""
        return (self._repositories / repository / "_documents").exists()

    def references(self) -> list[str]:
        """`<repository>:<tag>` of every tag, in alphabetical order."""
        return sorted(
            f"{tags.parent.relative_to(self._repositories)}:{path.name}"
            for tags in self._repositories.rglob("_tags")
            for path in _tag_files(tags.parent)
        )


def _tag_files(folder: Path) -> list[Path]:
    # One that begins with a dot is being written.
    return [path for path in (folder / "_tags").glob("*") if not path.name.startswith(".")]


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that readers see whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    beside.write_bytes(content)
    beside.replace(path)
