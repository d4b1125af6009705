"""Drift: what was changed outside of Terraform since its last run. Changes no resource, and not the state."""

from __future__ import annotations

from toolkit.operations.guards import find_account, refuse_other_place
from toolkit.operations.services import Services, step
from toolkit.plan.desired import Desired
from toolkit.plan.model import InfraChange
from toolkit.terraform.provider_lock import refuse_old_provider
from toolkit.terraform.root_module import render, replica_regions
from toolkit.terraform.work_dir import write


def find_drift(desired: Desired, services: Services) -> tuple[InfraChange, ...]:
    """The changes that Terraform's refresh-only plan names. The caller holds the working directory's lock."""
    work_dir = write(render(desired), services.work_path)
    with step(services.emit, "terraform init"):
        services.terraform.init(work_dir)
    refuse_old_provider(desired, work_dir)
    state = services.terraform.state(work_dir)
    refuse_other_place(state, find_account(desired, services))
    work_dir = write(render(desired, regions=replica_regions(state.managed)), services.work_path)
    with step(services.emit, "terraform plan -refresh-only"):
        return services.terraform.detail(services.terraform.plan(work_dir, refreshes_only=True)).drift
