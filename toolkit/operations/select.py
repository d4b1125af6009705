"""Select: the tags that the manifest describes, as the upstreams list them now. Costs no counted pull."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from toolkit.events import NoticeGiven
from toolkit.operations.choose import fits, may_fit, spellings
from toolkit.operations.services import Services
from toolkit.operations.steps import step
from toolkit.plan.desired import Desired, DesiredImage, DesiredSelection
from toolkit.plan.model import Refusal
from toolkit.plan.selecting import choose_images


def select_images(
    desired: Desired, services: Services, only: Sequence[str] = ()
) -> tuple[Desired, tuple[Refusal, ...]]:
    """`desired` with an image for each selected tag, and what the plan is refused for. Repositories stay as they are.

    Each upstream repository is listed once. Nothing is asked where the manifest selects nothing, and of what no pattern
    of `only` may name. What is refused is told at once: Terraform has not begun to plan.
    """
    selections = meant_selections(desired, only)
    desired = replace(desired, selections=selections)
    if not selections:
        return desired, ()
    sources = dict.fromkeys(selection.source for selection in selections)
    with step(services.emit, "list tags", total=len(sources)):
        listings = services.observer.list_tags(sources)
    chosen, refusals = choose_images(desired, listings, lambda image: fits(names_of(image), only))
    for refusal in refusals:
        services.emit(NoticeGiven(refusal.code, refusal.message, refusal.hint))
    return chosen, refusals


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
