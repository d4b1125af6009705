"""Secrets of nine kinds in runs of the program: in no output, no file, and no child that does not need them."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.support.faulty_registry import FaultyRegistry, Reply, Seen, as_json, faulty_registry, refused
from tests.support.made_images import MadeImage, image
from tests.support.real_parts import require
from tests.support.sandbox import running_sandbox
from tests.support.toolkit_run import Finished, Toolkit
from toolkit.oci.media_types import OCI_MANIFEST

CANARIES = {
    name: f"canary/{name}+%é\"'"
    for name in ("env", "login", "identity", "helper", "secret", "session", "bearer", "presigned")
} | {
    "aws": "canaryAWSsecretACCESSkey/0123456789+abcdef",
    "proxy": "canary@proxy/ö",
    "key": "canary-plan-key-0123456789",
}
"""Their letters differ in every form in which something may be written."""
FOR_AWS = frozenset({"aws", "session"})
FOR_PROXIES = frozenset({"proxy"})
MARK = f"CANARY_RUN_{os.getpid()}_OF_TESTS"
USER = "canary-user"


def forms(name: str) -> dict[str, bytes]:
    """How a canary may be written."""
    value = CANARIES[name]
    texts = {
        "plain": value,
        "URL": quote(value, safe=""),
        "form": quote_plus(value),
        "JSON": json.dumps(value)[1:-1],
        "JSON with letters": json.dumps(value, ensure_ascii=False)[1:-1],
        "base64": base64.b64encode(value.encode()).decode().rstrip("="),
        "base64 for URLs": base64.urlsafe_b64encode(value.encode()).decode().rstrip("="),
        "Basic": base64.b64encode(f"{USER}:{value}".encode()).decode().rstrip("="),
    }
    return {form: text.encode() for form, text in texts.items()}


EVERY_FORM = {(name, form): text for name in CANARIES for form, text in forms(name).items()}


def found_in(content: bytes, *allowed: str) -> list[tuple[str, str]]:
    return [place for place, text in EVERY_FORM.items() if place[0] not in allowed and text in content]


@dataclass
class Children:
    """Every process with the mark in its environment: what it was started with."""

    seen: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    _is_over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at `/proc` again and again until the end of the block."""
        watching = threading.Thread(target=self._watch, daemon=True)
        watching.start()
        try:
            yield
        finally:
            self._is_over.set()
            watching.join()

    def _watch(self) -> None:
        while not self._is_over.wait(0.01):
            for process in Path("/proc").iterdir():
                if process.name.isdecimal() and int(process.name) != os.getpid():
                    with suppress(OSError):
                        argv = (process / "cmdline").read_bytes()
                        environment = (process / "environ").read_bytes()
                        # One that ends meanwhile has no argv, and one that calls exec has another program's.
                        if MARK.encode() in environment and argv == (process / "cmdline").read_bytes() != b"":
                            self.seen[int(process.name)] = (argv, environment)

    def others(self) -> list[tuple[bytes, bytes]]:
        """All but the program itself, which the user gave everything."""
        return [(argv, environment) for argv, environment in self.seen.values() if b"/toolkit\0" not in argv]


MADE = image([b"layer" * 100])


