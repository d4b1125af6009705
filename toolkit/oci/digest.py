"""Content digests: names of bytes, made from the bytes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.oci.errors import InvalidDigest

if TYPE_CHECKING:
    from hashlib import _Hash

_HEX_LENGTHS = {"sha256": 64, "sha512": 128}
_HEX = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """The hash of some content, `sha256:…` or `sha512:…`; no other value can exist."""

    algorithm: str
    hex: str

    def __post_init__(self) -> None:
        length = _HEX_LENGTHS.get(self.algorithm)
        if length is None:
            raise InvalidDigest(f"`{self}` is no digest: its algorithm is neither `sha256` nor `sha512`")
        if len(self.hex) != length or not _HEX.fullmatch(self.hex):
            raise InvalidDigest(f"`{self}` is no digest: `{self.algorithm}:` takes {length} lower-case hex digits")

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read `algorithm:hex`; InvalidDigest says what is wrong."""
        algorithm, colon, digits = text.partition(":")
        if not colon:
            raise InvalidDigest(f"`{text}` is no digest: `sha256:` and 64 hex digits are expected")
        return cls(algorithm, digits)

    @classmethod
    def of(cls, data: bytes, algorithm: str = "sha256") -> Digest:
        """The digest of `data`."""
        return cls(algorithm, hashlib.new(algorithm, data).hexdigest())

    @property
    def short(self) -> str:
        """The first 12 hex digits, for readers only."""
        return self.hex[:12]

    def hasher(self) -> _Hash:
        """A fresh hash object of this digest's algorithm."""
        return hashlib.new(self.algorithm)
