"""Admission: which digest of a tag may be copied now. One pure function; asking upstream is somebody else's work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from toolkit.lock.model import Admitted, Bypass, Freshness, Hold, LockedTag, Policy, Sighting
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference

MAX_CANDIDATES = 32
"""More moves of a tag within its `min_age` are thinned out, which adds about a sixteenth of `min_age` to the trail."""
MAX_PREVIOUS = 10


class Check(StrEnum):
    """What the source said about a digest when it was asked for by digest."""

    FINE = "fine"  # it can be fetched and, where the policy verifies, its signature is good
    GONE = "gone"  # the registry no longer has it
    UNVERIFIED = "unverified"  # its signature is missing or bad


class Change(StrEnum):
    """What admission did to a tag of the lock."""

    ADMITTED = "admitted"  # another digest may be copied from now on
    BEGUN = "begun"  # the tag was not in the lock, and ECR's digest is the admitted one from now on
    SEEN = "seen"  # only the candidates changed
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Admission:
    """The tag afterwards, and `reasons` in words: why it moved, or why it did not although upstream has another one."""

    tag: LockedTag
    change: Change
    reasons: tuple[str, ...] = ()


def to_check(tag: LockedTag, policy: Policy, now: datetime, *, upgrade: bool = False) -> tuple[Digest, ...]:
    """The digests that `admit` would ask about next; `tag` is what `observe` returned."""
    if _standstill(tag, policy, now, upgrade=upgrade):
        return ()
    return tuple(one.digest for one in reversed(tag.candidates) if not _wait(one, policy, now))


def observe(
    tag: LockedTag | None, source: Reference, seen: Sighting | None, now: datetime, stored: Digest | None = None
) -> LockedTag:
    """`tag` with what upstream's tag has now; None where the tag is gone or upstream did not answer.

    A tag that is not in the lock begins with the digest that ECR has `stored` as the admitted one.

    - A digest that is new to the lock becomes the last candidate. So does one that was admitted before the present
      one: that upstream went back is news too, and it has an age of its own.
    - When upstream goes back to a candidate, or to the admitted digest, the candidates after it were taken back.
      They are dropped: this is what the wait is for.
    - A new sighting is never dated before what the lock knows of the tag: a clock that was set back must not make it
      look old when the clock is right again. One from the future is young for as long as it is.
    - Another source makes the tag start anew, unless it has the very digest that is admitted.
    """
    if tag is None:
        tag = LockedTag(source, Admitted(Sighting(stored, now), now) if stored else None)
    if tag.source != source:
        if tag.admitted and seen and tag.admitted.digest == seen.digest:
            tag = replace(tag, source=source, candidates=())
        else:
            gone = (tag.admitted,) if tag.admitted else ()
            tag = LockedTag(source, None, (), (*gone, *tag.previous)[:MAX_PREVIOUS], tag.hold)
    known = list(tag.candidates)
    if seen is not None:
        digests = [one.digest for one in known]
        if seen.digest in digests:
            known = known[: digests.index(seen.digest) + 1]
        elif tag.admitted and tag.admitted.digest == seen.digest:
            known = []
        else:
            known.append(replace(seen, first_seen=max([now, *_times(tag)])))
    return replace(tag, candidates=_thinned(known), gone=None if seen else tag.gone)


def note_gone(tag: LockedTag, now: datetime) -> LockedTag:
    """`tag` of which upstream says that it does not exist; the first time counts."""
    return tag if tag.gone else replace(tag, gone=now)


def admit(
    before: LockedTag | None,
    source: Reference,
    seen: Sighting | None,
    policy: Policy,
    checks: Mapping[Digest, Check],
    now: datetime,
    *,
    stored: Digest | None = None,
    why: Mapping[Digest, str] | None = None,
    upgrade: bool = False,
) -> Admission:
    """Record what upstream has, then admit the newest candidate that is old enough and passes its check.

    A run in which a tag begins with what ECR has `stored` admits nothing else, whatever the policy: a lost lock moves
    nothing. `why` says in words what came in the way of a check, or of a good one.

    Only candidates can be admitted, and those that are older than an admitted one are dropped: admission never goes
    back. A candidate that nobody checked is not admitted. One that the source no longer has is dropped, and the next
    older one takes its place.
    """
    tag = observe(before, source, seen, now, stored)
    if before is None and stored:
        unread = "; its signature was not read" if policy.verify else ""
        return Admission(
            tag, Change.BEGUN, (f"`{stored.short}` is in ECR already, so the lock begins with it{unread}",)
        )
    reasons: list[str] = []
    why = why or {}
    if tag.candidates and (standstill := _standstill(tag, policy, now, upgrade=upgrade)):
        reasons.append(standstill)
        return _unmoved(before, tag, reasons)
    left = list(tag.candidates)
    for one in reversed(tag.candidates):
        name = f"`{one.digest.short}`"
        if wait := _wait(one, policy, now):
            reasons.append(f"{name} waits: {wait}")
            continue
        match checks.get(one.digest):
            case Check.GONE:
                left.remove(one)
                reasons.append(f"{name} is gone at the source")
            case Check.UNVERIFIED:
                unverified = why.get(one.digest, "its signature is missing or does not match the key")
                reasons.append(f"{name} is not admitted: {unverified}")
            case None:
                reasons.append(f"{name} waits: {why.get(one.digest, 'the source was not asked for it')}")
            case Check.FINE:
                return _moved(tag, one, left, _why(one, policy, now), reasons, now)
    return _unmoved(before, replace(tag, candidates=tuple(left)), reasons)


def _times(tag: LockedTag) -> list[datetime]:
    return [*(one.at for one in (tag.admitted, *tag.previous) if one), *(one.first_seen for one in tag.candidates)]


def _moved(
    tag: LockedTag, one: Sighting, left: list[Sighting], why: str, reasons: list[str], now: datetime
) -> Admission:
    old = (tag.admitted,) if tag.admitted else ()
    moved = LockedTag(
        tag.source,
        Admitted(one, now),
        tuple(left[left.index(one) + 1 :]),
        (*old, *tag.previous)[:MAX_PREVIOUS],
        hold=None,  # one that still holds would have kept us from coming here
        gone=tag.gone,
    )
    return Admission(moved, Change.ADMITTED, (f"`{one.digest.short}` is admitted: {why}", *reasons))


def _unmoved(before: LockedTag | None, tag: LockedTag, reasons: list[str]) -> Admission:
    return Admission(tag, Change.NOTHING if tag == before else Change.SEEN, tuple(reasons))


def _standstill(tag: LockedTag, policy: Policy, now: datetime, *, upgrade: bool) -> str:
    """Why the tag may not move at all; empty if it may."""
    for hold, name in ((tag.hold, "held"), (policy.suspend, "suspended")):
        if hold is not None and hold.is_on(now):
            return f"it is {name}{_end(hold)}: {hold.reason}"
    if tag.admitted and policy.freshness is Freshness.ONCE:
        return "`freshness: once` keeps the first admitted digest"
    if tag.admitted and policy.freshness is Freshness.PIN and not upgrade:
        return "`freshness: pin` moves only with `--upgrade`"
    return ""


def _end(hold: Hold) -> str:
    return f" until {hold.until:%Y-%m-%d %H:%M}" if hold.until else ""


def _wait(one: Sighting, policy: Policy, now: datetime) -> str:
    """Why the candidate is too young; empty if it is not."""
    age = now - one.first_seen
    if age >= policy.min_age or _bypasses(policy.bypass, one):
        return ""
    return f"seen for {in_words(age)} of {in_words(policy.min_age)}"


def _bypasses(bypass: Bypass | None, one: Sighting) -> bool:
    return bypass is not None and bypass.digest == one.digest


def _why(one: Sighting, policy: Policy, now: datetime) -> str:
    age = now - one.first_seen
    if age < policy.min_age and policy.bypass:
        return f"`min_age` is bypassed: {policy.bypass.reason}"
    return f"seen for {in_words(age)}" if policy.min_age else "no `min_age` is asked for"


def in_words(time: timedelta) -> str:
    """`3d`, `2d 4h`, `5h 10m`, `20s`: the two largest units, rounded down so that nothing looks older than it is."""
    minutes, seconds = divmod(max(0, int(time.total_seconds())), 60)  # a clock that was set back makes an age negative
    if seconds and not minutes:
        return f"{seconds}s"
    parts = [(minutes // 1440, "d"), (minutes % 1440 // 60, "h"), (minutes % 60, "m")]
    while len(parts) > 1 and not parts[0][0]:
        del parts[0]
    return " ".join(f"{count}{unit}" for count, unit in parts[:2] if count) or "0m"


def _thinned(candidates: list[Sighting]) -> tuple[Sighting, ...]:
    """At most MAX_CANDIDATES: the first and the last stay, and the largest gap between neighbours stays small.

    Without the first, a tag that moves often would never be admitted; without the last, upstream's present digest
    would be new each time.
    """
    kept = list(candidates)
    while len(kept) > MAX_CANDIDATES:
        inner = range(1, len(kept) - 1)
        del kept[min(inner, key=lambda at: kept[at + 1].first_seen - kept[at - 1].first_seen)]
    return tuple(kept)
