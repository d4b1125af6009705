"""What the manifest asks for with every default filled in and every name decided.

Made by `toolkit.plan.resolve.resolve`. Repositories are in order of name, images and builds in order of the manifest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from toolkit.manifest.grammar import PROVIDER_VERSIONS
from toolkit.manifest.strategy import OnMiss, Strategy
from toolkit.oci.alternatives import Alternative
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.subset import Subset

if TYPE_CHECKING:
    from toolkit.manifest.build_model import (
        ArtifactsSpec,
        BatchSpec,
        CacheSpec,
        SourceSpec,
        StatementSpec,
        VpcSpec,
        WebhookSpec,
    )
    from toolkit.manifest.model import RepositoryStatementSpec
    from toolkit.manifest.tag_selection import TagSelectionSpec


@dataclass(frozen=True, slots=True)
class DesiredRepository:
    """One ECR repository. `name` is whole, prefix included; `encryption_type` is `AES256` or `KMS`."""

    name: str
    tag_mutability: str = "MUTABLE"
    tag_mutability_exclusions: tuple[str, ...] = ()
    scan_on_push: bool = True
    encryption_type: str = "AES256"
    kms_key: str | None = None
    expire_untagged_after_days: int | None = 14
    pull_principals: tuple[str, ...] = ()
    organization_id: str | None = None
    policy_statements: tuple[RepositoryStatementSpec, ...] = ()
    force_delete: bool = False
    resource_tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_immutable(self) -> bool:
        """Whether a tag, once pushed, can never point elsewhere, unless it is excluded from that."""
        return self.tag_mutability == "IMMUTABLE"

    def fixes(self, tag: str) -> bool:
        """Whether `tag`, once pushed, can never point elsewhere."""
        return self.is_immutable != any(fnmatchcase(tag, one) for one in self.tag_mutability_exclusions)


@dataclass(frozen=True, slots=True)
class DesiredImage:
    """One tag to be filled.

    `source` has a tag, and a digest only where the manifest pins one.
    `path` is the manifest field that asked for it (`images[0]`), for messages. `subject` is set on a companion, a tag
    that holds the signatures or referrers of that digest: no manifest names it, it is found upstream.
    """

    source: Reference
    repository: str
    tag: str
    subset: Subset
    path: str
    keeps_signatures: bool = False
    subject: Digest | None = None

    @property
    def key(self) -> str:
        """`<repository>:<tag>`, unique in a manifest."""
        return f"{self.repository}:{self.tag}"


@dataclass(frozen=True, slots=True)
class DesiredSelection:
    """Tags to be filled that only the upstream can name; a plan makes images of it.

    `position` is how many of `Desired.images` come before them in the manifest; `path` is the field that asked.
    """

    source: Repository
    repository: str
    tags: TagSelectionSpec
    subset: Subset
    path: str
    position: int
    keeps_signatures: bool

    def image(self, tag: str) -> DesiredImage:
        """One of the images."""
        return DesiredImage(
            source=self.source.with_tag(tag),
            repository=self.repository,
            tag=tag,
            subset=self.subset,
            path=self.path,
            keeps_signatures=self.keeps_signatures,
        )


@dataclass(frozen=True, slots=True)
class BuildImage:
    """A base image of a build: the name its Dockerfiles use, and where it is mirrored.

    `digest` is set where that name has one; `tag` then is the tag that is pinned to it.
    """

    original: str
    repository: str
    tag: str
    digest: Digest | None = None


@dataclass(frozen=True, slots=True)
class Upstream:
    """A registry that is mirrored: `docker.io`, and what its repositories begin with in ECR, `mirror/docker-hub`."""

    host: str
    prefix: str


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """What a CodeBuild project is given besides, as the manifest says it; None is CodeBuild's own way.

    `environment_mirror` is the environment image where it is one of the mirrored. Parameters and secrets are names.
    """

    source: SourceSpec | None = None
    buildspec_path: str | None = None
    environment_mirror: BuildImage | None = None
    parameter_variables: Mapping[str, str] = field(default_factory=dict)
    secret_variables: Mapping[str, str] = field(default_factory=dict)
    is_privileged: bool = True
    fleet: str | None = None
    vpc: VpcSpec | None = None
    cache: CacheSpec | None = None
    queued_timeout_minutes: int = 480
    concurrent_build_limit: int | None = None
    batch: BatchSpec | None = None
    webhook: WebhookSpec | None = None
    has_badge: bool = False
    artifacts: ArtifactsSpec | None = None
    s3_logs: str | None = None
    log_kms_key: str | None = None
    kms_key: str | None = None
    service_role_arn: str | None = None
    policy_statements: tuple[StatementSpec, ...] = ()
    permissions_boundary: str | None = None
    resource_tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DesiredBuild:
    """One CodeBuild project. `project_name` is `<manifest name>-<name>`; `timeout_minutes` is 5 to 2160.

    `strategy` and `on_miss` are the manifest's words. `dockerfiles` is empty where the manifest names none: then it is
    the one at the root of the source, if there is one. `docker_hub_secret` is the ARN of an account for `login`.
    """

    name: str
    project_name: str
    source_type: str
    source_location: str
    source_version: str | None
    buildspec_commands: tuple[str, ...]
    images: tuple[BuildImage, ...]
    compute_type: str
    environment_type: str
    environment_image: str
    environment_variables: Mapping[str, str]
    timeout_minutes: int
    log_retention_days: int
    description: str = ""
    strategy: Strategy = Strategy.AUTO
    on_miss: OnMiss = "fail"
    dockerfiles: tuple[str, ...] = ()
    upstreams: tuple[Upstream, ...] = ()
    docker_hub_secret: str | None = None
    settings: BuildSettings = BuildSettings()

    @property
    def log_group_name(self) -> str:
        """As the module `codebuild-project` names it."""
        return f"/aws/codebuild/{self.project_name}"

    def role_name(self, region: str, kind: str = "codebuild") -> str:
        """As the module `codebuild-project` names it: IAM has 64 characters, a hash keeps two long names apart.

        `kind` is `batch` for the role that runs batches.
        """
        name = f"{self.project_name}-{kind}-{region}"
        return name if len(name) <= 64 else f"{name[:55]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class DesiredRegistry:
    """How an upstream is reached: names and addresses, never a secret.

    Its credential is in two environment variables, or in a secret; without either it is the docker configuration's.
    `is_insecure` says that its endpoint is plain HTTP on another machine. `alternatives` are asked for its content
    first, in their order.
    """

    host: str
    endpoint: str | None = None
    is_insecure: bool = False
    username_env: str | None = None
    password_env: str | None = None
    secret_arn: str | None = None
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class S3Backend:
    """Where Terraform keeps its state; without one it is a file in the working directory."""

    bucket: str
    key: str
    region: str
    kms_key_id: str | None = None
    dynamodb_table: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderNeed:
    """A field of the manifest, `path`, that needs the AWS provider `version` or a newer one."""

    path: str
    version: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything a manifest asks for. `account_id` is a guard: another account is refused.

    `images` are the tags that it lists; `toolkit.plan.selecting` adds those of its `selections`.
    `registries` has those that the manifest says something about, by canonical host. With a `mirror_account_id` the
    builds pull from that account's registry in the same region, and there are no repositories and no images.
    `adopt` are patterns of the names of repositories and builds that may be taken over where they exist.
    `provider_versions` is a constraint of Terraform's; `extra_files` are texts of the user's own by name, which
    `toolkit.operations.load` reads.
    """

    name: str
    region: str
    account_id: str | None
    put_image_per_second: int = 8
    resource_tags: Mapping[str, str] = field(default_factory=dict)
    backend: S3Backend | None = None
    repositories: tuple[DesiredRepository, ...] = ()
    images: tuple[DesiredImage, ...] = ()
    selections: tuple[DesiredSelection, ...] = ()
    builds: tuple[DesiredBuild, ...] = ()
    registries: Mapping[str, DesiredRegistry] = field(default_factory=dict)
    mirror_account_id: str | None = None
    adopt: tuple[str, ...] = ()
    provider_needs: tuple[ProviderNeed, ...] = ()
    workspace: str = "default"
    provider_versions: str = PROVIDER_VERSIONS
    extra_files: Mapping[str, str] = field(default_factory=dict)

    @property
    def registry_account_id(self) -> str | None:
        """Whose registry the builds pull from, None where that is whoever applies the manifest."""
        return self.mirror_account_id or self.account_id

    def emptied(self) -> Desired:
        """The same manifest with nothing in it, as `toolkit destroy` wants it."""
        return replace(self, repositories=(), images=(), selections=(), builds=(), adopt=(), provider_needs=())

    def repository(self, name: str) -> DesiredRepository:
        """The repository called `name`; KeyError if the manifest has none."""
        for repository in self.repositories:
            if repository.name == name:
                return repository
        raise KeyError(name)


MANAGED_BY = "toolkit:managed-by"
MANIFEST = "toolkit:manifest"
"""Keys of the resource tags by which what we make is known."""


def ownership_tags(name: str) -> dict[str, str]:
    """The resource tags by which everything made from the manifest `name` is known as ours."""
    return {MANAGED_BY: "base-image-toolkit", MANIFEST: name}
