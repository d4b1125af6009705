from __future__ import annotations

import pytest

from toolkit.errors import AccessDenied, Refused, SeedingIncomplete, ToolkitError
from toolkit.oci import errors as oci
from toolkit.oci.copy import CopyError
from toolkit.oci.responses import Response, refusal
from toolkit.seed.companions import fault_of
from toolkit.seed.explain import ROWS, explain

ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


def answered(kind: type[oci.RegistryError], status: int, host: str = "h") -> oci.RegistryError:
    return kind("`h` answered", status=status, host=host)


def refused(status: int) -> oci.RegistryError:
    return refusal(Response("GET", "h", status, {}), "`a`")


CASES: list[tuple[str, oci.OciError, str, type[ToolkitError], str]] = [
    (
        "source",
        oci.TooManyRequests("`h` answered", host="h", is_pull_limit=True),
        "source.pull_limit_reached",
        Refused,
        "credential",
    ),
    ("source", oci.TooManyRequests("`h` answered", host="h"), "source.too_many_requests", SeedingIncomplete, "--jobs"),
    (
        "destination",
        oci.TooManyRequests("`h` answered", host="h"),
        "destination.too_many_requests",
        SeedingIncomplete,
        "--jobs",
    ),
    ("source", answered(oci.LayoutIncomplete, 404), "source.layout_incomplete", Refused, "carry the directory"),
    ("source", answered(oci.NotFound, 404), "source.missing", Refused, "check the image's name"),
    ("destination", answered(oci.NotFound, 404), "destination.repository_missing", Refused, "toolkit apply"),
    (
        "source",
        oci.NotFound("`h` has lost it", status=404, host="h", code="oci.attestation_missing"),
        "source.attestation_missing",
        Refused,
        "`attestations: drop`",
    ),
    ("source", answered(oci.Unauthorized, 401), "source.unauthorized", AccessDenied, "credential"),
    ("destination", answered(oci.Unauthorized, 401), "destination.unauthorized", AccessDenied, "docker login"),
    ("source", answered(oci.Denied, 403), "source.denied", AccessDenied, "credential"),
    ("destination", answered(oci.Denied, 403, ECR), "destination.denied", AccessDenied, "ecr:PutImage"),
    ("destination", answered(oci.Denied, 403), "destination.denied", AccessDenied, "may push"),
    ("destination", answered(oci.TagImmutable, 400), "destination.tag_immutable", Refused, "new tag"),
    ("destination", answered(oci.SubjectRefused, 405), "destination.subject_refused", Refused, "`signatures: drop`"),
    ("source", oci.ReferrersChanged("other"), "source.referrers_changed", Refused, "new plan"),
    ("source", oci.CredentialUnusable("bad", hint="mend it"), "source.credential_unusable", AccessDenied, "mend it"),
    ("source", oci.MissingPlatform("no arm64"), "source.platform_missing", Refused, "`all`"),
    ("source", oci.UnsupportedDocument("schema 1", hint="newer"), "source.unsupported_document", Refused, "newer"),
    ("source", oci.InvalidDocument("no JSON"), "source.invalid_document", Refused, "is that of a registry"),
    ("source", oci.DigestMismatch("other"), "source.digest_mismatch", Refused, "do not use"),
    ("source", oci.SizeMismatch("short"), "source.size_mismatch", Refused, "do not use"),
    ("source", oci.ConnectionFailed("broke", host="h"), "source.connection_failed", SeedingIncomplete, "network"),
    (
        "source",
        oci.ConnectionFailed("not trusted", host="h", is_temporary=False, hint="name the CA"),
        "source.unusable",
        Refused,
        "name the CA",
    ),
    (
        "source",
        oci.ConnectionFailed("9 MB", host="h", is_temporary=False, code="oci.document_too_large"),
        "source.document_too_large",
        Refused,
        "another tag",
    ),
    ("destination", answered(oci.RegistryError, 500), "destination.registry_error", SeedingIncomplete, "run again"),
    ("source", refused(522), "source.registry_error", SeedingIncomplete, "run again"),
    ("source", refused(400), "source.bad_request", Refused, "name"),
    ("destination", refused(400), "destination.bad_request", Refused, "takes images of this kind"),
    ("source", refused(401), "source.unauthorized", AccessDenied, "credential"),
    ("source", refused(402), "source.payment_required", Refused, "quota"),
    ("source", refused(405), "source.not_supported", Refused, "address"),
    ("destination", refused(405), "destination.not_supported", Refused, "read only"),
    ("source", refused(406), "source.not_acceptable", Refused, "another tag"),
    ("destination", refused(409), "destination.conflict", Refused, "immutable tag"),
    ("source", refused(410), "source.gone", Refused, "another tag or source"),
    ("source", refused(413), "source.too_large", Refused, "another source"),
    ("destination", refused(413), "destination.too_large", Refused, "client_max_body_size"),
    ("source", refused(451), "source.blocked", Refused, "legal"),
    ("source", refused(501), "source.request_refused", Refused, "again"),
    ("source", oci.OciError("none", code="oci.no_digest_on_head"), "source.no_digest_on_head", Refused, "mirror"),
    (
        "destination",
        oci.OciError("moved", code="oci.not_as_copied", hint="look"),
        "destination.not_as_copied",
        SeedingIncomplete,
        "look",
    ),
]


@pytest.mark.parametrize(("side", "cause", "code", "kind", "hint"), CASES, ids=[case[2] for case in CASES])
def test_explains_each_failure(side: str, cause: oci.OciError, code: str, kind: type[ToolkitError], hint: str) -> None:
    error = explain(CopyError(side, "a:v1", cause))
    assert (error.code, type(error)) == (code, kind)
    assert error.message == f"{side}: {cause.message}"
    assert hint in (error.hint or "")


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 406, 409, 410, 413, 451, 501, 505])
def test_takes_no_lasting_refusal_for_an_unreachable_source(status: int) -> None:
    fault = fault_of(refused(status))
    assert not fault.is_temporary
    assert fault.hint


@pytest.mark.parametrize("status", [408, 425, 429, 499, 500, 502, 503, 504, 520, 521, 522, 523, 524, 530])
def test_says_of_what_may_pass_that_it_may(status: int) -> None:
    assert fault_of(refused(status)).is_temporary


def test_has_a_case_for_every_row() -> None:
    codes = {code.partition(".")[2] for _, _, code, _, _ in CASES}
    assert {row.code for row in ROWS} - {"failed"} <= codes
