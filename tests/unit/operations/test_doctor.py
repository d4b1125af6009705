"""What doctor makes of faults: real ones where this machine can have them, and tables for the rest."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.support.certificates import self_signed
from tests.support.faulty_registry import FaultyRegistry, Reply, Seen, as_json, faulty_registry, refused
from toolkit.aws.inspection import Bucket, Identity, Quota, public_cas
from toolkit.cli.wiring import Settings, open_tools
from toolkit.errors import AccessDenied, Refused, TerraformFailed
from toolkit.events import Event
from toolkit.oci.client import Ping, PullLimit, RegistryClient
from toolkit.oci.endpoints import Endpoints, own_url
from toolkit.oci.reference import DOCKER_HUB, Reference
from toolkit.oci.subset import WHOLE
from toolkit.oci.transport import Transport
from toolkit.operations import doctor
from toolkit.operations.doctor import Folder, examine, judge_manifest, refuse_failed
from toolkit.plan.desired import Desired, DesiredImage, DesiredRepository, ProviderNeed, S3Backend
from toolkit.report import CheckState as State
from toolkit.report import Finding
from toolkit.terraform.explain import StateLock

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
ARN = "arn:aws:sts::123456789012:assumed-role/pipeline/42"
IDENTITY = Identity("123456789012", ARN, "env")
BACKEND = S3Backend("acme-state", "k.tfstate", "eu-west-1")
GIGABYTE = 10**9
DIGEST = "sha256:" + "a" * 64
HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


def one(findings: Iterator[Finding] | Finding) -> Finding:
    return findings if isinstance(findings, Finding) else next(iter(findings))


def quota(name: str, value: float) -> dict[str, Quota]:
    return {name.lower(): Quota(name, "L-1", value)}


@dataclass(frozen=True)
class Build:
    environment_type: str
    compute_type: str = "BUILD_GENERAL1_SMALL"


SMALL = "Concurrently running builds for Linux/Small environment"
PUT = "Rate of PutImage requests"


@pytest.mark.parametrize(
    ("finding", "state", "words"),
    [
        (doctor.judge_dependencies(["boto3>=1.41", "x>=9; extra == 'dev'"], lambda _: "1.41.0"), State.OK, "Python"),
        (doctor.judge_dependencies(["boto3>=1.41"], lambda _: "1.9.300"), State.FAILED, "`boto3` is 1.9.300"),
        (doctor.judge_dependencies(["moto[server]>=5.2"], lambda _: ""), State.FAILED, "`moto` is missing"),
        (doctor.judge_open_files(1024), State.OK, "1,024"),
        (doctor.judge_open_files(-1), State.OK, "any number"),
        (doctor.judge_open_files(64), State.WARNING, "64"),
        (doctor.judge_folder("work_dir", GIGABYTE, Folder(Path("w"), free=2 * GIGABYTE)), State.OK, "2.0 GB"),
        (doctor.judge_folder("work_dir", GIGABYTE, Folder(Path("w"), free=GIGABYTE // 2)), State.WARNING, "1.0 GB"),
        (doctor.judge_folder("work_dir", GIGABYTE, Folder(Path("w"), free=1000)), State.FAILED, "0.0 GB"),
        (doctor.judge_folder("temp_dir", 1, Folder(Path("w"), "`w` cannot be written")), State.FAILED, "written"),
        (doctor.judge_proxy({"https://quay.io": "", "http://169.254.169.254": ""}, []), State.OK, "no proxy"),
        (
            doctor.judge_proxy({"https://quay.io": "http://me:hunter2@proxy:3128", "https://ghcr.io": ""}, []),
            State.OK,
            "`quay.io` through `proxy:3128`; `ghcr.io` directly",
        ),
        (doctor.judge_proxy({"http://169.254.169.254": "http://proxy:3128"}, []), State.WARNING, "169.254.169.254"),
        (doctor.judge_proxy({"http://127.0.0.1:5000": "http://proxy:3128"}, []), State.WARNING, "127.0.0.1:5000"),
        (doctor.judge_proxy({"https://quay.io": ""}, ["https_proxy"]), State.WARNING, "upper case"),
        (doctor.judge_provider("6.8.0", "a mirror", [ProviderNeed("x", (6, 8))], is_lost=False), State.OK, "6.8.0"),
        (doctor.judge_provider("5.100.0", "", [ProviderNeed("x", (6, 8))], is_lost=False), State.FAILED, "needs 6.8"),
        (doctor.judge_provider("5.100.0", "", [], is_lost=True), State.WARNING, "no lock file"),
        (doctor.judge_clock({"AWS": 2, "quay.io": -400}), State.OK, "agrees"),
        (doctor.judge_clock({"AWS": 400}), State.FAILED, "400 s ahead of AWS"),
        (doctor.judge_clock({"quay.io": -90, "ghcr.io": 1}), State.WARNING, "90 s behind `quay.io`"),
        (doctor.judge_tls(Ping("h", 200, "Public CA"), is_opened=False, has_bundle=False), State.OK, "Public CA"),
        (doctor.judge_tls(Ping("h", 200, "Acme CA"), is_opened=True, has_bundle=False), State.WARNING, "Acme CA"),
        (doctor.judge_tls(Ping("h", 200, "Acme CA"), is_opened=True, has_bundle=True), State.OK, "Acme CA"),
        (doctor.judge_pulls(None, 5, is_signed_in=True), State.OK, "counts no pulls"),
        (
            doctor.judge_pulls(PullLimit(100, 76, 21600, "203.0.113.7"), 5, is_signed_in=False),
            State.OK,
            "76 of 100 pulls in 6 h are left of the address `203.0.113.7`",
        ),
        (
            doctor.judge_pulls(PullLimit(200, 3, 21600, "a6dd0d11"), 5, is_signed_in=True),
            State.WARNING,
            "of the account `a6dd0d11`, and the manifest's 5 images",
        ),
        (doctor.judge_pulls(PullLimit(100, 0, 21600, "::1"), 0, is_signed_in=False), State.WARNING, "0 of 100"),
        (doctor.judge_identity(IDENTITY, NOW), State.OK, "without an expiry"),
        (
            doctor.judge_identity(replace(IDENTITY, expires=NOW + timedelta(minutes=5)), NOW),
            State.WARNING,
            "in 5 min",
        ),
        (doctor.judge_identity(replace(IDENTITY, expires=NOW + timedelta(hours=5)), NOW), State.OK, "17:00 UTC"),
        (
            doctor.judge_identity(replace(IDENTITY, expires=NOW + timedelta(minutes=5), is_renewable=True), NOW),
            State.OK,
            "renewed",
        ),
        (doctor.judge_account(None, "123456789012"), State.OK, "any account"),
        (doctor.judge_account("123456789012", "123456789012"), State.OK, "as the manifest wants"),
        (doctor.judge_account("210987654321", "123456789012"), State.FAILED, "the manifest is for `210987654321`"),
        (
            doctor.judge_simulation(IDENTITY, {"plan": frozenset(), "apply": frozenset()}),
            State.OK,
            "plan and apply need",
        ),
        (
            doctor.judge_simulation(IDENTITY, {"plan": frozenset(), "apply": frozenset({"ecr:PutImage"})}),
            State.WARNING,
            "what apply needs: `ecr:PutImage`; plan is allowed",
        ),
        (
            doctor.judge_simulation(IDENTITY, {"plan": frozenset("abcdefg"), "apply": frozenset("a")}),
            State.FAILED,
            "`e` and 2 more",
        ),
        (doctor.judge_calls({"ecr:PutImage": None}, "docker-hub/library/nginx"), State.OK, "that was cancelled"),
        (doctor.judge_calls({"x": AccessDenied("aws.access_denied", "no")}, ""), State.FAILED, "1 failed (`x`): no"),
        (doctor.judge_local_state(is_pipeline=False), State.OK, "a file"),
        (doctor.judge_local_state(is_pipeline=True), State.WARNING, "a pipeline loses"),
        (doctor.judge_bucket(BACKEND, None), State.FAILED, "does not exist"),
        (doctor.judge_bucket(BACKEND, Bucket("us-east-1", True, "AES256")), State.FAILED, "is in `us-east-1`"),
        (doctor.judge_bucket(BACKEND, Bucket("eu-west-1", False, "aws:kms")), State.WARNING, "without versioning"),
        (doctor.judge_bucket(BACKEND, Bucket("eu-west-1", None, None)), State.OK, "may not be read"),
        (doctor.judge_bucket(BACKEND, Bucket("eu-west-1", True, "aws:kms")), State.OK, "encrypted with aws:kms"),
        (doctor.judge_lock({}, ["`k.tflock`"]), State.OK, "nobody"),
        (doctor.judge_lock({"`k`": StateLock("ann@build", NOW)}, []), State.WARNING, "since 2026-11-30 12:00 UTC"),
        (doctor.judge_lock({"`k`": doctor.read_lock("no JSON")}, []), State.WARNING, "`somebody` holds"),
        (one(doctor.judge_ecr_quotas(quota("Registered repositories", 10), 4, 6, 8)), State.OK, "4 of 10"),
        (one(doctor.judge_ecr_quotas(quota("Registered repositories", 10), 5, 6, 8)), State.WARNING, "6 are to be"),
        (one(doctor.judge_ecr_quotas(quota(PUT, 10), 0, 0, 8)), State.OK, "10 image manifests"),
        (one(doctor.judge_ecr_quotas(quota(PUT, 10), 0, 0, 20)), State.WARNING, "writes up to 20"),
        (one(doctor.judge_build_quotas(quota(SMALL, 2), [Build("LINUX_CONTAINER")] * 2)), State.OK, "2 builds"),
        (one(doctor.judge_build_quotas(quota(SMALL, 1), [Build("LINUX_CONTAINER")] * 2)), State.WARNING, "others wait"),
        (one(doctor.judge_build_quotas(quota(SMALL, 0), [Build("LINUX_CONTAINER")])), State.WARNING, "no build starts"),
        (one(doctor.judge_build_quotas(quota(SMALL, 9), [Build("ARM_EC2")])), State.SKIPPED, "does not list"),
        (
            one(
                doctor.judge_build_quotas(
                    quota("Concurrently running builds for Linux GPU Large environment", 0),
                    [Build("LINUX_GPU_CONTAINER", "BUILD_GENERAL1_LARGE")],
                )
            ),
            State.WARNING,
            "no build starts",
        ),
    ],
)
def test_judges(finding: Finding, state: State, words: str) -> None:
    assert finding.state is state, finding
    assert words in finding.reason
    assert bool(finding.cure) == (state in (State.WARNING, State.FAILED))
    assert "hunter2" not in str(finding)


@pytest.mark.parametrize(
    ("failed", "kind"),
    [
        ([], None),
        ([Finding("a", State.FAILED, "", is_denied=True)], AccessDenied),
        ([Finding("a", State.FAILED, "", is_denied=True), Finding("b", State.FAILED, "")], Refused),
    ],
)
def test_exits_with_4_if_rights_are_all_that_is_missing(failed: Sequence[Finding], kind: type | None) -> None:
    findings = [Finding("x", State.WARNING, "", is_denied=True), *failed]
    if kind is None:
        refuse_failed(findings)
        return
    with pytest.raises(kind) as raised:
        refuse_failed(findings)
    assert raised.value.code == "doctor.failed"


# A whole examination, whose AWS and registry are one scripted server


class Surroundings:
    """The sunny day; a test spoils one thing of it."""

    def __init__(self, server: FaultyRegistry, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.aws: dict[str, Callable[[Seen], Reply]] = {
            "GetCallerIdentity": lambda _: Reply(body=CALLER.encode()),
            "GetAuthorizationToken": lambda _: as_json(
                {
                    "authorizationData": [
                        {
                            "authorizationToken": "QVdTOnNlY3JldA==",
                            "proxyEndpoint": f"https://{HOST}",
                            "expiresAt": 2e9,
                        }
                    ]
                }
            ),
            "DescribeRepositories": lambda _: as_json({"repositories": []}),
            "ListServiceQuotas": lambda _: as_json({"Quotas": []}),
        }
        server.on("POST", "/", self._answer_aws)
        server.on("GET", "/v2/", Reply(401))
        server.on("HEAD", "/v2/one/manifests/1", HEAD)
        server.on("HEAD", "/v2/one/manifests/latest", refused(404, "NAME_UNKNOWN"))
        self.terraform("1.11.4")

    def terraform(self, version: str) -> None:
        script = self.folder / "terraform"
        lock = 'provider \\"registry.terraform.io/hashicorp/aws\\" {\\n  version = \\"5.100.0\\"\\n}\\n'
        script.write_text(
            f"#!/bin/sh\n[ $1 = init ] && printf '{lock}' > .terraform.lock.hcl\n"
            f"""echo '{{"terraform_version": "{version}", "platform": "linux_amd64"}}'\n"""
        )
        script.chmod(0o755)

    def _answer_aws(self, seen: Seen) -> Reply:
        target = seen.headers.get("x-amz-target", "").rpartition(".")[2]
        action = target or parse_qs(seen.body.decode())["Action"][0]
        return self.aws.get(action, lambda _: Reply(400, body=b'{"__type": "ValidationException"}'))(seen)

    def tools(self, desired: Desired | None, emit: Callable[[Event], None] = print) -> doctor.Tools:
        settings = Settings(
            work_dir=self.folder / "work", cache_dir=self.folder / "cache", terraform_bin=str(self.folder / "terraform")
        )
        return open_tools(emit, desired, settings)

    def findings(self, desired: Desired | None, **changes: Any) -> dict[str, Finding]:
        events: list[Event] = []
        tools = replace(self.tools(desired, events.append), **changes)
        manifest = judge_manifest(Path("images.yaml"), desired, None)
        found = examine(desired, manifest, tools, events.append)
        assert "hunter2" not in f"{found} {events}"
        return {f"{finding.check} {finding.subject}".rstrip(): finding for finding in found}


CALLER = (
    "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::123456789012:assumed-role/pipeline/42</Arn>"
    "<Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
)
HEAD = Reply(
    200,
    {
        "Docker-Content-Digest": DIGEST,
        "Content-Type": "application/vnd.oci.image.manifest.v1+json",
        "Content-Length": "10",
    },
)
DESIRED = Desired(
    name="shop",
    region="eu-west-1",
    account_id=None,
    repositories=(DesiredRepository("one"),),
    images=(DesiredImage(Reference.parse("quay.io/one:1"), "one", "1", WHOLE, "images[0]"),),
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Surroundings]:
    for name in [n for n in os.environ if n.startswith(("AWS_", "TOOLKIT_")) or n.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    with faulty_registry() as server:
        for name, value in {
            "AWS_ENDPOINT_URL": server.url,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "hunter2",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_CONFIG_FILE": str(tmp_path / "none"),
            "TOOLKIT_REGISTRY_ENDPOINTS": f"*={server.url}",
            "DOCKER_CONFIG": str(tmp_path),
            "HOME": str(tmp_path),
        }.items():
            monkeypatch.setenv(name, value)
        yield Surroundings(server, tmp_path)


def states(findings: Mapping[str, Finding], state: State) -> set[str]:
    return {name for name, finding in findings.items() if finding.state is state}


def test_finds_nothing_on_a_sunny_day_and_writes_nothing(here: Surroundings) -> None:
    findings = here.findings(DESIRED)
    assert not states(findings, State.FAILED) | states(findings, State.WARNING)
    assert states(findings, State.SKIPPED) == {"tls", "quota.repositories", "quota.builds"}
    assert list(findings)[:3] == ["toolkit", "manifest", "machine.open_files"]
    assert {seen.method for seen in here.server.seen if seen.path != "/"} <= {"GET", "HEAD"}
    assert sorted(path.name for path in here.folder.iterdir()) == ["terraform"]


def test_checks_without_a_manifest_what_needs_none(here: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    here.server.on("HEAD", "/v2/ratelimitpreview/test/manifests/latest", HEAD)
    findings = here.findings(None)
    assert not states(findings, State.FAILED)
    assert findings["pulls docker.io"].state is State.OK
    assert findings["aws.region"].state is State.OK
    assert states(findings, State.SKIPPED) >= {"manifest", "aws.account", "state.bucket", "quota.builds"}


def test_says_that_no_region_is_known(here: Surroundings) -> None:
    here.server.on("HEAD", "/v2/ratelimitpreview/test/manifests/latest", HEAD)
    findings = here.findings(None)
    assert findings["aws.credentials"].state is State.SKIPPED
    assert "AWS_REGION" in findings["aws.credentials"].reason


@pytest.mark.parametrize(
    ("version", "code"),
    [
        ("1.16.0", "terraform.known_bad"),
        ("1.5.7", "terraform.too_old"),
        ("", "terraform.not_terraform"),
        (None, "terraform.not_found"),
    ],
)
def test_names_a_terraform_that_cannot_be_used(here: Surroundings, version: str | None, code: str) -> None:
    if version:
        here.terraform(version)
    else:
        (here.folder / "terraform").write_text("#!/bin/sh\n") if version == "" else (here.folder / "terraform").unlink()
    with pytest.raises(TerraformFailed) as failed:
        list(doctor.check_terraform(DESIRED, here.tools(DESIRED), print))
    assert failed.value.code == code


def test_names_a_mirror_without_the_provider(here: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLKIT_PROVIDER_MIRROR", str(here.folder))
    _, finding = doctor.check_terraform(DESIRED, here.tools(DESIRED), print)
    assert (finding.check, finding.code) == ("terraform.provider", "terraform.mirror_without_provider")


EXPIRED = Reply(403, body=b"<ErrorResponse><Error><Code>ExpiredToken</Code></Error></ErrorResponse>")
INVALID = Reply(403, body=b"<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>")
NEEDS_CREDENTIALS = {
    "aws.account",
    "aws.region",
    "aws.rights",
    "ecr.registry",
    "quota.repositories",
    "quota.builds",
}


def test_skips_what_needs_credentials_when_they_have_expired(here: Surroundings) -> None:
    here.aws["GetCallerIdentity"] = lambda _: EXPIRED
    findings = here.findings(DESIRED)
    assert findings["aws.credentials"].code == "aws.credentials_expired"
    assert states(findings, State.SKIPPED) >= NEEDS_CREDENTIALS
    assert findings["clock"].state is State.OK  # a refusal has a time too
    with pytest.raises(AccessDenied):
        refuse_failed(list(findings.values()))


def test_reads_the_expiry_of_the_environment_s_own_credentials(
    here: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z")
    assert here.findings(DESIRED)["aws.credentials"].code == "aws.credentials_expired"
    soon = datetime.now(UTC) + timedelta(minutes=20)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", soon.isoformat())
    assert here.findings(DESIRED)["aws.credentials"].state is State.WARNING


def test_tells_a_region_that_is_not_enabled_from_wrong_credentials(here: Surroundings) -> None:
    enabled = {"us-east-1"}

    def caller(seen: Seen) -> Reply:
        region = str(seen.authorization).split("/")[2]
        return Reply(body=CALLER.encode()) if region in enabled else INVALID

    here.aws["GetCallerIdentity"] = caller
    assert here.findings(DESIRED)["aws.credentials"].code == "aws.region_disabled"
    enabled.clear()
    assert here.findings(DESIRED)["aws.credentials"].code == "aws.credentials_invalid"


def test_sees_a_clock_that_is_off(here: Surroundings) -> None:
    finding = here.findings(DESIRED, now=lambda: datetime.now(UTC) + timedelta(minutes=7))["clock"]
    assert finding.state is State.FAILED
    assert "ahead of AWS" in finding.reason


@pytest.mark.parametrize(
    ("ping", "head", "state", "code"),
    [
        (Reply(401), refused(403, "DENIED"), State.FAILED, "source.denied"),
        (Reply(401), refused(429, "TOOMANYREQUESTS"), State.WARNING, "source.limited"),
        (Reply(drops=True), HEAD, State.FAILED, "source.unreachable"),
        (Reply(401), refused(404, "MANIFEST_UNKNOWN"), State.OK, None),
    ],
)
def test_says_what_a_registry_refuses(
    here: Surroundings, ping: Reply, head: Reply, state: State, code: str | None
) -> None:
    here.server.on("GET", "/v2/", ping)
    for method in ("HEAD", "GET"):
        here.server.on(method, "/v2/one/manifests/1", head)
    finding = here.findings(DESIRED)["registry quay.io"]
    assert (finding.state, finding.code) == (state, code), finding
    assert finding.is_denied == (code == "source.denied")


def test_says_that_a_proxy_refuses_and_hides_its_password(here: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLKIT_REGISTRY_ENDPOINTS", f"*.dkr.ecr.*={here.server.url}")
    monkeypatch.setenv("https_proxy", f"http://me:hunter2@{here.server.host}")
    findings = here.findings(DESIRED)
    assert f"`quay.io` through `{here.server.host}`" in findings["machine.proxy"].reason
    assert findings["registry quay.io"].state is State.FAILED
    assert "proxy" in findings["registry quay.io"].reason


def test_warns_of_a_proxy_for_addresses_that_only_this_machine_reaches(
    here: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    finding = here.findings(DESIRED)["machine.proxy"]
    assert finding.state is State.WARNING
    assert finding.cure == f"add `{here.server.host},169.254.169.254` to `NO_PROXY`"
    monkeypatch.setenv("no_proxy", "127.0.0.1,169.254.169.254")
    assert here.findings(DESIRED)["machine.proxy"].state is State.OK


@pytest.mark.parametrize(
    ("content", "words"), [(None, "No such file"), ("no PEM", "it has no certificate in PEM form")]
)
def test_names_a_file_of_cas_that_cannot_be_read(tmp_path: Path, content: str | None, words: str) -> None:
    file = tmp_path / "acme.pem"
    if content:
        file.write_text(content)
    (finding,) = doctor.check_ca({"REQUESTS_CA_BUNDLE": str(file)})
    assert finding.state is State.FAILED
    assert f"`REQUESTS_CA_BUNDLE` names `{file}`: {words}" in finding.reason


def test_names_the_folder_that_a_run_cannot_write_to(here: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(here.folder / "terraform" / "below-a-file"))
    to_be_made, _, below_a_file = doctor.check_folders(here.tools(DESIRED).folders)
    assert (to_be_made.state, below_a_file.state) == (State.OK, State.FAILED)
    assert "is no folder" in below_a_file.reason


def test_opens_an_upload_and_cancels_it_where_iam_may_not_be_asked(here: Surroundings) -> None:
    repository = {"repositoryName": "one", "repositoryArn": "arn:aws:ecr:eu-west-1:123456789012:repository/one"}
    here.aws["DescribeRepositories"] = lambda _: as_json({"repositories": [repository]})
    here.server.on("POST", "/v2/one/blobs/uploads/", Reply(202, {"Location": "/v2/one/blobs/uploads/7"}))
    here.server.on("DELETE", "/v2/one/blobs/uploads/7", Reply(204))
    finding = here.findings(DESIRED)["aws.rights"]
    assert finding.state is State.OK
    assert "by an upload to `one` that was cancelled" in finding.reason
    assert here.server.asked("DELETE", "/v2/one/blobs/uploads/7")
    here.server.on("POST", "/v2/one/blobs/uploads/", refused(403, "DENIED"))
    finding = here.findings(DESIRED)["aws.rights"]
    assert finding.state is State.WARNING  # a role that only plans
    assert "`ecr:InitiateLayerUpload`" in finding.reason


def test_names_a_call_that_is_refused(here: Surroundings) -> None:
    denied = Reply(400, body=json.dumps({"__type": "AccessDeniedException", "message": "not authorized"}).encode())
    here.aws["DescribeRepositories"] = here.aws["ListServiceQuotas"] = lambda _: denied
    findings = here.findings(DESIRED)
    assert (findings["aws.rights"].state, findings["aws.rights"].is_denied) == (State.FAILED, True)
    assert "`ecr:DescribeRepositories`" in findings["aws.rights"].reason
    assert findings["quota.repositories"].state is State.SKIPPED  # no run needs to read quotas


class AtHome(RegistryClient):
    """It believes that no rule sends it elsewhere."""

    def url_of(self, registry: str) -> str:
        return own_url(registry)


@pytest.mark.parametrize(("bundle", "state"), [("", State.WARNING), ("acme.pem", State.OK)])
def test_recognises_a_proxy_that_decrypts_by_the_issuer(here: Surroundings, bundle: str, state: State) -> None:
    context, certificate = self_signed(here.folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    endpoints = Endpoints(((DOCKER_HUB, f"https://127.0.0.1:{server.server_port}"),))

    def client(ca_file: str) -> RegistryClient:
        return AtHome(endpoints=endpoints, transport=Transport(attempts=1, ca_file=ca_file))

    hub = replace(DESIRED, images=(replace(DESIRED.images[0], source=Reference.parse("nginx:1")),))
    try:
        finding = here.findings(
            hub,
            registries=client(str(certificate)),
            public=client(public_cas()),
            environment={"AWS_CA_BUNDLE": bundle},
        )["tls"]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert finding.state is state
    assert "certificate of `tests`, which is no public CA" in finding.reason
