"""A text that several machines share: one suite on the fake, and on S3 as the sandbox has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from tests.support.fake_refresh import FakeText
from tests.support.sandbox import RunningSandbox
from toolkit.aws.session import AwsSession
from toolkit.aws.text_object import TextObject
from toolkit.errors import Refused
from toolkit.operations.lease import taken_meanwhile

REGION = "eu-west-1"
pytestmark = pytest.mark.xdist_group("aws")

_NUMBERS = count()


@pytest.fixture(scope="module")
def with_bucket(sandbox: RunningSandbox) -> RunningSandbox:
    bucket = {"Bucket": "texts", "CreateBucketConfiguration": {"LocationConstraint": REGION}}
    sandbox.client("s3", REGION).create_bucket(**bucket)
    return sandbox


@pytest.fixture
def session(with_bucket: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> AwsSession:
    for name, value in with_bucket.environment().items():
        monkeypatch.setenv(name, value)
    return AwsSession(REGION)


@pytest.fixture(params=["fake", "s3"])
def two(request: pytest.FixtureRequest) -> tuple[TextObject | FakeText, TextObject | FakeText]:
    """The same text, as two machines see it."""
    if request.param == "fake":
        fake = FakeText("s3://texts/one", lambda: datetime.now(UTC))
        return fake, fake
    session = request.getfixturevalue("session")
    key = f"text-{next(_NUMBERS)}"
    return tuple(TextObject(session, "texts", key, "application/json") for _ in range(2))  # type: ignore[return-value]


def test_refuses_the_second_of_two_writers(two: tuple[TextObject | FakeText, TextObject | FakeText]) -> None:
    one, other = two
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
    other.put("whatever was there")
    with pytest.raises(Refused, match="was changed by another run"):
        one.write("third", second)


def test_tells_how_old_a_text_is(two: tuple[TextObject | FakeText, TextObject | FakeText]) -> None:
    one, other = two
    one.write("first", None)
    stored = other.read()
    assert stored is not None
    assert timedelta(seconds=-1) <= stored.age <= timedelta(seconds=10)


def test_refuses_a_writer_whose_text_was_deleted_in_the_words_of_its_owner(
    sandbox: RunningSandbox, session: AwsSession
) -> None:
    lease = TextObject(session, "texts", "lease", "application/json", changed=taken_meanwhile)
    stored = lease.write("mine", None)
    sandbox.client("s3", REGION).delete_object(Bucket="texts", Key="lease")
    with pytest.raises(Refused) as caught:
        lease.write("still mine", stored)
    assert caught.value.code == "refresh.under_way"


def test_takes_a_text_for_written_that_is_there_after_a_lost_response(session: AwsSession) -> None:
    lease = TextObject(session, "texts", "lost", "application/json", changed=taken_meanwhile)
    lease.write("mine", None)
    assert lease.write("mine", None) == lease.read()


def test_names_a_bucket_that_is_not_there(session: AwsSession) -> None:
    with pytest.raises(Refused, match="there is no bucket `nowhere`"):
        TextObject(session, "nowhere", "images.lock.yaml", "application/yaml").read()
