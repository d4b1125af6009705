from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.manifest.tag_selection import TagSelectionSpec
from toolkit.manifest.tag_versions import age_key

NGINX = """
latest stable stable-alpine mainline 1 1-alpine 1.9 1.9.15 1.24 1.24.0 1.24.0-alpine 1.26 1.26.2 1.26.2-alpine
1.27 1.27.2 1.27.3 1.27.3-alpine 1.27.3-alpine3.20 1.27.3-perl 1.28.0-rc1 2.0.0
"""
PYTHON = """
latest 3 3.9 3.9-slim 3.10-slim 3.11-slim 3.12-slim 3.12.7-slim 3.13-slim 3.13-slim-bookworm 3.13.0 3.13.1
3.14-rc-slim 3.14.0a2-slim
"""

MAIN = (
    "main-9f2c1aa-1700000000 main-0a1b2c3-1700000300 dev-1d2e3f4-1700000500 dev-ffffff0-1600000000 main-latest "
    "release-1.10-ff00aa1 release-1.9-11aa22b release-2.0-0000000"
)


def select(tags: str, **fields: object) -> str:
    return " ".join(TagSelectionSpec.model_validate(fields).choose(tags.split()))


@pytest.mark.parametrize(
    ("tags", "fields", "chosen"),
    [
        (PYTHON, {"glob": "3.1?-slim"}, "3.13-slim 3.12-slim 3.11-slim 3.10-slim"),
        (PYTHON, {"glob": "3.1?-slim", "keep": 2}, "3.13-slim 3.12-slim"),
        (PYTHON, {"glob": "3.*-slim", "keep": 2}, "3.14-rc-slim 3.14.0a2-slim"),
        (PYTHON, {"glob": "3.*-slim", "exclude": ["*a*", "*rc*"], "keep": 3}, "3.13-slim 3.12.7-slim 3.12-slim"),
        (PYTHON, {"glob": "3.[!1]*-slim"}, "3.9-slim"),
        (PYTHON, {"glob": "3.9-slim"}, "3.9-slim"),
        (PYTHON, {"regex": r"3\.\d+\.\d+"}, "3.13.1 3.13.0"),
        (PYTHON, {"regex": r"3\.\d+-slim", "keep": 4}, "3.13-slim 3.12-slim 3.11-slim 3.10-slim"),
        (PYTHON, {"versions": ">=3.12", "suffix": "slim", "parts": 2}, "3.13-slim 3.12-slim"),
        (PYTHON, {"versions": ">=3.14-alpha1", "suffix": "slim"}, "3.14-rc-slim 3.14.0a2-slim"),
        (NGINX, {"versions": ">=1.24 <2", "parts": 3, "keep": 2}, "1.27.3 1.27.2"),
        (NGINX, {"versions": ">=1.24 <2"}, "1.27.3 1.27.2 1.27 1.26.2 1.26 1.24.0 1.24"),
        (NGINX, {"versions": ">=1.24", "suffix": "alpine"}, "1.27.3-alpine 1.26.2-alpine 1.24.0-alpine"),
        (NGINX, {"versions": ">=1.27", "suffix": "alpine*"}, "1.27.3-alpine3.20 1.27.3-alpine"),
        (NGINX, {"versions": ">=3"}, ""),
        ("3.18 3.20.6 3.21 3.21.3 edge 20240329 20250108", {"versions": ">=3.18", "keep": 3}, "3.21.3 3.21 3.20.6"),
        (MAIN, {"extract": r"main-[0-9a-f]+-(?P<time>\d+)"}, "main-0a1b2c3-1700000300 main-9f2c1aa-1700000000"),
        (MAIN, {"extract": r"\w+-[0-9a-f]+-(?P<t>\d+)", "glob": "dev-*", "keep": 1}, "dev-1d2e3f4-1700000500"),
        (
            MAIN,
            {"extract": r"release-(?P<v>.+)-[0-9a-f]+", "versions": ">=1.9 <2"},
            "release-1.10-ff00aa1 release-1.9-11aa22b",
        ),
        (MAIN, {"extract": r"main-(?P<word>x)?.*", "keep": 1}, ""),
        (
            "1.2.3 1.2.3_build.4 1.2.4_build.1 1.2",
            {"versions": ">=1.2", "parts": 3},
            "1.2.4_build.1 1.2.3_build.4 1.2.3",
        ),
        ("8u392 8u402-jdk 9 edge-20240101", {"versions": ">=8"}, "9"),
        ("v1.8.2 1.9.0 x1.10 v2.0-rc.1", {"versions": ">=1"}, "1.9.0 v1.8.2"),
    ],
)
def test_what_is_chosen(tags: str, fields: dict[str, object], chosen: str) -> None:
    assert select(tags, **fields) == chosen


