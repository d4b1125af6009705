"""The root module: the text of the files that Terraform runs with.

It is a thin call of the module `base-images`, which calls a one-repository module with `for_each`. With 1,000
repositories this takes a third of the CPU of `for_each` inside the module, and half of the CPU of one block for each.
The differences between manifests are data in `base-images.json`. The HCL has only what Terraform cannot read from data:
backend, provider, and the resources that enter or leave the state. A user's own root module calls `base-images` with
the same file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from toolkit.manifest.grammar import REFRESH
from toolkit.plan.desired import Desired, DesiredBuild, DesiredRepository, S3Backend, ownership_tags
from toolkit.terraform.build_values import build_values
from toolkit.terraform.hcl import Expression, encode
from toolkit.terraform.refresh_values import refresh_values
from toolkit.terraform.rendering import render_template

INPUT_FORMAT = 1
"""The version of the input of `base-images`. Increase it with every change of its fields, here and in the module."""

# Anchored at our module, because a module of the user's may contain calls with these names.
_INSTANCE = re.compile(
    r"(?P<address>module\.(?:base_images|replicas_(?P<region>\w+))\.module\."
    r'(?P<kind>repositories|builds|refresh)\["(?P<name>[^"]+)"\])'
)
_REFRESH = f"module.base_images.module.refresh[{encode(REFRESH)}]."
_RESOURCE_TYPE = re.compile(r'(\w+)\.\w+(?:\["[^"]*"\])?$')
_STATE_FILE = "terraform.tfstate"
# `import` blocks need 1.5, the modules 1.6, the S3 backend's own lock 1.10.
_REQUIRED_VERSION = ">= 1.6"
_REQUIRED_VERSION_S3 = ">= 1.10"


_EXCLUSIONS = "ecr-repository/provider-6.8/exclusions_override.tf"
"""The override file that a module needs for a field which older AWS providers lack."""


@dataclass(frozen=True, slots=True)
class RootModule:
    """Files by relative path with `/`, without the modules that it calls.

    `overrides` are files of these modules that are to be copied from their own folder to the folder of `main.tf`.
    """

    files: Mapping[str, str]
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Adoption:
    """An existing resource to import: its address in the state, and its import id."""

    address: str
    id: str


@dataclass(frozen=True, slots=True)
class Instance:
    """One repository or build in Terraform's state, or the schedule.

    `kind` is `repositories`, `builds` or `refresh`, `name` the manifest's name of it. `region` is that of a replica, ""
    for all others.
    """

    address: str
    kind: str
    name: str
    region: str = ""


def instance_of(address: str) -> Instance | None:
    """The instance to which the resource at `address` belongs; None for a resource that is not from our modules."""
    found = _INSTANCE.match(address)
    if found is None:
        return None
    return Instance(found["address"], found["kind"], found["name"], (found["region"] or "").replace("_", "-"))


def replica_regions(addresses: Iterable[str]) -> frozenset[str]:
    """The regions of the replicas among the resources at `addresses`."""
    return frozenset(found.region for found in map(instance_of, addresses) if found) - {""}


def render(
    desired: Desired,
    *,
    adopt: Sequence[Adoption] = (),
    let_go: Sequence[str] = (),
    regions: Collection[str] = (),
) -> RootModule:
    """The files for `desired`, the same for equal values. Raises Refused for text that Terraform cannot represent.

    `let_go` are addresses of module instances or resources that leave the state and stay in AWS. `regions` are those of
    the replicas in the state: Terraform cannot delete or let go of a resource without its provider.
    """
    files = {
        "main.tf": render_template("main.tf.j2", _main_values(desired)),
        "outputs.tf": render_template("outputs.tf.j2", {}),
        "base-images.json": render_input(desired),
    }
    wanted = desired.replication.destinations if desired.replication else ()
    if wanted:
        files["replicas.tf"] = render_template("replicas.tf.j2", _replica_values(desired, wanted))
        files |= {f"replicas-{region}.json": _input(desired, desired.replicas(region)) for region in wanted}
    if left := set(regions) - set(wanted):
        values = {"providers": _providers(desired, left), "replicas": ()}
        files[LEFT_REGIONS] = render_template("replicas.tf.j2", values)
    if adopt:
        files["imports.tf"] = render_template("imports.tf.j2", {"adoptions": _imports(adopt)})
    if let_go:
        files["let_go.tf"] = render_template("let_go.tf.j2", {"left": _left(let_go)})
    files |= desired.extra_files
    overrides = [_EXCLUSIONS] if any(r.tag_mutability_exclusions for r in desired.repositories) else []
    return RootModule(MappingProxyType(dict(sorted(files.items()))), tuple(overrides))


def render_input(desired: Desired) -> str:
    """The input of the module `base-images`, as JSON: everything in `desired` except Terraform's own settings."""
    return _input(desired, desired.repositories, desired.builds, refresh_values(desired))


