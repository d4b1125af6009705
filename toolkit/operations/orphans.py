"""Orphaned resources: Terraform's state holds them and the manifest no longer names them.

They are let go of, or destroyed if the user asks for that. To let go of a resource removes it from the state and leaves
it unchanged in AWS. If the manifest names it again, it is taken back by its ownership tags. A log group keeps the logs
of past builds. So it is let go of whenever its build is renamed or removed, unless resources with content may be
destroyed. The schedule of `refresh` is always destroyed: nobody would know that it still runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from toolkit.manifest.grammar import REFRESH
from toolkit.plan.desired import Desired
from toolkit.plan.model import Notice
from toolkit.terraform.root_module import Instance, instance_of, log_group_address
from toolkit.terraform.state import State

_LOG_GROUP = ".aws_cloudwatch_log_group.this["


class Kind(StrEnum):
    """The kinds of orphaned resources, by the name of their module call."""

    REPOSITORY = "repositories"
    BUILD = "builds"


@dataclass(frozen=True, slots=True)
class Orphans:
    """`let_go` are the addresses of the module instances and log groups that leave the state and stay in AWS."""

    let_go: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()


def find_orphans(desired: Desired, state: State, *, destroys: Iterable[Kind], allows_destroy: bool) -> Orphans:
    """The resources that leave the state without being deleted. Terraform deletes those of the kinds in `destroys`."""
    destroyed = frozenset((*destroys, REFRESH))
    wanted: set[tuple[str, str, str]] = {
        (Kind.REPOSITORY, repository.name, region)
        for repository in desired.repositories
        for region in ("", *desired.replicate_to)
    }
    wanted |= {(Kind.BUILD, build.name, "") for build in desired.builds}
    wanted |= {(REFRESH, desired.refresh.project.name, "")} if desired.refresh else set()
    instances = {
        found
        for found in map(instance_of, state.resources)
        if found and (found.kind, found.name, found.region) not in wanted
    }
    kept = sorted((found for found in instances if found.kind not in destroyed), key=lambda found: found.address)
    builds = {build.name: log_group_address(build) for build in desired.projects}
    logs = {}
    for address, values in state.resources.items():
        instance = instance_of(address)
        if not instance or _LOG_GROUP not in address:
            continue
        is_renamed = instance.name in builds and address != builds[instance.name]
        if is_renamed or (instance in instances and instance.kind in destroyed and not allows_destroy):
            logs[address] = str(values.get("name"))
    notices = [_let_go(instance) for instance in kept]
    notices += [
        Notice(
            "infra.log_group_stays", f"the log group `{name}` leaves Terraform's state and stays in AWS with its logs"
        )
        for name in sorted(logs.values())
    ]
    return Orphans((*(instance.address for instance in kept), *sorted(logs)), tuple(notices))


def _let_go(instance: Instance) -> Notice:
    if instance.region:
        return Notice(
            "infra.let_go",
            f"the manifest no longer names the replica of `{instance.name}` in `{instance.region}`: it leaves "
            "Terraform's state and stays in AWS with its images",
            hint="name its region in the manifest again to take it back, or delete it with --destroy-removed "
            "and --allow-destroy",
        )
    what = "repository" if instance.kind == Kind.REPOSITORY else "build"
    stays = "with its images" if instance.kind == Kind.REPOSITORY else "with its project, role and logs"
    return Notice(
        "infra.let_go",
        f"the manifest no longer names the {what} `{instance.name}`: it leaves Terraform's state and stays in AWS "
        f"{stays}",
        hint="name it in the manifest again to take it back, or delete it with --destroy-removed",
    )