@contextmanager
def registry(made: MadeImage = MADE, *, echoes: bool = False) -> Iterator[FaultyRegistry]:
    """Wants a token for everything; its blobs are at a presigned address. With `echoes` it refuses, and repeats."""
    with faulty_registry() as server:
        bearer = quote(CANARIES["bearer"], safe="")

        def guarded(reply: Reply) -> Callable[[Seen], Reply]:
            def answer(seen: Seen) -> Reply:
                if seen.authorization != f"Bearer {bearer}":
                    return refused(401, "UNAUTHORIZED", "", {"WWW-Authenticate": f'Bearer realm="{server.url}/token"'})
                if echoes and seen.method == "GET":
                    return refused(403, "DENIED", f"{seen.authorization} {sent()}")
                return reply

            return answer

        def sent() -> str:
            asked = [f"{seen.authorization} {seen.body.decode()}" for seen in server.seen]
            return " ".join(dict.fromkeys(asked)) + f" {server.url}/blob?X-Amz-Signature={quote(CANARIES['presigned'])}"

        server.on("GET", "/token", lambda seen: as_json({"token": bearer}) if seen.authorization else Reply(401))
        server.on("POST", "/token", lambda seen: as_json({"access_token": bearer}))
        headers = {"Content-Type": OCI_MANIFEST, "Docker-Content-Digest": str(made.digest)}
        found = Reply(200, {**headers, "Content-Length": str(len(made.document.raw))}, made.document.raw)
        for path in ("1", str(made.digest)):
            for method in ("HEAD", "GET"):
                server.on(method, f"/v2/a/b/manifests/{path}", guarded(found))
        for digest, content in made.blobs.items():
            there = f"/storage/{digest.hex}"
            address = f"{server.url}{there}?X-Amz-Signature={quote(CANARIES['presigned'], safe='')}"
            server.on("GET", f"/v2/a/b/blobs/{digest}", guarded(Reply(307, {"Location": address})))
            server.on("GET", there, Reply(200, {}, content))
        yield server


def stored(folder: Path, hosts: Mapping[str, str]) -> None:
    """The logins of `docker login`, one kind for each host."""
    auths: dict[str, object] = {}
    helpers: dict[str, str] = {}
    for host, kind in hosts.items():
        if kind == "helper":
            helpers[host] = "canary"
        elif kind == "identity":
            auths[host] = {"auth": base64.b64encode(b"canary-user:").decode(), "identitytoken": CANARIES["identity"]}
        else:
            auths[host] = {"auth": base64.b64encode(f"{USER}:{CANARIES[kind]}".encode()).decode()}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"auths": auths, "credHelpers": helpers}))
    program = folder / "docker-credential-canary"
    login = json.dumps({"Username": USER, "Secret": CANARIES["helper"]})
    program.write_text(f"#!/bin/sh\nsleep 0.2\ncat <<'E'\n{login}\nE\n")
    program.chmod(0o755)


def environment(docker: Path) -> dict[str, str | None]:
    """Everything that a pipeline may hold, in the variables that hold it."""
    return {
        MARK: "1",
        "DOCKER_CONFIG": str(docker),
        "PATH": f"{docker}:{os.environ['PATH']}",
        "TOOLKIT_REGISTRY_X_USER": USER,
        "TOOLKIT_REGISTRY_X_TOKEN": CANARIES["env"],
        "TOOLKIT_PLAN_KEY": CANARIES["key"],
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": CANARIES["aws"],
        "AWS_SESSION_TOKEN": CANARIES["session"],
        "HTTPS_PROXY": f"http://me:{quote(CANARIES['proxy'], safe='')}@127.0.0.1:1",
        "TF_LOG": "trace",
        "TF_LOG_PATH": "terraform-trace.log",
    }