def _input(
    desired: Desired,
    repositories: Sequence[DesiredRepository],
    builds: Sequence[DesiredBuild] = (),
    refresh: Mapping[str, object] = MappingProxyType({}),
) -> str:
    mirror = {"account_id": desired.mirror_account_id, "region": desired.region}
    values = {
        "format": INPUT_FORMAT,
        "mirror": mirror if desired.mirror_account_id else None,
        "repositories": {repository.name: _repository_values(repository) for repository in repositories},
        "builds": {
            build.name: build_values(build, region=desired.region, account_id=desired.registry_account_id)
            for build in builds
        },
        "refresh": dict(refresh),
        "resource_tags": {**desired.resource_tags, **ownership_tags(desired.name)},
    }
    encode(values)  # refuses half a surrogate pair: JSON can hold it, and Terraform would replace it
    return json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def required_provider(versions: str, backend: S3Backend | None = None) -> str:
    """A root module that needs only the AWS provider, within the version constraint `versions`.

    It needs the Terraform that a state in `backend` needs, and does not open that.
    """
    aws = f'aws = {{\n source = "hashicorp/aws"\n version = {encode(versions)}\n}}'
    terraform = encode(_REQUIRED_VERSION_S3 if backend else _REQUIRED_VERSION)
    return f"terraform {{\nrequired_version = {terraform}\nrequired_providers {{\n{aws}\n}}\n}}\n"


LEFT_REGIONS = "left_regions.tf"
"""The file with the providers of regions that have replicas in the state alone."""

REPLICATION_ADDRESS = "aws_ecr_replication_configuration.replicas"
"""The address of the registry's replication configuration in the state."""


def _alias(region: str) -> str:
    return region.replace("-", "_")


def repository_module(name: str, region: str = "") -> str:
    """The module instance of the repository `name`, which is the prefix of its resources' addresses.

    With a `region`, it is that of the replica there.
    """
    call = f"replicas_{_alias(region)}" if region else "base_images"
    return f"module.{call}.module.repositories[{encode(name)}]."


def repository_address(name: str, region: str = "") -> str:
    """The address of the repository `name` in the state."""
    return f"{repository_module(name, region)}aws_ecr_repository.this"


def lifecycle_policy_address(name: str, region: str = "") -> str:
    """The address of its lifecycle policy."""
    return f'{repository_module(name, region)}aws_ecr_lifecycle_policy.this["this"]'


def repository_policy_address(name: str, region: str = "") -> str:
    """The address of its repository policy."""
    return f'{repository_module(name, region)}aws_ecr_repository_policy.this["this"]'


def build_module(build: DesiredBuild) -> str:
    """The module instance of `build`, which is the prefix of its resources' addresses."""
    if build.refreshes:
        return f"{_REFRESH}module.project."
    return f"module.base_images.module.builds[{encode(build.name)}]."


def role_address(build: DesiredBuild) -> str:
    """The address of the IAM role of `build`; a build with `service_role_arn` has none."""
    return f'{build_module(build)}aws_iam_role.this["this"]'


def role_policy_address(build: DesiredBuild) -> str:
    """The address of that role's inline policy `build`."""
    return f'{build_module(build)}aws_iam_role_policy.this["this"]'


def extra_policy_address(build: DesiredBuild) -> str:
    """The address of that role's inline policy `extra`, which has the manifest's statements."""
    return f'{build_module(build)}aws_iam_role_policy.extra["this"]'


def log_group_address(build: DesiredBuild) -> str:
    """The address of the log group of `build`."""
    return f"{build_module(build)}aws_cloudwatch_log_group.this[{encode(build.log_group_name)}]"


def batch_role_address(build: DesiredBuild) -> str:
    """The address of the IAM role that runs batches of `build`."""
    return f'{build_module(build)}aws_iam_role.batch["this"]'


def batch_policy_address(build: DesiredBuild) -> str:
    """The address of the batch role's inline policy `batch`."""
    return f'{build_module(build)}aws_iam_role_policy.batch["this"]'


def webhook_address(build: DesiredBuild) -> str:
    """The address of the webhook of `build`."""
    return f'{build_module(build)}aws_codebuild_webhook.this["this"]'


def project_address(build: DesiredBuild) -> str:
    """The address of the CodeBuild project of `build`."""
    return f"{build_module(build)}aws_codebuild_project.this"


