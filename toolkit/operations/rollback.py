"""Rollback: takes a tag of the lock back to a digest that it had, if ECR or upstream still has that.

It changes nothing in ECR and runs no Terraform. The next apply or seed moves the tag, by one PutImage where its
repository has the image already.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches

from toolkit.errors import AccessDenied, Refused, UsageError, some
from toolkit.lock.model import Hold, Lock, LockedTag
from toolkit.lock.rollback import is_rolled_back, other_digests, roll_back
from toolkit.lock.stored import Stored
from toolkit.lock.text import write_lock
from toolkit.manifest.grammar import check_day, duration_of, end_of_day, quoted
from toolkit.operations.choose import spellings
from toolkit.operations.guards import find_account
from toolkit.operations.lock import line_of
from toolkit.operations.lock_store import read_lock_of
from toolkit.operations.services import Services
from toolkit.plan.desired import Desired, DesiredImage
from toolkit.plan.locking import RUN_LOCK, pin
from toolkit.plan.observed import SourceFault
from toolkit.report import LockAction, LockChanges

Publish = Callable[[LockChanges], None]

_MOST_NAMES = 5


@dataclass(frozen=True, slots=True)
class _Entry:
    """One tag of a lock that was read, and the image of the manifest that it is about."""

    lock: Lock
    stored: Stored
    key: str
    image: DesiredImage

    @property
    def tag(self) -> LockedTag:
        return self.lock[self.key]


def rollback(
    desired: Desired,
    services: Services,
    name: str,
    *,
    publish: Publish,
    reason: str,
    to: str | None = None,
    until: str | None = None,
    is_dry: bool = False,
) -> None:
    """Take the tag `name`, a key of the lock or a source, back to the digest `to` or the one before, and hold it.

    `until` is a day, the last one of the hold, or a time from now on such as `3d`. The lock is written only if the
    digest can be had: otherwise no run could carry the rollback out.
    """
    now = services.now().replace(microsecond=0)  # the lock has whole seconds
    hold = Hold(reason, None if until is None else _end(until, now))
    entry = _find(desired, services, name)
    after = roll_back(entry.tag, to, hold)
    action, reasons = LockAction.NOTHING, ["it is there and held already"]
    if after != entry.tag:
        action, reasons = LockAction.ROLLED_BACK, [_where(desired, services, entry, after)]
    if to is None and is_rolled_back(entry.tag):
        reasons.append("it was rolled back before: `--to DIGEST` goes further back, or forward")
    _change(desired, services, entry, after, action, reasons, now, publish, is_dry=is_dry)


def release(desired: Desired, services: Services, name: str, *, publish: Publish, is_dry: bool = False) -> None:
    """End the hold of the tag `name`, a key of the lock or a source: `toolkit lock` moves it again."""
    now = services.now().replace(microsecond=0)
    entry = _find(desired, services, name)
    action, reasons = LockAction.NOTHING, ["it is not held"]
    if entry.tag.hold:
        action = LockAction.RELEASED
        reasons = [f"it was held: {entry.tag.hold.reason}", "the next `toolkit lock` moves it by its policy"]
    _change(desired, services, entry, replace(entry.tag, hold=None), action, reasons, now, publish, is_dry=is_dry)


def _find(desired: Desired, services: Services, name: str) -> _Entry:
    read = read_lock_of(services)
    if read is None:
        message = f"there is no lock `{services.lock.name}`, so no digest is known to go back to"
        raise Refused("lock.missing", message, hint=f"{RUN_LOCK}: it begins with what ECR has")
    lock, stored = read
    keys: dict[str, list[str]] = defaultdict(list)
    for key, tag in lock.items():
        for spelling in dict.fromkeys((key, *spellings(tag.source))):
            keys[spelling].append(key)
    found = [name] if name in lock else keys.get(name, [])
    if len(found) > 1:
        raise UsageError("usage.image", f"`{name}` is mirrored more than once: {some(found)}", hint="name one of these")
    if not found:
        near = get_close_matches(name, keys, n=_MOST_NAMES, cutoff=0.5) or sorted(lock)
        raise UsageError(
            "usage.image",
            f"the lock has no image `{name}`; there {'is' if len(near) == 1 else 'are'} {some(near) or 'none'}",
            hint="write it as the manifest does, or as REPOSITORY:TAG in ECR",
        )
    repository, _, tag_name = found[0].rpartition(":")
    source = lock[found[0]].source
    image = next((one for one in desired.images if one.key == found[0]), None)
    image = image or desired.selected(repository, tag_name, source.name)
    if image is None or image.source != source:
        takes = f"takes it from `{image.source.familiar}`" if image else "no longer asks for it"
        raise Refused(
            "rollback.other_manifest",
            f"`{found[0]}` comes from `{source.familiar}` in the lock, and the manifest {takes}",
            hint=RUN_LOCK,
        )
    return _Entry(lock, stored, found[0], replace(image, policy=desired.policy_of(image)))


def _where(desired: Desired, services: Services, entry: _Entry, after: LockedTag) -> str:
    """Where an apply or seed takes the digest from. Raises Refused if it cannot have it."""
    if after.admitted is None:  # a rollback always leads to a digest
        return ""
    find_account(desired, services)
    digest, key = after.admitted.digest, entry.key
    pinned, _ = pin(replace(desired, images=(entry.image,)), {key: after}, services.now())
    (image,) = pinned.images
    with services.observer.start((image,), frozenset(services.ecr.repositories())) as observation:
        observed = observation.result()
    source, there, stored = observed.sources[key], observed.destinations.get(key), observed.stored.get(key)
    if there is not None and there.stems_from(digest) and stored is None:
        return f"ECR has `{digest.short}` under this tag"
    if there is not None and desired.repository(image.repository).fixes(image.tag):
        raise Refused(
            "rollback.immutable",
            f"`{key}` is immutable in ECR, so it cannot go back to `{digest.short}`",
            hint="make the repository mutable: `tag_mutability: mutable`",
        )
    if stored is not None:
        name = "untagged" if stored.name == str(stored.digest) else f"as `{stored.name}`"
        return f"ECR has `{digest.short}` {name}: `toolkit apply` or `toolkit seed` moves the tag there without a pull"
    if not isinstance(source, SourceFault):
        return f"only upstream has `{digest.short}`: `toolkit apply` or `toolkit seed` copies it again"
    if source.kind == "missing":
        raise Refused(
            "rollback.gone",
            f"`{digest.short}` of `{key}` is gone: neither ECR nor `{image.source.registry}` has it",
            hint=other_digests(entry.tag, without=digest)
            or "set `repositories.keep_previous`, so that ECR keeps the next ones",
        )
    kind = AccessDenied if source.is_denied else Refused
    message = f"ECR does not have `{digest.short}` of `{key}`, and upstream cannot be asked: {source.message}"
    raise kind(f"source.{source.kind}", message, hint=source.hint)


def _change(
    desired: Desired,
    services: Services,
    entry: _Entry,
    after: LockedTag,
    action: LockAction,
    reasons: Sequence[str],
    now: datetime,
    publish: Publish,
    *,
    is_dry: bool,
) -> None:
    """Write the lock if the entry has changed, and publish what became of it."""
    before = entry.tag
    is_written = after != before and not is_dry
    if is_written:
        services.lock.write(write_lock({**entry.lock, entry.key: after}, entry.stored.text), entry.stored)
    users = desired.builds_by_image().get(entry.key, ())
    line = line_of(entry.image, before, after, action, reasons, now, users)
    publish(LockChanges(services.lock.name, (line,), is_dry=is_dry, is_written=is_written))


def _end(text: str, now: datetime) -> datetime:
    if re.fullmatch(r"[0-9]{1,4}[smhdw]", text, re.ASCII):
        end = now + duration_of(text)
    else:
        try:
            end = end_of_day(check_day(text))
        except (ValueError, OverflowError) as error:
            message = f"--until {quoted(text)} is neither a day such as `2027-03-31` nor a time such as `3d`"
            raise UsageError("usage.until", message) from error
    if end <= now:
        raise UsageError("usage.until", f"--until `{text}` is over already")
    return end
