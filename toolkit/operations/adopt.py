"""Self-healing after an interrupted apply: what it created is imported or kept, not fought.

Terraform 1.11 leaves such a resource in one of two ways. Where its state has lost it, it is imported if it carries the
ownership tags of this manifest; what is not ours is a conflict, on which Terraform would fail half-way, so the plan
refuses it before anything moves. Where the state has it as tainted, Terraform would replace it: for a repository, which
may hold images by now, the mark is taken back, and the plan shows whatever is still to be set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from toolkit.events import NoticeGiven
from toolkit.oci.values import dataclass
from toolkit.operations.services import Services
from toolkit.plan.desired import Desired, ownership_tags
from toolkit.plan.model import Refusal
from toolkit.terraform.root_module import (
    Adoption,
    batch_role_address,
    log_group_address,
    project_address,
    repository_address,
    role_address,
    webhook_address,
)
from toolkit.terraform.state import State
from toolkit.terraform.work_dir import WorkDir


@dataclass(frozen=True, slots=True)
class _Found:
    """A resource that exists in AWS: where the state would hold it, its import id, its AWS tags."""

    what: str
    address: str
    id: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Healing:
    """What to import, and what stands in the way."""

    adoptions: tuple[Adoption, ...] = ()
    conflicts: tuple[Refusal, ...] = ()


def heal(
    desired: Desired,
    existing: Mapping[str, str],
    state: State,
    work_dir: WorkDir,
    services: Services,
    *,
    keeps_tainted: bool,
) -> Healing:
    """Compare AWS with the state; `existing` maps names of repositories to ARNs.

    With `keeps_tainted` Terraform's state is changed where it has an existing repository as tainted; no resource is.
    """
    candidates = [repository.name for repository in desired.repositories if repository.name in existing]
    if keeps_tainted:
        _keep_tainted(candidates, state.tainted, work_dir, services)
    found = [*_repositories(candidates, existing, state.managed, services), *_builds(desired, state.managed, services)]
    owner = ownership_tags(desired.name).items()
    return Healing(
        tuple(Adoption(lost.address, lost.id) for lost in found if owner <= lost.tags.items()),
        tuple(_conflict(desired, foreign) for foreign in found if not owner <= foreign.tags.items()),
    )


def _keep_tainted(names: Iterable[str], tainted: frozenset[str], work_dir: WorkDir, services: Services) -> None:
    for name in names:
        if repository_address(name) in tainted:
            services.terraform.untaint(work_dir, repository_address(name))
            message = f"an interrupted apply had left the repository `{name}` half recorded; it is kept"
            services.emit(NoticeGiven("infra.untainted", message))


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
        makes_roles = build.settings.service_role_arn is None
        role = ("IAM role", role_address(build), build.role_name(desired.region), look_ups.role_tags)
        parts = [
            *([role] if makes_roles else []),
            ("log group", log_group_address(build), build.log_group_name, look_ups.log_group_tags),
            ("CodeBuild project", project_address(build), build.project_name, look_ups.project_tags),
        ]
        if build.settings.batch and makes_roles:
            name = build.role_name(desired.region, "batch")
            parts.append(("IAM role", batch_role_address(build), name, look_ups.role_tags))
        if build.settings.webhook:
            parts.append(("webhook", webhook_address(build), build.project_name, look_ups.webhook_tags))
        for what, address, name, tags_of in parts:
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
