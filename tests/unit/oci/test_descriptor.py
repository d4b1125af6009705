from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.oci.descriptor import Descriptor, Platform, verify
from toolkit.oci.digest import Digest
from toolkit.oci.errors import DigestMismatch, InvalidPlatform, SizeMismatch


def descriptor_of(content: bytes) -> Descriptor:
    return Descriptor("application/octet-stream", Digest.of(content), len(content))


@pytest.mark.parametrize("text", ["linux/amd64", "linux/arm64/v8", "windows/amd64:10.0.20348.*", "linux/arm/v7"])
def test_platform_reads_back_from_its_text(text: str) -> None:
    assert str(Platform.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "linux",
        "linux/",
        "/amd64",
        "linux/amd64/",
        "a/b/c/d",
        "Linux/amd64",
        "linux/x y",
        "windows/amd64:",
        "a/b:1,2",
    ],
)
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(InvalidPlatform) as caught:
        Platform.parse(text)

    assert f"`{text}`" in caught.value.message


@pytest.mark.parametrize(
    ("offered", "wanted", "matches"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm64/v9", "linux/arm64/v8", False),
        ("linux/arm/v5", "linux/arm", True),
        ("linux/arm/v6", "linux/arm/v7", False),
        ("linux/arm", "linux/arm/v7", False),
        ("linux/amd64/v3", "linux/amd64", True),
        ("linux/amd64", "linux/amd64/v1", True),
        ("linux/amd64", "linux/amd64/v3", False),
        ("windows/amd64", "linux/amd64", False),
        ("linux/386", "linux/amd64", False),
        ("windows/amd64:10.0.17763.1", "windows/amd64", True),
        ("windows/amd64:10.0.20348.2700", "windows/amd64:10.0.20348.*", True),
        ("windows/amd64:10.0.17763.1", "windows/amd64:10.0.20348.*", False),
        ("windows/amd64:10.0.17763.1", "windows/amd64:10.0.17763.1", True),
        ("windows/amd64", "windows/amd64:10.0.17763.1", False),
    ],
)
def test_a_platform_matches_what_is_wanted(offered: str, wanted: str, matches: bool) -> None:
    assert Platform.parse(offered).matches(Platform.parse(wanted)) is matches


@given(st.lists(st.binary(min_size=1), max_size=6))
def test_right_bytes_pass_verification_unchanged(chunks: list[bytes]) -> None:
    assert list(verify(chunks, descriptor_of(b"".join(chunks)))) == chunks


def test_the_chunk_that_would_complete_wrong_content_is_never_handed_out() -> None:
    passed = []
    with pytest.raises(DigestMismatch, match="other content"):
        for chunk in verify([b"good ", b"evil"], descriptor_of(b"good good"[:9])):
            passed.append(chunk)

    assert passed == [b"good "]


def test_a_byte_too_many_is_seen_before_the_stream_ends() -> None:
    def endless() -> object:
        while True:
            yield b"0123456789"

    with pytest.raises(SizeMismatch, match="more than the 25 bytes"):
        list(verify(endless(), descriptor_of(b"0123456789" * 2 + b"01234")))  # type: ignore[arg-type]


def test_surplus_after_the_right_content_is_an_error() -> None:
    with pytest.raises(SizeMismatch):
        list(verify([b"content", b"!"], descriptor_of(b"content")))


def test_content_that_ends_early_is_an_error() -> None:
    with pytest.raises(SizeMismatch, match="after 4 of 7 bytes"):
        list(verify([b"cont"], descriptor_of(b"content")))


def test_an_empty_blob_is_verified_too() -> None:
    assert list(verify([], descriptor_of(b""))) == []
    with pytest.raises(DigestMismatch):
        list(verify([], Descriptor("x", Digest.of(b"something"), 0)))


def test_sha512_content_is_verified_with_sha512() -> None:
    wanted = Descriptor("x", Digest.of(b"abc", "sha512"), 3)

    assert list(verify([b"abc"], wanted)) == [b"abc"]
    with pytest.raises(DigestMismatch, match="sha512"):
        list(verify([b"abd"], wanted))


def test_annotations_are_found_by_name_and_descriptors_are_hashable() -> None:
    found = Descriptor("x", Digest.of(b""), 0, annotations=(("a", "1"), ("b", "2")))

    assert found.annotation("b") == "2"
    assert found.annotation("c") is None
    assert len({found, found}) == 1
