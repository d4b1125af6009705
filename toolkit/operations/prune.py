"""Prune: deletes from the manifest's repositories what nothing needs. `toolkit.plan.pruning` decides what that is.

Between the look and the deletion, other runs and people go on. So only what was shown is deleted, and only what the
same decision, on a fresh look just before each call, still lets go: a tag that was set, an index that was pushed and a
pull all count. What remains possible within the milliseconds between that look and the call:

- An image without a tag gets its first one, and goes with it. ECR has no deletion "unless it has a tag".
- A tag that is taken from an image which stays is moved, and is taken from its new image.
- A pull is too late to count.

A tagged image cannot go by mistake: it is deleted by digest and tag, and ECR checks that they fit. Neither can a child
of an index that is pushed meanwhile: ECR refuses to delete it. A copy that counted on a child which has just gone is
refused by ECR, and succeeds when it is run again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from toolkit.errors import Refused, SeedingIncomplete, ToolkitError, UsageError
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Repository
from toolkit.operations.choose import fits, may_fit
from toolkit.operations.guards import find_account
from toolkit.operations.lock_store import needed_lock
from toolkit.operations.services import AWS_LOOK_UPS, Contents, Services, step
from toolkit.plan.desired import Desired, ownership_tags
from toolkit.plan.model import Notice, Refusal
from toolkit.plan.observed import ListedImage, SourceFault
from toolkit.plan.pruning import (
    YOUNGEST,
    Fate,
    Needs,
    PrunePlan,
    Removal,
    Shelf,
    UnreadIndex,
    find_removals,
    waves,
    with_company,
)
from toolkit.plan.selecting import choose_images
from toolkit.seed.worker_pool import asking


def prune(
    desired: Desired,
    services: Services,
    *,
    publish: Callable[[PrunePlan], None],
    only: Sequence[str] = (),
    unpulled_for: timedelta,
    deletes: bool = False,
) -> None:
    """Find what goes, delete it if `deletes`, and pass the result to `publish` before raising an error.

    `only` are patterns of repositories, or of images as `repository:tag`; an image brings what goes with it.
    """
    account = find_account(desired, services)
    if desired.mirror_account_id:
        raise Refused(
            "prune.other_account",
            f"the images are in the registry of account `{desired.mirror_account_id}`, which another manifest fills",
            hint="prune with that manifest",
        )
    existing = services.ecr.repositories()
    named = {repository.name for repository in desired.repositories} & existing.keys()
    names = [name for name in sorted(named) if fits([name], only) or may_fit([f"{name}:"], only)]
    needs, notices = _find_needs(desired, names, services, unpulled_for)
    shelves, others = _look(desired.name, needs, existing, services)
    removals = tuple(one for shelf in shelves.values() for one in shelf.meant(only))
    _refuse_useless(only, names, shelves)
    plan = PrunePlan(
        desired.name,
        account,
        int(unpulled_for.total_seconds()),
        removals,
        tuple(Shelf(shelf.name, len(shelf.images)) for shelf in shelves.values()),
        (*notices, *others),
        is_dry_run=not deletes,
    )
    stop: BaseException | None = None
    if deletes and removals:
        fates, stop = _delete(removals, shelves, services)
        plan = replace(plan, removals=tuple(fates.get(one, one) for one in removals))
    publish(plan)
    if stop:
        raise stop
    if plan.failed:
        raise SeedingIncomplete(
            "prune.incomplete",
            f"{len(plan.failed)} of {len(removals)} images are still there; the result says why",
            hint="run again: it takes what is left",
        )


def _find_needs(
    desired: Desired, names: Collection[str], services: Services, unpulled_for: timedelta
) -> tuple[dict[str, Needs], list[Notice]]:
    """What needs something in each of the repositories; without those for which that is not known."""
    desired = replace(desired, selections=tuple(s for s in desired.selections if s.repository in names))
    listings: Mapping[Repository, Sequence[str] | SourceFault] = {}
    if sources := dict.fromkeys(selection.source for selection in desired.selections):
        with step(services.emit, "list tags", total=len(sources)):
            listings = services.observer.list_tags(sources)
    chosen, remarks = choose_images(desired, listings)
    unknown = {r.image.rpartition(":")[0]: r for r in remarks if isinstance(r, Refusal) and r.image}
    tags: dict[str, set[str]] = defaultdict(set)
    digests: dict[str, set[Digest]] = defaultdict(set)
    held: dict[str, set[str]] = defaultdict(set)
    for image in chosen.images:
        tags[image.repository].add(image.tag)
        digests[image.repository] |= {image.source.digest} if image.source.digest else set()
    for build in desired.builds:
        environment = build.settings.environment_mirror
        for base in (*build.images, *([environment] if environment else [])):
            tags[base.repository].add(base.tag)
            digests[base.repository] |= {base.digest} if base.digest else set()
    now = services.now()
    for key, locked in (needed_lock(desired, services) or {}).items():
        repository, _, tag = key.rpartition(":")
        is_held = locked.hold is not None and locked.hold.is_on(now)
        held[repository] |= {tag} if is_held else set()
        kept = locked.previous if is_held else locked.previous[: desired.keep_previous]
        digests[repository] |= {one.digest for one in locked.candidates}
        digests[repository] |= {one.digest for one in (locked.admitted, *kept) if one}
    since = now - unpulled_for
    needs = {
        name: Needs(
            frozenset(tags[name]),
            frozenset(digests[name]),
            pulled_since=since,
            pushed_since=min(since, now - YOUNGEST),
            held=frozenset(held[name]),
            keep_previous=desired.keep_previous,
        )
        for name in names
        if name not in unknown
    }
    notices = [
        Notice("prune.unlisted", f"nothing of `{name}` is pruned: {remark.message}", remark.hint)
        for name, remark in unknown.items()
    ]
    return needs, notices


def _look(
    manifest: str, needs: Mapping[str, Needs], arns: Mapping[str, str], services: Services
) -> tuple[dict[str, _Contents], list[Notice]]:
    """What is in the repositories which this manifest made."""
    shelves, notices = {}, []
    with step(services.emit, "look", total=len(needs)), asking(AWS_LOOK_UPS) as pool:
        tagged = {name: pool.ask(partial(services.contents.resource_tags, arns[name])) for name in needs}
        asked = {}
        for name, tags in tagged.items():
            if ownership_tags(manifest).items() <= tags.result().items():
                shelf = _Contents(name, needs[name], services.contents)
                asked[shelf] = pool.ask(shelf.look)
            else:
                notices.append(
                    Notice(
                        "prune.foreign",
                        f"`{name}` is not pruned: its AWS tags do not say that this manifest made it",
                        hint="take it over with `toolkit apply --adopt`",
                    )
                )
        for shelf, looked in asked.items():
            try:
                looked.result()
                shelves[shelf.name] = shelf
            except UnreadIndex as error:
                notices.append(Notice(error.code, error.message, error.hint))
    return shelves, notices


def _refuse_useless(patterns: Sequence[str], names: Collection[str], shelves: Mapping[str, _Contents]) -> None:
    """Raise UsageError for a pattern that fits nothing: a typing error must not look like "nothing to do"."""
    keys = [f"{shelf.name}:{tag}" for shelf in shelves.values() for image in shelf.images for tag in image.tags]
    for pattern in patterns:
        if not fits([*names, *keys], [pattern]):
            raise UsageError(
                "usage.only",
                f"`{pattern}` fits no repository of the manifest and no image in it",
                hint="`*` matches any characters: `toolkit prune '*nginx*'`",
            )


def _delete(
    removals: Sequence[Removal], shelves: Mapping[str, _Contents], services: Services
) -> tuple[dict[Removal, Removal], BaseException | None]:
    """Each removal with its fate, and why the run ends early. A repository that fails does not stop the others."""
    by_repository: dict[str, list[Removal]] = defaultdict(list)
    for one in removals:
        by_repository[one.repository].append(one)
    fates: dict[Removal, Removal] = {}
    stop: BaseException | None = None
    with step(services.emit, "delete", total=len(removals)), asking(AWS_LOOK_UPS) as pool:
        asked = {name: pool.ask(partial(shelves[name].delete, shown)) for name, shown in by_repository.items()}
        try:
            for name, done in asked.items():
                try:
                    fates |= done.result()
                except ToolkitError as error:
                    stop = stop or error
                    fates |= {one: replace(one, fate=Fate.FAILED, error=error.message) for one in by_repository[name]}
        except KeyboardInterrupt as interrupt:
            stop = interrupt
    return fates, stop


class _Contents:
    """One repository: what is in it, and what of that goes."""

    def __init__(self, name: str, needs: Needs, contents: Contents) -> None:
        self.name = name
        self.images: Sequence[ListedImage] = ()
        self._needs = needs
        self._contents = contents

    def look(self) -> tuple[Removal, ...]:
        """Ask ECR, and decide."""
        known = {image.digest: image for image in self.images}
        self.images = self._contents.images(self.name, known)
        return find_removals(self.name, self.images, self._needs)

    def meant(self, only: Sequence[str]) -> tuple[Removal, ...]:
        """What goes of the images that fit a pattern."""
        removals = find_removals(self.name, self.images, self._needs)
        return with_company(removals, (one for one in removals if fits([self.name, *one.keys], only)))

    def delete(self, shown: Sequence[Removal]) -> dict[Removal, Removal]:
        """Delete what was shown and still goes; each with its fate, as ECR lists it afterwards."""
        refused: dict[Removal, str] = {}
        left: set[Digest] = set()
        for wave in waves(shown):
            still = {(one.digest, one.is_tags_only, one.tags) for one in self.look()}
            going = [
                one for one in wave if one.digest not in left and (one.digest, one.is_tags_only, one.tags) in still
            ]
            refused |= self._contents.delete(self.name, going) if going else {}
            there = {image.digest for image in self.images}
            for one in wave:
                if one in refused or (one not in going and one.digest in there):
                    left.update(one.points_to)
        self.look()
        tags = {image.digest: set(image.tags) for image in self.images}
        return {one: _with_fate(one, tags.get(one.digest), refused.get(one)) for one in shown}


def _with_fate(one: Removal, tags: set[str] | None, refused: str | None) -> Removal:
    """`one` afterwards; `tags` are those that its image has now, None if it is gone."""
    if tags is None or (one.is_tags_only and tags.isdisjoint(one.tags)):
        return replace(one, fate=Fate.DELETED)
    if refused:
        return replace(one, fate=Fate.FAILED, error=refused)
    return replace(one, fate=Fate.LEFT, error="it changed, or something that stays refers to it")
