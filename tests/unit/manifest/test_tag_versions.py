from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.manifest.tag_versions import VersionRange, age_key, read_version


@pytest.mark.parametrize(
    ("tag", "release", "is_prerelease", "suffix"),
    [
        ("1.27.3", (1, 27, 3), False, ""),
        ("17", (17,), False, ""),
        ("v1.8.2", (1, 8, 2), False, ""),
        ("1.27.3-alpine3.20", (1, 27, 3), False, "alpine3.20"),
        ("3.13-slim-bookworm", (3, 13), False, "slim-bookworm"),
        ("24.04", (24, 4), False, ""),
        ("21.0.5_11-jdk", (21, 0, 5, 11), False, "jdk"),
        ("1.27.3-debian-12-r5", (1, 27, 3), False, "debian-12-r5"),
        ("3.13.0rc1-slim", (3, 13, 0), True, "slim"),
        ("3.14.0a2", (3, 14, 0), True, ""),
        ("17beta2", (17,), True, ""),
        ("1.28.0-alpha.1", (1, 28, 0), True, ""),
        ("8.0-preview-alpine", (8, 0), True, "alpine"),
        ("4.0.0-M3", (4, 0, 0), True, ""),
        ("23-ea-1-jdk", (23,), True, "jdk"),
        ("2.1-SNAPSHOT", (2, 1), True, ""),
        ("12.4.1-devel-ubuntu22.04", (12, 4, 1), False, "devel-ubuntu22.04"),
        ("3.20-alpine", (3, 20), False, "alpine"),
        ("1.1.1w", (1, 1, 1), False, None),
        ("1.2.3_build.4", (1, 2, 3), False, ""),
        ("v1.2.3-rc.1_build-4", (1, 2, 3), True, ""),
        ("3.18_build", (3, 18), False, None),
        ("bookworm-20240513-slim", (20240513,), False, None),
        ("8f14e45f", (8,), False, None),
    ],
)
def test_the_version_in_a_tag(tag: str, release: tuple[int, ...], is_prerelease: bool, suffix: str | None) -> None:
    version = read_version(tag)
    assert version
    assert (version.release, version.is_prerelease, version.suffix) == (release, is_prerelease, suffix)


@pytest.mark.parametrize("tag", ["latest", "alpine", "stable-perl"])
def test_a_tag_without_a_number_has_no_version(tag: str) -> None:
    assert read_version(tag) is None


@pytest.mark.parametrize(
    "tags",
    [
        "3.9-slim 3.10-slim 3.11-slim",
        "latest 1.27.0-rc1 1.27.0-rc2 1.27.0-rc10 1.27 1.27.0 1.27.1",
        "1.0-SNAPSHOT 1.0-alpha 1.0-beta 1.0-rc.1 1.0",
        "1.9-alpine v1.10 1.11",
        "12-r5 12-r10",
        "bookworm-20240513-slim bookworm-20240701-slim",
        "trixie-20240513 bookworm-20240701",
        "21.0.4_7-jdk 21.0.5_11-jdk",
        "1.2.3 1.2.3_build.4 1.2.3_build.10 1.2.4",
    ],
)
def test_tags_from_old_to_new(tags: str) -> None:
    assert all(age_key(older) < age_key(newer) for older, newer in pairwise(tags.split()))


@given(
    st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
    st.from_regex(r"[0-9._-]{1,8}rc?1?", fullmatch=True),
)
def test_any_two_tags_have_an_order(one: str, other: str) -> None:
    keys = age_key(one), age_key(other)
    assert (keys[0] < keys[1]) + (keys[0] > keys[1]) == (one != other)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (">=1.24 <2", "1.24 1.24.0 1.27.3", "1 1.23.9 2 2.0 2.0.1 1.25-rc1"),
        (">=1.24,<2", "1.24 1.99", "2"),
        (">= 1.24 < 2", "1.24", "2"),
        (">1.24", "1.24.1 2", "1.24 1.24.0"),
        ("<=1.24", "1.24 1.24.0 1", "1.24.1"),
        ("=1.24", "1.24 1.24.0", "1.24.1"),
        (">=3 !=3.13", "3.12 3.13.1", "3.13 3.13.0"),
        (">=v1.8", "1.8 v1.9", "1.7"),
        (">=1.25-rc1 <2", "1.25-rc1 1.25-rc2 1.26-beta1 1.25", "1.25-beta1 2.0-rc1 2"),
        (">=1 <2-beta", "1.9 2-alpha", "2-beta 2-rc1 2"),
        (">=3.18", "3.18 3.21.3 4 999 2024.1 2024.1.3 v20", "20250108 20250108.1 2024 1234567 202501.1 2025.01.08"),
        (">=1.27", "1.27.20240101 1.27_2", "2025_01_08 2025.01.08.1 v20250108"),
        (">=3.18", "3.18", "3.18_alpha20230329 edge-20240101"),
        (">=2024.01.01", "2024.01.02 2025.01.08", "2023.12.31 20250108"),
        (">=0", "0.1 17 2024.1", "20250108 2024"),
        (">=20240101", "20240101 20250108 20250108.1", "20231231 3.21"),
        (">=2023", "2023 2024 2024.1", "20250108 2022"),
        (">=3.18 !=20250108", "3.18 20250109", "20250108"),
        (">=100", "131 1024 9999", "10001 20250108"),
    ],
)
def test_what_a_range_has(text: str, inside: str, outside: str) -> None:
    bounds = VersionRange.parse(text)
    tags = [*inside.split(), *outside.split()]
    assert [tag for tag in tags if (version := read_version(tag)) and bounds.has(version)] == inside.split()
