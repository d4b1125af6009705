"""Select: the tags that the manifest describes, as the upstreams list them now. Costs no counted pull."""

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
    """`desired` with an image for each selected tag, what the plan is refused for, and what there is to know.

    Each upstream repository is listed once. Nothing is asked where the manifest selects nothing, and of what no pattern
    of `only` may name. Repositories stay as they are. What is refused is told at once: Terraform has not begun to plan.
    """
    selections = meant_selections(desired, only)
    desired = replace(desired, selections=selections)
    if not selections:
        return desired, (), ()
    sources = dict.fromkeys(selection.source for selection in selections)
    with step(services.emit, "list tags", total=len(sources)):
        listings = services.observer.list_tags(sources)
        failed = {one.repository for one in selections if isinstance(listings[one.source], SourceFault)}
        stored = {repository: tuple(services.ecr.tags(repository)) for repository in sorted(failed)}
    chosen, remarks = choose_images(desired, listings, lambda image: fits(names_of(image), only), stored)
    refusals = tuple(remark for remark in remarks if isinstance(remark, Refusal))
    for refusal in refusals:
        services.emit(NoticeGiven(refusal.code, refusal.message, refusal.hint))
    return chosen, refusals, tuple(remark for remark in remarks if isinstance(remark, Notice))


def meant_selections(desired: Desired, only: Sequence[str]) -> tuple[DesiredSelection, ...]:
    """The selections that may have an image which a pattern of `only` names."""
    meant = {one.repository for one in desired.selections if may_fit(_starts(one), only)}
    return tuple(one for one in desired.selections if one.repository in meant)  # two may collide in one


def names_of(image: DesiredImage) -> list[str]:
    """What a pattern may say for `image`."""
    return [image.key, *spellings(image.source)]


def _starts(selection: DesiredSelection) -> list[str]:
    """What the names of all its images begin with."""
    return [name.removesuffix("any") for name in names_of(selection.image("any"))]


T = TypeVar("T")

# More than a screen of names helps nobody to find a slip of the pen.
_MOST_NAMES = 20


def choose(things: Sequence[T], patterns: Sequence[str], names: Callable[[T], Collection[str]]) -> tuple[T, ...]:
    """The `things` that have a name which a pattern fits, all of them without patterns.

    `*` stands for any letters, `/` and `:` too. Raises UsageError for patterns that fit nothing: a slip must not pass
    for "nothing to do".
    """
    useless = [p for p in patterns if not any(fnmatchcase(name, p) for thing in things for name in names(thing))]
    if useless:
        there = sorted({next(iter(names(thing))) for thing in things})
        more = f" and {len(there) - _MOST_NAMES} more" if len(there) > _MOST_NAMES else ""
        listed = ", ".join(f"`{name}`" for name in there[:_MOST_NAMES]) or "none"
        asked = ", ".join(f"`{pattern}`" for pattern in useless)
        raise UsageError(
            "usage.only",
            f"--only {asked} fits no image; there are {listed}{more}",
            hint="`*` stands for any letters: --only '*nginx*'",
        )
    return tuple(thing for thing in things if fits(names(thing), patterns))


def fits(names: Iterable[str], patterns: Sequence[str]) -> bool:
    """Whether a pattern fits one of `names`; without patterns anything does."""
    return not patterns or any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def may_fit(starts: Iterable[str], patterns: Sequence[str]) -> bool:
    """Whether a pattern fits some name that begins with one of `starts`."""
    return fits(starts, [pattern[:end] for pattern in patterns for end in range(len(pattern) + 1)])


def spellings(reference: Reference) -> list[str]:
    """How a user may write `reference`, with and without its digest."""
    bare = reference.with_tag(reference.tag) if reference.tag else reference
    return list(dict.fromkeys((bare.familiar, str(bare), reference.familiar, str(reference))))
