"""What a run did, as pure values; digests are read back from the destination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from toolkit.plan.model import InfraChange, Plan, SeedAction

LEFT = "budget.left_for_next_run"
"""The code of an image that is skipped because of the pull budget."""


class SeedStatus(StrEnum):
    """The result for one tag."""

    COPIED = "copied"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    SKIPPED = "skipped"  # not tried: interrupted, its repository was not created, or `--on-budget` left it out


@dataclass(frozen=True, slots=True)
class SeedOutcome:
    """One tag after seeding; the error fields are set when `status` is `failed`."""

    key: str
    status: SeedStatus
    source: str
    destination: str
    digest: str | None = None
    moved_bytes: int = 0
    total_bytes: int = 0
    moved_blobs: int = 0
    mounted_blobs: int = 0
    present_blobs: int = 0
    document_reads: int = 0
    seconds: float = 0.0
    error_code: str | None = None
    error_message: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class CopyPreview:
    """What `copy` would do to one tag. Without an `action`, the tag cannot be copied and the error fields say why.

    `source` has its digest where the source was found. `current_digest` is what the destination has now.
    """

    source: str
    destination: str
    action: SeedAction | None = None
    current_digest: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    hint: str | None = None


class CheckState(StrEnum):
    """How a check of `doctor` went."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check. `check` is its stable name; `subject` is set where there may be several.

    `reason` says what was found, or why the check was skipped; `cure` is an instruction. `code` is that of the error
    that a run would end with. `is_denied`: credentials or rights are the cause.
    """

    check: str
    state: CheckState
    reason: str
    cure: str | None = None
    subject: str = ""
    code: str | None = None
    is_denied: bool = False

    @property
    def name(self) -> str:
        """The check and its subject."""
        return f"{self.check} {self.subject}".rstrip()


@dataclass(frozen=True, slots=True)
class SavedFile:
    """The file of a saved plan. `commit` is that of its checkout, and `changed` are files that differed from it."""

    file: str
    toolkit_version: str
    terraform_version: str
    providers: Mapping[str, str]
    commit: str | None
    changed: tuple[str, ...]
    is_signed: bool
    is_verified: bool


@dataclass(frozen=True, slots=True)
class Report:
    """The result of `apply`, `seed` or `copy`. `can_resume`: the same command continues where this run ended."""

    outcomes: tuple[SeedOutcome, ...]
    seconds: float
    infra_changes: tuple[InfraChange, ...] = ()
    outputs: Mapping[str, object] = field(default_factory=dict)
    plan: Plan | None = None
    can_resume: bool = True

    @property
    def failed(self) -> tuple[SeedOutcome, ...]:
        """The tags that are not in place."""
        return tuple(o for o in self.outcomes if o.status in (SeedStatus.FAILED, SeedStatus.SKIPPED))
