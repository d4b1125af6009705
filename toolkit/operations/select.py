"""Select: turns the manifest's tag selections into images, by the upstreams' tag lists. Costs no counted pull."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TypeVar

from toolkit.errors import UsageError
from toolkit.events import NoticeGiven
from toolkit.oci.reference import Reference
from toolkit.operations.services import Services, step
from toolkit.plan.desired import Desired, DesiredImage, DesiredSelection
from toolkit.plan.model import Notice, Refusal
from toolkit.plan.observed import SourceFault
from toolkit.plan.selecting import choose_images


def select_images(
    desired: Desired, services: Services, only: Sequence[str] = ()
) -> tuple[Desired, tuple[Refusal, ...], tuple[Notice, ...]]:
    """`desired` with an image for each selected tag, refusals for the plan, and notices.

    Each upstream repository is listed once. Selections that no pattern of `only` can match are left out. Refusals are
    also emitted at once, because Terraform's plan takes long.
    """
    selections = meant_selections(desired, only)
    desired = replace(desired, selections=selections)
    if not selections:
        return desired, (), ()
    sources = dict.fromkeys(selection.source for selection in selections)
    with step(services.emit, "list tags", total=len(sources)):
        listings = services.observer.list_tags(sources)
        failed = {s.repository for s in selections if isinstance(listings[s.source], SourceFault)}
        stored = {repository: tuple(services.ecr.tags(repository)) for repository in sorted(failed)}
    chosen, remarks = choose_images(desired, listings, lambda image: fits(names_of(image), only), stored)
    refusals = tuple(remark for remark in remarks if isinstance(remark, Refusal))
    for refusal in refusals:
        services.emit(NoticeGiven(refusal.code, refusal.message, refusal.hint))
    return chosen, refusals, tuple(remark for remark in remarks if isinstance(remark, Notice))


def meant_selections(desired: Desired, only: Sequence[str]) -> tuple[DesiredSelection, ...]:
    """The selections with an image that a pattern of `only` may match."""
    meant = {s.repository for s in desired.selections if may_fit(_starts(s), only)}
    return tuple(s for s in desired.selections if s.repository in meant)  # two of one repository may collide


def names_of(image: DesiredImage) -> list[str]:
    """The names of `image` that a pattern is compared with."""
    return [image.key, *spellings(image.source)]


def _starts(selection: DesiredSelection) -> list[str]:
    """The prefixes of the names of all its images."""
    return [name.removesuffix("any") for name in names_of(selection.image("any"))]


T = TypeVar("T")

# More than a screen of names does not help to find a typing error.
_MOST_NAMES = 20


def choose(things: Sequence[T], patterns: Sequence[str], names: Callable[[T], Collection[str]]) -> tuple[T, ...]:
    """The `things` with a name that matches a pattern; without patterns, all of them.

    `*` matches any characters, `/` and `:` too. Raises UsageError for a pattern without a match: a typing error must
    not look like "nothing to do".
    """
    useless = [p for p in patterns if not any(fnmatchcase(name, p) for thing in things for name in names(thing))]
    if useless:
        known = sorted({next(iter(names(thing))) for thing in things})
        more = f" and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
        listed = ", ".join(f"`{name}`" for name in known[:_MOST_NAMES]) or "none"
        quoted = ", ".join(f"`{pattern}`" for pattern in useless)
        raise UsageError(
            "usage.only",
            f"--only {quoted} matches no image; there are {listed}{more}",
            hint="`*` matches any characters: --only '*nginx*'",
        )
    return tuple(thing for thing in things if fits(names(thing), patterns))


def fits(names: Iterable[str], patterns: Sequence[str]) -> bool:
    """Whether a pattern matches one of `names`; always True without patterns."""
    return not patterns or any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def may_fit(starts: Iterable[str], patterns: Sequence[str]) -> bool:
    """Whether a pattern can match a name that begins with one of `starts`."""
    return fits(starts, [pattern[:end] for pattern in patterns for end in range(len(pattern) + 1)])


def spellings(reference: Reference) -> list[str]:
    """How a user may write `reference`, with and without its digest."""
    bare = reference.with_tag(reference.tag) if reference.tag else reference
    return list(dict.fromkeys((bare.familiar, str(bare), reference.familiar, str(reference))))
