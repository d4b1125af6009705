"""What a lock knows about each tag of ECR, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class Sighting:
    """A digest that upstream's tag was seen to have, first at `first_seen` by our own clock.

    No date of the image is used, because its publisher chooses it. `platforms` and `size` are empty and None where
    only a HEAD was made: it costs no pull and does not tell them.
    """

    digest: Digest
    first_seen: datetime
    platforms: tuple[Platform, ...] = ()
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Admitted:
    """A digest that may be copied, and since when."""

    sighting: Sighting
    at: datetime

    @property
    def digest(self) -> Digest:
        """The digest that is copied."""
        return self.sighting.digest


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing is admitted before `until`; without `until`, nothing until it is taken away."""

    reason: str
    until: datetime | None = None

    def is_on(self, now: datetime) -> bool:
        """Whether it holds at `now`."""
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class LockedTag:
    """One tag of ECR: where it comes from and what may be copied to it.

    `candidates` were seen after `admitted` and are not admitted yet, in the order in which they were seen. Their order
    is kept rather than computed, so that a clock that jumps cannot change it. `previous` begins with the newest.
    `gone` is when upstream was first seen without the tag; None while it has it.
    """

    source: Reference
    admitted: Admitted | None = None
    candidates: tuple[Sighting, ...] = ()
    previous: tuple[Admitted, ...] = ()
    hold: Hold | None = None
    gone: datetime | None = None


class Freshness(StrEnum):
    """When a tag follows its upstream."""

    TRACK = "track"  # whenever the policy admits a newer digest
    ONCE = "once"  # the first admitted digest stays
    PIN = "pin"  # only when an upgrade is asked for


@dataclass(frozen=True, slots=True)
class Bypass:
    """One digest that need not be `min_age` old. All the rest of the policy holds for it too."""

    digest: Digest
    reason: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What must be signed with `key`, one or several public keys as PEM text: the image, or an `attestation` of it.

    `attestation` is its predicate type; None means the image's own signature.
    """

    key: str
    attestation: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What the manifest asks for before a digest is admitted."""

    freshness: Freshness = Freshness.TRACK
    min_age: timedelta = timedelta(0)
    verify: Verification | None = None
    suspend: Hold | None = None
    bypass: Bypass | None = None


TRACKING = Policy()
"""The policy of a manifest that says nothing."""


Lock = Mapping[str, LockedTag]
"""By `repository:tag` in ECR."""
