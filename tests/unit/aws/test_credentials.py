"""What AWS hands out for registries: asked seldom, renewed in time, and a no is the registry's matter alone."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from toolkit.aws.credentials import EcrCredentials, SecretsManagerCredentials
from toolkit.oci.errors import CredentialUnusable
from toolkit.oci.reference import ecr_region

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub-AbCdEf"
HOURS = 3600.0


class Aws:
    """A session whose services answer from memory, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.secret = '{"username": "me", "password": "s3cret", "hosts": ["index.docker.io", "Mirror.example:8443"]}'
        self.refuses = False
        self.calls: list[str] = []

    def client(self, service: str, region: str) -> Aws:
        self.calls.append(f"{service} {region}")
        return self

    def get_authorization_token(self) -> dict[str, Any]:
        self._refuse("GetAuthorizationToken")
        token = base64.b64encode(f"AWS:token{len(self.calls)}".encode()).decode()
        expires = datetime.fromtimestamp(self.now + 12 * HOURS, UTC)
        return {"authorizationData": [{"authorizationToken": token, "expiresAt": expires}]}

    def get_secret_value(self, *, SecretId: str) -> dict[str, Any]:
        self._refuse("GetSecretValue")
        return {"SecretString": self.secret}

    def _refuse(self, operation: str) -> None:
        if self.refuses:
            raise ClientError({"Error": {"Code": "ExpiredToken", "Message": "expired"}}, operation)


def ecr(aws: Aws) -> EcrCredentials:
    return EcrCredentials(aws, clock=lambda: aws.now)  # type: ignore[arg-type]  # as much of a session as is used


def password(credentials: EcrCredentials) -> str:
    credential = credentials.credential_for(HOST)
    assert credential is not None and credential.username == "AWS"
    return credential.password


@pytest.mark.parametrize(
    ("host", "region"),
    [
        (HOST, "eu-west-1"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("123456789012.dkr-ecr.eu-west-1.on.aws", "eu-west-1"),
        ("public.ecr.aws", None),
        ("evil.example/123456789012.dkr.ecr.eu-west-1.amazonaws.com", None),
        ("docker.io", None),
        ("123456789012.dkr.ecr.eu-west-1.evil.example", None),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example", None),
        ("123456789012.dkr.ecr.eu-west-1.evilamazonaws.com", None),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com:8443", None),
        ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
    ],
)
def test_an_ecr_host_names_its_region(host: str, region: str | None) -> None:
    assert ecr_region(host) == region


def test_a_token_is_asked_for_once_and_again_an_hour_before_it_ends() -> None:
    aws = Aws()
    credentials = ecr(aws)
    first = password(credentials)
    aws.now += 11 * HOURS - 1
    assert password(credentials) == first
    aws.now += 1
    assert password(credentials) != first
    assert aws.calls == ["ecr eu-west-1"] * 2


def test_other_hosts_get_nothing_and_aws_is_not_asked() -> None:
    aws = Aws()
    credentials = ecr(aws)
    assert credentials.credential_for("docker.io") is None
    credentials.forget("docker.io")
    assert aws.calls == []


def test_a_refused_token_is_renewed_unless_it_is_new() -> None:
    aws = Aws()
    credentials = ecr(aws)
    first = password(credentials)
    credentials.forget(HOST)
    assert password(credentials) == first
    aws.now += 60
    credentials.forget(HOST)
    assert password(credentials) != first


def test_keeps_a_refusal_of_aws_for_a_minute() -> None:
    aws = Aws()
    credentials = ecr(aws)
    aws.refuses = True
    for _ in range(2):
        with pytest.raises(CredentialUnusable) as fault:
            credentials.credential_for(HOST)
        assert fault.value.code == "aws.credentials_expired"
        assert fault.value.hint and "sso login" in fault.value.hint
    assert len(aws.calls) == 1
    aws.refuses = False
    aws.now += 60
    assert password(credentials)


def test_a_clock_that_is_set_back_keeps_neither_a_refused_token_nor_a_refusal() -> None:
    aws = Aws()
    credentials = ecr(aws)
    first = password(credentials)
    aws.now -= 86_400
    credentials.forget(HOST)
    assert password(credentials) != first
    aws.now -= 86_400
    aws.refuses = True
    with pytest.raises(CredentialUnusable):
        credentials.credential_for(HOST)
    aws.refuses = False
    aws.now -= 86_400
    assert password(credentials)


def test_a_secret_is_read_once() -> None:
    aws = Aws()
    credentials = SecretsManagerCredentials(aws, {"docker.io": ARN})  # type: ignore[arg-type]  # as above
    for _ in range(2):
        credential = credentials.credential_for("docker.io")
        assert credential is not None and (credential.username, credential.password) == ("me", "s3cret")
        assert credential.hosts == {"docker.io", "mirror.example:8443"}
        assert credential.origin == f"secret `{ARN}`"
    assert credentials.credential_for("quay.io") is None
    assert aws.calls == ["secretsmanager eu-west-1"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s3cret",
        "[]",
        '{"username": "me", "hosts": ["docker.io"]}',
        '"s3cret"',
        '{"username": "me", "password": "s3cret"}',  # an RDS database's looks like this
        '{"username": "me", "password": "s3cret", "hosts": "docker.io"}',
        '{"username": "me", "password": "s3cret", "hosts": []}',
    ],
)
def test_an_unusable_secret_is_named_and_never_shown(text: str) -> None:
    aws = Aws()
    aws.secret = text
    credentials = SecretsManagerCredentials(aws, {"docker.io": ARN})  # type: ignore[arg-type]  # as above
    for _ in range(2):
        with pytest.raises(CredentialUnusable, match="is not a JSON object") as fault:
            credentials.credential_for("docker.io")
        assert ARN in fault.value.message
        assert "s3cret" not in repr(fault.value.__cause__) + repr(fault.value.__context__) + fault.value.message
    assert len(aws.calls) == 1
