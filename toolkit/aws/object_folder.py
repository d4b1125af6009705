"""A folder in S3, for files that machines pass on to one another."""

from __future__ import annotations

from toolkit.aws.explain import explained
from toolkit.aws.session import AwsSession


class ObjectFolder:
    """The objects in `bucket` whose keys begin with `prefix`. Its methods raise AccessDenied and Refused."""

    def __init__(self, session: AwsSession, bucket: str, prefix: str) -> None:
        self._session = session
        self._bucket = bucket
        self._prefix = prefix

    def read(self, name: str, most: int) -> bytes | None:
        """The first `most` bytes of the object; None if there is none."""
        from botocore.exceptions import ClientError

        client = self._session.client("s3")
        with explained():
            try:
                answer = client.get_object(Bucket=self._bucket, Key=self._prefix + name)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") == "NoSuchKey":
                    return None
                raise
            content: bytes = answer["Body"].read(most)
        return content

    def put(self, name: str, content: bytes) -> None:
        """Put `content` there, whatever there is."""
        client = self._session.client("s3")
        with explained():
            client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=content)