def refresh_module() -> str:
    """The module instance of `refresh`, which is the prefix of its resources' addresses."""
    return _REFRESH


def schedule_address() -> str:
    """The address of the schedule of `refresh`."""
    return f"{_REFRESH}aws_scheduler_schedule.this"


def rule_address(key: str) -> str:
    """The address of the rule of EventBridge with that key in the module `image-refresh`."""
    return f"{_REFRESH}aws_cloudwatch_event_rule.this[{encode(key)}]"


def alarm_address(kind: str) -> str:
    """The address of the alarm of that kind."""
    return f"{_REFRESH}aws_cloudwatch_metric_alarm.this[{encode(kind)}]"


def starter_role_address(kind: str) -> str:
    """The address of the role that starts builds for the schedule, or for the rules."""
    return f"{_REFRESH}aws_iam_role.this[{encode(kind)}]"


def starter_policy_address(kind: str) -> str:
    """The address of that role's inline policy `start`."""
    return f"{_REFRESH}aws_iam_role_policy.this[{encode(kind)}]"


def _provider(desired: Desired, arguments: Mapping[str, object]) -> list[Expression]:
    account = {} if desired.account_id is None else {"allowed_account_ids": [desired.account_id]}
    return _aligned({**arguments, **account})


def _providers(desired: Desired, regions: Iterable[str]) -> list[list[Expression]]:
    return [_provider(desired, {"alias": _alias(region), "region": region}) for region in sorted(regions)]


def _replica_values(desired: Desired, regions: Sequence[str]) -> dict[str, object]:
    return {
        "providers": _providers(desired, regions),
        "replicas": [
            {
                "label": f"replicas_{_alias(region)}",
                "module": Expression(f"module.replicas_{_alias(region)}"),
                "provider": Expression(f"aws.{_alias(region)}"),
                "file": Expression(f'"${{path.module}}/replicas-{region}.json"'),
                "region": region,
            }
            for region in regions
        ],
        "prefixes": [f"{desired.prefix}/"],
    }


def _main_values(desired: Desired) -> dict[str, object]:
    backend = desired.backend
    return {
        "required_version": _REQUIRED_VERSION_S3 if backend else _REQUIRED_VERSION,
        "backend_type": "s3" if backend else "local",
        "backend_arguments": _aligned(_s3_arguments(backend) if backend else {"path": _STATE_FILE}),
        "provider_versions": desired.provider_versions,
        "provider_arguments": _provider(desired, {"region": desired.region}),
    }


def _s3_arguments(backend: S3Backend) -> dict[str, object]:
    arguments: dict[str, object] = {
        "bucket": backend.bucket,
        "key": backend.key,
        "region": backend.region,
        "encrypt": True,
        "use_lockfile": True,
    }
    if backend.kms_key_id is not None:
        arguments["kms_key_id"] = backend.kms_key_id
    if backend.dynamodb_table is not None:
        arguments["dynamodb_table"] = backend.dynamodb_table
    return arguments


def _aligned(arguments: Mapping[str, object]) -> list[Expression]:
    """The lines of a block with `=` in one column, as `terraform fmt` formats them."""
    width = max(map(len, arguments))
    return [Expression(f"{name:<{width}} = {encode(value)}") for name, value in arguments.items()]


def _imports(adopt: Sequence[Adoption]) -> list[dict[str, object]]:
    ordered = sorted(adopt, key=lambda adoption: adoption.address)
    return [{"to": Expression(adoption.address), "id": adoption.id} for adoption in ordered]


def _left(addresses: Sequence[str]) -> list[dict[str, object]]:
    left: list[dict[str, object]] = []
    for number, address in enumerate(sorted(addresses), 1):
        instance = instance_of(address)
        is_whole = instance is not None and instance.address == address
        kind = "module" if is_whole else _RESOURCE_TYPE.findall(address)[0]
        left.append({"from": Expression(address), "to": Expression(f"{kind}.left_{number}")})
    return left


def _repository_values(repository: DesiredRepository) -> dict[str, object]:
    return {
        "tag_mutability": repository.tag_mutability,
        "tag_mutability_exclusions": list(repository.tag_mutability_exclusions),
        "scan_on_push": repository.scan_on_push,
        "encryption_type": repository.encryption_type,
        "kms_key": repository.kms_key,
        "expire_untagged_after_days": repository.expire_untagged_after_days,
        "pull_principals": list(repository.pull_principals),
        "organization_id": repository.organization_id,
        "policy_statements": [statement.model_dump(mode="json") for statement in repository.policy_statements],
        "force_delete": repository.force_delete,
        "tags": dict(repository.resource_tags),
    }
