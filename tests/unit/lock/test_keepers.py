"""Keeper tags."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.lock.keepers import is_keeper_tag, keeper_tag, keeps
from toolkit.oci.digest import Digest

DIGEST = Digest("sha256", "8adbdcb969e2" + "0" * 52)
TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True)


def test_names_the_tag_and_the_digest() -> None:
    assert keeper_tag("1.27", DIGEST) == "kept.1.27.8adbdcb969e2"
    assert keeps("kept.1.27.8adbdcb969e2") == ("1.27", "8adbdcb969e2")


@given(TAGS)
def test_reads_back_what_it_names(tag: str) -> None:
    keeper = keeper_tag(tag, DIGEST)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", keeper)
    found = keeps(keeper)
    assert found is not None and tag.startswith(found[0]) and found[1] == DIGEST.short
    assert found[0] == tag or len(tag) > 110


@pytest.mark.parametrize(
    "tag", ["1.27", "kept", "kept.1.27", "kept.1.27.8adbdcb969e", "kept..8adbdcb969e2", "kept.8adbdcb969e2"]
)
def test_takes_no_other_tag_for_a_keeper(tag: str) -> None:
    assert not is_keeper_tag(tag)
