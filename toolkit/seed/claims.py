"""Which documents of a run are there because it put them, and who is about to put which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field

from toolkit.oci.digest import Digest
from toolkit.oci.reference import Repository
from toolkit.oci.values import dataclass

Place = tuple[Repository, Digest]


@dataclass(slots=True)
class _Claim:
    """`waiting` is what to do when it ends."""

    owner: int
    waiting: list[Callable[[], None]] = field(default_factory=list)


class Claims:
    """A document that several images need is put by one of them; used under the run's lock.

    Not by two at a time: docker-registry empties the link of a document that is put again, for a moment. Nor does each
    of them take a turn at a registry that grants so many a second.
    """

    def __init__(self) -> None:
        self._put: set[Place] = set()
        self._claims: dict[Place, _Claim] = {}

    def was_put(self, place: Place) -> bool:
        """Whether the run has put it already."""
        return place in self._put

    def claim(self, place: Place, owner: int, later: Callable[[], None]) -> bool:
        """Whether it is for the image `owner` to see to it; else `later` is called when another one has."""
        claim = self._claims.setdefault(place, _Claim(owner))
        if claim.owner != owner:
            claim.waiting.append(later)
        return claim.owner == owner

    def end(self, place: Place, owner: int, *, was_put: bool) -> None:
        """The image has seen to it."""
        if was_put:
            self._put.add(place)
        if place in self._claims and self._claims[place].owner == owner:
            for go_on in self._claims.pop(place).waiting:
                go_on()

    def end_all(self, owner: int) -> None:
        """The image has ended, whatever it was about to do."""
        for place in [place for place, claim in self._claims.items() if claim.owner == owner]:
            self.end(place, owner, was_put=False)
