"""What the manifest asks for, with every default filled in and every name decided.

`toolkit.plan.resolve` makes these values. Repositories are sorted by name, images and builds are in manifest order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from toolkit.lock.model import TRACKING, Freshness, Policy
from toolkit.manifest.destinations import AS_UPSTREAM, TagNaming
from toolkit.manifest.grammar import PROVIDER_VERSIONS
from toolkit.manifest.strategy import OnMiss, Strategy
from toolkit.oci.alternatives import Alternative
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.subset import Subset
from toolkit.plan.model import Notice
from toolkit.plan.observed import ReplicationRule

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
    from toolkit.manifest.model import IgnoreSpec, RepositoryStatementSpec
    from toolkit.manifest.tag_selection import TagSelectionSpec


@dataclass(frozen=True, slots=True)
class DesiredRepository:
    """One ECR repository. `name` includes the prefix; `encryption_type` is `AES256` or `KMS`."""

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
        """Whether tags are immutable, except for the excluded ones."""
        return self.tag_mutability == "IMMUTABLE"

    def fixes(self, tag: str) -> bool:
        """Whether `tag` is immutable: once pushed, it can never point elsewhere."""
        return self.is_immutable != any(fnmatchcase(tag, pattern) for pattern in self.tag_mutability_exclusions)


@dataclass(frozen=True, slots=True)
class DesiredImage:
    """One tag to fill.

    `source` has a tag, and a digest only if the manifest or the lock pins one; `is_locked` if it is the lock. `policy`
    is what the manifest asks for before the lock admits a digest. `path` is the manifest field that asks for the image
    (`images[0]`), for messages. `subject` is set on a companion, a tag with the signatures or referrers of that digest:
    it is found upstream and no manifest names it. `admitted_before` are the digests that the lock admitted before the
    one that `source` is pinned to, or that it was rolled back from. `is_back` says that the lock may have gone away
    from the present digest before, so that ECR may have it still.
    """

    source: Reference
    repository: str
    tag: str
    subset: Subset
    path: str
    keeps_signatures: bool = False
    subject: Digest | None = None
    policy: Policy = TRACKING
    is_locked: bool = False
    admitted_before: tuple[Digest, ...] = ()
    is_back: bool = False

    def was_admitted(self, digest: Digest) -> bool:
        """Whether the lock admitted another upstream digest than the present one, and it is this."""
        return digest in self.admitted_before and digest != self.source.digest

    @property
    def key(self) -> str:
        """`<repository>:<tag>`, unique in a manifest."""
        return f"{self.repository}:{self.tag}"


@dataclass(frozen=True, slots=True)
class DesiredSelection:
    """Tags to fill which only the upstream can list; `toolkit.plan.selecting` turns them into images.

    `position` is the number of `Desired.images` that come before them in the manifest. `path` is the manifest field.
    """

    source: Repository
    repository: str
    tags: TagSelectionSpec
    subset: Subset
    path: str
    position: int
    keeps_signatures: bool
    naming: TagNaming = AS_UPSTREAM
    policy: Policy = TRACKING

    def image(self, tag: str) -> DesiredImage:
        """The image for one of the upstream's tags."""
        return DesiredImage(
            source=self.source.with_tag(tag),
            repository=self.repository,
            tag=self.naming.renamed(tag),
            subset=self.subset,
            path=self.path,
            keeps_signatures=self.keeps_signatures,
            policy=self.policy,
        )


@dataclass(frozen=True, slots=True)
class BuildImage:
    """A base image of a build: the name its Dockerfiles use, and where it is mirrored.

    `digest` is set if that name has one; `tag` is then the tag that is pinned to it.
    """

    original: str
    repository: str
    tag: str
    digest: Digest | None = None


