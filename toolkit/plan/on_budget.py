"""The choice of `--on-budget`. The plan's model takes 40 ms of CPU to load, which no command spends on an option."""

from __future__ import annotations

from enum import StrEnum


class OnBudget(StrEnum):
    """What to do when an upstream has fewer counted pulls left than the copies need."""

    REFUSE = "refuse"
    WAIT = "wait"  # copy what fits, wait for the rest
    PARTIAL = "partial"  # copy what fits, leave the rest for the next run
