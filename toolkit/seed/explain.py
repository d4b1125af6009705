"""A registry's failures in our words: one table, a test per row.

The side decides as much as the cause: the manifest causes a `404` at the source, Terraform one at the destination.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from toolkit.errors import AccessDenied, Refused, SeedingIncomplete, ToolkitError, denied_by_aws
from toolkit.oci import errors as oci
from toolkit.oci.copy import CopyError
from toolkit.oci.reference import ECR_HOST_PART

_ECR = re.compile(ECR_HOST_PART)


@dataclass(frozen=True, slots=True)
class Row:
    """`side` None means both sides. The error's code is the side and `code`; its hint is `hint`, or the cause's.

    `cause` is a class of errors, or the code of one. `is_temporary` and `is_ecr` None mean both; the latter is whether
    ECR itself responded.
    """

    side: str | None
    cause: type[oci.OciError] | str
    code: str
    kind: type[ToolkitError]
    hint: str | None = None
    is_temporary: bool | None = None
    is_ecr: bool | None = None


PULL_LIMIT_REACHED = "source.pull_limit_reached"
"""The code of an image whose upstream grants no more counted pulls."""

# First match wins, so a class comes before the one that it derives from.
ROWS = (
    Row(
        "source",
        "oci.pull_limit_reached",
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
        "oci.attestation_missing",
        "attestation_missing",
        Refused,
        "leave attestations behind: `attestations: drop`",
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
        "create the repository first: in ECR with `toolkit apply`, elsewhere with its project",
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
        is_ecr=True,
    ),
    Row("destination", oci.Denied, "denied", AccessDenied, "use a credential that may push to this repository"),
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
    Row(
        "source",
        oci.InvalidDocument,
        "invalid_document",
        Refused,
        "check that the address is that of a registry; if it is, report the document to its publisher",
    ),
    Row(None, oci.InvalidDocument, "invalid_document", Refused),
    Row("source", oci.DigestMismatch, "digest_mismatch", Refused, "do not use this image: report it to its registry"),
    Row("source", oci.SizeMismatch, "size_mismatch", Refused, "do not use this image: report it to its registry"),
    Row(
        None,
        "oci.document_too_large",
        "document_too_large",
        Refused,
        "choose another tag or source: registries keep documents below 4 MiB, and this one is above our limit of 8",
    ),
    Row(
        None,
        oci.ConnectionFailed,
        "connection_failed",
        SeedingIncomplete,
        "check the network, then run again",
        is_temporary=True,
    ),
    Row(None, oci.ConnectionFailed, "unusable", Refused),
    Row(
        None,
        oci.RegistryError,
        "registry_error",
        SeedingIncomplete,
        "run again; what is in place stays",
        is_temporary=True,
    ),
    Row(
        "source",
        "oci.bad_request",
        "bad_request",
        Refused,
        "check the image's name, and that the address is that of a registry",
    ),
    Row(
        "destination",
        "oci.bad_request",
        "bad_request",
        Refused,
        "check the name and the tag, and whether this registry takes images of this kind",
    ),
    Row(
        None,
        "oci.payment_required",
        "payment_required",
        Refused,
        "look at the account at the registry: its quota is used up, or a bill is open",
    ),
    Row(
        "source",
        "oci.not_supported",
        "not_supported",
        Refused,
        "check that the address is that of a registry, and not of a page for people",
    ),
    Row(
        "destination",
        "oci.not_supported",
        "not_supported",
        Refused,
        "choose a repository that takes images: a mirror, for one, is read only",
    ),
    Row(
        None,
        "oci.not_acceptable",
        "not_acceptable",
        Refused,
        "choose another tag: the registry has this image in no format that can be copied",
    ),
    Row(
        None,
        "oci.conflict",
        "conflict",
        Refused,
        "see what stands in the way, such as an immutable tag, a rule of the registry or another push, and run again",
    ),
    Row(None, "oci.gone", "gone", Refused, "choose another tag or source: this one was taken away for good"),
    Row(
        "source",
        "oci.too_large",
        "too_large",
        Refused,
        "choose another source: this one does not give out anything so large",
    ),
    Row(
        "destination",
        "oci.too_large",
        "too_large",
        Refused,
        "raise the limit of the proxy before the registry, such as `client_max_body_size` of nginx",
    ),
    Row(
        None,
        "oci.blocked",
        "blocked",
        Refused,
        "choose another source: the registry may not give out this image for legal reasons",
    ),
    Row(
        None,
        "oci.no_digest_on_head",
        "no_digest_on_head",
        Refused,
        "reach the registry without the proxy or mirror that leaves out these headers",
    ),
    Row(
        None,
        oci.RegistryError,
        "request_refused",
        Refused,
        "read what the registry says: it will refuse the same request again",
    ),
    Row(None, oci.OciError, "failed", SeedingIncomplete),
)


DENIED = frozenset(
    f"{side}.{row.code}" for row in ROWS if row.kind is AccessDenied for side in ("source", "destination")
)
"""The codes of an image that cannot be copied because credentials are missing or may not do it."""


def explain(error: CopyError) -> ToolkitError:
    """Our error for a failed copy."""
    row, code = row_for(error)
    if row.kind is AccessDenied and (denied := denied_by_aws(error.message)):
        return AccessDenied(f"{error.side}.{code}", denied.message, hint=denied.hint)
    return row.kind(f"{error.side}.{code}", error.message, hint=row.hint or error.hint)


def row_for(error: CopyError) -> tuple[Row, str]:
    """The row for a failed copy, and its code; an error that no other row is about keeps the code of its own."""
    row = next(row for row in ROWS if _applies(row, error))
    return row, error.code.removeprefix("oci.") if row.cause is oci.OciError else row.code


def _applies(row: Row, error: CopyError) -> bool:
    cause = error.cause
    is_cause = cause.code == row.cause if isinstance(row.cause, str) else isinstance(cause, row.cause)
    host = getattr(cause, "host", "")
    return (
        is_cause
        and row.side in (None, error.side)
        and row.is_temporary in (None, error.is_temporary)
        and row.is_ecr in (None, _ECR.search(host) is not None)
    )