@dataclass(frozen=True, slots=True)
class Upstream:
    """A mirrored registry: `docker.io`, and the prefix of its repositories in ECR, `mirror/docker-hub`."""

    host: str
    prefix: str


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """Further settings of a CodeBuild project, as in the manifest; None means CodeBuild's default.

    `environment_mirror` is the environment image if it is a mirrored one. `parameter_variables` and `secret_variables`
    have names of parameters and secrets, not their values.
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

    `strategy` and `on_miss` are the manifest's words. If `dockerfiles` is empty, the build uses the `Dockerfile` at the
    root of the source, if there is one. `docker_hub_secret` is the ARN of the secret for the strategy `login`. With
    `rebuilds` a refresh that moves one of its images starts a build. The project that `refreshes` is no build of
    the manifest.
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
    rebuilds: bool = False
    refreshes: bool = False

    @property
    def log_group_name(self) -> str:
        """As the module `codebuild-project` names it."""
        return f"/aws/codebuild/{self.project_name}"

    def role_name(self, region: str, kind: str = "codebuild") -> str:
        """As the module `codebuild-project` names it: IAM allows 64 characters, and a hash keeps long names distinct.

        `kind` is `batch` for the role that runs batches.
        """
        return shortened(f"{self.project_name}-{kind}-{region}")


def shortened(name: str) -> str:
    """As our modules shorten a name for IAM and EventBridge, which both allow 64 characters."""
    return name if len(name) <= 64 else f"{name[:55]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class DesiredRegistry:
    """How to reach an upstream: names and addresses, never a secret.

    Its credential is in two environment variables or in a secret, or is ECR's token for `role_arn` or for the AWS
    profile `profile`; otherwise the docker configuration supplies it. With `is_docker_config` the manifest says so.
    `is_insecure`: the endpoint is plain HTTP on another machine. `alternatives` are tried first, in their order.
    `token_server` is on another domain and may have the credential.
    """

    host: str
    endpoint: str | None = None
    is_insecure: bool = False
    username_env: str | None = None
    password_env: str | None = None
    secret_arn: str | None = None
    role_arn: str | None = None
    profile: str | None = None
    is_docker_config: bool = False
    token_server: str | None = None
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class S3Backend:
    """Where Terraform keeps its state; without a backend, the state is a file in the working directory."""

    bucket: str
    key: str
    region: str
    kms_key_id: str | None = None
    dynamodb_table: str | None = None

    def key_in(self, workspace: str) -> str:
        """The object that has the state of `workspace`."""
        return self.key if workspace == "default" else f"env:/{workspace}/{self.key}"


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object in S3."""

    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class DesiredRefresh:
    """The schedule that runs `toolkit refresh` in AWS, and when somebody is told.

    `project` is the CodeBuild project that it runs in. The tool is the image `tool_image`, or the wheel `tool_wheel`
    with the hash `wheel_sha256`. What a refresh keeps is below `prefix` in `bucket`. `notify` is the ARN of a topic;
    without one a topic is made.
    """

    project: DesiredBuild
    schedule: str
    time_zone: str
    bucket: str
    prefix: str
    tool_image: str | None = None
    tool_wheel: S3Object | None = None
    wheel_sha256: str | None = None
    notify: str | None = None
    silent_for: timedelta = timedelta(days=2)
    behind: timedelta = timedelta(days=7)
    pulls_left: int = 20


