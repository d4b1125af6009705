"""Existing AWS resources that are missing from Terraform's state: they are imported or refused.

An interrupted apply or a lost state leaves resources with this manifest's ownership tags; they are imported. A resource
of somebody else is imported too if the user allows it (`--adopt`, `adopt:`). Both are imported with their policies,
because Terraform creates a policy by overwriting an existing one, and shows a difference only if the policy was
imported. Any other existing resource is a conflict. Terraform would fail half-way, so the plan refuses it before
anything changes.

Terraform would replace a resource which the state marks as tainted. The resource may hold images or logs by now, so the
mark is removed, and the plan shows what is still to be set. If the resource is not in AWS, the same plan creates it.
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
from toolkit.terraform.iam_policy import ALARMS, STARTERS
from toolkit.terraform.refresh_values import rule_names
from toolkit.terraform.root_module import (
    Adoption,
    alarm_address,
    batch_policy_address,
    batch_role_address,
    build_module,
    extra_policy_address,
    lifecycle_policy_address,
    log_group_address,
    project_address,
    refresh_module,
    repository_address,
    repository_module,
    repository_policy_address,
    role_address,
    role_policy_address,
    rule_address,
    schedule_address,
    starter_policy_address,
    starter_role_address,
    webhook_address,
)
from toolkit.terraform.state import State
from toolkit.terraform.work_dir import WorkDir

_REPOSITORY, _ROLE, _LOG_GROUP, _PROJECT = "repository", "IAM role", "log group", "CodeBuild project"
_SCHEDULE, _RULE, _ALARM = "schedule", "rule of EventBridge", "alarm"

Existing = ExistingRepository | ExistingResource


@dataclass(frozen=True, slots=True)
class Healing:
    """The resources to import, the conflicts as refusals, and the repositories that are taken over.

    `conflicts` are the module instances with a conflict: the changes that Terraform plans for them are wrong.
    """

    imports: tuple[Adoption, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    notices: tuple[Notice, ...] = ()
    adopted: tuple[Adopted, ...] = ()
    conflicts: tuple[str, ...] = ()

    def true_changes(self, changes: Iterable[InfraChange]) -> tuple[InfraChange, ...]:
        """Terraform's `changes` without those of a conflict."""
        return tuple(change for change in changes if not change.address.startswith(self.conflicts))


@dataclass(frozen=True, slots=True)
class _Part:
    """One Terraform resource: its address in the state, its import id, and its name in `ExistingResource.parts`.

    The first part, the thing itself, has no such name.
    """

    address: str
    id: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class _Thing:
    """A resource with AWS tags that the manifest asks for, and its other `parts`, which have no tags.

    `region` is that of a replica.
    A pattern of `adopt` is compared with `names`. `module` is the address of its module instance.
    """

    what: str
    names: tuple[str, ...]
    module: str
    parts: tuple[_Part, ...]
    wanted: DesiredRepository | DesiredBuild
    region: str = ""

    @property
    def itself(self) -> _Part:
        return self.parts[0]


