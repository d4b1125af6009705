"""Destroy: everything of a manifest that Terraform's state holds, with the images and logs in it.

It is the plan of the same manifest with nothing in it, so what is reviewed, saved and applied is a plan like any other.
"""

from __future__ import annotations

from dataclasses import replace

from toolkit.operations.orphans import Kind
from toolkit.operations.plan import Planned, plan_manifest
from toolkit.operations.services import Services
from toolkit.plan.desired import Desired
from toolkit.plan.model import InfraAction, Notice


def plan_destroy(desired: Desired, services: Services, *, keeps_images: bool = False) -> Planned:
    """The plan that leaves nothing; with `keeps_images` repositories leave the state and stay in AWS.

    What is not in the state is not destroyed, nor what files of the user's make: notices name it.
    """
    kinds = {Kind.BUILD} if keeps_images else set(Kind)
    planned = plan_manifest(desired.emptied(), services, allows_destroy=True, destroys=kinds)
    plan = planned.plan
    told = [notice for notice in plan.notices if notice.code != "infra.let_go"]  # nothing has left the manifest
    gone = {change.name for change in plan.infra_changes if change.is_of_repository}
    stays = sorted({repository.name for repository in desired.repositories} & set(services.ecr.repositories()) - gone)
    notices = [
        Notice("destroy.stays", f"the repository `{name}` stays: it is not in Terraform's state") for name in stays
    ]
    notices += [
        Notice(
            "destroy.stays",
            f"the repository `{change.name}` stays with its images: it only leaves Terraform's state",
            hint="take it back with `toolkit apply`, as long as the manifest names it",
        )
        for change in plan.infra_changes
        if change.is_of_repository and change.action is InfraAction.FORGET
    ]
    changed = {change.address for change in plan.infra_changes}
    notices += [
        Notice(
            "destroy.stays",
            f"`{address}` stays: it is made by a file of yours",
            hint="take the file out of `terraform.extra_files` and the working directory, then destroy again",
        )
        for address in sorted(services.terraform.state(planned.plan_file.work_dir).managed - changed)
    ]
    return replace(planned, plan=replace(plan, is_destroy=True, notices=(*told, *notices)))
