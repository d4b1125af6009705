"""IAM policies for the roles that run `toolkit` and the builds: the least for one manifest.

The rights come from one table, `rights.yaml` beside the modules, in which every action stands with the resources that
it concerns. The manifest fills in their names. A policy depends on the names in the manifest and not on its settings,
so that a changed setting needs no new policy: a repository that shall have no policy any more needs the right to delete
it.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from string import Formatter
from typing import Any

from toolkit.errors import UsageError
from toolkit.oci.reference import ECR_PUBLIC, Repository, ecr_region
from toolkit.plan.desired import Desired, DesiredBuild, DesiredRefresh
from toolkit.terraform.build_values import build_values
from toolkit.terraform.hcl import Expression
from toolkit.terraform.modules import modules_folder
from toolkit.terraform.rendering import render_template

MANAGED_POLICY_LIMIT = 6144
"""Characters of a managed policy, without whitespace; the inline policies of a role have 10,240 together."""

_VERSION = "2012-10-17"
_GIT_HOSTS = frozenset({"BITBUCKET", "GITHUB", "GITHUB_ENTERPRISE", "GITLAB", "GITLAB_SELF_MANAGED"})

STARTERS = ("schedule", "rebuild")
"""The kinds of roles that start builds, as the module `image-refresh` names them."""

ALARMS = ("behind", "failed", "gone", "pulls", "silent")
"""The alarms, as the module `image-refresh` names them."""

Fields = Mapping[str, str | Sequence[str] | None]


@dataclass(frozen=True, slots=True)
class Place:
    """The account and region that a policy is for, and the names of the region's AWS partition."""

    account: str
    region: str
    partition: str = "aws"
    dns_suffix: str = "amazonaws.com"


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of a policy; `conditions` are lists of values by operator and key."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    sid: str | None = None
    effect: str = "Allow"

    def document(self) -> dict[str, Any]:
        """The statement in IAM's own form."""
        sid = {"Sid": self.sid} if self.sid else {}
        condition = {"Condition": self.conditions} if self.conditions else {}
        return {
            **sid,
            "Effect": self.effect,
            "Action": list(self.actions),
            "Resource": list(self.resources),
            **condition,
        }


_IMAGE_THINGS = (
    "registry",
    "images",
    "replication",
    "replica",
    "lock",
    "secret",
    "credential_role",
    "ecr_public",
    "upstream",
)


def plan_policy(desired: Desired, place: Place) -> list[Statement]:
    """What `toolkit plan` needs."""
    return _merged(_run_statements(desired, place, {"read"}))


def apply_policy(desired: Desired, place: Place) -> list[Statement]:
    """What `toolkit plan`, `apply` and `destroy` need."""
    return _merged(_run_statements(desired, place, {"read", "create", "update", "delete"}))


def seed_policy(desired: Desired, place: Place) -> list[Statement]:
    """What `toolkit seed` needs: the images of existing repositories, and no Terraform."""
    return _merged(_run_statements(desired, place, {"read", "create"}, _IMAGE_THINGS))


def lock_policy(desired: Desired, place: Place) -> list[Statement]:
    """What `toolkit lock` and `rollback` need: they ask the upstreams and ECR, and write the lock."""
    return _merged(_run_statements(desired, place, {"read", "lock"}, _IMAGE_THINGS))


def status_policy(desired: Desired, place: Place) -> list[Statement]:
    """What `toolkit status` needs without --drift: to read ECR, the lock and the upstreams."""
    return _merged(_run_statements(desired, place, {"read", "status"}, _IMAGE_THINGS))


def prune_policy(desired: Desired, place: Place) -> list[Statement]:
    """What `toolkit prune` needs: to read, and to delete images of the manifest's repositories."""
    read = _run_statements(desired, place, {"read"}, ("aws_ecr_repository", *_IMAGE_THINGS))
    return _merged([*read, *_run_statements(desired, place, {"delete"}, ("images",))])


def refresh_policy(desired: Desired, place: Place) -> list[Statement]:
    """What `toolkit refresh` needs, and what fetches the tool in AWS: images, the lock and its own part of a bucket."""
    things = (*_IMAGE_THINGS, "refresh")
    return _merged(_run_statements(desired, place, {"read", "lock", "create", "refresh"}, things))


