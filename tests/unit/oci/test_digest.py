from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.oci.digest import Digest
from toolkit.oci.errors import InvalidDigest


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_digest_of_bytes_reads_back_from_its_text(algorithm: str) -> None:
    digest = Digest.of(b"content", algorithm)

    assert Digest.parse(str(digest)) == digest
    assert digest.hex == hashlib.new(algorithm, b"content").hexdigest()
    assert digest.short == digest.hex[:12]


def test_hasher_is_of_the_digests_algorithm() -> None:
    hasher = Digest.of(b"x", "sha512").hasher()
    hasher.update(b"x")

    assert hasher.hexdigest() == Digest.of(b"x", "sha512").hex


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "are expected"),
        ("a" * 64, "are expected"),
        ("md5:" + "a" * 32, "neither `sha256` nor `sha512`"),
        ("sha256:" + "a" * 63, "64 lower-case hex digits"),
        ("sha256:" + "A" * 64, "64 lower-case hex digits"),
        ("sha256:" + "a" * 64 + "\n", "64 lower-case hex digits"),
        ("sha512:" + "a" * 64, "128 lower-case hex digits"),
        ("SHA256:" + "a" * 64, "neither"),
    ],
)
def test_what_is_no_digest_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(InvalidDigest, match=why) as caught:
        Digest.parse(text)

    assert caught.value.code == "oci.invalid_digest"


@given(st.text())
def test_any_text_is_a_digest_or_an_invalid_digest(text: str) -> None:
    with suppress(InvalidDigest):
        assert str(Digest.parse(text)) == text
