"""Credentials for registries that AWS hands out: ECR's own token, and what Secrets Manager keeps."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Mapping

from toolkit.aws.explain import explained
from toolkit.aws.session import AwsSession
from toolkit.errors import AccessDenied
from toolkit.oci.auth import Credential

# The host names its region in every partition and in the dual-stack form (`dkr-ecr`).
_ECR_HOST = re.compile(r"^\d{12}\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.")
# The token lives 12 h; a copy may well start one minute before it ends and then upload for an hour.
_RENEW_BEFORE_SECONDS = 3600.0


def ecr_region(registry: str) -> str | None:
    """The region of an ECR host, None for any other host."""
    match = _ECR_HOST.match(registry)
    return match.group(1) if match else None


class EcrCredentials:
    """ECR's token for every `*.dkr.ecr.*` host, one a region, renewed an hour before it ends; thread-safe."""

    def __init__(self, session: AwsSession, *, clock: Callable[[], float] = time.time) -> None:
        self._session = session
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: dict[str, tuple[Credential, float]] = {}

    def credential_for(self, registry: str) -> Credential | None:
        """User `AWS` and the token; None for a host that is not ECR. Raises AccessDenied, Refused."""
        region = ecr_region(registry)
        if region is None:
            return None
        with self._lock:
            known = self._tokens.get(region)
            if known is None or known[1] - _RENEW_BEFORE_SECONDS <= self._clock():
                known = self._fetch(region)
                self._tokens[region] = known
            return known[0]

    def _fetch(self, region: str) -> tuple[Credential, float]:
        client = self._session.client("ecr", region)
        with explained():
            data = client.get_authorization_token()["authorizationData"][0]
        username, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
        return Credential(username, password), data["expiresAt"].timestamp()


class SecretsManagerCredentials:
    """Registry host -> ARN of a secret `{"username": …, "password": …}`; each is read once a run."""

    def __init__(self, session: AwsSession, secrets: Mapping[str, str]) -> None:
        self._session = session
        self._secrets = dict(secrets)
        self._lock = threading.Lock()
        self._known: dict[str, Credential] = {}

    def credential_for(self, registry: str) -> Credential | None:
        """The credential in the registry's secret; None where none is named. Raises AccessDenied, Refused."""
        arn = self._secrets.get(registry)
        if arn is None:
            return None
        with self._lock:
            if registry not in self._known:
                self._known[registry] = self._fetch(arn)
            return self._known[registry]

    def _fetch(self, arn: str) -> Credential:
        client = self._session.client("secretsmanager", arn.split(":")[3])
        with explained():
            text = client.get_secret_value(SecretId=arn).get("SecretString", "")
        try:
            document = json.loads(text)
            return Credential(str(document["username"]), str(document["password"]))
        except (ValueError, KeyError, TypeError):
            # The secret's text must not reach the message, not even through a chained error.
            raise AccessDenied(
                "aws.secret_unusable",
                f"the secret `{arn}` is not a JSON object with `username` and `password`",
                hint='store it as {"username": "…", "password": "…"}',
            ) from None
