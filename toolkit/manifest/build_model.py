"""What `builds:` in `images.yaml` may say: CodeBuild projects, their sources and machines."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from toolkit.manifest.grammar import (
    BuildName,
    EnvironmentImage,
    EnvironmentVariableName,
    ReferenceText,
    SourcePath,
    quoted,
)
from toolkit.manifest.spec import Spec

LOG_RETENTION_DAYS = (
    *(0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545),
    *(731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""What CloudWatch knows; 0 is for ever."""


class SourceSpec(Spec):
    """What CodeBuild builds."""

    type: Literal["GITHUB", "GITHUB_ENTERPRISE", "BITBUCKET", "CODECOMMIT", "S3", "NO_SOURCE"] = Field(
        description="CodeBuild's kind of source."
    )
    location: str | None = Field(
        None,
        min_length=1,
        description="URL of the Git repository, or `bucket/key` for S3; nothing for `NO_SOURCE`.",
        examples=["https://github.com/acme/web.git"],
    )
    version: str | None = Field(
        None, min_length=1, description="Branch, tag, commit or S3 version; default: the default branch."
    )


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
        description="The Dockerfiles, by their paths in the source; default: `Dockerfile`, if there is one.",
        examples=[["Dockerfile", "worker/Dockerfile"]],
    )
    commands: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (),
        strict=False,
        description="Commands of the build phase, when the base images are there; default: `docker build` of the "
        "source's root.",
        examples=[["docker build --tag web ."]],
    )
    environment_type: Literal["LINUX_CONTAINER", "LINUX_GPU_CONTAINER", "ARM_CONTAINER"] = Field(
        "LINUX_CONTAINER", description="Kind of build machine."
    )
    compute_type: Literal[
        "BUILD_GENERAL1_SMALL",
        "BUILD_GENERAL1_MEDIUM",
        "BUILD_GENERAL1_LARGE",
        "BUILD_GENERAL1_XLARGE",
        "BUILD_GENERAL1_2XLARGE",
    ] = Field("BUILD_GENERAL1_SMALL", description="Size of the build machine.")
    environment_image: EnvironmentImage | None = Field(
        None,
        description="Image that the build itself runs in; default: AWS's Amazon Linux image for the machine.",
    )
    environment_variables: dict[EnvironmentVariableName, str] = Field(
        default_factory=dict, description="Plain variables of the build: no secrets, everybody may read them."
    )
    timeout_minutes: int = Field(60, ge=5, le=2160, description="When a build is given up.")
    log_retention_days: int = Field(
        30,
        description="Days that CloudWatch keeps the logs; 0 is for ever.",
        json_schema_extra={"enum": list(LOG_RETENTION_DAYS)},
    )

    @field_validator("log_retention_days")
    @classmethod
    def _is_known_to_cloudwatch(cls, days: int) -> int:
        if days not in LOG_RETENTION_DAYS:
            nearest = min(LOG_RETENTION_DAYS[1:], key=lambda known: abs(known - days))
            raise ValueError(f"{quoted(str(days))} is no retention that CloudWatch knows; the nearest is `{nearest}`")
        return days
