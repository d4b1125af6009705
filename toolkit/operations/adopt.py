"""What exists in AWS and is missing from Terraform's state: imported, or refused, never fought.

An interrupted apply and a lost state leave resources that carry this manifest's ownership tags: they are healed. What
is somebody else's is taken over where the user says so (`--adopt`, `adopt:`). Both are imported with the policies that
hang on them, because Terraform creates a policy by overwriting what is there, and shows a difference only of what it
has imported. Anything else is a conflict, on which Terraform would fail half-way: the plan refuses it before anything
moves.

Where the state has something as tainted, Terraform would replace it. It may hold images or logs by now, so the mark is
taken back, and the plan shows whatever is still to be set. What is not in AWS after all is made by the same plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial

from toolkit.errors import UsageError
from toolkit.events import NoticeGiven
from toolkit.operations.services import AWS_LOOK_UPS, Services
from toolkit.plan.adoption import (
    encryption_refusal,
    has_other_encryption,
    principal_refusals,
    settings_that_keep,
    tag_refusals,
)
from toolkit.plan.desired import Desired, DesiredBuild, DesiredRepository, ownership_tags
from toolkit.plan.model import Adopted, InfraChange, Notice, Refusal
from toolkit.plan.observed import (
    LIFECYCLE_POLICY,
    REPOSITORY_POLICY,
    WEBHOOK,
    ExistingRepository,
    ExistingResource,
)
from toolkit.plan.repository_policy import wanted_statements
from toolkit.seed.worker_pool import asking
from toolkit.terraform.root_module import (
    Adoption,
    batch_policy_address,
    batch_role_address,
    build_module,
    extra_policy_address,
    lifecycle_policy_address,
    log_group_address,
    project_address,
    repository_address,
    repository_module,
    repository_policy_address,
    role_address,
    role_policy_address,
    webhook_address,
)
from toolkit.terraform.state import State
from toolkit.terraform.work_dir import WorkDir

_REPOSITORY, _ROLE, _LOG_GROUP, _PROJECT = "repository", "IAM role", "log group", "CodeBuild project"

Existing = ExistingRepository | ExistingResource


@dataclass(frozen=True, slots=True)
class Healing:
    """What to import, what stands in the way, and the repositories that are taken over.

    `conflicts` are the module instances in which something is in the way: what Terraform plans of them is not true.
    """

    imports: tuple[Adoption, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    notices: tuple[Notice, ...] = ()
    adopted: tuple[Adopted, ...] = ()
    conflicts: tuple[str, ...] = ()

    def true_changes(self, changes: Iterable[InfraChange]) -> tuple[InfraChange, ...]:
        """Those of Terraform's `changes` that are not of a conflict."""
        return tuple(change for change in changes if not change.address.startswith(self.conflicts))


@dataclass(frozen=True, slots=True)
class _Part:
    """One resource of Terraform's: where the state has it, its import id, and `ExistingResource`'s name for the part.

    The thing itself has no such name.
    """

    address: str
    id: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class _Thing:
    """Something with AWS tags that the manifest asks for; `parts` begins with itself, the others have no tags.

    `names` are those that a pattern may fit, `module` is where Terraform has it.
    """

    what: str
    names: tuple[str, ...]
    module: str
    parts: tuple[_Part, ...]
    wanted: DesiredRepository | DesiredBuild

    @property
    def itself(self) -> _Part:
        return self.parts[0]


def check_patterns(desired: Desired, adopt: Sequence[str]) -> None:
    """Raise UsageError for a pattern of the command line that fits nothing in the manifest: a slip of the pen."""
    names = {name for thing in (*_repositories(desired), *_builds(desired)) for name in thing.names}
    useless = [pattern for pattern in adopt if not any(fnmatchcase(name, pattern) for name in names)]
    if useless:
        asked = ", ".join(f"`{pattern}`" for pattern in useless)
        raise UsageError(
            "usage.adopt",
            f"--adopt {asked} fits no repository and no build of the manifest",
            hint="name a repository with its prefix, or a build; `*` stands for any letters: --adopt '*/nginx'",
        )


