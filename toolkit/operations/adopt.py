"""Self-healing: what an interrupted apply created and Terraform's state does not know is imported, not fought.

Ours is what carries the ownership tags of this manifest. What exists, is not in the state and is not ours is a
conflict: Terraform would fail on it half-way, so the plan refuses it before anything moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from toolkit.operations.services import Services
from toolkit.plan.desired import Desired, ownership_tags
from toolkit.plan.model import Refusal
from toolkit.terraform.root_module import (
    Adoption,
    log_group_address,
    project_address,
    repository_address,
    role_address,
)
from toolkit.terraform.work_dir import WorkDir


@dataclass(frozen=True, slots=True)
class _Found:
    """A resource that exists in AWS: where the state would hold it, its import id, its AWS tags."""

    what: str
    address: str
    id: str
    tags: Mapping[str, str]


def find_adoptions(
    desired: Desired, existing: Mapping[str, str], work_dir: WorkDir, services: Services
) -> tuple[tuple[Adoption, ...], tuple[Refusal, ...]]:
    """What to import, and what stands in the way. `existing` maps names of repositories to ARNs."""
    candidates = [r.name for r in desired.repositories if r.name in existing]
    if not candidates and not desired.builds:
        return (), ()
    managed = services.terraform.managed(work_dir)
    found = [*_repositories(candidates, existing, managed, services), *_builds(desired, managed, services)]
    owner = ownership_tags(desired.name).items()
    ours = [resource for resource in found if owner <= resource.tags.items()]
    theirs = [resource for resource in found if not owner <= resource.tags.items()]
    return tuple(Adoption(r.address, r.id) for r in ours), tuple(_conflict(desired, r) for r in theirs)


def _repositories(
    names: Iterable[str], existing: Mapping[str, str], managed: frozenset[str], services: Services
) -> Iterable[_Found]:
    for name in names:
        address = repository_address(name)
        if address not in managed:
            yield _Found("repository", address, name, services.ecr.resource_tags(existing[name]))


def _builds(desired: Desired, managed: frozenset[str], services: Services) -> Iterable[_Found]:
    look_ups = services.leftovers
    for build in desired.builds:
        for what, address, name, tags_of in (
            ("IAM role", role_address(build), build.role_name(desired.region), look_ups.role_tags),
            ("log group", log_group_address(build), build.log_group_name, look_ups.log_group_tags),
            ("CodeBuild project", project_address(build), build.project_name, look_ups.project_tags),
        ):
            if address not in managed:
                tags = tags_of(name)
                if tags is not None:
                    yield _Found(what, address, name, tags)


def _conflict(desired: Desired, resource: _Found) -> Refusal:
    tags = ", ".join(f"{key}={value}" for key, value in ownership_tags(desired.name).items())
    return Refusal(
        "infra.not_ours",
        f"the {resource.what} `{resource.id}` exists and does not belong to the manifest `{desired.name}`",
        hint=f"choose another name or prefix, or hand it over by tagging it: {tags}",
    )
