"""Status: what is the matter with every image, here and upstream. Changes nothing and costs no counted pull.

Upstream is asked by HEAD. ECR tells the rest by its own API; of documents only indexes are read, once on a machine,
because ECR records a read as a pull. Terraform is run only where drift is asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial

from toolkit.errors import Refused, ToolkitError, some
from toolkit.lock.model import LockedTag
from toolkit.oci.digest import Digest
from toolkit.oci.filtered_index import platforms_of, read_provenance
from toolkit.oci.reference import Reference
from toolkit.operations.choose import choose, fits
from toolkit.operations.guards import find_account
from toolkit.operations.lock_store import read_lock_of
from toolkit.operations.select import meant_selections, names_of, select_images
from toolkit.operations.services import AWS_LOOK_UPS, Services, step
from toolkit.plan.desired import MANIFEST, Desired, DesiredImage
from toolkit.plan.gate import Gate, check
from toolkit.plan.locking import RUN_LOCK
from toolkit.plan.model import InfraChange, Notice
from toolkit.plan.observed import ListedImage, SourceFault, StoredTag
from toolkit.plan.status import (
    ImageStatus,
    ReplicaStatus,
    Scan,
    Seen,
    StatusReport,
    compare_replica,
    find_extras,
    is_unaccounted,
    judge,
    scanned_parts,
    sort_images,
    with_details,
    with_history,
)
from toolkit.seed.observe import Head
from toolkit.seed.worker_pool import asking


@dataclass(frozen=True, slots=True)
class _Shelf:
    """A repository: every image, and those of the manifest's tags, with what their documents tell."""

    images: Mapping[Digest, ListedImage]
    tagged: Mapping[str, ListedImage]


def status(
    desired: Desired,
    services: Services,
    *,
    publish: Callable[[StatusReport], None],
    only: Sequence[str] = (),
    gate: Gate | None = None,
    earlier: Sequence[StatusReport] = (),
    find_drift: Callable[[Desired, Services], tuple[InfraChange, ...]] | None = None,
) -> None:
    """Look at every image, and pass the report to `publish`. With a `gate`, raises Refused for what fails it.

    `only` are patterns that select images by key or source. `earlier` reports give each image a history. `find_drift`
    asks Terraform.
    """
    account = find_account(desired, services)
    existing = services.ecr.repositories()
    read = read_lock_of(services)
    lock = read[0] if read else {}
    unseen = len(desired.selections) - len(meant_selections(desired, only))
    desired, refusals, notices = select_images(desired, services, only)
    images = desired.images
    chosen = tuple(i for i in images if fits(names_of(i), only)) if refusals else choose(images, only, names_of)
    unseen += len(images) - len(chosen)
    is_whole = not (only or refusals or notices)
    now = services.now()

    with step(services.emit, "look at ECR and upstream", total=len(chosen)), asking(AWS_LOOK_UPS) as pool:
        wanted: dict[str, list[str]] = defaultdict(list)
        for image in chosen:
            wanted[image.repository].append(image.tag)
        asked = {
            name: pool.ask(partial(_shelf, name, frozenset(tags), services))
            for name, tags in wanted.items()
            if name in existing
        }
        others = {
            name: pool.ask(partial(services.contents.resource_tags, arn))
            for name, arn in existing.items()
            if is_whole and name not in {repository.name for repository in desired.repositories}
        }
        away = {
            region: {name: pool.ask(partial(services.ecr_in(region).tags, name)) for name in asked}
            for region in (desired.replication.destinations if desired.replication else ())
        }
        with services.observer.heads(_by_tag(image) for image in chosen) as heads:
            newest = {image.key: _newest(heads[_by_tag(image)]) for image in chosen}
        shelves = {name: shelf.result() for name, shelf in asked.items()}
        scans = {
            (name, part): pool.ask(partial(services.contents.scan, name, part))
            for name, shelf in shelves.items()
            for part in dict.fromkeys(part for image in shelf.tagged.values() for part in scanned_parts(image))
        }
        extra_repositories = tuple(
            sorted(name for name, tags in others.items() if tags.result().get(MANIFEST) == desired.name)
        )
        seen = _with_origins({image: _seen(image, shelves, newest, lock) for image in chosen}, services)

        scanned: dict[str, dict[Digest, Scan]] = defaultdict(dict)
        for (name, part), scan in scans.items():
            scanned[name][part] = scan.result()

    builds = desired.builds_by_image()
    found = [
        with_details(
            judge(image, one, desired.policy_of(image), now, has_lock=read is not None),
            one,
            shelves[image.repository].images if image.repository in shelves else {},
            scanned[image.repository],
            builds.get(image.key, ()),
        )
        for image, one in seen.items()
    ]
    listed = {name: shelf.images.values() for name, shelf in shelves.items()} if is_whole else {}
    extras = find_extras(desired, listed)
    report = with_history(
        StatusReport(
            desired.name,
            account,
            now,
            services.lock.name if read else None,
            sort_images(found),
            extras.tags,
            extra_repositories,
            extras.keepers,
            extras.companions,
            unseen,
            find_drift(desired, services) if find_drift else None,
            (
                *(Notice(one.code, one.message, one.hint) for one in refusals),
                *notices,
                *_lock_missing(desired, services, has_lock=read is not None),
            ),
            replicas=tuple(_replica(region, found, tags) for region, tags in away.items()),
        ),
        earlier,
    )
    if gate:
        report = check(report, gate, desired.ignore, {i.key: names_of(i) for i in chosen})
    publish(report)
    if report.faults:
        raise _refusal(report)