def check_patterns(desired: Desired, adopt: Sequence[str]) -> None:
    """Raise UsageError for a pattern on the command line that matches nothing in the manifest: a typing error."""
    names = {
        name for thing in (*_repositories(desired), *_builds(desired), *_starters(desired)) for name in thing.names
    }
    useless = [pattern for pattern in adopt if not any(fnmatchcase(name, pattern) for name in names)]
    if useless:
        quoted = ", ".join(f"`{pattern}`" for pattern in useless)
        raise UsageError(
            "usage.adopt",
            f"--adopt {quoted} matches no repository and no build of the manifest",
            hint="name a repository with its prefix, or a build; `*` matches any characters: --adopt '*/nginx'",
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

    `adopt` are patterns of names that may be taken over, in addition to those of the manifest. Unless `allows_destroy`,
    a loss is refused and taint marks are removed from the state. No resource is changed.
    """
    there = {"": existing, **{region: services.ecr_in(region).repositories() for region in _regions(desired)}}
    repositories = [thing for thing in _repositories(desired) if thing.itself.id in there[thing.region]]
    things = [*repositories, *_builds(desired), *_starters(desired)]
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
    """The existing resource for each thing, by concurrent requests; projects need one request in all."""
    look_ups: Mapping[str, Callable[[str], Existing | None]] = {
        _ROLE: services.existing.role,
        _LOG_GROUP: services.existing.log_group,
        _SCHEDULE: services.existing.schedule,
        _RULE: services.existing.rule,
        _ALARM: services.existing.alarm,
    }
    ecr = {"": services.ecr, **{region: services.ecr_in(region) for region in {t.region for t in things} - {""}}}
    names = [thing.itself.id for thing in things if thing.what == _PROJECT]

    def look_up(thing: _Thing) -> Existing | None:
        if thing.what == _REPOSITORY:
            return ecr[thing.region].repository(thing.itself.id)
        return look_ups[thing.what](thing.itself.id)

    with asking(AWS_LOOK_UPS) as pool:
        projects = pool.ask(lambda: services.existing.projects(names) if names else {})
        others = [None if thing.what == _PROJECT else pool.ask(partial(look_up, thing)) for thing in things]
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
                    f"an interrupted apply marked the {thing.what} `{thing.itself.id}` for replacement; it is kept"
                )
                services.emit(NoticeGiven("infra.untainted", message))


def _regions(desired: Desired) -> tuple[str, ...]:
    """The other regions in which the manifest has repositories."""
    return desired.replication.destinations if desired.replication else ()


def _repositories(desired: Desired) -> Iterator[_Thing]:
    wanted = [("", repository) for repository in desired.repositories]
    wanted += [(region, replica) for region in _regions(desired) for replica in desired.replicas(region)]
    for region, repository in wanted:
        name = repository.name
        parts = [_Part(repository_address(name, region), name)]
        if repository.expire_untagged_after_days is not None:
            parts.append(_Part(lifecycle_policy_address(name, region), name, LIFECYCLE_POLICY))
        if wanted_statements(repository):
            parts.append(_Part(repository_policy_address(name, region), name, REPOSITORY_POLICY))
        yield _Thing(_REPOSITORY, (name,), repository_module(name, region), tuple(parts), repository, region)


def _builds(desired: Desired) -> Iterator[_Thing]:
    for build in desired.projects:
        for what, parts in _parts_of(build, desired.region):
            yield _Thing(what, (build.name, build.project_name), build_module(build), parts, build)


def _starters(desired: Desired) -> Iterator[_Thing]:
    """The schedule, the roles that start builds, and what Terraform creates by overwriting: the rules and the alarms.

    AWS refuses a queue and a topic that exist with other attributes or tags.
    """
    if (refresh := desired.refresh) is None:
        return
    project = refresh.project
    names, module = (project.name, project.project_name), refresh_module()
    for kind in STARTERS:
        if kind == "schedule" or any(build.rebuilds for build in desired.builds):
            role = project.role_name(desired.region, kind)
            parts = (
                _Part(starter_role_address(kind), role),
                _Part(starter_policy_address(kind), f"{role}:start", "start"),
            )
            yield _Thing(_ROLE, names, module, parts, project)
    yield _Thing(_SCHEDULE, names, module, (_Part(schedule_address(), f"default/{project.project_name}"),), project)
    for key, name in rule_names(desired).items():
        yield _Thing(_RULE, names, module, (_Part(rule_address(key), name),), project)
    for kind in ALARMS:
        alarm = f"{project.project_name}-{kind}"
        yield _Thing(_ALARM, names, module, (_Part(alarm_address(kind), alarm),), project)


def _parts_of(build: DesiredBuild, region: str) -> Iterator[tuple[str, tuple[_Part, ...]]]:
    """The resources of one build; the names of inline policies come from the module `codebuild-project`."""
    settings = build.settings
    if settings.service_role_arn is None:
        role, batch_role = build.role_name(region), build.role_name(region, "batch")
        policies = [_Part(role_policy_address(build), f"{role}:build", "build")]
        if settings.policy_statements or build.refreshes:
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
    where = f" in `{thing.region}`" if thing.region else ""
    return Refusal(
        "infra.not_ours",
        f"the {thing.what} `{thing.itself.id}`{where} exists and does not belong to the manifest `{desired.name}`",
        hint=f"choose another name or prefix, or take it over: --adopt '{thing.names[0]}'",
    )


def _log_refusals(thing: _Thing, found: Existing) -> Iterator[Refusal]:
    """A refusal if CloudWatch would soon delete logs, because they are older than the build keeps them."""
    if thing.what != _LOG_GROUP or not isinstance(thing.wanted, DesiredBuild) or isinstance(found, ExistingRepository):
        return
    wanted, current = thing.wanted.log_retention_days, found.retention_days
    if wanted and (current == 0 or current > wanted):
        yield Refusal(
            "adopt.loses_logs",
            f"the log group `{thing.itself.id}` keeps its logs {f'{current} days' if current else 'for ever'}, and "
            f"would lose those that are older than {wanted} days",
            hint=f"set `log_retention_days: {current}` for the build `{thing.wanted.name}`, or use --allow-destroy",
        )


def _owners(thing: _Thing, found: Existing, desired: Desired) -> Iterator[Notice]:
    """A notice for each other owner by the resource's tags: two owners would undo each other's changes."""
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
                hint="remove it there without deleting it, so that it is not changed back or deleted",
            )


def _stays(what: str, part: str, names: Sequence[str]) -> Notice:
    kind = f"policy `{part}`" if what == _ROLE else part
    listed = ", ".join(f"`{name}`" for name in names)
    return Notice(
        "adopt.stays", f"the manifest makes no {kind} for the {what} {listed}; the existing one stays unchanged"
    )
