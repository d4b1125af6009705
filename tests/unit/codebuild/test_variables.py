"""Variables in the two languages that have them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.codebuild.variables import CannotExpand, Word, expand, interpolate

VALUES = {"V": "1.16", "E": "", "P": "a/b/c.tar.gz"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nginx:$V", "nginx:1.16"),
        ("a$", "a$"),
        ("a$-b", "a$-b"),
        (r"\$V", "$V"),
        ("'$V'\"$V\"", "$V1.16"),
        (r'"\"\$\a"', r'"$\a'),
        ("${E:-x}${E-x}", "x"),
        ("${E:+x}${E+x}", "x"),
        ("${V:+${N:-y}}", "y"),
        ("${V:?needed}", "1.16"),
        ("${P#*/}", "b/c.tar.gz"),
        ("${P##*/}", "c.tar.gz"),
        ("${P%.*}", "a/b/c.tar"),
        ("${P%%.*}", "a/b/c"),
        ("${P/b/x}", "a/x/c.tar.gz"),
        ("${P//./-}", "a/b/c-tar-gz"),
        ("${P/zz/x}", "a/b/c.tar.gz"),
    ],
)
def test_a_dockerfiles_word_is_expanded(text: str, expected: str) -> None:
    assert expand(text, VALUES) == Word(expected)


def test_only_variables_that_decide_are_missed() -> None:
    assert expand("$N-${V:-$X}-${E:-$Y}-${N+z}", VALUES) == Word("-1.16--", ("N", "Y"))
    assert expand("${N:?why}", VALUES).unset == ("N",)


@pytest.mark.parametrize("text", ["${", "${}", "${V", "${V:", "${V:x}", "${V!}", "'a", '"a', "${V:#a}", "${V:-" * 40])
def test_what_is_no_word_is_refused(text: str) -> None:
    with pytest.raises(CannotExpand):
        expand(text, VALUES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a'$V'", "a'1.16'"),
        ("$$V", "$V"),
        ("${V:-x}", "1.16"),
        ("${N:-x}", "x"),
        ("${N-a:b}", "a:b"),
        (r"\$V", r"\1.16"),
    ],
)
def test_a_compose_files_text_is_interpolated(text: str, expected: str) -> None:
    assert interpolate(text, VALUES) == Word(expected)


@given(st.text(alphabet="${}:-+?#%/'\"\\aV ", max_size=40))
def test_any_text_is_expanded_or_refused(text: str) -> None:
    for read in (expand, interpolate):
        try:
            word = read(text, VALUES)
        except CannotExpand:
            continue
        assert isinstance(word.text, str)
