"""What is the matter with each image of a manifest, by the lock, ECR's listing and upstream's tags. Pure.

An image is in one state, the first of these that fits; the facts beside it may tell of others.

| state | what it means |
|---|---|
| overwritten | ECR has a digest which was never admitted, and which is not made of one that was |
| missing | not in ECR |
| gone | upstream has no such tag any more |
| unknown | upstream did not answer, or nobody can tell where ECR's image comes from |
| held | the lock holds it |
| suspended | the manifest suspends it |
| behind | upstream, or the lock, has a digest that ECR has not, and nothing has to be waited for |
| cooling | upstream has another digest, which is too young to be admitted |
| pinned | upstream has another digest, which the manifest does not want: a digest, `freshness: once` or `pin` |
| fine | ECR has what upstream has |

Without a lock nobody has observed when upstream moved. `behind_since` is then unknown; no date of an image is used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from toolkit.lock.admission import in_words
from toolkit.lock.keepers import is_keeper_tag
from toolkit.lock.model import Freshness, Hold, LockedTag, Policy, Sighting
from toolkit.oci.companions import is_companion_tag
from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.plan.desired import Desired, DesiredImage
from toolkit.plan.model import InfraChange, Notice
from toolkit.plan.observed import Account, ListedImage, SourceFault
from toolkit.plan.severity import Severity

MOST_SPANS = 100
"""Of the history of one image; older ones are dropped."""


class State(StrEnum):
    """The state of an image, the worst first."""

    OVERWRITTEN = "overwritten"
    MISSING = "missing"
    GONE = "gone"
    UNKNOWN = "unknown"
    HELD = "held"
    SUSPENDED = "suspended"
    BEHIND = "behind"
    COOLING = "cooling"
    PINNED = "pinned"
    FINE = "fine"


@dataclass(frozen=True, slots=True)
class Scan:
    """What ECR's scan found: of several platforms the most findings of any, and the time of the oldest scan.

    `lacking` says for each platform without a result why there is none. Without a single one, `counts` is None.
    """

    counts: Mapping[Severity, int] | None = None
    at: datetime | None = None
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which nothing changed, from the first to the last status that saw it so."""

    first: datetime
    last: datetime
    state: State
    in_ecr: Digest | None = None
    admitted: Digest | None = None
    newest: Digest | None = None
    behind_since: datetime | None = None

    def is_like(self, other: Span) -> bool:
        """Whether only the times differ."""
        return replace(self, first=other.first, last=other.last) == other


@dataclass(frozen=True, slots=True)
class ImageStatus:
    """One image. `in_ecr` is the digest of the tag in ECR, and `filtered_from` upstream's, where that is another one.

    `newest` is what upstream's tag has now; None if it is gone, or if `fault` says why it is not known. `behind_since`
    is None as well where it is not known. `ready_at` is when the next digest is old enough. `last_pull` is ECR's
    record, which our own reads of image manifests would move too. `used_by` are the manifest's builds.
    """

    key: str
    source: str
    state: State
    reason: str
    in_ecr: Digest | None = None
    filtered_from: Digest | None = None
    admitted: Digest | None = None
    newest: Digest | None = None
    pushed_at: datetime | None = None
    is_behind: bool = False
    behind_since: datetime | None = None
    ready_at: datetime | None = None
    hold: Hold | None = None
    suspended: Hold | None = None
    gone_since: datetime | None = None
    is_gone: bool = False
    fault: str | None = None
    platforms: tuple[Platform, ...] = ()
    size: int | None = None
    scan: Scan | None = None
    last_pull: datetime | None = None
    used_by: tuple[str, ...] = ()
    history: tuple[Span, ...] = ()

    def now(self, at: datetime) -> Span:
        """The moment `at` of its history."""
        return Span(at, at, self.state, self.in_ecr, self.admitted, self.newest, self.behind_since)


