"""What a run did, as pure values; digests are read back from the destination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from toolkit.plan.model import InfraChange, Notice, Plan, SeedAction

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
class ReplicaOutcome:
    """What another region has of the images that are in place; `missing` are the keys of those that it lacks.

    The error fields are set when the region could not be waited for.
    """

    region: str
    arrived: int
    missing: tuple[str, ...] = ()
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
class ShardRun:
    """Which shard of how many a run did, and of which saved plan (`plan` is the digest of its file)."""

    number: int
    of: int
    plan: str


@dataclass(frozen=True, slots=True)
class Report:
    """The result of `apply`, `seed` or `copy`. `can_resume`: the same command continues where this run ended."""

    outcomes: tuple[SeedOutcome, ...]
    seconds: float
    infra_changes: tuple[InfraChange, ...] = ()
    outputs: Mapping[str, object] = field(default_factory=dict)
    plan: Plan | None = None
    can_resume: bool = True
    shard: ShardRun | None = None
    replicas: tuple[ReplicaOutcome, ...] = ()

    @property
    def late(self) -> tuple[ReplicaOutcome, ...]:
        """The other regions that lack images."""
        return tuple(one for one in self.replicas if one.missing)

    @property
    def is_complete(self) -> bool:
        """Whether every tag is in place, in every region."""
        return not (self.failed or self.late)

    @property
    def failed(self) -> tuple[SeedOutcome, ...]:
        """The tags that are not in place."""
        return tuple(o for o in self.outcomes if o.status in (SeedStatus.FAILED, SeedStatus.SKIPPED))


class LockAction(StrEnum):
    """What a run did to an entry of the lock, as far as copies are concerned."""

    ADMITTED = "admitted"  # another digest is copied from now on
    ROLLED_BACK = "rolled_back"  # a digest that was admitted before is copied from now on, and held
    RELEASED = "released"  # its hold was ended
    BEGUN = "begun"  # it was not in the lock, and begins with what ECR has
    REMOVED = "removed"  # the manifest no longer takes it from the lock
    SEEN = "seen"  # only what was seen upstream changed
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class LockCandidate:
    """A digest that was seen upstream and is not admitted. It is old enough in `seconds_left`, 0 if it is already."""

    digest: str
    first_seen: str
    seconds_left: int


@dataclass(frozen=True, slots=True)
class LockedImage:
    """One entry of the lock after a run.

    `old_digest` and `new_digest` are what apply and seed would copy before and after it; None for nothing. `age` is how
    many seconds ago the new digest was first seen. `candidates` begin with the oldest. `reasons` say in words why the
    entry moved or stays; `fault` is the code of why upstream could not be asked. `is_unverified`: the signature of a
    digest that is old enough is missing or bad, or could not be read. `hold` is the reason of a hold or a suspension
    which is on, `held_until` its end. `previous` counts earlier digests, to which a rollback can go.
    """

    key: str
    source: str
    action: LockAction
    old_digest: str | None = None
    new_digest: str | None = None
    age: int | None = None
    used_by: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    candidates: tuple[LockCandidate, ...] = ()
    fault: str | None = None
    is_unverified: bool = False
    hold: str | None = None
    held_until: str | None = None
    previous: int = 0

    @property
    def is_moved(self) -> bool:
        """Whether apply and seed would copy another digest than before."""
        return self.action is not LockAction.REMOVED and self.old_digest != self.new_digest


@dataclass(frozen=True, slots=True)
class LockChanges:
    """What a run did to the lock `file`, or would have done if it was dry; `is_written` is False if nothing changed.

    `signatures` counts the documents of signatures that were read, each a pull where the upstream counts them.
    """

    file: str
    images: tuple[LockedImage, ...]
    is_dry: bool = False
    is_written: bool = False
    signatures: int = 0
    notices: tuple[Notice, ...] = ()

    @property
    def moves(self) -> bool:
        """Whether apply and seed would copy other digests than before."""
        return any(image.is_moved for image in self.images)


@dataclass(frozen=True, slots=True)
class MovedTag:
    """A tag in ECR that points to another digest than before. `error` is why nobody was told of it."""

    key: str
    old_digest: str
    new_digest: str
    used_by: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class BehindTag:
    """A tag in ECR that has not what upstream has, since a time (ISO 8601, UTC), as far as the lock knows."""

    key: str
    since: str


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """What a refresh came to. Its other results are a `LockChanges`, a `Plan` and a `Report`.

    `run` is its name, and `place` where its results are kept. `at` is when it ended (ISO 8601, UTC). What it did not
    come to is None. Tags are `gone` upstream, were `unreached`, or have an `unverified` digest there. Held, suspended
    and pinned tags are never `behind`. `pulls_left` is of the registry with the fewest.
    """

    manifest: str
    run: str
    place: str
    at: str = ""
    moves: tuple[MovedTag, ...] = ()
    behind: tuple[BehindTag, ...] | None = None
    gone: tuple[str, ...] | None = None
    unreached: tuple[str, ...] | None = None
    unverified: tuple[str, ...] | None = None
    pulls_left: int | None = None

    @property
    def untold(self) -> tuple[MovedTag, ...]:
        """The moves for which no event was sent."""
        return tuple(move for move in self.moves if move.error)

    @property
    def days_behind(self) -> float | None:
        """For how many days the tag that is furthest behind has been so; 0 if none is."""
        if self.behind is None:
            return None
        now = datetime.fromisoformat(self.at)
        ages = [(now - datetime.fromisoformat(one.since)).total_seconds() for one in self.behind]
        return round(max([0.0, *ages]) / 86_400, 3)