@dataclass(frozen=True, slots=True)
class ProviderNeed:
    """`path` is a manifest field that needs the AWS provider `version` or a newer one."""

    path: str
    version: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything a manifest asks for. `account_id` is a guard: another account is refused.

    `images` are the tags that it lists; `toolkit.plan.selecting` adds those of its `selections`. `registries` are the
    ones that the manifest configures, by canonical host. With a `mirror_account_id` the builds pull from that account's
    registry in the same region, and there are no repositories and no images. `adopt` are name patterns of existing
    repositories and builds that may be taken over. `provider_versions` is a version constraint in Terraform's syntax.
    `extra_files` are the user's own files, text by name; `toolkit.operations.load` reads them. `risks` are what
    `toolkit.plan.risks` found in the manifest, and `ignore` is what it accepts. `lock` is where the lock is kept; None
    means the file beside the manifest. With `needs_lock` the manifest says how digests are admitted, so that nothing is
    copied without a lock. `unadmitted` are the keys of images that were left out because the lock admits no digest for
    them. `text` is the manifest itself. `replicate_to` are the regions with a replica of each repository, which ECR
    fills; the names of these repositories begin with `prefix` and a `/`.
    """

    name: str
    region: str
    account_id: str | None
    put_image_per_second: float = 8
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
    risks: tuple[Notice, ...] = ()
    ignore: tuple[IgnoreSpec, ...] = ()
    lock: S3Object | None = None
    needs_lock: bool = False
    keep_previous: int = 0
    unadmitted: frozenset[str] = frozenset()
    refresh: DesiredRefresh | None = None
    text: str = ""
    replicate_to: tuple[str, ...] = ()
    prefix: str = ""

    @property
    def registry_account_id(self) -> str | None:
        """The account whose registry the builds pull from; None means the account of the run."""
        return self.mirror_account_id or self.account_id

    @property
    def projects(self) -> tuple[DesiredBuild, ...]:
        """Every CodeBuild project: the builds, and the one that refreshes."""
        return (*self.builds, *([self.refresh.project] if self.refresh else []))

    def builds_by_image(self) -> dict[str, tuple[str, ...]]:
        """The sorted names of the builds which start from an image or run in it, by the key of the image."""
        found: dict[str, set[str]] = {}
        for build in self.builds:
            environment = build.settings.environment_mirror
            for image in (*build.images, *([environment] if environment else [])):
                found.setdefault(f"{image.repository}:{image.tag}", set()).add(build.name)
        return {key: tuple(sorted(names)) for key, names in found.items()}

    def selected(self, repository: str, tag: str, source: Repository) -> DesiredImage | None:
        """The image by the first selection that may choose this tag; one with that source is preferred."""
        tags = [(s, s.naming.original(tag)) for s in self.selections if s.repository == repository]
        fitting = [(s, tag) for s, tag in tags if tag is not None and s.tags.matches(tag)]
        same_source = [(s, tag) for s, tag in fitting if s.source == source]
        return next((s.image(tag) for s, tag in (*same_source, *fitting)), None)

    def policy_of(self, image: DesiredImage) -> Policy:
        """What must hold before the lock admits a digest of `image`: an immutable tag never moves again."""
        is_immutable = self.repository(image.repository).fixes(image.tag)
        return replace(image.policy, freshness=Freshness.ONCE) if is_immutable else image.policy

    def replicas(self, region: str) -> tuple[DesiredRepository, ...]:
        """The replicas in `region`: the same repositories with the key of that region.

        A multi-Region key has the same id everywhere. Nobody pushes there but ECR, so a replica may go with its images.
        """
        return tuple(
            replace(repository, kms_key=_in_region(repository.kms_key, region), force_delete=True)
            for repository in self.repositories
        )

    @property
    def replication(self) -> ReplicationRule | None:
        """The rule by which ECR fills the replicas; None if there are none."""
        has_replicas = bool(self.replicate_to and self.repositories)
        return ReplicationRule(tuple(sorted(self.replicate_to)), (f"{self.prefix}/",)) if has_replicas else None

    def emptied(self) -> Desired:
        """The same manifest with nothing in it, as `toolkit destroy` wants it."""
        return replace(
            self,
            repositories=(),
            images=(),
            selections=(),
            builds=(),
            adopt=(),
            provider_needs=(),
            risks=(),
            refresh=None,
        )

    def repository(self, name: str) -> DesiredRepository:
        """The repository called `name`; KeyError if the manifest has none."""
        for repository in self.repositories:
            if repository.name == name:
                return repository
        raise KeyError(name)


def _in_region(key: str | None, region: str) -> str | None:
    """The ARN of the same key in another region."""
    if key is None:
        return None
    parts = key.split(":")
    return ":".join([*parts[:3], region, *parts[4:]])


MANAGED_BY = "toolkit:managed-by"
MANIFEST = "toolkit:manifest"
"""Keys of the resource tags that mark our resources."""


def ownership_tags(name: str) -> dict[str, str]:
    """The resource tags that mark every resource made from the manifest `name`."""
    return {MANAGED_BY: "base-image-toolkit", MANIFEST: name}
