"""The sandbox's AWS as its real clients see it: Terraform with the AWS provider, boto3, and skopeo at the registries."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support.plain_http import PlainHttp, plain_http
from tests.support.real_parts import missing, require
from tests.support.sandbox import RunningSandbox, running_sandbox
from toolkit.aws.ecr import EcrService
from toolkit.aws.session import AwsSession
from toolkit.oci.auth import Credential
from toolkit.oci.client import RegistryClient
from toolkit.oci.digest import Digest
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.endpoints import Endpoints
from toolkit.oci.reference import Reference
from toolkit.operations.copy import Pair, Selection, copy
from toolkit.report import Report, SeedStatus
from toolkit.seed.observe import Observer
from toolkit.seed.seeder import Seeder

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
ALL_TYPES = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    f"application/vnd.docker.distribution.manifest.list.v2+json, {DOCKER_MANIFEST}"
)
REGION = "us-east-1"

pytestmark = pytest.mark.xdist_group("sandbox_aws")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox"), ["nginx:1.16", "python:3.12-slim"]) as sandbox:
        yield sandbox


def password(sandbox: RunningSandbox, region: str = REGION) -> str:
    data = sandbox.client("ecr", region).get_authorization_token()["authorizationData"][0]
    user, _, word = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    assert user == "AWS"
    return word


@pytest.fixture
def registry(sandbox: RunningSandbox) -> Iterator[PlainHttp]:
    with ecr_registry(sandbox) as http:
        yield http


def ecr_registry(sandbox: RunningSandbox, region: str = REGION) -> Any:
    login = base64.b64encode(f"AWS:{password(sandbox, region)}".encode()).decode()
    return plain_http(sandbox.status.ecr_endpoint, {"Authorization": f"Basic {login}", "Accept": ALL_TYPES})


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def push_blob(http: PlainHttp, repository: str, content: bytes) -> dict[str, object]:
    location = http.ask("POST", f"/v2/{repository}/blobs/uploads/").headers["location"]
    assert http.ask("PUT", f"{location}&digest={digest_of(content)}", content).status == 201
    return {"mediaType": "application/octet-stream", "digest": digest_of(content), "size": len(content)}


def push_image(http: PlainHttp, repository: str, tag: str, note: str = "") -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": push_blob(http, repository, f'{{"note": "{note}"}}'.encode()),
        "layers": [push_blob(http, repository, b"layer")],
    }
    raw = json.dumps(document, indent=3).encode()
    answer = put(http, repository, tag, raw)
    assert answer.status == 201, answer.body
    return raw


def put(http: PlainHttp, repository: str, tag: str, raw: bytes) -> Any:
    return http.ask("PUT", f"/v2/{repository}/manifests/{tag}", raw, {"Content-Type": DOCKER_MANIFEST})


def test_token_lasts_twelve_hours_and_names_the_account_s_own_registry(sandbox: RunningSandbox) -> None:
    first, second = (
        sandbox.client("ecr", "ap-northeast-1").get_authorization_token()["authorizationData"][0] for _ in range(2)
    )
    assert 11.9 * 3600 < first["expiresAt"].timestamp() - time.time() <= 12 * 3600
    assert first["proxyEndpoint"] == "https://123456789012.dkr.ecr.ap-northeast-1.amazonaws.com"
    assert first["authorizationToken"] != second["authorizationToken"]


def test_registry_lets_nobody_in_without_the_token(sandbox: RunningSandbox) -> None:
    wrong = base64.b64encode(b"AWS:123456789012-auth-token").decode()
    for headers in ({}, {"Authorization": f"Basic {wrong}"}):
        with plain_http(sandbox.status.ecr_endpoint, headers) as http:
            answer = http.ask("GET", "/v2/")
            assert (answer.status, answer.headers["www-authenticate"].split()[0]) == (401, "Basic")


def test_repository_must_exist_in_the_region_of_the_token(sandbox: RunningSandbox, registry: PlainHttp) -> None:
    path = "/v2/only/in-tokyo/blobs/uploads/"
    answer = registry.ask("POST", path)
    assert (answer.status, answer.codes) == (404, ["NAME_UNKNOWN"])
    sandbox.client("ecr", "ap-northeast-1").create_repository(repositoryName="only/in-tokyo")
    assert registry.ask("POST", path).status == 404
    with ecr_registry(sandbox, "ap-northeast-1") as tokyo:
        assert tokyo.ask("POST", path).status == 202


def test_aws_knows_every_image_that_was_pushed(sandbox: RunningSandbox, registry: PlainHttp) -> None:
    ecr = sandbox.client("ecr", REGION)
    ecr.create_repository(repositoryName="seen")
    raw, other = push_image(registry, "seen", "1.0", "one"), push_image(registry, "seen", "2.0", "two")
    assert put(registry, "seen", "latest", raw).status == 201
    asked = [{"imageTag": tag} for tag in ("1.0", "2.0", "latest", "none")]
    answer = ecr.batch_get_image(repositoryName="seen", imageIds=asked)
    found = {i["imageId"]["imageTag"]: (i["imageId"]["imageDigest"], i["imageManifest"]) for i in answer["images"]}
    one, two = ((digest_of(r), r.decode()) for r in (raw, other))
    assert found == {"1.0": one, "2.0": two, "latest": one}
    assert {i["imageManifestMediaType"] for i in answer["images"]} == {DOCKER_MANIFEST}
    assert [f["imageId"] for f in answer["failures"]] == [{"imageTag": "none"}]
    details = {d["imageDigest"]: d for d in ecr.describe_images(repositoryName="seen")["imageDetails"]}
    assert sorted(details[digest_of(raw)]["imageTags"]) == ["1.0", "latest"]
    assert details[digest_of(raw)]["imageSizeInBytes"] == len('{"note": "one"}') + len("layer")
    assert {i.get("imageTag") for i in ecr.list_images(repositoryName="seen")["imageIds"]} == {"1.0", "2.0", "latest"}


def test_moved_tag_leaves_the_old_image_without_a_tag(sandbox: RunningSandbox, registry: PlainHttp) -> None:
    ecr = sandbox.client("ecr", REGION)
    ecr.create_repository(repositoryName="moving")
    old, new = push_image(registry, "moving", "1.0", "old"), push_image(registry, "moving", "1.0", "new")
    details = {
        d["imageDigest"]: d.get("imageTags") for d in ecr.describe_images(repositoryName="moving")["imageDetails"]
    }
    assert details == {digest_of(old): None, digest_of(new): ["1.0"]}
    assert registry.ask("GET", "/v2/moving/manifests/1.0").body == new
    assert registry.ask("GET", f"/v2/moving/manifests/{digest_of(old)}").body == old
    (image,) = ecr.batch_get_image(repositoryName="moving", imageIds=[{"imageDigest": digest_of(old)}])["images"]
    assert image["imageManifest"].encode() == old


def test_a_tag_that_is_moved_by_the_api_leaves_the_old_image_without_a_tag(
    sandbox: RunningSandbox, registry: PlainHttp
) -> None:
    ecr = sandbox.client("ecr", REGION)
    ecr.create_repository(repositoryName="retagged")
    old, new = push_image(registry, "retagged", "1.0", "old"), push_image(registry, "retagged", "2.0", "new")
    ecr.put_image(repositoryName="retagged", imageManifest=new.decode(), imageTag="1.0")

    def described(status: str) -> dict[str, list[str]]:
        answer = ecr.describe_images(repositoryName="retagged", filter={"tagStatus": status})
        return {d["imageDigest"]: sorted(d.get("imageTags", [])) for d in answer["imageDetails"]}

    assert described("TAGGED") == {digest_of(new): ["1.0", "2.0"]}
    assert described("UNTAGGED") == {digest_of(old): []}
    assert described("ANY") == described("TAGGED") | described("UNTAGGED")


def test_ecr_is_read_as_it_is(sandbox: RunningSandbox, registry: PlainHttp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", sandbox.status.aws_endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    sandbox.client("ecr", REGION).create_repository(repositoryName="read")
    before = time.time()
    old, new = push_image(registry, "read", "1.0", "old"), push_image(registry, "read", "1.0", "new")
    service = EcrService(AwsSession(REGION))
    (found,) = service.tags("read").items()
    assert (found[0], str(found[1].digest)) == ("1.0", digest_of(new))
    assert abs(datetime.fromisoformat(found[1].pushed_at).timestamp() - before) < 60
    assert [service.has_image("read", Digest.of(raw)) for raw in (old, new, b"none")] == [True, True, False]
    assert service.tags("nowhere") == {}
    found_documents = service.documents("read", [Digest.of(raw) for raw in (old, new, b"none")])
    assert {digest: one.raw for digest, one in found_documents.items()} == {Digest.of(raw): raw for raw in (old, new)}
    assert {one.media_type for one in found_documents.values()} == {DOCKER_MANIFEST}
    assert service.documents("nowhere", [Digest.of(old)]) == {}


def test_immutable_tag_is_refused_even_for_the_digest_it_has(sandbox: RunningSandbox, registry: PlainHttp) -> None:
    sandbox.client("ecr", REGION).create_repository(repositoryName="fixed", imageTagMutability="IMMUTABLE")
    raw = push_image(registry, "fixed", "1.0")
    again = put(registry, "fixed", "1.0", raw)
    assert (again.status, again.codes) == (400, ["TAG_INVALID"])
    assert put(registry, "fixed", digest_of(raw), raw).status == 201
    assert put(registry, "fixed", "1.1", raw).status == 201


def test_registry_has_ecr_s_own_ways(sandbox: RunningSandbox, registry: PlainHttp) -> None:
    for name in ("ways", "ways/other"):
        sandbox.client("ecr", REGION).create_repository(repositoryName=name)
    raw = push_image(registry, "ways", "1.0")
    get, head = registry.ask("GET", "/v2/ways/manifests/1.0"), registry.ask("HEAD", "/v2/ways/manifests/1.0")
    assert ("docker-content-digest" in get.headers, head.headers["docker-content-digest"]) == (False, digest_of(raw))
    assert "location" not in put(registry, "ways", "1.0", raw).headers
    mount = registry.ask("POST", f"/v2/ways/other/blobs/uploads/?mount={digest_of(b'layer')}&from=ways")
    assert mount.status == 202
    first = registry.ask("PATCH", mount.headers["location"], b"lay")
    assert first.status == 201
    assert registry.ask("PUT", f"{first.headers['location']}&digest={digest_of(b'layer')}", b"layer").status == 416
    assert registry.ask("DELETE", f"/v2/ways/manifests/{digest_of(raw)}").status == 405


def test_what_aws_deletes_is_gone_from_the_registry(sandbox: RunningSandbox, registry: PlainHttp) -> None:
    ecr = sandbox.client("ecr", REGION)
    ecr.create_repository(repositoryName="brief")
    raw = push_image(registry, "brief", "1.0")
    ecr.batch_delete_image(repositoryName="brief", imageIds=[{"imageTag": "1.0"}])
    assert registry.ask("HEAD", f"/v2/brief/manifests/{digest_of(raw)}").status == 404
    push_image(registry, "brief", "1.0")
    ecr.delete_repository(repositoryName="brief", force=True)
    assert registry.ask("HEAD", "/v2/brief/manifests/1.0").status == 404
    ecr.create_repository(repositoryName="brief")
    assert registry.ask("HEAD", "/v2/brief/manifests/1.0").status == 404
    assert registry.ask("HEAD", f"/v2/brief/blobs/{digest_of(b'layer')}").status == 404


def test_skopeo_copies_every_image_of_an_index_between_the_stand_ins(sandbox: RunningSandbox) -> None:
    skopeo = require("skopeo")
    for name, tag in (("nginx", "1.16"), ("python", "3.12-slim")):
        sandbox.client("ecr", REGION).create_repository(repositoryName=f"docker-hub/library/{name}")
        source = f"docker://{sandbox.status.docker_hub_endpoint[7:]}/library/{name}:{tag}"
        target = f"docker://{sandbox.status.ecr_endpoint[7:]}/docker-hub/library/{name}:{tag}"
        flags = ["--all", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"]
        login = f"--dest-creds=AWS:{password(sandbox)}"
        done = subprocess.run([skopeo, "copy", *flags, login, source, target], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        images = sandbox.client("ecr", REGION).batch_get_image(
            repositoryName=f"docker-hub/library/{name}", imageIds=[{"imageTag": tag}]
        )["images"]
        raw = subprocess.run(
            [skopeo, "inspect", "--raw", "--tls-verify=false", source], capture_output=True, check=True
        ).stdout
        assert [image["imageManifest"].encode() for image in images] == [raw]
    assert f"docker-hub/library/{name}:{tag}" in sandbox_images(sandbox)


class EcrLogin:
    """What the AWS credentials give for ECR; nothing anywhere else."""

    def __init__(self, word: str) -> None:
        self._word = word

    def credential_for(self, registry: str, path: str = "") -> Credential | None:
        return Credential("AWS", self._word) if registry == "ecr.test" else None


def test_a_signed_image_reaches_ecr_with_all_that_signs_it(sandbox: RunningSandbox) -> None:
    sandbox.client("ecr", REGION).create_repository(repositoryName="signed")
    endpoints = Endpoints(
        (("docker.io", sandbox.status.docker_hub_endpoint), ("ecr.test", sandbox.status.ecr_endpoint))
    )
    registries = RegistryClient(credentials=EcrLogin(password(sandbox)), endpoints=endpoints)
    cache = DocumentCache()
    source, target = Reference.parse("python:3.12-slim"), Reference.parse("ecr.test/signed:3.12-slim")
    reports: list[Report] = []
    copy(
        [Pair(source, target)],
        Selection(keeps_signatures=True),
        Observer(registries, None, lambda event: None, cache=cache),
        Seeder(registries, registries, lambda event: None, cache=cache),
        lambda event: None,
        publish=reports.append,
    )
    # The index, three platforms and their attestations: each with a signature and a referrer.
    assert [outcome.status for outcome in reports[0].outcomes] == [SeedStatus.COPIED] * 15
    top = Digest.parse(reports[0].outcomes[0].digest or "")
    listed = registries.list_referrers(target.name, top)
    assert listed
    assert listed == registries.list_referrers(source.name, top)
    assert f"signed:{top.algorithm}-{top.hex}.sig" in sandbox_images(sandbox)


def sandbox_images(sandbox: RunningSandbox) -> list[str]:
    with plain_http(sandbox.status.upstream_endpoint) as http:
        return list(http.ask("GET", "/sandbox/status").document["images"]["ecr"])


def test_builds_of_an_updated_project_can_be_started(sandbox: RunningSandbox) -> None:
    builds = sandbox.client("codebuild", REGION)
    project = {
        "source": {"type": "GITHUB", "location": "https://github.com/acme/web.git"},
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": {"type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL"},
        "serviceRole": "arn:aws:iam::123456789012:role/web",
    }
    created = builds.create_project(name="web-2", **project)["project"]
    assert (created["timeoutInMinutes"], created["queuedTimeoutInMinutes"]) == (60, 480)
    updated = builds.update_project(name=created["arn"], timeoutInMinutes=5)["project"]
    assert (updated["timeoutInMinutes"], updated["source"]) == (5, project["source"])
    assert builds.batch_get_projects(names=["web-2"])["projects"][0]["timeoutInMinutes"] == 5
    assert builds.start_build(projectName="web-2")["build"]["projectName"] == "web-2"
    with pytest.raises(builds.exceptions.InvalidInputException):
        builds.update_project(name="web-2", source={"type": "GITHUB"})
    with pytest.raises(builds.exceptions.ResourceAlreadyExistsException):
        builds.create_project(name="web-2", **project)
    with pytest.raises(builds.exceptions.ResourceNotFoundException):
        builds.update_project(name="web-3", timeoutInMinutes=5)
    builds.delete_project(name=created["arn"])
    assert builds.list_projects()["projects"] == []


def test_a_role_that_is_taken_in_another_account_works_there(sandbox: RunningSandbox) -> None:
    assert sandbox.client("sts", REGION).get_caller_identity()["Account"] == "123456789012"
    role = "arn:aws:iam::210987654321:role/deploy"
    given = sandbox.client("sts", REGION).assume_role(RoleArn=role, RoleSessionName="pipeline")["Credentials"]
    taken = boto3.client(
        "ecr",
        region_name=REGION,
        endpoint_url=sandbox.status.aws_endpoint,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    repository = taken.create_repository(repositoryName="theirs")["repository"]
    assert repository["repositoryArn"] == f"arn:aws:ecr:{REGION}:210987654321:repository/theirs"
    names = [r["repositoryName"] for r in sandbox.client("ecr", REGION).describe_repositories()["repositories"]]
    assert "theirs" not in names
    word = taken.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    headers = {"Authorization": f"Basic {word}", "Accept": ALL_TYPES}
    with plain_http(sandbox.status.ecr_endpoint, headers) as theirs, ecr_registry(sandbox) as ours:
        assert push_image(theirs, "theirs", "1.0")
        assert ours.ask("HEAD", "/v2/theirs/manifests/1.0").status == 404


def test_a_log_group_keeps_the_key_that_it_was_given_last(sandbox: RunningSandbox) -> None:
    logs = sandbox.client("logs", REGION)
    logs.create_log_group(logGroupName="/keyed")
    logs.associate_kms_key(logGroupName="/keyed", kmsKeyId="arn:aws:kms:eu-west-1:123456789012:key/a")
    [group] = logs.describe_log_groups(logGroupNamePrefix="/keyed")["logGroups"]
    assert group["kmsKeyId"].endswith("key/a")
    logs.disassociate_kms_key(logGroupName="/keyed")
    [group] = logs.describe_log_groups(logGroupNamePrefix="/keyed")["logGroups"]
    assert "kmsKeyId" not in group


def test_a_webhook_belongs_to_a_project_at_a_git_host(sandbox: RunningSandbox) -> None:
    builds = sandbox.client("codebuild", REGION)
    project = {
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": {"type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL"},
        "serviceRole": "arn:aws:iam::123456789012:role/web",
    }
    for name, source in (
        ("hub", {"type": "GITHUB", "location": "https://github.com/acme/web.git"}),
        ("own", {"type": "GITHUB_ENTERPRISE", "location": "https://git.acme.example/web.git"}),
        ("bucket", {"type": "S3", "location": "acme/web.zip"}),
    ):
        builds.create_project(name=name, source=source, **project)
    pushes = [[{"type": "EVENT", "pattern": "PUSH", "excludeMatchedPattern": False}]]
    assert "secret" not in builds.create_webhook(projectName="hub", filterGroups=pushes)["webhook"]
    assert builds.create_webhook(projectName="own")["webhook"]["secret"]
    seen = {p["name"]: p for p in builds.batch_get_projects(names=["hub", "own", "bucket"])["projects"]}
    assert (seen["hub"]["webhook"]["filterGroups"], seen["hub"]["webhook"]["buildType"]) == (pushes, "BUILD")
    assert "secret" not in seen["own"]["webhook"]
    assert builds.update_webhook(projectName="hub", buildType="BUILD_BATCH")["webhook"]["filterGroups"] == pushes
    with pytest.raises(builds.exceptions.ResourceAlreadyExistsException):
        builds.create_webhook(projectName="hub")
    with pytest.raises(builds.exceptions.InvalidInputException):
        builds.create_webhook(projectName="bucket")
    with pytest.raises(builds.exceptions.InvalidInputException):
        builds.update_webhook(projectName="hub", filterGroups=[[{"type": "HEAD_REF", "pattern": "main"}]])
    builds.delete_webhook(projectName="hub")
    with pytest.raises(builds.exceptions.ResourceNotFoundException):
        builds.delete_webhook(projectName="hub")
    for name in seen:
        builds.delete_project(name=name)


CONFIGURATION = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  max_retries = 2
  default_tags { tags = { team = "platform", "toolkit:manifest" = "x" } }
}

variable "description" { default = "first" }
variable "timeout" { default = 30 }
variable "value" { default = "one" }
variable "mutability" { default = "MUTABLE" }

resource "aws_ecr_repository" "this" {
  for_each             = toset(["docker-hub/library/nginx-1", "a__b/c--d"])
  name                 = each.key
  image_tag_mutability = var.mutability
  encryption_configuration { encryption_type = "AES256" }
  image_scanning_configuration { scan_on_push = true }
  tags = { own = "x" }
}

resource "aws_ecr_lifecycle_policy" "this" {
  for_each   = aws_ecr_repository.this
  repository = each.key
  policy = jsonencode({ rules = [{
    rulePriority = 1
    description  = "Expire untagged images"
    selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 14 }
    action       = { type = "expire" }
  }] })
}

resource "aws_ecr_repository_policy" "this" {
  for_each   = aws_ecr_repository.this
  repository = each.key
  policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Sid       = "Pull"
    Effect    = "Allow"
    Principal = { AWS = ["210987654321"] }
    Action    = ["ecr:BatchGetImage"]
  }] })
}

resource "aws_iam_role" "this" {
  name = "web"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Effect    = "Allow"
    Principal = { Service = "codebuild.amazonaws.com" }
    Action    = "sts:AssumeRole"
  }] })
}

resource "aws_iam_role_policy" "this" {
  name = "build"
  role = aws_iam_role.this.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Effect   = "Allow"
    Action   = ["ecr:BatchGetImage"]
    Resource = [for r in aws_ecr_repository.this : r.arn]
  }] })
}

resource "aws_iam_role_policy_attachment" "managed" {
  role       = aws_iam_role.this.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/codebuild/web"
  retention_in_days = 30
}

resource "aws_codebuild_project" "this" {
  for_each = {
    web  = { type = "GITHUB", location = "https://github.com/acme/web.git" }
    lab  = { type = "GITLAB", location = "https://gitlab.com/acme/web.git" }
    bare = { type = "NO_SOURCE", location = null }
    pipe = { type = "CODEPIPELINE", location = null }
  }

  name           = each.key
  description    = var.description
  service_role   = aws_iam_role.this.arn
  build_timeout  = var.timeout
  queued_timeout = 60
  encryption_key = each.key == "web" ? "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab" : null
  badge_enabled  = each.key == "web"
  artifacts { type = each.key == "pipe" ? "CODEPIPELINE" : "NO_ARTIFACTS" }

  environment {
    compute_type                = "BUILD_GENERAL1_XLARGE"
    image                       = "aws/codebuild/amazonlinux-x86_64-standard:5.0"
    type                        = "LINUX_CONTAINER"
    image_pull_credentials_type = each.key == "web" ? "SERVICE_ROLE" : "CODEBUILD"
    privileged_mode             = true

    environment_variable {
      name  = "PLAIN"
      value = var.value
    }

    environment_variable {
      name  = "KEPT"
      value = "/a/parameter"
      type  = "PARAMETER_STORE"
    }
  }

  logs_config {
    cloudwatch_logs { group_name = aws_cloudwatch_log_group.this.name }
  }

  source {
    type      = each.value.type
    location  = each.value.location
    buildspec = "version: 0.2\\nphases: {build: {commands: [true]}}\\n"
  }
}
"""


