from __future__ import annotations

import pytest

from toolkit.manifest.tag_selection import TagSelectionSpec
from toolkit.oci.reference import Reference
from toolkit.sandbox.tag_samples import sample_tags


@pytest.mark.parametrize(
    "fields",
    [
        {"glob": "3.1?-slim", "keep": 3},
        {"glob": "3.*-slim", "exclude": ["*rc*"], "keep": 2},
        {"glob": "bookworm-2024*-slim", "keep": 2},
        {"regex": r"3\.\d+\.\d+"},
        {"regex": r"v1\.\d+\.\d+", "keep": 2},
        {"regex": r"(8|11|17)(\.\d+)*-jdk-alpine"},
        {"versions": ">=1.24 <2", "keep": 2},
        {"versions": ">=1.24 <2", "suffix": "alpine", "parts": 3, "keep": 2},
        {"versions": ">2.5 <2.8", "suffix": "debian-12-r*", "parts": 3},
        {"versions": ">=3.13-rc1"},
        {"extract": r"main-[0-9a-f]+-(?P<time>\d+)", "keep": 3},
        {"regex": r"3\.\d+", "extract": r"3\.(?P<minor>\d+)", "keep": 1},
    ],
)
def test_there_are_tags_to_select_more_than_are_kept_and_others(fields: dict[str, object]) -> None:
    selection = TagSelectionSpec.model_validate(fields)
    tags = sample_tags(selection)
    matching = [tag for tag in tags if selection.matches(tag)]
    assert len(matching) > (selection.keep or 1)
    assert len(tags) > len(matching)
    assert len(tags) < 20
    assert all(Reference.parse(f"x:{tag}").tag == tag for tag in tags)


def test_many_are_kept_where_many_can_be_made_up() -> None:
    selection = TagSelectionSpec(glob="1.??", keep=10)
    assert len(selection.choose(sample_tags(selection))) == 10


def test_an_expression_that_no_sample_fits_leaves_the_others() -> None:
    assert sample_tags(TagSelectionSpec(regex="[a-f0-9]{40}")) == ("latest", "0", "0.1.0-rc1")
