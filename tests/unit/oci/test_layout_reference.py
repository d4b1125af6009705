from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.oci.digest import Digest
from toolkit.oci.errors import OciError
from toolkit.oci.layout_reference import LayoutReference, parse_place
from toolkit.oci.reference import Reference, Repository

DIGEST = Digest.of(b"x")


@pytest.mark.parametrize(
    "text, folder, name, digest",
    [
        ("oci:carried:nginx-1.16", "carried", "nginx-1.16", None),
        ("oci:carried:nginx:1.16", "carried", "nginx:1.16", None),
        ("oci:/mnt/stick/images:quay.io/a/b:v1", "/mnt/stick/images", "quay.io/a/b:v1", None),
        ("oci:./carried/", "carried", None, None),
        (f"oci:carried@{DIGEST}", "carried", None, DIGEST),
        (f"oci:carried:web:1@{DIGEST}", "carried", "web:1", DIGEST),
    ],
)
def test_a_layout_is_spelled_as_skopeo_does(text: str, folder: str, name: str | None, digest: Digest | None) -> None:
    place = parse_place(text)
    assert isinstance(place, LayoutReference)
    assert (place.name.folder, place.tag, place.digest) == (Path(folder), name, digest)


@pytest.mark.parametrize("text", ["nginx:1.16", "localhost:5000/a:1", "docker.io/library/oci:1"])
def test_everything_else_is_an_image_at_a_registry(text: str) -> None:
    assert parse_place(text) == Reference.parse(text)


@pytest.mark.parametrize(
    "text",
    ["oci:", "oci::web", "oci:carried:", "oci:carried:a b", "oci:carried:-a", "oci:a\0b:c", "oci:carried@sha256:1"],
)
def test_what_names_no_image_says_what_is_wrong(text: str) -> None:
    with pytest.raises(OciError):
        parse_place(text)


def test_a_reference_keeps_its_kind_and_its_spelling() -> None:
    place = parse_place("oci:carried:web:1")
    assert str(place) == place.familiar == "oci:carried:web:1"
    assert str(place.with_digest(DIGEST)) == f"oci:carried:web:1@{DIGEST}"
    assert place.name.with_tag("web:1") == place
    assert str(place.name) == "oci:carried"
    assert place.with_digest(DIGEST).with_tag("b") == parse_place("oci:carried:b")


def test_a_layout_is_no_repository_of_a_registry() -> None:
    assert parse_place("oci:carried:a").name != Repository("localhost", "carried")
    with pytest.raises(OciError):
        Repository("oci:", "carried")
