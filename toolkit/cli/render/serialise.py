"""A result as a JSON document, and the same result read back from it.

Each class of this module is a JSON object: the fields of a dataclass, and what readers may want to know besides, which
is derived and not needed for reading (`totals`). A dataclass that stands in a field is written as it is. The schemas of
`toolkit schema` and `docs/reference` are made of these classes.

Within a `schema_version`, fields are added and nothing else. Readers skip what they do not know, so a field that older
toolkits did not write has a default here. Only runs that write or read JSON load this module: it takes 0.05 s of CPU,
and 0.3 s where the manifest's model is not loaded anyway.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from functools import cached_property, partial
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    WrapValidator,
    computed_field,
    model_validator,
)

from toolkit.cli.render.result import Result
from toolkit.cli.render.scan_view import SHOWN_STRATEGIES, places_of, reason_of, word_of
from toolkit.cli.render.totals import (
    sum_findings,
    sum_lock,
    sum_plan,
    sum_previews,
    sum_prune,
    sum_report,
    sum_states,
)
from toolkit.codebuild.coverage import Builder, Kind, Outcome, Trait, Verdict
from toolkit.codebuild.matching import Mirror
from toolkit.codebuild.scan_report import ScannedUse, ScanReport, ScanTrouble
from toolkit.errors import Issue
from toolkit.lock.model import Hold
from toolkit.manifest.strategy import Strategy
from toolkit.oci.auth import CredentialUse
from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.errors import OciError
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.subset import Subset
from toolkit.plan.model import (
    Adopted,
    Division,
    InfraChange,
    Loss,
    Notice,
    Plan,
    PullCost,
    Refusal,
    Replica,
    Seed,
    SeedAction,
)
from toolkit.plan.observed import Account
from toolkit.plan.on_budget import OnBudget
from toolkit.plan.prices import Price
from toolkit.plan.pruning import Fate, PrunePlan, Removal, Shelf, Why
from toolkit.plan.pull_budget import postponed
from toolkit.plan.severity import Severity
from toolkit.plan.status import ExtraTag, Fault, ImageStatus, ReplicaStatus, Scan, Span, State, StatusReport
from toolkit.report import (
    BehindTag,
    CheckState,
    CopyPreview,
    Finding,
    LockAction,
    LockCandidate,
    LockChanges,
    LockedImage,
    MovedTag,
    RefreshReport,
    ReplicaOutcome,
    Report,
    SavedFile,
    SeedOutcome,
    SeedStatus,
    ShardRun,
)

T = TypeVar("T")

# The group is how JSON writes a byte of a file name that is not UTF-8, which pydantic refuses.
# A backslash is right, and so is a letter in two halves.
_LONE_SURROGATE = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def _possible(make: Callable[[], T]) -> T:
    """What `make` returns; a name or a digest that cannot exist is a fault of its field."""
    try:
        return make()
    except OciError as error:
        raise ValueError(error.message) from error


def _parsed(kind: type[T], parse: Callable[[str], T]) -> PlainValidator:
    def read(value: object) -> T:
        if isinstance(value, kind):
            return value
        if not isinstance(value, str):
            raise ValueError("Input should be a valid string")
        return _possible(lambda: parse(value))

    return PlainValidator(read)


_Digest = Annotated[Digest, _parsed(Digest, Digest.parse), PlainSerializer(str, return_type=str)]
_Platform = Annotated[Platform, _parsed(Platform, Platform.parse), PlainSerializer(str, return_type=str)]
_Repository = Annotated[Repository, WrapValidator(lambda value, read: _possible(lambda: read(value)))]


class _Object(BaseModel):
    """A JSON object that is made of a value of the class `of`, and read as one."""

    model_config = ConfigDict(
        frozen=True,
        from_attributes=True,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )
    of: ClassVar[type]

    @classmethod
    def made_of(cls, value: Any) -> Self:
        """The object of `value`."""
        return cls.model_validate(value)

    @cached_property
    def value(self) -> Any:
        """What this object was made of."""
        return self.of(**{one.name: _value(getattr(self, one.name)) for one in fields(self.of)})


class _Listed(_Object):
    """A JSON object that is made of a tuple, which is its field `listed`."""

    listed: ClassVar[str]

    @classmethod
    def made_of(cls, value: Any) -> Self:
        """The object of the tuple `value`."""
        return cls(**{cls.listed: value})

    @cached_property
    def value(self) -> Any:
        """The tuple."""
        return getattr(self, self.listed)


def _value(read: object) -> object:
    if isinstance(read, _Object):
        return read.value
    return tuple(map(_value, read)) if isinstance(read, tuple) else read


def _derived(kind: Any, about: str, find: Callable[[Any], object]) -> Any:
    """A field that `find` derives from the value, and that is not read."""

    def get(this: _Object) -> object:
        found = find(this.value)
        return kind.model_validate(found) if isinstance(kind, type) and issubclass(kind, _Object) else found

    return computed_field(return_type=kind, description=about)(property(get))


# Plans


class PullRange(_Object):
    """Counted pulls; `at_most` is null where HEAD cannot tell."""

    at_least: int
    at_most: int | None

    @model_validator(mode="before")
    @classmethod
    def _of_pair(cls, pair: Any) -> Any:
        return {"at_least": pair[0], "at_most": pair[1]} if isinstance(pair, tuple) else pair

    @cached_property
    def value(self) -> tuple[int, int | None]:
        """The pair."""
        return self.at_least, self.at_most


class Source(_Object):
    """The image that is copied; its digest is pinned."""

    of = Reference
    registry: str
    repository: str
    tag: str | None
    digest: _Digest | None
    name: ClassVar[Any] = _derived(str, "All of it in one text.", str)

    @model_validator(mode="after")
    def _is_a_name(self) -> Source:
        _possible(lambda: self.value)
        return self


class ImageSubset(_Object):
    """Which part of an index is copied; `platforms` is null for all of them."""

    of = Subset
    platforms: tuple[_Platform, ...] | None
    keeps_attestations: bool


class SeedObject(_Object):
    """The decision for one tag."""

    of = Seed
    key: str
    action: SeedAction
    reason: str
    source: Source
    repository: str
    tag: str
    subset: ImageSubset
    wanted_digest: _Digest | None
    current_digest: _Digest | None
    subject: _Digest | None
    size: int | None
    pulls: PullRange
    bytes_from: _Repository | None
    stored_as: str | None = None
    keeper: str | None = None
    is_overwritten: bool
    pushed_at: str | None
    used_by: tuple[str, ...] = ()


class LossObject(_Object):
    """What is deleted for good."""

    of = Loss
    kind: str
    name: str
    size: int
    digests: tuple[_Digest, ...]
    last_pulled: str | None


class ResourceTotals(_Object):
    """Resources as Terraform counts them."""

    imports: int = Field(alias="import")
    creates: int = Field(alias="create")
    updates: int = Field(alias="update")
    destroys: int = Field(alias="destroy")
    forgets: int = Field(alias="forget")


class PlanTotals(_Object):
    """Sums. `bytes_to_copy_at_most` counts a layer for each image that has it."""

    infra: ResourceTotals = Field(alias="resources")
    images: Mapping[SeedAction, int]
    overwritten: int
    skipped: int
    size: int = Field(alias="bytes_to_copy_at_most")
    unknown_sizes: int = Field(alias="images_of_unknown_size")
    pulls: PullRange


def _without_room(plan: Plan) -> list[str]:
    late = postponed(plan.costs, plan.pull_costs, plan.on_budget)
    return [seed.key for seed in plan.seeds if seed.key in late]


class PlanObject(_Object):
    """What would be done, or was."""

    of = Plan
    schema_version: Literal[1] = 1
    name: str
    account: Account
    infra_changes: tuple[InfraChange, ...]
    seeds: tuple[SeedObject, ...]
    pull_costs: tuple[PullCost, ...]
    refusals: tuple[Refusal, ...]
    notices: tuple[Notice, ...]
    on_budget: OnBudget
    drift: tuple[InfraChange, ...]
    losses: tuple[LossObject, ...]
    adopted: tuple[Adopted, ...]
    credentials: tuple[CredentialUse, ...]
    keeps_going: bool
    covers_infra: bool
    unseen_images: int
    is_destroy: bool
    division: Division | None = None
    replicas: tuple[Replica, ...] = ()
    puts_manifest: str = ""
    unadmitted: tuple[str, ...] = ()
    has_changes: ClassVar[Any] = _derived(
        bool, "Apply would change infrastructure, images or what refreshes go by.", lambda plan: plan.has_changes
    )
    is_refused: ClassVar[Any] = _derived(
        bool, "A refusal stops the whole run.", lambda plan: bool(plan.blocking_refusals)
    )
    totals: ClassVar[Any] = _derived(PlanTotals, "What the summary counts.", sum_plan)
    without_room: ClassVar[Any] = _derived(
        list[str], "The keys of images that the pull budget delays or leaves out.", _without_room
    )


# Reports


class ReportTotals(_Object):
    """Sums over all tags."""

    images: Mapping[SeedStatus, int]
    moved_bytes: int
    moved_blobs: int
    mounted_blobs: int
    present_blobs: int
    document_reads: int


class ReportObject(_Object):
    """What was done, read back from where it was done."""

    of = Report
    schema_version: Literal[1] = 1
    seconds: float
    infra_changes: tuple[InfraChange, ...]
    outcomes: tuple[SeedOutcome, ...]
    outputs: Mapping[str, object]
    can_resume: bool = True
    plan: PlanObject | None
    shard: ShardRun | None = None
    replicas: tuple[ReplicaOutcome, ...] = ()
    is_complete: ClassVar[Any] = _derived(
        bool, "Every tag is in place, in every region.", lambda report: report.is_complete
    )
    totals: ClassVar[Any] = _derived(ReportTotals, "What the summary counts.", sum_report)


# Previews


class PreviewTotals(_Object):
    """How many images would be copied, moved and kept, and how many cannot be had."""

    copies: int = Field(alias="copy")
    moves: int = Field(alias="move")
    keeps: int = Field(alias="keep")
    refused: int


class PreviewObject(_Listed):
    """What would be copied; `action` is null where the image cannot be copied."""

    listed = "pairs"
    schema_version: Literal[1] = 1
    pairs: tuple[CopyPreview, ...]
    totals: ClassVar[Any] = _derived(PreviewTotals, "What the summary counts.", sum_previews)


# Diagnoses


class DiagnosisObject(_Listed):
    """The checks of `doctor`, from this machine to the services far away."""

    listed = "findings"
    schema_version: Literal[1] = 1
    findings: tuple[Finding, ...]
    totals: ClassVar[Any] = _derived(Mapping[CheckState, int], "How many there are of each state.", sum_findings)


# Scans


class MirrorObject(_Object):
    """Where the manifest keeps an image; `entry` is the manifest's field for it."""

    of = Mirror
    path: str = Field(alias="entry")
    repository: str
    tag: str


