"""What `doctor` asks AWS: whose credentials these are, what they may do, where the state is, which quotas hold.

Every call reads. A right that is missing is an AccessDenied, as everywhere. Shards ask for quotas too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from toolkit.aws.explain import explain, explained
from toolkit.aws.session import AwsSession
from toolkit.errors import AccessDenied, ToolkitError

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

# The caller of a session with a role; its ARN lacks the path that the role's own ARN may have.
_ROLE_SESSION = re.compile(r"arn:[^:]+:sts::\d+:assumed-role/(?P<role>[^/]+)/.+")
_USER = re.compile(r"arn:[^:]+:iam::\d+:user/.+")
_RESOURCES_A_CALL = 50
# Enabled in every account of the partition that nearly all accounts are in.
_ALWAYS_ENABLED = "us-east-1"


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose credentials a run has, and where they were found, in botocore's word (`env`, `sso`, `assume-role`).

    `expires` is None where they do not say it. They are renewed by themselves if `is_renewable`.
    """

    account_id: str
    arn: str
    source: str
    expires: datetime | None = None
    is_renewable: bool = False


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of S3; `encryption` is S3's word for it (`AES256`, `aws:kms`). None is what may not be read."""

    region: str
    is_versioned: bool | None
    encryption: str | None


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota as Service Quotas knows it, with the value that holds for this account and region."""

    name: str
    code: str
    value: float


class Statement(Protocol):
    """What a policy has to allow; `conditions` are lists of values by operator and key."""

    @property
    def actions(self) -> Sequence[str]:
        """Such as `ecr:PutImage`."""

    @property
    def resources(self) -> Sequence[str]:
        """ARNs."""

    @property
    def conditions(self) -> Mapping[str, Mapping[str, Sequence[str]]]:
        """What holds for a request."""


class RegionDisabled(AccessDenied):
    """The account accepts the credentials, and has not enabled the region."""


class Inspection:
    """AWS as `doctor` looks at it; methods raise AccessDenied or Refused when AWS returns an error."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    def endpoint(self) -> str:
        """The address of ECR's API."""
        return str(self._session.client("ecr").meta.endpoint_url)

    def identity(self) -> Identity:
        """Whose credentials these are. Raises RegionDisabled where only another region accepts them."""
        source, expires, is_renewable = self._session.origin()
        try:
            caller = self._caller()
        except AccessDenied as error:
            # A region that is not enabled knows no credentials of the account.
            if error.code != "aws.credentials_invalid" or self._session.region == _ALWAYS_ENABLED:
                raise
            try:
                self._caller(_ALWAYS_ENABLED)
            except ToolkitError:
                raise error from None
            raise RegionDisabled(
                "aws.region_disabled",
                f"the region `{self._session.region}` accepts no credentials of this account, and others do",
                hint="enable the region for this account, or correct `aws.region`",
            ) from error
        return Identity(caller["Account"], caller["Arn"], source, expires, is_renewable)

    def _caller(self, region: str | None = None) -> Any:
        client = self._session.client("sts", region)
        with explained():
            return client.get_caller_identity()

    def time(self) -> datetime:
        """AWS's own time, which comes with a refusal too."""
        from botocore.exceptions import ClientError

        client = self._session.client("sts")
        with explained():
            try:
                response: Any = client.get_caller_identity()
            except ClientError as error:
                response = error.response
        return parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])

    def simulate(self, caller: str, statements: Iterable[Statement]) -> frozenset[str]:
        """The actions among `statements` which IAM says `caller` may not do to one of their resources.

        Raises AccessDenied where IAM may not be asked, and for a caller that is no role and no user.
        """
        client = self._session.client("iam")
        with explained():
            arn = caller
            if role := _ROLE_SESSION.fullmatch(caller):
                arn = client.get_role(RoleName=role["role"])["Role"]["Arn"]
            elif not _USER.fullmatch(caller):
                raise AccessDenied("aws.access_denied", f"IAM simulates roles and users only, not `{caller}`")
            pages: Any = client.get_paginator("simulate_principal_policy")
            return frozenset(
                result["EvalActionName"]
                for statement in statements
                for start in range(0, len(statement.resources), _RESOURCES_A_CALL)
                for result in _items(
                    pages.paginate(
                        PolicySourceArn=arn,
                        ActionNames=list(statement.actions),
                        ResourceArns=list(statement.resources[start : start + _RESOURCES_A_CALL]),
                        ContextEntries=_context(statement.conditions),
                    ),
                    "EvaluationResults",
                )
                if result["EvalDecision"] != "allowed"
            )

    def bucket(self, name: str, region: str) -> Bucket | None:
        """The bucket `name`; None if it does not exist."""
        client = self._session.client("s3", region)
        with explained():
            try:
                found = client.head_bucket(Bucket=name).get("BucketRegion") or region
            except client.exceptions.ClientError as error:
                if _status(error) == 404:
                    return None
                raise _of_bucket(error, name) from error
            versioning = _if_allowed(client.get_bucket_versioning, Bucket=name)
            encryption = _if_allowed(client.get_bucket_encryption, Bucket=name)
        rules = (encryption or {}).get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
        kinds = [rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] for rule in rules]
        return Bucket(found, versioning and versioning.get("Status") == "Enabled", kinds[0] if kinds else None)

    def stored(self, bucket: str, key: str, region: str) -> str | None:
        """The text of a small object; None if it does not exist."""
        client = self._session.client("s3", region)
        with explained():
            try:
                return str(client.get_object(Bucket=bucket, Key=key)["Body"].read().decode(errors="replace"))
            except client.exceptions.ClientError as error:
                if _status(error) == 404:
                    return None
                raise

    def item(self, table: str, lock_id: str, region: str) -> str | None:
        """Terraform's `Info` in the item `lock_id` of a table for locks; None if there is none."""
        client = self._session.client("dynamodb", region)
        with explained():
            found = client.get_item(TableName=table, Key={"LockID": {"S": lock_id}}, ConsistentRead=True)
        return str(found["Item"].get("Info", {}).get("S", "{}")) if "Item" in found else None

    def quotas(self, service: str) -> Mapping[str, Quota]:
        """The quotas of a service in this account and region, by name in lower case."""
        client = self._session.client("service-quotas")
        with explained():
            pages = client.get_paginator("list_service_quotas").paginate(ServiceCode=service)
            found = [Quota(q["QuotaName"], q["QuotaCode"], q["Value"]) for q in _items(pages, "Quotas")]
        return {quota.name.lower(): quota for quota in found}


