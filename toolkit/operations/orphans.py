"""What Terraform's state holds and the manifest no longer names: let go of, or destroyed where that is asked for.

Letting go leaves everything as it is in AWS and only takes it out of the state; named in the manifest again, it is
taken back by its ownership tags. Log groups keep the logs of builds that are over, so they are let go of whenever their
build is renamed or removed, unless what holds something may be destroyed too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from toolkit.plan.desired import Desired
from toolkit.plan.model import Notice
from toolkit.terraform.root_module import Instance, instance_of, log_group_address
from toolkit.terraform.state import State

_LOG_GROUP = ".aws_cloudwatch_log_group.this["


class Kind(StrEnum):
    """What leaves, by the name of its module call."""

    REPOSITORY = "repositories"
    BUILD = "builds"


@dataclass(frozen=True, slots=True)
class Orphans:
    """`let_go` are the addresses of the module instances and log groups that leave the state and stay in AWS."""

    let_go: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()


def find_orphans(desired: Desired, state: State, *, destroys: Iterable[Kind], allows_destroy: bool) -> Orphans:
    """What leaves the state without being deleted. What `destroys` names is deleted by Terraform instead."""
    destroyed = frozenset(destroys)
    wanted = {(Kind.REPOSITORY, one.name) for one in desired.repositories}
    wanted |= {(Kind.BUILD, one.name) for one in desired.builds}
    instances = {
        found for found in map(instance_of, state.resources) if found and (found.kind, found.name) not in wanted
    }
    kept = sorted((one for one in instances if one.kind not in destroyed), key=lambda one: one.address)
    builds = {build.name: log_group_address(build) for build in desired.builds}
    logs = {}
    for address, values in state.resources.items():
        one = instance_of(address)
        if not one or _LOG_GROUP not in address:
            continue
        is_renamed = one.name in builds and address != builds[one.name]
        if is_renamed or (one in instances and one.kind in destroyed and not allows_destroy):
            logs[address] = str(values.get("name"))
    notices = [_let_go(one) for one in kept]
    notices += [
        Notice(
            "infra.log_group_stays", f"the log group `{name}` leaves Terraform's state and stays in AWS with its logs"
        )
        for name in sorted(logs.values())
    ]
    return Orphans((*(one.address for one in kept), *sorted(logs)), tuple(notices))


def _let_go(one: Instance) -> Notice:
    what = "repository" if one.kind == Kind.REPOSITORY else "build"
    stays = "with its images" if one.kind == Kind.REPOSITORY else "with its project, role and logs"
    return Notice(
        "infra.let_go",
        f"the {what} `{one.name}` left the manifest: it leaves Terraform's state and stays in AWS {stays}",
        hint="name it in the manifest again to take it back, or delete it with --destroy-removed",
    )
