"""What a scan found: each use of an image with its outcome, and the lines that were not understood."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from toolkit.codebuild.coverage import Builder, Kind, Outcome, Trait, Verdict
from toolkit.codebuild.matching import Mirror
from toolkit.manifest.strategy import Strategy

KEPT = (Verdict.STAYS, Verdict.IGNORED)
"""Verdicts under which the build goes on and no registry but ECR is contacted."""


@dataclass(frozen=True, slots=True)
class ScannedUse:
    """One use of an image in `file`; `reference` is its canonical name, None if it cannot be known.

    `builder` is set by the command (`is_builder_named`) or by the strategy of the scan, and `outcome` is the result
    with it; `builders` and `outcomes` are those of every strategy. `is_read`: the image is known. `is_unreached`: no
    build that was found needs its stage. `can_be_added`: it can be added to the manifest as it is. `built_by` is the
    file that builds it before, if that keeps it home. `doubt` says why the image is not known, if no variable is the
    reason. `is_implied`: Testcontainers starts it by itself. `remedy` says what to do, if anything can be done.
    """

    file: str
    line: int
    kind: Kind
    written: str
    reference: str | None
    registry: str | None
    platform: str | None
    is_pinned: bool
    pulls_always: bool
    unset: tuple[str, ...]
    mirror: Mirror | None
    built_by: str | None
    is_unreached: bool
    builder: Builder
    is_builder_named: bool
    builders: Mapping[Strategy, Builder]
    outcome: Outcome
    outcomes: Mapping[Strategy, Mapping[Builder, Outcome]]
    is_read: bool = True
    can_be_added: bool = False
    doubt: str = ""
    is_implied: bool = False
    remedy: str = ""

    @property
    def is_kept(self) -> bool:
        """Whether the build gets the image from ECR only, or goes on without it."""
        return self.is_read and self.outcome.verdict in KEPT

    @property
    def verdicts(self) -> Mapping[Strategy, Mapping[Builder, Verdict]]:
        """The outcomes without their reasons."""
        return {one: {builder: found.verdict for builder, found in row.items()} for one, row in self.outcomes.items()}

    def under(self, strategy: Strategy) -> Outcome:
        """The outcome under another strategy, with the builder of that strategy."""
        return self.outcomes[strategy][self.builders[strategy]]

    @property
    def kept_by(self) -> tuple[Strategy, ...]:
        """The strategies that would keep it home."""
        return tuple(one for one in self.outcomes if self.under(one).verdict in KEPT)


@dataclass(frozen=True, slots=True)
class ScanTrouble:
    """A line that was not understood."""

    file: str
    line: int
    message: str
    is_fault: bool


@dataclass(frozen=True, slots=True)
class ScanReport:
    """The whole scan, for one `build` of the manifest or for any.

    `manifest` is None for a scan without one; `files` has each file with its kind.
    """

    manifest: str | None
    build: str | None
    strategy: Strategy
    docker_version: str
    files: Mapping[str, str]
    uses: tuple[ScannedUse, ...]
    troubles: tuple[ScanTrouble, ...]
    missing: tuple[str, ...]

    @property
    def lost(self) -> tuple[ScannedUse, ...]:
        """The uses that are not kept home."""
        return tuple(use for use in self.uses if not use.is_kept)

    def defeats(self, strategy: Strategy) -> Mapping[str, tuple[ScannedUse, ...]]:
        """The uses that `strategy` does not serve although the image is mirrored, grouped by the reason."""
        found: dict[str, tuple[ScannedUse, ...]] = {}
        for use in self.uses:
            outcome = use.under(strategy)
            if use.mirror and outcome.verdict not in KEPT and outcome.by is not Trait.PLATFORM_MISSING:
                found[outcome.why] = (*found.get(outcome.why, ()), use)
        return found

    @property
    def faults(self) -> tuple[ScanTrouble, ...]:
        """The troubles that make `--check` fail."""
        return tuple(trouble for trouble in self.troubles if trouble.is_fault)

    @property
    def is_clean(self) -> bool:
        """Whether every build stays home, as far as the files show."""
        return not self.lost and not self.faults

    @property
    def upstreams(self) -> Mapping[str, int]:
        """How many uses each upstream registry would still serve to the builds that were found."""
        reached = (use for use in self.lost if not use.is_unreached)
        leaving = (use for use in reached if use.outcome.verdict is Verdict.LEAVES and use.registry)
        return Counter(use.registry for use in leaving if use.registry)
