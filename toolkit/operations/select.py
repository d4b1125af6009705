"""Select: the tags that the manifest describes, as the upstreams list them now. Costs no counted pull."""

from __future__ import annotations

from toolkit.operations.services import Services
from toolkit.operations.steps import step
from toolkit.plan.desired import Desired
from toolkit.plan.model import Refusal
from toolkit.plan.selecting import choose_images


def select_images(desired: Desired, services: Services) -> tuple[Desired, tuple[Refusal, ...]]:
    """`desired` with an image for each selected tag, and what the plan is refused for. Repositories stay as they are.

    Each upstream repository is listed once. Nothing is asked where the manifest selects nothing.
    """
    if not desired.selections:
        return desired, ()
    sources = dict.fromkeys(selection.source for selection in desired.selections)
    with step(services.emit, "list tags", total=len(sources)):
        listings = services.observer.list_tags(sources)
    return choose_images(desired, listings)
