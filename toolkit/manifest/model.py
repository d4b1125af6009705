"""What `images.yaml` may say: one frozen model for each mapping in it, unknown keys refused.

Values stay as the user wrote them, only known to be well-formed; `toolkit.plan.resolve` fills in what was left out and
decides names. Descriptions are what `toolkit schema` shows in an editor.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema, core_schema

from toolkit.manifest.build_model import AnyStatementSpec, BuildProjectSpec
from toolkit.manifest.grammar import (
    AccountId,
    AdoptPattern,
    AlternativeText,
    BucketName,
    CredentialVariableName,
    DigestText,
    Duration,
    EndpointUrl,
    ExtraFiles,
    Grammar,
    KmsKeyArn,
    LockObjectUrl,
    Name,
    OrganizationId,
    Platforms,
    PredicateType,
    Prefix,
    Principal,
    PrincipalOrAll,
    ProfileName,
    ProviderVersion,
    PublicKeys,
    Reason,
    ReferenceText,
    Region,
    RegistryHost,
    RepositoryName,
    ResourceTagKey,
    ResourceTagValue,
    RoleArn,
    SecretArn,
    ServicePrincipal,
    Spec,
    StateKey,
    TableName,
    TagExclusion,
    TagName,
    WorkspaceName,
    check_day,
    listed,
)
from toolkit.manifest.refresh_model import RefreshSpec
from toolkit.manifest.tag_selection import Tags
from toolkit.oci.endpoints import is_loopback

RepositoryAction = Annotated[
    str, Grammar(r"ecr:[A-Za-z0-9*?]+", "is not an action of ECR, such as `ecr:BatchGetImage` or `ecr:Describe*`")
]

_KEYS = frozenset(
    f"aws:{side}{key}".lower()
    for side, keys in (
        ("Principal", ("Account", "Arn", "OrgID", "OrgPaths")),
        ("Source", ("Account", "Arn", "OrgID", "OrgPaths", "Vpc", "Vpce")),
    )
    for key in keys
)
"""Condition keys that identify the caller; AWS ignores their case."""
_SOMEBODY = re.compile(r"(?<!\d)\d{12}(?!\d)|^o-[a-z0-9]{10,32}(/|$)|^vpce?-[0-9a-f]{8,17}$")
"""An account, an organisation or a VPC, and not a pattern that matches everybody."""
_OPERATORS = frozenset(
    f"{prefix}{operator}".lower()
    for prefix in ("", "ForAnyValue:")
    for operator in ("ArnEquals", "ArnLike", "StringEquals", "StringEqualsIgnoreCase", "StringLike")
)
"""Operators that never hold for a request without the key, unlike negated ones and those with `IfExists`."""


class PrincipalsSpec(Spec):
    """Whom a statement is about."""

    aws: tuple[PrincipalOrAll, ...] = Field(
        (), strict=False, description="Account ids (in quotes) or ARNs of IAM principals; `*`, alone, for everybody."
    )
    services: tuple[ServicePrincipal, ...] = Field(
        (), strict=False, description="AWS services.", examples=[["codebuild.amazonaws.com"]]
    )

    @model_validator(mode="after")
    def _names_somebody(self) -> PrincipalsSpec:
        if not self.aws and not self.services:
            raise ValueError("names nobody: give `aws` or `services`")
        if "*" in self.aws and len(self.aws) + len(self.services) > 1:
            raise ValueError("`*` is everybody: leave the others out")
        return self


class RepositoryStatementSpec(AnyStatementSpec):
    """A statement of the policy of a repository."""

    principals: PrincipalsSpec = Field(description="Whom it is about.")
    actions: tuple[RepositoryAction, ...] = Field(min_length=1, strict=False, description="ECR's actions.")

    @model_validator(mode="after")
    def _lets_not_everybody_in(self) -> RepositoryStatementSpec:
        if self.effect == "Allow" and "*" in self.principals.aws and not self._says_who_asks():
            raise ValueError(
                "lets everybody in the world in: name `principals`, or say by a condition who asks, such as "
                "`StringEquals: {aws:PrincipalOrgID: [o-…]}`, with an account, an organisation or a VPC in every value"
            )
        return self

    def _says_who_asks(self) -> bool:
        return any(
            operator.lower() in _OPERATORS and key.lower() in _KEYS and all(map(_SOMEBODY.search, texts))
            for operator, keys in self.conditions.items()
            for key, texts in keys.items()
        )


Attestations = Literal["keep", "drop"]
Signatures = Literal["keep", "drop"]
Freshness = Literal["track", "once", "pin"]


class VerifySpec(Spec):
    """What must be signed, and by whom, before a digest is admitted."""

    key: PublicKeys = Field(
        description="Cosign's public key, the text of `cosign.pub`. Several keys, one below the other: any of them "
        "may have signed.",
    )
    attestation: PredicateType | None = Field(
        None,
        description="Predicate type of an attestation that must be signed, in place of a signature of the image.",
        examples=["https://slsa.dev/provenance/v1"],
    )


class _OrNone:
    """Validates `"none"` or the mapping without a union, which would report a fault once for each alternative."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._read, handler.generate_schema(VerifySpec))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"const": "none"}, handler(schema)]}

    @staticmethod
    def _read(value: object, handler: core_schema.ValidatorFunctionWrapHandler) -> object:
        return value if value == "none" else handler(value)