def _by_tag(image: DesiredImage) -> Reference:
    return replace(image.source, digest=None)


def _newest(head: Future[Head]) -> Digest | SourceFault:
    found = head.result()
    return found if isinstance(found, SourceFault) else found.descriptor.digest


def _shelf(repository: str, tags: frozenset[str], services: Services) -> _Shelf:
    """List a repository, and read the indexes under `tags`."""
    images = {image.digest: image for image in services.contents.listed(repository) if not image.is_archived}
    indexes = [one.digest for one in images.values() if one.is_index and tags.intersection(one.tags)]
    for digest, document in services.observer.documents(repository, indexes).items():
        children = platforms_of(document)
        made_of, selection = read_provenance(document.raw) or (None, None)
        images[digest] = replace(
            images[digest],
            children=tuple(children),
            platforms=tuple(children.values()),
            made_of=made_of,
            selection=selection,
        )
    return _Shelf(images, {tag: image for image in images.values() for tag in image.tags if tag in tags})


def _seen(
    image: DesiredImage,
    shelves: Mapping[str, _Shelf],
    newest: Mapping[str, Digest | SourceFault],
    lock: Mapping[str, LockedTag],
) -> Seen:
    """An entry of the lock speaks for the source that was observed and for no other."""
    shelf, now, locked = shelves.get(image.repository), newest[image.key], lock.get(image.key)
    stored = shelf.tagged.get(image.tag) if shelf else None
    had_newest = stored is not None and any(
        one.upstream == now and one.digest != stored.digest and one.pushed_at <= stored.pushed_at
        for one in (shelf.images.values() if shelf else ())
    )
    return Seen(stored, now, locked if locked and locked.source == _by_tag(image) else None, had_newest=had_newest)


def _with_origins(seen: Mapping[DesiredImage, Seen], services: Services) -> dict[DesiredImage, Seen]:
    """`seen` with whether upstream has what is in ECR, where nothing else tells where that comes from."""
    doubtful = {
        image: image.source.name.with_digest(one.stored.upstream)
        for image, one in seen.items()
        if one.stored and is_unaccounted(image, one)
    }
    if not doubtful:
        return dict(seen)
    with services.observer.heads(doubtful.values()) as heads:
        found = {image: heads[reference].result() for image, reference in doubtful.items()}

    def answer(image: DesiredImage) -> bool | None:
        head = found.get(image)
        if isinstance(head, SourceFault):
            return False if head.kind == "missing" else None
        return True if head else None

    return {image: replace(one, is_upstream=answer(image)) for image, one in seen.items()}


def _replica(
    region: str, images: Iterable[ImageStatus], asked: Mapping[str, Future[Mapping[str, StoredTag]]]
) -> ReplicaStatus:
    """A region that cannot be asked hides nothing of the others."""
    try:
        tags = {f"{name}:{tag}": one.digest for name, found in asked.items() for tag, one in found.result().items()}
    except ToolkitError as error:
        return ReplicaStatus(region, fault=error.message)
    return compare_replica(region, images, tags)


def _lock_missing(desired: Desired, services: Services, *, has_lock: bool) -> Iterable[Notice]:
    if desired.needs_lock and not has_lock:
        message = f"there is no lock `{services.lock.name}`, and the manifest says how digests are admitted"
        yield Notice("lock.missing", message, RUN_LOCK)


def _refusal(report: StatusReport) -> Refused:
    faults = report.faults or ()
    if len(faults) == 1:
        return Refused(faults[0].code, faults[0].message, hint=faults[0].hint)
    images = dict.fromkeys(fault.image for fault in faults)
    return Refused(
        "status.failed",
        f"{len(faults)} faults fail the check: {some(images)}",
        hint="the report says what to do about each",
    )
