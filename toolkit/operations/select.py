"""Select: turns the manifest's tag selections into images, by the upstreams' tag lists. Costs no counted pull."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from toolkit.events import NoticeGiven
from toolkit.manifest.grammar import TAG_PLACE
from toolkit.operations.choose import fits, may_fit, spellings
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
    key = f"{selection.repository}:{selection.naming.template.partition(TAG_PLACE)[0]}"
    return [key, *(name.removesuffix("any") for name in spellings(selection.source.with_tag("any")))]