class SuspendSpec(Spec):
    """Nothing new is admitted for a while."""

    reason: Reason = Field(description="Why.")
    until: Annotated[str, AfterValidator(check_day)] = Field(
        description="The last day, in UTC, on which nothing is admitted.", examples=["2027-03-31"]
    )


class BypassSpec(Spec):
    """One digest that need not be `min_age` old. Every plan shows it."""

    digest: DigestText = Field(description="The digest, as `toolkit lock` shows it.")
    reason: Reason = Field(description="Why it cannot wait.")


class AwsSpec(Spec):
    """Where to work."""

    region: Region = Field(description="Region of the repositories and projects.", examples=["ap-northeast-1"])
    account_id: AccountId | None = Field(
        None, description="Guard: with credentials for any other account, nothing is done. In quotes."
    )
    put_image_per_second: int = Field(
        8,
        ge=1,
        le=1000,
        description="Image manifests written to ECR in a second; its quota is 10 in a region, for everybody together.",
    )
    resource_tags: dict[ResourceTagKey, ResourceTagValue] = Field(
        default_factory=dict,
        max_length=48,
        description="AWS resource tags (not image tags) of everything that is created; at most 48, two are ours.",
    )
    replicate_to: tuple[Region, ...] = Field(
        (),
        strict=False,
        max_length=25,
        description="Regions to which ECR copies what arrives in the repositories, which are made there too. Needs "
        "`repositories.prefix`.",
        examples=[["us-east-1", "eu-west-1"]],
    )


class S3BackendSpec(Spec):
    """Terraform's state in an S3 bucket, locked by a lock file beside it."""

    bucket: BucketName = Field(description="Bucket; it has to exist.")
    key: StateKey = Field(description="Object that holds the state.", examples=["toolkit/platform.tfstate"])
    region: Region | None = Field(None, description="Region of the bucket; default: that of `aws`.")
    kms_key_id: KmsKeyArn | None = Field(None, description="ARN of the KMS key that encrypts the state.")
    dynamodb_table: TableName | None = Field(
        None, description="DynamoDB table to lock as well, while older tools still lock there."
    )


class BackendSpec(Spec):
    """One kind of backend."""

    s3: S3BackendSpec = Field(description="State in S3.")


