"""The session: which endpoint it takes, and how long it waits for one that says nothing."""

from __future__ import annotations

import pytest

from toolkit.aws.session import AwsSession
from toolkit.errors import Refused


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")


def test_an_endpoint_that_is_no_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "moto.local")
    with pytest.raises(Refused, match=r"moto\.local") as refusal:
        AwsSession("eu-west-1").account_id()
    assert refusal.value.code == "aws.endpoint_unusable"


@pytest.mark.parametrize(("service", "seconds"), [("sts", 45), ("ecr", 120)])
def test_silence_is_not_waited_for_longer_than(service: str, seconds: int) -> None:
    config = AwsSession("eu-west-1").client(service).meta.config  # type: ignore[call-overload]  # both are literals
    attempts = config.retries["total_max_attempts"]
    pauses = sum(2**number for number in range(attempts - 1))
    assert attempts * config.connect_timeout + pauses <= seconds
    assert attempts * config.read_timeout + pauses <= seconds
