"""The root module: what Terraform is given for a manifest, as text.

One `module` call with `for_each` around a one-repository module: a third of the CPU of `for_each` inside the module
and half of a block for each repository, at 1,000 of them. What differs between manifests is data in
`toolkit.auto.tfvars.json`, so the HCL stays still; only what Terraform takes from no variable (backend, adoption) and
the account guard, which no variable should bend, are written into it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from jinja2 import Environment, PackageLoader, StrictUndefined

from toolkit.codebuild.buildspec import REGISTRY_VARIABLE, render_buildspec
from toolkit.plan.desired import Desired, DesiredBuild, DesiredRepository, S3Backend, ownership_tags
from toolkit.terraform.build_values import build_values
from toolkit.terraform.hcl import Expression, encode

MODULES = ("codebuild-project", "ecr-repository")
"""The modules that the root module calls, found beside it under `modules/`."""

_STATE_FILE = "terraform.tfstate"
# `import` blocks need 1.5, the modules 1.6, the S3 backend's own lock 1.10.
_REQUIRED_VERSION = ">= 1.6"
_REQUIRED_VERSION_S3 = ">= 1.10"


@dataclass(frozen=True, slots=True)
class RootModule:
    """Files by path, relative and with `/`; the modules that it calls are not among them."""

    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Adoption:
    """A resource that exists and becomes Terraform's: where the state will hold it, and AWS's name for it."""

    address: str
    id: str


def render(desired: Desired, *, adopt: Sequence[Adoption] = ()) -> RootModule:
    """The files for `desired`, alike for equal values. Raises Refused for text that Terraform cannot hold."""
    files = {
        "main.tf": _render("main.tf.j2", _main_values(desired)),
        "variables.tf": _render("variables.tf.j2", {}),
        "outputs.tf": _render("outputs.tf.j2", {}),
        "toolkit.auto.tfvars.json": _variables(desired),
    }
    files |= {
        f"buildspecs/{build.name}.yml": render_buildspec(
            build, region=desired.region, account_id=desired.registry_account_id
        )
        for build in desired.builds
        if build.settings.buildspec_path is None
    }
    if adopt:
        files["imports.tf"] = _render("imports.tf.j2", {"adoptions": _imports(adopt)})
    files |= desired.extra_files
    return RootModule(MappingProxyType(dict(sorted(files.items()))))


def required_provider(versions: str) -> str:
    """A root module of which Terraform needs nothing but the AWS provider, within `versions`."""
    aws = f'aws = {{\n source = "hashicorp/aws"\n version = {encode(versions)}\n}}'
    return f"terraform {{\nrequired_providers {{\n{aws}\n}}\n}}\n"


def repository_address(name: str) -> str:
    """Where the state holds the repository `name`."""
    return f"module.repositories[{encode(name)}].aws_ecr_repository.this"


def role_address(build: DesiredBuild) -> str:
    """Where the state holds the IAM role of `build`."""
    return f"module.builds[{encode(build.name)}].aws_iam_role.this"


def log_group_address(build: DesiredBuild) -> str:
    """Where the state holds the log group of `build`."""
    return f"module.builds[{encode(build.name)}].aws_cloudwatch_log_group.this"


def batch_role_address(build: DesiredBuild) -> str:
    """Where the state holds the IAM role that runs batches of `build`."""
    return f'module.builds[{encode(build.name)}].aws_iam_role.batch["this"]'


def webhook_address(build: DesiredBuild) -> str:
    """Where the state holds the webhook of `build`."""
    return f'module.builds[{encode(build.name)}].aws_codebuild_webhook.this["this"]'


def project_address(build: DesiredBuild) -> str:
    """Where the state holds the CodeBuild project of `build`."""
    return f"module.builds[{encode(build.name)}].aws_codebuild_project.this"


@cache
def _environment() -> Environment:
    # The output is HCL, where HTML's escapes mean nothing: `encode` is the escaping.
    return Environment(  # noqa: S701
        loader=PackageLoader("toolkit.terraform"),
        finalize=encode,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )


def _render(template: str, values: Mapping[str, object]) -> str:
    return _environment().get_template(template).render(values)


def _main_values(desired: Desired) -> dict[str, object]:
    provider: dict[str, object] = {"region": desired.region}
    if desired.account_id is not None:
        provider["allowed_account_ids"] = [desired.account_id]
    backend = desired.backend
    return {
        "required_version": _REQUIRED_VERSION_S3 if backend else _REQUIRED_VERSION,
        "backend_type": "s3" if backend else "local",
        "backend_arguments": _aligned(_s3_arguments(backend) if backend else {"path": _STATE_FILE}),
        "provider_versions": desired.provider_versions,
        "provider_arguments": _aligned(provider),
        "registry_variable": REGISTRY_VARIABLE,
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
    """Lines of a block with their `=` in one column, as `terraform fmt` wants them."""
    width = max(map(len, arguments))
    return [Expression(f"{name:<{width}} = {encode(value)}") for name, value in arguments.items()]


def _imports(adopt: Sequence[Adoption]) -> list[dict[str, object]]:
    ordered = sorted(adopt, key=lambda adoption: adoption.address)
    return [{"to": Expression(adoption.address), "id": adoption.id} for adoption in ordered]


def _variables(desired: Desired) -> str:
    mirror = {"account_id": desired.mirror_account_id, "region": desired.region}
    values = {
        "mirror": mirror if desired.mirror_account_id else None,
        "repositories": {repository.name: _repository_values(repository) for repository in desired.repositories},
        "builds": {build.name: build_values(build) for build in desired.builds},
        "resource_tags": {**desired.resource_tags, **ownership_tags(desired.name)},
    }
    encode(values)  # JSON would hold half a surrogate pair, and Terraform put another character in its place.
    return json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _repository_values(repository: DesiredRepository) -> dict[str, object]:
    return {
        "tag_mutability": repository.tag_mutability,
        "scan_on_push": repository.scan_on_push,
        "encryption_type": repository.encryption_type,
        "kms_key": repository.kms_key,
        "expire_untagged_after_days": repository.expire_untagged_after_days,
        "pull_principals": list(repository.pull_principals),
        "organization_id": repository.organization_id,
        "force_delete": repository.force_delete,
    }
