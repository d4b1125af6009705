"""A file of named members that is read exactly as it was written, or not at all.

It is a zip without compression, which `unzip` opens. What a zip can hold besides members (links, absolute paths, two
members of one name, bytes between the members) does not get through: a file is refused unless packing the members that
were read gives the same bytes again.

With a key, the last member is a signature: an HMAC-SHA256 over the archive of all the others.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import re
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.atomic_file import write_atomically
from toolkit.errors import PLAN_AGAIN, Refused
from toolkit.oci.local_files import read_regular

MOST_BYTES = 256 * 2**20
"""A larger file was named by mistake: a plan of 1,000 repositories has a hundredth of it."""
_MOST_MEMBERS = 10_000
_SIGNATURE = "signature"
# No `..`, no absolute path, and nothing hidden, which an upload of build artifacts would leave out.
_PART = r"[A-Za-z0-9_][A-Za-z0-9_.+@ -]*"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*")
_FAULTS = (zipfile.BadZipFile, struct.error, ValueError, LookupError, EOFError, ArithmeticError, RuntimeError)


@dataclass(frozen=True, slots=True)
class SealedArchive:
    """The members of the file. It is verified if a key has proved its signature."""

    members: Mapping[str, bytes]
    is_signed: bool
    is_verified: bool


def write(path: Path, members: Mapping[str, bytes], key: bytes | None) -> None:
    """Put `members` into the file, for its owner alone. Raises OSError, and Refused for a name that cannot be."""
    write_atomically(path, seal(members, key), mode=0o600)


def seal(members: Mapping[str, bytes], key: bytes | None) -> bytes:
    """The content of the file for `members`. Raises Refused for a name that cannot be."""
    for name in members:
        if not _NAME.fullmatch(name) or name == _SIGNATURE:
            raise Refused(
                "plan.unwritable", f"a saved plan cannot have a file called `{name}`", hint="give it a plainer name"
            )
    content = _pack(members)
    return content if key is None else _pack({**members, _SIGNATURE: _sign(content, key)})


def read(path: Path, key: bytes | None) -> SealedArchive:
    """The archive at `path`. Raises Refused unless `write` made it, with the same `key` if there is one."""
    try:
        content = read_regular(path, MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Refused("plan.unreadable", f"the plan `{path}` cannot be read: {why}") from error
    return unseal(str(path), content, key)


def unseal(path: str, content: bytes, key: bytes | None) -> SealedArchive:
    """The archive with this `content`, which is at `path`. Raises Refused as `read` does."""
    try:
        members = _unpack(content)
    except _FAULTS as error:
        raise Refused(
            "plan.unreadable", f"`{path}` is not a saved plan, or it was changed after it was written", hint=PLAN_AGAIN
        ) from error
    signature = members.pop(_SIGNATURE, None)
    if key is not None:
        _verify(path, members, signature, key)
    return SealedArchive(members, signature is not None, key is not None)


def _verify(path: str, members: Mapping[str, bytes], signature: bytes | None, key: bytes) -> None:
    if signature is None:
        raise Refused(
            "plan.unsigned",
            f"the plan `{path}` is not signed, and `TOOLKIT_PLAN_KEY` is set",
            hint="plan again with the same key",
        )
    if not hmac.compare_digest(signature, _sign(_pack(members), key)):
        raise Refused(
            "plan.signature",
            f"the signature of the plan `{path}` is not by the key in `TOOLKIT_PLAN_KEY`",
            hint="plan again with the same key, and find out who changed the file",
        )


def digest_of(members: Mapping[str, bytes]) -> str:
    """The SHA-256 of `members`."""
    return hashlib.sha256(_pack(members)).hexdigest()


def _sign(content: bytes, key: bytes) -> bytes:
    return hmac.new(key, content, hashlib.sha256).hexdigest().encode()


def _pack(members: Mapping[str, bytes]) -> bytes:
    """The one archive of `members`."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, wherever it is written
            entry.external_attr = 0o100600 << 16
            archive.writestr(entry, members[name])
    return file.getvalue()


def _unpack(content: bytes) -> dict[str, bytes]:
    """The members of an archive that `_pack` made. Raises one of `_FAULTS` for any other."""
    if len(content) > MOST_BYTES:
        raise ValueError("too large")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if len(entries) > _MOST_MEMBERS or sum(entry.file_size for entry in entries) > len(content):
            raise ValueError("more than the file can hold")
        if any(entry.compress_type != zipfile.ZIP_STORED or not _NAME.fullmatch(entry.filename) for entry in entries):
            raise ValueError("not by us")
        members = {entry.filename: archive.read(entry) for entry in entries}
    if _pack(members) != content:
        raise ValueError("there is more in it than its members")
    return members