class OutcomeObject(_Object):
    """A verdict, the row that decided, why, and the builders with which each strategy has this outcome."""

    verdict: Verdict
    by: Kind | Trait
    why: str
    builders: Mapping[Strategy, tuple[Builder, ...]]


_Outcomes = Mapping[Strategy, Mapping[Builder, Outcome]]


def _gather(outcomes: _Outcomes) -> list[OutcomeObject]:
    """Each outcome once. An image has 18, for six strategies and three builders, and few of them differ."""
    found: dict[Outcome, dict[Strategy, tuple[Builder, ...]]] = {}
    for strategy, row in outcomes.items():
        for builder, one in row.items():
            builders = found.setdefault(one, {})
            builders[strategy] = (*builders.get(strategy, ()), builder)
    return [OutcomeObject(verdict=one.verdict, by=one.by, why=one.why, builders=where) for one, where in found.items()]


def _spread(gathered: object) -> object:
    """The opposite of `_gather`, in the order of the enumerations."""
    if not isinstance(gathered, list):
        return gathered
    found = {
        (strategy, builder): Outcome(one.verdict, one.by, one.why)
        for one in TypeAdapter(list[OutcomeObject]).validate_json(json.dumps(gathered), strict=True)
        for strategy, builders in one.builders.items()
        for builder in builders
    }
    strategies = {strategy for strategy, _ in found}
    return {
        strategy: {builder: found[strategy, builder] for builder in Builder if (strategy, builder) in found}
        for strategy in Strategy
        if strategy in strategies
    }


