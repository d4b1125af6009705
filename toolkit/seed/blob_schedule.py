"""Who moves which blob: the one schedule for all images of a run. Pure; the run holds a lock around it.

Of the images that need a blob at one registry the first moves it. The others wait, without holding a thread: those of
the same repository then share it, those of other repositories link it from there. Who fails hands over to the next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from toolkit.oci.descriptor import Descriptor
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Repository


@dataclass(frozen=True, slots=True)
class Need:
    """The image of this number needs `blob` in the repository `destination`; it could get it from `source`."""

    image: int
    blob: Descriptor
    source: Repository
    destination: Repository


@dataclass(frozen=True, slots=True)
class Place:
    """Put the blob there now: by a link from `mount_from` if that is said, else by moving it."""

    need: Need
    mount_from: Repository | None


@dataclass(frozen=True, slots=True)
class Share:
    """The blob is there, because of another image."""

    need: Need


Step = Place | Share


@dataclass(slots=True)
class _Ledger:
    """One blob at one registry. `holders` is in the order of arrival; `placing` are repositories under way to it."""

    holders: dict[Repository, None] = field(default_factory=dict)
    placing: set[Repository] = field(default_factory=set)
    waiting: list[Need] = field(default_factory=list)


class BlobSchedule:
    """Every answer is a list of steps to take now; each `Place` is to be answered by `placed` or `failed`."""

    def __init__(self) -> None:
        self._ledgers: dict[tuple[str, Digest, int], _Ledger] = defaultdict(_Ledger)

    def add(self, need: Need) -> list[Step]:
        """An image needs a blob."""
        ledger = self._ledger(need)
        ledger.waiting.append(need)
        return list(self._next(ledger))

    def placed(self, need: Need) -> list[Step]:
        """The blob is where `need` wants it."""
        ledger = self._ledger(need)
        ledger.placing.discard(need.destination)
        ledger.holders[need.destination] = None
        return list(self._next(ledger))

    def failed(self, need: Need) -> list[Step]:
        """It could not be put there for this image; another one may try."""
        ledger = self._ledger(need)
        ledger.placing.discard(need.destination)
        return list(self._next(ledger))

    def withdraw(self, need: Need) -> None:
        """Wait for it no longer."""
        ledger = self._ledger(need)
        ledger.waiting = [other for other in ledger.waiting if other.image != need.image]

    def waiting_for(self, need: Need) -> tuple[Need, ...]:
        """Who else waits for the blob of `need` at this registry."""
        return tuple(self._ledger(need).waiting)

    def _ledger(self, need: Need) -> _Ledger:
        # The size belongs to the key: a document that lies about it must not profit from one that does not.
        return self._ledgers[need.destination.registry, need.blob.digest, need.blob.size]

    @staticmethod
    def _next(ledger: _Ledger) -> Iterator[Step]:
        waiting, ledger.waiting = ledger.waiting, []
        for need in waiting:
            if need.destination in ledger.holders:
                yield Share(need)
            elif ledger.placing and (need.destination in ledger.placing or not ledger.holders):
                ledger.waiting.append(need)
            else:
                ledger.placing.add(need.destination)
                yield Place(need, next(iter(ledger.holders), None))