def build_policy(desired: Desired, build: DesiredBuild, place: Place) -> list[Statement]:
    """What a build needs: the statements of the role that the module `codebuild-project` makes, and its own ones."""
    fields = _build_fields(desired, build, place)
    statements = []
    for thing in _table():
        rights = list(_rights(thing, {"build"}, fields))
        if rights:
            _, resources, conditions = rights[0]
            statements.append(Statement(tuple(action for action, _, _ in rights), resources, conditions, sid=thing))
    own = json.loads(str(build_values(build, region=place.region)["extra_policy"] or '{"Statement": []}'))["Statement"]
    return statements + [
        Statement(
            tuple(s["Action"]), tuple(s["Resource"]), s.get("Condition", {}), sid=s.get("Sid"), effect=s["Effect"]
        )
        for s in own
    ]


def documents(statements: Sequence[Statement]) -> list[dict[str, Any]]:
    """The statements as the fewest policies that IAM accepts: a managed policy has a largest size.

    A wildcard instead of names would be shorter, and would cover what others name alike later. So nothing is widened.
    """
    pages: list[list[Statement]] = []
    for piece in (piece for statement in statements for piece in _fitting(statement)):
        page = next((page for page in pages if size_of([*page, piece]) <= MANAGED_POLICY_LIMIT), None)
        if page is None:
            pages.append(page := [])
        page.append(piece)
    return [_document(page) for page in pages]


def trust_policy(kind: str, project: str, refs: str, place: Place, *, is_read_only: bool) -> dict[str, Any]:
    """Whom a role trusts: the jobs of one project at the `refs`, by the OIDC provider of GitHub or GitLab.

    A comma stands between several refs. Raises UsageError for a project or ref that would let others in. Only a role
    that just reads may trust what everybody who may push can start: pull requests at GitHub, and every branch of a
    project at GitLab, whose tokens do not tell a merge request from a branch.
    """
    match kind:
        case "github":
            issuer, audience = "token.actions.githubusercontent.com", f"sts.{place.dns_suffix}"
            _check_trust(
                re.fullmatch(r"[\w-]+/[\w.-]+|[\w-]+@\d+/[\w.-]+@\d+", project, re.ASCII),
                f"`{project}` is no repository of GitHub",
                "write `owner/name`; with the numbers of both, `owner@1/name@2`, for one made since July 2026",
            )
            subjects = [f"repo:{project}:{_claim_of_github(ref, is_read_only)}" for ref in refs.split(",")]
        case "gitlab":
            found = re.fullmatch(r"(?:https://(?P<host>[\w.-]+)/)?(?P<path>[\w.-]+(?:/[\w.-]+)+)", project, re.ASCII)
            _check_trust(
                found,
                f"`{project}` is no project of GitLab",
                "write `group/project`, or `https://gitlab.example.com/group/project`",
            )
            assert found is not None  # noqa: S101  `_check_trust` has seen it
            issuer = found["host"] or "gitlab.com"
            audience = f"https://{issuer}"
            subjects = [
                f"project_path:{found['path']}:{_claim_of_gitlab(ref, is_read_only)}" for ref in refs.split(",")
            ]
        case _:
            raise UsageError("usage.trust", f"`{kind}` issues no tokens that are known", hint="take github or gitlab")
    operator = "StringLike" if any("*" in subject for subject in subjects) else "StringEquals"
    conditions: dict[str, dict[str, str | list[str]]] = {"StringEquals": {f"{issuer}:aud": audience}}
    conditions.setdefault(operator, {})[f"{issuer}:sub"] = subjects if len(subjects) > 1 else subjects[0]
    provider = f"arn:{place.partition}:iam::{place.account}:oidc-provider/{issuer}"
    return {
        "Version": _VERSION,
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": provider},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": conditions,
            }
        ],
    }


