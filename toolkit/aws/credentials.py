"""Registry credentials from AWS: the tokens of ECR and ECR Public, and secrets in Secrets Manager."""

from __future__ import annotations

import base64
import json
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
from toolkit.oci.reference import ECR_PUBLIC, ecr_region

# The only region that hands out tokens for `public.ecr.aws`.
_PUBLIC_REGION = "us-east-1"
# A token is valid for 12 h; a copy may start a minute before it expires and then upload for an hour.
_RENEW_BEFORE_SECONDS = 3600.0
# A token that is refused within this time lacks a right, and another token would lack it too. A failure to get a token
# is kept for the same time. AWS is therefore not called once per request.
_FRESH_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class AwsIdentity:
    """Who signs in to a registry: the role `role_arn`, the AWS profile `profile`, or else the run itself."""

    role_arn: str | None = None
    profile: str | None = None

    def __str__(self) -> str:
        if self.role_arn:
            return f"role `{self.role_arn}`"
        return f"AWS profile `{self.profile}`" if self.profile else "AWS credentials of the run"

    def session(self, own: AwsSession) -> AwsSession:
        """A session of this identity, where `own` is the run's. Raises AccessDenied, Refused."""
        if self.role_arn:
            return own.as_role(self.role_arn)
        return own.with_profile(self.profile) if self.profile else own


@dataclass(frozen=True, slots=True)
class _Response:
    """A token, or why AWS issued none."""

    credential: Credential | CredentialUnusable
    obtained: float
    expires: float


class EcrCredentials:
    """Tokens for ECR's hosts: one for each region and identity, renewed an hour before it expires; thread-safe.

    `identities` are the registries whose token another identity than the run's own gets. `public.ecr.aws` is one of
    ECR's hosts only if it is among them. A token that was refused is renewed too, unless it is so new that another one
    would be refused as well.
    """

    def __init__(
        self,
        session: AwsSession,
        identities: Mapping[str, AwsIdentity] | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._session = session
        self._identities = dict(identities or {})
        self._clock = clock
        self._lock = threading.Lock()
        self._responses: dict[tuple[str, AwsIdentity | None], _Response] = {}

    def credential_for(self, registry: str, path: str = "") -> Credential | None:
        """User `AWS` and the token; None for a host that is not ECR. Raises CredentialUnusable."""
        key = self._key(registry)
        if key is None:
            return None
        with self._lock:
            known, now = self._responses.get(key), self._clock()
            # A clock that was set back does not keep a response for longer.
            if known is None or not known.obtained <= now < known.expires - _RENEW_BEFORE_SECONDS:
                known = self._responses[key] = self._fetch(*key)
            return _usable(known.credential)

    def forget(self, registry: str) -> None:
        """Make the next `credential_for` get a new token, unless the current one is too new."""
        key = self._key(registry)
        if key is None:
            return
        with self._lock:
            known = self._responses.get(key)
            if known is not None and self._clock() >= known.obtained + _FRESH_SECONDS:
                del self._responses[key]

    def _key(self, registry: str) -> tuple[str, AwsIdentity | None] | None:
        identity = self._identities.get(registry)
        region = ECR_PUBLIC if registry == ECR_PUBLIC and identity else ecr_region(registry)
        return None if region is None else (region, identity)

    def _fetch(self, region: str, identity: AwsIdentity | None) -> _Response:
        obtained = self._clock()
        try:
            with _aws_failures_as_unusable():
                session = identity.session(self._session) if identity else self._session
                token, expires = _get_token(session, region)
        except CredentialUnusable as fault:
            return _Response(fault, obtained, obtained + _FRESH_SECONDS + _RENEW_BEFORE_SECONDS)
        username, _, password = base64.b64decode(token).decode().partition(":")
        return _Response(Credential(username, password, origin=str(identity or "")), obtained, expires)


class EcrPublicSignIn:
    """The token for `public.ecr.aws` from the run's own AWS credentials; without one, images are read anonymously.

    Anonymous readers get one image a second there, those who signed in ten. AWS is asked when the registry wants a
    token, so a run that reads nothing there asks nothing. `on_unusable` is told once why there is none.
    """

    def __init__(
        self,
        session: AwsSession,
        on_unusable: Callable[[CredentialUnusable], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tokens = EcrCredentials(session, {ECR_PUBLIC: AwsIdentity()}, clock=clock)
        self._on_unusable = on_unusable
        self._lock = threading.Lock()
        self._is_anonymous = False

    def credential_for(self, registry: str, path: str = "") -> Credential | None:
        """User `AWS` and the token; None for other hosts, and once AWS has issued none."""
        if registry != ECR_PUBLIC:
            return None
        with self._lock:
            if self._is_anonymous:
                return None
            try:
                return self._tokens.credential_for(registry)
            except CredentialUnusable as fault:
                self._is_anonymous = True
                self._on_unusable(fault)
                return None

    def forget(self, registry: str) -> None:
        """As for ECR."""
        if registry == ECR_PUBLIC:
            self._tokens.forget(registry)


def _get_token(session: AwsSession, region: str) -> tuple[str, float]:
    """A token as AWS encodes it, and when it expires; `region` may be `public.ecr.aws`."""
    if region == ECR_PUBLIC:
        data = session.client("ecr-public", _PUBLIC_REGION).get_authorization_token()["authorizationData"]
    else:
        data = session.client("ecr", region).get_authorization_token()["authorizationData"][0]
    return data["authorizationToken"], data["expiresAt"].timestamp()


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
