"""Which image moves which blob: one schedule for all images of a run. Pure; the run calls it under its lock.

Of the images that need a blob at one registry, the first moves it and the others wait. When it is there, images of the
same repository share it, and images of other repositories link (mount) it from there. When a transfer fails, the next
image that needs the blob takes over.

Whether a registry links is found out by trying one link. docker-registry links every blob that it has. ECR, with blob
mounting on, links only blobs that an image manifest refers to; with it off, none. So after a refusal the next link is
tried from a repository whose image is complete, and after a second refusal none is tried again. An image waits only for
the completion of images that came before it, so no two images wait for each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from toolkit.oci.descriptor import Descriptor
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Repository


@dataclass(frozen=True, slots=True)
class Need:
    """The image with this number needs `blob` in the repository `destination`, and would move it from `source`."""

    image: int
    blob: Descriptor
    source: Repository
    destination: Repository


@dataclass(frozen=True, slots=True)
class Place:
    """Place the blob now: link it from `mount_from`, or move it where that is None."""

    need: Need
    mount_from: Repository | None


@dataclass(frozen=True, slots=True)
class Share:
    """The blob is there: another image has placed it."""

    need: Need


Step = Place | Share


class _Linking(Enum):
    """From where a registry links blobs, as far as is known."""

    UNKNOWN = "unknown"
    AT_ONCE = "at once"
    FROM_COMPLETE = "from complete images"
    NEVER = "never"


@dataclass(slots=True)
class _Ledger:
    """One blob at one registry: by repository, the images that placed it and those that are about to.

    Both are in order of arrival. The image is None where the blob was there before this run.
    """

    holders: dict[Repository, int | None] = field(default_factory=dict)
    placing: dict[Repository, int] = field(default_factory=dict)
    waiting: list[Need] = field(default_factory=list)


_Key = tuple[str, Digest, int]


class BlobSchedule:
    """Every method returns the steps to take now. Call `placed` or `failed` after each `Place`.

    After the link of a `Place` with a `mount_from`, call `linked` first.
    """

    def __init__(self) -> None:
        self._ledgers: dict[_Key, _Ledger] = defaultdict(_Ledger)
        self._linking: dict[str, _Linking] = {}
        self._probing: dict[str, Need] = {}
        self._complete: set[int] = set()
        self._ended: set[int] = set()
        self._keys_of: dict[int, list[_Key]] = defaultdict(list)

    def add(self, need: Need) -> list[Step]:
        """An image needs a blob."""
        self._ledgers[_key(need)].waiting.append(need)
        return list(self._next(_key(need)))

    def placed(self, need: Need, *, was_there: bool = False) -> list[Step]:
        """The blob is where `need` wants it; `was_there`: before this run."""
        ledger = self._ledgers[_key(need)]
        ledger.placing.pop(need.destination, None)
        ledger.holders[need.destination] = None if was_there else need.image
        return self._after(need)

    def failed(self, need: Need) -> list[Step]:
        """The blob could not be placed for this image; another one may try."""
        self._ledgers[_key(need)].placing.pop(need.destination, None)
        return self._after(need)

    def linked(self, step: Place, *, is_linked: bool) -> list[Step]:
        """The registry has linked a blob, or has declined; a declined blob is now moved."""
        registry = step.need.destination.registry
        before = self._linking.get(registry, _Linking.UNKNOWN)
        after = before
        if before is _Linking.UNKNOWN:
            after = _Linking.AT_ONCE if is_linked else _Linking.FROM_COMPLETE
        holder = self._ledgers[_key(step.need)].holders.get(step.mount_from) if step.mount_from else None
        if before is _Linking.FROM_COMPLETE and not is_linked and (holder is None or holder in self._complete):
            after = _Linking.NEVER
        self._probing.pop(registry, None)
        self._linking[registry] = after
        return [] if after is before else list(self._next_at(registry))

    def ended(self, image: int, *, is_complete: bool) -> list[Step]:
        """An image has ended. If it is complete, a manifest refers to all of its blobs."""
        self._ended.add(image)
        if is_complete:
            self._complete.add(image)
        return [step for key in self._keys_of.pop(image, ()) for step in self._next(key)]

    def lost(self, need: Need) -> list[Need]:
        """The source of `need` lacks the blob. Returns the needs that wait for it from there, which wait no longer."""
        ledger = self._ledgers[_key(need)]
        gone = [other for other in ledger.waiting if other.source == need.source]
        ledger.waiting = [other for other in ledger.waiting if other.source != need.source]
        return gone

    def _after(self, need: Need) -> list[Step]:
        registry = need.destination.registry
        if self._probing.get(registry) == need:  # it ended before its link was tried
            del self._probing[registry]
            return list(self._next_at(registry))
        return list(self._next(_key(need)))

    def _next_at(self, registry: str) -> Iterator[Step]:
        for key in [key for key, ledger in self._ledgers.items() if key[0] == registry and ledger.waiting]:
            yield from self._next(key)

    def _next(self, key: _Key) -> Iterator[Step]:
        ledger = self._ledgers[key]
        waiting, ledger.waiting = ledger.waiting, []
        for need in waiting:
            if need.destination in ledger.holders:
                yield Share(need)
            elif need.destination in ledger.placing or self._has_to_wait(ledger, need):
                ledger.waiting.append(need)
            else:
                ledger.placing[need.destination] = need.image
                self._keys_of[need.image].append(key)
                yield Place(need, self._link_source(ledger, need))

    def _has_to_wait(self, ledger: _Ledger, need: Need) -> bool:
        registry = need.destination.registry
        match self._linking.get(registry, _Linking.UNKNOWN):
            case _Linking.NEVER:
                return False
            case _Linking.FROM_COMPLETE:
                owners = [image for image in (*ledger.holders.values(), *ledger.placing.values()) if image is not None]
                return self._complete_holder(ledger) is None and any(
                    image < need.image and image not in self._ended for image in owners
                )
            case _Linking.UNKNOWN:
                return registry in self._probing if ledger.holders else bool(ledger.placing)
            case _Linking.AT_ONCE:
                return not ledger.holders and bool(ledger.placing)

    def _link_source(self, ledger: _Ledger, need: Need) -> Repository | None:
        registry = need.destination.registry
        match self._linking.get(registry, _Linking.UNKNOWN):
            case _Linking.NEVER:
                return None
            case _Linking.FROM_COMPLETE:
                return self._complete_holder(ledger)
            case _Linking.UNKNOWN if ledger.holders:
                self._probing[registry] = need
        return next(iter(ledger.holders), None)

    def _complete_holder(self, ledger: _Ledger) -> Repository | None:
        holders = ledger.holders.items()
        return next((place for place, image in holders if image is None or image in self._complete), None)


def _key(need: Need) -> _Key:
    # With the size: a document that states a wrong size must not profit from one that states the right one.
    return need.destination.registry, need.blob.digest, need.blob.size
