"""The session: which endpoint it takes, and how long it waits for one that says nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from toolkit.aws.session import AwsSession
from toolkit.errors import AccessDenied, Refused

CONFIG = """
[profile no-program]
credential_process = /nope/bin token
[profile no-json]
credential_process = echo hunter2
[profile no-object]
credential_process = echo '"hunter2"'
[profile nothing]
credential_process = true
[profile no-secret]
credential_process = echo '{"Version": 1, "AccessKeyId": "hunter2"}'
[profile no-version]
credential_process = echo '{"Version": "hunter2"}'
[profile no-time]
credential_process = echo '{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b", "Expiration": "hunter2"}'
[profile failing]
credential_process = sh -c 'echo hunter2 >&2; exit 3'
[profile no-source]
role_arn = arn:aws:iam::123456789012:role/x
source_profile = nobody
[profile no-sso]
sso_session = nobody
sso_account_id = 123456789012
sso_role_name = x
"""


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")


def test_an_endpoint_that_is_no_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "moto.local")
    with pytest.raises(Refused, match=r"moto\.local") as refusal:
        AwsSession("eu-west-1").account_id()
    assert refusal.value.code == "aws.endpoint_unusable"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/x", "AWS_WEB_IDENTITY_TOKEN_FILE": "/nope"},
            "`/nope`: No such file or directory",
        ),
        (
            {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/x", "AWS_WEB_IDENTITY_TOKEN_FILE": os.devnull},
            "Invalid length for parameter WebIdentityToken",
        ),
        (
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/nope",
            },
            "`/nope`: No such file or directory",
        ),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.com/"}, "Unsupported host 'example.com'"),
        ({"AWS_PROFILE": "no-program"}, "`/nope/bin`: No such file or directory"),
        ({"AWS_PROFILE": "no-json"}, "the output of `credential_process` is not JSON"),
        ({"AWS_PROFILE": "no-object"}, "the output of `credential_process` is not a JSON object"),
        ({"AWS_PROFILE": "nothing"}, "the output of `credential_process` is not JSON"),
        ({"AWS_PROFILE": "no-secret"}, "`credential_process` failed, or its output lacks"),
        ({"AWS_PROFILE": "no-version"}, "`credential_process` failed, or its output lacks"),
        ({"AWS_PROFILE": "no-time"}, "their expiry is not a time"),
        ({"AWS_PROFILE": "failing"}, "`credential_process` failed, or its output lacks"),
        ({"AWS_PROFILE": "no-source"}, "nobody"),
        ({"AWS_PROFILE": "no-sso"}, "nobody"),
    ],
)
def test_a_source_of_credentials_that_does_not_work_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], words: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    (tmp_path / "config").write_text(CONFIG)
    for name, value in {"AWS_CONFIG_FILE": str(tmp_path / "config"), **variables}.items():
        monkeypatch.setenv(name, value)
    session = AwsSession("eu-west-1")
    for _ in range(2):  # asked again, it says the same
        with pytest.raises(AccessDenied) as denied:
            session.account_id()
        assert denied.value.code == "aws.no_credentials"
        assert words in denied.value.message
        assert "hunter2" not in denied.value.message


@pytest.mark.parametrize(("service", "seconds"), [("sts", 45), ("ecr", 120)])
def test_silence_is_not_waited_for_longer_than(service: str, seconds: int) -> None:
    config = AwsSession("eu-west-1").client(service).meta.config  # type: ignore[call-overload]  # both are literals
    attempts = config.retries["total_max_attempts"]
    pauses = sum(2**number for number in range(attempts - 1))
    assert attempts * config.connect_timeout + pauses <= seconds
    assert attempts * config.read_timeout + pauses <= seconds
