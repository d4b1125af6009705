"""A text in S3, which several machines share. S3 itself refuses a writer which has not seen the last write."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

from toolkit.aws.explain import explained
from toolkit.aws.object_folder import find_object
from toolkit.aws.session import AwsSession
from toolkit.errors import Refused
from toolkit.lock.stored import MAX_BYTES, Stored, changed_meanwhile, decode

# 409: another conditional write was under way. 404: with If-Match, the object was deleted meanwhile.
_CHANGED = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey")


class TextObject:
    """The object `key` in `bucket`. Its methods raise AccessDenied and Refused.

    `changed` makes the error of a writer which has not seen the last write.
    """

    def __init__(
        self,
        session: AwsSession,
        bucket: str,
        key: str,
        content_type: str,
        *,
        changed: Callable[[str], Refused] = changed_meanwhile,
    ) -> None:
        self._session = session
        self._where = {"Bucket": bucket, "Key": key}
        self._content_type = content_type
        self._changed = changed
        self.name = f"s3://{bucket}/{key}"

    def read(self) -> Stored | None:
        """What is there now; None if there is nothing yet. Its age is told by S3's own clock alone."""
        answer = find_object(self._session, self._where["Bucket"], self._where["Key"])
        if answer is None:
            return None
        with explained():
            content: bytes = answer["Body"].read(MAX_BYTES + 1)
        age = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]) - answer["LastModified"]
        return Stored(decode(content, self.name), answer["ETag"], age)

    def write(self, text: str, read: Stored | None) -> Stored:
        """Put `text` in the place of what was `read`; None: only if there is nothing yet."""
        from botocore.exceptions import ClientError

        client = self._session.client("s3")
        condition = {"IfMatch": read.version} if read else {"IfNoneMatch": "*"}
        with explained():
            try:
                answer = client.put_object(**self._object(text), **condition)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") not in _CHANGED:
                    raise
                now = self.read()
                # S3 had taken the text, its response was lost, and botocore sent the request again.
                if now and now.text == text:
                    return now
                raise self._changed(self.name) from error
        return Stored(text, answer["ETag"])

    def put(self, text: str) -> None:
        """Put `text` there, whatever there is."""
        client = self._session.client("s3")
        with explained():
            client.put_object(**self._object(text))

    def _object(self, text: str) -> dict[str, Any]:
        return {**self._where, "Body": text.encode(), "ContentType": self._content_type}