def _claim_of_github(ref: str, is_read_only: bool) -> str:
    _check_trust(
        re.fullmatch(r"refs/(heads|tags)/[^\s*?:]+|environment:[^\s*?]+( [^\s*?]+)*", ref)
        or (ref == "pull_request" and is_read_only),
        f"`{ref}` names no ref or environment of GitHub that this role may trust",
        "write `refs/heads/main` or `environment:base-images`, without wildcards; `pull_request` is for `plan` alone",
    )
    if ref.startswith("refs/"):
        return f"ref:{ref}"
    what, colon, name = ref.partition(":")
    return f"{what}{colon}{name.replace(':', '%3A')}"


def _claim_of_gitlab(ref: str, is_read_only: bool) -> str:
    _check_trust(
        re.fullmatch(r"(refs/(heads|tags)/)?[^\s*?:]+", ref) or (ref == "*" and is_read_only),
        f"`{ref}` names no branch or tag of GitLab that this role may trust",
        "write `main` or `refs/tags/v1`; `*`, every branch of the project, is for `plan` alone",
    )
    kind = "tag" if ref.startswith("refs/tags/") else "branch"
    return f"ref_type:{kind}:ref:{re.sub('^refs/(heads|tags)/', '', ref)}"


def as_terraform(name: str, policies: Sequence[Mapping[str, Any]], *, is_trust: bool = False) -> str:
    """Each policy as a data source, and as a managed policy unless it `is_trust`."""
    labels = [name if len(policies) == 1 else f"{name}-{number}" for number, _ in enumerate(policies, 1)]
    blocks = [
        {
            "label": label,
            "reference": Expression(label),
            "statements": [_terraform_statement(statement) for statement in policy["Statement"]],
        }
        for label, policy in zip(labels, policies, strict=True)
    ]
    return render_template("iam_policy.tf.j2", {"policies": blocks, "is_trust": is_trust})


def _terraform_statement(statement: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "sid": statement.get("Sid"),
        "effect": statement["Effect"],
        "actions": _listed(statement["Action"]),
        "resources": _listed(statement.get("Resource", [])),
        "principals": [(kind, _listed(names)) for kind, names in statement.get("Principal", {}).items()],
        "conditions": [
            (operator, key, _listed(values))
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        ],
    }


def _listed(value: Any) -> list[Any]:
    return [value] if isinstance(value, str) else list(value)


def _check_trust(is_right: object, message: str, hint: str) -> None:
    if not is_right:
        raise UsageError("usage.trust", message, hint=hint)


# The table


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    from ruamel.yaml import YAML  # noqa: PLC0415  not for a run without `refresh`

    text = (modules_folder() / "rights.yaml").read_text(encoding="utf-8")
    table: Mapping[str, Mapping[str, Any]] = YAML(typ="safe", pure=True).load(text)
    return table


_Right = tuple[str, tuple[str, ...], Mapping[str, Mapping[str, Sequence[str]]]]


def _rights(thing: str, verbs: set[str], fields: Fields) -> Iterator[_Right]:
    """Each action of `verbs` with its resources and conditions; none without a resource."""
    entry = _table()[thing]
    for verb in sorted(verbs & entry.keys()):
        for action, about in entry[verb].items():
            own = about if isinstance(about, Mapping) else {}
            templates = own.get("resources", entry.get("resources", ()))
            resources = tuple(text for template in templates for text in _fill(template, fields))
            conditions = _fill_conditions(own.get("condition", entry.get("condition", {})), fields)
            if resources:
                yield from ((name, resources, conditions) for name in _fill(action, fields))


def _fill_conditions(conditions: Mapping[str, Mapping[str, Sequence[str]]], fields: Fields) -> Mapping[str, Any]:
    filled: dict[str, dict[str, list[str]]] = {}
    for operator, keys in conditions.items():
        for key, templates in keys.items():
            values = [text for template in templates for text in _fill(template, fields)]
            for name in _fill(key, fields) if values else ():
                filled.setdefault(operator, {})[name] = values
    return filled


def _fill(template: str, fields: Fields) -> list[str]:
    """`template` for each value of its fields; nothing if one of them has no value."""
    names = [name for _, name, _, _ in Formatter().parse(template) if name]
    values = [[value] if isinstance(value, str) else list(value or ()) for value in map(fields.__getitem__, names)]
    return [template.format(**dict(zip(names, chosen, strict=True))) for chosen in product(*values)]


