"""Every function that reads text of somebody else: how it is called, and what such text looks like.

`test_readers.py` feeds them with mutations of `seeds` and of `corpus/`, and `guided.py` does so by coverage.
"""

from __future__ import annotations

import base64
import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from tests.support import plan_samples, saved_plans, signing
from toolkit.aws.credentials import SecretsManagerCredentials
from toolkit.aws.session import AwsSession
from toolkit.cli import saved_plan, sealed_archive
from toolkit.cli.render.lines import visible
from toolkit.cli.render.result import Result, result_document
from toolkit.cli.render.serialise import read_result
from toolkit.codebuild.bake_reading import read_bake
from toolkit.codebuild.buildspec_edit import commands_of, insert_step
from toolkit.codebuild.buildspec_reading import read_buildspec
from toolkit.codebuild.ci_reading import read_ci
from toolkit.codebuild.compose_reading import read_compose
from toolkit.codebuild.docker_commands import CommandReader
from toolkit.codebuild.dockerfile_reading import read_dockerfile
from toolkit.codebuild.dotenv import read_dotenv
from toolkit.codebuild.testcontainers_reading import (
    LANGUAGES,
    read_properties,
    read_settings,
    read_tests,
    ryuk_of_go,
    uses_testcontainers,
)
from toolkit.codebuild.variables import CannotExpand, expand, interpolate
from toolkit.errors import ToolkitError
from toolkit.lock.text import read_lock as read_digests
from toolkit.lock.text import write_lock as write_digests
from toolkit.manifest.additions import NewImage, add_images
from toolkit.manifest.loader import loads
from toolkit.manifest.tag_pattern import TagPattern, TooSlow, check_tag_pattern
from toolkit.manifest.tag_versions import VersionRange, age_key
from toolkit.migration.carried import Carried, ForeignFile
from toolkit.migration.go_patterns import CannotSay, anchored, literals, masterminds, regclients, searched
from toolkit.migration.regsync import read_regsync
from toolkit.migration.skopeo_sync import read_skopeo_sync
from toolkit.oci import transport
from toolkit.oci.alternatives import Alternative
from toolkit.oci.auth import Credential, is_safe_realm, may_receive, parse_challenges
from toolkit.oci.client import RegistryClient
from toolkit.oci.companions import referrers_index
from toolkit.oci.cosign import SIGNATURE_TYPE, Fault, Wanted
from toolkit.oci.descriptor import Descriptor, Platform
from toolkit.oci.digest import Digest
from toolkit.oci.docker_config import DockerConfigCredentials
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.documents import Document, ImageIndex, media_type_of, parse
from toolkit.oci.endpoints import Endpoints
from toolkit.oci.errors import ConnectionFailed, OciError
from toolkit.oci.filtered_index import filter_index, read_provenance
from toolkit.oci.layout import Layouts
from toolkit.oci.layout_reference import parse_place
from toolkit.oci.masking import cleaned
from toolkit.oci.media_types import OCI_INDEX, OCI_MANIFEST
from toolkit.oci.public_keys import read_public_keys
from toolkit.oci.reference import Reference
from toolkit.oci.responses import Response, read_next_page, read_pull_limit, read_tag_page, refusal
from toolkit.oci.subset import Subset
from toolkit.oci.transport import Transport, read_retry_after
from toolkit.oci.tree import TreeReader, check_platform
from toolkit.operations.doctor import read_lock
from toolkit.operations.migrate import Target, migrate
from toolkit.plan.model import InfraAction, InfraChange
from toolkit.plan.rights import compare_policies
from toolkit.terraform import plan_contents, provider_lock, ui_messages
from toolkit.terraform.explain import hint_for
from toolkit.terraform.plan_changes import drift_in, with_attributes
from toolkit.terraform.plan_contents import change_misfits

KIB = 1024
OWN: tuple[type[Exception], ...] = (ToolkitError, OciError)
DIGEST = Digest.of(b"x")
CORPUS = Path(__file__).with_name("corpus")


@dataclass(frozen=True)
class Reader:
    """`read` takes any text, of which the product gives it no more than `longest`; besides ours it may raise `allows`.

    `seeds` are texts that are right, `pieces` the words of their language. JSON is also mutated value by value. What a
    text costs is compared with what one costs that is a quarter of `cost_size`.
    """

    read: Callable[[str], object]
    seeds: tuple[str, ...]
    pieces: tuple[str, ...]
    longest: int
    is_json: bool = False
    allows: tuple[type[Exception], ...] = ()
    cost_size: int = 16 * KIB

    def check(self, text: str) -> None:
        """Read `text`. Raises whatever is neither an error of ours, with a sentence for a terminal, nor allowed."""
        try:
            self.read(text[: self.longest])
        except (ToolkitError, OciError) as error:
            assert error.code
            assert error.message.strip()
            visible(error.message)
        except self.allows:
            pass


# --- what registries send


