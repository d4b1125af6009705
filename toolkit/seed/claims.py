"""Which documents of a run are there because it put them, and who is about to put which."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from toolkit.oci.digest import Digest
from toolkit.oci.reference import Repository

Place = tuple[Repository, Digest]


@dataclass(slots=True)
class _Claim:
    """`waiting` is what to do when it ends."""

    owner: int
    waiting: list[Callable[[], None]] = field(default_factory=list)
    is_under_way: bool = False


class Claims:
    """A document that several images need is put by one of them. Safe to share between threads.

    Not by two at a time: docker-registry empties the link of a document that is put again, for a moment. Nor does each
    of them take a turn at a registry that grants so many a second.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._put: set[Place] = set()
        self._claims: dict[Place, _Claim] = {}
        self._ended: set[int] = set()

    def was_put(self, place: Place) -> bool:
        """Whether the run has put it already."""
        return place in self._put

    def claim(self, place: Place, owner: int, later: Callable[[], None]) -> bool:
        """Whether it is for the image `owner` to see to it; else `later` is called when another one has."""
        with self._lock:
            if owner in self._ended:
                return False
            claim = self._claims.setdefault(place, _Claim(owner))
            if claim.owner != owner:
                claim.waiting.append(later)
            return claim.owner == owner

    @contextmanager
    def putting(self, place: Place, owner: int) -> Iterator[bool]:
        """Whether it is still for `owner` to put it, which the block does then."""
        with self._lock:
            claim = self._claims.get(place)
            if claim is not None and claim.owner == owner:
                claim.is_under_way = True
            else:
                claim = None
        if claim is None:
            yield False
            return
        try:
            yield True
            self._put.add(place)
        finally:
            with self._lock:
                claim.is_under_way = False
                has_ended = owner in self._ended
            if has_ended:
                self.end(place, owner)

    def end(self, place: Place, owner: int) -> None:
        """The image has seen to it, or gives it up."""
        with self._lock:
            claim = self._claims.get(place)
            if claim is None or claim.owner != owner:
                return
            del self._claims[place]
        for go_on in claim.waiting:
            go_on()

    def end_all(self, owner: int) -> None:
        """The image has ended: what it has claimed is for others, as soon as nothing of that is under way."""
        with self._lock:
            self._ended.add(owner)
            left = [p for p, claim in self._claims.items() if claim.owner == owner and not claim.is_under_way]
        for place in left:
            self.end(place, owner)
