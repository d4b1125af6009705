"""A rollback in the real program, over HTTP: what it asks of ECR and of upstream, which may be gone by then."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.sandbox import running_sandbox
from tests.support.toolkit_run import Toolkit

MANIFEST = """\
version: 1
name: shop
aws: {region: eu-west-1}
repositories: {keep_previous: 2}
images:
  - {source: "nginx:1.27", platforms: [linux/amd64]}
  - alpine:3.20
"""
NGINX, ALPINE = "docker-hub/library/nginx", "docker-hub/library/alpine"


@pytest.mark.slow
def test_moves_tags_back_by_one_put_each_and_without_a_pull(tmp_path: Path) -> None:
    (tmp_path / "images.yaml").write_text(MANIFEST)
    with running_sandbox(tmp_path / "sandbox", ["nginx:1.27", "alpine:3.20"]) as sandbox:
        ecr = sandbox.client("ecr", "eu-west-1")
        for name in (NGINX, ALPINE):
            ecr.create_repository(repositoryName=name)
        environment = {k: v for k, v in sandbox.environment().items() if k.startswith(("AWS_", "TOOLKIT_"))}
        toolkit = Toolkit(tmp_path, environment)

        def digests() -> dict[str, str]:
            return {
                tag: image["imageDigest"]
                for name in (NGINX, ALPINE)
                for image in ecr.describe_images(repositoryName=name)["imageDetails"]
                for tag in image.get("imageTags", ())
            }

        def puts() -> list[str]:
            lines = [line for line in sandbox.accesses("ecr") if line["method"] in ("PUT", "POST", "PATCH")]
            return [line["path"].removeprefix("/v2/") for line in lines]

        toolkit.run("lock").expect(0)
        toolkit.run("seed").expect(0)
        first = digests()
        bumped = [sandbox.bump(name) for name in ("nginx:1.27", "alpine:3.20")]
        toolkit.run("lock").expect(0)
        toolkit.run("seed").expect(0)
        second = digests()
        assert second["1.27"] != first["1.27"] and second["3.20"] != first["3.20"]
        keeper = f"kept.1.27.{first['1.27'][7:19]}"
        assert second[keeper] == first["1.27"]

        # Another machine, while upstream is there.
        shutil.rmtree(tmp_path / "cache")
        said = toolkit.run("rollback", "nginx:1.27", "--reason", "segfaults").expect(0).stdout
        assert f"as `{keeper}`" in said
        pulls, written = len(sandbox.manifest_gets()), len(puts())
        plan = toolkit.run("seed", "--dry-run", "--format", "json").expect(0).document["plan"]
        (moved,) = [seed for seed in plan["seeds"] if seed["action"] != "keep"]
        assert (moved["key"], moved["stored_as"], moved["pulls"]) == (
            f"{NGINX}:1.27",
            keeper,
            {"at_least": 0, "at_most": 0},
        )
        toolkit.run("seed").expect(0)
        # The image that the tag leaves gets its keeper, and the tag moves.
        assert puts()[written:] == [
            f"{NGINX}/manifests/kept.1.27.{second['1.27'][7:19]}",
            f"{NGINX}/manifests/1.27",
        ]
        assert len(sandbox.manifest_gets()) == pulls
        assert digests()["1.27"] == first["1.27"]

        # Another machine, when upstream has deleted everything.
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        shutil.rmtree(tmp_path / "sandbox" / "docker-hub" / "repositories" / "library")
        toolkit.run("rollback", f"{ALPINE}:3.20", "--reason", "musl", "--until", "3d").expect(0)
        written = len(puts())
        done = toolkit.run("seed", "--format", "json").expect(0).document["plan"]
        assert {notice["code"] for notice in done["notices"]} == {
            "lock.held",
            "source.unauthorized",
        }  # as Docker Hub says
        assert puts()[written:] == [
            f"{ALPINE}/manifests/kept.3.20.{second['3.20'][7:19]}",
            f"{ALPINE}/manifests/3.20",
        ]
        assert len(sandbox.manifest_gets()) == pulls
        assert digests()["3.20"] == first["3.20"]

        # Forward again: both images have their keepers.
        toolkit.run("rollback", "nginx:1.27", "--to", bumped[0][7:19], "--reason", "it was not nginx").expect(0)
        written = len(puts())
        toolkit.run("seed").expect(0)
        assert puts()[written:] == [f"{NGINX}/manifests/1.27"]
        assert len(sandbox.manifest_gets()) == pulls
        assert digests()["1.27"] == second["1.27"]