# What the manifest fills in


def _place_fields(place: Place) -> dict[str, str]:
    return {
        "account": place.account,
        "region": place.region,
        "partition": place.partition,
        "dns_suffix": place.dns_suffix,
    }


def _run_statements(
    desired: Desired, place: Place, verbs: set[str], things: Iterable[str] | None = None
) -> Iterator[_Right]:
    for thing, fields in _things(desired, place):
        if things is None or thing in things:
            yield from _rights(thing, verbs, {**_place_fields(place), **fields})


def _replica_things(desired: Desired, regions: Iterable[str]) -> Iterator[tuple[str, Fields]]:
    yield "aws_ecr_replication_configuration", {}
    yield "replication", {}
    for region in regions:
        yield "replica_registry", {"region": region}
        for replica in desired.replicas(region):
            names = {"region": region, "repository": replica.name, "kms_key": replica.kms_key}
            for thing in ("aws_ecr_repository", "aws_ecr_lifecycle_policy", "aws_ecr_repository_policy", "replica"):
                yield thing, names


def _things(desired: Desired, place: Place) -> Iterator[tuple[str, Fields]]:
    """Everything that a run for the manifest uses, with the fields for the table."""
    yield "registry", {}
    for repository in desired.repositories:
        names = {"repository": repository.name, "kms_key": repository.kms_key}
        for thing in ("aws_ecr_repository", "aws_ecr_lifecycle_policy", "aws_ecr_repository_policy", "images"):
            yield thing, names
    if desired.replication:
        yield from _replica_things(desired, desired.replication.destinations)
    if desired.repositories:
        yield "other_builds", {}
    for build in desired.projects:
        yield from _build_things(build, place)
    if desired.refresh:
        yield from _refresh_things(desired, desired.refresh, place)
    if backend := desired.backend:
        yield (
            "state",
            {
                "bucket": backend.bucket,
                "state_key": backend.key_in(desired.workspace),
                "state_region": backend.region,
                "table": backend.dynamodb_table,
                "state_kms_key": backend.kms_key_id,
            },
        )
    if lock := desired.lock:
        yield "lock", {"lock_bucket": lock.bucket, "lock_key": lock.key}
    for registry in desired.registries.values():
        yield "secret", {"secret": registry.secret_arn}
        yield "credential_role", {"credential_role": registry.role_arn}
    for source in sorted(_sources(desired), key=str):
        if source.registry == ECR_PUBLIC:
            yield "ecr_public", {}
        elif region := ecr_region(source.registry):
            yield (
                "upstream",
                {
                    "upstream_region": region,
                    "upstream_account": source.registry.partition(".")[0],
                    "upstream_repository": source.path,
                },
            )


def _build_things(build: DesiredBuild, place: Place) -> Iterator[tuple[str, Fields]]:
    settings = build.settings
    roles = (
        [] if settings.service_role_arn else [build.role_name(place.region, kind) for kind in ("codebuild", "batch")]
    )
    boundary = settings.permissions_boundary
    yield "aws_cloudwatch_log_group", {"log_group": build.log_group_name}
    for role in roles:
        fields = {
            "role": role,
            "boundary": boundary,
            "bounded_role": role if boundary else None,
            "unbounded_role": None if boundary else role,
        }
        yield "aws_iam_role", fields
        yield "aws_iam_role_policy", fields
    yield (
        "aws_codebuild_project",
        {
            "project": build.project_name,
            "role": roles,
            "service_role": settings.service_role_arn,
            **_connection_fields(build),
        },
    )
    if build.source_type in _GIT_HOSTS:
        yield "aws_codebuild_webhook", {"project": build.project_name}


