"""The AWS session of a run: one region, its clients made on first use and shared by all threads."""

from __future__ import annotations

import threading
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


class AwsSession:
    """boto3's default credential chain, seen through one region. Clients are thread-safe, making them is not."""

    def __init__(self, region: str) -> None:
        self.region = region
        self._lock = threading.Lock()
        self._session: boto3.session.Session | None = None
        self._clients: dict[tuple[str, str], Any] = {}

    @overload
    def client(self, service: Literal["ecr"], region: str | None = None) -> ECRClient: ...
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
    def client(self, service: Any, region: str | None = None) -> Any:
        """The client of `service` in `region` (the session's own without one). Raises AccessDenied, Refused."""
        key = (service, region or self.region)
        with self._lock, explained():
            if key not in self._clients:
                self._session = self._session or self._open()
                self._clients[key] = self._make(self._session, *key)
            return self._clients[key]

    @staticmethod
    def _open() -> boto3.session.Session:
        """A session whose credentials were looked for: a client would do it later, among faults of another kind."""
        import boto3

        session = boto3.session.Session()
        try:
            session.get_credentials()
        except (ValueError, AttributeError) as error:
            # botocore has no class of its own for what a program or a file says that is no credential.
            raise explain_credentials(error) from error
        return session

    @staticmethod
    def _make(session: boto3.session.Session, service: Any, region: str) -> Any:
        try:
            return session.client(service, region_name=region, config=_config(service))
        except ValueError as error:
            # botocore has no class of its own for an endpoint that is no address.
            raise Refused(
                "aws.endpoint_unusable",
                f"no client can be made for `{service}`: {error}",
                hint="write AWS_ENDPOINT_URL as a whole address, with `https://`, or unset it",
            ) from error

    def account_id(self) -> str:
        """The account that the credentials belong to. Raises AccessDenied, Refused."""
        client = self.client("sts")
        with explained():
            return client.get_caller_identity()["Account"]


def _config(service: str) -> Config:
    """`standard` retries throttling and resets with back-off; the seeder's threads share one client a service.

    Every call is a short one: what has not answered after these seconds is a firewall or a dead endpoint, and boto3's
    own minute, times the attempts, would pass before a word is said. Each run asks STS first, so it is there that a
    wrong network shows.
    """
    from botocore.config import Config

    is_first = service == "sts"
    return Config(
        retries={"mode": "standard", "total_max_attempts": 3 if is_first else 5},
        max_pool_connections=32,
        connect_timeout=5,
        read_timeout=10 if is_first else 20,
    )
