"""What a single text of a build project may look like; `toolkit.manifest.grammar` has what other parts share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from toolkit.manifest.grammar import Grammar, quoted
from toolkit.oci.errors import OciError
from toolkit.oci.reference import Reference

MIRROR = "mirror:"
"""Before an environment image that is one of the manifest's own."""

_ARN = r"arn:aws[a-z-]*"
_ACCOUNT = r"[0-9]{12}"
_BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"

WEBHOOK_EVENTS = (
    *("PUSH", "PULL_REQUEST_CREATED", "PULL_REQUEST_UPDATED", "PULL_REQUEST_CLOSED", "PULL_REQUEST_REOPENED"),
    *("PULL_REQUEST_MERGED", "RELEASED", "PRERELEASED", "WORKFLOW_JOB_QUEUED"),
)
"""CodeBuild's own; not every Git host has all of them."""


def _environment_image(text: str) -> str:
    if not text.startswith(MIRROR):
        return text
    name = text.removeprefix(MIRROR)
    try:
        reference = Reference.parse(name)
    except OciError as error:
        raise ValueError(f"after `{MIRROR}` there is no image: {error.message}") from error
    if reference.digest is not None:
        raise ValueError(f"{quoted(name)} has a digest: name its tag, and pin the digest in `images`")
    return text


def _regional(service: str, resource: str) -> str:
    return rf"{_ARN}:{service}:[a-z0-9-]+:{_ACCOUNT}:{resource}"


EnvironmentImage = Annotated[str, Grammar(r"\S+", "is not the name of an image"), AfterValidator(_environment_image)]
ConnectionArn = Annotated[
    str,
    Grammar(
        _regional("(codeconnections|codestar-connections)", r"connection/[A-Za-z0-9-]+"),
        "is not the ARN of a connection (`arn:aws:codeconnections:…:connection/…`)",
    ),
]
BucketAndPrefix = Annotated[
    str,
    Grammar(rf"{_BUCKET}/[^/\s][^\n\r]*", "is not `bucket/prefix`"),
]
FolderPath = Annotated[
    str, Grammar(r"[^/\s]([^\n\r]*[^/\s])?", "is not a path in a bucket: it has no `/` or space at the ends")
]
ArtifactName = Annotated[str, Grammar(r"/|[^\s/][^\n\r]*", "is not the name of an artifact")]
BuildspecPath = Annotated[
    str,
    Grammar(
        r"(?!/)(?!(.*/)?\.\.(/|$))\S+\.ya?ml",
        "is not the path of a buildspec in the source, such as `ci/buildspec.yml`",
    ),
]
UploadPath = Annotated[str, Field(min_length=1)]
VpcId = Annotated[str, Grammar(r"vpc-[0-9a-f]{8,17}", "is not the id of a VPC (`vpc-…`)")]
SubnetId = Annotated[str, Grammar(r"subnet-[0-9a-f]{8,17}", "is not the id of a subnet (`subnet-…`)")]
SecurityGroupId = Annotated[str, Grammar(r"sg-[0-9a-f]{8,17}", "is not the id of a security group (`sg-…`)")]
ParameterName = Annotated[
    str,
    Grammar(
        r"/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+){0,14}",
        "is not the name of a parameter, such as `/web/license`",
        echoes=False,
    ),
]
_SECRET = _regional("secretsmanager", "secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}")
WholeSecretArn = Annotated[
    str,
    Grammar(
        _SECRET,
        "is not the whole ARN of a Secrets Manager secret, which ends in a hyphen and six characters",
        echoes=False,
    ),
]
SecretName = Annotated[
    str,
    Grammar(
        rf"([A-Za-z0-9/_+=.@-]+|{_SECRET})(:[^:\s]*){{0,3}}",
        "is not the name or whole ARN of a secret, with `:<JSON key>:<stage>:<version>` behind it at most",
        echoes=False,
    ),
]
FleetArn = Annotated[
    str,
    Grammar(
        _regional("codebuild", r"fleet/[A-Za-z0-9_:-]+"), "is not the ARN of a fleet (`arn:aws:codebuild:…:fleet/…`)"
    ),
]
PolicyAction = Annotated[
    str, Grammar(r"[a-z0-9-]+:[A-Za-z0-9*?]+", "is not an action of IAM, such as `s3:GetObject` or `s3:Get*`")
]
PolicyResource = Annotated[
    str, Grammar(rf"\*|({_ARN}|arn:\*):\S+", "is not an ARN, such as `arn:aws:s3:::bucket/*`, and not `*`")
]
StatementId = Annotated[str, Grammar(r"[A-Za-z0-9]{1,64}", "is not the id of a statement: letters and digits only")]
RoleArn = Annotated[
    str,
    Grammar(rf"{_ARN}:iam::{_ACCOUNT}:role/[A-Za-z0-9_+=,.@/-]+", "is not the ARN of a role (`arn:aws:iam::…:role/…`)"),
]
PolicyArn = Annotated[
    str,
    Grammar(rf"{_ARN}:iam::({_ACCOUNT}|aws):policy/\S+", "is not the ARN of an IAM policy (`arn:aws:iam::…:policy/…`)"),
]
