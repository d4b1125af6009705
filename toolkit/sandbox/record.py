"""The server of a folder: a lock that it holds as long as it runs, and a record with its addresses.

The lock is the truth. The starting process takes the lock and the server inherits it; the kernel releases it when the
server ends for any reason. So a record without a held lock is stale. A process id that is read while the lock is held
belongs to the server, and not to a later process with the same id.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from toolkit.sandbox.store import write_atomically

LOG = "server.log"
_LOCK, _RECORD, _TURN = "server.lock", "server.json", "turn.lock"


@dataclass(frozen=True, slots=True)
class Record:
    """A server that accepts requests."""

    pid: int
    account_id: str
    region: str
    aws_endpoint: str
    docker_hub_endpoint: str
    upstream_endpoint: str
    ecr_endpoint: str


@dataclass(frozen=True, slots=True)
class Holder:
    """A running server. `pid` is None until it has written its id into the lock."""

    pid: int | None


def take_turn(folder: Path) -> IO[str]:
    """Wait until no other process starts or stops a server in `folder`; the turn ends when the file is closed."""
    file = (folder / _TURN).open("a")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def hold_lock(folder: Path) -> IO[str]:
    """A new lock, held as long as the file, or the copy that a child inherits, is open.

    Call it only after `take_turn` and `clear`, so that no other process has opened the file yet.
    """
    file = (folder / _LOCK).open("x")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def sign_lock(folder: Path) -> None:
    """Write this process's id into the lock that it inherited."""
    write_in_place(folder / _LOCK, str(os.getpid()))


def lock_holder(folder: Path) -> Holder | None:
    """The server that runs in `folder`; None if there is none."""
    try:
        file = (folder / _LOCK).open()
    except FileNotFoundError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = file.read()
            return Holder(int(text) if text else None)
        return None


def clear(folder: Path) -> None:
    """Remove the files of a dead server. Call it only after `take_turn`, when the lock is free."""
    for name in (_RECORD, _LOCK):
        (folder / name).unlink(missing_ok=True)


def write_record(folder: Path, record: Record) -> None:
    """Record that the server accepts requests."""
    write_atomically(folder / _RECORD, json.dumps(asdict(record), indent=2).encode())


def read_record(folder: Path) -> Record | None:
    """The record of the running server; None if no server runs, it is still starting, or another version wrote it."""
    holder = lock_holder(folder)
    try:
        record = Record(**json.loads((folder / _RECORD).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return record if holder is not None and holder.pid == record.pid else None


def write_in_place(path: Path, text: str) -> None:
    """Write a file without replacing it, as a locked file needs."""
    with path.open("r+") as file:
        file.write(text)


def is_recorded(folder: Path, pid: int) -> bool:
    """Whether the folder's record is that of process `pid`."""
    try:
        found: object = json.loads((folder / _RECORD).read_text())["pid"]
    except FileNotFoundError:
        return False
    return found == pid
