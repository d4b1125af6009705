"""A folder in S3, for files that machines pass on to one another."""

from __future__ import annotations

from typing import Any

from toolkit.aws.explain import explained
from toolkit.aws.session import AwsSession


def find_object(session: AwsSession, bucket: str, key: str) -> Any:
    """S3's answer with the object; None if there is none. Raises AccessDenied and Refused."""
    client = session.client("s3")
    with explained():
        try:
            return client.get_object(Bucket=bucket, Key=key)
        except client.exceptions.NoSuchKey:
            return None


class ObjectFolder:
    """The objects in `bucket` whose keys begin with `prefix`. Its methods raise AccessDenied and Refused."""

    def __init__(self, session: AwsSession, bucket: str, prefix: str) -> None:
        self._session = session
        self._bucket = bucket
        self._prefix = prefix

    def read(self, name: str, most: int) -> bytes | None:
        """The first `most` bytes of the object; None if there is none."""
        answer = find_object(self._session, self._bucket, self._prefix + name)
        if answer is None:
            return None
        with explained():
            content: bytes = answer["Body"].read(most)
        return content

    def put(self, name: str, content: bytes) -> None:
        """Put `content` there, whatever there is."""
        client = self._session.client("s3")
        with explained():
            client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=content)
