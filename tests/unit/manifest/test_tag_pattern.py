from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.manifest.tag_pattern import TagPattern

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


@given(PATTERNS, st.text("ab1.-", max_size=6))
@settings(max_examples=500, deadline=None)
def test_it_says_what_python_says(pattern: str, tag: str) -> None:
    assert TagPattern.parse(pattern).matches(tag) == bool(re.fullmatch(pattern, tag, re.ASCII))


@pytest.mark.parametrize("pattern", [r"(a|aa)+", r"(a+)+", r"(.*)*", r".*a.*a.*a.*a.*a.*a.*a.*a.*a", r"((a?){99}){99}"])
def test_an_expression_with_a_million_ways_through_a_tag_comes_to_an_end(pattern: str) -> None:
    assert not TagPattern.parse(pattern + "c").matches("a" * 127 + "b")


@pytest.mark.parametrize("tag", ["3.12", "3.12.1-slim", "v3.12.1", "3.12.1\n"])
def test_the_whole_tag_has_to_match(tag: str) -> None:
    assert not TagPattern.parse(r"3\.\d+\.\d+").matches(tag)


@pytest.mark.parametrize(
    ("pattern", "shown"), [(r"(a)\1", r"\1"), (r"a\b", r"\b"), ("(?i)a", "(?"), ("(?=a)a", "(?"), ("a*+", "+")]
)
def test_what_needs_another_engine_is_refused_by_name(pattern: str, shown: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"has `{shown}`, and only")):
        TagPattern.parse(pattern)
