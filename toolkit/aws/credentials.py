"""Registry credentials from AWS: ECR's own tokens, and secrets in Secrets Manager."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from toolkit.aws.explain import explained
from toolkit.aws.session import AwsSession
from toolkit.errors import ToolkitError
from toolkit.oci.auth import Credential
from toolkit.oci.docker_config import registry_of
from toolkit.oci.errors import CredentialUnusable
from toolkit.oci.reference import ECR_HOST_PART

# An ECR host contains its region in every partition. The domain must be one of AWS, because anybody can own a host
# such as `123456789012.dkr.ecr.eu-west-1.evil.example`.
_AWS_DOMAIN = (
    r"(?:amazonaws\.com(?:\.cn)?|amazonaws\.eu|on\.aws|on\.amazonwebservices\.(?:com\.cn|eu)"
    r"|c2s\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)"
)
_ECR_HOST = re.compile(rf"\d{{12}}{ECR_HOST_PART}([a-z0-9-]+)\.{_AWS_DOMAIN}")
# A token is valid for 12 h; a copy may start a minute before it expires and then upload for an hour.
_RENEW_BEFORE_SECONDS = 3600.0
# A token that is refused within this time lacks a right, and another token would lack it too. A failure to get a token
# is kept for the same time. AWS is therefore not called once per request.
_FRESH_SECONDS = 60.0


def ecr_region(registry: str) -> str | None:
    """The region of an ECR host, None for any other host."""
    match = _ECR_HOST.fullmatch(registry)
    return match.group(1) if match else None


@dataclass(frozen=True, slots=True)
class _Response:
    """A token, or why AWS issued none."""

    credential: Credential | CredentialUnusable
    obtained: float
    expires: float


class EcrCredentials:
    """ECR's token for every `*.dkr.ecr.*` host, one per region, renewed an hour before it expires; thread-safe.

    A token that was refused is renewed too, unless it is so new that another one would be refused as well.
    """

    def __init__(self, session: AwsSession, *, clock: Callable[[], float] = time.time) -> None:
        self._session = session
        self._clock = clock
        self._lock = threading.Lock()
        self._responses: dict[str, _Response] = {}

    def credential_for(self, registry: str, path: str = "") -> Credential | None:
        """User `AWS` and the token; None for a host that is not ECR. Raises CredentialUnusable."""
        region = ecr_region(registry)
        if region is None:
            return None
        with self._lock:
            known = self._responses.get(region)
            if known is None or known.expires - _RENEW_BEFORE_SECONDS <= self._clock():
                known = self._responses[region] = self._fetch(region)
            return _usable(known.credential)

    def forget(self, registry: str) -> None:
        """Make the next `credential_for` get a new token, unless the current one is too new."""
        region = ecr_region(registry)
        with self._lock:
            known = self._responses.get(region or "")
            if known is not None and self._clock() >= known.obtained + _FRESH_SECONDS:
                del self._responses[region or ""]

    def _fetch(self, region: str) -> _Response:
        obtained = self._clock()
        try:
            with _aws_failures_as_unusable():
                data = self._session.client("ecr", region).get_authorization_token()["authorizationData"][0]
        except CredentialUnusable as fault:
            return _Response(fault, obtained, obtained + _FRESH_SECONDS + _RENEW_BEFORE_SECONDS)
        username, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
        return _Response(Credential(username, password), obtained, data["expiresAt"].timestamp())


class SecretsManagerCredentials:
    """Credentials from secrets `{"username": …, "password": …, "hosts": […]}`, each read once per run.

    `secrets` maps a registry host to the ARN of its secret. `hosts` are the registries to which the secret may be sent.
    The secret itself must list them, because the author of a manifest can combine any readable secret with any
    registry.
    """

    def __init__(self, session: AwsSession, secrets: Mapping[str, str]) -> None:
        self._session = session
        self._secrets = dict(secrets)
        self._lock = threading.Lock()
        self._known: dict[str, Credential | CredentialUnusable] = {}

    def credential_for(self, registry: str, path: str = "") -> Credential | None:
        """The credential in the registry's secret; None if it has no secret. Raises CredentialUnusable."""
        arn = self._secrets.get(registry)
        if arn is None:
            return None
        with self._lock:
            if registry not in self._known:
                try:
                    self._known[registry] = self._fetch(arn)
                except CredentialUnusable as fault:
                    self._known[registry] = fault
            return _usable(self._known[registry])

    def _fetch(self, arn: str) -> Credential:
        with _aws_failures_as_unusable():
            client = self._session.client("secretsmanager", arn.split(":")[3])
            text = client.get_secret_value(SecretId=arn).get("SecretString", "")
        try:
            document = json.loads(text)
            hosts = document["hosts"]
            if not isinstance(hosts, list) or not hosts:
                raise ValueError
            return Credential(
                str(document["username"]),
                str(document["password"]),
                origin=f"secret `{arn}`",
                hosts=frozenset(registry_of(str(host)) for host in hosts),
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            # The secret's text must not reach the message, not even by a chained error.
            raise CredentialUnusable(
                f"the secret `{arn}` is not a JSON object with `username`, `password` and the `hosts` that it is for",
                hint='store it as {"username": "…", "password": "…", "hosts": ["docker.io"]}',
                code="aws.secret_unusable",
            ) from None


def _usable(credential: Credential | CredentialUnusable) -> Credential:
    if isinstance(credential, CredentialUnusable):
        raise credential
    return credential


@contextmanager
def _aws_failures_as_unusable() -> Iterator[None]:
    """Turn a failure of AWS into CredentialUnusable, which fails the images that need the credential, not the run."""
    try:
        with explained():
            yield
    except ToolkitError as error:
        raise CredentialUnusable(error.message, hint=error.hint, code=error.code) from error
