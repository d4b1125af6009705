"""Destroy: everything of a manifest in Terraform's state, with its images and logs.

It is the plan of the same manifest with nothing in it, so it is reviewed, saved and applied like any other plan.
"""

from __future__ import annotations

from dataclasses import replace

from toolkit.operations.orphans import Kind
from toolkit.operations.plan import Planned, plan_manifest
from toolkit.operations.services import Services
from toolkit.plan.desired import Desired
from toolkit.plan.model import InfraAction, Notice


def plan_destroy(desired: Desired, services: Services, *, keeps_images: bool = False) -> Planned:
    """The plan that deletes everything; with `keeps_images`, repositories leave the state and stay in AWS.

    Resources that are not in the state are not destroyed, nor are those of the user's own files: notices list them.
    """
    kinds = {Kind.BUILD} if keeps_images else set(Kind)
    planned = plan_manifest(desired.emptied(), services, allows_destroy=True, destroys=kinds)
    plan = planned.plan
    others = [notice for notice in plan.notices if notice.code != "infra.let_go"]  # the manifest does name these
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
            f"`{address}` stays: a file of yours makes it",
            hint="remove the file from `terraform.extra_files` and the working directory, then destroy again",
        )
        for address in sorted(services.terraform.state(planned.plan_file.work_dir).managed - changed)
    ]
    return replace(planned, plan=replace(plan, is_destroy=True, notices=(*others, *notices)))