class TerraformSpec(Spec):
    """How Terraform works."""

    backend: BackendSpec | None = Field(
        None, description="Where Terraform keeps its state; default: a file in the working directory."
    )
    workspace: WorkspaceName = Field(
        "default", description="Terraform's workspace; another one is made where it is missing."
    )
    provider_version: ProviderVersion | None = Field(
        None,
        description="AWS provider to use, a version or a constraint; default: from 5.80 below 7.",
        examples=["5.100.0", ">= 6.8"],
    )
    extra_files: ExtraFiles = Field(
        (),
        strict=False,
        description="Files of yours that are put beside the generated ones, below the folder of the manifest.",
        examples=[["terraform/alarms.tf"]],
    )


class EncryptionSpec(Spec):
    """Encryption at rest. ECR cannot change it later: another value would replace the repository."""

    type: Literal["AES256", "KMS"] = Field("AES256", description="Who holds the key: S3, or KMS.")
    kms_key: KmsKeyArn | None = Field(
        None, description="ARN of the KMS key; default: the key that AWS manages for ECR. With `type: KMS` only."
    )

    @model_validator(mode="after")
    def _has_a_key_for_kms_only(self) -> EncryptionSpec:
        if self.type == "AES256" and self.kms_key is not None:
            raise ValueError("a `kms_key` needs `type: KMS`")
        return self


class RepositorySettingsSpec(Spec):
    """The settings of a repository."""

    tag_mutability: Literal["mutable", "immutable"] = Field(
        "mutable", description="Whether a tag may move when it moved upstream."
    )
    tag_mutability_exclusions: tuple[TagExclusion, ...] = Field(
        (),
        strict=False,
        max_length=5,
        description="Tags for which the opposite holds, at most 5 names; `*` is any text, twice in one at most. Needs "
        "AWS provider 6.8.",
        examples=[["latest", "nightly-*"]],
    )
    scan_on_push: bool = Field(True, description="Scan each image for vulnerabilities when it arrives.")
    encryption: EncryptionSpec = Field(
        default_factory=EncryptionSpec, description="Encryption at rest; fixed once the repository exists."
    )
    expire_untagged_after_days: int | None = Field(
        14, ge=1, description="Delete images that have had no tag for so many days; null: never."
    )
    pull_principals: tuple[Principal, ...] = Field(
        (), strict=False, description="Who else may pull: account ids (in quotes) or ARNs of IAM principals."
    )
    organization_id: OrganizationId | None = Field(
        None, description="An AWS organisation, all of whose accounts may pull.", examples=["o-a1b2c3d4e5"]
    )
    policy_statements: tuple[RepositoryStatementSpec, ...] = Field(
        (), strict=False, description="Further statements of its policy; default: none."
    )
    force_delete: bool = Field(
        False, description="Let Terraform delete a repository with the images in it; not needed with `--allow-destroy`."
    )
    resource_tags: dict[ResourceTagKey, ResourceTagValue] = Field(
        default_factory=dict,
        max_length=48,
        description="AWS resource tags of the repository, beside or instead of those of `aws`.",
    )


class RepositorySpec(RepositorySettingsSpec):
    """Defaults for every repository."""

    prefix: Prefix = Field("", description="Put before every repository's name, with a `/`.", examples=["mirror"])
    keep_previous: int = Field(
        0,
        ge=0,
        le=10,
        description="How many earlier digests of each tag stay in ECR under tags of their own, for a rollback.",
    )
    account_id: AccountId | None = Field(
        None,
        description="Account, in quotes, in whose registry another manifest keeps the repositories and images; this "
        "manifest then makes only builds that pull from it. Default: this manifest makes them.",
    )


def _without_defaults(schema: dict[str, Any]) -> None:
    for field in schema.get("properties", {}).values():
        field.pop("default", None)


