"""`.env` files as compose-go's package `dotenv` reads them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.codebuild.dotenv import read_dotenv


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("V=1", "1"),
        ("\ufeffV=1\r\n", "1"),
        ("# V=0\n\n  export V = 1 \n", "1"),
        ("V: 3.19", "3.19"),
        ("V=1 # why", "1"),
        ("V=1#2", "1#2"),
        ("V=", ""),
        ("V=\nW=2", ""),
        ("V='a $W # b'", "a $W # b"),
        ("V='it\\'s'", "it's"),
        ('V="a\nb" # why', "a\nb"),
        ('V="a\\nb \\"c\\" \\$W"', 'a\nb "c" $W'),
        ("W=1\nV=$W.${X:-2}", "1.2"),
        ('W=1\nV="${W}-${GIVEN}"', "1-given"),
        ("GIVEN=file\nV=$GIVEN", "given"),
        ("V=$NOWHERE", None),
        ("V=${", None),
        ("!?\nV=1", "1"),
    ],
)
def test_reads_the_variables_of_a_file(text: str, value: str | None) -> None:
    assert read_dotenv(text, {"GIVEN": "given"})["V"] == value


def test_a_name_alone_is_a_variable_of_the_environment() -> None:
    assert read_dotenv("A\nB\nC=1", {"A": "given"}) == {"A": "given", "C": "1"}


def test_a_later_file_replaces_and_uses_what_is_before() -> None:
    assert read_dotenv("B=$A\nC=2", {}, {"A": "1", "C": "1"}) == {"A": "1", "B": "1", "C": "2"}


@given(st.text(alphabet="AB=: #'\"\\\\$\\n\\r{}export", max_size=60))
def test_any_text_is_read(text: str) -> None:
    read_dotenv(text, {})


def test_reads_many_variables_in_time_in_proportion() -> None:
    started = time.process_time()
    assert len(read_dotenv("".join(f"A{number}=x\n" for number in range(60_000)), {})) == 60_000
    assert time.process_time() - started < 5  # 0.4 s; each copy of what is known made it 6 s
