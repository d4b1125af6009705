"""Signing in to registries of ECR: boto3 asks a stand-in of AWS, and a stand-in of the registry wants the token."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tests.support.faulty_registry import FaultyRegistry, Reply, Seen, as_json, faulty_registry, refused
from toolkit.aws.session import AwsSession
from toolkit.cli.wiring import open_client
from toolkit.events import Event, NoticeGiven
from toolkit.oci.auth import CredentialUse
from toolkit.oci.digest import Digest
from toolkit.oci.media_types import OCI_MANIFEST
from toolkit.oci.reference import Reference
from toolkit.plan.desired import DesiredRegistry

ECR = "210987654321.dkr.ecr.eu-west-1.amazonaws.com"
ROLE = "arn:aws:iam::210987654321:role/reader"
FOUND = Reply(200, {"Docker-Content-Digest": str(Digest.of(b"x")), "Content-Type": OCI_MANIFEST, "Content-Length": "1"})
ASSUMED = f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ROLEKEY</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials><AssumedRoleUser><Arn>{ROLE}</Arn>
<AssumedRoleId>x:y</AssumedRoleId></AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>"""


class Aws:
    """ECR, ECR Public and STS at one address. The token's password is the access key that asked for it."""

    def __init__(self, server: FaultyRegistry) -> None:
        self.calls: list[str] = []
        self.refuses = False
        server.on("POST", "/", self.answer)

    def answer(self, seen: Seen) -> Reply:
        role = parse_qs(seen.body.decode()).get("RoleArn")
        self.calls.append(f"AssumeRole {role[0]}" if role else seen.headers["x-amz-target"])
        if self.refuses:
            body = b'{"__type": "AccessDeniedException", "message": "not authorized"}'
            return Reply(400, {"Content-Type": "application/x-amz-json-1.1"}, body)
        if role:
            return Reply(200, {"Content-Type": "text/xml"}, ASSUMED.encode())
        key = (seen.authorization or "").partition("Credential=")[2].partition("/")[0]
        token = base64.b64encode(f"AWS:{key}".encode()).decode()
        data = {"authorizationToken": token, "expiresAt": 4_000_000_000, "proxyEndpoint": "https://x"}
        return as_json({"authorizationData": data if "Spencer" in seen.headers["x-amz-target"] else [data]})


class Registry:
    """Gives tokens to anybody, as `public.ecr.aws` does, and remembers who asked."""

    def __init__(self, server: FaultyRegistry) -> None:
        self.server = server
        self.readers: list[str | None] = []
        challenge = {"WWW-Authenticate": f'Bearer realm="{server.url}/token/",service="public.ecr.aws",scope="aws"'}

        def give(seen: Seen) -> Reply:
            self.readers.append(base64.b64decode(seen.authorization[6:]).decode() if seen.authorization else None)
            return as_json({"token": "t"})

        def guard(seen: Seen) -> Reply:
            return FOUND if seen.authorization == "Bearer t" else refused(401, "UNAUTHORIZED", headers=challenge)

        server.on("GET", "/token/", give)
        server.on("HEAD", "/v2/docker/library/nginx/manifests/1", guard)
        server.on("HEAD", "/v2/nginx/manifests/1", guard)


@pytest.fixture
def server() -> Iterator[FaultyRegistry]:
    with faulty_registry() as running:
        yield running


@pytest.fixture
def registry(server: FaultyRegistry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registry:
    monkeypatch.setenv("TOOLKIT_REGISTRY_ENDPOINTS", f"public.ecr.aws={server.url} *.dkr.ecr.*={server.url}")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "OWNKEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws"))
    (tmp_path / "aws").write_text("[profile shared]\naws_access_key_id = PROFILEKEY\naws_secret_access_key = s\n")
    return Registry(server)


@pytest.fixture
def aws(server: FaultyRegistry) -> Aws:
    return Aws(server)