def _context(conditions: Mapping[str, Mapping[str, Sequence[str]]]) -> list[dict[str, object]]:
    """A request as the conditions want it."""
    return [
        {"ContextKeyName": key, "ContextKeyValues": list(values), "ContextKeyType": "string"}
        for keys in conditions.values()
        for key, values in keys.items()
    ]


def _items(pages: Any, field: str) -> Iterator[Any]:
    for page in pages:
        yield from page[field]


def _if_allowed(ask: Callable[..., Any], **arguments: str) -> Any:
    """What `ask` answers; None where the right is missing, which no run needs, and where nothing is set."""
    from botocore.exceptions import ClientError

    try:
        return ask(**arguments)
    except ClientError as error:
        if _status(error) not in (403, 404):
            raise
        return None


def _status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def _of_bucket(error: ClientError, name: str) -> ToolkitError:
    """S3's response to a HEAD has no words."""
    if _status(error) != 403:
        return explain(error)
    return AccessDenied(
        "aws.access_denied",
        f"AWS refused `HeadBucket` of the bucket `{name}`, which may belong to another account",
        hint="allow `s3:ListBucket` on it for this role, or correct `terraform.backend.s3`",
    )


def default_region() -> str | None:
    """The region of the environment or of the AWS profile; `us-east-1` where the profile does not exist."""
    import boto3

    try:
        with explained():
            return os.environ.get("AWS_REGION") or boto3.session.Session().region_name
    except AccessDenied:  # the check of the credentials says it
        return _ALWAYS_ENABLED


def public_cas() -> str:
    """The file of public CAs that boto3 brings along."""
    from botocore.httpsession import where

    return str(where())


def proxy_of(url: str) -> str:
    """The proxy through which botocore asks `url`, "" for none; it asks one for loopback too."""
    from botocore.utils import get_environ_proxies

    return str(get_environ_proxies(url).get(urlsplit(url).scheme, ""))
