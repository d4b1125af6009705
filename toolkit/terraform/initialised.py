"""Whether this machine made the folder `.terraform`, from which Terraform starts providers and reads modules.

A repository can carry such a folder, together with a lock file whose checksums fit the planted provider. So the record
of `init` holds when, and as which inode, each entry was last changed. Git, an archive or a cache that puts a folder
back cannot choose these: the kernel sets them. A folder that does not fit its record is removed before `init`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

from toolkit.oci.local_files import create_own, read_regular
from toolkit.terraform.work_dir import WorkDir

_MOST_BYTES = 1000


def record_of(work_dir: WorkDir) -> str | None:
    """The inputs of the `init` that made `.terraform` as it is now; None if this machine did not make it so."""
    content, _, inputs = _read(work_dir).partition("\n")
    return inputs if content and content == _content(work_dir.path / ".terraform") else None


def record(work_dir: WorkDir, inputs: str) -> None:
    """Remember that `init` has just made `.terraform` from `inputs`."""
    folder = work_dir.path / ".terraform"
    folder.mkdir(exist_ok=True)
    _path(work_dir).unlink(missing_ok=True)
    with create_own(_path(work_dir)) as file:
        file.write(f"{_content(folder)}\n{inputs}".encode())


def forget(work_dir: WorkDir) -> None:
    """Remove the record, before `init`, and everything else that this machine did not put into `.terraform`.

    Of a foreign folder only the backend that it names is kept, without its hash: with a fitting hash Terraform would
    use that backend, without one it compares it with ours and refuses another one.
    """
    folder = work_dir.path / ".terraform"
    if record_of(work_dir) is None and folder.exists():
        backend = None
        with suppress(OSError, ValueError, TypeError, KeyError):
            backend = json.loads(read_regular(folder / "terraform.tfstate", 1_000_000, follows_link=False))
            backend["backend"]["hash"] = 0
        shutil.rmtree(folder)
        if backend:
            folder.mkdir()
            with create_own(folder / "terraform.tfstate") as file:
                file.write(json.dumps(backend).encode())
    _path(work_dir).unlink(missing_ok=True)


def _path(work_dir: WorkDir) -> Path:
    return work_dir.path / ".terraform" / "toolkit-initialised"


def _read(work_dir: WorkDir) -> str:
    with suppress(OSError):
        return read_regular(_path(work_dir), _MOST_BYTES, follows_link=False).decode(errors="replace")
    return ""


def _content(folder: Path) -> str:
    """A hash of the identity of each entry below `folder`, without the record itself; links are not followed."""
    seen = hashlib.sha256()
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted((*folders, *files)):
            path = Path(parent) / name
            if path != folder / "toolkit-initialised":
                about = path.lstat()
                entry = (str(path), about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
                seen.update(repr(entry).encode())
    return seen.hexdigest()
