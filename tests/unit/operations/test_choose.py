from __future__ import annotations

import pytest

from toolkit.errors import UsageError
from toolkit.oci.reference import Reference
from toolkit.operations.choose import choose, spellings

DIGEST = "sha256:" + "0" * 64
IMAGES = ("nginx:1.16", "quay.io/a/b:v1", f"alpine:3.20@{DIGEST}")


def chosen(*patterns: str) -> list[str]:
    references = [Reference.parse(text) for text in IMAGES]
    return [reference.familiar for reference in choose(references, patterns, spellings)]


@pytest.mark.parametrize(
    "patterns, expected",
    [
        ([], [0, 1, 2]),
        (["nginx:*"], [0]),
        (["docker.io/library/*"], [0, 2]),
        (["*v1", "nginx:1.16"], [0, 1]),
        (["alpine:3.20"], [2]),
        ([f"alpine:3.20@{DIGEST}"], [2]),
        (["[nq]*"], [0, 1]),
    ],
)
def test_a_pattern_fits_any_spelling_of_a_name_and_the_order_stays(patterns: list[str], expected: list[int]) -> None:
    assert chosen(*patterns) == [IMAGES[number] for number in expected]


def test_every_pattern_that_fits_nothing_is_named_with_what_there_is() -> None:
    with pytest.raises(UsageError) as caught:
        chosen("nginx*", "ngnix*", "Alpine:*")
    assert caught.value.message == (
        "`ngnix*`, `Alpine:*` matches no image; there are `alpine:3.20`, `nginx:1.16`, `quay.io/a/b:v1`"
    )


def test_of_many_images_only_some_are_named() -> None:
    with pytest.raises(UsageError, match="and 80 more"):
        choose(range(100), ["x"], lambda number: [f"n{number}"])