class Terraform:
    """The real one, in a folder, in the sandbox's environment."""

    def __init__(self, folder: Path, sandbox: RunningSandbox) -> None:
        self._program = require("terraform")
        self._folder = folder
        self._environment = sandbox.environment() | {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
        for name in ("AWS_CA_BUNDLE", "TF_CLI_CONFIG_FILE"):
            self._environment.pop(name, None)

    def run(self, *arguments: str, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        flags = [f"-var={name}={value}" for name, value in (variables or {}).items()]
        return subprocess.run(
            [self._program, *arguments, *flags],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
        )

    def expect(self, code: int, *arguments: str, variables: Mapping[str, str] | None = None) -> str:
        done = self.run(*arguments, "-input=false", "-no-color", variables=variables)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout


@pytest.mark.slow
def test_terraform_settles_updates_and_destroys(sandbox: RunningSandbox, tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(CONFIGURATION)
    terraform = Terraform(tmp_path, sandbox)
    mirror = os.environ.get("TOOLKIT_PROVIDER_MIRROR")
    init = terraform.run("init", "-input=false", "-no-color", *([f"-plugin-dir={mirror}"] if mirror else []))
    if init.returncode != 0 and not mirror:
        missing(f"the AWS provider is not to be had, set TOOLKIT_PROVIDER_MIRROR: {init.stderr}")
    assert init.returncode == 0, init.stderr

    assert "14 added, 0 changed, 0 destroyed" in terraform.expect(0, "apply", "-auto-approve")
    terraform.expect(0, "plan", "-detailed-exitcode")

    changed = {"description": "second", "timeout": "45", "value": "two", "mutability": "IMMUTABLE"}
    assert "0 added, 6 changed, 0 destroyed" in terraform.expect(0, "apply", "-auto-approve", variables=changed)
    terraform.expect(0, "plan", "-detailed-exitcode", variables=changed)
    (project,) = sandbox.client("codebuild", REGION).batch_get_projects(names=["bare"])["projects"]
    assert (project["description"], project["timeoutInMinutes"]) == ("second", 45)
    variables = {v["name"]: v["value"] for v in project["environment"]["environmentVariables"]}
    assert variables == {"PLAIN": "two", "KEPT": "/a/parameter"}

    assert "14 destroyed" in terraform.expect(0, "destroy", "-auto-approve", variables=changed)
    assert sandbox.client("codebuild", REGION).list_projects()["projects"] == []
    failed = [line for line in sandbox.accesses("aws") if line["status"] >= 500]
    assert failed == []


def texts(headers: Mapping[str, str | bytes]) -> dict[str, str]:
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in headers.items()}


def test_a_creation_whose_answer_was_lost_is_answered_again(sandbox: RunningSandbox) -> None:
    def ask_before(request: Any, **_: Any) -> None:
        asked = urllib.request.Request(request.url, request.body, texts(request.headers))
        with urllib.request.urlopen(asked) as lost:
            assert lost.status == 200

    client = sandbox.client("ecr", REGION)
    client.meta.events.register("before-send.ecr.CreateRepository", ask_before)
    assert client.create_repository(repositoryName="asked/twice")["repository"]["repositoryName"] == "asked/twice"
    with pytest.raises(client.exceptions.RepositoryAlreadyExistsException):
        sandbox.client("ecr", REGION).create_repository(repositoryName="asked/twice")