def heal(
    desired: Desired,
    existing: Mapping[str, str],
    state: State,
    work_dir: WorkDir,
    services: Services,
    *,
    allows_destroy: bool = False,
    adopt: Sequence[str] = (),
) -> Healing:
    """Compare AWS with the state; `existing` maps names of repositories to ARNs.

    `adopt` are patterns of what may be taken over, besides those of the manifest. Unless `allows_destroy`, nobody may
    lose anything, and Terraform's state is changed where it has something as tainted; no resource is.
    """
    repositories = [thing for thing in _repositories(desired) if thing.itself.id in existing]
    things = [*repositories, *_builds(desired)]
    if not allows_destroy:
        _keep_tainted(things, state.tainted, work_dir, services)
    missing = [thing for thing in things if any(part.address not in state.managed for part in thing.parts)]
    owner = ownership_tags(desired.name).items()
    imports: list[Adoption] = []
    refusals: list[Refusal] = []
    notices: list[Notice] = []
    adopted: list[Adopted] = []
    conflicts: list[str] = []
    staying: dict[tuple[str, str], list[str]] = {}
    for thing, found in zip(missing, _look_up(missing, services), strict=True):
        if found is None:
            continue
        is_known = thing.itself.address in state.managed
        is_ours = is_known or owner <= found.resource_tags.items()
        if not is_ours and not _fits(thing, (*desired.adopt, *adopt)):
            conflicts.append(thing.module)
            refusals.append(_conflict(desired, thing))
            continue
        if not is_ours:
            notices += _owners(thing, found, desired)
            refusals += () if allows_destroy else _log_refusals(thing, found)
        if isinstance(thing.wanted, DesiredRepository) and isinstance(found, ExistingRepository):
            settings = settings_that_keep(found, thing.wanted, desired)
            if not is_known and (settings or not is_ours):
                adopted.append(Adopted(found.name, settings))
            if not is_known and has_other_encryption(found, thing.wanted):
                conflicts.append(thing.module)
                refusals.append(encryption_refusal(found, thing.wanted, settings))
                continue
            if not allows_destroy:
                refusals += principal_refusals(found, thing.wanted, settings)
                refusals += () if is_known else tag_refusals(found, thing.wanted, desired, settings)
        for part in found.parts - {part.name for part in thing.parts}:
            staying.setdefault((thing.what, part), []).append(thing.itself.id)
        imports += [
            Adoption(part.address, part.id)
            for part in thing.parts
            if part.address not in state.managed and (part.name is None or part.name in found.parts)
        ]
    notices += [_stays(what, part, names) for (what, part), names in sorted(staying.items())]
    return Healing(tuple(imports), tuple(refusals), tuple(notices), tuple(adopted), tuple(conflicts))


def _look_up(things: Sequence[_Thing], services: Services) -> list[Existing | None]:
    """What AWS has of each, asked side by side; projects all at once."""
    look_ups: Mapping[str, Callable[[str], Existing | None]] = {
        _REPOSITORY: services.ecr.repository,
        _ROLE: services.existing.role,
        _LOG_GROUP: services.existing.log_group,
    }
    names = [thing.itself.id for thing in things if thing.what == _PROJECT]
    with asking(AWS_LOOK_UPS) as pool:
        projects = pool.ask(lambda: services.existing.projects(names) if names else {})
        others = [
            None if thing.what == _PROJECT else pool.ask(partial(look_ups[thing.what], thing.itself.id))
            for thing in things
        ]
        return [
            other.result() if other else projects.result().get(thing.itself.id)
            for thing, other in zip(things, others, strict=True)
        ]


def _keep_tainted(things: Iterable[_Thing], tainted: frozenset[str], work_dir: WorkDir, services: Services) -> None:
    for thing in things:
        for part in thing.parts:
            if part.address in tainted:
                services.terraform.untaint(work_dir, part.address)
                message = (
                    f"an interrupted apply had left the {thing.what} `{thing.itself.id}` half recorded; it is kept"
                )
                services.emit(NoticeGiven("infra.untainted", message))


