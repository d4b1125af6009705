"""Refresh: admits what upstream has, copies what was admitted, and tells of every tag that moved.

It changes images only. `toolkit.operations.lease` says why two runs do not mix, and why no move stays untold, whenever
a run is killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from toolkit.errors import Refused, SeedingIncomplete, ToolkitError, some
from toolkit.lock.model import Freshness, Lock, LockedTag
from toolkit.operations.guards import check_account
from toolkit.operations.lease import RUN_ENDS, Lease
from toolkit.operations.lock import lock
from toolkit.operations.lock_store import read_lock_of
from toolkit.operations.read_tags import read_tags, upstream_digest
from toolkit.operations.seed import seed
from toolkit.operations.services import RefreshServices, Services, step
from toolkit.plan.desired import Desired
from toolkit.plan.model import Plan
from toolkit.plan.observed import PullBudget
from toolkit.plan.on_budget import OnBudget
from toolkit.plan.status import behind_since
from toolkit.report import BehindTag, LockChanges, MovedTag, RefreshReport, Report, SeedStatus

MOVED = "base image moved"
"""The kind of the events."""

_GONE = "source.missing"


def shared_by_refreshes(services: Services) -> RefreshServices:
    """What all refreshes share. Raises Refused if the manifest has no `refresh`."""
    if services.refresh is None:
        raise Refused(
            "refresh.not_configured",
            "the manifest has no `refresh`, which says where a refresh keeps what it shares with others",
            hint="add `refresh` and run `toolkit apply`, or run `toolkit lock` and `toolkit seed`",
        )
    return services.refresh


def refresh(
    desired: Desired,
    services: Services,
    *,
    run: str,
    show_lock: Callable[[LockChanges], None],
    show_plan: Callable[[Plan], None],
    show_report: Callable[[Report], None],
    publish: Callable[[RefreshReport], None],
) -> None:
    """Lock, copy and tell. Each result is passed on, the last one to `publish` before an error is raised.

    `run` is the name of this run. An image that is refused, or for which no pulls are left, does not stop the others.
    """
    started, began = services.clock(), services.now()
    shared = shared_by_refreshes(services)
    check_account(desired, services)
    found = RefreshReport(desired.name, run, shared.place)
    reports: list[Report] = []
    failure: BaseException | None = None

    try:
        lease = Lease(shared.lease, run)

        def review(plan: Plan) -> None:
            show_plan(plan)
            moving = [one for one in plan.pending_seeds if one.current_digest and one.subject is None]
            lease.expect({one.key: str(one.current_digest) for one in moving})

        def keep(report: Report) -> None:
            show_report(report)
            reports.append(report)

        try:
            changes = lock(desired, services, publish=show_lock)
            faults = {image.key: image.fault for image in changes.images}
            found = replace(
                found,
                gone=tuple(key for key, fault in faults.items() if fault == _GONE),
                unreached=tuple(key for key, fault in faults.items() if fault not in (None, _GONE)),
                unverified=tuple(image.key for image in changes.images if image.is_unverified),
            )
            seed(desired, services, review=review, publish=keep, on_budget=OnBudget.PARTIAL, keeps_going=True)
        except (ToolkitError, KeyboardInterrupt) as error:
            failure = error
        found = replace(found, moves=_tell(desired, lease.moves, services, shared))
        lease.release({move.key: move.old_digest for move in found.untold})
        for report in reports:
            found = replace(
                found,
                behind=tuple(_behind(desired, faults, report, services)),
                pulls_left=_pulls_left(report.plan, services) if report.plan else None,
            )
    finally:
        publish(replace(found, at=services.now().isoformat(timespec="seconds")))
    # The first clock stands still while a laptop sleeps, and the second one may be set.
    is_late = services.clock() - started >= RUN_ENDS.total_seconds() or services.now() - began >= RUN_ENDS
    _raise_if_incomplete(found, failure, is_late=is_late)


def _tell(
    desired: Desired, before: Mapping[str, str], services: Services, shared: RefreshServices
) -> tuple[MovedTag, ...]:
    """Send an event for each tag that has another digest in ECR now than `before`."""
    if not before:
        return ()
    with step(services.emit, "tell", total=len(before)):
        now = {key: str(image.digest) for key, image in read_tags(before, services.ecr).items()}
        users = desired.builds_by_image()
        moves = [
            MovedTag(key, old, now[key], users.get(key, ())) for key, old in before.items() if now.get(key, old) != old
        ]
        registry = services.ecr.registry_host()
        errors = shared.bus.send(MOVED, [_detail(move, desired.name, registry) for move in moves])
    return tuple(replace(move, error=error) for move, error in zip(moves, errors, strict=True))


def _detail(move: MovedTag, manifest: str, registry: str) -> Mapping[str, str]:
    repository, _, tag = move.key.rpartition(":")
    return {
        "manifest": manifest,
        "image": move.key,
        "repository": repository,
        "tag": tag,
        "old_digest": move.old_digest,
        "new_digest": move.new_digest,
        "registry": registry,
    }


def _behind(desired: Desired, keys: Iterable[str], report: Report, services: Services) -> Iterator[BehindTag]:
    """The tags for which upstream, or the lock, has a digest that ECR has not, and that are to follow it."""
    read = read_lock_of(services)
    entries: Lock = {key: read[0][key] for key in keys if read and key in read[0]}
    placed = {one.key for one in report.outcomes if one.status in (SeedStatus.COPIED, SeedStatus.UNCHANGED)}
    stored = read_tags((key for key, tag in entries.items() if tag.admitted and key not in placed), services.ecr)
    for key, tag in entries.items():
        if tag.admitted is None or _stays(desired, key, tag, services.now()):
            continue
        image = stored.get(key)
        has = tag.admitted.digest if key in placed else upstream_digest(image) if image else None
        since = behind_since(tag, has) if has else None
        if since is None and key not in placed:
            since = tag.admitted.sighting.first_seen
        if since:
            yield BehindTag(key, since.isoformat())


def _stays(desired: Desired, key: str, tag: LockedTag, now: datetime) -> bool:
    """Whether somebody wants the tag to stay where it is."""
    repository, _, name = key.rpartition(":")
    image = next((one for one in desired.images if one.key == key), None)
    image = image or desired.selected(repository, name, tag.source.name)
    if image is None:
        return False
    policy = desired.policy_of(image)
    is_held = any(one.is_on(now) for one in (tag.hold, policy.suspend) if one)
    return is_held or policy.freshness is not Freshness.TRACK


def _pulls_left(plan: Plan, services: Services) -> int | None:
    """The fewest counted pulls that a registry grants now; None if none counts them."""
    sources = {one.source.registry: one.source for one in plan.seeds}
    asked = [services.observer.budget(sources[one.registry]) for one in plan.pull_costs if one.registry in sources]
    return min((budget.remaining for budget in asked if isinstance(budget, PullBudget)), default=None)


def _raise_if_incomplete(found: RefreshReport, failure: BaseException | None, *, is_late: bool) -> None:
    if isinstance(failure, KeyboardInterrupt) and is_late:
        raise SeedingIncomplete(
            "refresh.out_of_time",
            f"the refresh ended itself after {RUN_ENDS.total_seconds() / 60:.0f} minutes, before its lease did",
            hint="run again: the next refresh goes on",
        )
    if failure:
        raise failure
    if found.untold:
        raise SeedingIncomplete(
            "refresh.untold",
            f"EventBridge did not take the events of {len(found.untold)} of {len(found.moves)} tags that moved: "
            f"{found.untold[0].error}",
            hint="run again: the next refresh sends them",
        )
    if found.unreached:
        raise SeedingIncomplete(
            "refresh.unreached",
            f"upstream could not be asked for {some(found.unreached)}; all others are up to date",
            hint="the lock says why for each; run again later if it may pass by itself",
        )
    if found.unverified:
        raise SeedingIncomplete(
            "refresh.unverified",
            f"the signature of {some(found.unverified)} is missing, bad or unreadable; all others are up to date",
            hint="the lock says why for each: ask its publisher",
        )
