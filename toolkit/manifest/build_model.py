"""What `builds:` in `images.yaml` may say: CodeBuild projects, and a model for each mapping in them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, field_validator, model_validator
from pydantic_core import CoreSchema

from toolkit.manifest.grammar import (
    WEBHOOK_EVENTS,
    ArtifactName,
    BucketAndPrefix,
    BucketName,
    BuildName,
    BuildspecPath,
    ConnectionArn,
    EnvironmentImage,
    EnvironmentVariableName,
    FleetArn,
    FolderPath,
    KmsKeyArn,
    ParameterName,
    PipelineName,
    PolicyAction,
    PolicyArn,
    PolicyResource,
    ReferenceText,
    ResourceTagKey,
    ResourceTagValue,
    RoleArn,
    SecretName,
    SecurityGroupId,
    SourcePath,
    Spec,
    StatementId,
    SubnetId,
    UploadPath,
    VpcId,
    WholeSecretArn,
    listed,
    quoted,
)
from toolkit.manifest.strategy import OnMiss, Strategy

ComputeType = Literal[
    "BUILD_GENERAL1_SMALL",
    "BUILD_GENERAL1_MEDIUM",
    "BUILD_GENERAL1_LARGE",
    "BUILD_GENERAL1_XLARGE",
    "BUILD_GENERAL1_2XLARGE",
]

EnvironmentType = Literal["LINUX_CONTAINER", "LINUX_GPU_CONTAINER", "ARM_CONTAINER", "LINUX_EC2", "ARM_EC2"]
"""The kinds that can run Docker."""


class SourceSpec(Spec):
    """What CodeBuild builds."""

    type: Literal[
        "GITHUB",
        "GITHUB_ENTERPRISE",
        "GITLAB",
        "GITLAB_SELF_MANAGED",
        "BITBUCKET",
        "CODECOMMIT",
        "S3",
        "CODEPIPELINE",
        "NO_SOURCE",
    ] = Field(description="CodeBuild's kind of source.")
    location: str | None = Field(
        None,
        min_length=1,
        description="URL of the Git repository, or `bucket/key` for S3; nothing for `CODEPIPELINE` and `NO_SOURCE`.",
        examples=["https://github.com/acme/web.git"],
    )
    version: str | None = Field(
        None, min_length=1, description="Branch, tag, commit or S3 version; default: the default branch."
    )
    clone_depth: int | None = Field(
        None, ge=1, description="Commits of a Git repository to fetch; default: the whole history."
    )
    submodules: bool = Field(False, description="Whether Git submodules come along; not for GitLab.")
    report_build_status: bool = Field(False, description="Tell the Git host how each build went.")
    connection: ConnectionArn | None = Field(
        None,
        description="ARN of the AWS CodeConnections connection to the Git host; default: the account's credential.",
    )
    secret: WholeSecretArn | None = Field(
        None,
        description="ARN of a secret with a token for the Git host instead, in CodeBuild's form; not for GitLab.",
    )
    pipeline_bucket: BucketName | None = Field(
        None, description="Bucket that is the artifact store of the pipeline; for `CODEPIPELINE` only."
    )
    pipeline: PipelineName | None = Field(
        None,
        description="Name of the pipeline, in whose part of that bucket the build may read and write. Required for "
        "`CODEPIPELINE`, except with a `service_role_arn`.",
    )


class FilterSpec(Spec):
    """A condition on the events of a webhook."""

    type: Literal[
        "EVENT",
        "ACTOR_ACCOUNT_ID",
        "HEAD_REF",
        "BASE_REF",
        "FILE_PATH",
        "COMMIT_MESSAGE",
        "TAG_NAME",
        "RELEASE_NAME",
        "WORKFLOW_NAME",
    ] = Field(description="The property to look at.")
    pattern: str = Field(
        min_length=1,
        description="Regular expression; for `EVENT` the names of events with commas between.",
        examples=["PUSH, PULL_REQUEST_CREATED", "^refs/heads/main$"],
    )
    exclude: bool = Field(False, description="Whether the pattern must not match.")

    @model_validator(mode="after")
    def _names_events_that_there_are(self) -> FilterSpec:
        unknown = [event for event in self.events if event not in WEBHOOK_EVENTS]
        if unknown:
            raise ValueError(f"{quoted(unknown[0])} is no event: there are {listed(WEBHOOK_EVENTS)}")
        return self

    @property
    def events(self) -> list[str]:
        """Events that the pattern names; none for another type."""
        return [event.strip() for event in self.pattern.split(",")] if self.type == "EVENT" else []


def _with_one_event(group: tuple[FilterSpec, ...]) -> tuple[FilterSpec, ...]:
    if [spec.type for spec in group].count("EVENT") != 1:
        raise ValueError("a group of filters has one filter of the type `EVENT`")
    return group


_DEFAULT_EVENTS = frozenset(event for event in WEBHOOK_EVENTS if event.startswith(("PUSH", "PULL_REQUEST_")))
FilterGroup = Annotated[tuple[FilterSpec, ...], Field(strict=False, min_length=1), AfterValidator(_with_one_event)]


class WebhookSpec(Spec):
    """Lets the Git host start builds."""

    build_type: Literal["BUILD", "BUILD_BATCH"] = Field("BUILD", description="One build, or a batch of them.")
    filter_groups: tuple[FilterGroup, ...] = Field(
        (),
        strict=False,
        description="A build starts when all filters of one group hold; default: on every push and pull request.",
    )
    allow_forks: bool = Field(
        False,
        description="Allows pull requests of everybody, forks too, to run builds with the rights and secrets of this "
        "one. Otherwise a group with such events needs an `ACTOR_ACCOUNT_ID` with whole ids: `^(1234567|2345678)$`.",
    )

    @property
    def events(self) -> frozenset[str]:
        """The events of all groups; without groups, pushes and pull requests."""
        found = frozenset(event for group in self.filter_groups for spec in group for event in spec.events)
        return found or _DEFAULT_EVENTS


_ONE_OF_THREE = "must be a text, or a mapping with one of `value`, `parameter` and `secret`"


class VariableSpec(Spec):
    """A variable of the build: its text, or where AWS finds it. A plain text is short for `{value: text}`."""

    value: str | None = Field(None, description="The text; everybody with access to the project may read it.")
    parameter: ParameterName | None = Field(None, description="Name of a parameter in the Parameter Store.")
    secret: SecretName | None = Field(
        None,
        description="Name or whole ARN of a secret in Secrets Manager; `:<JSON key>:<stage>:<version>` may follow.",
    )

    @model_validator(mode="before")
    @classmethod
    def _read_short_form(cls, value: object) -> object:
        if value is None or isinstance(value, list):
            raise ValueError(_ONE_OF_THREE)
        return value if isinstance(value, dict | VariableSpec) else {"value": value}

    @model_validator(mode="after")
    def _is_one_of_three(self) -> VariableSpec:
        if [self.value, self.parameter, self.secret].count(None) != 2:
            raise ValueError(_ONE_OF_THREE)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        mapping = handler.resolve_ref_schema(handler(schema))
        return {
            "anyOf": [
                {"type": "string", "description": "The text."},
                {**mapping, "minProperties": 1, "maxProperties": 1},
            ]
        }


class VpcSpec(Spec):
    """A VPC to build in."""

    id: VpcId = Field(description="Id of the VPC.")
    subnets: tuple[SubnetId, ...] = Field(
        min_length=1, max_length=16, strict=False, description="Private subnets with a way to AWS, 1 to 16."
    )
    security_groups: tuple[SecurityGroupId, ...] = Field(
        min_length=1, max_length=5, strict=False, description="Security groups, 1 to 5."
    )


class CacheSpec(Spec):
    """What is kept between builds: on the build machine, or in S3."""

    modes: tuple[Literal["LOCAL_DOCKER_LAYER_CACHE", "LOCAL_SOURCE_CACHE", "LOCAL_CUSTOM_CACHE"], ...] = Field(
        (), strict=False, description="What the build machine keeps for a while, for the next build that it gets."
    )
    location: BucketAndPrefix | None = Field(None, description="`bucket/prefix` for a cache in S3.")
    paths: tuple[UploadPath, ...] = Field(
        (),
        strict=False,
        description="Folders to keep, for S3 and `LOCAL_CUSTOM_CACHE`; a `buildspec` of your own names them itself.",
        examples=[["node_modules/**/*"]],
    )

    @model_validator(mode="after")
    def _is_one_of_two(self) -> CacheSpec:
        if bool(self.modes) == bool(self.location):
            raise ValueError("must have either `modes` or a `location`")
        if len(set(self.modes)) < len(self.modes):
            raise ValueError("has a mode twice")
        return self


class ArtifactsSpec(Spec):
    """What a build leaves in S3."""

    bucket: BucketName = Field(description="Bucket; it has to exist.")
    path: FolderPath | None = Field(None, description="Folder in it; default: the project's name.")
    name: ArtifactName | None = Field(None, description="Of the folder or ZIP file; default: the project's name.")
    files: tuple[UploadPath, ...] = Field(
        (),
        strict=False,
        description="What to take; a `buildspec` of your own names it itself.",
        examples=[["dist/**/*"]],
    )
    namespace_type: Literal["NONE", "BUILD_ID"] = Field("NONE", description="`BUILD_ID`: a folder for each build.")
    packaging: Literal["NONE", "ZIP"] = Field("NONE", description="`ZIP`: one file.")
    override_name: bool = Field(False, description="Whether a `buildspec` of your own may choose the name.")


class BatchSpec(Spec):
    """Several builds as one, as a `buildspec` of your own describes them."""

    timeout_minutes: int = Field(480, ge=5, le=2160, description="Minutes after which the whole batch is stopped.")
    maximum_builds: int = Field(100, ge=1, le=100, description="Builds that it may have.")
    compute_types: tuple[ComputeType, ...] | None = Field(
        None, strict=False, min_length=1, description="Sizes of machines that it may use; default: all."
    )
    combine_artifacts: bool = Field(False, description="Whether all artifacts go to one place.")


ConditionValues = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]


class AnyStatementSpec(Spec):
    """What every statement of a policy may have."""

    sid: StatementId | None = Field(None, description="Its id.")
    effect: Literal["Allow", "Deny"] = Field("Allow", description="Whether it allows or forbids.")
    conditions: dict[str, dict[str, ConditionValues]] = Field(
        default_factory=dict,
        description="Values by operator and key, each a list.",
        examples=[{"StringEquals": {"aws:RequestedRegion": ["eu-west-1"]}}],
    )


class StatementSpec(AnyStatementSpec):
    """A statement of an IAM policy."""

    actions: tuple[PolicyAction, ...] = Field(min_length=1, strict=False, description="IAM's actions.")
    resources: tuple[PolicyResource, ...] = Field(min_length=1, strict=False, description="ARNs, or `*`.")


LOG_RETENTION_DAYS = (
    *(0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545),
    *(731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""The periods that CloudWatch knows; 0 is for ever."""


