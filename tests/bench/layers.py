"""Blobs whose bytes are a function of their key alone, on any machine and with any zlib, and rebuilt whenever they are read.

Bytes come from SHAKE-128, the gzip container is written by hand in stored blocks, the tar headers are fixed. So every layer
is a valid `tar.gz` that no registry or client can compress.
"""

from __future__ import annotations

import functools
import hashlib
import struct
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Blob:
    """A layer of `payload` bytes under one file; `diff_id` is the digest of the tar in it."""

    key: str
    payload: int
    digest: str
    diff_id: str
    size: int

    def stream(self) -> Iterator[bytes]:
        """The bytes, in pieces of a mebibyte or so."""
        pieces: list[bytes] = []
        size = 0
        for piece in _gzip(_tar(self.key, self.payload)):
            pieces.append(piece)
            size += len(piece)
            if size >= MIB:
                yield b"".join(pieces)
                pieces, size = [], 0
        yield b"".join(pieces)


@dataclass(frozen=True, slots=True)
class Raw:
    """A small blob that is kept: a config, an attestation."""

    data: bytes

    @property
    def digest(self) -> str:
        return digest_of(self.data)

    @property
    def size(self) -> int:
        return len(self.data)

    def stream(self) -> Iterator[bytes]:
        yield self.data


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@functools.cache
def layer(key: str, payload: int) -> Blob:
    """The blob of `key`; its bytes are read once to know their digests."""
    whole, inner, size = hashlib.sha256(), hashlib.sha256(), 0

    def observed() -> Iterator[bytes]:
        for piece in _tar(key, payload):
            inner.update(piece)
            yield piece

    for piece in _gzip(observed()):
        whole.update(piece)
        size += len(piece)
    return Blob(key, payload, "sha256:" + whole.hexdigest(), "sha256:" + inner.hexdigest(), size)


def _random_bytes(key: str, count: int) -> Iterator[bytes]:
    for number, start in enumerate(range(0, count, MIB)):
        yield hashlib.shake_128(f"{key}:{number}".encode()).digest(min(count - start, MIB))


def _tar(key: str, payload: int) -> Iterator[bytes]:
    file = tarfile.TarInfo(f"opt/{hashlib.sha1(key.encode()).hexdigest()[:12]}.bin")
    file.size, file.mtime, file.mode = payload, 0, 0o644
    yield file.tobuf(format=tarfile.USTAR_FORMAT)
    yield from _random_bytes(key, payload)
    yield b"\0" * (-payload % 512 + 1024)


def _gzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    crc = size = 0
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
        size += len(piece)
        for start in range(0, len(piece), 65535):
            block = piece[start : start + 65535]
            yield struct.pack("<BHH", 0, len(block), len(block) ^ 0xFFFF)
            yield block
    yield b"\x01\0\0\xff\xff" + struct.pack("<II", crc, size & 0xFFFFFFFF)
