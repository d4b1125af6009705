"""The repositories of a manifest in the sandbox, for what writes into ECR."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.sandbox import RunningSandbox, running_sandbox
from toolkit.oci.digest import Digest

MANIFEST = """\
version: 1
name: kills
aws: {region: eu-west-1}
images:
  - {source: "nginx:1.16", platforms: all}
  - {source: "redis:7", platforms: [linux/arm64]}
  - "alpine:3.20"
  - "quay.io/acme/tool:2"
"""
REPOSITORIES = ("docker-hub/library/nginx", "docker-hub/library/redis", "docker-hub/library/alpine", "quay/acme/tool")


SOURCES = ("nginx:1.16", "redis:7", "alpine:3.20", "quay.io/acme/tool:2")


@contextmanager
def sandbox_with_sources(folder: Path) -> Iterator[RunningSandbox]:
    """A sandbox that has upstream what the manifest names, and no limit of pulls to speak of."""
    with running_sandbox(folder, SOURCES, upstream_limit=1_000_000) as running:
        yield running


class Ecr:
    """The repositories of the manifest in the sandbox."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self._client = sandbox.client("ecr", "eu-west-1")
        self._folder = sandbox.status.folder / "ecr" / "123456789012" / "eu-west-1"

    def empty(self) -> None:
        """New repositories in place of the old."""
        there = {one["repositoryName"] for one in self._client.describe_repositories()["repositories"]}
        for name in REPOSITORIES:
            if name in there:
                self._client.delete_repository(repositoryName=name, force=True)
            self._client.create_repository(repositoryName=name)

    def tags(self) -> dict[str, str]:
        """The digest of every tag, each with all its content."""
        found = {}
        for name in REPOSITORIES:
            for one in self._client.describe_images(repositoryName=name)["imageDetails"]:
                for tag in one.get("imageTags", ()):
                    found[f"{name}:{tag}"] = one["imageDigest"]
                    self._check(name, one["imageDigest"])
        return found

    def _check(self, name: str, digest: str) -> None:
        [one] = self._client.batch_get_image(repositoryName=name, imageIds=[{"imageDigest": digest}])["images"]
        assert str(Digest.of(one["imageManifest"].encode())) == digest
        document = json.loads(one["imageManifest"])
        for child in document.get("manifests", ()):
            self._check(name, child["digest"])
        for blob in (document["config"], *document["layers"]) if "layers" in document else ():
            algorithm, _, hexadecimal = blob["digest"].partition(":")
            assert (self._folder / "repositories" / name / "_blobs" / algorithm / hexadecimal).exists()
            content = (self._folder / "blobs" / algorithm / hexadecimal[:2] / hexadecimal).read_bytes()
            assert str(Digest.of(content)) == blob["digest"]
