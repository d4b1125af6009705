"""Pins the images of a manifest to the digests that its lock admits. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from toolkit.errors import some
from toolkit.lock.admission import in_words
from toolkit.lock.model import Lock
from toolkit.lock.rollback import is_rolled_back
from toolkit.plan.desired import Desired, DesiredImage
from toolkit.plan.model import Notice

RUN_LOCK = "run `toolkit lock`"


def pin(desired: Desired, lock: Lock, now: datetime) -> tuple[Desired, tuple[Notice, ...]]:
    """`desired` with every image at its admitted digest, and notices about what a reviewer must know.

    A digest in the manifest stands as it is. An image is left out if the lock admits no digest, or was made for another
    source: an entry speaks for the source that was observed and for no other.
    """
    images: list[DesiredImage] = []
    left: list[DesiredImage] = []
    notices: list[Notice] = []
    for image in desired.images:
        tag = lock.get(image.key)
        if image.source.digest is not None:
            images.append(image)
        elif tag is None or tag.admitted is None or tag.source != image.source:
            left.append(image)
        else:
            source = image.source.with_digest(tag.admitted.digest)
            before = tuple(one.digest for one in tag.previous)
            is_back = tag.hold is not None or is_rolled_back(tag) or tag.admitted.digest in before
            images.append(replace(image, source=source, is_locked=True, admitted_before=before, is_back=is_back))
            if tag.hold and tag.hold.is_on(now):
                end = f" until {tag.hold.until:%Y-%m-%d}" if tag.hold.until else ""
                notices.append(Notice("lock.held", f"{image.path}: `{image.key}` is held{end}: {tag.hold.reason}"))
            bypass = image.policy.bypass
            if bypass and bypass.digest == tag.admitted.digest:
                age, why = in_words(image.policy.min_age), bypass.reason
                notices.append(
                    Notice(
                        "lock.bypassed",
                        f"{image.path}: `{image.key}` was admitted without a `min_age` of {age}: {why}",
                    )
                )
    pinned = replace(desired, images=tuple(images), unadmitted=frozenset(image.key for image in left))
    return pinned, (*_left_out(desired, left), *notices)


def _left_out(desired: Desired, left: Sequence[DesiredImage]) -> Iterator[Notice]:
    if not left:
        return
    builds = desired.builds_by_image()
    users = sorted({name for image in left for name in builds.get(image.key, ())})
    used = f"; {some(users)} cannot build without" if users else ""
    yield Notice(
        "lock.not_admitted",
        f"the lock admits no digest yet, so this is not copied: {some(image.key for image in left)}{used}",
        RUN_LOCK,
    )
