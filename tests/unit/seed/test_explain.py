from __future__ import annotations

import pytest

from toolkit.errors import AccessDenied, Refused, SeedingIncomplete, ToolkitError
from toolkit.oci import errors as oci
from toolkit.oci.copy import CopyError
from toolkit.seed.explain import ROWS, explain


def answered(kind: type[oci.RegistryError], status: int) -> oci.RegistryError:
    return kind("`h` answered", status=status, host="h")


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
    ("source", answered(oci.Unauthorized, 401), "source.unauthorized", AccessDenied, "credential"),
    ("destination", answered(oci.Unauthorized, 401), "destination.unauthorized", AccessDenied, "docker login"),
    ("source", answered(oci.Denied, 403), "source.denied", AccessDenied, "credential"),
    ("destination", answered(oci.Denied, 403), "destination.denied", AccessDenied, "ecr:PutImage"),
    ("destination", answered(oci.TagImmutable, 400), "destination.tag_immutable", Refused, "new tag"),
    ("destination", answered(oci.SubjectRefused, 405), "destination.subject_refused", Refused, "`signatures: drop`"),
    ("source", oci.ReferrersChanged("other"), "source.referrers_changed", Refused, "new plan"),
    ("source", oci.CredentialUnusable("bad", hint="mend it"), "source.credential_unusable", AccessDenied, "mend it"),
    ("source", oci.MissingPlatform("no arm64"), "source.platform_missing", Refused, "`all`"),
    ("source", oci.UnsupportedDocument("schema 1", hint="newer"), "source.unsupported_document", Refused, "newer"),
    ("source", oci.InvalidDocument("no JSON"), "source.invalid_document", Refused, ""),
    ("source", oci.DigestMismatch("other"), "source.digest_mismatch", Refused, "do not use"),
    ("source", oci.SizeMismatch("short"), "source.size_mismatch", Refused, "do not use"),
    ("source", oci.ConnectionFailed("broke", host="h"), "source.connection_failed", SeedingIncomplete, "network"),
    ("destination", answered(oci.RegistryError, 500), "destination.registry_error", SeedingIncomplete, "run again"),
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


def test_has_a_case_for_every_row() -> None:
    codes = {code.partition(".")[2] for _, _, code, _, _ in CASES}
    assert {row.code for row in ROWS} - {"failed"} <= codes
