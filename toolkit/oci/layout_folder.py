"""The directory of an OCI image layout. Several processes may fill it at a time, and any may be killed.

A blob is written to a temporary file beside it, flushed to disk and renamed; `index.json` is replaced as a whole, under
a lock. So every file with its final name is complete. A killed process leaves temporary files, which the next process
that fills the layout removes; those of running processes are locked by them.

The directory itself may be a symbolic link of the user. Nothing in it is written through a link. Blobs that are links
are read, since some tools make them and their digests are checked.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from toolkit.oci.descriptor import Descriptor
from toolkit.oci.digest import Digest
from toolkit.oci.documents import read_descriptor, read_object
from toolkit.oci.errors import InvalidDocument, LayoutUnusable
from toolkit.oci.local_files import open_own, open_regular, refuse_links
from toolkit.oci.media_types import OCI_INDEX

Entries = Mapping[str | None, list[object]]

REF_NAME = "org.opencontainers.image.ref.name"

_MARKER = "oci-layout"
_INDEX = "index.json"
_BLOBS = "blobs"
# Never removed: a lock file that is removed may be locked by two processes at a time.
_LOCK = ".lock"
_TEMPORARY = ".new-"
_VERSION = "1.0.0"
_CHUNK_BYTES = 512 * 1024


class LayoutFolder:
    """One layout; threads may share it. Raises LayoutUnusable when the directory is at fault."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[tuple[int, int, int], Entries] | None = None

    def __str__(self) -> str:
        return f"oci:{self._path}"

    def names(self) -> list[str | None]:
        """The names of the images in `index.json`; None stands for those without a name."""
        return list(self._named_entries())

    def find(self, name: str | None) -> list[Descriptor]:
        """The images called `name`; all images for None."""
        named = self._named_entries()
        entries = [entry for those in named.values() for entry in those] if name is None else named.get(name, [])
        try:
            return [read_descriptor(entry, "manifests[]") for entry in entries]
        except InvalidDocument as fault:
            raise LayoutUnusable(f"`{self._path / _INDEX}` cannot be read: {fault.message}") from fault

    def _named_entries(self) -> Entries:
        """The entries of `index.json`, read again if the file has changed."""
        with self._used():
            state = (self._path / _INDEX).stat()
        version = (state.st_ino, state.st_mtime_ns, state.st_size)
        known = self._known
        if known is None or known[0] != version:
            self._known = known = version, self._read_entries()
        return known[1]

    def _read_entries(self) -> Entries:
        with self._used():
            marker = _read_json(_read_whole(self._path / _MARKER), self._path / _MARKER)
        if marker.get("imageLayoutVersion") != _VERSION:
            raise LayoutUnusable(f"`{self}` is no image layout of version {_VERSION}")
        named: dict[str | None, list[object]] = {}
        for entry in self._entries(self._read_index()):
            named.setdefault(_name_of(entry), []).append(entry)
        return named

    def blob(self, digest: Digest) -> Path:
        """The path of the content `digest`. A `Digest` cannot lead out of the directory."""
        return self._path / _BLOBS / digest.algorithm / digest.hex

    @property
    def is_layout(self) -> bool:
        """Whether the directory exists and is marked as a layout."""
        with self._used():
            return (self._path / _MARKER).exists()

    def size(self, digest: Digest) -> int | None:
        """The size of the file for `digest`; None without it."""
        with self._used():
            try:
                found = self.blob(digest).stat()
                return found.st_size if stat.S_ISREG(found.st_mode) else None
            except (FileNotFoundError, NotADirectoryError):
                return None

    def check_fillable(self) -> None:
        """LayoutUnusable if the directory has other files."""
        with self._used():
            if self._path.exists() and not self._path.is_dir():
                raise LayoutUnusable(f"`{self._path}` is not a directory", hint="name another one")
            if self._path.is_dir() and not (self._path / _MARKER).exists():
                names = {entry.name for entry in self._path.iterdir()} - {_LOCK, _BLOBS, _INDEX}
                if not all(name.startswith(_TEMPORARY) for name in names):
                    raise LayoutUnusable(
                        f"`{self._path}` holds other files and is no image layout",
                        hint="name an empty or a new directory",
                    )

    def prepare(self) -> None:
        """Make the directory a layout if it is none, and remove the temporary files of killed processes."""
        self.check_fillable()
        with self._locked(), self._used():
            self._make_blob_folder("sha256")
            for file in self._path.glob(f"{_TEMPORARY}*"):
                file.unlink()  # only the process with the lock writes here
            for file in (self._path / _BLOBS).glob(f"*/{_TEMPORARY}*"):
                _remove_if_left(file)
            if not (self._path / _INDEX).exists():
                self._replace(_INDEX, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})
            if not (self._path / _MARKER).exists():
                self._replace(_MARKER, {"imageLayoutVersion": _VERSION})

    def _make_blob_folder(self, algorithm: str) -> None:
        folder = self._path / _BLOBS / algorithm
        refuse_links(folder, below=self._path)
        folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def new_blob(self, digest: Digest) -> Iterator[Callable[[bytes], None]]:
        """Yields a function that writes content; the content gets its name when the block ends without an error."""
        blob = self.blob(digest)
        with self._used():
            self._make_blob_folder(digest.algorithm)
            temporary, file = _open_temporary(blob.parent)

        def write(chunk: bytes) -> None:
            with self._used():
                file.write(chunk)

        try:
            yield write
            with self._used():
                _to_disk(file)
                temporary.replace(blob)
        finally:
            with suppress(OSError):  # a full disk fails here too
                file.close()
            with suppress(OSError):  # the next run removes it
                temporary.unlink(missing_ok=True)

    @contextmanager
    def read(self, digest: Digest, offset: int = 0) -> Iterator[Iterator[bytes]]:
        """The content's bytes from `offset` on."""
        with self._used():
            file = open_regular(self.blob(digest))

        def chunks() -> Iterator[bytes]:
            with self._used():
                file.seek(offset)
                while chunk := file.read(_CHUNK_BYTES):
                    yield chunk

        with file:
            yield chunks()

    def link(self, digest: Digest, origin: LayoutFolder) -> bool:
        """Share the file of `origin` if the content is not here yet; whether it is here now."""
        if self.size(digest) is not None:
            return True
        if origin.blob(digest).is_symlink():
            return False
        try:
            os.link(origin.blob(digest), self.blob(digest))
        except FileExistsError:
            return True
        except OSError:  # not there, on another disk, or on one without hard links
            return False
        return True

    def name(self, name: str, descriptor: Descriptor) -> None:
        """Name the image at `descriptor`; the image that had the name loses it."""
        with self._locked(), self._used():
            for folder in filter(Path.is_dir, (self._path / _BLOBS).iterdir()):
                _folder_to_disk(folder)
            index = self._read_index()
            others = [entry for entry in self._entries(index) if _name_of(entry) != name]
            entry = {
                "mediaType": descriptor.media_type,
                "digest": str(descriptor.digest),
                "size": descriptor.size,
                "annotations": {REF_NAME: name},
            }
            self._replace(_INDEX, {**index, "manifests": [*others, entry]})

    def _read_index(self) -> dict[str, object]:
        with self._used():
            return _read_json(_read_whole(self._path / _INDEX), self._path / _INDEX)

    def _entries(self, index: Mapping[str, object]) -> list[object]:
        entries = index.get("manifests")
        if not isinstance(entries, list):
            raise LayoutUnusable(f"`{self._path / _INDEX}` cannot be read: `manifests` is no list")
        return entries

    def _replace(self, name: str, content: Mapping[str, object]) -> None:
        temporary, file = _open_temporary(self._path)
        with file:
            file.write(json.dumps(content, separators=(",", ":")).encode())
            _to_disk(file)
            temporary.replace(self._path / name)
        _folder_to_disk(self._path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._used():
            self._path.mkdir(parents=True, exist_ok=True)
            file = open_own(self._path / _LOCK)
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _used(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = f" (`{error.filename}`)" if error.filename else ""
            raise LayoutUnusable(
                f"`{self}` cannot be used: {error.strerror}{where}",
                hint="check its disk and permissions, then run again",
            ) from error


def _read_whole(path: Path) -> bytes:
    with open_regular(path) as file:
        return file.read()


def _read_json(raw: bytes, path: Path) -> dict[str, object]:
    try:
        return read_object(raw)
    except InvalidDocument as fault:
        raise LayoutUnusable(f"`{path}` cannot be read: {fault.message}") from fault


def _name_of(entry: object) -> str | None:
    annotations = entry.get("annotations") if isinstance(entry, dict) else None
    name = annotations.get(REF_NAME) if isinstance(annotations, dict) else None
    return name if isinstance(name, str) else None


def _open_temporary(folder: Path) -> tuple[Path, BinaryIO]:
    """A new temporary file, locked; it is checked to exist after that."""
    while True:
        path = folder / f"{_TEMPORARY}{secrets.token_hex(8)}"
        file = path.open("xb")
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return path, file
        file.close()  # another process took it for one of a killed process, and removed it


def _remove_if_left(path: Path) -> None:
    with suppress(FileNotFoundError, BlockingIOError), open_regular(path, follows_link=False) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _folder_to_disk(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