class BuildProjectSpec(Spec):
    """A CodeBuild project whose Dockerfiles start from mirrored images."""

    name: BuildName = Field(description="Name; the project is called `<name of the manifest>-<this>`.")
    description: str = Field("", max_length=255, description="For people.")
    source: SourceSpec = Field(description="What is built.")
    images: tuple[ReferenceText, ...] = Field(
        (),
        strict=False,
        description="Base images of its Dockerfiles, spelled as there; each must be in `images`. Required, except "
        "with the strategy `login`.",
    )
    strategy: Literal[
        Strategy.AUTO,
        Strategy.RETAG,
        Strategy.HOSTS,
        Strategy.BUILDER,
        Strategy.CONTEXTS,
        Strategy.DIRECT,
        Strategy.LOGIN,
    ] = Field(
        Strategy.AUTO,
        description="How the base images get from ECR into the build; the documentation says what each serves.",
    )
    on_miss: OnMiss = Field(
        "fail",
        description="When a base image is not listed: fail the build, or pull it from its upstream.",
    )
    dockerfiles: tuple[SourcePath, ...] = Field(
        (),
        strict=False,
        description="The Dockerfiles, by their paths in the source; several need `commands`. Default: `Dockerfile`, if "
        "there is one.",
        examples=[["Dockerfile", "worker/Dockerfile"]],
    )
    commands: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (),
        strict=False,
        description="Commands of the build phase, which begins when the base images are there; default: `docker "
        "build` in the source's root, with the one in `dockerfiles`.",
        examples=[["docker build --tag web ."]],
    )
    buildspec: BuildspecPath | None = Field(
        None,
        description="Path of a buildspec in the source, used instead of a generated one; put the fragment that fetches "
        "the base images into it. Default: none.",
    )
    environment_type: EnvironmentType = Field(
        "LINUX_CONTAINER", description="Kind of build machine; `…_EC2` builds on the machine itself, in no container."
    )
    compute_type: ComputeType = Field("BUILD_GENERAL1_SMALL", description="Size of the build machine.")
    fleet: FleetArn | None = Field(
        None, description="ARN of a fleet of reserved machines, of this kind, to build on; default: machines on demand."
    )
    environment_image: EnvironmentImage | None = Field(
        None,
        description="Image that the build itself runs in; `mirror:python:3.12` is one of `images`, from ECR. Default: "
        "AWS's Amazon Linux image for the machine.",
    )
    privileged: bool | None = Field(
        None,
        description="Whether the container of the build is privileged, which Docker in it needs; `false` for a build "
        "that uses no Docker. Default: true, and on `…_EC2` false.",
    )
    environment_variables: dict[EnvironmentVariableName, VariableSpec] = Field(
        default_factory=dict,
        description="Variables of the build: plain text, which everybody may read, a parameter or a secret.",
    )
    vpc: VpcSpec | None = Field(None, description="VPC to build in; default: none.")
    cache: CacheSpec | None = Field(None, description="What is kept between builds; default: nothing.")
    timeout_minutes: int = Field(60, ge=5, le=2160, description="Minutes after which a running build is stopped.")
    queued_timeout_minutes: int = Field(
        480, ge=5, le=480, description="Minutes after which a waiting build is dropped."
    )
    concurrent_build_limit: int | None = Field(
        None, ge=1, description="Builds at a time; default: as many as the account allows."
    )
    batch: BatchSpec | None = Field(None, description="Lets several builds run as one batch; default: no batch.")
    webhook: WebhookSpec | None = Field(None, description="Lets the Git host start builds; default: no webhook.")
    rebuild: Literal["on_update", "never"] = Field(
        "never", description="`on_update`: a build is started when `refresh` has moved an image that it uses."
    )
    badge: bool = Field(False, description="A badge with the state of the last build, which anybody may see.")
    artifacts: ArtifactsSpec | None = Field(None, description="What a build leaves in S3; default: nothing.")
    log_retention_days: int = Field(
        30,
        description="Days that CloudWatch keeps the logs; 0 is for ever.",
        json_schema_extra={"enum": list(LOG_RETENTION_DAYS)},
    )
    s3_logs: BucketAndPrefix | None = Field(None, description="`bucket/prefix` for a copy of the logs in S3.")
    log_kms_key: KmsKeyArn | None = Field(
        None,
        description="ARN of the KMS key for the log group, which has to let CloudWatch use it; default: AWS's own key.",
    )
    kms_key: KmsKeyArn | None = Field(
        None, description="ARN of the KMS key for artifacts, cache and logs in S3; default: AWS's key for S3."
    )
    service_role_arn: RoleArn | None = Field(
        None,
        description="ARN of an existing role that builds, and batches, run as; it is left as it is. Default: roles are "
        "made with what the build needs.",
    )
    policy_statements: tuple[StatementSpec, ...] = Field(
        (), strict=False, description="What else the build may do, such as pushing its result; default: nothing."
    )
    permissions_boundary: PolicyArn | None = Field(
        None, description="ARN of the policy that bounds the build's roles; default: none."
    )
    resource_tags: dict[ResourceTagKey, ResourceTagValue] = Field(
        default_factory=dict,
        max_length=48,
        description="AWS resource tags of this project and its roles, beside or instead of those of `aws`.",
    )

    @property
    def has_docker(self) -> bool:
        """Whether a Docker daemon can run: in a privileged container, or on a machine without one."""
        return self.privileged is not False or self.environment_type.endswith("_EC2")

    @field_validator("log_retention_days")
    @classmethod
    def _is_known_to_cloudwatch(cls, days: int) -> int:
        if days not in LOG_RETENTION_DAYS:
            nearest = min(LOG_RETENTION_DAYS[1:], key=lambda known: abs(known - days))
            raise ValueError(f"{quoted(str(days))} is no retention that CloudWatch knows; the nearest is `{nearest}`")
        return days
