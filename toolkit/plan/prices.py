"""What AWS asks for keeping and sending bytes, each price with the day for which it is known. A GB is 10^9 bytes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a GB, and the day for which that is known."""

    dollars: float
    seen: date

    def of(self, size: int) -> float:
        """What `size` bytes cost, in US dollars."""
        return size / 1e9 * self.dollars


STORAGE = Price(0.10, date(2026, 3, 15))
"""A month in a private repository of ECR in us-east-1, as price guides of March 2026 quote AWS's page."""

_TRANSFER = Price(0.02, date(2026, 5, 31))
_SENDERS = frozenset(
    {
        *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1"),
        *("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"),
    }
)


def transfer_from(region: str) -> Price | None:
    """What leaves `region` for any other one, at most; None where that is not known.

    AWS charges for the region that sends, and not for the one that receives. Price guides of May 2026 agree on these
    regions, and not on the others, where it costs up to seven times as much.
    """
    return _TRANSFER if region in _SENDERS else None