def look(source: str, *registries: DesiredRegistry) -> tuple[list[Event], tuple[CredentialUse, ...]]:
    """Look an image up as a run with this manifest does; what it says, and which credentials were sent where."""
    events: list[Event] = []
    client = open_client(events.append, AwsSession("eu-west-1"), {one.host: one for one in registries}, jobs=1)
    for _ in range(2):
        assert client.head_manifest(Reference.parse(source)) is not None
    return events, client.credential_uses()


PUBLIC = "public.ecr.aws/docker/library/nginx:1"


def test_signs_in_to_ecr_public_with_the_credentials_of_the_run(registry: Registry, aws: Aws) -> None:
    events, uses = look(PUBLIC)
    assert registry.readers == ["AWS:OWNKEY"]
    assert aws.calls == ["SpencerFrontendService.GetAuthorizationToken"]
    assert (events, uses) == (
        [],
        (CredentialUse("public.ecr.aws", registry.server.host, "AWS credentials of the run"),),
    )


def test_reads_ecr_public_anonymously_without_the_right_and_says_so_once(registry: Registry, aws: Aws) -> None:
    aws.refuses = True
    events, uses = look(PUBLIC)
    assert (registry.readers, uses, len(aws.calls)) == ([None], (), 1)
    (notice,) = events
    assert isinstance(notice, NoticeGiven) and notice.code == "registry.anonymous"
    assert "`GetAuthorizationToken`: not authorized" in notice.message


def test_signs_in_with_nothing_where_the_manifest_names_the_docker_config(registry: Registry, aws: Aws) -> None:
    events, uses = look(PUBLIC, DesiredRegistry("public.ecr.aws", is_docker_config=True))
    assert (events, uses, registry.readers, aws.calls) == ([], (), [None], [])


def test_prefers_a_stored_login_for_ecr_public(registry: Registry, aws: Aws, tmp_path: Path) -> None:
    auth = base64.b64encode(b"AWS:stored").decode()
    (tmp_path / "config.json").write_text(f'{{"auths": {{"public.ecr.aws": {{"auth": "{auth}"}}}}}}')
    look(PUBLIC)
    assert (registry.readers, aws.calls) == (["AWS:stored"], [])


def test_sends_no_token_of_aws_to_a_mirror_of_ecr_public(
    registry: Registry, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLKIT_REGISTRY_ENDPOINTS", "public.ecr.aws=http://mirror.invalid")
    monkeypatch.setenv("HTTP_PROXY", registry.server.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    registry.server.on("HEAD", "/v2/docker/library/nginx/manifests/1", FOUND)
    look(PUBLIC)
    assert (registry.readers, aws.calls) == ([], [])


@pytest.mark.parametrize(
    ("chosen", "reader", "said"),
    [
        (DesiredRegistry(ECR, role_arn=ROLE), "AWS:ROLEKEY", f"role `{ROLE}`"),
        (DesiredRegistry(ECR, profile="shared"), "AWS:PROFILEKEY", "AWS profile `shared`"),
    ],
    ids=["role", "profile"],
)
def test_signs_in_as_the_identity_of_one_registry(
    registry: Registry, aws: Aws, chosen: DesiredRegistry, reader: str, said: str
) -> None:
    _, uses = look(f"{ECR}/nginx:1", chosen)
    assert registry.readers == [reader]
    assert uses == (CredentialUse(ECR, registry.server.host, said),)
    registry.readers.clear()
    look(f"{ECR.replace('2', '3')}/nginx:1", chosen)
    assert registry.readers == ["AWS:OWNKEY"]


@pytest.mark.parametrize("said", [{"role_arn": ROLE}, {"profile": "shared"}], ids=["role", "profile"])
def test_sends_no_token_of_a_role_to_an_endpoint_of_the_manifest(
    registry: Registry, aws: Aws, said: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOOLKIT_REGISTRY_ENDPOINTS")
    _, uses = look(f"{ECR}/nginx:1", DesiredRegistry(ECR, endpoint=registry.server.url, **said))  # type: ignore[arg-type]  # texts
    assert (registry.readers, uses) == ([None], ())
