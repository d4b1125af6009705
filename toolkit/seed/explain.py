"""A registry's failures in our words: one table, a test per row.

The side decides as much as the cause: the manifest causes a `404` at the source, Terraform one at the destination.
"""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.errors import AccessDenied, Refused, SeedingIncomplete, ToolkitError
from toolkit.oci import errors as oci
from toolkit.oci.copy import CopyError


@dataclass(frozen=True, slots=True)
class Row:
    """`side` None means both sides. The error's code is the side and `code`; its hint is `hint`, or the cause's."""

    side: str | None
    cause: type[oci.OciError]
    code: str
    kind: type[ToolkitError]
    hint: str | None = None


PULL_LIMIT_REACHED = "source.pull_limit_reached"
"""The code of an image whose upstream grants no more counted pulls."""

# First match wins, so a class comes before the one that it derives from.
ROWS = (
    Row(
        "source",
        oci.TooManyRequests,
        "pull_limit_reached",
        Refused,
        "wait until the limit's window has passed, or give the manifest a credential for this registry",
    ),
    Row(None, oci.TooManyRequests, "too_many_requests", SeedingIncomplete, "run again, with fewer `--jobs`"),
    Row(
        "source",
        oci.LayoutIncomplete,
        "layout_incomplete",
        Refused,
        "carry the directory over again, or fill it again with `toolkit copy`",
    ),
    Row(
        "source",
        oci.NotFound,
        "missing",
        Refused,
        "check the image's name and tag at the registry; a tag that has moved since the plan needs a new plan",
    ),
    Row(
        "destination",
        oci.NotFound,
        "repository_missing",
        Refused,
        "create the repository first: `toolkit apply`",
    ),
    Row("source", oci.Unauthorized, "unauthorized", AccessDenied, "give a credential that may pull this image"),
    Row(
        "destination",
        oci.Unauthorized,
        "unauthorized",
        AccessDenied,
        "check the AWS credentials, or sign in to the registry: `docker login`",
    ),
    Row("source", oci.Denied, "denied", AccessDenied, "use a credential that may pull this image"),
    Row(
        "destination",
        oci.Denied,
        "denied",
        AccessDenied,
        "allow ecr:BatchCheckLayerAvailability, ecr:BatchGetImage, ecr:InitiateLayerUpload, ecr:UploadLayerPart, "
        "ecr:CompleteLayerUpload and ecr:PutImage on the repository",
    ),
    Row(
        "destination",
        oci.TagImmutable,
        "tag_immutable",
        Refused,
        "copy to a new tag, or make the repository's tags mutable",
    ),
    Row(
        "destination",
        oci.SubjectRefused,
        "subject_refused",
        Refused,
        "leave signatures behind: `signatures: drop`, or `attestations: drop` where it is an attestation of the image",
    ),
    Row(
        "source",
        oci.ReferrersChanged,
        "referrers_changed",
        Refused,
        "run again, with a new plan where this one was saved: what was signed since is then in it",
    ),
    Row(None, oci.CredentialUnusable, "credential_unusable", AccessDenied),
    Row(None, oci.MissingPlatform, "platform_missing", Refused, "choose among the platforms that it has, or `all`"),
    Row(None, oci.UnsupportedDocument, "unsupported_document", Refused),
    Row(None, oci.InvalidDocument, "invalid_document", Refused),
    Row("source", oci.DigestMismatch, "digest_mismatch", Refused, "do not use this image: report it to its registry"),
    Row("source", oci.SizeMismatch, "size_mismatch", Refused, "do not use this image: report it to its registry"),
    Row(None, oci.ConnectionFailed, "connection_failed", SeedingIncomplete, "check the network, then run again"),
    Row(None, oci.RegistryError, "registry_error", SeedingIncomplete, "run again; what is in place stays"),
    Row(None, oci.OciError, "failed", SeedingIncomplete),
)


def explain(error: CopyError) -> ToolkitError:
    """Our error for a failed copy."""
    row = next(row for row in ROWS if _applies(row, error))
    code = error.cause.code if row.cause is oci.OciError else row.code
    return row.kind(f"{error.side}.{code.removeprefix('oci.')}", error.message, hint=row.hint or error.hint)


def _applies(row: Row, error: CopyError) -> bool:
    if row.code == "pull_limit_reached" and not (
        isinstance(error.cause, oci.TooManyRequests) and error.cause.is_pull_limit
    ):
        return False
    return row.side in (None, error.side) and isinstance(error.cause, row.cause)