class UseObject(_Object):
    """One use of an image in a file."""

    of = ScannedUse
    file: str
    line: int
    kind: Kind
    written: str
    reference: str | None
    registry: str | None
    platform: str | None
    is_pinned: bool = Field(alias="pinned_by_digest")
    pulls_always: bool
    unset: tuple[str, ...] = Field(alias="unset_variables")
    mirror: MirrorObject | None
    built_by: str | None
    is_unreached: bool
    is_read: bool
    is_implied: bool
    can_be_added: bool
    doubt: str
    builder: Builder
    is_builder_named: bool = Field(alias="builder_is_named")
    builders: Mapping[Strategy, Builder]
    outcome: Outcome
    outcomes: Annotated[_Outcomes, BeforeValidator(_spread), PlainSerializer(_gather, return_type=list[OutcomeObject])]
    remedy: Annotated[
        str,
        BeforeValidator(lambda text: text or ""),
        PlainSerializer(lambda text: text or None, return_type=str | None),
    ]
    verdict: ClassVar[Any] = _derived(str, "The verdict in one word.", word_of)
    decided_by: ClassVar[Any] = _derived(Kind | Trait, "The row that decided.", lambda use: use.outcome.by)
    reason: ClassVar[Any] = _derived(str | None, "Why it does not come from ECR.", lambda use: reason_of(use) or None)
    kept_by: ClassVar[Any] = _derived(
        list[Strategy],
        "The strategies that would keep it home.",
        lambda use: list(use.kept_by) if use.is_read else [],
    )
    verdicts: ClassVar[Any] = _derived(
        Mapping[Strategy, Mapping[Builder, Verdict]],
        "The verdict of each strategy with each builder.",
        lambda use: use.verdicts,
    )


