"""Go's expressions and constraints, held against the tags that the tools themselves would take."""

from __future__ import annotations

import pytest

from toolkit.manifest.tag_pattern import TagPattern
from toolkit.manifest.tag_selection import TagSelectionSpec
from toolkit.migration.go_patterns import (
    CannotSay,
    anchored,
    literals,
    masterminds,
    regclients,
    searched,
    selection,
    versions_extract,
)

TAGS = ("latest", "latest-dev", "not-edge", "edge", "1.13.1", "1.13.12-alpine", "v2.0", "x1.13.1", "A1")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("latest", ["latest"]),
        ("latest|edge", ["latest", "latest-dev", "not-edge", "edge"]),  # `^latest|edge$`
        ("(latest|edge)", ["latest", "edge"]),
        (r"^1\.13\.[12]$", ["1.13.1"]),
        (r"v?\d\.\d", ["v2.0"]),
        ("[[:upper:]][[:digit:]]", ["A1"]),
        (r"(?i)a1\z", ["A1"]),
    ],
)
def test_anchored_takes_what_regsync_takes(pattern: str, found: list[str]) -> None:
    made = TagPattern(selection([anchored(pattern)], []))
    assert [tag for tag in TAGS if made.matches(tag)] == found


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("edge", ["not-edge", "edge"]),
        (r"^1\.13", ["1.13.1", "1.13.12-alpine"]),
        (r"1\.13\.1$", ["1.13.1", "x1.13.1"]),
        (r"^1\.13\.1$", ["1.13.1"]),
        ("^latest|^v", ["latest", "latest-dev", "v2.0"]),
    ],
)
def test_searched_takes_what_skopeo_takes(pattern: str, found: list[str]) -> None:
    made = TagPattern(searched(pattern))
    assert [tag for tag in TAGS if made.matches(tag)] == found


def test_selection_leaves_out_what_is_denied() -> None:
    made = TagPattern(selection([anchored("latest.*"), anchored("edge")], [anchored(".*-dev|nothing")]))
    assert [tag for tag in TAGS if made.matches(tag)] == ["latest", "edge"]


@pytest.mark.parametrize(
    "pattern", ["(?=a)", r"\p{Greek}", r"\Qa.b\E", "a(?i)b", "a{,3}", "[[:punct:]]", "(", "a" * 257]
)
def test_says_what_it_cannot_say(pattern: str) -> None:
    with pytest.raises(CannotSay):
        selection([anchored(pattern)], [])


@pytest.mark.parametrize(
    ("patterns", "tags"),
    [(["latest", r"2\.7\.0"], ("latest", "2.7.0")), (["2.7.0"], None), (["v.*"], None), (["^edge$"], ("edge",))],
)
def test_literals_are_tags_that_nothing_else_matches(patterns: list[str], tags: tuple[str, ...] | None) -> None:
    assert literals(patterns) == tags


@pytest.mark.parametrize(
    ("constraint", "ranges"),
    [
        (">= 3.12.0", [">=3.12.0"]),
        ("3.12 - 3.13", [">=3.12 <3.14"]),
        ("1.2.x", [">=1.2 <1.3"]),
        ("^1.2.3", [">=1.2.3 <2"]),
        ("^0.2.3", [">=0.2.3 <0.3"]),
        ("^0.0.3", [">=0.0.3 <0.0.4"]),
        ("~1.2.3", [">=1.2.3 <1.3"]),
        ("~1", [">=1 <2"]),
        ("<=1.2", ["<1.3"]),
        (">1", [">=2"]),
        (">1.2.3, !=1.2.5", [">1.2.3 !=1.2.5"]),
        ("= 1.2.3 || >= v2.0", ["=1.2.3", ">=2.0"]),
        ("*", [">=0"]),
    ],
)
def test_masterminds_constraints_are_ranges(constraint: str, ranges: list[str]) -> None:
    assert list(masterminds(constraint)) == ranges


@pytest.mark.parametrize("constraint", [">=1.0.0-0", "latest", "!=1.2", "> *"])
def test_masterminds_constraints_without_a_counterpart_are_said(constraint: str) -> None:
    with pytest.raises(CannotSay):
        list(masterminds(constraint))


@pytest.mark.parametrize(
    ("constraint", "versions"),
    [(">=3.5.1 <4.0", ">=3.5.1 <4.0"), ("^0.0.3", ">=0.0.3 <0.0.4"), ("~1", ">=1 <1.1"), ("1.2", "=1.2")],
)
def test_regclients_constraints_are_ranges(constraint: str, versions: str) -> None:
    assert regclients(constraint) == versions


@pytest.mark.parametrize("constraint", ["1.x", ">=1.0-rc1", ">= 1 || 2"])
def test_regclients_constraints_without_a_counterpart_are_said(constraint: str) -> None:
    with pytest.raises(CannotSay):
        regclients(constraint)


def test_versions_count_in_tags_that_are_allowed_and_not_denied() -> None:
    extract = versions_extract(
        [anchored(r"v?\d+\.\d+\.\d+.*")], [anchored(".*-rc1")], r"(?P<version>v?\d+(\.\d+)*)(?:-.*)?"
    )
    chosen = TagSelectionSpec(versions=">=1.2 <2", extract=extract)
    tags = ("1.2.3", "v1.3.0-alpine", "1.4.0-rc1", "1.5", "2.0.0", "latest")
    assert set(chosen.choose(tags)) == {"1.2.3", "v1.3.0-alpine"}
