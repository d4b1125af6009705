"""A sandbox for a test: `running_sandbox` the whole one, in its process; `stand_in_registry` a registry in a thread."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from tests.support.plain_http import Answer, plain_http
from toolkit.sandbox import process
from toolkit.sandbox.process import SandboxStatus
from toolkit.sandbox.registry import Policy, RegistryApp
from toolkit.sandbox.serving import address_of, open_server, serve
from toolkit.sandbox.store import BlobStore, DiskDocuments

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A sandbox that runs until the end of its block."""

    status: SandboxStatus

    def environment(self) -> dict[str, str]:
        """This process's environment, with the sandbox's settings in it."""
        merged: dict[str, str | None] = {**os.environ, **process.environment(self.status)}
        return {name: value for name, value in merged.items() if value is not None}

    def client(self, service: str, region: str) -> Any:
        """A client of boto3 for the sandbox's AWS."""
        return boto3.client(
            service,  # type: ignore[call-overload]  # a name that is not a literal
            region_name=region,
            endpoint_url=self.status.aws_endpoint,
            aws_access_key_id="sandbox",
            aws_secret_access_key="sandbox",
        )

    def accesses(self, name: str) -> list[dict[str, Any]]:
        """What was asked of `aws`, `docker-hub`, `upstream` or `ecr`, in order of the answers."""
        text = (self.status.folder / f"{name}.access.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def manifest_gets(self) -> list[str]:
        """What Docker Hub counts: the paths of GETs of manifests."""
        seen = self.accesses("docker-hub")
        return [line["path"] for line in seen if line["method"] == "GET" and "/manifests/" in line["path"]]

    def pulls(self) -> dict[str, Any]:
        """Counted pulls of Docker Hub."""
        return dict(self._ask("GET", "/sandbox/pulls").document)

    def bump(self, reference: str) -> str:
        """Move an upstream tag; the digest that it points to from now on."""
        answer = self._ask("POST", f"/sandbox/bump?reference={reference}")
        assert answer.status == 200, answer.body
        return str(answer.document["digest"])

    def age(self, *, days: int) -> None:
        """Make every push and pull in ECR so much older."""
        assert self._ask("POST", f"/sandbox/age?days={days}").status == 200

    def _ask(self, method: str, path: str) -> Answer:
        with plain_http(self.status.docker_hub_endpoint) as http:
            return http.ask(method, path)


@contextmanager
def running_sandbox(
    folder: Path, references: Sequence[str] = (), *, upstream_limit: int = 100
) -> Iterator[RunningSandbox]:
    """Start a sandbox in `folder`, stop it at the end."""
    try:
        yield RunningSandbox(process.up(folder, references, upstream_limit=upstream_limit))
    finally:
        process.down(folder)


@contextmanager
def served(app: WSGIApplication) -> Iterator[str]:
    """The URL of `app`, served by the sandbox's own server until the end of the block."""
    server = open_server(app)
    thread = serve(server)
    try:
        yield address_of(server)
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def stand_in_registry(folder: Path, policy: Policy | None = None) -> Iterator[str]:
    """The URL of an empty registry of ours."""
    with served(RegistryApp(BlobStore(folder), DiskDocuments(folder), policy or Policy())) as url:
        yield url