def _refresh_things(desired: Desired, refresh: DesiredRefresh, place: Place) -> Iterator[tuple[str, Fields]]:
    """What the module `image-refresh` makes besides the project, and what a refresh uses."""
    name = refresh.project.project_name
    roles = [refresh.project.role_name(place.region, kind) for kind in STARTERS]
    for role in roles:
        fields = {"role": role, "boundary": None, "bounded_role": None, "unbounded_role": role}
        yield "aws_iam_role", fields
        yield "aws_iam_role_policy", fields
    yield "aws_scheduler_schedule", {"schedule": name, "role": roles[0]}
    yield "aws_sqs_queue", {"queue": name}
    yield "aws_sns_topic", {"topic": None if refresh.notify else name}
    yield "aws_cloudwatch_metric_alarm", {"alarm": [f"{name}-{kind}" for kind in ALARMS]}
    # The rules of a build go when the manifest has the build no more.
    rules = {"rule": f"{desired.name}-rebuild-*", "role": roles[1]}
    yield "aws_cloudwatch_event_rule", rules
    yield "aws_cloudwatch_event_target", rules
    folder = f"{refresh.bucket}/{refresh.prefix}"
    yield "bundle", {"folder": folder, "refresh_bucket": refresh.bucket}
    yield "shards", {"project": name, "folder": folder, "refresh_bucket": refresh.bucket}
    wheel = f"{refresh.tool_wheel.bucket}/{refresh.tool_wheel.key}" if refresh.tool_wheel else None
    yield "refresh", {"folder": folder, "refresh_bucket": refresh.bucket, "wheel": wheel}


def _sources(desired: Desired) -> set[Repository]:
    """The repositories of ECR and ECR Public that images are read from with the rights of the run itself."""
    named = {image.source.name for image in desired.images} | {selection.source for selection in desired.selections}
    places = set(named)
    for source in named:
        registry = desired.registries.get(source.registry)
        places |= {place for other in (registry.alternatives if registry else ()) if (place := other.place_of(source))}
    with_credential = {
        host
        for host, registry in desired.registries.items()
        if registry.username_env
        or registry.secret_arn
        or registry.role_arn
        or registry.profile
        or (registry.is_docker_config and host == ECR_PUBLIC)
    }
    return {place for place in places if place.registry not in with_credential}


def _connection_fields(build: DesiredBuild) -> dict[str, str | None]:
    """The actions of a connection have the same prefix as its ARN; older connections have the older prefix."""
    connection = build.settings.source.connection if build.settings.source else None
    return {"connection": connection, "connection_service": connection.split(":")[2] if connection else None}


_ECR_IMAGE = re.compile(r"([0-9]{12})[.]dkr[.-]ecr(?:-fips)?[.]([a-z0-9-]+)[.][a-z.]+/([^:@]+)")


def _build_fields(desired: Desired, build: DesiredBuild, place: Place) -> Fields:
    """As `iam.tf` of the module `codebuild-project` has them."""
    values: Mapping[str, Any] = build_values(build, region=place.region)
    settings, source = build.settings, values["source_code"]
    location = build.source_location
    ecr = f"arn:{place.partition}:ecr:{place.region}:{desired.mirror_account_id or place.account}:repository"
    pulled = {f"{ecr}/{name}" for name in values["repositories"]}
    if found := _ECR_IMAGE.match(build.environment_image):
        pulled.add(f"arn:{place.partition}:ecr:{found[2]}:{found[1]}:repository/{found[3]}")
    is_s3, is_codecommit, is_pipeline = (build.source_type == kind for kind in ("S3", "CODECOMMIT", "CODEPIPELINE"))
    pipeline = source.get("pipeline")
    cache = _cache_location(build)
    artifacts = values["artifacts"] or {}
    path = "/".join(filter(None, (artifacts.get("bucket"), (artifacts.get("path") or "").strip("/"))))
    repository = re.fullmatch(r"https://[^/]+/(.+)", location)
    vpc = settings.vpc
    return {
        **_place_fields(place),
        **_connection_fields(build),
        "log_group": build.log_group_name,
        "registry_login": "*" if pulled else None,
        "pulled": sorted(pulled),
        "readable_secret": sorted(values["readable_secret_arns"]),
        "source_objects": f"{location}*" if location.endswith("/") else location if is_s3 else None,
        "source_bucket": location.partition("/")[0] if is_s3 else None,
        "codecommit_region": location.split(".")[1] if is_codecommit else None,
        "codecommit_repository": location.rpartition("/")[2] if is_codecommit else None,
        "pipeline_bucket": (source.get("pipeline_bucket") or "-") if is_pipeline else None,
        "pipeline_folder": f"{pipeline[:20]}/" if pipeline else "",
        "repository_id": repository[1].strip("/").removesuffix(".git") if repository else "-",
        "read_secret": sorted(_read_secrets(build, place)),
        "parameter": sorted({name.removeprefix("/") for name in settings.parameter_variables.values()}),
        "cache_location": cache,
        "cache_bucket": cache.partition("/")[0] if cache else None,
        "s3_logs": settings.s3_logs.removesuffix("/") if settings.s3_logs else None,
        "s3_logs_bucket": settings.s3_logs.partition("/")[0] if settings.s3_logs else None,
        "artifacts_place": path or None,
        "artifacts_bucket": artifacts.get("bucket"),
        "build_key": settings.kms_key,
        "build_key_region": settings.kms_key.split(":")[3] if settings.kms_key else None,
        "any_network": "*" if vpc else None,
        "vpc_region": place.region if vpc else None,
        "security_group": sorted(vpc.security_groups) if vpc else None,
        "subnet": sorted(vpc.subnets) if vpc else None,
        "batch_project": build.project_name if settings.batch else None,
    }


