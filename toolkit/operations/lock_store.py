"""Where the lock is kept, and what a run makes of it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from toolkit.atomic_file import write_atomically
from toolkit.errors import Refused
from toolkit.lock.model import Lock
from toolkit.lock.stored import MAX_BYTES, Stored, changed_meanwhile, decode
from toolkit.lock.text import read_lock
from toolkit.oci.local_files import read_regular
from toolkit.plan.desired import Desired
from toolkit.plan.locking import RUN_LOCK, pin
from toolkit.plan.model import Notice

if TYPE_CHECKING:
    from toolkit.operations.services import Services


class LockStore(Protocol):
    """One lock, which several runs may want to change."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def read(self) -> Stored | None:
        """What is there now; None if there is no lock yet."""

    def write(self, text: str, read: Stored | None) -> Stored:
        """Put `text` in the place of what was `read`. Raises Refused if another run has written meanwhile."""


@dataclass(frozen=True, slots=True)
class LockFile:
    """A lock in a file beside the manifest."""

    path: Path

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.path)

    def read(self) -> Stored | None:
        """The file. A link is not followed: it could lead out of the folder that was reviewed."""
        try:
            content = read_regular(self.path, MAX_BYTES + 1, follows_link=False)
            return Stored(decode(content, self.name), sha256(content).hexdigest())
        except FileNotFoundError:
            return None
        except OSError as error:
            why = "it is a link" if self.path.is_symlink() else error.strerror or str(error)
            raise Refused("lock.unreadable", f"the lock `{self.path}` cannot be read: {why}") from error

    def write(self, text: str, read: Stored | None) -> Stored:
        """Replace the file in one step."""
        content = text.encode()
        try:
            with _alone_in(self.path.parent):
                now = self.read()
                if (now and now.version) != (read and read.version):
                    raise changed_meanwhile(self.name)
                write_atomically(self.path, content)
        except OSError as error:
            raise Refused("lock.unwritable", f"the lock `{self.path}` cannot be written: {error.strerror}") from error
        return Stored(text, sha256(content).hexdigest())


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """The folder is what is locked, because the file itself is replaced and a file of its own would stay behind."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def lock_file_of(manifest: Path) -> Path:
    """The lock of the file `manifest`: `images.lock.yaml` beside `images.yaml`."""
    return manifest.with_name(f"{manifest.stem}.lock.yaml")


def read_lock_of(services: Services) -> tuple[Lock, Stored] | None:
    """The lock and its text; None if there is none. Raises ManifestUnusable for a damaged one."""
    stored = services.lock.read()
    return (read_lock(stored.text, services.lock.name), stored) if stored else None


def needed_lock(desired: Desired, services: Services) -> Lock | None:
    """The lock; None if there is none and the manifest needs none.

    Raises Refused if the manifest says how digests are admitted and there is no lock: to copy what upstream has now
    would move everything at once.
    """
    read = read_lock_of(services)
    if read is None and desired.needs_lock:
        raise Refused(
            "lock.missing",
            f"there is no lock `{services.lock.name}`, and the manifest says how digests are admitted",
            hint=f"{RUN_LOCK}, or restore the lock: without it every digest counts as seen for the first time",
        )
    return read[0] if read else None


def pin_images(desired: Desired, services: Services) -> tuple[Desired, tuple[Notice, ...]]:
    """`desired` with its images at the digests of the lock, if there is a lock. Raises as `needed_lock`."""
    lock = needed_lock(desired, services) if desired.images else None
    return pin(desired, lock, services.now()) if lock is not None else (desired, ())
