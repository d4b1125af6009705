"""What of a repository goes: examples, and properties over random repositories with every step of a deletion."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.random_repositories import NOW, digest, lacks, repositories, signature_of
from toolkit.lock.keepers import keeper_tag
from toolkit.oci.digest import Digest
from toolkit.plan.observed import ListedImage
from toolkit.plan.prices import STORAGE
from toolkit.plan.pruning import (
    Needs,
    Removal,
    Why,
    find_removals,
    freed,
    waves,
    with_company,
)

OLD = NOW - timedelta(days=100)
NEEDS = Needs(frozenset({"1"}), frozenset(), NOW - timedelta(days=30), NOW - timedelta(days=30))
"""The manifest names one tag, `1`."""


A, B, C, D, E = map(digest, range(5))


def listed(one: Digest, *tags: str, pushed: datetime = OLD, **fields: object) -> ListedImage:
    return ListedImage(one, pushed, tags, 100, **fields)  # type: ignore[arg-type]


def index(one: Digest, *tags: str, children: tuple[Digest, ...], **fields: object) -> ListedImage:
    return listed(one, *tags, is_index=True, children=children, **fields)  # type: ignore[arg-type]


def removed(*images: ListedImage, needs: Needs = NEEDS) -> dict[Digest, tuple[str, Why]]:
    return {one.digest: (",".join(one.tags), one.why) for one in find_removals("web", images, needs)}


def test_deletes_a_tag_that_the_manifest_does_not_name() -> None:
    assert removed(listed(A, "1"), listed(B, "0")) == {B: ("0", Why.TAG)}


def test_deletes_what_lost_its_tag() -> None:
    assert removed(listed(A, "1"), listed(B)) == {B: ("", Why.SUPERSEDED)}


@pytest.mark.parametrize(
    "needs",
    [
        replace(NEEDS, tags=frozenset({"0"})),
        replace(NEEDS, digests=frozenset({B})),
        replace(NEEDS, digests=frozenset({C})),
    ],
    ids=["tag", "digest", "digest of the index that it was filtered from"],
)
def test_keeps_what_is_named(needs: Needs) -> None:
    assert removed(index(B, "0", children=(), made_of=C), needs=needs) == {}


def test_keeps_an_image_of_several_tags_and_drops_the_others() -> None:
    (one,) = find_removals("web", [listed(A, "0", "1")], NEEDS)
    assert (one.tags, one.why, one.is_tags_only, one.size) == (("0",), Why.TAG, True, 0)


def test_leaves_the_last_names_to_an_image_that_is_needed_under_none() -> None:
    """ECR deletes an image with its last tag."""
    assert removed(listed(A, "0"), needs=replace(NEEDS, digests=frozenset({A}))) == {}


@pytest.mark.parametrize(
    ("pushed", "pulled", "stays"),
    [
        (timedelta(days=100), timedelta(days=29), True),
        (timedelta(days=100), timedelta(days=31), False),
        (timedelta(days=29), None, True),
        (timedelta(days=31), None, False),
    ],
)
def test_counts_from_the_last_pull_or_push(pushed: timedelta, pulled: timedelta | None, stays: bool) -> None:
    image = listed(A, "0", pushed=NOW - pushed, pulled_at=pulled and NOW - pulled)
    assert (removed(image) == {}) is stays


def test_keeps_an_index_of_which_a_child_was_pulled() -> None:
    child = listed(B, pulled_at=NOW - timedelta(days=1))
    assert removed(index(A, "0", children=(B, C)), child, listed(C)) == {}


def test_does_not_take_our_own_look_at_an_index_for_a_pull() -> None:
    lately = NOW - timedelta(minutes=5)
    assert set(removed(index(A, "0", children=(B,), pulled_at=lately), listed(B))) == {A, B}


def test_deletes_only_the_children_that_no_other_index_has() -> None:
    found = removed(index(A, "1", children=(C,)), index(B, "0", children=(C, D)), listed(C), listed(D))
    assert found == {B: ("0", Why.TAG), D: ("", Why.PART)}


def test_keeps_the_children_of_children() -> None:
    assert removed(index(A, "1", children=(B,)), index(B, children=(C,)), listed(C)) == {}


def test_keeps_what_belongs_to_an_image_and_what_belongs_to_that() -> None:
    images = [listed(A, "1"), listed(B, signature_of(A)), listed(C, subject=A), listed(D, signature_of(C, ".att"))]
    assert removed(*images, index(E, signature_of(A, ""), children=(C,))) == {}


def test_deletes_what_belongs_to_an_image_with_it() -> None:
    images = [listed(A, "0"), listed(B, signature_of(A)), listed(C, subject=A)]
    assert removed(*images) == {A: ("0", Why.TAG), B: (signature_of(A), Why.ATTACHED), C: ("", Why.ATTACHED)}


def test_deletes_what_belongs_to_an_image_that_is_not_there() -> None:
    images = [listed(A, "1"), listed(B, signature_of(D)), listed(C, subject=E)]
    assert removed(*images) == {B: (signature_of(D), Why.ORPHAN), C: ("", Why.ORPHAN)}


def test_keeps_the_signature_of_the_index_from_which_one_was_filtered() -> None:
    assert removed(index(A, "1", children=(), made_of=D), listed(B, signature_of(D))) == {}


def test_keeps_the_image_of_a_signature_that_was_pulled() -> None:
    assert removed(listed(A, "0"), listed(B, signature_of(A), pulled_at=NOW)) == {}


def test_keeps_what_is_archived() -> None:
    assert removed(listed(A, "0", is_archived=True)) == {}


def test_keeps_the_newest_keepers_of_a_tag() -> None:
    images = [listed(A, "1")] + [
        listed(one, keeper_tag("1", one), pushed=OLD + timedelta(days=day)) for day, one in enumerate((B, C, D))
    ]
    assert set(removed(*images, needs=replace(NEEDS, keep_previous=2))) == {B}
    assert removed(*images)[D] == (keeper_tag("1", D), Why.KEEPER)
    assert removed(*images, needs=replace(NEEDS, held=frozenset({"1"}))) == {}


def test_deletes_the_keepers_of_a_tag_that_the_manifest_dropped() -> None:
    assert removed(listed(B, keeper_tag("0", B)), needs=replace(NEEDS, keep_previous=9)) == {
        B: (keeper_tag("0", B), Why.KEEPER)
    }


def test_knows_the_keeper_of_a_tag_that_is_too_long_for_its_name() -> None:
    tag = "x" * 128
    image = listed(A, keeper_tag(tag, A))
    assert removed(image, needs=replace(NEEDS, tags=frozenset({tag}), keep_previous=1)) == {}


def test_orders_referrers_and_indexes_before_what_they_point_to() -> None:
    images = [listed(C), listed(A, "0"), listed(B, signature_of(A)), index(D, "00", children=(A, C))]
    found = find_removals("web", images, NEEDS)
    assert [{one.digest for one in wave} for wave in waves(found)] == [{B, D}, {A, C}]


def test_orders_names_that_point_in_a_circle() -> None:
    found = find_removals("web", [listed(A, signature_of(B)), listed(B, signature_of(A))], NEEDS)
    assert [{one.digest for one in wave} for wave in waves(found)] == [{A, B}]


def test_names_bring_their_company_and_leave_shared_parts() -> None:
    images = [
        index(A, "0", children=(C, D)),
        index(B, "00", children=(D,)),
        listed(C),
        listed(D),
        listed(E, signature_of(A)),
    ]
    found = find_removals("web", images, NEEDS)
    named = [one for one in found if one.digest == A]
    assert {one.digest for one in with_company(found, named)} == {A, C, E}


def test_counts_layers_of_images_only() -> None:
    found = find_removals("web", [index(A, "0", children=(B,)), listed(B), listed(C, "1", "00")], NEEDS)
    assert freed(found) == 100
    assert STORAGE.of(20 * 10**9) == pytest.approx(2.0)


# Properties


needs = st.builds(
    lambda tags, digests, held, keep: Needs(
        frozenset(tags),
        frozenset(map(digest, digests)),
        NEEDS.pulled_since,
        NEEDS.pushed_since,
        frozenset(held),
        keep,
    ),
    st.sets(st.sampled_from(["0", "1", "2"])),
    st.sets(st.sampled_from([0, 1, 2, 3, 101])),
    st.sets(st.sampled_from(["0", "1"])),
    st.integers(0, 2),
)


def after(images: list[ListedImage], done: tuple[Removal, ...]) -> list[ListedImage]:
    """The repository after ECR deleted `done`; like ECR, it refuses a child of an index that is there."""
    left = {image.digest: image for image in images}
    for one in done:
        assert set(one.tags) <= set(left[one.digest].tags)
        tags = tuple(tag for tag in left[one.digest].tags if tag not in one.tags)
        if one.is_tags_only:
            assert tags, "the last tag takes the image with it"
            left[one.digest] = replace(left[one.digest], tags=tags)
        else:
            assert not tags
            assert not any(one.digest in image.children for image in left.values()), "ImageReferencedByManifestList"
            del left[one.digest]
    return list(left.values())


@given(repositories(), needs, st.data())
@settings(max_examples=200, deadline=None)
def test_never_breaks_what_stays_however_far_it_comes(
    images: list[ListedImage], needs: Needs, data: st.DataObject
) -> None:
    removals = find_removals("web", images, needs)
    before = lacks(images)
    far = data.draw(st.integers(0, len(removals)))
    killed = after(images, removals[:far])
    assert lacks(killed) <= before
    for image in images:
        is_named = (
            not needs.tags.isdisjoint(image.tags) or image.digest in needs.digests or image.made_of in needs.digests
        )
        is_used = image.pushed_at >= needs.pushed_since or (
            not image.children and image.pulled_at and image.pulled_at >= needs.pulled_since
        )
        if is_named or is_used or image.is_archived:
            (still,) = [one for one in killed if one.digest == image.digest]
            assert needs.tags & set(image.tags) <= set(still.tags)
    rest = find_removals("web", killed, needs)
    done = after(killed, rest)
    assert lacks(done) <= before
    assert {image.digest for image in done} == {image.digest for image in after(images, removals)}
    assert find_removals("web", done, needs) == ()


@given(repositories(), needs, st.data())
@settings(max_examples=80, deadline=None)
def test_never_breaks_what_stays_when_few_are_named(
    images: list[ListedImage], needs: Needs, data: st.DataObject
) -> None:
    removals = find_removals("web", images, needs)
    named = data.draw(st.lists(st.sampled_from(removals), unique=True)) if removals else []
    chosen = with_company(removals, named)
    assert set(named) <= set(chosen)
    assert lacks(after(images, chosen)) <= lacks(images)
