"""A lock in S3, against the sandbox's AWS: two writers cannot overwrite each other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.sandbox import RunningSandbox, running_sandbox
from toolkit.aws.session import AwsSession
from toolkit.aws.text_object import TextObject
from toolkit.errors import Refused

REGION = "eu-west-1"
pytestmark = pytest.mark.xdist_group("lock in s3")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def session(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> AwsSession:
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    return AwsSession(REGION)


def test_refuses_the_second_of_two_writers(sandbox: RunningSandbox, session: AwsSession) -> None:
    bucket = {"Bucket": "locks", "CreateBucketConfiguration": {"LocationConstraint": REGION}}
    sandbox.client("s3", REGION).create_bucket(**bucket)
    one, other = (TextObject(session, "locks", "images.lock.yaml", "application/yaml") for _ in range(2))
    assert one.read() is None
    first = one.write("first é", None)
    with pytest.raises(Refused) as caught:
        other.write("second", None)
    assert caught.value.code == "lock.changed_meanwhile"
    assert other.read() == first
    second = other.write("second", first)
    with pytest.raises(Refused, match="was changed by another run"):
        one.write("third", first)
    assert one.read() == second
    sandbox.client("s3", REGION).delete_object(Bucket="locks", Key="images.lock.yaml")
    with pytest.raises(Refused, match="was changed by another run"):
        one.write("third", second)


def test_names_a_bucket_that_is_not_there(session: AwsSession) -> None:
    with pytest.raises(Refused):
        TextObject(session, "nowhere", "images.lock.yaml", "application/yaml").read()