class RepositoryOverrideSpec(RepositorySettingsSpec):
    """What is different for one image's repository; fields that are left out are as in `repositories`."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)


class ImageSpec(Spec):
    """An upstream image to be mirrored; `nginx:1.16` is short for `{source: nginx:1.16}`."""

    source: ReferenceText = Field(
        description="Upstream image: with its tag, or with `tags` beside it; a digest pins what the tag must be.",
        examples=["nginx:1.16", "quay.io/prometheus/node-exporter:v1.8.2"],
    )
    tags: Tags = Field(
        (),
        description="Several tags of one source, as a list or by what they have in common. In quotes: `3.10` is the "
        "number 3.1 otherwise.",
    )
    tag_as: TagName | None = Field(
        None,
        description="Name of the tag in ECR; with several `tags`, `{tag}` stands for each. Default: as upstream. The "
        "strategies `hosts` and `builder` find an image by its upstream tag only.",
        examples=["base-{tag}"],
    )
    platforms: Platforms | None = Field(
        None, description="Platforms to copy, or `all` for the index as it is; default: those of the manifest."
    )
    attestations: Attestations | None = Field(
        None, description="Whether provenance and SBOMs of the platforms come along; default: as the manifest says."
    )
    signatures: Signatures | None = Field(
        None, description="Whether cosign's tags and OCI referrers come along; default: as the manifest says."
    )
    freshness: Freshness | None = Field(
        None, description="When the tag follows its upstream; default: as the manifest says."
    )
    min_age: Duration | None = Field(
        None, description="How long a digest waits before it is admitted; default: as the manifest says."
    )
    verify: Annotated[VerifySpec | Literal["none"], _OrNone()] | None = Field(
        None, description="What must be signed, or `none`; default: as the manifest says."
    )
    suspend: SuspendSpec | None = Field(None, description="Admit nothing new for a while.")
    bypass: BypassSpec | None = Field(None, description="Admit one digest before it is `min_age` old.")
    repository: RepositoryName | None = Field(
        None,
        description="Name of the ECR repository, after the prefix; default: as ECR's pull-through cache names it.",
        examples=["base/python"],
    )
    repository_settings: RepositoryOverrideSpec = Field(
        default_factory=RepositoryOverrideSpec, description="What is different for this image's repository."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_short_form(cls, value: object) -> object:
        if isinstance(value, str):
            return {"source": value}
        if isinstance(value, dict | ImageSpec):
            return value
        raise ValueError("must be an image such as `nginx:1.16`, or a mapping with `source`")

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        mapping = handler.resolve_ref_schema(handler(schema))
        return {"anyOf": [{"type": "string", "description": "The source, with its tag."}, mapping]}


class EnvCredentialSpec(Spec):
    """The names of two environment variables, `TOOLKIT_REGISTRY_…` or of the environment's own list.

    What they hold is never in the manifest.
    """

    username: CredentialVariableName = Field(
        description="Variable that holds the user's name.", examples=["TOOLKIT_REGISTRY_HUB_USER"]
    )
    password: CredentialVariableName = Field(
        description="Variable that holds the password or token.", examples=["TOOLKIT_REGISTRY_HUB_TOKEN"]
    )


_CREDENTIALS = ("env", "secretsmanager", "role_arn", "profile")


class CredentialSpec(Spec):
    """Where a registry's credential comes from: `docker-config`, or one of these fields."""

    env: EnvCredentialSpec | None = Field(None, description="Two environment variables of the run.")
    secretsmanager: SecretArn | None = Field(
        None,
        description='ARN of a secret that is `{"username": …, "password": …, "hosts": […]}`, for these hosts only.',
    )

    role_arn: RoleArn | None = Field(
        None,
        description="ARN of a role that signs in to this registry of ECR, as in another account; the run has to be "
        "allowed to assume it.",
        examples=["arn:aws:iam::210987654321:role/read-base-images"],
    )
    profile: ProfileName | None = Field(
        None, description="AWS profile that signs in to this registry of ECR.", examples=["shared-services"]
    )

    @model_validator(mode="before")
    @classmethod
    def _read_docker_config(cls, value: object) -> object:
        if isinstance(value, CredentialSpec):
            return value
        if value == "docker-config":
            return {}
        if not isinstance(value, dict) or not value:
            raise ValueError(f"must be `docker-config`, or a mapping with {listed(_CREDENTIALS, 'or')}")
        given = [key for key in _CREDENTIALS if key in value]
        if len(given) > 1:
            raise ValueError(f"has {listed(given)}: keep one")
        empty = [key for key in given if value[key] is None]
        if empty:
            raise ValueError(f"`{empty[0]}` is empty: fill it in or take it away")
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        mapping = handler.resolve_ref_schema(handler(schema))
        return {"anyOf": [{"const": "docker-config"}, {**mapping, "minProperties": 1, "maxProperties": 1}]}