class TroubleObject(_Object):
    """A line that was not understood."""

    of = ScanTrouble
    file: str
    line: int
    message: str
    is_fault: bool = Field(alias="fails_check")


class ScannedFile(_Object):
    """A file that was read."""

    path: str
    kind: str


class Defeat(_Object):
    """Why a strategy does not serve images that are mirrored, and the lines that use them."""

    reason: str
    lines: list[str]


def _defeats(report: ScanReport) -> dict[Strategy, list[Defeat]]:
    return {
        strategy: [Defeat(reason=why, lines=places_of(uses)) for why, uses in report.defeats(strategy).items()]
        for strategy in SHOWN_STRATEGIES
    }


def _files_of(listed: object) -> object:
    if not isinstance(listed, list):
        return listed
    return {one.path: one.kind for one in TypeAdapter(list[ScannedFile]).validate_python(listed, strict=True)}


class ScanObject(_Object):
    """Every image of the files, and what comes of it."""

    of = ScanReport
    schema_version: Literal[1] = 1
    manifest: str | None
    build: str | None
    strategy: Strategy
    docker_version: str
    files: Annotated[
        Mapping[str, str],
        BeforeValidator(_files_of),
        PlainSerializer(
            lambda files: [ScannedFile(path=path, kind=kind) for path, kind in files.items()],
            return_type=list[ScannedFile],
        ),
    ]
    uses: tuple[UseObject, ...] = Field(alias="images")
    troubles: tuple[TroubleObject, ...] = Field(alias="not_understood")
    missing: tuple[str, ...]
    is_clean: ClassVar[Any] = _derived(
        bool, "Every build stays home, as far as the files show.", lambda scan: scan.is_clean
    )
    defeats: ClassVar[Any] = _derived(
        Mapping[Strategy, list[Defeat]], "By strategy: why it does not serve images that are mirrored.", _defeats
    )
    upstreams: ClassVar[Any] = _derived(
        Mapping[str, int], "How many uses each upstream registry would still serve.", lambda scan: dict(scan.upstreams)
    )


# What `prune` deletes


class RemovalObject(_Object):
    """An image that goes, or, with `is_tags_only`, tags of an image that stays."""

    of = Removal
    repository: str
    digest: _Digest
    tags: tuple[str, ...]
    why: Why
    pushed_at: datetime
    pulled_at: datetime | None
    size: int
    is_tags_only: bool
    belongs_to: _Digest | None
    points_to: tuple[_Digest, ...]
    fate: Fate
    error: str | None


class PruneTotals(_Object):
    """Sums. Layers that images share are stored once, so that bytes and dollars are the most that is freed."""

    images: int
    deleted: int
    tags: int
    left: int
    size: int = Field(alias="bytes_at_most")
    dollars: float = Field(alias="dollars_a_month_at_most")


