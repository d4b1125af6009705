"""Lock: records what upstream has, and admits digests by the manifest's policy.

It asks by HEAD, which costs no counted pull. Only signatures are read, once each, of digests that would be admitted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from toolkit.errors import some
from toolkit.lock.admission import Admission, Change, Check, admit, in_words, note_gone, observe, to_check
from toolkit.lock.model import LockedTag, Sighting
from toolkit.lock.text import write_lock
from toolkit.oci.digest import Digest
from toolkit.oci.errors import OciError
from toolkit.operations.choose import choose, fits
from toolkit.operations.guards import check_account
from toolkit.operations.lock_store import read_lock_of
from toolkit.operations.read_tags import read_tags, upstream_digest
from toolkit.operations.select import names_of, select_images
from toolkit.operations.services import Services, step
from toolkit.plan.desired import Desired, DesiredImage
from toolkit.plan.model import Notice
from toolkit.plan.observed import SourceFault
from toolkit.report import LockAction, LockCandidate, LockChanges, LockedImage
from toolkit.seed.observe import Head
from toolkit.seed.worker_pool import asking

_VERIFICATIONS = 16
"""At a time: each reads two or three documents one after another."""


def lock(
    desired: Desired,
    services: Services,
    *,
    publish: Callable[[LockChanges], None],
    only: Sequence[str] = (),
    upgrades: bool = False,
    is_dry: bool = False,
) -> LockChanges:
    """Ask every source what its tag has now, admit what may be copied, and write the lock if anything changed.

    `only` are patterns that select images by key or source. `upgrades`: images with `freshness: pin` may move. A source
    that does not answer leaves its entry as it is. The entry of an image that the manifest no longer takes from the
    lock is removed; without the list of all images, because of `only` or a tag list that cannot be had, it stays.
    """
    now = services.now().replace(microsecond=0)  # the lock has whole seconds
    before, stored = read_lock_of(services) or ({}, None)
    selected, refusals, notices = select_images(desired, services, only)
    images = tuple(
        replace(image, policy=desired.policy_of(image)) for image in selected.images if image.source.digest is None
    )
    chosen = tuple(i for i in images if fits(names_of(i), only)) if refusals else choose(images, only, names_of)
    unlisted = {one.repository for one in desired.selections} if refusals or notices else set()
    keys = {image.key for image in images}
    removed = () if only else tuple(k for k in before if k not in keys and k.rpartition(":")[0] not in unlisted)

    with step(services.emit, "ask upstream", total=len(chosen)):
        with services.observer.heads(image.source for image in chosen) as asked:
            heads = {image.key: asked[image.source].result() for image in chosen}
        new = [image for image in chosen if image.key not in before]
        in_ecr = _stored_digests(desired, new, services) if new else {}
        seen = {key: _sighting(head, now) for key, head in heads.items()}
        waiting: dict[str, list[Digest]] = {}
        for image in chosen:
            tag = observe(before.get(image.key), image.source, seen[image.key], now, in_ecr.get(image.key))
            if image.key not in in_ecr:
                waiting[image.key] = list(to_check(tag, image.policy, now, upgrade=upgrades))
        checks, why = _check({image.key: image for image in chosen}, waiting, services)

    admitted = {
        image.key: admit(
            before.get(image.key),
            image.source,
            seen[image.key],
            image.policy,
            checks[image.key],
            now,
            stored=in_ecr.get(image.key),
            why=why[image.key],
            upgrade=upgrades,
        )
        for image in chosen
    }
    admitted = {key: _noted_gone(one, now) if _is_gone(heads[key]) else one for key, one in admitted.items()}
    after = {key: tag for key, tag in before.items() if key not in removed}
    # An entry that knows nothing yet would keep a later run from beginning with what ECR has.
    after |= {key: one.tag for key, one in admitted.items() if key in before or one.tag.admitted or one.tag.candidates}

    is_written = not is_dry and after != before
    if is_written:
        services.lock.write(write_lock(after, stored.text if stored else ""), stored)
    builds = desired.builds_by_image()
    lines = [
        *(
            replace(
                _line(i, before.get(i.key), admitted[i.key], heads[i.key], now, builds.get(i.key, ())),
                is_unverified=bool(i.policy.verify and why[i.key]),
            )
            for i in chosen
        ),
        *(_removed(key, before[key]) for key in removed),
    ]
    changes = LockChanges(
        services.lock.name,
        tuple(lines),
        is_dry=is_dry,
        is_written=is_written,
        signatures=services.verifier.reads,
        notices=(
            *(Notice(one.code, one.message, one.hint) for one in refusals),
            *notices,
            *_bypasses(chosen),
            *_newcomers([i for i in chosen if i.key not in before and not admitted[i.key].tag.admitted]),
        ),
    )
    publish(changes)
    return changes


def _stored_digests(desired: Desired, images: Sequence[DesiredImage], services: Services) -> dict[str, Digest]:
    """What ECR has of `images`, by key, as upstream's digests: a filtered index of ours names the one it is made of."""
    check_account(desired, services)
    found = read_tags([image.key for image in images], services.ecr)
    return {key: upstream_digest(image) for key, image in found.items()}


