"""Who runs in a folder: a lock that the server holds as long as it lives, and a record of where it answers.

The lock is the truth. Who starts a server takes the lock and lets the server inherit it; the kernel takes it back from
a process that dies, however it dies. So a record whose lock is free is a leftover, and a process id that is read while
the lock is held is the server's and no recycled one.
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
    """A server that answers."""

    pid: int
    account_id: str
    region: str
    aws_endpoint: str
    docker_hub_endpoint: str
    upstream_endpoint: str
    ecr_endpoint: str


@dataclass(frozen=True, slots=True)
class Holder:
    """A server that lives. `pid` is None before it has signed the lock."""

    pid: int | None


def take_turn(folder: Path) -> IO[str]:
    """Wait until nobody else starts or stops a server in `folder`; the turn ends when the file is closed."""
    file = (folder / _TURN).open("a")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def hold_lock(folder: Path) -> IO[str]:
    """A new lock, held as long as the file, or the copy that a child inherits, is open.

    Only in one's turn, after `clear`: then nobody knows the file yet.
    """
    file = (folder / _LOCK).open("x")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def sign_lock(folder: Path) -> None:
    """Write this process's id into the lock that it inherited."""
    write_in_place(folder / _LOCK, str(os.getpid()))


def lock_holder(folder: Path) -> Holder | None:
    """The server that lives in `folder`; None when none does."""
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
    """Take away what a dead server left. Only in one's turn, when nobody holds the lock."""
    for name in (_RECORD, _LOCK):
        (folder / name).unlink(missing_ok=True)


def write_record(folder: Path, record: Record) -> None:
    """Say that the server answers."""
    write_atomically(folder / _RECORD, json.dumps(asdict(record), indent=2).encode())


def read_record(folder: Path) -> Record | None:
    """What the living server said; None when none lives, it does not answer yet, or another version wrote it."""
    holder = lock_holder(folder)
    try:
        record = Record(**json.loads((folder / _RECORD).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return record if holder is not None and holder.pid == record.pid else None


def write_in_place(path: Path, text: str) -> None:
    """Write a file that must stay the same file, as a locked one must."""
    with path.open("r+") as file:
        file.write(text)


def is_recorded(folder: Path, pid: int) -> bool:
    """Whether the folder's record is that of process `pid`."""
    try:
        found: object = json.loads((folder / _RECORD).read_text())["pid"]
    except FileNotFoundError:
        return False
    return found == pid