class PruneObject(_Object):
    """What goes from the repositories of the manifest, or went."""

    of = PrunePlan
    schema_version: Literal[1] = 1
    name: str
    account: Account
    unpulled_for: int
    removals: tuple[RemovalObject, ...]
    shelves: tuple[Shelf, ...]
    notices: tuple[Notice, ...]
    is_dry_run: bool
    price: Price
    totals: ClassVar[Any] = _derived(PruneTotals, "What the summary counts.", sum_prune)


# Saved plans


class SavedFileObject(_Object):
    """The file around the plan. `is_verified`: the signature was checked with `TOOLKIT_PLAN_KEY`."""

    of = SavedFile
    file: str
    toolkit_version: str
    terraform_version: str
    providers: Mapping[str, str]
    commit: str | None
    changed: tuple[str, ...] = ()
    is_signed: bool
    is_verified: bool
    is_clean: ClassVar[Any] = _derived(
        bool | None,
        "The plan was made from exactly what is in the commit.",
        lambda file: None if file.commit is None else not file.changed,
    )


# The state of images


class HoldObject(_Object):
    """Why an image does not move, and until when; null means until somebody takes that away."""

    of = Hold
    reason: str
    until: AwareDatetime | None


class SpanObject(_Object):
    """A time in which nothing changed, from the first to the last status that saw it so."""

    of = Span
    first: AwareDatetime
    last: AwareDatetime
    state: State
    in_ecr: _Digest | None
    admitted: _Digest | None
    newest: _Digest | None
    behind_since: AwareDatetime | None


class ScanFindings(_Object):
    """What ECR's scan found. `counts` is null where there is no result at all, and `lacking` says why."""

    of = Scan
    counts: Mapping[Severity, int] | None
    at: AwareDatetime | None
    lacking: tuple[str, ...]


class ImageStatusObject(_Object):
    """One image; see `toolkit status` for the states. What is null is not known, or not so."""

    of = ImageStatus
    key: str
    source: str
    state: State
    reason: str
    in_ecr: _Digest | None
    filtered_from: _Digest | None
    admitted: _Digest | None
    newest: _Digest | None
    pushed_at: AwareDatetime | None
    is_behind: bool
    behind_since: AwareDatetime | None
    ready_at: AwareDatetime | None
    hold: HoldObject | None
    suspended: HoldObject | None
    gone_since: AwareDatetime | None
    is_gone: bool
    fault: str | None
    platforms: tuple[_Platform, ...]
    size: int | None
    scan: ScanFindings | None
    last_pull: AwareDatetime | None
    used_by: tuple[str, ...]
    history: tuple[SpanObject, ...]


class ExtraTagObject(_Object):
    """A tag in a repository of the manifest which the manifest does not name."""

    of = ExtraTag
    repository: str
    tag: str
    digest: _Digest
    pushed_at: AwareDatetime
    size: int | None


class ReplicaStatusObject(_Object):
    """What another region has of the images in ECR; `late` ones have another digest there, of `missing` ones no tag."""

    of = ReplicaStatus
    region: str
    in_place: int
    late: tuple[str, ...]
    missing: tuple[str, ...]
    fault: str | None


class StatusObject(_Object):
    """The state of every image; `faults` are what fails `--check`, null if that was not asked for."""

    of = StatusReport
    schema_version: Literal[1] = 1
    name: str
    account: Account
    at: AwareDatetime
    lock: str | None
    images: tuple[ImageStatusObject, ...]
    extra_tags: tuple[ExtraTagObject, ...]
    extra_repositories: tuple[str, ...]
    keepers: int
    companions: int
    unseen_images: int
    drift: tuple[InfraChange, ...] | None
    notices: tuple[Notice, ...]
    faults: tuple[Fault, ...] | None
    replicas: tuple[ReplicaStatusObject, ...] = ()
    totals: ClassVar[Any] = _derived(Mapping[State, int], "How many images there are in each state.", sum_states)


# Locks


class LockedImageObject(_Object):
    """One entry of the lock after the run."""

    of = LockedImage
    key: str
    source: str
    action: LockAction
    old_digest: str | None
    new_digest: str | None
    age: int | None
    used_by: tuple[str, ...]
    reasons: tuple[str, ...]
    candidates: tuple[LockCandidate, ...]
    fault: str | None
    is_unverified: bool
    hold: str | None
    held_until: str | None
    previous: int
    is_moved: ClassVar[Any] = _derived(
        bool, "Apply and seed would copy another digest than before.", lambda image: image.is_moved
    )