def _check(
    images: Mapping[str, DesiredImage], waiting: Mapping[str, list[Digest]], services: Services
) -> tuple[Mapping[str, dict[Digest, Check]], Mapping[str, dict[Digest, str]]]:
    """By key, the verdicts on digests, and in words why there is none or a bad one.

    Of each image the newest digest is asked for first, and the next older one only if that one cannot be admitted.
    """
    checks: dict[str, dict[Digest, Check]] = defaultdict(dict)
    why: dict[str, dict[Digest, str]] = defaultdict(dict)
    pending = {key: digests for key, digests in waiting.items() if digests}
    while pending:
        asked = {key: images[key].source.name.with_digest(digests[0]) for key, digests in pending.items()}
        with services.observer.heads(asked.values()) as answers:
            heads = {key: answers[source].result() for key, source in asked.items()}
        with asking(_VERIFICATIONS) as pool:
            verified = {
                key: pool.ask(partial(services.verifier.verify, asked[key], verification))
                for key, head in heads.items()
                if not isinstance(head, SourceFault) and (verification := images[key].policy.verify)
            }
            for key, head in heads.items():
                digest = pending[key].pop(0)
                try:
                    fault = verified[key].result() if key in verified else None
                except OciError as error:
                    why[key][digest] = f"its signature cannot be read: {error.message}"
                    continue
                if isinstance(head, SourceFault):
                    if head.kind == "missing":
                        checks[key][digest] = Check.GONE
                    else:
                        why[key][digest] = head.message
                elif fault:
                    checks[key][digest], why[key][digest] = Check.UNVERIFIED, fault
                else:
                    checks[key][digest] = Check.FINE
                    del pending[key]
        pending = {key: digests for key, digests in pending.items() if digests}
    return checks, why


def _is_gone(head: Head) -> bool:
    return isinstance(head, SourceFault) and head.kind == "missing"


def _noted_gone(found: Admission, now: datetime) -> Admission:
    tag = note_gone(found.tag, now)
    is_news = tag != found.tag and found.change is Change.NOTHING
    return replace(found, tag=tag, change=Change.SEEN if is_news else found.change)


def _sighting(head: Head, now: datetime) -> Sighting | None:
    return None if isinstance(head, SourceFault) else Sighting(head.descriptor.digest, now)


def _line(
    image: DesiredImage, before: LockedTag | None, found: Admission, head: Head, now: datetime, users: tuple[str, ...]
) -> LockedImage:
    action, reasons = LockAction(found.change.value), found.reasons
    if before and before.source != image.source:
        reasons = (f"its source was `{before.source.familiar}`", *reasons)
        action = LockAction.ADMITTED if found.tag.admitted else action
    if isinstance(head, SourceFault):
        reasons = (head.message, *([f"hint: {head.hint}"] if head.hint else []), *reasons)
    line = line_of(image, before, found.tag, action, reasons, now, users)
    return replace(line, fault=f"source.{head.kind}") if isinstance(head, SourceFault) else line


def line_of(
    image: DesiredImage,
    before: LockedTag | None,
    tag: LockedTag,
    action: LockAction,
    reasons: Sequence[str],
    now: datetime,
    users: tuple[str, ...],
) -> LockedImage:
    """What became of the entry of an image, whose `policy` is the one in force; a digest of another source is none."""
    old = before.admitted if before and before.source == image.source else None
    hold = next((one for one in (tag.hold, image.policy.suspend) if one and one.is_on(now)), None)
    return LockedImage(
        image.key,
        str(image.source),
        action,
        old_digest=str(old.digest) if old else None,
        new_digest=str(tag.admitted.digest) if tag.admitted else None,
        age=_seconds(now - tag.admitted.sighting.first_seen) if tag.admitted else None,
        used_by=users,
        reasons=tuple(reasons),
        candidates=tuple(
            LockCandidate(
                str(one.digest), one.first_seen.isoformat(), _seconds(one.first_seen + image.policy.min_age - now)
            )
            for one in tag.candidates
        ),
        hold=hold.reason if hold else None,
        held_until=hold.until.isoformat() if hold and hold.until else None,
        previous=len(tag.previous),
    )


def _seconds(time: timedelta) -> int:
    return max(0, int(time.total_seconds()))


def _removed(key: str, tag: LockedTag) -> LockedImage:
    old = str(tag.admitted.digest) if tag.admitted else None
    why = "the manifest no longer takes this tag from the lock"
    return LockedImage(key, str(tag.source), LockAction.REMOVED, old_digest=old, reasons=(why,))


def _bypasses(images: Sequence[DesiredImage]) -> list[Notice]:
    return [
        Notice(
            "lock.bypassed",
            f"`{i.key}`: `{one.digest.short}` need not be {in_words(i.policy.min_age)} old: {one.reason}",
        )
        for i in images
        if (one := i.policy.bypass)
    ]


def _newcomers(images: Sequence[DesiredImage]) -> list[Notice]:
    """What to do about images that would be copied at once without a `min_age`."""
    young = [image.key for image in images if image.policy.min_age]
    if not young:
        return []
    return [
        Notice(
            "lock.new_image_waits",
            f"new images wait for their `min_age` as new digests do: {some(young)}",
            "to have them at once, run `toolkit lock` before you add `min_age`, or give them a `bypass`",
        )
    ]
