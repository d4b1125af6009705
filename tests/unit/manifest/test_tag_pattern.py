"""Tag patterns mean what Python says, and no manifest makes them take long or fill the memory."""

from __future__ import annotations

import re
import resource
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.manifest.tag_pattern import SECONDS, TagPattern, TooSlow, check_tag_pattern

ATOMS = st.sampled_from(["a", "b", "1", ".", r"\.", r"\d", r"\w", "[ab]", "[^a]", "[0-9]", "[]a]", "-", "^", "$"])
REPEATS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,2}", "{2,}", "{,2}", "*?"])
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, REPEATS).map(lambda pair: f"({pair[0]}){pair[1]}"),
        st.lists(inner, max_size=3).map("".join),
        st.lists(inner, max_size=3).map(lambda items: f"(?:{'|'.join(items)})"),
    ),
    max_leaves=6,
)


SLOW = [r"(?:(a|aa)+\1)+c", r"(?:(?:a{1,9}){1,9}){1,9}[^ab]", r"(?:.*?){20}[^a-z]"]


@given(PATTERNS, st.text("ab1.-", max_size=6))
@settings(max_examples=500, deadline=None)
def test_matches_what_python_matches(pattern: str, tag: str) -> None:
    check_tag_pattern(pattern)
    assert TagPattern(pattern).matches(tag) == bool(re.fullmatch(pattern, tag, re.ASCII))


@pytest.mark.parametrize("tag", ["3.12", "3.12.1-slim", "v3.12.1", "3.12.1\n"])
def test_matches_whole_tags_only(tag: str) -> None:
    assert not TagPattern(r"3\.\d+\.\d+").matches(tag)


@pytest.mark.parametrize("pattern", SLOW)
def test_gives_up_a_pattern_that_is_too_slow(pattern: str) -> None:
    check_tag_pattern(pattern)
    started = time.process_time()
    with pytest.raises(TooSlow):
        TagPattern(pattern).matches("a" * 127 + "b")
    assert time.process_time() - started < 3 * SECONDS


def test_counts_the_time_of_all_tags_together() -> None:
    pattern = TagPattern(r"(?:(a|aa)+\1)+c")
    started = time.process_time()
    with pytest.raises(TooSlow):
        for number in range(100_000):
            pattern.matches("a" * 24 + str(number))
    assert time.process_time() - started < 3 * SECONDS


@pytest.mark.parametrize(
    "pattern",
    [
        r"(((3{99}){99}){99}){99}|3\.12",
        "3{4294967294}",
        "(?:" * 20 + "a" + "{9})" * 20,
        "(?:(?:[]a]{99}){99,}){99,999}",
        r"(?:(?:\({99}b?){99}c?){99}",
        "(?P<x>(?:a{100}|b){101})",
    ],
)
def test_refuses_repetitions_that_fill_the_memory(pattern: str) -> None:
    with pytest.raises(ValueError, match="repeats too much"):
        check_tag_pattern(pattern)


@pytest.mark.parametrize(
    "pattern", [r"\d{4}(-\d{2}){2}T\d{6}-[a-f0-9]{64}", "v?(?:[0-9]{1,3}[.]){3}[0-9]{1,3}", "a{,5}"]
)
def test_takes_repetitions_that_tags_need(pattern: str) -> None:
    check_tag_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(a", "is not a regular expression: missing )"),
        ("(?R)", "is not a regular expression: unknown extension"),
        ("[[a]]", "is not a regular expression: Possible nested set"),
        ("(?:ab){e<=1}", "has `{`, which no tag has"),
        ("(?#[)a{9}(?#])", "has `#`, which no tag has"),
        ("(?x)a {9}", "has ` `, which no tag has"),
    ],
)
def test_refuses_what_the_two_engines_read_differently(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        check_tag_pattern(pattern)


HOSTILE = st.lists(
    st.sampled_from([*"()[]|{}?*+^$-,.\\ab19", "(?:", "{9}", "{99}", "{99,}", "(?=", "\\1", "[^]", "(?i)"]), max_size=40
).map("".join)


@pytest.mark.slow
def test_compiles_whatever_it_lets_through_in_little_memory() -> None:
    @given(HOSTILE)
    @settings(max_examples=3000, deadline=None)
    def compiles(pattern: str) -> None:
        try:
            check_tag_pattern(pattern)
        except ValueError:
            return
        TagPattern(pattern)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    compiles()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB
