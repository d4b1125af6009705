"""What a manifest of a stranger can do with the pipeline's credentials for registries: send none of them astray."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.faulty_registry import FaultyRegistry, Reply, Seen, as_json, faulty_registry, refused
from toolkit.cli.wiring import open_client
from toolkit.errors import ManifestUnusable
from toolkit.oci.auth import CredentialUse
from toolkit.oci.digest import Digest
from toolkit.oci.errors import CredentialUnusable, Unauthorized
from toolkit.oci.media_types import OCI_MANIFEST
from toolkit.oci.reference import Reference
from toolkit.plan.desired import DesiredRegistry

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub-AbCdEf"
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
FOUND = Reply(200, {"Docker-Content-Digest": str(Digest.of(b"x")), "Content-Type": OCI_MANIFEST, "Content-Length": "1"})
WITHHELD = "was not sent there because it does not belong to that host"
USER, PASSWORD = "TOOLKIT_REGISTRY_HUB_USER", "TOOLKIT_REGISTRY_HUB_TOKEN"


def basic(pair: str) -> str:
    return base64.b64encode(pair.encode()).decode()


class Aws:
    """As much of a session as credentials need."""

    def __init__(self) -> None:
        self.secret: dict[str, object] = {"username": "me", "password": "s3cret", "hosts": ["docker.io"]}

    def client(self, service: str, region: str) -> Aws:
        return self

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:
        return {"SecretString": json.dumps(self.secret)}


@pytest.fixture
def server() -> Iterator[FaultyRegistry]:
    with faulty_registry() as running:
        yield running


@pytest.fixture(params=["basic", "bearer"])
def thief(request: pytest.FixtureRequest, server: FaultyRegistry) -> FaultyRegistry:
    """Wants a credential for everything, in either way."""
    challenge = f'Bearer realm="{server.url}/token"' if request.param == "bearer" else "Basic"

    def guard(seen: Seen) -> Reply:
        return FOUND if seen.authorization else refused(401, "UNAUTHORIZED", "", {"WWW-Authenticate": challenge})

    for name in ("library/nginx", "nginx"):
        server.on("HEAD", f"/v2/{name}/manifests/1", guard)
    server.on("GET", "/token", lambda seen: as_json({"token": "t"}) if seen.authorization else Reply(401))
    return server


Look = Callable[..., tuple[CredentialUse, ...]]


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    """Asks for an image as a run with this manifest does; which credentials were sent where."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("TOOLKIT_REGISTRY_ENDPOINTS", raising=False)

    def asked(
        source: str, *registries: DesiredRegistry, logins: dict[str, str] | None = None, aws: Aws | None = None
    ) -> tuple[CredentialUse, ...]:
        auths = {host: {"auth": basic(pair)} for host, pair in (logins or {}).items()}
        (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
        known = {registry.host: registry for registry in registries}
        client = open_client([].append, aws or Aws(), known, jobs=1)  # type: ignore[arg-type]  # as much as is used
        assert client.head_manifest(Reference.parse(source)) is not None
        return client.credential_uses()

    return asked


def sent(server: FaultyRegistry) -> set[str]:
    """Every `Authorization` that the server got, but for the tokens that it gave itself."""
    return {seen.authorization for seen in server.seen if seen.authorization} - {"Bearer t"}


def test_a_stored_login_does_not_follow_an_endpoint_of_the_manifest(thief: FaultyRegistry, look: Look) -> None:
    with pytest.raises(Unauthorized, match=WITHHELD) as caught:
        look("nginx:1", DesiredRegistry("docker.io", endpoint=thief.url), logins={"docker.io": "me:s3cret"})
    assert "TOOLKIT_REGISTRY_ENDPOINTS" in (caught.value.hint or "")
    assert sent(thief) == set()


def test_the_environment_may_send_it_there(thief: FaultyRegistry, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLKIT_REGISTRY_ENDPOINTS", f"docker.io={thief.url}")
    uses = look("nginx:1", logins={"docker.io": "me:s3cret"})
    assert sent(thief) == {f"Basic {basic('me:s3cret')}"}
    assert uses == (CredentialUse("docker.io", thief.host, "docker config (`docker.io`)"),)


def test_a_mirror_gets_the_login_that_is_its_own(thief: FaultyRegistry, look: Look) -> None:
    logins = {"docker.io": "me:s3cret", thief.host: "you:m1rr0r-s3cret"}
    uses = look("nginx:1", DesiredRegistry("docker.io", endpoint=thief.url), logins=logins)
    assert sent(thief) == {f"Basic {basic('you:m1rr0r-s3cret')}"}
    assert uses == (CredentialUse("docker.io", thief.host, f"docker config (`{thief.host}`)"),)


def test_no_token_of_the_right_token_server_goes_to_a_wrong_registry(look: Look) -> None:
    """The endpoint of a manifest challenges with the real realm, and would be given what comes from there."""
    with faulty_registry() as right, faulty_registry() as wrong:
        challenge = {"WWW-Authenticate": f'Bearer realm="{right.url}/token"'}
        wrong.on("HEAD", "/v2/nginx/manifests/1", refused(401, "UNAUTHORIZED", "", challenge))
        right.on("GET", "/token", lambda seen: as_json({"token": "full"}) if seen.authorization else Reply(401))
        with pytest.raises(Unauthorized, match=WITHHELD):
            look(
                f"{right.host}/nginx:1",
                DesiredRegistry(right.host, endpoint=wrong.url),
                logins={right.host: "me:s3cret"},
            )
        assert sent(right) == sent(wrong) == set()


@pytest.mark.parametrize("hosts", [["docker.io"], ["quay.io", "mirror.example"]])
def test_a_secret_goes_only_where_it_says_itself(thief: FaultyRegistry, look: Look, hosts: list[str]) -> None:
    aws = Aws()
    aws.secret = {**aws.secret, "hosts": hosts}
    with pytest.raises(Unauthorized, match=WITHHELD):
        look("nginx:1", DesiredRegistry("docker.io", endpoint=thief.url, secret_arn=ARN), aws=aws)
    with pytest.raises(Unauthorized, match=WITHHELD):
        look(f"{thief.host}/nginx:1", DesiredRegistry(thief.host, secret_arn=ARN), aws=aws)
    assert sent(thief) == set()


def test_a_secret_may_name_the_mirror(thief: FaultyRegistry, look: Look) -> None:
    aws = Aws()
    aws.secret = {**aws.secret, "hosts": [thief.host]}
    uses = look("nginx:1", DesiredRegistry("docker.io", endpoint=thief.url, secret_arn=ARN), aws=aws)
    assert sent(thief) == {f"Basic {basic('me:s3cret')}"}
    assert uses == (CredentialUse("docker.io", thief.host, f"secret `{ARN}`"),)


def test_a_secret_of_something_else_is_not_sent_at_all(thief: FaultyRegistry, look: Look) -> None:
    """The secret of an RDS database has a user name and a password too."""
    aws = Aws()
    aws.secret = {"username": "me", "password": "s3cret", "engine": "mysql", "host": "db.example"}
    with pytest.raises(CredentialUnusable, match="`hosts` that it is for"):
        look(f"{thief.host}/nginx:1", DesiredRegistry(thief.host, secret_arn=ARN), aws=aws)
    assert sent(thief) == set()


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "HUB_TOKEN", "TOOLKIT_PLAN_KEY"])
def test_a_variable_that_is_not_for_registries_ends_the_run_before_a_request(
    thief: FaultyRegistry, look: Look, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "s3cret")
    monkeypatch.setenv("TOOLKIT_CREDENTIAL_VARIABLES", "GITHUB_TOKEN, AWS_SECRET_ACCESS_KEY")
    asked = DesiredRegistry(thief.host, username_env=USER, password_env=name)
    with pytest.raises(ManifestUnusable) as caught:
        look(f"{thief.host}/nginx:1", asked)
    assert caught.value.code == "manifest.credential_variable"
    assert f"`registries.{thief.host}.credential.env.password`" in caught.value.message
    assert thief.seen == []