TAGS = st.lists(
    st.from_regex(r"v?[0-9]{1,2}(\.[0-9]{1,2}){0,2}(-?rc[0-9])?(-slim|-alpine3\.[0-9]{1,2})?", fullmatch=True)
)
SELECTIONS = st.one_of(
    st.fixed_dictionaries({"glob": st.sampled_from(["*", "*slim", "?.*", "[1-5]*"])}),
    st.fixed_dictionaries({"regex": st.sampled_from([r"\d+\.\d+", r"v?\d+(\.\d+)*(-\w+)?", ".*3.*"])}),
    st.fixed_dictionaries(
        {"versions": st.sampled_from([">=1", "<50", ">3-rc1 <=70 !=5"]), "suffix": st.sampled_from(["slim", "*"])}
    ),
)


@settings(deadline=None)
@given(TAGS, SELECTIONS, st.integers(1, 6), st.randoms(use_true_random=False))
def test_keep_takes_the_newest_of_what_matches_in_whatever_order_they_are_listed(
    tags: list[str], fields: dict[str, object], keep: int, random: object
) -> None:
    everything = TagSelectionSpec.model_validate(fields)
    matching = {tag for tag in tags if everything.matches(tag)}
    kept = TagSelectionSpec.model_validate({**fields, "keep": keep}).choose(tags)
    shuffled = list(tags)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis calls its Random an object
    assert len(kept) == len(set(kept)) == min(keep, len(matching))
    assert set(kept) <= matching
    assert all(age_key(one) < age_key(other) for one in matching - set(kept) for other in kept)
    assert TagSelectionSpec.model_validate({**fields, "keep": keep}).choose(shuffled) == kept


@pytest.mark.parametrize(
    ("fields", "nearest"),
    [
        ({"versions": ">=3", "suffix": "alpine"}, ["1.27.3-alpine", "1.26.2-alpine", "1.24.0-alpine"]),
        ({"versions": ">=1.27.3", "suffix": "alpin3.20"}, ["1.27.3-alpine3.20", "1.27.3-alpine", "1.26.2-alpine"]),
        ({"glob": "1.27-alpin*"}, ["1.27.3-alpine", "1.26.2-alpine", "1.24.0-alpine"]),
        ({"regex": r"stabel(-\w+)?"}, ["stable", "stable-alpine", "latest"]),
    ],
)
def test_the_nearest_tags_are_named_where_nothing_matches(fields: dict[str, object], nearest: list[str]) -> None:
    selection = TagSelectionSpec.model_validate(fields)
    assert selection.choose(NGINX.split()) == ()
    assert selection.nearest(NGINX.split()) == nearest


@pytest.mark.parametrize("fields", [{"glob": "*"}, {"regex": ".*"}])
def test_signatures_are_no_images(fields: dict[str, str]) -> None:
    ofs = [f"sha256-{'a' * 64}{suffix}" for suffix in ("", ".sig", ".att")]
    assert TagSelectionSpec.model_validate(fields).choose(["1", *ofs]) == ("1",)


def test_there_is_nothing_near_in_an_empty_repository() -> None:
    assert TagSelectionSpec(glob="*").nearest([]) == []
