from __future__ import annotations

import hashlib
import io
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from toolkit.cli import sealed_archive
from toolkit.cli.sealed_archive import read, write
from toolkit.errors import Refused

KEY = b"a key that is long enough"
MEMBERS = {"plan.json": b'{"seeds": []}\n', "module/main.tf": b"# none\n", "module/a b+c@d.tf": b""}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "plan.toolkit"


def refusal_of(path: Path, content: bytes, key: bytes | None = None) -> str:
    path.write_bytes(content)
    with pytest.raises(Refused) as refused:
        read(path, key)
    return refused.value.code


@pytest.mark.parametrize("key", [None, KEY])
def test_what_was_written_is_read(path: Path, key: bytes | None) -> None:
    write(path, MEMBERS, key)
    archive = read(path, key)
    assert (archive.members, archive.is_signed, archive.is_verified) == (MEMBERS, bool(key), bool(key))


def test_it_is_for_its_owner_alone_also_where_another_file_was(path: Path) -> None:
    path.write_text("for everybody")
    path.chmod(0o644)
    write(path, MEMBERS, None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_bytes_depend_on_the_members_alone(path: Path) -> None:
    """On every Python: a plan that is saved by one is read by another."""
    write(path, MEMBERS, None)
    first = path.read_bytes()
    write(path, dict(reversed(MEMBERS.items())), None)
    assert path.read_bytes() == first
    assert hashlib.sha256(first).hexdigest() == "d62622b3102d2c966a3f3fa8acee272d366166b8e21f0b33ab21606a4398159f"


@pytest.mark.parametrize("key", [None, KEY])
def test_every_flipped_byte_is_refused(path: Path, key: bytes | None) -> None:
    write(path, MEMBERS, key)
    content = path.read_bytes()
    for place in range(len(content)):
        for flip in (0x01, 0x80):
            flipped = content[:place] + bytes([content[place] ^ flip]) + content[place + 1 :]
            assert refusal_of(path, flipped) == "plan.unreadable", (place, flip)


@pytest.mark.parametrize("change", [lambda c: c[:-1], lambda c: c[:40], lambda c: c + b"\0", lambda c: b"\0" + c])
def test_what_is_shorter_or_longer_is_refused(path: Path, change: Callable[[bytes], bytes]) -> None:
    write(path, MEMBERS, None)
    assert refusal_of(path, change(path.read_bytes())) == "plan.unreadable"


def zipped(*names: str, method: int = zipfile.ZIP_STORED, comment: bytes = b"", mode: int = 0o100600) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as archive:
        warnings.simplefilter("ignore")  # of two members with one name
        for name in names:
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr, entry.compress_type = 3, mode << 16, method
            archive.writestr(entry, b"x" * 5000)
        archive.comment = comment
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"PK\x05\x06" + b"\0" * 17,
        zipped("/etc/passwd"),
        zipped("../plan.json"),
        zipped("module/../../plan.json"),
        zipped("module/.hidden.tf"),
        zipped("module//main.tf"),
        zipped("module\\main.tf"),
        zipped("C:main.tf"),
        zipped("module/"),
        zipped("plan.json", "plan.json"),
        zipped("b", "a"),
        zipped("plan.json", method=zipfile.ZIP_DEFLATED),
        zipped("plan.json", comment=b"look here"),
        zipped("plan.json", mode=0o120777),
    ],
)
def test_no_other_zip_is_one(path: Path, content: bytes) -> None:
    assert refusal_of(path, content) == "plan.unreadable"


def test_a_member_that_claims_to_be_larger_than_the_file_is_not_read(path: Path) -> None:
    bomb = bytearray(zipped("plan.json"))
    directory = bomb.rindex(b"PK\x01\x02")
    struct.pack_into("<II", bomb, directory + 20, 2**31, 2**31)
    assert refusal_of(path, bytes(bomb)) == "plan.unreadable"


def test_more_than_the_bound_is_not_read(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(sealed_archive.MOST_BYTES * 4)
    with pytest.raises(Refused, match="not a saved plan"):
        read(path, None)


@pytest.mark.parametrize("name", ["", ".", "absent"])
def test_what_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused, match="cannot be read") as refused:
        read(tmp_path / name, None)
    assert refused.value.code == "plan.unreadable"


def test_with_a_key_the_unsigned_is_refused(path: Path) -> None:
    write(path, MEMBERS, None)
    assert refusal_of(path, path.read_bytes(), KEY) == "plan.unsigned"


def test_another_key_is_no_signature(path: Path) -> None:
    write(path, MEMBERS, KEY)
    assert refusal_of(path, path.read_bytes(), b"another that is as long") == "plan.signature"


def test_a_signature_is_of_every_member_and_its_name(path: Path) -> None:
    write(path, MEMBERS, KEY)
    with zipfile.ZipFile(path) as archive:
        signature = archive.read("signature")
    for edited in (
        {**MEMBERS, "plan.json": b"{}"},
        {**MEMBERS, "more": b""},
        {"plan.json": MEMBERS["plan.json"]},
        {**{name: MEMBERS[name] for name in MEMBERS if name != "plan.json"}, "plan.yaml": MEMBERS["plan.json"]},
    ):
        forged = sealed_archive._pack({**edited, "signature": signature})
        assert refusal_of(path, forged, KEY) == "plan.signature"


def test_without_a_key_a_signed_one_is_read_and_says_so(path: Path) -> None:
    write(path, MEMBERS, KEY)
    archive = read(path, None)
    assert (archive.is_signed, archive.is_verified) == (True, False)


@pytest.mark.parametrize("name", ["signature", ".hidden", "a/.b", "../a", "a\nb"])
def test_a_name_that_would_be_refused_is_not_written(path: Path, name: str) -> None:
    with pytest.raises(Refused) as refused:
        write(path, {name: b""}, None)
    assert refused.value.code == "plan.unwritable"
    assert not path.exists()
