"""A tag goes back to a digest that was admitted before, is held there, and follows its policy again afterwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import Refused
from toolkit.lock.admission import Change, Check, admit, observe, to_check
from toolkit.lock.model import Admitted, Hold, LockedTag, Policy, Sighting
from toolkit.lock.rollback import is_rolled_back, roll_back
from toolkit.lock.text import read_lock, write_lock
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference

NOW = datetime(2026, 11, 30, 6, tzinfo=UTC)
SOURCE = Reference.parse("nginx:1.27")
HOLD = Hold("it breaks the build on arm")
POLICY = Policy(min_age=timedelta(days=3))


def days(count: float) -> datetime:
    return NOW + timedelta(days=count)


def digest(name: str) -> Digest:
    return Digest.of(name.encode())


def admitted(name: str, at: float) -> Admitted:
    return Admitted(Sighting(digest(name), days(at - 3)), days(at))


def names(tag: LockedTag) -> tuple[str, list[str], list[str]]:
    """The digests of a tag by name: the admitted one, the candidates, the previous ones."""
    known = {digest(name): name for name in "abcdxyz"}
    present = known[tag.admitted.digest] if tag.admitted else ""
    return present, [known[one.digest] for one in tag.candidates], [known[one.digest] for one in tag.previous]


TAG = LockedTag(
    SOURCE,
    admitted("c", -1),
    (Sighting(digest("d"), days(-1)),),
    (admitted("b", -10), admitted("a", -20)),
)


def lock_run(tag: LockedTag, upstream: str | None, now: datetime, policy: Policy = POLICY) -> LockedTag:
    """What `toolkit lock` makes of `tag` at `now`, while upstream has every digest."""
    seen = Sighting(digest(upstream), now) if upstream else None
    there = observe(tag, SOURCE, seen, now)
    checks = dict.fromkeys(to_check(there, policy, now), Check.FINE)
    return admit(tag, SOURCE, seen, policy, checks, now).tag


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, ("b", ["c", "d"], ["c", "a"])),
        (str(digest("b")), ("b", ["c", "d"], ["c", "a"])),
        (digest("a").hex[:7], ("a", ["c", "d"], ["c", "b"])),
        (f"sha256:{digest('a').hex[:12]}", ("a", ["c", "d"], ["c", "b"])),
        (digest("c").short, ("c", ["d"], ["b", "a"])),
    ],
    ids=["the one before", "a whole digest", "its beginning", "its beginning with its algorithm", "the present one"],
)
def test_goes_to_the_wanted_digest_and_holds(wanted: str | None, expected: tuple[str, list[str], list[str]]) -> None:
    tag = roll_back(TAG, wanted, HOLD)
    assert (names(tag), tag.hold, tag.source) == (expected, HOLD, SOURCE)
    known = {one.digest: one for one in (TAG.admitted, *TAG.previous) if one}
    assert tag.admitted is not None and tag.admitted == known[tag.admitted.digest]  # seen and admitted when it was


@pytest.mark.parametrize("wanted", [None, digest("b").short])
def test_does_nothing_the_second_time(wanted: str | None) -> None:
    once = roll_back(TAG, wanted, HOLD)
    assert is_rolled_back(once) and not is_rolled_back(TAG)
    assert roll_back(once, wanted, HOLD) == once
    assert roll_back(once, wanted, Hold("another reason")) == replace(once, hold=Hold("another reason"))


def test_stays_where_it_is_when_repeated_after_the_hold_is_over() -> None:
    over = replace(roll_back(TAG, None, HOLD), hold=None)
    assert names(roll_back(over, None, HOLD))[0] == "b"


def test_goes_further_back_and_forward_again_by_digest() -> None:
    there = roll_back(roll_back(TAG, None, HOLD), digest("a").short, HOLD)
    assert names(there) == ("a", ["b", "c", "d"], ["c", "b"])
    assert names(roll_back(there, digest("b").short, HOLD)) == ("b", ["c", "d"], ["c", "a"])
    assert roll_back(there, digest("c").short, HOLD) == replace(TAG, hold=HOLD)


@pytest.mark.parametrize(
    ("tag", "wanted", "code"),
    [
        (TAG, digest("d").short, "not_admitted"),
        (TAG, digest("x").short, "unknown_digest"),
        (TAG, "nginx", "unknown_digest"),
        (TAG, "", "ambiguous_digest"),
        (TAG, "sha256:", "ambiguous_digest"),
        (replace(TAG, previous=()), None, "nothing_before"),
        (LockedTag(SOURCE, None, TAG.candidates), None, "nothing_before"),
        (LockedTag(SOURCE, None, TAG.candidates), digest("d").hex, "not_admitted"),
    ],
)
def test_refuses_what_was_never_admitted(tag: LockedTag, wanted: str | None, code: str) -> None:
    with pytest.raises(Refused) as refusal:
        roll_back(tag, wanted, HOLD)
    assert refusal.value.code == f"rollback.{code}"


def test_begins_again_with_what_was_admitted_from_another_source() -> None:
    assert names(roll_back(replace(TAG, admitted=None, candidates=()), None, HOLD)) == ("b", [], ["a"])


def test_stays_back_while_it_is_held() -> None:
    tag = roll_back(TAG, None, HOLD)
    for day in range(20):
        tag = lock_run(tag, "c" if day < 5 else "d", days(day))
        assert names(tag)[0] == "b"
    assert names(tag)[1] == ["c", "d"]


def test_takes_the_digest_again_without_a_new_wait_once_it_is_released() -> None:
    back = lock_run(roll_back(replace(TAG, candidates=()), None, HOLD), "c", days(1))
    tag = lock_run(replace(back, hold=None), "c", days(1))
    assert names(tag) == ("c", [], ["b", "c", "a"])
    assert tag.admitted is not None and TAG.admitted is not None
    assert tag.admitted.sighting == TAG.admitted.sighting


def test_knows_no_rollback_any_more_once_the_digest_is_admitted_again() -> None:
    back = lock_run(roll_back(replace(TAG, candidates=()), None, HOLD), "c", days(1))
    tag = lock_run(replace(back, hold=None), "c", days(1))
    assert not is_rolled_back(tag)
    assert names(roll_back(tag, None, HOLD)) == ("b", ["c"], ["c", "a"])


def test_takes_what_upstream_has_taken_back_no_more() -> None:
    tag = roll_back(replace(TAG, candidates=()), None, HOLD)
    tag = lock_run(tag, "b", days(1))
    assert names(tag)[1] == []
    assert names(lock_run(replace(tag, hold=None), "b", days(9)))[0] == "b"


def test_goes_forward_to_a_digest_that_is_gone_upstream_and_makes_no_candidate_of_the_older_one() -> None:
    back = replace(roll_back(TAG, None, HOLD), candidates=(Sighting(digest("d"), days(-1)),))
    assert names(roll_back(back, digest("c").short, HOLD)) == ("c", ["d"], ["b", "a"])


def test_a_lock_holds_what_was_made_of_it() -> None:
    lock = {"hub/nginx:1.27": roll_back(TAG, None, Hold("why: `x`\n# no comment", days(3)))}
    assert read_lock(write_lock(lock), "images.lock.yaml") == lock


@st.composite
def histories(draw: st.DrawFn) -> tuple[LockedTag, datetime]:
    """A tag after some days of `toolkit lock` and rollbacks, and the time."""
    policy = Policy(min_age=timedelta(days=draw(st.integers(0, 3))))
    tag = lock_run(LockedTag(SOURCE), "x", NOW, policy)
    now = NOW
    for move in draw(st.lists(st.sampled_from(["a", "b", "c", "d", None, "back", "release"]), max_size=25)):
        now += timedelta(hours=draw(st.integers(1, 40)))
        if move == "back":
            try:
                tag = roll_back(tag, None, HOLD)
            except Refused:
                continue
        elif move == "release":
            tag = replace(tag, hold=None)
        else:
            tag = lock_run(tag, move, now, policy)
    return tag, now


@given(histories(), st.none() | st.sampled_from("abcdxyz"))
def test_admits_nothing_that_was_not_admitted_before(history: tuple[LockedTag, datetime], wanted: str | None) -> None:
    tag, _ = history
    before = {one.digest for one in (tag.admitted, *tag.previous) if one}
    try:
        moved = roll_back(tag, digest(wanted).hex if wanted else None, HOLD)
    except Refused:
        assert wanted is None or digest(wanted) not in before
        return
    assert moved.admitted is not None
    assert {moved.admitted.digest, *(one.digest for one in moved.previous)} == before
    assert {one.digest for one in moved.candidates} <= before | {one.digest for one in tag.candidates}
    assert roll_back(moved, digest(wanted).hex if wanted else None, HOLD) == moved
    lock = {"hub/nginx:1.27": moved}
    read_lock(write_lock(lock), "images.lock.yaml")  # no digest is in an entry twice where that is a fault


@given(histories(), st.integers(0, 100))
def test_a_release_leads_back_to_what_the_tag_would_be(history: tuple[LockedTag, datetime], hours: int) -> None:
    tag, now = history
    if tag.admitted is None or not tag.previous or is_rolled_back(tag):
        return
    tag, upstream = replace(tag, hold=None, candidates=()), tag.admitted.digest
    back = roll_back(tag, None, HOLD)
    later = now + timedelta(hours=hours)
    released = replace(back, hold=None)
    seen = Sighting(upstream, later)
    found = admit(released, SOURCE, seen, Policy(), {upstream: Check.FINE}, later)
    assert found.change is Change.ADMITTED or back.admitted == tag.admitted
    assert found.tag.admitted is not None
    assert (found.tag.admitted.sighting, found.tag.candidates) == (tag.admitted.sighting, ())
