"""Destroy: everything of a manifest that Terraform's state holds, with the images and logs in it.

It is the plan of the same manifest with nothing in it, so what is reviewed, saved and applied is a plan like any other.
"""

from __future__ import annotations

from dataclasses import replace

from toolkit.operations.leaving import Kind
from toolkit.operations.plan import Planned, plan
from toolkit.operations.services import Services
from toolkit.plan.desired import Desired
from toolkit.plan.model import Notice


def plan_destroy(desired: Desired, services: Services, *, keeps_images: bool = False) -> Planned:
    """The plan that leaves nothing; with `keeps_images` repositories leave the state and stay in AWS.

    What is not in the state is not destroyed: a notice names such repositories of the manifest.
    """
    kinds = {Kind.BUILD} if keeps_images else set(Kind)
    planned = plan(desired.emptied(), services, allows_destroy=True, destroys=kinds)
    made = planned.plan
    gone = {change.name for change in made.infra_changes if change.is_of_repository}
    stays = sorted({repository.name for repository in desired.repositories} & set(services.ecr.repositories()) - gone)
    notices = [
        Notice("destroy.stays", f"the repository `{name}` stays: it is not in Terraform's state") for name in stays
    ]
    return replace(planned, plan=replace(made, is_destroy=True, notices=(*made.notices, *notices)))