def _repositories(desired: Desired) -> Iterator[_Thing]:
    for repository in desired.repositories:
        name = repository.name
        parts = [_Part(repository_address(name), name)]
        if repository.expire_untagged_after_days is not None:
            parts.append(_Part(lifecycle_policy_address(name), name, LIFECYCLE_POLICY))
        if wanted_statements(repository):
            parts.append(_Part(repository_policy_address(name), name, REPOSITORY_POLICY))
        yield _Thing(_REPOSITORY, (name,), repository_module(name), tuple(parts), repository)


def _builds(desired: Desired) -> Iterator[_Thing]:
    for build in desired.builds:
        for what, parts in _parts_of(build, desired.region):
            yield _Thing(what, (build.name, build.project_name), build_module(build), parts, build)


def _parts_of(build: DesiredBuild, region: str) -> Iterator[tuple[str, tuple[_Part, ...]]]:
    """The names of inline policies are those of the module `codebuild-project`."""
    settings = build.settings
    if settings.service_role_arn is None:
        role, batch_role = build.role_name(region), build.role_name(region, "batch")
        policies = [_Part(role_policy_address(build), f"{role}:build", "build")]
        if settings.policy_statements:
            policies.append(_Part(extra_policy_address(build), f"{role}:extra", "extra"))
        yield _ROLE, (_Part(role_address(build), role), *policies)
        if settings.batch:
            policy = _Part(batch_policy_address(build), f"{batch_role}:batch", "batch")
            yield _ROLE, (_Part(batch_role_address(build), batch_role), policy)
    yield _LOG_GROUP, (_Part(log_group_address(build), build.log_group_name),)
    webhook = [_Part(webhook_address(build), build.project_name, WEBHOOK)] if settings.webhook else []
    yield _PROJECT, (_Part(project_address(build), build.project_name), *webhook)


def _fits(thing: _Thing, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in thing.names for pattern in patterns)


def _conflict(desired: Desired, thing: _Thing) -> Refusal:
    return Refusal(
        "infra.not_ours",
        f"the {thing.what} `{thing.itself.id}` exists and does not belong to the manifest `{desired.name}`",
        hint=f"choose another name or prefix, or take it over: --adopt '{thing.names[0]}'",
    )


def _log_refusals(thing: _Thing, found: Existing) -> Iterator[Refusal]:
    """For logs that are older than the build keeps them; CloudWatch deletes these soon."""
    if thing.what != _LOG_GROUP or not isinstance(thing.wanted, DesiredBuild) or isinstance(found, ExistingRepository):
        return
    wanted, there = thing.wanted.log_retention_days, found.retention_days
    if wanted and (there == 0 or there > wanted):
        yield Refusal(
            "adopt.loses_logs",
            f"the log group `{thing.itself.id}` keeps its logs {f'{there} days' if there else 'for ever'}, and would "
            f"lose those that are older than {wanted} days",
            hint=f"set `log_retention_days: {there}` for the build `{thing.wanted.name}`, or use --allow-destroy",
        )


def _owners(thing: _Thing, found: Existing, desired: Desired) -> Iterator[Notice]:
    """Who makes the resource as well, as its tags say: two owners would undo each other's work."""
    tags = found.resource_tags
    owners = {
        "manifest": tags.get("toolkit:manifest"),
        "CloudFormation stack": tags.get("aws:cloudformation:stack-name"),
    }
    for owner, name in owners.items():
        if name and (owner, name) != ("manifest", desired.name):
            yield Notice(
                "adopt.other_owner",
                f"the {thing.what} `{thing.itself.id}` belongs to the {owner} `{name}`",
                hint="let go of it there, so that it is not changed back or deleted",
            )


def _stays(what: str, part: str, names: Sequence[str]) -> Notice:
    kind = f"policy `{part}`" if what == _ROLE else part
    listed = ", ".join(f"`{name}`" for name in names)
    return Notice("adopt.stays", f"the manifest makes no {kind} for the {what} {listed}; what is there stays as it is")
