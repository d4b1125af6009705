"""Which digest is admitted when, told by days; then what holds for any history of a tag."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.lock.admission import (
    MAX_CANDIDATES,
    MAX_PREVIOUS,
    Admission,
    Change,
    Check,
    admit,
    in_words,
    observe,
    to_check,
)
from toolkit.lock.model import Bypass, Freshness, Hold, LockedTag, Policy, Sighting
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference

SOURCE = Reference.parse("nginx:1.27")
START = datetime(2026, 11, 1, tzinfo=UTC)
THREE_DAYS = Policy(min_age=timedelta(days=3))


def digest(name: str) -> Digest:
    return Digest.of(name.encode())


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def run(
    tag: LockedTag | None,
    upstream: str,
    at: float,
    policy: Policy = THREE_DAYS,
    checks: dict[str, Check] | None = None,
    *,
    upgrade: bool = False,
    stored: str = "",
) -> Admission:
    """One run on day `at`; every digest is fine but those of `checks`. An empty `upstream` is a tag that is gone.

    `stored` is what ECR has, which is asked when there is no `tag`.
    """
    now = day(at)
    seen = Sighting(digest(upstream), now) if upstream else None
    in_ecr = digest(stored) if stored and tag is None else None
    asked = to_check(observe(tag, SOURCE, seen, now, in_ecr), policy, now, upgrade=upgrade)
    answers = dict.fromkeys(asked, Check.FINE) | {digest(name): check for name, check in (checks or {}).items()}
    return admit(tag, SOURCE, seen, policy, answers, now, stored=in_ecr, upgrade=upgrade)


def after(history: str, policy: Policy = THREE_DAYS) -> LockedTag:
    """The tag after one run a day, which found one letter of `history` each."""
    tag: LockedTag | None = None
    for at, letter in enumerate(history):
        tag = run(tag, letter.strip(), at, policy).tag
    assert tag is not None
    return tag


def shown(tag: LockedTag) -> str:
    """`b|cd`: what is admitted, and the candidates."""
    names = {digest(name): name for name in "abcdefghij"}
    return f"{names[tag.admitted.digest] if tag.admitted else ''}|{''.join(names[c.digest] for c in tag.candidates)}"


@pytest.mark.parametrize(
    ("history", "result"),
    [
        ("a", "|a"),
        ("aaa", "|a"),
        ("aaaa", "a|"),
        ("abcd", "a|bcd"),  # moves daily and still settles, three days late
        ("abcdefgh", "e|fgh"),
        ("aaaabbb", "a|b"),
        ("aaaabbbb", "b|"),
        ("aaaaba", "a|"),  # taken back within its wait
        ("aaaabcb", "a|b"),  # so was c
        ("aaaabcbb", "b|"),  # and b waits no longer for that
        ("aaaabbbba", "b|a"),  # upstream went back to what was admitted before: news
        ("aaaabbbbaaaa", "a|"),
        ("aaaa    ", "a|"),  # gone upstream
        ("a   ", "a|"),  # gone, but still there by digest
    ],
)
def test_trails_upstream_by_the_minimum_age(history: str, result: str) -> None:
    assert shown(after(history)) == result


@pytest.mark.parametrize(
    ("policy", "result"),
    [
        (Policy(), "b|"),
        (Policy(Freshness.ONCE), "a|b"),
        (Policy(Freshness.PIN), "a|b"),
        (Policy(suspend=Hold("broken on arm", day(9))), "|ab"),
        (Policy(suspend=Hold("broken on arm", day(1))), "b|"),  # it ends at its end
        (Policy(suspend=Hold("broken on arm")), "|ab"),
        (replace(THREE_DAYS, bypass=Bypass(digest("b"), "CVE-1")), "b|"),
        (replace(THREE_DAYS, bypass=Bypass(digest("c"), "never seen")), "|ab"),
    ],
)
def test_follows_the_policy(policy: Policy, result: str) -> None:
    assert shown(after("ab", policy)) == result


def test_moves_a_pinned_tag_only_when_an_upgrade_is_asked_for() -> None:
    pinned = Policy(Freshness.PIN)
    tag = after("ab", pinned)
    assert run(tag, "b", 2, pinned).reasons == ("`freshness: pin` moves only with `--upgrade`",)
    assert shown(run(tag, "b", 2, pinned, upgrade=True).tag) == "b|"


def test_keeps_a_held_tag_until_the_hold_ends_even_against_a_bypass() -> None:
    tag = replace(after("aaaab"), hold=Hold("rolled back", day(20)))
    policy = replace(THREE_DAYS, bypass=Bypass(digest("b"), "CVE-1"))
    held = run(tag, "b", 19, policy)
    assert shown(held.tag) == "a|b"
    assert held.reasons == ("it is held until 2026-11-21 00:00: rolled back",)
    free = run(held.tag, "b", 20, policy)
    assert (shown(free.tag), free.tag.hold) == ("b|", None)


@pytest.mark.parametrize(
    ("check", "result", "reason"),
    [
        (Check.GONE, "b|d", "is gone at the source"),
        (Check.UNVERIFIED, "b|cd", "its signature is missing or does not match the key"),
    ],
)
def test_falls_back_to_the_next_older_candidate(check: Check, result: str, reason: str) -> None:
    tag = replace(after("aaaabcd"), hold=None)
    found = run(tag, "d", 8.5, checks={"c": check})
    assert shown(found.tag) == result
    assert any(reason in one for one in found.reasons)


def test_admits_nothing_that_was_not_checked() -> None:
    tag = after("aaa")
    why = {digest("a"): "`docker.io` does not respond"}
    found = admit(tag, SOURCE, Sighting(digest("a"), day(9)), THREE_DAYS, {}, day(9), why=why)
    assert (shown(found.tag), found.change) == ("|a", Change.NOTHING)
    assert found.reasons == (f"`{digest('a').short}` waits: `docker.io` does not respond",)


def test_says_what_happened_and_why() -> None:
    tag = after("aaaabbb")
    moved = run(tag, "c", 7)
    b, c = (digest(name).short for name in "bc")
    assert moved.change is Change.ADMITTED
    assert moved.reasons == (f"`{b}` is admitted: seen for 3d", f"`{c}` waits: seen for 0m of 3d")
    bypassed = run(tag, "b", 6.5, replace(THREE_DAYS, bypass=Bypass(digest("b"), "CVE-1")))
    assert bypassed.reasons == (f"`{b}` is admitted: `min_age` is bypassed: CVE-1",)


def test_starts_anew_from_another_source_unless_it_has_the_admitted_digest() -> None:
    tag = after("aaaa")
    other = Reference.parse("public.ecr.aws/docker/library/nginx:1.27")
    same = observe(tag, other, Sighting(digest("a"), day(5)), day(5))
    assert (same.source, shown(same)) == (other, "a|")
    new = observe(tag, other, Sighting(digest("b"), day(5)), day(5))
    assert (new.source, shown(new), [one.digest for one in new.previous]) == (other, "|b", [digest("a")])


def test_changes_nothing_on_a_day_without_news() -> None:
    tag = after("aaaab")
    assert run(tag, "b", 5) == Admission(tag, Change.NOTHING, (f"`{digest('b').short}` waits: seen for 1d of 3d",))


def test_does_not_take_a_digest_for_old_that_was_seen_while_the_clock_was_set_back() -> None:
    tag = run(after("aaaa"), "b", -1000).tag
    assert shown(run(tag, "b", 5).tag) == "a|b"
    assert shown(run(tag, "b", 6).tag) == "b|"


def test_bounds_what_it_remembers_and_still_settles() -> None:
    tag: LockedTag | None = None
    for hour in range(24 * 30):
        tag = run(tag, f"hour {hour}", hour / 24).tag
        assert len(tag.candidates) <= MAX_CANDIDATES
        assert len(tag.previous) <= MAX_PREVIOUS
    assert tag is not None
    assert tag.admitted is not None
    assert day(30) - tag.admitted.sighting.first_seen < timedelta(days=3 + 3 / 8)


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(0, "0m"), (59, "59m"), (60, "1h"), (1439, "23h 59m"), (1440, "1d"), (4319, "2d 23h"), (-5, "0m"), (0.5, "30s")],
)
def test_rounds_an_age_down(minutes: float, words: str) -> None:
    assert in_words(timedelta(minutes=minutes)) == words


# A history: hours since the run before, what upstream's tag has then (nothing: it is gone), by how much the clock is
# off in hours, and which digests fail their check.
ONE_RUN = st.tuples(
    st.integers(1, 60),
    st.sampled_from(["a", "b", "c", "d", "e", ""]),
    st.integers(-10, 10),
    st.dictionaries(st.sampled_from("abcde"), st.sampled_from([Check.GONE, Check.UNVERIFIED]), max_size=2),
)
HISTORY = st.lists(ONE_RUN, max_size=30)
MIN_AGE = timedelta(hours=72)


@given(HISTORY)
def test_never_goes_back_and_never_admits_what_was_not_seen_long_enough(
    history: list[tuple[int, str, int, dict[str, Check]]],
) -> None:
    """With a clock that is off by up to ten hours in either direction, a digest waits for at least 72 - 20 hours."""
    tag: LockedTag | None = None
    true, last = 0, -1
    shown_at: list[tuple[int, str]] = []
    for hours, name, skew, checks in history:
        true += hours
        shown_at.append((true, name))
        found = run(tag, name, (true + skew) / 24, checks=checks)
        if found.change is Change.ADMITTED and found.tag.admitted:
            admitted = next(letter for letter in "abcde" if digest(letter) == found.tag.admitted.digest)
            seen = [at for at, (_, letter) in enumerate(shown_at) if letter == admitted]
            assert admitted not in checks
            assert true - shown_at[seen[0]][0] >= 72 - 20
            assert seen[-1] > last
            last = seen[-1]
        tag = found.tag


@given(HISTORY)
def test_trails_by_at_most_the_minimum_age_and_one_run(
    history: list[tuple[int, str, int, dict[str, Check]]],
) -> None:
    tag: LockedTag | None = None
    true = 0
    shown_at: list[tuple[int, str]] = []
    for hours, name, _, _ in history:
        true += hours
        shown_at.append((true, name or "a"))
        tag = run(tag, name or "a", true / 24).tag
        aged = [at for at, (hour, _) in enumerate(shown_at) if hour <= true - 72]
        if aged:
            assert tag.admitted is not None
            recent = {digest(letter) for _, letter in shown_at[aged[-1] :]}
            assert tag.admitted.digest in recent


@given(HISTORY, st.integers(0, 29))
def test_admits_nothing_for_the_minimum_age_after_the_lock_was_lost(
    history: list[tuple[int, str, int, dict[str, Check]]], lost: int
) -> None:
    tag: LockedTag | None = None
    true, since = 0, 0
    for number, (hours, name, _, checks) in enumerate(history):
        true += hours
        if number == lost:
            tag, since = None, true
        tag = run(tag, name, true / 24, checks=checks).tag
        if number >= lost and true - since < 72:
            assert tag.admitted is None


POLICY = st.builds(
    Policy,
    st.sampled_from(Freshness),
    st.sampled_from([timedelta(0), timedelta(seconds=2), MIN_AGE]),
    suspend=st.sampled_from([None, Hold("no"), Hold("no", day(20))]),
    bypass=st.sampled_from([None, *(Bypass(digest(letter), "CVE-1") for letter in "abc")]),
)


@given(HISTORY, st.integers(0, 29), POLICY, st.booleans())
def test_moves_nothing_in_the_run_that_finds_the_lock_lost(
    history: list[tuple[int, str, int, dict[str, Check]]], lost: int, policy: Policy, upgrade: bool
) -> None:
    """ECR has what was admitted before, since an apply or seed follows each run."""
    tag: LockedTag | None = None
    true = 0
    for number, (hours, name, skew, checks) in enumerate(history):
        true += hours
        letters = {digest(letter): letter for letter in "abcde"}
        stored = letters[tag.admitted.digest] if tag and tag.admitted else ""
        if number == lost:
            tag = None
        found = run(tag, name, (true + skew) / 24, policy, checks, upgrade=upgrade, stored=stored)
        if number == lost and stored:
            assert found.change is Change.BEGUN
            assert found.tag.admitted is not None
            assert found.tag.admitted.digest == digest(stored)
            assert all(one.first_seen >= day((true + skew) / 24) for one in found.tag.candidates)
        tag = found.tag


@given(HISTORY, st.lists(st.sampled_from(["", *"abcde"]), min_size=30, max_size=30), POLICY)
def test_admits_only_what_was_seen(
    history: list[tuple[int, str, int, dict[str, Check]]], stored: list[str], policy: Policy
) -> None:
    """A lock that is lost on every other day, with anything in ECR."""
    tag: LockedTag | None = None
    true = 0
    seen: set[Digest] = set()
    for number, (hours, name, skew, checks) in enumerate(history):
        true += hours
        tag = tag if number % 2 else None
        seen |= {digest(one) for one in (name, "" if tag else stored[number]) if one}
        tag = run(tag, name, (true + skew) / 24, policy, checks, stored=stored[number]).tag
        assert tag.admitted is None or tag.admitted.digest in seen


@given(HISTORY, st.sampled_from(["hold", "suspend"]))
def test_moves_nothing_while_it_is_stopped(history: list[tuple[int, str, int, dict[str, Check]]], how: str) -> None:
    tag = after("aaaa")
    stop = Hold("no", day(900))
    policy = THREE_DAYS if how == "hold" else replace(THREE_DAYS, suspend=stop)
    tag = replace(tag, hold=stop) if how == "hold" else tag
    true = 24 * 4
    for hours, name, skew, checks in history:
        true += hours
        tag = run(tag, name, (true + skew) / 24, policy, checks).tag
        assert tag.admitted == after("aaaa").admitted
