"""What `builds:` in `images.yaml` may say: CodeBuild projects, their sources and machines."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from toolkit.manifest.build_grammar import (
    BucketAndPrefix,
    BuildspecPath,
    EnvironmentImage,
    FleetArn,
    PolicyArn,
    RoleArn,
)
from toolkit.manifest.build_parts import (
    ArtifactsSpec,
    BatchSpec,
    CacheSpec,
    ComputeType,
    EnvironmentType,
    SourceSpec,
    StatementSpec,
    VariableSpec,
    VpcSpec,
    WebhookSpec,
)
from toolkit.manifest.grammar import (
    BuildName,
    EnvironmentVariableName,
    KmsKeyArn,
    ReferenceText,
    ResourceTagKey,
    ResourceTagValue,
    SourcePath,
    quoted,
)
from toolkit.manifest.spec import Spec

LOG_RETENTION_DAYS = (
    *(0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545),
    *(731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""What CloudWatch knows; 0 is for ever."""


class BuildProjectSpec(Spec):
    """A CodeBuild project whose Dockerfiles start from mirrored images."""

    name: BuildName = Field(description="Name; the project is called `<name of the manifest>-<this>`.")
    description: str = Field("", max_length=255, description="For people.")
    source: SourceSpec = Field(description="What is built.")
    images: tuple[ReferenceText, ...] = Field(
        (),
        strict=False,
        description="What its Dockerfiles start from, spelled as there; each must be in `images`. Needed, but for "
        "the strategy `login`.",
    )
    strategy: Literal["auto", "retag", "hosts", "builder", "contexts", "direct", "login"] = Field(
        "auto", description="How the base images get from ECR into the build; README says what each serves."
    )
    on_miss: Literal["fail", "upstream"] = Field(
        "fail", description="What a base image that is not listed does: end the build, or come from its upstream."
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
        description="Commands of the build phase, when the base images are there; default: `docker build` of the "
        "source's root, by the one in `dockerfiles`.",
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
    timeout_minutes: int = Field(60, ge=5, le=2160, description="When a build is given up.")
    queued_timeout_minutes: int = Field(480, ge=5, le=480, description="When a build that has not begun is given up.")
    concurrent_build_limit: int | None = Field(
        None, ge=1, description="Builds at a time; default: as many as the account may."
    )
    batch: BatchSpec | None = Field(None, description="Lets several builds run as one batch; default: not.")
    webhook: WebhookSpec | None = Field(None, description="Lets the Git host start builds; default: not.")
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
