"""What of a repository goes, because nothing needs it; pure.

The unit is an image, which ECR deletes with its last tag. An image is needed when

- the manifest, a build or the lock names its tag or its digest, or a keeper tag within `keep_previous` does;
- it was pushed or pulled lately, or is archived: somebody has set it aside on purpose.

What is needed needs others: an index its children, an image its signatures and referrers, and a referrer its subject.
So nothing that stays lacks a part, and no referrer outlives its subject.

ECR records pulls by digest. A pull of a multi-platform image reads the index and one child. Our own runs read indexes
too, to know their children, and ECR takes that for a pull. So an index counts as pulled when one of its children was.
Its own pull counts only where it has none. (ECR can leave pulls of a role unrecorded, and by default does not.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from toolkit.errors import Refused
from toolkit.lock.keepers import keeper_tag, keeps
from toolkit.oci.companions import subject_of
from toolkit.oci.digest import Digest
from toolkit.plan.model import Notice
from toolkit.plan.observed import Account, ListedImage
from toolkit.plan.prices import STORAGE, Price

YOUNGEST = timedelta(hours=24)
"""What was pushed later always stays. A copy pushes the children before their index, and the index without a tag before
it moves the tag: seconds apart, but hours where a run waits for counted pulls (Docker Hub's window is six) or for a
slow network. A day covers that, a clock that is wrong by hours, and the day by which ECR may record a pull late."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What needs something in one repository: `tags` of the manifest and its builds, `digests` of them and the lock.

    `held` are the tags which the lock holds: all keepers of these stay. What was pulled after `pulled_since` or pushed
    after `pushed_since` stays.
    """

    tags: frozenset[str]
    digests: frozenset[Digest]
    pulled_since: datetime
    pushed_since: datetime
    held: frozenset[str] = frozenset()
    keep_previous: int = 0


class UnreadIndex(Refused):
    """An index cannot be read, so that nothing of its repository may go."""


class Why(StrEnum):
    """Why nothing needs an image."""

    TAG = "tag"  # the manifest does not name its tags
    KEEPER = "keeper"  # a keeper beyond `keep_previous`, or of a tag that the manifest does not name
    SUPERSEDED = "superseded"  # it has no tag any more
    ORPHAN = "orphan"  # a signature or referrer of an image that is not there
    PART = "part"  # it belongs to an index that goes
    ATTACHED = "attached"  # a signature or referrer of an image that goes


class Fate(StrEnum):
    """What became of it."""

    PLANNED = "planned"
    DELETED = "deleted"
    LEFT = "left"  # it is needed now, or something that refers to it could not be deleted
    FAILED = "failed"  # ECR refused it


@dataclass(frozen=True, slots=True)
class Removal:
    """An image that goes with all its `tags`, or, with `is_tags_only`, some tags of an image that stays.

    `belongs_to` is the index or the image that it is a part or a signature of. `points_to` are the images which go
    after it. `size` is 0 for an index, which holds no layers itself.
    """

    repository: str
    digest: Digest
    tags: tuple[str, ...]
    why: Why
    pushed_at: datetime
    pulled_at: datetime | None = None
    size: int = 0
    is_tags_only: bool = False
    belongs_to: Digest | None = None
    points_to: tuple[Digest, ...] = ()
    fate: Fate = Fate.PLANNED
    error: str | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """Its names in ECR."""
        return tuple(f"{self.repository}:{tag}" for tag in self.tags) or (f"{self.repository}@{self.digest}",)


@dataclass(frozen=True, slots=True)
class Shelf:
    """A repository, and how many images it had when it was looked at."""

    repository: str
    images: int


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What goes from the repositories of a manifest, or went. `is_dry_run`: nothing was deleted.

    `unpulled_for` is in seconds. `shelves` are the repositories that were looked at.
    """

    name: str
    account: Account
    unpulled_for: int
    removals: tuple[Removal, ...] = ()
    shelves: tuple[Shelf, ...] = ()
    notices: tuple[Notice, ...] = ()
    is_dry_run: bool = True
    price: Price = field(default=STORAGE)

    @property
    def failed(self) -> tuple[Removal, ...]:
        """What was to go and is still there."""
        return tuple(one for one in self.removals if one.fate in (Fate.LEFT, Fate.FAILED))


def find_removals(repository: str, images: Sequence[ListedImage], needs: Needs) -> tuple[Removal, ...]:
    """What goes of the `images`, which are all of the repository: what has to be deleted first comes first."""
    links = _Links(images)
    keepers = _keepers(images, needs)
    pulls = _pulls(links)
    in_use = {digest for digest, at in pulls.items() if at >= needs.pulled_since} | {
        image.digest for image in images if image.is_archived or image.pushed_at >= needs.pushed_since
    }
    named = {image.digest: {tag for tag in image.tags if tag in needs.tags or tag in keepers} for image in images}
    roots = [
        image.digest
        for image in images
        if image.digest in in_use or named[image.digest] or {image.digest, image.made_of} & needs.digests
    ]
    needed = links.closure(roots)
    found = []
    for image in images:
        if image.digest not in needed:
            why, owner = _why(image, links)
            points_to = tuple(one for one in links.targets(image) if one not in needed)
            size = 0 if image.is_index else image.size
            times = (image.pushed_at, pulls.get(image.digest))
            found.append(Removal(repository, image.digest, image.tags, why, *times, size, False, owner, points_to))
        # The last tag takes the image with it. So an image that is needed, but not by name, keeps its tags.
        elif named[image.digest] and image.digest not in in_use:
            tags = tuple(t for t in image.tags if t not in named[image.digest] and not links.named_by(t))
            if tags:
                why = Why.KEEPER if all(map(keeps, tags)) else Why.TAG
                times = (image.pushed_at, pulls.get(image.digest))
                found.append(Removal(repository, image.digest, tags, why, *times, is_tags_only=True))
    return tuple(one for wave in waves(found) for one in wave)


def waves(removals: Iterable[Removal]) -> Iterator[tuple[Removal, ...]]:
    """The `removals` in groups, in the order of deletion: what points to others goes before them.

    ECR refuses to delete a child before its index. A referrer goes before its subject, so that a run that is killed
    leaves no orphan.
    """
    left = list(removals)
    while left:
        pointed = {digest for one in left for digest in one.points_to}
        # Names can point in a circle, which digests cannot: two images with one another's signature tag.
        first = tuple(one for one in left if one.is_tags_only or one.digest not in pointed) or tuple(left)
        yield first
        done = set(first)
        left = [one for one in left if one not in done]


def with_company(removals: Sequence[Removal], named: Iterable[Removal]) -> tuple[Removal, ...]:
    """The `removals` that go when only the `named` ones are asked for: those, what points to them, and their parts.

    A part to which something else points as well stays.
    """
    chosen = set(named)
    pending = {one.digest for one in chosen if not one.is_tags_only}
    while more := {one for one in removals if pending.intersection(one.points_to)} - chosen:
        chosen |= more
        pending = {one.digest for one in more}
    while True:
        elsewhere = {digest for one in removals if one not in chosen for digest in one.points_to}
        parts = {digest for one in chosen for digest in one.points_to} - elsewhere
        more = {one for one in removals if one.digest in parts and not one.is_tags_only} - chosen
        if not more:
            return tuple(one for one in removals if one in chosen)
        chosen |= more


def freed(removals: Iterable[Removal]) -> int:
    """At most so many bytes are freed: layers that images share are stored, and billed, once.

    To know them, all image manifests would have to be read, which ECR records as pulls: the next run would keep all.
    """
    return sum({(one.repository, one.digest): one.size for one in removals if not one.is_tags_only}.values())


class _Links:
    """What points to what: an index to its children, a referrer to its subject, by field or by tag."""

    def __init__(self, images: Sequence[ListedImage]) -> None:
        self.images = {image.digest: image for image in images}
        self._filtered: dict[Digest, list[Digest]] = defaultdict(list)
        for image in images:
            if image.made_of:
                self._filtered[image.made_of].append(image.digest)
        self.parents: dict[Digest, list[Digest]] = defaultdict(list)
        self._referrers: dict[Digest, list[Digest]] = defaultdict(list)
        for image in images:
            for child in image.children:
                self.parents[child].append(image.digest)
            for subject in self.subjects(image):
                self._referrers[subject].append(image.digest)

    def named_by(self, tag: str) -> list[Digest]:
        """The images that are there and after which `tag` is named, as the tags of signatures are.

        The signature of an index that we filtered is named after the index upstream.
        """
        subject = subject_of(tag)
        if subject is None:
            return []
        return [subject] if subject in self.images else self._filtered.get(subject, [])

    def subjects(self, image: ListedImage) -> list[Digest]:
        """The images that are there and to which `image` refers."""
        found = [image.subject] if image.subject in self.images else []
        found += [digest for tag in image.tags for digest in self.named_by(tag)]
        return [digest for digest in dict.fromkeys(found) if digest and digest != image.digest]

    def targets(self, image: ListedImage) -> list[Digest]:
        """What `image` points to and is there: its children and its subjects."""
        return list(dict.fromkeys([*(c for c in image.children if c in self.images), *self.subjects(image)]))

    def closure(self, roots: Iterable[Digest]) -> set[Digest]:
        """The `roots` and all that they need."""
        found: set[Digest] = set()
        pending = list(roots)
        while pending:
            digest = pending.pop()
            if digest not in found:
                found.add(digest)
                pending += [*self.targets(self.images[digest]), *self._referrers[digest]]
        return found


def _pulls(links: _Links) -> dict[Digest, datetime]:
    """When each image was pulled: an index when one of its children was."""
    found: dict[Digest, datetime] = {}
    pending = [
        (image.digest, image.pulled_at)
        for image in links.images.values()
        if image.pulled_at and not any(child in links.images for child in image.children)
    ]
    while pending:
        digest, at = pending.pop()
        if digest not in found or found[digest] < at:
            found[digest] = at
            pending += [(parent, at) for parent in links.parents[digest]]
    return found


def _keepers(images: Iterable[ListedImage], needs: Needs) -> set[str]:
    """The keeper tags that stay: of each tag those of the images that were pushed last, and all of a held tag."""
    owners = needs.tags | needs.held
    by_tag: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for image in images:
        for tag in image.tags:
            if keeps(tag):
                # A long tag is cut in the name of its keeper, so it is not read from there.
                owner = next((one for one in owners if keeper_tag(one, image.digest) == tag), None)
                if owner:
                    by_tag[owner].append((image.pushed_at, tag))
    return {
        tag
        for owner, keepers in by_tag.items()
        for _, tag in sorted(keepers, reverse=True)[: None if owner in needs.held else needs.keep_previous]
    }


def _why(image: ListedImage, links: _Links) -> tuple[Why, Digest | None]:
    """Why nothing needs `image`, and what it belonged to."""
    if subjects := links.subjects(image):
        return Why.ATTACHED, subjects[0]
    if image.subject or any(map(subject_of, image.tags)):
        return Why.ORPHAN, image.subject or next(filter(None, map(subject_of, image.tags)))
    if image.tags:
        return (Why.KEEPER if all(map(keeps, image.tags)) else Why.TAG), None
    if parents := links.parents[image.digest]:
        return Why.PART, parents[0]
    return Why.SUPERSEDED, None
