"""Select: the tags that the manifest describes, as the upstreams list them now. Costs no counted pull."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from toolkit.events import NoticeGiven
from toolkit.operations.choose import fits, may_fit, spellings
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