def _headers(**headers: str) -> Mapping[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _response(status: int, text: str) -> Response:
    return Response("GET", "registry.example", status, {}, text.encode(errors="surrogatepass"))


class _Scripted(Transport):
    """Challenges every request, and gives `body` to whoever asks for a token."""

    def __init__(self, body: bytes, challenge: str) -> None:
        super().__init__()
        self._body = body
        self._challenge = challenge
        self.asked: list[str] = []

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Response:
        """A 401 of the registry, or the token server's answer."""
        self.asked.append(url)
        if len(self.asked) % 2:
            return Response(method, "registry.example", 401, {}, b"", (self._challenge,))
        return Response(method, "auth.registry.example", 200, {}, self._body)


def _location(text: str) -> None:
    client = RegistryClient(transport=_Redirecting(text), credentials=_Known())
    upload = client.begin_upload(Reference.parse("registry.example/a").name, DIGEST)
    if upload is not None:
        assert upload.location.startswith("https://")


class _Redirecting(Transport):
    """Gives every request the `location`, and follows it as a redirect before."""

    def __init__(self, location: str) -> None:
        super().__init__()
        self._location = location

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Response:
        """An open upload."""
        with suppress(ConnectionFailed):
            followed = transport._follow(urlsplit(url), self._location)
            assert followed.startswith("https://")
        return Response(method, "registry.example", 202, {"Location": self._location})


class _Known:
    def credential_for(self, registry: str, path: str = "") -> Credential | None:
        return Credential("me", "hunter2hunter2")


def _token(text: str) -> None:
    body = text.encode(errors="surrogatepass")
    transport = _Scripted(body, 'Bearer realm="https://registry.example/token",service="x"')
    client = RegistryClient(transport=transport, credentials=_Known())
    client.head_manifest(Reference.parse("registry.example/a:1"))


def _challenge(text: str) -> None:
    for challenge in parse_challenges([text]):
        realm = challenge.parameters.get("realm", "")
        if is_safe_realm(realm, "https://registry.example"):
            may_receive(realm, ["https://registry.example"])
    client = RegistryClient(transport=_Scripted(b'{"token": "t"}', text), credentials=_Known())
    client.head_manifest(Reference.parse("registry.example/a:1"))


def _document(text: str) -> None:
    raw = text.encode(errors="surrogatepass")
    for media_type in (OCI_INDEX, OCI_MANIFEST, media_type_of(None, raw)):
        with suppress(OciError):
            found = parse(Document(media_type, raw))
            if isinstance(found, ImageIndex):
                referrers_index(found.manifests)
        with suppress(OciError):
            filter_index(Document(media_type, raw), Subset((Platform("linux", "amd64"),)), DIGEST)
        with suppress(OciError):
            reader = TreeReader(Digest.of(raw), Subset(None))
            reader.add(Digest.of(raw), Document(media_type, raw))
            if reader.is_complete:
                reader.tree()
    read_provenance(raw)


SIGNER = ec.generate_private_key(ec.SECP256R1())
SIGNED_IMAGE = Wanted(DIGEST, read_public_keys(signing.public(SIGNER)))
SIMPLE = signing.simple_signing(SIGNER, DIGEST)
ENVELOPE = signing.attestation(SIGNER, DIGEST, SIGNATURE_TYPE)


def _judge(layer: signing.Layer) -> Fault | None:
    kind, content, notes = layer
    return SIGNED_IMAGE.judge(
        Descriptor(kind, Digest.of(content), len(content), annotations=tuple(notes.items())), content
    )


def _signatures(text: str) -> None:
    """Unsigned: as a layer, and as the annotation of one."""
    content = text.encode("utf-8", "surrogatepass")
    assert _judge((signing.SIMPLE_SIGNING, content, SIMPLE[2])) or content == SIMPLE[1]
    for kind in (signing.ENVELOPE, signing.BUNDLE):
        _judge((kind, content, {}))
    _judge((signing.SIMPLE_SIGNING, SIMPLE[1], {"dev.cosignproject.cosign/signature": text}))
    if fault := SIGNED_IMAGE.skips(Descriptor(signing.BUNDLE, DIGEST, 1, annotations=(("predicateType", text),))):
        visible(fault.reason)


def _signed_payload(text: str) -> None:
    """Signed by the key, so that all of it is read."""
    content = text.encode("utf-8", "surrogatepass")
    signature = {"dev.cosignproject.cosign/signature": signing.encoded(signing.sign(SIGNER, content))}
    faults = [_judge((signing.SIMPLE_SIGNING, content, signature))]
    envelope = signing.sealed(SIGNER, content)
    faults.append(_judge((signing.ENVELOPE, json.dumps(envelope).encode(), {})))
    for fault in filter(None, faults):
        visible(fault.reason)


def _result(text: str) -> None:
    with suppress(ValueError):
        read_result(text.encode(errors="surrogatepass"))


def _layout_index(text: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        (folder / "index.json").write_bytes(text.encode(errors="surrogatepass"))
        layouts = Layouts()
        place = parse_place(f"oci:{folder}")
        layouts.list_tags(place.name)
        layouts.head_manifest(place)


def _cached(text: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        raw = text.encode(errors="surrogatepass")
        digest = Digest.of(raw.partition(b"\n")[2])
        (Path(name) / f"{digest.algorithm}-{digest.hex}").write_bytes(raw)
        DocumentCache(Path(name)).get(digest)


# --- what users and their programs keep


def _docker_config(text: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "config.json"
        file.write_bytes(text.replace("credsStore", "s").replace("credHelpers", "h").encode(errors="surrogatepass"))
        for registry in ("docker.io", "quay.io"):
            DockerConfigCredentials(file).credential_for(registry, "acme/app")


class _Secrets:
    def __init__(self, text: str) -> None:
        self._text = text

    def client(self, service: str, region: str) -> _Secrets:
        return self

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:
        return {"SecretString": self._text}


def _secret(text: str) -> None:
    session = cast("AwsSession", _Secrets(text))
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x"
    SecretsManagerCredentials(session, {"quay.io": arn}).credential_for("quay.io")


# --- what Terraform and a plan say


def _message(line: str) -> None:
    message = ui_messages.read(line)
    if message is None:
        ui_messages.diagnostic_in(line)
        return
    ui_messages.event_of(message)
    ui_messages.change_of(message)
    ui_messages.drift_of(message)
    ui_messages.outputs_of(message)
    hint_for(ui_messages.diagnostic_of(message))


def _shown(text: str) -> None:
    """Terraform shows what is in AWS and in the plan: it makes the frame, and anybody the values."""
    try:
        sides = json.loads(text)
    except (ValueError, RecursionError):
        return  # Terraform writes JSON, though no deeper than its own types
    if not isinstance(sides, list) or not all(isinstance(side, dict) for side in sides):
        return
    if not all(isinstance(side.get(key, ""), str) for side in sides for key in ("name", "role", "repository")):
        return  # the provider has types
    before, after = (*sides, {}, {})[:2]
    for kind in ("aws_ecr_repository", "aws_ecr_lifecycle_policy", "aws_iam_role_policy", "aws_codebuild_project"):
        address = f'module.base_images.module.repositories["a"].{kind}.this'
        change = {"actions": ["update"], "before": before, "after": after, "after_unknown": {}, "before_sensitive": {}}
        resource = {"address": address, "mode": "managed", "type": kind, "name": "this", "change": change}
        shown = {"resource_changes": [resource], "resource_drift": [resource]}
        changes = with_attributes([InfraChange(address, kind, InfraAction.UPDATE, "a")], shown)
        drift_in(shown, changes)
        list(change_misfits(shown, changes))


def _policies(text: str) -> None:
    compare_policies(POLICY, text, "role of web")
    compare_policies(text, POLICY, "role of web")
    compare_policies(text, text.replace("a", "b"), "")
    compare_policies(None, text, "role of web", is_new=True)


def _sealed(members: Mapping[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "plan"
        sealed_archive.write(path, members, None)
        saved_plan.read_plan(path, {})


def _saved_members() -> Mapping[str, bytes]:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "shop.plan"
        saved_plans.save(path, Path(name) / "work")
        return sealed_archive.read(path, None).members


MEMBERS = _saved_members()


def _member(which: str, text: str) -> None:
    """A plan in which a member was replaced before it was sealed."""
    _sealed({**MEMBERS, which: text.encode(errors="surrogatepass")})


def _archive(text: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "plan"
        path.write_bytes(text.encode("latin-1", "replace"))
        saved_plan.read_plan(path, {})


def _inner(which: str, text: str) -> None:
    """A plan of Terraform in which a member was replaced."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(MEMBERS["terraform.tfplan"])) as old,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.infolist():
            new.writestr(
                entry.filename, text.encode(errors="surrogatepass") if entry.filename == which else old.read(entry)
            )
    content = file.getvalue()
    plan_contents.tells_of_drift(content)
    plan_contents.read_contents(content)


# --- what is in a tree


class _Tree:
    """Every file of a project has the same text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def has(self, path: str) -> bool:
        return len(path) < 100

    def read(self, path: str) -> str | None:
        return self._text


def _compose(text: str) -> None:
    read_compose(["compose.yaml"], _Tree(text), {"A": "b"})


def _bake(text: str) -> None:
    read_bake(["docker-bake.hcl"], _Tree(text), {})


def _bake_json(text: str) -> None:
    read_bake(["docker-bake.json"], _Tree(text), {})


def _ci(text: str) -> None:
    for is_gitlab in (True, False):
        read_ci(text, is_gitlab=is_gitlab)


def _tests(text: str) -> None:
    for language in sorted(set(LANGUAGES.values())):
        uses_testcontainers(text, language)
        read_tests(text, language)


def _settings(text: str) -> None:
    read_settings(text)
    read_properties(text)
    ryuk_of_go(text)


def _commands(text: str) -> None:
    reader = CommandReader({"A": "b", "HOME": None}, {})
    reader.read(text)
    _ = reader.reading


def _words(text: str) -> None:
    for read in (partial(expand, escape="\\"), partial(expand, escape="`"), interpolate):
        with suppress(CannotExpand):
            read(text, {"A": "b", "B": "c" * 100, "U": None})


def _tag_pattern(text: str) -> None:
    check_tag_pattern(text)
    TagPattern(text).matches("1.27-alpine")


def _buildspec(text: str) -> None:
    read_buildspec(text, {"A": "b"})
    with suppress(*OWN):
        commands_of(text, file="buildspec.yml")
    with suppress(*OWN):
        insert_step(text, "echo one\necho two\n", "web", file="buildspec.yml")


def _manifest(text: str) -> None:
    loads(text, "images.yaml")
    add_images(text, [NewImage("busybox:1")], "images.yaml")


def _digests(text: str) -> None:
    lock = read_digests(text, "images.lock.yaml")
    assert read_digests(write_digests(lock, text), "images.lock.yaml") == lock
    assert read_digests(write_digests({}, text), "images.lock.yaml") == {}


def _migrated(read: Callable[[ForeignFile], Carried], text: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        migrate(read(ForeignFile("x", text)), Target(Path(name) / "images.yaml", "a"))


def _go_pattern(text: str) -> None:
    for said in (anchored, searched, regclients, lambda one: literals([one]), lambda one: [*masterminds(one)]):
        with suppress(CannotSay):
            said(text)


YAML_PIECES = ("\n", "\n  ", "- ", ": ", "{", "}", "[", "]", "&a ", "*a", "<<: ", "|\n", ">", "#", "'", '"', "!!int ", "?", "%", "\t", "---", "0x", "\\", "${A}", "~", "1e999", "\u2028", "\ufeff", "\x00")  # fmt: skip
JSON_PIECES = ("[", "{", "}", "]", '{"a":', '"', ":", ",", "\\", "\\ud800", "1", "9" * 5000, "-", "e999", "null", "true", "NaN", "\x00", "é")  # fmt: skip
SHELL_PIECES = (" ", "\n", "'", '"', "\\", "$(", ")", "`", "${", "}", "$A", "<<E\n", "\nE\n", "|", "&&", ";", ";;", "(", "#", "docker ", "build ", "pull ", "-f ", "--file=", "nginx:1 ", "if ", "fi", "case ", "esac", "cd ", "export ", "A=", "sh -c ", "set -a", "eval ")  # fmt: skip
DOCKERFILE_PIECES = ("FROM ", "ARG ", "RUN ", "COPY ", "--from=", "--mount=", "type=bind,", "from=", " AS a", "\n", "\\\n", "# syntax=", "# escape=`\n", "`", "<<E", "\nE\n", "'", '"', "${", "}", "$A", ":-", "#", "/", "ONBUILD ", "ENV ", "[", "]", ",", "\t", " ", "nginx:1", "@sha256:", "--platform=", "HEALTHCHECK ", "\x00", "\u2028", "«")  # fmt: skip
HCL_PIECES = ("target ", '"a" ', "{\n", "}\n", "= ", "[", "]", '"', "${", "}", "\\", "<<E\n", "\nE\n", "//", "/*", "#", "\n", ",", "variable ", "group ", "matrix ", "inherits ", "default ", "dockerfile ", "a", "equal(", ")", "?", ":", "==", "for ", "in ")  # fmt: skip
HEADER_PIECES = (" ", "\t", ",", ";", "=", '"', "\\", "<", ">", "a", "0", "rel", "next", "Bearer", "Basic", "realm", "https://", "bytes", "w=", "-", "?", "&sig=", ":", "@", "[", "%", "é")  # fmt: skip
REFERENCE_PIECES = (":", "/", "@", "sha256:", "a", "0", ".", "-", "_", "[", "]", "localhost", "docker.io", "oci:", "A", " ", "é", "%", "\\", "\n", "\x00", "a" * 64)  # fmt: skip
PATTERN_PIECES = ("(", ")", "[", "]", "{", "}", "*", "+", "?", "|", "^", "$", ".", "\\d", "\\b", "(?:", "(?=", "(?<!", "(?P<a>", "(?P=a)", "\\1", "{1,3}", "{999}", "a", "-", "[[", "&&", "||", "~~", "\\N{", "(?i)", "(?a:", "++", "*+", "(?>")  # fmt: skip
DOTENV_PIECES = ("A", "=", ":", "'", '"', "\\", "\n", "\r\n", "#", " ", "\t", "export ", "${", "}", "$A", ":-", "[", "]", "é", "\ufeff", "\x00")  # fmt: skip

DESCRIPTOR: dict[str, Any] = {"mediaType": OCI_MANIFEST, "digest": str(DIGEST), "size": 3}
INDEX = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [
            {**DESCRIPTOR, "platform": {"os": "linux", "architecture": "amd64", "variant": "v8"}},
            {**DESCRIPTOR, "annotations": {"vnd.docker.reference.type": "attestation-manifest"}, "urls": ["x"]},
        ],
        "subject": DESCRIPTOR,
        "artifactType": "a/b",
        "annotations": {
            "io.base-image-toolkit.source.digest": str(DIGEST),
            "io.base-image-toolkit.selection": "linux/amd64",
        },
    }
)
IMAGE = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": DESCRIPTOR,
        "layers": [DESCRIPTOR, {**DESCRIPTOR, "urls": ["https://x"]}],
    }
)
PLANNED = {
    "type": "planned_change",
    "@level": "info",
    "change": {
        "resource": {"addr": 'module.base_images.module.repositories["a"].aws_ecr_repository.this', "module": 'module.base_images.module.repositories["a"]', "resource_type": "aws_ecr_repository"},
        "previous_resource": {"addr": "x.y"},
        "action": "create",
        "reason": "tainted",
        "importing": {"id": "a"},
    },
}  # fmt: skip
HOOK = {"type": "apply_complete", "hook": {"resource": {"addr": "a.b"}, "action": "create", "elapsed_seconds": 1.5}}
DIAGNOSTIC = {"type": "diagnostic", "diagnostic": {"severity": "error", "summary": "Error acquiring the state lock", "detail": "Lock Info:\n  ID: 1\n  Path: a\n  Operation: x\n  Who: me\n  Version: 1\n  Created: 2026-11-30 00:00:00 +0000 UTC\n", "address": "a.b"}}  # fmt: skip
OUTPUTS = {"type": "outputs", "outputs": {"a": {"value": [1], "sensitive": False}}}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root", "Service": ["a"]}, "Action": ["ecr:Get*", "s3:*"], "NotResource": "a*b?", "Condition": {"StringLike": {"aws:x": ["a", "b"]}}}]})  # fmt: skip
STATE = json.dumps({"version": 4, "terraform_version": "1.11.4", "serial": 3, "lineage": "l", "resources": [{"mode": "managed", "module": 'module.a["b"]', "type": "aws_ecr_repository", "name": "this", "instances": [{"index_key": "a", "status": "tainted", "attributes": {"arn": "arn:aws:ecr:eu-west-1:123456789012:repository/a", "tags": {"a": "b"}}, "sensitive_attributes": [[{"type": "get_attr", "value": "a"}]]}]}]})  # fmt: skip
SHOWN = json.dumps([{"policy": POLICY, "name": "a", "arn": "arn:aws:ecr:eu-west-1:123456789012:repository/a", "tags": {"a": "b"}, "environment": [{"privileged_mode": True, "environment_variable": [{"name": "A", "value": "b"}]}], "inline_policy": [{"name": "x", "policy": POLICY}], "managed_policy_arns": ["a"], "rules": None}, {"policy": '{"rules": [{"rulePriority": 1, "selection": {"tagStatus": "any", "countNumber": 1, "countType": "imageCountMoreThan"}, "action": {"type": "expire"}}]}', "tags": {}, "environment": [{"privileged_mode": False}], "permissions_boundary": "x"}])  # fmt: skip
LOCK = 'provider "registry.terraform.io/hashicorp/aws" {\n  version     = "5.100.0"\n  constraints = ">= 5.80.0"\n  hashes = [\n    "h1:abc=",\n  ]\n}\n'
CONFIG = json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": base64.b64encode(b"me:secret").decode()}, "quay.io/acme": {"username": "a", "password": "b"}, "quay.io": {"identitytoken": "t"}}, "x": {"quay.io": "fake"}})  # fmt: skip
RESULT = json.dumps(result_document(Result("plan", 0, {"plan": plan_samples.EVERYTHING_NEW})))
MANIFEST = saved_plans.MANIFEST + "builds:\n  - {name: web, source: {github: {url: https://github.com/a/b}}, buildspec: buildspec.yml}\nregistries:\n  docker.io: {endpoint: https://mirror.example/v2/hub}\n"  # fmt: skip
BUILDSPEC = "version: 0.2\nenv:\n  variables: {A: b}\nphases:\n  pre_build:\n    commands:\n      - echo a\n  build:\n    commands:\n      - docker build -t x --build-arg A=$A .\n      - |\n        cd sub && docker compose -f c.yml build --pull\n"  # fmt: skip
COMPOSE = "services:\n  web:\n    image: ${A:-nginx:1}\n    build: {context: ., dockerfile: D, args: [A=b], target: t, additional_contexts: {x: docker-image://y}, cache_from: [z]}\n    extends: {file: o.yml, service: s}\n    pull_policy: always\n    env_file: [.env]\n"  # fmt: skip
BAKE = 'variable "A" {\n  default = "1"\n}\ngroup "default" {\n  targets = ["a"]\n}\ntarget "a" {\n  inherits = ["b"]\n  dockerfile = "D"\n  args = { A = "${A}", B = equal(A, "1") ? "x" : "y" }\n  contexts = { x = "docker-image://nginx:1" }\n  matrix = { v = ["1", "2"] }\n  tags = ["a:${v}"]\n}\n'  # fmt: skip
BAKE_JSON = json.dumps({"variable": {"A": {"default": "1"}}, "group": {"default": {"targets": ["a"]}}, "target": {"a": {"inherits": ["b"], "args": {"A": "${A}"}, "contexts": {"x": "docker-image://nginx:1"}, "matrix": {"v": ["1", "2"]}, "dockerfile-inline": "FROM nginx", "cache-from": ["type=registry,ref=a/b"], "platforms": ["linux/amd64"], "attest": ["type=sbom,generator=x"]}}})  # fmt: skip
DOCKERFILE = "# syntax=docker/dockerfile:1\nARG A=1\nFROM --platform=$BUILDPLATFORM nginx:${A:-1} AS base\nENV B=c D=\"e f\"\nRUN --mount=type=bind,from=busybox:1,target=/x <<E\ncat\nE\nCOPY --from=golang:1 [\"a\", \"b\"]\nONBUILD COPY --from=a b c\nFROM base\nHEALTHCHECK CMD true\n"  # fmt: skip
GITHUB = "on: push\njobs:\n  a:\n    strategy: {matrix: {v: [1, 2], include: [{v: 3}]}}\n    container: node:${{ matrix.v }}\n    services: {db: {image: 'postgres:16'}}\n    steps: [{uses: 'docker://alpine:3'}]\n"
GITLAB = "variables: {A: b}\ndefault: {image: 'ruby:$A'}\njob:\n  image: {name: 'node:20', entrypoint: ['']}\n  services: [{name: 'postgres:16', alias: db}, 'redis:7']\n  parallel: {matrix: [{V: [1, 2]}]}\n"
SOURCES = (
    'import org.testcontainers.containers.*;\nclass A extends GenericContainer<A> {\n  static final String V = "1";\n  A() { super("redis:" + V); new PostgreSQLContainer<>(DockerImageName.parse("postgres:16").asCompatibleSubstituteFor("x")); String u = "jdbc:tc:mysql:8:///x"; }\n}\n',
    'package a\nimport tc "github.com/testcontainers/testcontainers-go"\nconst v = "1"\nfunc f() { tc.Run(ctx, "redis:"+v); _ = tc.ContainerRequest{Image: "nginx:1", X: `raw`} }\n',
    'from testcontainers.postgres import PostgresContainer\nV = "16"\nwith PostgresContainer(f"postgres:{V}") as p:\n    DockerContainer(image="redis:7" """x""")\n',
    "import { GenericContainer } from 'testcontainers';\nconst v = '1';\nnew GenericContainer(`redis:${v}`).withExposedPorts(1); GenericContainer.fromDockerfile('x')\n",
    'using DotNet.Testcontainers.Builders;\nvar c = new ContainerBuilder().WithImage($"redis:{V}").Build(); const string V = @"7";\n',
)
SOURCE_PIECES = ("(", ")", "{", "}", "[", "]", "<", ">", '"', "'", "`", '"""', "\\", "//", "/*", "*/", "#", "\n", "+", ",", ";", "=", "new ", "GenericContainer", "Container", "import ", "testcontainers", "const ", "f\"", "$\"", "@\"", "${", "redis:7", "Image:", "super(", "extends ", "jdbc:tc:", "\x00", "é")  # fmt: skip
DOTENV = "A=1\nexport B='x'\nC=\"a $A ${B:-c}\\n\"\nD: e # f\nE\n"
COMMANDS = "set -e\nexport A=b\ncd sub && docker build -f D -t x . | tee log\nif [ -n \"$A\" ]; then docker pull nginx:$A; fi\nsh -c 'docker run busybox'\nsh <<E\ndocker compose up\nE\ndocker buildx bake -f a.hcl --set '*.args.A=b' \"$(pwd)\"\n"  # fmt: skip

DIGESTS = f"lock_version: 1\nimages:\n  # of the hub\n  hub/a:1:\n    source: docker.io/library/a:1\n    hold:\n      reason: \"broken\"\n      until: 2027-01-01T00:00:00Z\n    admitted:\n      digest: {DIGEST}\n      first_seen: 2026-11-30T06:00:00Z\n      platforms: [linux/amd64, linux/arm64/v8]\n      size: 5\n      admitted: 2026-11-30T06:00:00Z\n    candidates:\n      - digest: sha256:{'0' * 64}\n        first_seen: 2026-11-30T06:00:00Z\n"  # fmt: skip

SAMPLES = Path(__file__).parents[1] / "unit" / "migration" / "samples"
REGSYNC, SKOPEO_SYNC = ((SAMPLES / f"{name}.yml").read_text() for name in ("regsync", "skopeo-sync"))

READERS: dict[str, Reader] = {
    "challenge": Reader(_challenge, ('Bearer realm="https://registry.example/token",service="x, y",scope="a", Basic realm=x',), HEADER_PIECES, 16 * KIB),
    "link": Reader(lambda text: read_next_page({"Link": text}), ('</v2/a/tags/list?n=1&last=x>; rel="next"',), HEADER_PIECES, 16 * KIB),
    "pull limit": Reader(lambda text: read_pull_limit(_headers(ratelimit_limit=text, ratelimit_remaining=text)), ("100;w=21600",), HEADER_PIECES, 16 * KIB),
    "retry after": Reader(lambda text: read_retry_after(text, 0.0), ("7", "Thu, 01 Jan 2026 00:00:00 GMT"), (*HEADER_PIECES, "Jan", "+99:99", "GMT", "99999"), 16 * KIB),
    "refusal": Reader(lambda text: refusal(_response(400, text), "`x`"), ('{"errors": [{"code": "DENIED", "message": "no https://x?sig=1", "detail": {}}]}',), JSON_PIECES, 8 * KIB * KIB, is_json=True),
    "words": Reader(cleaned, ("see https://x/y?X-Amz-Signature=1&a=b x-goog-token=c",), HEADER_PIECES, 20 * KIB),
    "tag page": Reader(lambda text: read_tag_page(_response(200, text), "`x`"), ('{"name": "a", "tags": ["1", "2"]}',), JSON_PIECES, 8 * KIB * KIB, is_json=True),
    "token": Reader(_token, ('{"token": "t", "access_token": "t", "expires_in": 300, "issued_at": "x"}',), JSON_PIECES, 8 * KIB * KIB, is_json=True),
    "document": Reader(_document, (INDEX, IMAGE), (*JSON_PIECES, '"manifests":', '"layers":', '"size":', "sha256:"), 8 * KIB * KIB, is_json=True),
    "image configuration": Reader(lambda text: check_platform(text.encode(errors="surrogatepass"), [Platform("linux", "amd64")]), ('{"os": "linux", "architecture": "amd64", "variant": "v1"}',), JSON_PIECES, 8 * KIB * KIB, is_json=True),
    "signatures": Reader(_signatures, (SIMPLE[1].decode(), ENVELOPE[1].decode(), signing.bundle(SIGNER, DIGEST, "other")[1].decode()), (*JSON_PIECES, "=", "-", "_", "*", "sha256:"), 64 * KIB, is_json=True),
    "signed payload": Reader(_signed_payload, (SIMPLE[1].decode(), signing.statement(DIGEST, "x").decode()), (*JSON_PIECES, "sha256", '"critical":', '"subject":'), 64 * KIB, is_json=True),
    "public keys": Reader(read_public_keys, (signing.public(SIGNER) * 2,), ("-----BEGIN ", "-----END ", "PUBLIC KEY", "CERTIFICATE", "-----", "\n", " ", "MFkwEwYH", "=", "A"), 64 * KIB, allows=(ValueError,)),
    "cached document": Reader(_cached, (f"{OCI_INDEX}\n{INDEX}",), JSON_PIECES, 8 * KIB * KIB),
    "location": Reader(_location, ("/v2/a/blobs/uploads/1?_state=x", "https://storage.example:443/x?sig=1", "//a@b/c"), (*REFERENCE_PIECES, "https://", "http://", "//", "?", "#", "[", "]", "..", "\t", "file:", ":99999"), 16 * KIB),
    "layout index": Reader(_layout_index, (INDEX.replace('"annotations": {', '"annotations": {"org.opencontainers.image.ref.name": "a", '),), JSON_PIECES, 16 * KIB * KIB, is_json=True),
    "reference": Reader(Reference.parse, ("docker.io/library/nginx:1.27", f"quay.io:443/a/b@{DIGEST}", "[::1]:5000/a"), REFERENCE_PIECES, KIB * KIB),
    "place": Reader(parse_place, ("oci:a/b:c", f"oci:a@{DIGEST}"), REFERENCE_PIECES, KIB * KIB),
    "digest": Reader(Digest.parse, (str(DIGEST),), REFERENCE_PIECES, KIB * KIB),
    "platform": Reader(Platform.parse, ("linux/arm64/v8",), REFERENCE_PIECES, KIB * KIB),
    "alternative": Reader(Alternative.parse, ("public.ecr.aws/docker/library",), REFERENCE_PIECES, KIB * KIB),
    "endpoints": Reader(Endpoints.parse, ("docker.io=https://a.example/v2/x *.dkr.ecr.*=http://127.0.0.1:1",), (*REFERENCE_PIECES, "=", "://", "*", "http", "?", "#"), 64 * KIB),
    "docker config": Reader(_docker_config, (CONFIG,), JSON_PIECES, KIB * KIB, is_json=True),
    "secret": Reader(_secret, ('{"username": "a", "password": "b", "hosts": ["quay.io"]}',), JSON_PIECES, 64 * KIB, is_json=True),
    "terraform message": Reader(_message, tuple(map(json.dumps, (PLANNED, {**PLANNED, "type": "resource_drift"}, HOOK, DIAGNOSTIC, OUTPUTS))), (*JSON_PIECES, "\x1b[31m", "╷", "Error: "), KIB * KIB, is_json=True),
    "shown plan": Reader(_shown, (SHOWN,), (*JSON_PIECES, "*a", '"policy":'), KIB * KIB, is_json=True),
    "policies": Reader(_policies, (POLICY,), (*JSON_PIECES, "*", "?", "*a", '"Action":', '"Resource":'), 64 * KIB, is_json=True),
    "state": Reader(partial(_inner, "tfstate"), (STATE,), JSON_PIECES, KIB * KIB, is_json=True),
    "modules": Reader(partial(_inner, "tfconfig/modules.json"), ('[{"Key": "", "Dir": "."}]',), JSON_PIECES, KIB * KIB, is_json=True),
    "digests": Reader(_digests, (DIGESTS,), (*YAML_PIECES, "images:", "  hub/b:1:\n", "    gone: ", "      - digest: ", "reason: ", "size: ", "platforms: "), KIB * KIB, cost_size=2 * KIB),
    "lock file": Reader(provider_lock.locked_version, (LOCK,), ('provider "a" {\n', "  ", "version", " = ", '"', "\n", "}\n", "/hashicorp/aws", "5.1", "\t"), KIB * KIB),
    "saved plan": Reader(_archive, (), ("PK\x03\x04", "PK\x01\x02", "PK\x05\x06", "\x00", "\xff", "a", "\x00" * 20), 64 * KIB),
    "result": Reader(_result, (RESULT,), (*JSON_PIECES, '"plan":', '"scan":', '"outcomes":', "sha256:"), KIB * KIB, is_json=True),
    "dockerfile": Reader(read_dockerfile, (DOCKERFILE,), DOCKERFILE_PIECES, KIB * KIB),
    ".env": Reader(lambda text: read_dotenv(text, {"A": "b"}), (DOTENV,), DOTENV_PIECES, KIB * KIB),
    "word": Reader(_words, ("${A:-b}${U}$B'c'", "${B//c/x}", "${B#*c}"), ("$", "{", "}", "A", "B", "U", ":", "-", "+", "?", "#", "%", "/", "*", "'", '"', "\\", "`", "c", "${B", "$B"), 64 * KIB),
    "compose": Reader(_compose, (COMPOSE,), (*YAML_PIECES, "services:", "image:", "build:", "extends:"), KIB * KIB, cost_size=2 * KIB),
    "bake": Reader(_bake, (BAKE,), HCL_PIECES, 256 * KIB, cost_size=2 * KIB),
    "bake in JSON": Reader(_bake_json, (BAKE_JSON,), (*JSON_PIECES, "${", "}", "?", "=="), KIB * KIB, is_json=True),
    "CI file": Reader(_ci, (GITHUB, GITLAB), (*YAML_PIECES, "jobs:", "container:", "services:", "image:", "matrix:", "${{ matrix.", "}}", "$A"), KIB * KIB, cost_size=2 * KIB),
    "tests": Reader(_tests, SOURCES, SOURCE_PIECES, KIB * KIB, cost_size=8 * KIB),
    "settings of tests": Reader(_settings, ("spring.datasource.url=jdbc:tc:postgresql:16:///x?TC_TMPFS=a\nryuk.container.image = a/b:1\n",), ("jdbc:tc:", "r2dbc:tc:", ":", "/", "=", "\n", " ", "postgresql", "?", "TC_IMAGE_TAG=", "1", ".", "-", "<url>", '"', "&"), KIB * KIB),
    "buildspec": Reader(_buildspec, (BUILDSPEC,), (*YAML_PIECES, "phases:", "commands:", "# toolkit: begin", "# toolkit: end"), KIB * KIB, cost_size=2 * KIB),
    "commands": Reader(_commands, (COMMANDS,), SHELL_PIECES, KIB * KIB, cost_size=6 * KIB),
    "manifest": Reader(_manifest, (MANIFEST,), (*YAML_PIECES, "images:", "source:", "tags:", "registries:", "version: 1\n"), KIB * KIB, cost_size=2 * KIB),
    "regsync": Reader(partial(_migrated, lambda file: read_regsync(file, {"A": "b"})), (REGSYNC,), (*YAML_PIECES, "sync:", "source:", "target:", "type: image", "tags:", "allow:", "semverRange:", "creds:", '{{env "A"}}', ".dkr.ecr.eu-west-1.amazonaws.com"), KIB * KIB, cost_size=2 * KIB),
    "skopeo sync": Reader(partial(_migrated, read_skopeo_sync), (SKOPEO_SYNC,), (*YAML_PIECES, "docker.io:", "images:", "images-by-tag-regex:", "images-by-semver:", "credentials:", "sha256:", ">=1"), KIB * KIB, cost_size=2 * KIB),
    "pattern of Go": Reader(_go_pattern, ("^v(?i:a|b)[[:alpha:]]+\\.x\\z|c$", ">= 1.2, < 2 || ~1.1 - 1.3.x"), (*PATTERN_PIECES, "[:alpha:]", "\\z", "\\Q", ">=", "~", "=>", "x", "||", " - ", "v1.2", "9" * 5000), KIB),
    "lock of a state": Reader(read_lock, ('{"ID": "1", "Who": "me@host", "Created": "2026-11-30T00:00:00.123456789Z"}',), JSON_PIECES, KIB * KIB, is_json=True),
    "tag pattern": Reader(_tag_pattern, ("1\\.2[0-9]-(?:alpine|slim)",), PATTERN_PIECES, KIB, allows=(ValueError, TooSlow)),
    "version range": Reader(VersionRange.parse, (">=1.24 <2 !=1.25-rc1",), (">=", "<", "!=", "1", ".", "-", "rc", "alpha", " ", ",", "_", "9" * 5000), KIB, allows=(ValueError,)),
    "tag": Reader(age_key, ("v1.27.3-rc1-alpine3.19",), ("v", "1", ".", "-", "_", "rc", "alpha", "a", "Z", "²", "٣"), 128, cost_size=128),
    **{
        f"member {name}": Reader(partial(_member, name), (MEMBERS[name].decode(),), JSON_PIECES, KIB * KIB, is_json=True, cost_size=2 * KIB)
        for name in ("about.json", "plan.json")
    },
}  # fmt: skip
"""By name."""
