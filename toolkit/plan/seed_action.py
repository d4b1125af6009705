"""What happens to a tag. A module of its own, because a copy needs it without the plan's model: start-up counts."""

from __future__ import annotations

from enum import StrEnum


class SeedAction(StrEnum):
    """What seeding will do to a tag."""

    COPY = "copy"  # not there yet
    MOVE = "move"  # there, pointing elsewhere: the upstream tag has moved
    KEEP = "keep"  # there, and right