@dataclass(frozen=True, slots=True)
class ExtraTag:
    """A tag in a repository of the manifest which the manifest does not name."""

    repository: str
    tag: str
    digest: Digest
    pushed_at: datetime
    size: int | None = None


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """What another region has of the images in ECR: how many are `in_place`, and the keys of the others.

    The tag of a `late` image has another digest there, that of a `missing` one has none. `fault`: why nothing is known.
    """

    region: str
    in_place: int = 0
    late: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Why `--check` fails; `image` is the key of the image, or the region that could not be asked."""

    code: str
    message: str
    hint: str
    image: str


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The state of a manifest's images `at` a time; `lock` is the name of the lock, None without one.

    `extra_tags` and `extra_repositories` are in ECR and not in the manifest. `keepers` are tags that keep former
    digests, `companions` tags of signatures and referrers. With `unseen_images` nothing is known of extra ones.
    `drift` is None where Terraform was not asked. `replicas` are the other regions. `faults` are what fails `--check`,
    None if that was not asked for.
    """

    name: str
    account: Account
    at: datetime
    lock: str | None
    images: tuple[ImageStatus, ...]
    extra_tags: tuple[ExtraTag, ...] = ()
    extra_repositories: tuple[str, ...] = ()
    keepers: int = 0
    companions: int = 0
    unseen_images: int = 0
    drift: tuple[InfraChange, ...] | None = None
    notices: tuple[Notice, ...] = ()
    faults: tuple[Fault, ...] | None = None
    replicas: tuple[ReplicaStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found of one image: under its tag in ECR, upstream, and in the lock.

    `is_upstream` is asked only where the lock does not know the image in ECR: whether upstream has it by digest, None
    if that is unknown. `had_newest`: ECR had upstream's present content before.
    """

    stored: ListedImage | None
    newest: Digest | SourceFault
    locked: LockedTag | None = None
    is_upstream: bool | None = None
    had_newest: bool = False


def is_unaccounted(image: DesiredImage, seen: Seen) -> bool:
    """Whether only upstream can tell where the image in ECR comes from."""
    if seen.stored is None or admitted_of(image, seen.locked) == seen.stored.upstream:
        return False
    if image.source.digest is None and seen.locked is not None:
        return False
    return seen.newest != seen.stored.upstream


def admitted_of(image: DesiredImage, locked: LockedTag | None) -> Digest | None:
    """The digest that may be copied: the manifest's own, or the lock's."""
    if image.source.digest:
        return image.source.digest
    return locked.admitted.digest if locked and locked.admitted else None


def judge(image: DesiredImage, seen: Seen, policy: Policy, now: datetime, *, has_lock: bool) -> ImageStatus:
    """The state of one image and what is known of it, without what only ECR's details tell."""
    stored, locked = seen.stored, seen.locked
    admitted = admitted_of(image, locked)
    newest = seen.newest if isinstance(seen.newest, Digest) else None
    fault = seen.newest if isinstance(seen.newest, SourceFault) else None
    is_gone = fault is not None and fault.kind == "missing"
    has = stored.upstream if stored else None
    hold = locked.hold if locked and locked.hold and locked.hold.is_on(now) else None
    suspended = policy.suspend if policy.suspend and policy.suspend.is_on(now) else None
    is_behind = has is not None and newest is not None and has != newest
    waiting = _waiting(locked, policy, now)
    found = ImageStatus(
        image.key,
        image.source.familiar,
        State.FINE,
        "ECR has what upstream has",
        in_ecr=stored.digest if stored else None,
        filtered_from=stored.made_of if stored else None,
        admitted=admitted,
        newest=newest,
        pushed_at=stored.pushed_at if stored else None,
        is_behind=is_behind,
        behind_since=behind_since(locked, has) if has and is_behind else None,
        hold=hold,
        suspended=suspended,
        gone_since=locked.gone if locked and is_gone else None,
        is_gone=is_gone,
        fault=fault.message if fault and not is_gone else None,
    )

    def state(name: State, reason: str) -> ImageStatus:
        return replace(found, state=name, reason=reason)

    if stored is None:
        if admitted is None and waiting:
            ready = min(one.first_seen + policy.min_age for one in waiting)
            return replace(
                found,
                state=State.COOLING,
                reason=f"not in ECR, and its first digest may be admitted in {in_words(ready - now)}",
                ready_at=ready,
            )
        why = "no digest of it is admitted: run `toolkit lock`" if has_lock and admitted is None else _TO_SEED
        return state(State.MISSING, f"not in ECR; {why}")
    is_accounted = has in _once_admitted(locked, admitted)
    if locked is not None and locked.admitted and not image.source.digest and not is_accounted:
        return state(
            State.OVERWRITTEN,
            f"ECR has `{stored.digest.short}`, which was never admitted and is not made of what was",
        )
    if is_unaccounted(image, seen) and seen.is_upstream is False and seen.had_newest:
        return state(
            State.OVERWRITTEN,
            f"ECR has `{stored.digest.short}`, which upstream does not have, and had upstream's present image before",
        )
    if is_gone:
        return state(State.GONE, f"upstream has no such tag any more; ECR keeps `{stored.digest.short}`")
    if found.fault:
        return state(State.UNKNOWN, f"upstream was not seen: {found.fault}")
    if is_unaccounted(image, seen) and not seen.is_upstream:
        lacks = (
            "upstream does not have that: it never had it, or has deleted it since"
            if seen.is_upstream is False
            else "whether upstream has that could not be asked"
        )
        return state(State.UNKNOWN, f"ECR has `{stored.digest.short}`, and {lacks}")
    late = f"`{admitted.short}` is admitted and not in ECR yet; {_TO_SEED}" if admitted and has != admitted else ""
    for name, stop, word in ((State.HELD, hold, "held"), (State.SUSPENDED, suspended, "suspended")):
        if stop:  # a tag that is rolled back is held before its digest is in place
            return state(name, f"{word}{_until(stop)}: {stop.reason}{late and '; '}{late}")
    if has_lock and admitted is None:
        return state(State.BEHIND, "no digest of it is admitted: run `toolkit lock`")
    if late:
        return state(State.BEHIND, late)
    if not stored.fits(image.subset):
        return state(State.BEHIND, f"ECR has other platforms of it than the manifest wants; {_TO_SEED}")
    if not is_behind:
        return found
    assert newest is not None  # noqa: S101  otherwise it is not behind
    moved = f"upstream has `{newest.short}`"
    if image.source.digest:
        return state(State.PINNED, f"{moved}, and the manifest pins a digest")
    if not has_lock:
        return state(State.BEHIND, f"{moved}; {_TO_SEED}")
    if policy.freshness is not Freshness.TRACK:
        return state(State.PINNED, f"{moved}, and `freshness: {policy.freshness}` keeps this one")
    candidates = locked.candidates if locked else ()
    if waiting and len(waiting) == len(candidates):
        ready = min(one.first_seen + policy.min_age for one in waiting)
        reason = f"{moved}; the next digest may be admitted in {in_words(ready - now)}"
        return replace(found, state=State.COOLING, reason=reason, ready_at=ready)
    if newest not in [one.digest for one in candidates]:
        return state(State.BEHIND, f"{moved}, which the lock has not seen: run `toolkit lock`")
    return state(State.BEHIND, f"{moved}, which is old enough and not admitted: `toolkit lock` admits it or says why")


_TO_SEED = "`toolkit seed` copies it"


def _until(stop: Hold) -> str:
    return f" until {stop.until:%Y-%m-%d %H:%M}" if stop.until else ""


def _waiting(locked: LockedTag | None, policy: Policy, now: datetime) -> list[Sighting]:
    """The candidates that are too young."""
    bypassed = policy.bypass.digest if policy.bypass else None
    return [
        one
        for one in (locked.candidates if locked else ())
        if now - one.first_seen < policy.min_age and one.digest != bypassed
    ]


def _once_admitted(locked: LockedTag | None, admitted: Digest | None) -> set[Digest | None]:
    return {admitted, *(one.digest for one in (locked.previous if locked else ()))}


def behind_since(locked: LockedTag | None, has: Digest) -> datetime | None:
    """When the lock first saw a digest that upstream had after `has`; None if it saw none, or never saw `has`.

    An upstream that goes back to a former digest is seen anew, so the last sighting of `has` counts.
    """
    if locked is None:
        return None
    admitted = [one.sighting for one in (locked.admitted, *locked.previous) if one]
    all_ = [*admitted, *locked.candidates]
    mine = [one.first_seen for one in all_ if one.digest == has]
    if not mine:
        return None
    later = [one.first_seen for one in all_ if one.digest != has and one.first_seen > max(mine)]
    return min(later, default=None)


def with_details(
    status: ImageStatus,
    seen: Seen,
    others: Mapping[Digest, ListedImage],
    scans: Mapping[Digest, Scan],
    used_by: Sequence[str],
) -> ImageStatus:
    """`status` with what ECR's listing of the whole repository tells, `others` by digest.

    A pull of an index reads the index and a child, and our own runs read indexes only. So an index was pulled when one
    of its children was. Where the documents do not tell the platforms, the lock may.
    """
    status = replace(status, used_by=tuple(used_by))
    stored = seen.stored
    if stored is None:
        return status
    parts = [others[digest] for digest in stored.children if digest in others] or [stored]
    platforms = tuple(dict.fromkeys(platform for platform in stored.platforms if platform))
    if not platforms and seen.locked and seen.locked.admitted and seen.locked.admitted.digest == stored.digest:
        platforms = seen.locked.admitted.sighting.platforms
    sizes = [part.size for part in parts]
    return replace(
        status,
        platforms=platforms,
        size=sum(sizes) if all(sizes) else None,
        last_pull=max((part.pulled_at for part in parts if part.pulled_at), default=None),
        scan=_together([scans[digest] for digest in scanned_parts(stored) if digest in scans]),
    )


def scanned_parts(stored: ListedImage) -> tuple[Digest, ...]:
    """What ECR scans of an image: it scans no index, and no attestation."""
    platforms = zip(stored.children, stored.platforms, strict=True)
    return tuple(digest for digest, platform in platforms if platform) or (stored.digest,)


def _together(scans: Sequence[Scan]) -> Scan | None:
    if not scans:
        return None
    results = [scan.counts for scan in scans if scan.counts is not None]
    counts = {one: most for one in Severity if (most := max(found.get(one, 0) for found in results))} if results else {}
    return Scan(
        counts if results else None,
        min((scan.at for scan in scans if scan.at), default=None),
        tuple(why for scan in scans for why in scan.lacking),
    )


@dataclass(frozen=True, slots=True)
class Extras:
    """What repositories of the manifest have besides its tags; see `StatusReport`."""

    tags: tuple[ExtraTag, ...]
    keepers: int
    companions: int


def find_extras(desired: Desired, listed: Mapping[str, Iterable[ListedImage]]) -> Extras:
    """The tags of the manifest's repositories that it does not name."""
    wanted = {(image.repository, image.tag) for image in desired.images}
    found = [
        ExtraTag(repository, tag, image.digest, image.pushed_at, image.size or None)
        for repository, images in sorted(listed.items())
        for image in images
        for tag in image.tags
        if (repository, tag) not in wanted
    ]
    keepers = [one for one in found if is_keeper_tag(one.tag)]
    companions = [one for one in found if is_companion_tag(one.tag)]
    tags = sorted({*found} - {*keepers} - {*companions}, key=lambda one: (one.repository, one.tag))
    return Extras(tuple(tags), len(keepers), len(companions))


def compare_replica(region: str, images: Iterable[ImageStatus], tags: Mapping[str, Digest]) -> ReplicaStatus:
    """What `region`, which has these `tags` by key, lacks of the `images` that are in ECR."""
    late, missing, in_place = [], [], 0
    for one in images:
        if one.in_ecr is None:
            continue
        if one.key not in tags:
            missing.append(one.key)
        elif tags[one.key] != one.in_ecr:
            late.append(one.key)
        else:
            in_place += 1
    return ReplicaStatus(region, in_place, tuple(late), tuple(missing))


def sort_images(images: Iterable[ImageStatus]) -> tuple[ImageStatus, ...]:
    """The worst first: by state, then those that are behind for longest, then by name."""
    order = list(State)

    def rank(one: ImageStatus) -> tuple[int, float, str]:
        since = one.behind_since.timestamp() if one.behind_since else float("inf")
        return order.index(one.state), since, one.key

    return tuple(sorted(images, key=rank))


def with_history(report: StatusReport, earlier: Collection[StatusReport]) -> StatusReport:
    """`report` with what `earlier` ones, and the histories in them, tell of its images."""
    spans: dict[str, list[Span]] = {one.key: [*one.history, one.now(report.at)] for one in report.images}
    for other in earlier:
        for one in other.images:
            if one.key in spans:
                spans[one.key] += [*one.history, one.now(other.at)]
    return replace(
        report,
        images=tuple(replace(one, history=tuple(_joined(spans[one.key]))[-MOST_SPANS:]) for one in report.images),
    )


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """In the order of time; neighbours that are alike become one."""
    current: Span | None = None
    for span in sorted(spans, key=lambda one: (one.first, one.last)):
        if current is not None and current.is_like(span):
            current = replace(current, last=max(current.last, span.last))
            continue
        if current is not None:
            yield current
        current = span
    if current is not None:
        yield current