class LockObject(_Object):
    """What became of the lock. `signatures` documents were read, each a pull where the upstream counts them."""

    of = LockChanges
    schema_version: Literal[1] = 1
    file: str
    images: tuple[LockedImageObject, ...]
    is_dry: bool
    is_written: bool
    signatures: int
    notices: tuple[Notice, ...]
    moves: ClassVar[Any] = _derived(
        bool, "Apply and seed would copy other digests than before.", lambda changes: changes.moves
    )
    totals: ClassVar[Any] = _derived(Mapping[LockAction, int], "How many entries there are of each action.", sum_lock)


# Refreshes


class RefreshObject(_Object):
    """What a refresh came to; null for what it did not come to."""

    of = RefreshReport
    schema_version: Literal[1] = 1
    manifest: str
    run: str
    place: str
    at: str
    moves: tuple[MovedTag, ...]
    behind: tuple[BehindTag, ...] | None
    gone: tuple[str, ...] | None
    unreached: tuple[str, ...] | None
    unverified: tuple[str, ...] | None
    pulls_left: int | None
    days_behind: ClassVar[Any] = _derived(
        float | None, "For how many days the tag that is furthest behind has been so.", lambda one: one.days_behind
    )

    @model_validator(mode="after")
    def _has_times_and_digests(self) -> Self:
        for text in (self.at, *(one.since for one in self.behind or ())):
            if datetime.fromisoformat(text).tzinfo is None:
                raise ValueError(f"`{text}` has no time zone")
        for move in self.moves:
            for digest in (move.old_digest, move.new_digest):
                _possible(partial(Digest.parse, digest))
        return self


# What has no view of its own


class _Parts(BaseModel):
    """A JSON object in which what has a default may be absent."""


def absent() -> Any:
    """What stands for a field that is not there."""
    return None


_ABSENT: Any = Field(default_factory=absent)


class ErrorObject(_Parts):
    """Why the run failed; `issues` are those of a manifest that cannot be used."""

    code: str
    message: str
    hint: str | None
    issues: list[Issue] = _ABSENT


class RemarkObject(_Parts):
    """Something that was not carried over into the manifest, or works in another way from now on."""

    where: str
    line: int | None
    what: str
    reason: str
    instead: str
    is_carried: bool


class ManifestObject(_Parts):
    """What is in the manifest, or what was written into it."""

    file: str
    images: int
    builds: int
    name: str = _ABSENT
    repositories: int = _ABSENT
    selections: int = _ABSENT
    notices: list[Notice] = _ABSENT
    left_out: list[str] = _ABSENT
    to_fill_in: int = _ABSENT
    remarks: list[RemarkObject] = _ABSENT


class ExitCodeObject(_Parts):
    """What an exit code means; `next` is what to do, `codes` the errors that end a run so."""

    number: int
    meaning: str
    leaves: str
    next: str
    codes: list[str] = _ABSENT


class CodeObject(_Parts):
    """What a code means: each sentence that comes with it, why, what it leaves behind, what to do next."""

    code: str
    kinds: list[str]
    happened: list[str]
    why: str
    leaves: list[str]
    next: list[str]


class ExplanationObject(_Parts):
    """A code, an exit code, or all of both."""

    code: CodeObject = _ABSENT
    exit_code: ExitCodeObject = _ABSENT
    codes: list[CodeObject] = _ABSENT
    exit_codes: list[ExitCodeObject] = _ABSENT


class ExampleObject(_Parts):
    """The files of an example that were written."""

    name: str
    files: list[str]


class BuildspecObject(_Parts):
    """The text, or what became of the file."""

    project: str = _ABSENT
    text: str = _ABSENT
    file: str = _ABSENT
    changed: bool = _ABSENT


class RootModuleObject(_Parts):
    """The Terraform that was written."""

    folder: str
    files: list[str]


class ModuleInputObject(_Parts):
    """The file that was written."""

    file: str


class ProviderLockObject(_Parts):
    """What is locked now, and what was before."""

    file: str
    version: str
    before: str | None
    platforms: list[str]
    missing: list[str]


class SandboxBuildObject(_Parts):
    """A build of the sandbox's CodeBuild; `message` says why it failed or was not run."""

    id: str
    status: str
    initiator: str
    message: str


