"""A lock in S3, which several machines share. S3 itself refuses a writer which has not seen the last write."""

from __future__ import annotations

from toolkit.aws.explain import explained
from toolkit.aws.session import AwsSession
from toolkit.lock.stored import MAX_BYTES, Stored, changed_meanwhile, decode


class LockObject:
    """The object `key` in `bucket`. Its methods raise AccessDenied and Refused."""

    def __init__(self, session: AwsSession, bucket: str, key: str) -> None:
        self._session = session
        self._where = {"Bucket": bucket, "Key": key}
        self.name = f"s3://{bucket}/{key}"

    def read(self) -> Stored | None:
        """What is there now; None if there is no lock yet."""
        from botocore.exceptions import ClientError

        client = self._session.client("s3")
        with explained():
            try:
                answer = client.get_object(**self._where)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") == "NoSuchKey":
                    return None
                raise
            content: bytes = answer["Body"].read(MAX_BYTES + 1)
        return Stored(decode(content, self.name), answer["ETag"])

    def write(self, text: str, read: Stored | None) -> Stored:
        """Put `text` in the place of what was `read`; None: only if there is nothing yet."""
        from botocore.exceptions import ClientError

        client = self._session.client("s3")
        condition = {"IfMatch": read.version} if read else {"IfNoneMatch": "*"}
        with explained():
            try:
                answer = client.put_object(
                    **self._where, Body=text.encode(), ContentType="application/yaml", **condition
                )
            except ClientError as error:
                # 409: another conditional write was under way. 404: with If-Match, the object was deleted meanwhile.
                if error.response.get("Error", {}).get("Code") in (
                    "PreconditionFailed",
                    "ConditionalRequestConflict",
                    "NoSuchKey",
                ):
                    raise changed_meanwhile(self.name) from error
                raise
        return Stored(text, answer["ETag"])
