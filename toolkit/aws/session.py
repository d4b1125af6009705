"""The AWS session of a run: one region; clients are made on first use and shared by all threads."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, overload

from toolkit.aws.explain import explain_credentials, explained
from toolkit.errors import Refused

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config
    from mypy_boto3_codebuild import CodeBuildClient
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sts import STSClient

# What CloudTrail shows of a session with a role.
_ROLE_SESSION = "base-image-toolkit"


class AwsSession:
    """One region, and boto3's default credential chain, unless a profile or the keys of a role stand in for it.

    Clients are thread-safe; making them is not, hence the lock.
    """

    def __init__(self, region: str, *, profile: str | None = None, role_keys: Mapping[str, str] | None = None) -> None:
        self.region = region
        self._chosen: dict[str, Any] = {"profile_name": profile} if profile else dict(role_keys or {})
        self._lock = threading.Lock()
        self._session: boto3.session.Session | None = None
        self._clients: dict[tuple[str, str], Any] = {}

    @overload
    def client(self, service: Literal["ecr"], region: str | None = None) -> ECRClient: ...
    @overload
    def client(self, service: Literal["ecr-public"], region: str | None = None) -> Any: ...
    @overload
    def client(self, service: Literal["sts"], region: str | None = None) -> STSClient: ...
    @overload
    def client(self, service: Literal["iam"], region: str | None = None) -> IAMClient: ...
    @overload
    def client(self, service: Literal["logs"], region: str | None = None) -> CloudWatchLogsClient: ...
    @overload
    def client(self, service: Literal["codebuild"], region: str | None = None) -> CodeBuildClient: ...
    @overload
    def client(self, service: Literal["secretsmanager"], region: str | None = None) -> SecretsManagerClient: ...
    @overload
    def client(
        self,
        service: Literal["s3", "dynamodb", "service-quotas", "cloudwatch", "events", "scheduler"],
        region: str | None = None,
    ) -> Any: ...
    def client(self, service: Any, region: str | None = None) -> Any:
        """The client of `service` in `region`, by default the session's. Raises AccessDenied, Refused."""
        key = (service, region or self.region)
        with self._lock, explained():
            if key not in self._clients:
                self._session = self._session or self._open()
                self._clients[key] = self._make(self._session, *key)
            return self._clients[key]

    def origin(self) -> tuple[str, datetime | None, bool]:
        """Where the credentials were found, when they expire, and whether they are then renewed. Raises AccessDenied.

        botocore has no public name for the expiry.
        """
        self.client("sts")
        credentials = self._session.get_credentials() if self._session else None
        if credentials is None:
            return "", None, False
        method = credentials.method or ""
        return method, getattr(credentials, "_expiry_time", None), method != "env"

    def _open(self) -> boto3.session.Session:
        """A session that has looked up its credentials, so that faults of their source are caught here."""
        import boto3

        session = boto3.session.Session(**self._chosen)
        try:
            session.get_credentials()
        except (ValueError, AttributeError) as error:
            # botocore has no exception of its own for a program or file whose content is not a credential.
            raise explain_credentials(error) from error
        return session

    @staticmethod
    def _make(session: boto3.session.Session, service: Any, region: str) -> Any:
        try:
            return session.client(service, region_name=region, config=_config(service))
        except ValueError as error:
            # botocore has no exception of its own for an endpoint that is not a URL.
            raise Refused(
                "aws.endpoint_unusable",
                f"the endpoint of `{service}` is not usable: {error}",
                hint="write AWS_ENDPOINT_URL as a complete URL that begins with `https://`, or unset it",
            ) from error

    def with_profile(self, name: str) -> AwsSession:
        """A session with the credentials of an AWS profile."""
        return AwsSession(self.region, profile=name)

    def as_role(self, arn: str) -> AwsSession:
        """A session with the rights of a role, for an hour. Raises AccessDenied, Refused."""
        client = self.client("sts")
        with explained():
            keys = client.assume_role(RoleArn=arn, RoleSessionName=_ROLE_SESSION)["Credentials"]
        return AwsSession(
            self.region,
            role_keys={
                "aws_access_key_id": keys["AccessKeyId"],
                "aws_secret_access_key": keys["SecretAccessKey"],
                "aws_session_token": keys["SessionToken"],
            },
        )

    def account_id(self) -> str:
        """The account that the credentials belong to. Raises AccessDenied, Refused."""
        client = self.client("sts")
        with explained():
            return client.get_caller_identity()["Account"]


def partition_of(region: str) -> tuple[str, str]:
    """The AWS partition of a region and the suffix of its domains; those of `aws` for a region that is not known."""
    from botocore.session import get_session

    for partition in get_session().get_data("partitions")["partitions"]:
        if re.fullmatch(partition["regionRegex"], region):
            return partition["id"], partition["outputs"]["dnsSuffix"]
    return "aws", "amazonaws.com"


def _config(service: str) -> Config:
    """The mode `standard` retries throttling and connection resets with back-off; all threads share one client.

    Every call is short: no response after these seconds means a firewall or a dead endpoint. With boto3's default of a
    minute per attempt, the user would wait minutes for the first message. Each run calls STS first, so a network fault
    shows there. Without ECR Public's token a run goes on.
    """
    from botocore.config import Config

    is_brief = service in ("sts", "ecr-public")
    return Config(
        retries={"mode": "standard", "total_max_attempts": 3 if is_brief else 5},
        max_pool_connections=32,
        connect_timeout=5,
        read_timeout=10 if is_brief else 20,
    )