def test_variables_for_registries_are_sent_and_named(
    thief: FaultyRegistry, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(USER, "me")
    monkeypatch.setenv("OUR_TOKEN", "s3cret")
    monkeypatch.setenv("TOOLKIT_CREDENTIAL_VARIABLES", "OUR_TOKEN")
    uses = look(f"{thief.host}/nginx:1", DesiredRegistry(thief.host, username_env=USER, password_env="OUR_TOKEN"))
    assert sent(thief) == {f"Basic {basic('me:s3cret')}"}
    assert uses == (CredentialUse(thief.host, thief.host, f"variables `{USER}` and `OUR_TOKEN`"),)


def test_variables_that_the_environment_gave_to_one_registry_go_to_no_other(
    thief: FaultyRegistry, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(USER, "me")
    monkeypatch.setenv(PASSWORD, "s3cret")
    monkeypatch.setenv("TOOLKIT_CREDENTIAL_VARIABLES", f"{PASSWORD}@docker.io")
    for source, registry in (
        (f"{thief.host}/nginx:1", DesiredRegistry(thief.host, username_env=USER, password_env=PASSWORD)),
        ("nginx:1", DesiredRegistry("docker.io", endpoint=thief.url, username_env=USER, password_env=PASSWORD)),
    ):
        with pytest.raises(Unauthorized, match=WITHHELD):
            look(source, registry)
    assert sent(thief) == set()


def test_an_alternative_gets_no_login_but_its_own(thief: FaultyRegistry, look: Look) -> None:
    with pytest.raises(Unauthorized):
        look(f"{thief.host}/nginx:1", logins={"docker.io": "me:s3cret"})
    assert sent(thief) == set()
