"""AWS's sentence about a missing right, in the forms in which services, Terraform and ECR's registry repeat it."""

from __future__ import annotations

import pytest

from toolkit.errors import denied_by_aws

ROLE = "arn:aws:sts::123456789012:assumed-role/plan/ci"
SENTENCE = f"User: {ROLE} is not authorized to perform: "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{SENTENCE}iam:GetRole on resource: role r because", f"AWS refused `iam:GetRole` on `role r` to `{ROLE}`"),
        (f'{SENTENCE}s3:GetObject on resource: "arn:aws:s3:::b/k" because no identity-based policy allows it',
         f"AWS refused `s3:GetObject` on `arn:aws:s3:::b/k` to `{ROLE}`"),
        (f"DENIED: {SENTENCE}ecr:PutImage on\nresource: arn:x", f"AWS refused `ecr:PutImage` on `arn:x` to `{ROLE}`"),
        (f"{SENTENCE}ecr-public:GetAuthorizationToken on resource: * because",
         f"AWS refused `ecr-public:GetAuthorizationToken` to `{ROLE}`"),
        (f"api error AccessDenied: {SENTENCE}sts:AssumeRole", f"AWS refused `sts:AssumeRole` to `{ROLE}`"),
    ],
)  # fmt: skip
def test_names_the_action_the_resource_and_who_was_refused(text: str, message: str) -> None:
    error = denied_by_aws(text)
    assert error
    assert (error.code, error.exit_code, error.message) == ("aws.access_denied", 4, message)
    assert "toolkit iam-policy" in str(error.hint)


@pytest.mark.parametrize("text", ["", "Access Denied", "User: x is not authorized", "not authorized to perform: a:B"])
def test_other_words_are_not_this_sentence(text: str) -> None:
    assert denied_by_aws(text) is None