def check_files(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            assert found_in(file.read_bytes()) == [], file


def check_children(children: Children) -> None:
    for argv, given in children.others():
        assert found_in(argv) == [], argv
        assert found_in(given, *FOR_AWS, *FOR_PROXIES) == [], argv


def check_output(finished: Finished) -> None:
    assert found_in(finished.stdout.encode()) == []
    assert found_in(finished.stderr.encode()) == []


@pytest.mark.parametrize(
    ("kind", "echoes", "form"),
    [("login", False, "text"), ("identity", True, "json"), ("helper", True, "json-lines"), ("login", True, "text")],
)
def test_a_copy_shows_no_credential_that_it_used(tmp_path: Path, kind: str, echoes: bool, form: str) -> None:
    children = Children()
    with registry(echoes=echoes) as source, children.watched():
        stored(tmp_path / "docker", {source.host: kind})
        work = tmp_path / "work"
        work.mkdir()
        toolkit = Toolkit(work, environment(tmp_path / "docker"))
        done = toolkit.run("copy", f"{source.host}/a/b:1", "oci:layout:x", "--format", form)
        assert source.asked("GET", "/token") or source.asked("POST", "/token")
        assert done.code == (4 if echoes else 0), done
        assert ("***" in done.stdout + done.stderr) == echoes
    assert any(b"docker-credential-canary" in argv for argv, _ in children.others()) == (kind == "helper")
    check_output(done)
    check_files(work)
    check_children(children)


MANIFEST = """\
version: 1
name: shop
aws: {{region: eu-west-1}}
images:
  - {{source: "{secret}/a/b:1", repository: one}}
  - {{source: "{env}/a/b:1", repository: two}}
  - {{source: "{login}/a/b:1", repository: three}}
  - {{source: "{identity}/a/b:1", repository: four}}
  - {{source: "{helper}/a/b:1", repository: five}}
registries:
  "{secret}": {{credential: {{secretsmanager: "{arn}"}}}}
  "{env}": {{credential: {{env: {{username: TOOLKIT_REGISTRY_X_USER, password: TOOLKIT_REGISTRY_X_TOKEN}}}}}}
builds:
  - {{name: web, source: {{type: GITHUB, location: "https://github.com/acme/web.git"}}, images: ["{env}/a/b:1"]}}
"""
LIFE = (
    ("schema",),
    ("validate", "--format", "json"),
    ("render", "--out", "rendered"),
    ("plan",),
    ("plan", "--format", "json"),
    ("plan", "--out", "shop.plan", "--format", "json-lines"),
    ("show", "shop.plan"),
    ("show", "shop.plan", "--format", "json"),
    ("apply", "shop.plan", "--format", "json-lines"),
    ("apply", "--auto-approve", "--format", "json"),
    ("seed",),
    ("scan", ".", "--format", "json"),
    ("scan", ".", "--format", "sarif"),
    ("buildspec", "web"),
    ("lock-provider",),
    ("destroy", "--auto-approve", "--format", "json-lines"),
)


@pytest.mark.slow
def test_no_command_lets_a_secret_out(tmp_path: Path) -> None:
    """Every command once, in the formats it has, with Terraform and its provider and `TF_LOG=trace`."""
    require("terraform")
    children = Children()
    with (
        running_sandbox(tmp_path / "sandbox") as sandbox,
        registry() as secret,
        registry() as env,
        registry() as login,
        registry() as identity,
        registry() as helper,
    ):
        hosts = {"secret": secret.host, "env": env.host, "login": login.host, "identity": identity.host, "helper": helper.host}  # fmt: skip
        work = tmp_path / "work"
        work.mkdir()
        stored(tmp_path / "docker", {hosts[kind]: kind for kind in ("login", "identity", "helper")})
        toolkit = Toolkit(work, {**sandbox.environment(), **environment(tmp_path / "docker")})
        value = {"username": USER, "password": CANARIES["secret"], "hosts": [hosts["secret"]]}
        aws = sandbox.client("secretsmanager", "eu-west-1")
        arn = aws.create_secret(Name="registry", SecretString=json.dumps(value))["ARN"]
        (work / "images.yaml").write_text(MANIFEST.format(**hosts, arn=arn))
        (work / "Dockerfile").write_text(f"FROM {hosts['env']}/a/b:1\n")
        ends = {}
        with children.watched():
            for command in LIFE:
                done = toolkit.run(*command)
                ends[command] = done.code, done.stderr[-2000:]
                check_output(done)
        check_files(work)
        check_children(children)
    assert [(command, *end) for command, end in ends.items() if end[0]] == []
    for program in (b"docker-credential-canary", b"terraform\0", b"terraform-provider-aws"):
        given = [environment for argv, environment in children.others() if program in argv]
        assert given, program
        assert all(("aws", "plain") in found_in(one) for one in given), "what they need is there to be found"