class RegistrySpec(Spec):
    """How an upstream registry is reached."""

    credential: CredentialSpec = Field(
        default_factory=CredentialSpec.model_construct,  # its validator reads the short forms, `{}` is none
        description="Where the credential comes from; default: the docker configuration of whoever runs the toolkit.",
    )
    insecure: bool = Field(  # before `endpoint`, whose check reads it
        False,
        description="Allows an endpoint that is plain HTTP on another machine: what is sent, credentials too, can be "
        "read and changed on the way.",
    )
    endpoint: EndpointUrl | None = Field(
        None,
        validate_default=True,
        description="Where the registry's API is really served: a corporate mirror, for example. What stands behind "
        "`/v2/` is put before every repository.",
        examples=["https://harbor.example.com/v2/dockerhub-proxy"],
    )
    token_server: EndpointUrl | None = Field(
        None,
        description="Where the registry sends for tokens, if that is on another domain: only then does the credential "
        "go there.",
        examples=["https://scc.suse.com"],
    )
    alternatives: tuple[AlternativeText, ...] = Field(
        (),
        strict=False,
        description="Other registries with the same images, `registry/path`, asked first for what a digest names: "
        "their bytes cost no counted pull. One that ends in `library` has Docker Hub's official images only.",
        examples=[["public.ecr.aws/docker/library"]],
    )

    @field_validator("endpoint")
    @classmethod
    def _check_insecure(cls, endpoint: str | None, info: ValidationInfo) -> str | None:
        is_insecure = _is_plain_elsewhere(endpoint)
        if is_insecure and info.data.get("insecure") is False:
            raise ValueError("is plain HTTP on another machine: say `https://`, or `insecure: true` beside it")
        if not is_insecure and info.data.get("insecure"):
            raise ValueError("is not plain HTTP on another machine: take `insecure` away")
        return endpoint

    @field_validator("token_server")
    @classmethod
    def _check_token_server(cls, token_server: str | None) -> str | None:
        if _is_plain_elsewhere(token_server):
            raise ValueError("is plain HTTP on another machine, where a credential must not go: use `https://`")
        return token_server


def _is_plain_elsewhere(url: str | None) -> bool:
    """Whether what is sent to `url` can be read and changed on the way."""
    parts = urlsplit(url or "")
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


class IgnoreSpec(Spec):
    """A risk, or a fault of `status --check`, that somebody has accepted, for a reason and for a time."""

    code: Literal[
        "risk.plain_secret",
        "risk.wide_rights",
        "risk.needless_privileges",
        "risk.shared_cache",
        "status.missing",
        "status.overwritten",
        "status.gone",
        "status.unknown",
        "status.behind",
        "status.findings",
        "status.unscanned",
        "status.not_replicated",
    ] = Field(description="The code of the notice or the fault.")
    at: Annotated[str, Field(min_length=1)] = Field(
        description="Of a risk: the place that the notice names, or one around it. Of a fault: the image, by its key "
        "or source, in which `*` matches any characters.",
        examples=["builds.web", "builds.web.policy_statements[0]", "docker-hub/library/nginx:*"],
    )
    reason: Reason = Field(description="Why it is accepted.")
    until: Annotated[str, AfterValidator(check_day)] = Field(
        description="The last day on which it is ignored, in UTC.", examples=["2027-03-31"]
    )

    @property
    def last_day(self) -> date:
        """`until` as a date."""
        return date.fromisoformat(self.until)


