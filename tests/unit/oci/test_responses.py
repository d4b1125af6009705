from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.oci.errors import Denied, NotFound, RegistryError, TooManyRequests, Unauthorized
from toolkit.oci.responses import PullLimit, Response, read_pull_limit, refusal

HUB_LIMIT = "You have reached your pull rate limit. You may increase the limit by authenticating and upgrading"


class Named:
    """Headers by their lower-case names."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def get(self, name: str, /) -> str | None:
        return self._headers.get(name.lower())


def response(status: int, body: bytes = b"", **headers: str) -> Response:
    named = Named({name.replace("_", "-"): value for name, value in headers.items()})
    return Response("GET", "registry.example.com", status, named, body)


def errors(*entries: object) -> bytes:
    return json.dumps({"errors": list(entries)}).encode()


@pytest.mark.parametrize(
    ("limit", "remaining", "expected"),
    [
        ("100;w=21600", "97;w=21600", PullLimit(100, 97, 21600)),
        (" 200 ; w=60", "0;w=60", PullLimit(200, 0, 60)),
        ("100", "97", None),
        (None, "97;w=21600", None),
        ("100;w=21600", None, None),
        ("x;w=1", "1;w=1", None),
        (f"{'9' * 5000};w=1", "1;w=1", None),
        (f"1;w={'9' * 5000}", "1;w=1", None),
    ],
)
def test_pull_limits_are_read_from_headers(
    limit: str | None, remaining: str | None, expected: PullLimit | None
) -> None:
    headers = {"ratelimit-limit": limit, "ratelimit-remaining": remaining}

    assert read_pull_limit(Named({name: text for name, text in headers.items() if text})) == expected


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, Unauthorized, "oci.unauthorized"),
        (403, Denied, "oci.denied"),
        (404, NotFound, "oci.not_found"),
        (429, TooManyRequests, "oci.too_many_requests"),
        (400, RegistryError, "oci.bad_request"),
        (418, RegistryError, "oci.registry_error"),
        (500, RegistryError, "oci.registry_error"),
    ],
)
def test_a_status_is_one_kind_of_error(status: int, kind: type[RegistryError], code: str) -> None:
    error = refusal(response(status), "`x`")

    assert type(error) is kind
    assert (error.status, error.code, error.host) == (status, code, "registry.example.com")


@pytest.mark.parametrize(
    ("status", "code", "temporary"),
    [
        (408, "", True),
        (429, "", True),
        (500, "", True),
        (503, "", True),
        (400, "", False),
        (401, "", False),
        (403, "DENIED", False),
        (404, "NAME_UNKNOWN", False),
        (404, "BLOB_UPLOAD_UNKNOWN", True),
        (400, "TOOMANYREQUESTS", True),
        (405, "UNAVAILABLE", True),
        (501, "", False),
        (400, "TAG_INVALID", False),
    ],
)
def test_what_passes_is_decided_by_status_and_code(status: int, code: str, temporary: bool) -> None:
    assert refusal(response(status, errors({"code": code} if code else {})), "`x`").is_temporary is temporary


@pytest.mark.parametrize(
    ("found", "is_pull_limit"),
    [
        (response(429, errors({"code": "TOOMANYREQUESTS", "message": HUB_LIMIT})), True),
        (response(429, ratelimit_limit="100;w=21600", ratelimit_remaining="0;w=21600"), True),
        (response(429, b"Too Many Requests\n"), False),
        (response(429, errors({"code": "TOOMANYREQUESTS", "message": "Rate exceeded"})), False),
        (response(429, ratelimit_limit="100;w=60", ratelimit_remaining="0;w=60"), False),
        (response(429, ratelimit_limit="100;w=21600", ratelimit_remaining="5;w=21600"), False),
    ],
)
def test_the_pull_limit_is_told_from_a_passing_one(found: Response, is_pull_limit: bool) -> None:
    error = refusal(found, "`x`")

    assert isinstance(error, TooManyRequests)
    assert error.is_pull_limit is is_pull_limit
    assert error.is_temporary is not is_pull_limit
    assert error.code == ("oci.pull_limit_reached" if is_pull_limit else "oci.too_many_requests")
    assert error.hint


def test_the_registrys_words_are_one_short_line_without_queries() -> None:
    said = "see\x1b[31m https://s3.example.com/x?X-Amz-Signature=hunter2&y=1 \n now " + "long " * 200
    error = refusal(response(400, errors({"code": "manifest_invalid", "message": said})), "`a/b:1`")

    assert error.error_codes == ("MANIFEST_INVALID",)
    assert error.message.startswith(
        "`registry.example.com` responded with 400 to GET of `a/b:1`: MANIFEST_INVALID: see?[31m https://s3.example.com/x now"
    )
    assert "hunter2" not in error.message
    assert len(error.message) < 400
    assert error.message.isprintable()


json_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["code", "message", "x"]), inner),
    max_leaves=8,
)


@given(st.integers(400, 599), st.binary(max_size=30) | json_values.map(lambda v: json.dumps({"errors": v}).encode()))
def test_any_body_becomes_an_error(status: int, body: bytes) -> None:
    assert refusal(response(status, body), "`x`").message.startswith("`registry.example.com` responded")