def _read_secrets(build: DesiredBuild, place: Place) -> set[str]:
    """The ARNs of secrets. AWS puts a hyphen and six characters behind the name of a secret."""
    here = f"arn:{place.partition}:secretsmanager:{place.region}:{place.account}:secret:"
    named = {
        ":".join(value.split(":")[:7]) if value.startswith("arn:") else f"{here}{value.partition(':')[0]}-??????"
        for value in build.settings.secret_variables.values()
    }
    source = build.settings.source
    return named | ({source.secret} if source and source.secret else set())


def _cache_location(build: DesiredBuild) -> str | None:
    """The place of the cache in S3; a project that builds pull requests alone has a folder of its own there."""
    cache, webhook = build.settings.cache, build.settings.webhook
    if cache is None or cache.location is None:
        return None
    events = [
        event.strip()
        for group in (webhook.filter_groups if webhook else ())
        for spec in group
        if spec.type == "EVENT"
        for event in spec.pattern.split(",")
    ]
    is_for_pull_requests = bool(events) and all(event.startswith("PULL_REQUEST_") for event in events)
    location = cache.location.removesuffix("/")
    return f"{location}/pull-requests" if is_for_pull_requests else location


# Policies out of rights


def _merged(rights: Iterable[_Right]) -> list[Statement]:
    """The fewest statements in which each resource stands once: those with the same actions are one statement."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)  # resources by action and conditions
    for action, resources, conditions in rights:
        found[action, json.dumps(conditions)] |= set(resources)
    actions: dict[tuple[str, str], set[str]] = defaultdict(set)
    for (action, conditions_text), resources_found in found.items():
        wide = tuple(resource[:-1] for resource in resources_found if resource.endswith("/*"))
        for resource in resources_found:
            if resource.endswith("/*") or not resource.startswith(wide):
                actions[resource, conditions_text].add(action)
    resources_of: dict[tuple[tuple[str, ...], str], list[str]] = defaultdict(list)
    for (resource, conditions_text), names in actions.items():
        resources_of[tuple(sorted(names)), conditions_text].append(resource)
    return [
        Statement(names, tuple(sorted(resources)), json.loads(conditions_text))
        for (names, conditions_text), resources in sorted(resources_of.items())
    ]


def _document(statements: Iterable[Statement]) -> dict[str, Any]:
    return {"Version": _VERSION, "Statement": [statement.document() for statement in statements]}


def size_of(statements: Iterable[Statement]) -> int:
    """The characters that IAM counts: all but whitespace."""
    return len("".join(json.dumps(_document(statements)).split()))


def _fitting(statement: Statement) -> Iterator[Statement]:
    """The statement itself, or halves of it that fit into a policy each."""
    if size_of([statement]) <= MANAGED_POLICY_LIMIT or len(statement.resources) == 1:
        yield statement
        return
    middle = len(statement.resources) // 2
    for resources in (statement.resources[:middle], statement.resources[middle:]):
        yield from _fitting(Statement(statement.actions, resources, statement.conditions, statement.sid))