class SandboxObject(_Parts):
    """Where the sandbox listens and what it holds; `was_running` is that of `sandbox down`."""

    folder: str = _ABSENT
    pid: int = _ABSENT
    account_id: str = _ABSENT
    region: str = _ABSENT
    aws_endpoint: str = _ABSENT
    docker_hub_endpoint: str = _ABSENT
    upstream_endpoint: str = _ABSENT
    ecr_endpoint: str = _ABSENT
    pulls_used: int = _ABSENT
    pulls_left: int = _ABSENT
    images: Mapping[str, list[str]] = _ABSENT
    builds: list[SandboxBuildObject] = _ABSENT
    notices: list[str] = _ABSENT
    was_running: bool = _ABSENT


# Results


class ResultObject(_Parts):
    """The document of a run. Which results it has depends on the command, and on how far the run came."""

    schema_version: Literal[1]
    command: str
    exit_code: int
    error: ErrorObject = _ABSENT
    saved_plan: SavedFileObject = _ABSENT
    plan: PlanObject = _ABSENT
    report: ReportObject = _ABSENT
    preview: PreviewObject = _ABSENT
    scan: ScanObject = _ABSENT
    diagnosis: DiagnosisObject = _ABSENT
    status: StatusObject = _ABSENT
    lock: LockObject = _ABSENT
    prune: PruneObject = _ABSENT
    refresh: RefreshObject = _ABSENT
    manifest: ManifestObject = _ABSENT
    example: ExampleObject = _ABSENT
    buildspec: BuildspecObject = _ABSENT
    root_module: RootModuleObject = _ABSENT
    module_input: ModuleInputObject = _ABSENT
    provider_lock: ProviderLockObject = _ABSENT
    explanation: ExplanationObject = _ABSENT
    sandbox: SandboxObject = _ABSENT


OBJECTS: Mapping[str, type[BaseModel]] = {
    name: one.annotation
    for name, one in ResultObject.model_fields.items()
    if isinstance(one.annotation, type) and issubclass(one.annotation, BaseModel) and name != "error"
}
"""The class of each kind of result."""


def document_of(kind: str, value: object) -> dict[str, Any]:
    """`value` as JSON-safe values."""
    made = OBJECTS[kind]
    if not issubclass(made, _Object):
        raise TypeError(f"a {kind} is written as the document that it has")
    return made.made_of(value).model_dump(mode="json")


def plan_to_json(plan: Plan) -> bytes:
    """The plan without what is derived from it, for `plan_from_json`."""
    return PlanObject.model_validate(plan).model_dump_json(indent=2, round_trip=True).encode()


def plan_from_json(content: bytes) -> Plan:
    """The plan that `plan_to_json` wrote. Raises ValueError for anything else, also for a key more or less."""
    read = _read(PlanObject, content)
    if read.model_dump(mode="json", round_trip=True) != json.loads(content):
        raise ValueError("it does not have exactly the fields of a plan")
    plan: Plan = read.value
    return plan


def read_result(content: bytes) -> Result:
    """The result in a document of `--format json`. Raises ValueError with the field for anything else."""
    read = _read(ResultObject, _LONE_SURROGATE.sub(lambda found: rb"\ufffd" if found[1] else found[0], content))
    values = {
        kind: getattr(read, kind).value
        for kind, made in OBJECTS.items()
        if issubclass(made, _Object) and getattr(read, kind)
    }
    error = read.error.model_dump(exclude_unset=True) if read.error else None
    return Result(read.command, read.exit_code, values, error)


_Read = TypeVar("_Read", bound=BaseModel)


def _read(kind: type[_Read], content: bytes) -> _Read:
    try:
        read = kind.model_validate_json(content, strict=True)
    except ValidationError as error:
        raise ValueError(first_fault(error)) from error
    # pydantic takes NaN and any number of digits, which no view can show. It has bounded the depth.
    json.loads(content, parse_float=_number, parse_int=_number, parse_constant=_number)
    return read


def _number(text: str) -> float:
    number = float(text)
    if not abs(number) < 2**63:  # so that NaN is refused too
        raise ValueError(f"the number `{text[:20]}` is out of range")
    return number


def first_fault(error: ValidationError) -> str:
    """What is wrong first, with the field."""
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, fault["loc"]))
    message = fault["msg"].removeprefix("Value error, ")
    return f"`{place}`: {message}" if place else message
