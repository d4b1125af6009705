"""Rollback: a tag goes back to a digest that was admitted before, and stays there. Pure.

The digest that the tag leaves stays known in two ways. It is in `previous`, in its old place, so that a later rollback
may go forward to it. If the tag went back in time it is also the first candidate, with its old `first_seen`: once the
hold is over, admission takes it again without a new wait, unless upstream has moved on or taken it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from toolkit.errors import Refused
from toolkit.lock.model import Admitted, Hold, LockedTag
from toolkit.oci.digest import Digest

_MOST_DIGESTS = 5


def roll_back(tag: LockedTag, wanted: str | None, hold: Hold) -> LockedTag:
    """`tag` at the digest that begins with `wanted`, or at the one before the present one, and held there.

    Only a digest that was admitted before can be wanted. Without `wanted`, a tag that is rolled back already stays
    where it is until it has moved forward again: a command that is repeated must not go further back each time. Raises
    Refused where there is no such digest.
    """
    known = _in_order(tag)
    target = _found(tag, known, wanted) if wanted is not None else _one_before(tag, known)
    if tag.admitted and target.digest == tag.admitted.digest:
        return replace(tag, hold=hold)
    seen = [one.digest for one in tag.candidates]
    candidates = tag.candidates
    if target.digest in seen:
        candidates = candidates[seen.index(target.digest) + 1 :]
    elif tag.admitted and known.index(target) > known.index(tag.admitted):
        candidates = (tag.admitted.sighting, *candidates)
    return LockedTag(tag.source, target, candidates, tuple(one for one in known if one != target), hold)


def is_rolled_back(tag: LockedTag) -> bool:
    """Whether the tag is at a digest that is older than another one that was admitted."""
    return tag.admitted is not None and _in_order(tag)[0] != tag.admitted


def _one_before(tag: LockedTag, known: Sequence[Admitted]) -> Admitted:
    if tag.admitted and is_rolled_back(tag):
        return tag.admitted
    older = known[known.index(tag.admitted) + 1 :] if tag.admitted else known
    if not older:
        raise Refused("rollback.nothing_before", "the lock knows no digest that was admitted before the present one")
    return older[0]


def _found(tag: LockedTag, known: Sequence[Admitted], wanted: str) -> Admitted:
    found = [one for one in known if _may_be(one.digest, wanted)]
    if len(found) > 1:
        meant = " or ".join(f"`{one.digest.short}`" for one in found)
        raise Refused("rollback.ambiguous_digest", f"`{wanted}` may be {meant}", hint="write more of its digits")
    if found:
        return found[0]
    if any(_may_be(one.digest, wanted) for one in tag.candidates):
        message = f"`{wanted}` was seen upstream and never admitted"
        raise Refused("rollback.not_admitted", message, hint=other_digests(tag))
    raise Refused("rollback.unknown_digest", f"`{wanted}` is no digest that was admitted", hint=other_digests(tag))


def other_digests(tag: LockedTag, without: Digest | None = None) -> str | None:
    """The hint that names the digests to which a tag may go; None if there are none."""
    names = [one.digest.short for one in tag.previous if one.digest != without][:_MOST_DIGESTS]
    return f"choose a digest that was admitted: --to {' or '.join(names)}" if names else None


def _may_be(digest: Digest, wanted: str) -> bool:
    return str(digest).startswith(wanted) or digest.hex.startswith(wanted)


def _in_order(tag: LockedTag) -> list[Admitted]:
    """Every digest that was admitted, the newest first, each once: a digest may have been admitted again.

    `previous` is in that order too. Those at its beginning which are newer than the present one were rolled back from.
    """
    present = tag.admitted
    if present is None:
        ordered = tag.previous
    else:
        others = [one for one in tag.previous if one.digest != present.digest]
        place = next((n for n, one in enumerate(others) if one.at <= present.at), len(others))
        ordered = (*others[:place], present, *others[place:])
    known: dict[Digest, Admitted] = {}
    for one in ordered:
        known.setdefault(one.digest, one)
    return list(known.values())