class Manifest(Spec):
    """Base images to keep in Amazon ECR, and the builds that start from them."""

    version: Literal[1] = Field(description="Version of this format.")
    name: Name = Field(description="Prefixes roles, projects and log groups.", examples=["platform"])
    aws: AwsSpec = Field(description="Region, account and resource tags.")
    terraform: TerraformSpec = Field(default_factory=TerraformSpec, description="What Terraform itself needs.")
    repositories: RepositorySpec = Field(
        default_factory=RepositorySpec,
        description="Defaults for every repository; `repository_settings` of an image overrides single fields.",
    )
    platforms: Platforms = Field(("linux/amd64",), description="Default for every image.")
    attestations: Attestations = Field("keep", description="Default for every image.")
    signatures: Signatures = Field("drop", description="Default for every image.")
    lock: LockObjectUrl | None = Field(
        None,
        description="Object in S3 with the lock, for several machines; default: the file `images.lock.yaml` beside "
        "this manifest, where there is one.",
        examples=["s3://acme-base-images/images.lock.yaml"],
    )
    freshness: Freshness = Field(
        "track",
        description="When a tag follows its upstream: `track` as soon as the lock may admit the new digest, `once` "
        "never again after the first digest, `pin` with `toolkit lock --upgrade` only.",
    )
    min_age: Duration = Field(
        "0d",
        description="How long `toolkit lock` must have known a digest before it is admitted. No date of the image "
        "counts, because its publisher chooses it.",
        examples=["3d"],
    )
    verify: VerifySpec | None = Field(None, description="What must be signed before a digest is admitted.")
    suspend: SuspendSpec | None = Field(None, description="Admit nothing new for a while, of any image.")
    images: tuple[ImageSpec, ...] = Field(
        strict=False, description="What to mirror: names with tags, or mappings. `[]` where nothing is left to mirror."
    )
    build_tools: bool = Field(
        False,
        description="Mirror what Docker's builders fetch unasked, and let every build have it: `docker/dockerfile:1`, "
        "BuildKit itself, the SBOM scanner and binfmt.",
    )
    test_tools: bool = Field(
        False,
        description="Mirror what Testcontainers starts unasked (Ryuk, sshd and socat), let every build have it, and "
        "have the step of a build name it to the libraries.",
    )
    registries: dict[RegistryHost, RegistrySpec] = Field(
        default_factory=dict, description="How upstream registries are reached, by host.", examples=[{"docker.io": {}}]
    )
    builds: tuple[BuildProjectSpec, ...] = Field((), strict=False, description="CodeBuild projects.")
    refresh: RefreshSpec | None = Field(
        None, description="Keeps the images fresh on a schedule inside AWS; it needs `lock`. Default: no schedule."
    )
    adopt: tuple[AdoptPattern, ...] = Field(
        (),
        strict=False,
        description="Repositories and builds that may be taken over where they exist already and are not this "
        "manifest's: names, `*` matches any characters. As `--adopt`.",
        examples=[["docker-hub/library/nginx", "team/*"]],
    )
    ignore: tuple[IgnoreSpec, ...] = Field(
        (),
        strict=False,
        description="Risks that `validate` and `plan` no longer show, and that `--strict` lets pass; faults that "
        "`status --check` lets pass.",
    )


class _Generator(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: object) -> bool:
        """Never: `Account Id` says nothing that `account_id` does not."""
        return False


def json_schema() -> dict[str, Any]:
    """The schema, draft 2020-12, short forms included; the same for every run of a version."""
    schema = Manifest.model_json_schema(schema_generator=_Generator)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Image manifest"}
